"""What a change of values files does to images, as renders show it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from helmpin import kube_yaml
from helmpin.errors import HelmFailed, HelmStopped
from helmpin.lint.trial import Images, Trials, Wrong, fits
from helmpin.lint.usage import Usage
from tests.support.plans import chart
from tests.support.renders import digest

A, B, C = map(digest, "abc")
OWN, GIVEN, OTHER = Path("/app/values.yaml"), Path("/given.yaml"), Path("/other.yaml")


@pytest.mark.parametrize(
    ("image", "now", "is_fit"),
    [
        ("web:latest", f"web:latest@{A}", True),
        ("web:latest", f"web@{A}", True),
        ("web:latest", f"web:latest@{B}", False),
        ("web:latest", f"web:main@{A}", False),
        ("web:latest", f"db:latest@{A}", False),
        ("web:latest", f"example.com/web:latest@{A}", False),
        ("web:latest", "web:latest", False),
        ("web:latest", "nothing", False),
        ("web:latest", "", False),
        ("web", f"web:latest@{A}", True),
        ("web", f"web@{A}", True),
        ("web", f"web:main@{A}", False),
        ("r.example:5000/web:latest", f"r.example:5000/web@{A}", True),
        ("cache:main", "cache:1.2.3", True),
        ("cache:main", f"cache:1.2.3@{A}", False),
        ("cache:main", "cache:1.2.4", False),
        ("cache:main", "cache", False),
        ("cache:main", "db:1.2.3", False),
        ("db:latest", f"db:latest@{A}", False),
        ("", f"@{A}", False),
    ],
)
def test_an_image_gets_its_own_digest_or_version(image: str, now: str, is_fit: bool) -> None:
    pins = {"web:latest": A, "web": A, "r.example:5000/web:latest": A, "cache:main": "1.2.3"}
    assert fits(image, now, pins) is is_fit


@pytest.mark.parametrize(
    ("now", "is_right"),
    [
        ("web:1.1", True),
        (f"web:1.0@{A}", True),
        (f"web@{A}", False),
        (f"web@{C}", True),
        (f"web:1.1@{A}", False),
        (f"web:1.0@{B}", False),
        ("web:1.0", False),
        ("web:1.0.3", True),
        ("nothing", False),
        ("db:1.0.3", False),
        (f"db:latest@{B}", False),
    ],
)
def test_no_digest_stays_beside_the_tag_of_the_next_release(now: str, is_right: bool, usage: Usage) -> None:
    """C is of an image whose tag a value gives as well; another image has no business to change."""
    pins = {"web:1.0": A, "web:main": "1.0.3", "db": B, "web:2": C}
    trials = Trials(Renders(web="web:1.1"), [usage._replace(is_next=True)], pins, {C})
    assert (trials.wrong({OWN: f"web: {now}\n"}) == []) is is_right


def test_latest_is_the_tag_of_an_image_without_one(usage: Usage) -> None:
    trials = Trials(Renders(web="web:1.1"), [usage._replace(is_next=True)], {"web": A})
    assert trials.wrong({OWN: f"web: web:latest@{A}\n"}) == []
    (wrong,) = trials.wrong({OWN: f"web: web:main@{A}\n"})
    assert wrong.is_next


class Renders:
    """What comes out, by the test's own words: each key of the values is an image, unless it is `fail`."""

    def __init__(self, **before: str) -> None:
        self.before = before
        self.asked: list[tuple[str, list[Path]]] = []

    def __call__(self, usage: Usage, texts: Mapping[Path, str]) -> Images:
        self.asked.append((usage.name, list(texts)))
        values: dict[str, Any] = {**self.before}
        for text in texts.values():
            values |= kube_yaml.read_first(text, what="", where="")
        if why := values.pop("fail", ""):
            raise HelmFailed("helm template failed", why=why)
        return {(key,): image for key, image in values.items() if image}


@pytest.fixture
def usage(tmp_path: Path) -> Usage:
    return Usage(chart=chart(tmp_path), name="app", own={OWN: "values.yaml"}, given=(GIVEN, ("--set", "x=1")), flags=())


def test_an_image_that_another_value_changes(usage: Usage) -> None:
    trials = Trials(Renders(web="web:latest", db="db:latest"), [usage], {"web:latest": A})
    assert trials.wrong({OWN: f"web: web:latest@{A}\n"}) == []
    assert trials.wrong({OWN: f"web: web:latest@{A}\ndb: db:latest@{A}\n"}) == [
        Wrong("app", "db:latest", f"db:latest@{A}")
    ]


def test_an_image_that_goes_is_wrong_and_one_that_comes_is_not(usage: Usage) -> None:
    trials = Trials(Renders(web="web:latest"), [usage], {"web:latest": A})
    (wrong,) = trials.wrong({OWN: "web: ''\nnew: other:1\n"})
    assert str(wrong) == "web:latest would become nothing, in app"


def test_a_chart_that_does_not_render_any_more(usage: Usage) -> None:
    (wrong,) = Trials(Renders(web="web:latest"), [usage], {}).wrong({OWN: "fail: 'no\n\n  digests'\n"})
    assert str(wrong) == r"no\ndigests, in app"


def test_a_chart_that_does_not_render_as_it_is_shows_nothing(usage: Usage) -> None:
    renders = Renders(fail="needs a tag")
    trials = Trials(renders, [usage], {})
    assert trials.wrong({OWN: "web: web:1\n"}) == trials.wrong({OWN: "web: web:2\n"}) == []
    assert len(renders.asked) == 1


@pytest.mark.parametrize("renders_before", [False, True])
def test_a_helm_that_was_stopped_is_no_chart_that_does_not_render(usage: Usage, renders_before: bool) -> None:
    def images(_: Usage, texts: Mapping[Path, str]) -> Images:
        if renders_before and not texts:
            return {("web",): "web:latest"}
        raise HelmStopped("helm template failed", why="helm was killed by SIGKILL")

    with pytest.raises(HelmStopped):
        Trials(images, [usage], {}).wrong({OWN: "web: web:1\n"})


def test_only_what_a_usage_reads_is_rendered(usage: Usage) -> None:
    renders = Renders(web="web:latest")
    trials = Trials(renders, [usage, usage._replace(name="alone", given=())], {})
    assert trials.wrong({OTHER: "web: x\n"}) == trials.wrong({}) == []
    assert renders.asked == []
    assert [wrong.usage for wrong in trials.wrong({GIVEN: "web: x\n", OTHER: "web: y\n"})] == ["app"]
    assert renders.asked == [("app", []), ("app", [GIVEN])]
    assert [wrong.usage for wrong in trials.wrong({OWN: "web: x\n"})] == ["app", "alone"]
    assert renders.asked[2:] == [("app", [OWN]), ("alone", []), ("alone", [OWN])]
