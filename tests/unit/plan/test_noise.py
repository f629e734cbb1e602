"""What more plain renders show of the noise of a chart. What a chart prints is the test's word."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import pytest

from helmpin.plan.noise import MOST_RENDERS, Noise
from helmpin.render.output import parse
from tests.support.plans import Renderer, chart, rendered
from tests.support.renders import POD, digest, pod

A, B = digest("a"), digest("b")


class Made:
    """The noise of a chart with a label and two arguments, that prints these texts one after another."""

    def __init__(self, folder: Path, plain: str, more: Iterable[str], random: Collection[str] = (POD,)) -> None:
        texts = iter(more)
        self.renderer = Renderer(lambda _: next(texts))
        self.rendered = rendered(chart(folder), plain, self.renderer)
        self.noise = Noise(self.rendered, (A, B), random)

    def collateral(self, text: str) -> list[Any]:
        """What is left of the differences of a render."""
        return [difference.after for difference in self.noise.compared(parse(text), {}).collateral]


@pytest.mark.parametrize(("random", "renders"), [((), 1), (("app/templates/other.yaml",), 1), ((POD,), MOST_RENDERS)])
def test_how_often_a_chart_is_rendered_again_for_a_difference(
    tmp_path: Path, random: Collection[str], renders: int
) -> None:
    plain = pod("t/web:1", label="x")
    made = Made(tmp_path, plain, [plain] * 9, random)
    for _ in range(2):
        assert made.collateral(pod("t/web:1", label="z")) == ["z"]
        assert made.noise.renders == renders
    assert {ask.chart for ask in made.renderer.asked} == {made.rendered.chart}, "without anything of helm-pin's"
    assert all(not ask.set for ask in made.renderer.asked)


def test_no_render_is_made_where_nothing_differs(tmp_path: Path) -> None:
    made = Made(tmp_path, pod("t/web:1"), [])
    assert made.collateral(pod("t/web:1")) == [] and made.noise.renders == 0


def test_what_differs_in_another_plain_render_is_no_difference(tmp_path: Path) -> None:
    plain, *more = [pod("t/web:1", label=label) for label in ("x1", "x1", "x2")]
    made = Made(tmp_path, plain, more)
    assert made.collateral(pod("t/web:1", label="x3")) == []
    assert made.noise.renders == 2 and list(made.noise.leaves.values()) == ["x2"]


def test_what_shows_a_digest_is_no_noise(tmp_path: Path) -> None:
    plain = pod("t/web:1", label="x")
    for shown, renders in ((f"1@{A}", 0), (f"cut-{B[7:19]}", 0), (B[7:18], 1)):
        made = Made(tmp_path, plain, [plain], random=())
        assert len(made.collateral(pod("t/web:1", label=shown))) == 1
        assert made.noise.renders == renders


def test_a_pull_policy_is_no_noise(tmp_path: Path) -> None:
    """Nobody makes it at random; it often depends on the digest."""
    plain, pinned = (
        pod("t/web:1", extra=f"      imagePullPolicy: {policy}\n") for policy in ("Always", "IfNotPresent")
    )
    made = Made(tmp_path, plain, [])
    assert made.collateral(pinned) == ["IfNotPresent"] and made.noise.renders == 0


def test_one_difference_without_a_digest_is_enough_to_look(tmp_path: Path) -> None:
    labels = (("x", "k"), ("x", "l"), (f"1@{A}", "m"))
    plain, other, pinned = (pod("t/web:1", label=a, extra=f"      args: [{b}]\n") for a, b in labels)
    made = Made(tmp_path, plain, [other], random=())
    assert made.collateral(pinned) == [f"1@{A}"] and made.noise.renders == 1


def test_what_is_no_noise_ends_the_search_for_noise(tmp_path: Path) -> None:
    """Its pin is rejected, whatever else is random."""
    fixed = "app/templates/fixed.yaml"
    plain, other = (pod("t/web:1", label=label) for label in "ab")
    for label in ("z", f"1@{A}"):
        made = Made(tmp_path, plain + pod("t/web:1", source=fixed), [plain + pod("t/web:1", source=fixed)] * 9)
        assert made.collateral(other + pod("t/web:1", label=label, source=fixed)) == ["b", label]
        assert made.noise.renders == 1


def test_what_was_random_once_stays_known(tmp_path: Path) -> None:
    """Two plain renders differ in one leaf, two others in another."""
    plain, *more = [
        pod("t/web:1", extra=f"      args: [{a}, {b}]\n")
        for a, b in (("same", "same"), ("same", "other"), ("another", "same"))
    ]
    made = Made(tmp_path, plain, more)
    assert made.collateral(pod("t/web:1", extra="      args: [third, third]\n")) == []
    assert [leaf[3][-1] for leaf in made.noise.leaves] == [1, 0]
    assert list(made.noise.leaves.values()) == ["other", "another"]
