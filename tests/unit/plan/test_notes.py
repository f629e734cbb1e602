"""What is said of a plan beside the images themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from helmpin.plan.images import ImagePlan
from helmpin.plan.notes import say_outside, say_reused_digests
from helmpin.plan.plan import Plan
from helmpin.release.record import Record
from helmpin.render.diff import Follower
from helmpin.render.output import Render, parse
from tests.support import plans
from tests.support.plans import A, image
from tests.support.renders import document


class Planned(NamedTuple):
    """As much of a plan as is needed."""

    render: Render
    followers: tuple[Follower, ...] = ()
    images: tuple[ImagePlan, ...] = ()
    record: Record = Record("", "", ())
    outside = Plan.outside
    for_operators = Plan.for_operators
    _may_be_pinned = Plan._may_be_pinned


def outside(*images: str) -> Render:
    return parse(document(f"kind: Fleet\nspec: {{images: [{', '.join(images)}]}}\n"))


AT_DIGEST = f"example.com/a:1@{A}"
FOLLOWER = Follower(("x", 0, 0, ("data", "image")), "ConfigMap", "x", ())


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (Planned(outside()), []),
        (Planned(outside("example.com/a:1", "example.com/a:1")), ["1 image outside pod specs is not pinned"]),
        (Planned(outside("example.com/a:1", "example.com/b:1")), ["2 images outside pod specs are not pinned"]),
        (Planned(outside(), (FOLLOWER,)), ["1 other place with the same references got the same digests"]),
        (
            Planned(outside("example.com/a:1"), (FOLLOWER, FOLLOWER)),
            ["1 image outside", "2 other places with the same references"],
        ),
    ],
)
def test_what_stands_outside_pod_specs_is_said(
    plan: Planned, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    say_outside(plan)  # type: ignore[arg-type]
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert len(lines) == len(said)
    assert all(text in line and "helm pin plan" in line for text, line in zip(said, lines, strict=True))


def test_how_many_digests_came_from_a_lock_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    images = (image("example.com/a:1", source="lock"), image("example.com/b:1"))
    say_outside(Planned(outside(), images=images, record=Record("", "", (), lock="lock.yaml")))  # type: ignore[arg-type]
    assert capsys.readouterr().err == "Digests from lock.yaml: 1 of 2 images.\n"


@pytest.mark.parametrize(
    ("kept", "given", "written", "said"),
    [
        (
            {"image": {"tag": "1", "digest": A}},
            {},
            AT_DIGEST,
            ["(image.digest)", "again: --reuse --set image.digest=\n"],
        ),
        ({"image": {"sha": A.partition(":")[2]}}, {"image": {"tag": "1"}}, AT_DIGEST, ["--reuse --set image.sha="]),
        (
            {"a.b": {"digest": A}, "sha256": A},
            {},
            AT_DIGEST,
            [r"(a\.b.digest, sha256)", r"--reuse --set 'a\.b.digest'= --set sha256=" + "\n"],
        ),
        (
            {"sidecars": [{"digest": A}], "digest": A},
            {},
            AT_DIGEST,
            ["again: --reuse --set digest=, give sidecars again without it"],
        ),
        ({"a": {"list": [{"digest": A}, {"x": {"sha": A}}]}}, {}, AT_DIGEST, ["again: give a.list again without it\n"]),
        ({"annotations": {"build": A}, "approved": [A], "digest": f"from {A}"}, {}, AT_DIGEST, []),  # of no image
        ({"image": {"digest": A}}, {}, f"example.com/a:aaaa@{A}", ["(image.digest)"]),  # the tag is in the digest
        ({"image": {"digest": A}}, {"image": {"digest": A}}, AT_DIGEST, []),  # the user gives it
        ({"image": {"tag": f"1@{A}"}}, {}, AT_DIGEST, []),  # another tag replaces it
        ({"image": {"digest": A}}, {}, f"example.com/a@{A}", []),  # there is no tag
        ({"image": {"digest": A}}, {}, "example.com/a:1", []),  # values pin it
        ({"image": {"digest": plans.digest("b"), "n": 5, "no": None}}, {}, AT_DIGEST, []),
    ],
)
def test_a_reused_digest_that_wins_over_a_tag_is_named(
    kept: Any, given: Any, written: str, said: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plans.plan(tmp_path, image(written, via="chart" if "@" in written else "values"))
    plan = plan._replace(rendered=plan.rendered._replace(kept=kept))
    say_reused_digests(plan, given, "--reuse")
    printed = capsys.readouterr().err
    assert bool(printed) == bool(said)
    assert all(text in printed for text in said), printed
