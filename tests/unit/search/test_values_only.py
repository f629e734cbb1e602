"""The search for values after the search: what it tries, and what it takes. Nothing is rendered: comparisons are made up here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helmpin.chart.setargs import Setting, dotted_key
from helmpin.render.diff import Comparison
from helmpin.render.differences import Difference
from helmpin.render.output import ImageUse
from helmpin.search.attempt import Attempt, Facts
from helmpin.search.value_index import ValueIndex
from helmpin.search.values_only import MOST_TRIALS, ValuesSearch
from helmpin.templates.scan import TemplateScan
from tests.support.renders import digest

A, B = map(digest, "ab")


def use(image: str, nth: int = 0) -> ImageUse:
    return ImageUse(image, "app/templates/pod.yaml", 0, 0, "Pod", "x", ("spec", "containers", nth, "image"), f"c{nth}")


WEB, DB = use("t/web:1"), use("t/db:2", 1)
RIGHT = Comparison({}, frozenset(), (), [])
WRONG = RIGHT._replace(collateral=[Difference(("a", 0, 0, ("metadata", "name")), "x", "y")])


def search(values: Mapping[str, Any], *by_template: ImageUse, settings: tuple[Setting, ...] = ()) -> ValuesSearch:
    """After a search that left these uses to the template, and set these values."""
    uses = dict.fromkeys((WEB, DB, *by_template))
    facts = [Facts(use=u, origin=u, digest=A, is_literal=True, in_template=lambda: True) for u in uses]
    result = Attempt(settings, frozenset(u.key for u in by_template), {}, {}, {})
    return ValuesSearch(result, facts, ValueIndex(values), lambda _: TemplateScan([""]))


def shown(attempt: Attempt | None) -> dict[str, str]:
    assert attempt is not None
    return {dotted_key(setting.path): setting.value for setting in attempt.settings}


VALUES = {"web": {"repository": "t/web", "tag": "1"}, "db": {"image": "t/db:2"}}


def test_what_is_right_is_taken_and_the_next_image_tried_beside_it() -> None:
    found = search(VALUES, WEB, DB)
    first = found.next()
    assert shown(first) == {"web.tag": f"1@{A}"} and first is not None
    assert first.by_template == {DB.key}
    found.learn(first, RIGHT)
    second = found.next()
    assert shown(second) == {"web.tag": f"1@{A}", "db.image": f"t/db:2@{A}"} and second is not None
    found.learn(second, RIGHT)
    assert found.result is second and found.result.by_template == frozenset()
    assert found.next() is None


def test_what_changes_more_or_does_not_render_is_not_taken() -> None:
    for answer in (WRONG, RIGHT._replace(failing=frozenset([WEB.key])), "helm template failed"):
        found = search({"web": {"repository": "t/web", "tag": "1", "digest": ""}}, WEB)
        before, tried = found.result, []
        while attempt := found.next():
            tried.append(shown(attempt))
            found.learn(attempt, answer)
        assert found.result is before
        assert len(tried) == len({tuple(sorted(each.items())) for each in tried}) > 1


def test_only_what_the_template_pins_is_tried() -> None:
    found = search(VALUES, DB, settings=(Setting(("web", "tag"), f"1@{A}"),))
    assert shown(found.next()) == {"web.tag": f"1@{A}", "db.image": f"t/db:2@{A}"}
    assert search(VALUES).next() is None


def test_no_value_gets_two_texts() -> None:
    found = search(VALUES, DB, settings=(Setting(("db", "image"), f"t/db:2@{B}"),))
    assert found.next() is None
    other = search(VALUES, DB, settings=(Setting(("db", "image"), f"t/db:2@{A}"),))
    assert other.next() is not None


def test_it_ends() -> None:
    found = search({f"k{i}": "t/web:1" for i in range(100)}, WEB)
    tried = 0
    while attempt := found.next():
        tried += 1
        found.learn(attempt, WRONG)
    assert tried == MOST_TRIALS


def test_a_tag_under_any_key_is_tried_last() -> None:
    found = search({"image": "t/db:2", "build": 1, "replicas": 1}, WEB)
    tried = []
    while attempt := found.next():
        tried.append(shown(attempt))
        found.learn(attempt, RIGHT if "replicas" in tried[-1] else WRONG)
    assert tried == [{"build": f"1@{A}"}, {"replicas": f"1@{A}"}] and found.result.by_template == frozenset()


def test_what_is_right_for_some_uses_is_taken_for_those() -> None:
    """Of several values that hold a reference, each use gets the one that it reads, and nothing else is set."""
    again = use("t/web:1", 2)
    found = search({"image": "t/web:1", "b": "t/web:1", "c": "t/web:1"}, WEB, again)
    reads, tried = {WEB.key: "image", again.key: "c"}, 0
    while attempt := found.next():
        tried += 1
        by_values = reads.keys() - attempt.by_template
        found.learn(attempt, RIGHT._replace(failing=frozenset(k for k in by_values if reads[k] not in shown(attempt))))
    assert shown(found.result).keys() == {"image", "c"} and found.result.by_template == frozenset()
    assert tried < MOST_TRIALS


def test_nothing_more_is_set_for_what_is_pinned() -> None:
    found = search({"web": {"repository": "t/web", "tag": "1", "digest": ""}, "other": "t/web:1"}, WEB)
    attempt = found.next()
    assert attempt is not None
    found.learn(attempt, RIGHT)
    assert found.next() is None and found.result is attempt


def test_a_value_that_is_set_already_is_no_end_for_the_image() -> None:
    """The likeliest candidate wants another text where the first search has put one."""
    values = {"web": {"repository": "t/web", "tag": "1"}, "other": "t/web:1"}
    found = search(values, WEB, settings=(Setting(("web", "tag"), f"1@{B}"),))
    assert shown(found.next()) == {"web.tag": f"1@{B}", "other": f"t/web:1@{A}"}


def test_each_use_says_which_value_pins_it() -> None:
    again = use("t/web:1", 2)
    found = search({"image": "t/web:1"}, WEB, again)
    first = found.next()
    assert first is not None and first.strategies.keys() == {WEB.key, again.key}
    found.learn(first, RIGHT._replace(failing=frozenset([again.key])))
    second = found.next()
    assert second is not None and second.by_template == {again.key}
    assert second.strategies == {WEB.key: ("reference", (Setting(("image",), f"t/web:1@{A}"),))}


def test_places_with_fewer_candidates_stay_at_their_last() -> None:
    """All places of an image are set together first, likeliest first, then each alone."""
    values = {
        "one": {"repository": "t/web", "tag": "1"},
        "two": {"repository": "t/web", "tag": "1", "digest": ""},
    }
    found = search(values, WEB)
    tried = []
    while attempt := found.next():
        tried.append(shown(attempt))
        found.learn(attempt, WRONG)
    assert [each for each in tried if "one.tag" in each and len(each) > 1] == [
        {"one.tag": f"1@{A}", "two.digest": A},
        {"one.tag": f"1@{A}", "two.digest": A[7:]},
        {"one.tag": f"1@{A}", "two.digest": A, "two.tag": ""},
        {"one.tag": f"1@{A}", "two.digest": A[7:], "two.tag": ""},
        {"one.tag": f"1@{A}", "two.tag": f"1@{A}"},
    ]


def test_the_map_of_a_container_is_found_by_its_name() -> None:
    values = {"parts": {"c0": {"x": 1}, "c1": {"image": {"repository": "other"}}}}
    facts = [Facts(use=WEB, origin=WEB, digest=A, is_literal=True, in_template=lambda: True)]
    result = Attempt((), frozenset([WEB.key]), {}, {}, {})
    template = "{{ .part.image.tag }}"
    found = ValuesSearch(result, facts, ValueIndex(values), lambda _: TemplateScan([template]))
    assert shown(found.next()) == {"parts.c0.image.tag": f"1@{A}"}
