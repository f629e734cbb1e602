"""The values that no image needs: what is tried, and what is taken. Nothing is rendered: comparisons are made up here."""

from __future__ import annotations

from helmpin.chart.setargs import Setting
from helmpin.render.diff import Comparison
from helmpin.render.differences import Difference
from helmpin.search.attempt import Attempt
from helmpin.search.candidate import Candidate
from helmpin.search.only_needed import OnlyNeeded, Pinned
from tests.support.renders import digest

A = digest("a")
WEB, JOB = ("app/templates/a.yaml", 0, 0, ("web",)), ("app/templates/a.yaml", 0, 0, ("job",))
RIGHT = Comparison({WEB: f"t/app@{A}", JOB: f"t/app@{A}"}, frozenset(), (), [])


def at(name: str, *, doubtful: bool = True) -> Candidate:
    return Candidate("tag@digest", (Setting((name, "tag"), f"1@{A}"),), misfit=(0, doubtful))


def found(*candidates: Candidate) -> OnlyNeeded:
    """After a search in which these pin both uses."""
    settings = tuple(dict.fromkeys(setting for candidate in candidates for setting in candidate.settings))
    strategies = dict.fromkeys((WEB, JOB), ("tag@digest", settings))
    result = Attempt(settings=settings, by_template=frozenset(), strategies=strategies, failed={}, notes={})
    return OnlyNeeded(result, [Pinned((WEB, JOB), A, candidates)])


def marked(attempt: Attempt | None, *, web: int, job: int) -> Comparison:
    """The comparison of its render, where each use shows what the setting with a number sets."""
    assert attempt is not None
    values = [setting.value for setting in attempt.settings]
    images = {WEB: f"t/app:{values[web]}", JOB: f"t/app:{values[job]}"}
    return RIGHT._replace(images=images, failing=frozenset(key for key in images if A not in images[key]))


def paths(attempt: Attempt) -> list[str]:
    return [str(setting.path[0]) for setting in attempt.settings]


def test_each_doubtful_map_gets_another_digest() -> None:
    attempt = found(at("web", doubtful=False), at("job"), at("off")).next()
    assert attempt is not None and paths(attempt) == ["web", "job", "off"]
    first, *others = [setting.value for setting in attempt.settings]
    assert first == f"1@{A}" and len({*others}) == 2
    assert all(len(other) == len(first) and other.startswith("1@sha256:") and A not in other for other in others)


def test_what_reaches_no_image_is_left_out() -> None:
    search = found(at("web"), at("job"), at("off"))
    attempt = search.next()
    assert attempt is not None
    search.learn(attempt, marked(attempt, web=0, job=1))
    last = search.next()
    assert last is not None and paths(last) == ["web", "job"]
    assert {setting.value for setting in last.settings} == {f"1@{A}"}
    assert last.strategies == dict.fromkeys((WEB, JOB), ("tag@digest", last.settings))
    search.learn(last, RIGHT)
    assert search.result is last and search.next() is None


def test_a_setting_that_another_candidate_needs_stays() -> None:
    """A tag that is emptied for both."""
    emptied = Setting(("tag",), "")
    web, off = (at(name)._replace(settings=(*at(name).settings, emptied)) for name in ("web", "off"))
    search = found(web, off)
    attempt = search.next()
    assert attempt is not None
    search.learn(attempt, marked(attempt, web=0, job=0))
    last = search.next()
    assert last is not None and last.settings == web.settings


def test_what_reaches_something_else_stays() -> None:
    """A follower: an argument that names the image for an operator."""
    search = found(at("web"), at("agent"), at("off"))
    attempt = search.next()
    assert attempt is not None
    argument = Difference(("a", 0, 0, ("args", 0)), "t/app:1", f"t/app:{attempt.settings[1].value}")
    search.learn(attempt, marked(attempt, web=0, job=0)._replace(collateral=[argument]))
    last = search.next()
    assert last is not None and paths(last) == ["web", "agent"]


def test_nothing_changes_where_all_are_needed_or_the_render_fails() -> None:
    search = found(at("web"), at("job"))
    before, attempt = search.result, search.next()
    assert attempt is not None
    search.learn(attempt, marked(attempt, web=0, job=1))
    assert search.next() is None and search.result is before
    search = found(at("web"), at("job"))
    before, attempt = search.result, search.next()
    assert attempt is not None
    search.learn(attempt, "helm template failed")
    assert search.next() is None and search.result is before


def test_what_pins_less_without_them_is_not_taken() -> None:
    for wrong in (
        RIGHT._replace(failing=frozenset({JOB})),
        RIGHT._replace(collateral=[Difference(("a", 0, 0, ("metadata", "name")), "x", "y")]),
        "helm template failed",
    ):
        search = found(at("web"), at("job"))
        before, attempt = search.result, search.next()
        assert attempt is not None
        search.learn(attempt, marked(attempt, web=0, job=0))
        last = search.next()
        assert last is not None and paths(last) == ["web"]
        search.learn(last, wrong)
        assert search.result is before and search.next() is None


def test_a_single_map_and_those_that_hold_the_tag_are_not_doubted() -> None:
    assert found(at("web")).next() is None
    assert found(at("web", doubtful=False), at("job", doubtful=False)).next() is None
