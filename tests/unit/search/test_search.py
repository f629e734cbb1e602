"""What the search tries next, given what the renders showed. Nothing is rendered: comparisons are made up here."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helmpin.chart.setargs import Setting, dotted_key
from helmpin.image.reference import pinned_form
from helmpin.render.diff import Comparison, is_pin
from helmpin.render.differences import Difference
from helmpin.render.output import ImageUse
from helmpin.search.attempt import Attempt, Facts
from helmpin.search.search import MOST_ATTEMPTS, MOST_REPAIRS, Search
from helmpin.search.value_index import ValueIndex
from helmpin.templates.scan import TemplateScan
from tests.support.renders import digest

A, B, C = map(digest, "abc")
HEX = A.removeprefix("sha256:")
POD = "app/templates/pod.yaml"


def use(image: str, *, nth: int = 0, source: str = POD, policy: str = "") -> ImageUse:
    path = ("spec", "containers", nth, "image")
    return ImageUse(image, source, 0, 0, "Pod", "x", path, f"c{nth}", policy)


def facts(each: ImageUse, at: str = A, *, literal: bool = False, in_template: bool = True) -> Facts:
    return Facts(use=each, origin=each, digest=at, is_literal=literal, in_template=lambda: in_template)


def search(some: Iterable[Facts], values: Mapping[str, Any], template: str = "") -> Search:
    return Search(some, ValueIndex(values), lambda _: TemplateScan([template]))


def shown(attempt: Attempt | None) -> dict[str, str]:
    assert attempt is not None
    return {dotted_key(setting.path): setting.value for setting in attempt.settings}


def compared(
    images: Mapping[ImageUse, str], wanted: Mapping[ImageUse, str], collateral: Iterable[Difference] = ()
) -> Comparison:
    """What compare() finds where the uses have these images."""
    failing = frozenset(each.key for each, image in images.items() if not is_pin(each, image, wanted[each]))
    return Comparison({each.key: image for each, image in images.items()}, failing, (), list(collateral))


def difference(after: Any, source: str = POD, before: Any = "x") -> Difference:
    return Difference((source, 0, 0, ("metadata", "labels", "l")), before, after)


WEB = use("t/web:1")
FORMS = {"image": {"repository": "t/web", "tag": "1", "digest": ""}}
TAGGED = {"image": {"repository": "t/web", "tag": "1"}}


def walk(found: Search, images: Iterable[str], each: ImageUse = WEB) -> list[dict[str, str]]:
    """The settings of each attempt where the renders give these images, one after another."""
    tried = []
    for image in images:
        attempt = found.next()
        tried.append(shown(attempt))
        assert attempt is not None
        found.learn(attempt, compared({each: image}, {each: A}))
    return tried


def test_templates_with_a_tag_each_are_pinned_at_the_second_attempt() -> None:
    """The first attempt shows that they read different values; what each reads is then tried for it."""
    uses = {at: use("t/web:1", source=f"app/templates/{at}.yaml") for at in "abcd"}
    template = "".join(f"image: t/web:{{{{ .Values.{at}.tag }}}}\n" for at in uses)
    found = Search(
        map(facts, uses.values()),
        ValueIndex({at: {"tag": ""} for at in uses}),
        lambda _: TemplateScan([template]),
        lambda source, _: {(source[-6], "tag")},
    )
    wanted = dict.fromkeys(uses.values(), A)
    for tried in ("a", "abcd"):
        attempt = found.next()
        assert shown(attempt) == {f"{at}.tag": f"1@{A}" for at in tried} and attempt is not None
        images = {each: f"t/web:1@{A}" if at in tried else "t/web:1" for at, each in uses.items()}
        found.learn(attempt, compared(images, wanted))
    assert found.result is attempt and not attempt.by_template


def test_a_pull_policy_is_blamed_on_the_image_of_its_container() -> None:
    """One helper prints all containers, and reads the values of all of them on one line."""
    names = ("web", "db", "log")
    uses = [use(f"t/{name}:1", nth=nth) for nth, name in enumerate(names)]
    values = {name: {"repository": f"t/{name}", "tag": "1", "digest": ""} for name in names}
    helper = " ".join(f"{{{{ .Values.{name}.digest }}}}" for name in names)
    found = Search(
        [facts(each, at) for each, at in zip(uses, (A, B, C), strict=True)],
        ValueIndex(values),
        lambda _: TemplateScan([f"imagePullPolicy: {helper}\n"]),
        lambda *_: {(name, "digest") for name in names},
    )
    pinned = {each: f"{each.image}@{at}" for each, at in zip(uses, (A, B, C), strict=True)}
    attempt = found.next()
    first = shown(attempt)
    assert attempt is not None
    policy = Difference((POD, 0, 0, ("spec", "containers", 1, "imagePullPolicy")), "Always", "IfNotPresent")
    found.learn(attempt, compared(pinned, dict(zip(uses, (A, B, C), strict=True)), [policy]))
    second = shown(found.next())
    assert {path.partition(".")[0] for path, _ in first.items() ^ second.items()} == {"db"}


@pytest.mark.parametrize("reader", ["web", "db", "both", "none"])
def test_a_tag_that_two_images_want_goes_to_the_one_whose_template_reads_it(reader: str) -> None:
    """Both names stand beside it. If that does not decide, no value is set, for none can hold two digests."""
    web, db = (use(f"t/{name}:1", source=f"app/templates/{name}.yaml") for name in ("web", "db"))
    reads = {web.source: ("web", "both"), db.source: ("db", "both")}
    found = Search(
        [facts(web, A), facts(db, B)],
        ValueIndex({"image": "t/web", "repository": "t/db", "tag": "1"}),
        lambda _: TemplateScan([""]),
        reads=lambda source: [("tag",)] if reader in reads[source] else [],
    )
    wins = {"web": A, "db": B}.get(reader)
    attempt = found.next()
    assert attempt is not None
    assert {dotted_key(s.path): s.value for s in attempt.settings}.get("tag") == (f"1@{wins}" if wins else None)


# -- one image ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("why", "noted"),
    [
        (f"YAML parse error on {POD}\n\n", f"YAML parse error on {POD}"),
        (
            f"template: {POD}: {'x' * 300}: invalid semantic version\n",
            f"template: {POD}: .*….*: invalid semantic version",
        ),
        ("", "helm failed"),
    ],
)
def test_what_a_chart_refuses_is_noted_with_the_reason(why: str, noted: str) -> None:
    found = search([facts(WEB)], TAGGED)
    attempt = found.next()
    assert attempt is not None
    found.learn(attempt, why)
    after = found.next()
    assert after is not None
    (note,) = after.notes[WEB.key]
    assert re.fullmatch(f"tag@digest at image.tag: the chart refuses it: {noted}", note) and len(note) < 300


def test_what_is_right_ends_the_search() -> None:
    found = search([facts(WEB)], TAGGED)
    attempt = found.next()
    assert shown(attempt) == {"image.tag": f"1@{A}"} and attempt is not None
    found.learn(attempt, compared({WEB: f"t/web:1@{A}"}, {WEB: A}))
    assert found.result is attempt and found.next() is None
    assert attempt.strategies == {WEB.key: ("tag@digest", (Setting(("image", "tag"), f"1@{A}"),))}
    assert not attempt.by_template and not attempt.failed


def test_a_digest_in_the_wrong_form_is_tried_in_the_next() -> None:
    found = search([facts(WEB)], FORMS)
    assert walk(found, [f"t/web:1@{A[:7]}{A}", f"t/web:1@{A}"]) == [{"image.digest": A}, {"image.digest": HEX}]
    assert found.result is not None


def test_a_digest_that_came_out_nowhere_is_tried_in_no_other_form() -> None:
    found = search([facts(WEB)], FORMS)
    tried = walk(found, ["t/web:1", f"t/web:1@{A}"])
    assert tried == [{"image.digest": A}, {"image.digest": A, "image.tag": ""}]


def test_beside_the_tag_emptied_then_in_the_tag_then_in_the_template() -> None:
    found = search([facts(WEB)], FORMS)
    tried = walk(found, ["t/web:1", "t/web", "t/web:oops", f"t/web:1@{A}"])
    assert tried[2:] == [{"image.tag": f"1@{A}"}, {}]
    assert found.result is not None and found.result.by_template == {WEB.key}


@pytest.mark.parametrize("image", ["t/web", "t/web:latest"])
def test_a_tag_that_must_stay_is_set_where_it_stays(image: str) -> None:
    """Where a digest would take `latest` away, Kubernetes would not pull always any more."""
    each = use(image)
    values = {"image": {"repository": "t/web", "tag": "" if image == "t/web" else "latest", "digest": ""}}
    (first, *_) = walk(search([facts(each)], values), [f"t/web:latest@{A}"], each)
    assert first != {"image.digest": A}
    always = use(image, policy="Always")
    (first, *_) = walk(search([facts(always)], values), [f"t/web@{A}"], always)
    assert first == {"image.digest": A}


def test_a_template_that_drops_the_tag_beside_a_digest_is_given_no_digest_alone() -> None:
    each = use("t/web:latest")
    found = search([facts(each)], {"image": {"repository": "t/web", "tag": "latest", "digest": ""}})
    attempt = found.next()
    while attempt is not None and found.result is None:
        assert len(shown(attempt)) < 2
        gives = f"t/web@{A}" if "image.digest" in shown(attempt) else "t/web:latest"
        found.learn(attempt, compared({each: gives}, {each: A}))
        attempt = found.next()
        assert attempt is None or not ("image.digest" in shown(attempt) and gives == f"t/web@{A}")


def test_what_no_value_reaches_is_pinned_in_the_template_at_once() -> None:
    for made in (search([facts(WEB, literal=True)], TAGGED), search([facts(WEB)], {"other": "value"})):
        attempt = made.next()
        assert attempt is not None and attempt.by_template == {WEB.key} and attempt.settings == ()


def test_what_stands_nowhere_fails_and_says_so() -> None:
    attempt = search([facts(WEB, literal=True, in_template=False)], TAGGED).next()
    assert attempt is not None and "no value reaches it" in attempt.failed[WEB.key]
    assert not attempt.by_template


def test_what_a_template_pins_wrongly_fails_with_what_it_gives() -> None:
    found = search([facts(WEB, literal=True)], {})
    attempt = found.next()
    assert attempt is not None
    found.learn(attempt, compared({WEB: "t/web:1"}, {WEB: A}))
    last = found.next()
    assert last is not None and "'t/web:1'" in last.failed[WEB.key]
    found.learn(last, compared({}, {}))
    assert found.result is last


def test_notes_say_what_was_tried_and_what_it_gave() -> None:
    found = search([facts(WEB)], TAGGED)
    walk(found, ["t/web:oops"])
    attempt = found.next()
    assert attempt is not None and attempt.notes[WEB.key] == ("tag@digest at image.tag: gives 't/web:oops'",)


def test_what_sets_an_image_is_known_before_anything_is_tried() -> None:
    assert search([facts(WEB)], FORMS).set_by == {"t/web:1": ("image.digest",)}
    assert search([facts(WEB, literal=True)], FORMS).set_by == {"t/web:1": ()}


# -- several images -----------------------------------------------------------------------------------------------------

SIDE = use("t/side:2", nth=1)
BOTH = {"image": {"repository": "t/web", "tag": "1"}, "side": {"repository": "t/side", "version": "2"}}
RIGHT = {WEB: f"t/web:1@{A}", SIDE: f"t/side:2@{B}"}
WANTED = {WEB: A, SIDE: B}


def both() -> Search:
    return search([facts(WEB), facts(SIDE, B)], BOTH)


def test_a_use_that_reads_no_such_value_is_the_templates_and_tries_no_other_key_of_the_same_map() -> None:
    """What holds the whole reference may be read elsewhere; a tag beside the digest key is not."""
    again = use("t/web:1", nth=1)
    found = search([facts(WEB), facts(again)], FORMS)
    attempt = found.next()
    assert attempt is not None
    found.learn(attempt, compared({WEB: f"t/web:1@{A}", again: "t/web:1"}, {WEB: A, again: A}))
    after = found.next()
    assert shown(after) == {"image.digest": A} and after is not None and after.by_template == {again.key}


def two_names(reads: bool) -> tuple[Search, list[ImageUse]]:
    """One digest under two names, each with a tag of its own; whether it is known what the templates read."""
    uses = [use("r.io/t/app:1", source="app/templates/a.yaml"), use("s.io/t/app:1", source="app/templates/b.yaml")]
    values = {
        name: {"image": {"repository": f"{host}/t/app", "tag": "1"}} for name, host in (("a", "r.io"), ("b", "s.io"))
    }
    read = (lambda source: {(source[-6], "image", "tag")}) if reads else (lambda _: set[tuple[str, ...]]())
    return Search(map(facts, uses), ValueIndex(values), lambda _: TemplateScan([""]), reads=read), uses


@pytest.mark.parametrize("reads", [True, False])
def test_a_digest_under_two_names_is_that_of_the_values_that_the_template_reads(reads: bool) -> None:
    found, uses = two_names(reads)
    attempt = found.next()
    assert attempt is not None
    pins = {each: f"{each.image}@{A}" for each in uses}
    found.learn(attempt, compared(pins, dict.fromkeys(uses, A), [difference(f"1@{A}", source="app/templates/b.yaml")]))
    assert set(shown(found.next())) == ({"a.image.tag"} if reads else set())


def test_a_digest_in_a_subchart_is_that_of_values_that_it_can_see() -> None:
    """The chart above has the same digest under another name, in a value of its own."""
    inner, outer = use("r.io/t/app:1", source="app/charts/db/templates/a.yaml"), use("s.io/t/app:1")
    values = {
        "db": {"image": {"repository": "r.io/t/app", "tag": "1"}},
        "web": {"repository": "s.io/t/app", "tag": "1"},
    }
    found = search([facts(inner), facts(outer)], values)
    attempt = found.next()
    assert set(shown(attempt)) == {"db.image.tag", "web.tag"} and attempt is not None
    effect = difference(f"1@{A}", source="app/charts/db/templates/b.yaml")
    found.learn(
        attempt, compared({inner: f"{inner.image}@{A}", outer: f"{outer.image}@{A}"}, {inner: A, outer: A}, [effect])
    )
    assert set(shown(found.next())) == {"web.tag"}


def test_a_digest_beside_a_name_is_not_that_of_another_name() -> None:
    """The whole reference stands there, in another form."""
    found, (one, two) = two_names(reads=False)
    attempt = found.next()
    assert attempt is not None
    effect = difference(f"http://r.io/t/app:1@{A}", source="app/templates/a.yaml")
    found.learn(attempt, compared({one: f"{one.image}@{A}", two: f"{two.image}@{A}"}, {one: A, two: A}, [effect]))
    assert set(shown(found.next())) == {"b.image.tag"}


def test_an_effect_without_a_digest_is_first_that_of_what_a_condition_asks() -> None:
    """Both values are read in the template."""
    uses = [use("t/web:1"), use("t/db:1", nth=1)]
    values, asked = {"web": {"image": "t/web:1"}, "db": {"image": "t/db:1"}}, {("db", "image")}
    every = {("web", "image"), *asked}
    found = Search(
        [facts(uses[0]), facts(uses[1], B)],
        ValueIndex(values),
        lambda _: TemplateScan([""]),
        reads_on_lines=lambda _, word: set() if word else every,
        reads=lambda _: every,
        asks=lambda _: asked,
    )
    attempt = found.next()
    assert attempt is not None
    pins = {uses[0]: f"t/web:1@{A}", uses[1]: f"t/db:1@{B}"}
    found.learn(attempt, compared(pins, {uses[0]: A, uses[1]: B}, [difference("changed")]))
    assert set(shown(found.next())) == {"web.image"}


def test_an_effect_that_shows_a_digest_is_that_images() -> None:
    found = both()
    attempt = found.next()
    assert attempt is not None
    found.learn(attempt, compared(RIGHT, WANTED, [difference(f"1@{A}")]))
    after = found.next()
    assert after is not None and shown(after) == {"side.version": f"2@{B}"} and after.by_template == {WEB.key}
    assert "1@" in after.notes[WEB.key][0] and SIDE.key not in after.notes


def test_an_effect_without_a_digest_is_not_that_of_a_proven_image() -> None:
    found = search([facts(WEB), facts(SIDE, B)], {**BOTH, "side": {**BOTH["side"], "digest": ""}})
    attempt = found.next()
    assert attempt is not None
    found.learn(attempt, compared({**RIGHT, SIDE: f"t/side:2@sha256:{B}"}, WANTED))  # t/web is right and harmless
    attempt = found.next()
    assert shown(attempt) == {"image.tag": f"1@{A}", "side.digest": B[7:]} and attempt is not None
    found.learn(attempt, compared(RIGHT, WANTED, [difference("cut")]))
    assert shown(found.next()) == {"image.tag": f"1@{A}", "side.version": f"2@{B}"}


def test_an_effect_without_a_digest_is_that_of_the_chart_where_it_stands() -> None:
    db = use("t/db:1", source="app/charts/db/templates/pod.yaml")
    found = search([facts(WEB), facts(db, B)], {**TAGGED, "db": {"image": {"repository": "t/db", "tag": "1"}}})
    attempt = found.next()
    assert attempt is not None and len(attempt.settings) == 2
    right = {WEB: f"t/web:1@{A}", db: f"t/db:1@{B}"}
    found.learn(attempt, compared(right, {WEB: A, db: B}, [difference("cut", source=db.source)]))
    assert shown(found.next()) == {"image.tag": f"1@{A}"}


THREE = {name: use(f"t/{name}:1", source=f"app/templates/{name}.yaml") for name in ("one", "two", "three")}
OWN = {name: {"image": f"t/{name}:1"} for name in THREE}


@pytest.mark.parametrize("refusal", ["effect", "failure"])
def test_what_one_template_shows_is_first_that_of_its_own_images(refusal: str) -> None:
    """Without a digest in it: the length of a reference, say. The others keep their values."""
    found = search([facts(each) for each in THREE.values()], OWN)
    attempt = found.next()
    assert attempt is not None and len(attempt.settings) == 3
    two, right = THREE["two"], {each: f"{each.image}@{A}" for each in THREE.values()}
    effect = compared(right, dict.fromkeys(right, A), [difference("18", two.source)])
    found.learn(attempt, effect if refusal == "effect" else f"error at ({two.source}:9:4): it is too long")
    after = found.next()
    assert after is not None and after.by_template == {two.key} and not after.failed
    assert set(shown(after)) == {"one.image", "three.image"}


@pytest.mark.parametrize("literal", [True, False])
def test_a_comparison_that_one_template_fails_fails_its_images_alone(literal: bool) -> None:
    """Where nothing is left to try for it; and if that was not the reason, the others after it."""
    found = search([facts(each, literal=literal) for each in THREE.values()], OWN)
    two, right = THREE["two"], {each: f"{each.image}@{A}" for each in THREE.values()}
    effect = compared(right, dict.fromkeys(right, A), [difference("18", two.source)])
    while (attempt := found.next()) and not attempt.failed:
        found.learn(attempt, effect)
    assert attempt is not None and attempt.failed == {two.key: str(difference("18", two.source))}
    assert len(attempt.by_template) + len(attempt.strategies) == 2
    found.learn(attempt, effect)
    after = found.next()
    assert after is not None and len(after.failed) == 3


def test_a_value_that_comes_out_at_another_image_gives_way_and_not_that_images_own() -> None:
    found = both()
    first = found.next()
    assert first is not None and shown(first).keys() == {"image.tag", "side.version"}
    found.learn(first, compared({**RIGHT, SIDE: f"t/side:1@{A}"}, WANTED))
    second = found.next()
    assert second is not None and shown(second).keys() == {"side.version"} and second.by_template == {WEB.key}
    found.learn(second, compared(RIGHT, WANTED))
    assert found.result is second
    assert found.result.notes == {WEB.key: (f"tag@digest at image.tag: gives 't/side:1@{A}' elsewhere",)}


def test_one_digest_under_two_names_is_told_by_the_name() -> None:
    short, long = use("t/web:1.4"), use("t/web:1.4.2", nth=1)
    values = {
        "a": {"image": {"repository": "t/web", "tag": "1.4"}},
        "b": {"image": {"repository": "t/web", "tag": "1.4.2"}},
    }
    found = search([facts(short), facts(long)], values)
    attempt = found.next()
    assert attempt is not None
    right = {short: f"t/web:1.4@{A}", long: f"t/web:1.4.2@{A}"}
    found.learn(attempt, compared(right, {short: A, long: A}, [difference(f"t/web:1.4@{A}")]))
    after = found.next()
    assert after is not None and after.by_template == {short.key} and shown(after) == {"b.image.tag": f"1.4.2@{A}"}


def test_values_that_are_right_for_some_uses_leave_the_others_to_their_templates() -> None:
    other = use("t/web:1", nth=1)
    found = search([facts(WEB), facts(other)], TAGGED)
    attempt = found.next()
    assert attempt is not None
    found.learn(attempt, compared({WEB: f"t/web:1@{A}", other: "t/web:1"}, {WEB: A, other: A}))
    after = found.next()
    assert after is not None and after.by_template == {other.key}
    assert after.strategies.keys() == {WEB.key} and shown(after) == {"image.tag": f"1@{A}"}


def test_what_values_pin_is_not_what_the_template_pins() -> None:
    web, other = use("t/web:1"), use("t/web:1", nth=1)
    found = search([facts(web), facts(other)], TAGGED)
    for images in ((f"t/web:1@{A}", "t/web:1"), (f"t/web:1@{A}", f"t/web:1@{A}")):
        attempt = found.next()
        assert attempt is not None
        found.learn(attempt, compared(dict(zip((web, other), images, strict=True)), {web: A, other: A}))
    assert found.result is not None and found.result.by_template == {other.key}
    assert [each.uses for each in found.pinned()] == [(web.key,)]


def test_values_of_an_image_that_reach_what_its_template_pins_give_way() -> None:
    """One value pins the first use, and comes out in another form where the template pins the second."""
    other = use("t/web:1", nth=1)
    found, wanted = search([facts(WEB), facts(other)], TAGGED), {WEB: A, other: A}
    wrong = {WEB: f"t/web:1@{A}", other: f"t/web:1-x:latest@{A}"}
    for _ in range(2):
        attempt = found.next()
        assert attempt is not None
        found.learn(attempt, compared(wrong, wanted))
    assert attempt.by_template == {other.key}
    after = found.next()
    assert after is not None and after.by_template == {WEB.key, other.key} and not after.failed


def test_a_template_pin_that_changes_something_else_fails_its_image_alone() -> None:
    found = search([facts(WEB, literal=True), facts(SIDE, B)], BOTH)
    attempt = found.next()
    assert attempt is not None
    found.learn(attempt, compared(RIGHT, WANTED, [difference(f"t/web:1@{A}")]))
    after = found.next()
    assert after is not None and after.failed.keys() == {WEB.key}
    assert "changes something else" in after.failed[WEB.key]
    found.learn(after, compared({SIDE: RIGHT[SIDE]}, WANTED))
    assert found.result is after and found.result.strategies.keys() == {SIDE.key}


def test_values_that_reach_what_the_template_pins_give_way() -> None:
    """t/web is written by its template, which takes the tag of t/side's values."""
    found = search([facts(WEB, literal=True), facts(SIDE, B)], BOTH)
    attempt = found.next()
    assert attempt is not None
    found.learn(attempt, compared({**RIGHT, WEB: f"t/web:2@{B}"}, WANTED))
    after = found.next()
    assert after is not None and after.by_template == {WEB.key, SIDE.key} and not after.failed
    assert after.notes[SIDE.key] == (f"tag@digest at side.version: gives 't/web:2@{B}' elsewhere",)


# -- several faults in one render -----------------------------------------------------------------------------------------


def after_one(found: Search, images: Mapping[ImageUse, str], wanted: Mapping[ImageUse, str], *effects: Any) -> Attempt:
    """The second attempt, where the first one rendered these images and had these effects."""
    attempt = found.next()
    assert attempt is not None
    found.learn(attempt, compared(images, wanted, map(difference, effects)))
    after = found.next()
    assert after is not None
    return after


def test_each_image_with_a_fault_moves_on_in_the_same_render() -> None:
    after = after_one(both(), {**RIGHT, SIDE: "t/side:2"}, WANTED, f"1@{A}")
    assert after.by_template == {WEB.key, SIDE.key}


def test_a_hash_that_changes_with_what_shows_a_digest_is_nobodys_fault_yet() -> None:
    """It may be one of just that. Where it changes without that, too, it is judged."""
    found = both()
    annotation = difference("ab12cd34ef", before="0123456789")
    attempt = found.next()
    assert attempt is not None
    found.learn(attempt, compared(RIGHT, WANTED, [difference(f"1@{A}"), annotation]))
    attempt = found.next()
    assert attempt is not None and shown(attempt) == {"side.version": f"2@{B}"}
    found.learn(attempt, compared(RIGHT, WANTED, [annotation]))
    assert shown(found.next()) == {}


def test_a_value_that_is_proven_for_an_image_is_not_given_to_another() -> None:
    """One that moves on to it, since its own value changes something else."""
    worker, manager = use("t/worker:1"), use("t/mgr:1", nth=1)
    lines = "image: t/worker:{{ .Values.workerVersion }}\nimage: t/mgr:{{ .Values.mgrVersion }}\n"
    found = search([facts(worker), facts(manager, B)], {"workerVersion": "1", "mgrVersion": "1"}, lines)
    attempt = found.next()
    assert shown(attempt) == {"workerVersion": f"1@{A}", "mgrVersion": f"1@{B}"} and attempt is not None
    right = {worker: f"t/worker:1@{A}", manager: f"t/mgr:1@{B}"}
    found.learn(attempt, compared(right, {worker: A, manager: B}, [difference(f"1@{A}")]))
    after = found.next()
    assert shown(after) == {"mgrVersion": f"1@{B}"} and after is not None and after.by_template == {worker.key}


def test_an_image_that_is_wrong_and_has_an_effect_moves_on_by_one_form() -> None:
    wrong = {WEB: f"t/web:1@{A[:7]}{A}", SIDE: "t/side:2"}
    found = search([facts(WEB), facts(SIDE, B)], {**FORMS, "side": BOTH["side"]})
    after = after_one(found, wrong, WANTED, f"1@{A}")
    assert shown(after) == {"image.digest": HEX} and after.by_template == {SIDE.key}


def test_a_tag_that_was_dropped_beside_another_fault() -> None:
    """The digest stands where the tag must stay: no form that is a digest alone."""
    each = use("t/web:latest")
    values = {"image": {"repository": "t/web", "tag": "latest", "digest": ""}, "side": BOTH["side"]}
    found = search([facts(each), facts(SIDE, B)], values)
    while "image.digest" not in shown(attempt := found.next()):
        assert attempt is not None
        found.learn(attempt, compared({each: f"t/web:wrong@{A}", SIDE: f"t/side:2@{B}"}, {each: A, SIDE: B}))
    assert attempt is not None
    found.learn(attempt, compared({each: f"t/web@{A}", SIDE: "t/side:2"}, {each: A, SIDE: B}))
    after = found.next()
    assert after is not None and after.by_template == {each.key, SIDE.key}


def test_a_tag_that_the_template_takes_away_moves_its_image_on_alone() -> None:
    """No form at that value would keep it."""
    each = use("t/web:latest")
    found = search(
        [facts(each), facts(SIDE, B)], {"image": {"repository": "t/web", "tag": "latest"}, "side": BOTH["side"]}
    )
    after = after_one(found, {each: f"t/web@{A}", SIDE: f"t/side:2@{B}"}, {each: A, SIDE: B})
    assert after.by_template == {each.key} and shown(after) == {"side.version": f"2@{B}"}


def test_an_effect_with_the_digest_of_an_image_that_is_left_out_is_that_of_the_values() -> None:
    found = search([facts(WEB, literal=True, in_template=False), facts(SIDE, B)], BOTH)
    after = after_one(found, {SIDE: RIGHT[SIDE]}, {SIDE: B}, f"1@{A}")
    assert after.by_template == {SIDE.key} and after.failed.keys() == {WEB.key}
    assert "1@" in after.notes[SIDE.key][0]


def test_an_effect_with_a_digest_is_rather_that_of_the_values_that_carry_it() -> None:
    """Two images have one digest, and the template pins one of them."""
    found = search([facts(WEB, literal=True), facts(SIDE, A)], BOTH)
    after = after_one(found, {WEB: f"t/web:1@{A}", SIDE: f"t/side:2@{A}"}, {WEB: A, SIDE: A}, f"x@{A}")
    assert after.by_template == {WEB.key, SIDE.key} and not after.failed


@pytest.mark.parametrize("encoded", [False, True])
def test_the_values_whose_digest_a_secret_holds_give_way_alone(encoded: bool) -> None:
    shown = f"images: [t/side:2@{B}]"
    found = search([facts(WEB), facts(SIDE, B)], BOTH)
    effect = b64encode(shown.encode()).decode() if encoded else shown
    after = after_one(found, RIGHT, {WEB: A, SIDE: B}, effect)
    assert SIDE.key in after.notes and WEB.key not in after.notes


def test_an_effect_of_values_fails_no_use_that_the_template_pins() -> None:
    again = use("t/web:1", nth=1)
    found, wanted = search([facts(WEB), facts(again)], TAGGED), {WEB: A, again: A}
    second = after_one(found, {WEB: f"t/web:1@{A}", again: "t/web:1"}, wanted)
    assert second.by_template == {again.key}
    found.learn(second, compared(dict.fromkeys(wanted, f"t/web:1@{A}"), wanted, [difference(f"1@{A}")]))
    last = found.next()
    assert last is not None and last.by_template == {WEB.key, again.key} and not last.failed


def test_values_that_reach_what_the_template_pins_give_way_beside_another_fault() -> None:
    third = use("t/third:3", nth=2)
    found = search(
        [facts(WEB, literal=True), facts(SIDE, B), facts(third, C)], {**BOTH, "third": {"image": "t/third:3"}}
    )
    images, wanted = {**RIGHT, WEB: f"t/web:2@{B}", third: "t/third:3"}, {**WANTED, third: C}
    after = after_one(found, images, wanted)
    assert after.by_template == {WEB.key, SIDE.key, third.key} and not after.failed


def test_a_template_that_suffers_from_values_has_another_turn_without_them() -> None:
    found = search([facts(WEB, literal=True), facts(SIDE, B)], BOTH)
    after = after_one(found, {WEB: "t/web:1", SIDE: "t/side:2"}, WANTED)
    assert after.by_template == {WEB.key, SIDE.key} and not after.failed


def test_values_that_give_way_once_are_not_left_twice() -> None:
    values = {**BOTH, "side": {"repository": "t/side", "tag": "2", "digest": ""}}
    found = search([facts(WEB, literal=True), facts(SIDE, B)], values)
    after = after_one(found, {**RIGHT, WEB: f"t/web:2@{B}"}, WANTED, f"x@{B}")
    assert shown(after) == {"side.tag": f"2@{B}"} and after.by_template == {WEB.key}


def test_the_values_whose_digest_came_out_give_way_before_those_of_the_same_template() -> None:
    other = use("t/side:2", source="app/templates/other.yaml")
    third = use("t/third:3", nth=2)
    values = {"side": {"image": "t/side:2"}, "third": {"image": "t/third:3"}}
    found = search([facts(WEB, literal=True), facts(other, B), facts(third, C)], values)
    images = {WEB: f"t/web:2@{B}", other: f"t/side:2@{B}", third: f"t/third:3@{C}"}
    after = after_one(found, images, {WEB: A, other: B, third: C})
    assert after.by_template == {WEB.key, other.key} and shown(after) == {"third.image": f"t/third:3@{C}"}


@pytest.mark.parametrize(("gives", "values"), [("mirror.example.com/web:1", True), ("t/web:1", False)])
def test_values_that_change_what_a_template_writes_give_way(gives: str, values: bool) -> None:
    """Its place was not found, for the text there is another one; where it is the same, it is the template's own fault."""
    found = search([facts(WEB, literal=True), facts(SIDE, B)], BOTH)
    after = after_one(found, {**RIGHT, WEB: gives}, WANTED)
    assert (WEB.key in after.failed) is not values and (SIDE.key in after.by_template) is values


def test_where_some_values_give_way_already_the_others_stay() -> None:
    third = use("t/third:3", nth=2)
    found = search(
        [facts(WEB, literal=True), facts(SIDE, B), facts(third, C)], {**BOTH, "third": {"image": "t/third:3"}}
    )
    images, wanted = {**RIGHT, WEB: "m/web:1", third: f"t/third:3@{C}"}, {**WANTED, third: C}
    after = after_one(found, images, wanted, f"2@{B}")
    assert after.by_template == {WEB.key, SIDE.key} and not after.failed
    assert shown(after) == {"third.image": f"t/third:3@{C}"}


def test_the_map_of_a_component_is_found_by_the_name_of_its_container() -> None:
    parts = {"c0": {"x": 1}, "x": {"y": 1}, "c1": {"image": {"repository": "other"}}}
    found = search([facts(WEB)], {"parts": parts}, "{{ .part.image.tag }}")
    assert shown(found.next()).keys() == {"parts.c0.image.tag"}


def test_nothing_is_set_for_uses_that_all_went_to_the_template() -> None:
    again = use("t/web:1", nth=1)
    found, wanted = search([facts(WEB), facts(again)], TAGGED), {WEB: A, again: A}
    second = after_one(found, {WEB: f"t/web:1@{A}", again: "t/web:1"}, wanted)
    found.learn(second, compared({WEB: "t/web:1", again: f"t/web:1@{A}"}, wanted))
    last = found.next()
    assert last is not None and last.by_template == {WEB.key, again.key}
    assert last.settings == () and last.strategies == {}


# -- one value for two images -------------------------------------------------------------------------------------------


def test_the_image_whose_name_stands_beside_a_tag_gets_it() -> None:
    values = {"image": {"repository": "t/web", "tag": "1"}, "x": "y"}
    other = use("t/other:1", nth=1)
    attempt = search([facts(WEB), facts(other, B)], values).next()
    assert attempt is not None and shown(attempt) == {"image.tag": f"1@{A}"}
    assert attempt.by_template == {other.key}
    assert "another image needs the same value" in attempt.notes[other.key][0]


@pytest.mark.parametrize("reader", ["web", "db", ""])
def test_a_tag_that_names_neither_is_that_of_the_image_whose_template_reads_it(reader: str) -> None:
    uses = {name: use(f"t/{name}:1", source=f"app/templates/{name}.yaml") for name in ("web", "db")}
    found = Search(
        [facts(uses["web"]), facts(uses["db"], B)],
        ValueIndex({"tag": "1"}),
        lambda _: TemplateScan([""]),
        reads=lambda source: {("tag",)} if source == f"app/templates/{reader}.yaml" else set(),
    )
    assert shown(found.next()) == ({"tag": f"1@{ {'web': A, 'db': B}[reader] }"} if reader else {})


def test_a_tag_that_names_neither_is_neithers() -> None:
    other = use("t/other:1", nth=1)
    attempt = search([facts(WEB), facts(other, B)], {"version": {"tag": "1"}}).next()
    assert attempt is not None and attempt.settings == () and attempt.by_template == {WEB.key, other.key}


def test_two_digests_of_one_image_are_no_values() -> None:
    """A Job keeps its digest; where it is pinned by its template, the value is left to the others."""
    job = use("t/web:1", source="app/templates/job.yaml")
    attempt = search([facts(WEB), facts(job, B, literal=True)], TAGGED).next()
    assert attempt is not None and shown(attempt) == {"image.tag": f"1@{A}"} and attempt.by_template == {job.key}
    attempt = search([facts(WEB), facts(job, B)], TAGGED).next()
    assert attempt is not None and attempt.settings == () and attempt.by_template == {WEB.key, job.key}


# -- charts that refuse -------------------------------------------------------------------------------------------------

SCHEMA = "values don't meet the specifications of the schema(s) in the following chart(s):\napp:\n- {}\n"
TEMPLATE = 'template: app/templates/pod.yaml:8:19: executing "app/templates/pod.yaml" at <semverCompare ">=1.2" {}>: error calling'


def blamed(
    why: str, values: Mapping[str, Any] = BOTH, *, of: Iterable[Facts] = (facts(WEB), facts(SIDE, B))
) -> set[str]:
    """The images whose values are dropped when helm says this."""
    found = search(of, values)
    attempt = found.next()
    assert attempt is not None
    found.learn(attempt, why)
    after = found.next()
    assert after is not None
    return {image for image, each in (("web", WEB), ("side", SIDE)) if each.key not in after.strategies}


@pytest.mark.parametrize(
    ("line", "images"),
    [
        ("image.tag: Does not match pattern '^[0-9.]+$'", {"web"}),
        ("at '/image/tag': 'x' does not match pattern", {"web"}),
        ("at '/side/version': 'x' does not match pattern", {"side"}),
        ("side.version: Does not match pattern '^[0-9.]+$'", {"side"}),
        ("at '/side': additional properties 'version' not allowed", {"side"}),
        ("at '': additional properties 'tag' not allowed", {"web"}),
        ("(root): Additional property other is not allowed", {"web", "side"}),
        ("at '/other/tag': does not match pattern", {"web", "side"}),
        ("other.tag: Does not match pattern", {"web", "side"}),
        ("at '/side': validation failed\n  - at '/image/tag': does not match", {"web"}),
    ],
)
def test_what_a_schema_names_is_to_blame_or_else_all_are(line: str, images: set[str]) -> None:
    assert blamed(SCHEMA.format(line)) == images


@pytest.mark.parametrize(
    ("read", "images"),
    [
        (".Values.image.tag", {"web"}),
        ("$.Values.image.tag", {"web"}),
        (".Values.side.version", {"side"}),
        (".Values.image.tags", {"web", "side"}),
        (".Values.image.tag.suffix", {"web", "side"}),
        ("(.tag)", {"web", "side"}),
    ],
)
def test_what_a_template_error_shows_is_to_blame(read: str, images: set[str]) -> None:
    assert blamed(TEMPLATE.format(read)) == images


def test_what_is_no_version_is_a_tag_and_no_reference() -> None:
    whole = {**BOTH, "side": {"image": "t/side:2"}}
    assert blamed(TEMPLATE.format("$version") + " semverCompare: invalid semantic version", whole) == {"web"}


def test_what_ends_in_a_colon_has_lost_its_tag() -> None:
    """The values for other images of that template stay."""
    why = "YAML parse error on app/templates/pod.yaml: error converting YAML to JSON: yaml: line 9: mapping values are not allowed"
    values = {**BOTH, "image": {"repository": "t/web", "tag": "1", "digest": ""}}
    found = search([facts(WEB), facts(SIDE, B)], values)
    while (attempt := found.next()) and "" not in {setting.value for setting in attempt.settings}:
        gives = {WEB.key: "t/web:1", SIDE.key: f"t/side:2@{B}"}
        found.learn(attempt, Comparison(gives, frozenset([WEB.key]), (), []))
    assert attempt is not None and SIDE.key in attempt.strategies
    found.learn(attempt, why)
    after = found.next()
    assert after is not None and SIDE.key in after.strategies and after.settings != attempt.settings


def test_a_subcharts_error_is_that_of_its_own_values() -> None:
    db = use("t/db:1", source="app/charts/db/templates/pod.yaml")
    values = {**TAGGED, "db": {"image": {"repository": "t/db", "tag": "1"}}}
    why = TEMPLATE.replace("app/templates", "app/charts/db/templates")
    included = f"{why.format('include `x` .')} include: {TEMPLATE.format('.Values.image.tag')}"
    for message in (why.format(".Values.image.tag"), why.format("(.tag)"), included):
        found = search([facts(WEB), facts(db, B)], values)
        attempt = found.next()
        assert attempt is not None
        found.learn(attempt, message)
        assert set(shown(found.next())) == {"image.tag"}


def test_an_error_of_the_chart_above_may_be_that_of_a_subcharts_values() -> None:
    db = use("t/db:1", source="app/charts/db/templates/pod.yaml")
    found = search([facts(WEB), facts(db, B)], {**TAGGED, "db": {"image": {"repository": "t/db", "tag": "1"}}})
    attempt = found.next()
    assert attempt is not None
    found.learn(attempt, TEMPLATE.format(".Values.db.image.tag"))
    assert set(shown(found.next())) == {"image.tag"}


@pytest.mark.parametrize(
    "line", ["- image.tag: Does not match pattern", "- at '/image/tag': 'x' does not match pattern"]
)
@pytest.mark.parametrize(
    ("chart", "left"), [("db", {"image.tag"}), ("app", {"db.image.tag"}), ("other", {"db.image.tag"})]
)
def test_a_schema_blames_the_values_of_its_own_chart(line: str, chart: str, left: set[str]) -> None:
    """Or, if it is no subchart with images, those of the chart itself."""
    db = use("t/db:1", source="app/charts/db/templates/pod.yaml")
    found = search([facts(WEB), facts(db, B)], {**TAGGED, "db": {"image": {"repository": "t/db", "tag": "1"}}})
    attempt = found.next()
    assert attempt is not None
    found.learn(attempt, SCHEMA.format("x").replace("app:\n- x", f"{chart}:\n{line}"))
    assert set(shown(found.next())) == left


def test_a_global_is_read_by_its_own_path() -> None:
    db = use("t/db:1", source="app/charts/db/templates/pod.yaml")
    values = {**TAGGED, "global": {"db": {"image": {"repository": "t/db", "tag": "1"}}}}
    found = search([facts(WEB), facts(db, B)], values)
    attempt = found.next()
    assert attempt is not None and len(attempt.settings) == 2
    found.learn(attempt, TEMPLATE.format(".Values.global.db.image.tag"))
    assert shown(found.next()) == {"image.tag": f"1@{A}"}


def test_a_value_that_helm_names_is_dropped_alone() -> None:
    """The other values of the same image are not to blame."""
    found = search([facts(WEB)], {**TAGGED, "backup": {"image": {"repository": "t/web", "tag": "1"}}})
    attempt = found.next()
    assert shown(attempt).keys() == {"image.tag", "backup.image.tag"} and attempt is not None
    found.learn(attempt, TEMPLATE.format(".Values.image.tag"))
    assert shown(found.next()) == {"backup.image.tag": f"1@{A}"}


def test_a_chart_that_refuses_a_pinned_template_fails_that_templates_images() -> None:
    other = use("t/other:1", source="app/templates/other.yaml")
    found = search([facts(WEB, literal=True), facts(other, B, literal=True)], {})
    attempt = found.next()
    assert attempt is not None
    found.learn(attempt, f"error in {POD}: it is too long")
    after = found.next()
    assert after is not None and after.failed.keys() == {WEB.key} and after.by_template == {other.key}
    found.learn(after, "an error that names nothing")
    last = found.next()
    assert last is not None and last.failed.keys() == {WEB.key, other.key}


@pytest.mark.parametrize("inner", range(1, 7))
@pytest.mark.parametrize("outer", range(1, 4))
@pytest.mark.parametrize("same", [True, False], ids=["also outside", "inside alone"])
def test_a_subchart_that_bears_no_value_costs_only_its_own_images_theirs(inner: int, outer: int, same: bool) -> None:
    """Helm 4 renders the defaults of a subchart that are null as soon as any of its values is set."""
    source = "app/charts/db/templates/all.yaml"
    inside = {f"i{n}": use(f"t/i{n}:1", nth=n, source=source) for n in range(inner)}
    outside = {f"o{n}": use(f"t/o{n}:1", nth=n) for n in range(outer)}
    outside |= {"client": use("t/i0:1", nth=outer)} if same else {}
    values: dict[str, Any] = {
        name: {"image": {"repository": each.image[:-2], "tag": "1"}} for name, each in outside.items()
    }
    values["db"] = {name: {"image": {"repository": each.image[:-2], "tag": "1"}} for name, each in inside.items()}
    digests = {
        each: digest(each.image[3]) if each.image[2] == "o" else C for each in (*inside.values(), *outside.values())
    }
    found = search([facts(each, at) for each, at in digests.items()], values)
    while attempt := found.next():
        images = {}
        for name, each in (*inside.items(), *outside.items()):
            path = (*(("db",) if each.source == source else ()), name, "image", "tag")
            pinned = each.key in attempt.by_template or any(s.path == path for s in attempt.settings)
            images[each] = f"{each.image}@{digests[each]}" if pinned else each.image
        harm = [difference("null", source)] if any(path[0] == "db" for path, _ in attempt.settings) else []
        found.learn(attempt, compared(images, digests, harm))
    assert found.result is not None and not found.result.failed
    assert shown(found.result).keys() == {f"{name}.image.tag" for name in outside}


# -- how long it takes --------------------------------------------------------------------------------------------------


def test_what_is_not_settled_by_then_is_left_to_the_template() -> None:
    values = {f"v{i}": {"image": {"repository": "t/web", "tag": "", "digest": "", "sha": ""}} for i in range(3)}
    found = search([facts(WEB)], values)
    for _ in range(MOST_ATTEMPTS - 1):
        attempt = found.next()
        assert attempt is not None and attempt.settings
        found.learn(attempt, compared({WEB: f"t/web:1@{A}wrong"}, {WEB: A}))
    attempt = found.next()
    assert attempt is not None and not attempt.settings and attempt.by_template == {WEB.key}
    assert "no render was left" in attempt.notes[WEB.key][-1]


def test_what_is_proven_stays_in_the_last_attempt() -> None:
    found = both()
    for _ in range(MOST_ATTEMPTS - 1):
        attempt = found.next()
        assert attempt is not None
        found.learn(attempt, compared({**RIGHT, SIDE: "no"}, WANTED, [difference("cut")]))
    assert found.next() is not None


def test_without_a_result_everything_has_failed() -> None:
    found = both()
    while (attempt := found.next()) is not None:
        found.learn(attempt, "no chart at all")
    last = found.unsettled()
    assert last.failed.keys() == {WEB.key, SIDE.key} and not last.settings and not last.by_template


# -- whatever a chart does ----------------------------------------------------------------------------------------------

EFFECTS = st.sampled_from(["right", "right", "right", "without tag", "wrong", "ignored", "label", "cut", "refused"])
"""What setting a value does: to the image that reads it, and elsewhere."""
TEMPLATES = st.sampled_from(["right", "right", "right", "wrong", "label", "refused", "nowhere", "literal"])
"""What pinning the template does."""
GOOD = use("t/good:1", source="app/templates/good.yaml")


class ToyChart:
    """A chart as a function from what is set to what is rendered: each image has two maps of values."""

    def __init__(self, effects: list[tuple[str, str, str]], *, with_good: bool) -> None:
        self.uses = [use(f"t/app{i}:1", source=f"app/templates/{i}.yaml") for i in range(len(effects))] + [
            GOOD
        ] * with_good
        effects = effects + [("right", "right", "right")] * with_good
        self.digests = {each: digest("0123456789abcdef"[i]) for i, each in enumerate(self.uses)}
        self.values: dict[str, Any] = {}
        self.does: dict[str, str] = {}
        self.reads: dict[str, ImageUse] = {}
        self.template = {each: of_template for each, (_, _, of_template) in zip(self.uses, effects, strict=True)}
        for i, (each, (of_digest, of_tag, _)) in enumerate(zip(self.uses, effects, strict=True)):
            name = each.image.partition(":")[0]
            self.values[f"v{i}"] = {"image": {"repository": name, "tag": "1", "digest": ""}}
            self.does |= {f"v{i}.image.digest": of_digest, f"v{i}.image.tag": of_tag}
            self.reads |= {f"v{i}.image.digest": each, f"v{i}.image.tag": each}

    def search(self) -> Search:
        return search(
            [
                facts(
                    each,
                    self.digests[each],
                    literal=(t := self.template[each]) == "literal",
                    in_template=t != "nowhere",
                )
                for each in self.uses
            ],
            self.values,
        )

    def render(self, attempt: Attempt) -> Comparison | str:
        images = {each: each.image for each in self.uses if each.key not in attempt.failed}
        effects: list[Difference] = []
        done = [
            (dotted_key(s.path), self.does[dotted_key(s.path)], self.reads[dotted_key(s.path)])
            for s in attempt.settings
            if s.value
        ]
        done += [("", self.template[each], each) for each in self.uses if each.key in attempt.by_template]
        for path, effect, each in done:
            at = self.digests[each]
            if effect == "refused":
                return f"error in {each.source} at <{path and '.Values.' + path}>: no"
            if effect == "label":
                effects.append(difference(f"1@{at}", source=each.source))
            if effect == "cut":
                effects.append(difference("cut", source=each.source))
            if effect != "ignored":
                name = each.image.partition(":")[0]
                pinned = {"wrong": f"x@{at}", "without tag": f"{name}@{at}"}.get(effect, pinned_form(each.image, at))
                images[each] = pinned
        return compared(
            {each: image for each, image in images.items() if each.key not in attempt.failed}, self.digests, effects
        )


CHARTS = st.lists(st.tuples(EFFECTS, EFFECTS, TEMPLATES), min_size=1, max_size=5)


def run(chart: ToyChart) -> tuple[Search, int]:
    found, renders = chart.search(), 0
    while (attempt := found.next()) is not None:
        renders += 1
        found.learn(attempt, chart.render(attempt))
    return found, renders


@given(CHARTS)
@example([("right", "right", "wrong"), *[("right", "right", "refused")] * 2, ("wrong", "right", "refused")])
def test_the_search_ends_and_every_use_is_pinned_once_or_has_failed(effects: list[tuple[str, str, str]]) -> None:
    chart = ToyChart(effects, with_good=False)
    found, renders = run(chart)
    assert renders <= MOST_ATTEMPTS + MOST_REPAIRS
    last = found.result or found.unsettled()
    for each in chart.uses:
        assert [each.key in where for where in (last.strategies, last.by_template, last.failed)].count(True) == 1
    if found.result:
        seen = chart.render(found.result)
        assert isinstance(seen, Comparison) and not seen.failing and not seen.collateral


@given(CHARTS)
@example([*[("right", "right", "wrong")] * 4, ("wrong", "right", "wrong")])
def test_an_image_that_harms_nobody_is_pinned_whatever_the_others_do(effects: list[tuple[str, str, str]]) -> None:
    found, _ = run(ToyChart(effects, with_good=True))
    assert found.result is not None
    assert GOOD.key not in found.result.failed


@given(CHARTS)
def test_a_use_fails_only_where_neither_its_values_nor_its_template_would_do(
    effects: list[tuple[str, str, str]],
) -> None:
    chart = ToyChart(effects, with_good=False)
    found, _ = run(chart)
    failed = (found.result or found.unsettled()).failed
    for each in chart.uses:
        if chart.template[each] in ("right", "literal"):
            assert each.key not in failed or found.result is None


# -- a reference under keys that do not say so ----------------------------------------------------------------------------


def test_uses_that_the_likely_value_does_not_pin_try_the_others_that_hold_the_reference() -> None:
    other = use("t/web:1", nth=1)
    found = search([facts(WEB), facts(other)], {"image": "t/web:1", "label": "t/web:1", "proxy": "t/web:1"})
    wanted, reads = {WEB: A, other: A}, {WEB: "image", other: "proxy"}
    tried = []
    while attempt := found.next():
        tried.append(set(shown(attempt)))
        images = {each: f"t/web:1@{A}" if key in shown(attempt) else "t/web:1" for each, key in reads.items()}
        images |= {each: f"t/web:1@{A}" for each in reads if each.key in attempt.by_template}
        found.learn(attempt, compared(images, wanted))
    assert tried == [{"image"}, {"image", "label"}, {"image", "proxy"}]
    assert found.result and not found.result.by_template


@pytest.mark.parametrize(
    "wrong", [compared({}, {}, [difference(f"t/web:1@{A}")]), "execution error at (app/templates/pod.yaml:1:2): no"]
)
def test_what_is_right_stays_where_another_value_is_wrong_for_the_rest(wrong: Comparison | str) -> None:
    other = use("t/web:1", nth=1)
    found = search([facts(WEB), facts(other)], {"image": "t/web:1", "label": "t/web:1"})
    first = found.next()
    assert first
    found.learn(first, compared({WEB: f"t/web:1@{A}", other: "t/web:1"}, {WEB: A, other: A}))
    second = found.next()
    assert second and set(shown(second)) == {"image", "label"}
    found.learn(second, wrong)
    last = found.next()
    assert last and set(shown(last)) == {"image"} and last.by_template == {other.key}


DB = use("t/db:2", nth=1)
TWO = {"image": {"repository": "t/web", "tag": "1"}, "db": {"image": "t/db:2"}}


@pytest.mark.parametrize(
    ("before", "reads", "left"),
    [
        ("version 1", [], {"db.image"}),
        ("version 2", [], {"image.tag"}),
        ("version 1.2", [], set()),
        ("yes", [("image",)], {"db.image"}),
        ("yes", [("db", "image")], {"image.tag"}),
        ("yes", [("db", "size")], set()),
    ],
)
def test_an_effect_without_a_digest_is_rather_that_of_the_tag_or_the_values_there(
    before: str, reads: list[tuple[str, ...]], left: set[str]
) -> None:
    some = [facts(WEB), facts(DB, B)]
    found = Search(some, ValueIndex(TWO), lambda _: TemplateScan([""]), lambda *_: reads)
    attempt = found.next()
    assert attempt is not None
    pinned = {WEB: pinned_form("t/web:1", A), DB: pinned_form("t/db:2", B)}
    found.learn(attempt, compared(pinned, {WEB: A, DB: B}, [difference("other", before=before)]))
    assert shown(found.next()).keys() == left


@pytest.mark.parametrize(
    ("before", "after", "word"), [("no", "yes", "l"), ("some: words\nflag: no\n", "some: words\nflag: yes\n", "flag")]
)
def test_an_effect_is_rather_that_of_the_values_that_are_read_where_it_is_printed(
    before: str, after: str, word: str
) -> None:
    """On a line with its key; with the first word of a line that differs, where the text has several."""
    found = Search(
        [facts(WEB), facts(DB, B)],
        ValueIndex(TWO),
        lambda _: TemplateScan([""]),
        lambda _, on="": [("db", "image")] if on == word else [("image",)],
    )
    attempt = found.next()
    assert attempt is not None
    pinned = {WEB: pinned_form("t/web:1", A), DB: pinned_form("t/db:2", B)}
    found.learn(attempt, compared(pinned, {WEB: A, DB: B}, [difference(after, before=before)]))
    assert shown(found.next()).keys() == {"image.tag"}


@pytest.mark.parametrize(
    ("place", "reads", "left"),
    [
        (("spec", "check", "tag"), [], {"web.tag"}),
        (("spec", "tag"), [("check",)], {"web.tag"}),
        (("spec", "tag"), [], set()),
    ],
)
def test_of_several_values_those_that_show_are_left(
    place: tuple[str, ...], reads: list[tuple[str, ...]], left: set[str]
) -> None:
    values = {name: {"repository": "t/web", "tag": "1"} for name in ("web", "check")}
    found = Search([facts(WEB)], ValueIndex(values), lambda _: TemplateScan([""]), lambda *_: reads)
    assert shown(found.next()).keys() == {"web.tag", "check.tag"}
    effect = Difference((POD, 0, 0, place), "1", f"1@{A}")
    found.learn(Attempt((), frozenset(), {}, {}, {}), compared({WEB: pinned_form("t/web:1", A)}, {WEB: A}, [effect]))
    assert shown(found.next()).keys() == left


def test_of_two_values_that_a_template_reads_the_one_is_dropped_that_shows() -> None:
    """What follows a reference whole is no fault: with the digest of another image in one text, it is not blamed."""
    values = {"test": {"image": "t/web:1"}, "fix": {"repository": "t/web", "tag": "1"}}
    reads = [("test", "image"), ("fix", "tag")]
    found = Search([facts(WEB)], ValueIndex(values), lambda _: TemplateScan([""]), lambda *_: reads)
    attempt = found.next()
    assert attempt is not None and shown(attempt).keys() == {"test.image", "fix.tag"}
    effect = difference(f"image: t/web:1@{A}\ntag: 1@{A}\n", before="image: t/web:1\ntag: 1\n")
    found.learn(attempt, compared({WEB: pinned_form("t/web:1", A)}, {WEB: A}, [effect]))
    assert shown(found.next()).keys() == {"test.image"}


@pytest.mark.parametrize("guilty", ["db", "both"])
def test_values_are_tried_again_if_what_they_were_dropped_for_is_still_there(guilty: str) -> None:
    """Once, so that two that cause the same difference are both left to their templates in the end."""
    some = [facts(WEB), facts(DB, B)]
    found = Search(some, ValueIndex(TWO), lambda _: TemplateScan([""]), lambda *_: [("image",)])
    pinned = {WEB: pinned_form("t/web:1", A), DB: pinned_form("t/db:2", B)}
    effect = compared(pinned, {WEB: A, DB: B}, [difference("other", before="yes")])
    tried = []
    while attempt := found.next():
        tried.append(set(shown(attempt)))
        is_wrong = "db.image" in tried[-1] or (guilty == "both" and tried[-1])
        found.learn(attempt, effect if is_wrong else compared(pinned, {WEB: A, DB: B}))
    assert tried[:3] == [{"image.tag", "db.image"}, {"db.image"}, {"image.tag"}]
    assert tried[-1] == ({"image.tag"} if guilty == "db" else set())
    assert found.result is not None and not found.result.failed
    assert not any("yes" in note for note in found.result.notes.get(WEB.key, ())) or guilty == "both"


def test_a_tag_in_two_maps_without_a_name_is_set_in_the_second_for_what_the_first_does_not_pin() -> None:
    other = use("t/web:1", nth=1)
    found = search([facts(WEB), facts(other)], {"a": {"image": {"tag": "1"}}, "b": {"c": {"image": {"tag": "1"}}}})
    reads, tried = {WEB: "a.image.tag", other: "b.c.image.tag"}, []
    while attempt := found.next():
        tried.append(set(shown(attempt)))
        images = {each: pinned_form("t/web:1", A) if key in tried[-1] else "t/web:1" for each, key in reads.items()}
        found.learn(attempt, compared(images, {WEB: A, other: A}))
    assert tried == [{"a.image.tag"}, {"a.image.tag", "b.c.image.tag"}]
    assert found.result and not found.result.by_template


@pytest.mark.parametrize("outer", [{}, {"client": {"repository": "t/db", "tag": "1"}}])
def test_a_subchart_that_prints_more_whatever_is_set_there_is_left_as_it_is(outer: dict[str, Any]) -> None:
    """As Helm 4 does, which then renders the defaults that are null. The values of the chart above that stand there go, too."""
    db, top = use("t/db:1", source="app/charts/db/templates/pod.yaml"), use("t/db:1", nth=1)
    values = {"image": {"repository": "t/web", "tag": "1"}, **outer}
    values["db"] = {"image": {"repository": "t/db", "tag": "1", "digest": ""}, "size": None}
    some = [facts(WEB), facts(db, B), facts(top, B)] if outer else [facts(WEB), facts(db, B)]
    found = search(some, values)
    images = {WEB: pinned_form("t/web:1", A), db: pinned_form("t/db:1", B)} | (
        {top: pinned_form("t/db:1", B)} if outer else {}
    )
    wanted, tried = {WEB: A, db: B} | ({top: B} if outer else {}), list[set[str]]()
    while attempt := found.next():
        tried.append(set(shown(attempt)))
        effect = [difference("size: null", source="app/charts/db/templates/x.yaml", before="")]
        found.learn(
            attempt, compared(images, wanted, effect if any(key.startswith("db.") for key in tried[-1]) else [])
        )
    assert len(tried) == 3 and tried[-1] == {"image.tag", *(["client.tag"] if outer else [])}
    assert found.result and found.result.by_template == {db.key} and not found.result.failed


def test_what_a_subchart_prints_whatever_is_set_there_or_not_takes_no_values_from_it() -> None:
    """Once they were left in vain they are set again."""
    db = use("t/db:1", source="app/charts/db/templates/pod.yaml")
    values = {
        "image": {"repository": "t/web", "tag": "1"},
        "db": {"image": {"repository": "t/db", "tag": "1", "digest": ""}},
    }
    found = search([facts(WEB), facts(db, B)], values)
    images, wanted = {WEB: pinned_form("t/web:1", A), db: pinned_form("t/db:1", B)}, {WEB: A, db: B}
    while attempt := found.next():
        effect = [difference("other", source="app/charts/db/templates/x.yaml", before="")]
        found.learn(attempt, compared(images, wanted, effect if "image.tag" in shown(attempt) else []))
    assert found.result and found.result.by_template == {WEB.key} and not found.result.failed
    assert set(shown(found.result)) & {"db.image.tag", "db.image.digest"}


def test_values_that_reach_what_the_template_pins_give_way_only_if_it_reads_them() -> None:
    """Another group has the same digest, and its values elsewhere."""
    inner = use("t/side:2", source="app/charts/db/templates/pod.yaml")
    side = {"side": {"repository": "t/side", "version": "2"}}
    found = Search(
        [facts(WEB, literal=True), facts(SIDE, B), facts(inner, B)],
        ValueIndex({**side, "db": side}),
        lambda _: TemplateScan([""]),
        reads=lambda source: {("side", "version")} if source == POD else (),
    )
    first = found.next()
    assert first is not None and shown(first).keys() == {"side.version", "db.side.version"}
    right = {SIDE: pinned_form("t/side:2", B), inner: pinned_form("t/side:2", B)}
    found.learn(first, compared({**right, WEB: f"t/web:1@{B}"}, {WEB: A, SIDE: B, inner: B}))
    second = found.next()
    assert second is not None and shown(second).keys() == {"db.side.version"} and WEB.key in second.by_template


def test_what_was_in_vain_is_known_afterwards() -> None:
    """Refused, without effect, with an effect elsewhere, or wanted by two images."""

    def left(found: Search, each: ImageUse, path: str, text: str) -> bool:
        return found.tried.allows(each.key, Setting(tuple(path.split(".")), text))

    for result, form in (
        ("no", False),
        (compared({WEB: "t/web:1"}, {WEB: A}), True),
        (compared({WEB: pinned_form("t/web:1", A)}, {WEB: A}, [difference("y")]), False),
    ):
        found = search([facts(WEB)], TAGGED)
        attempt = found.next()
        assert attempt is not None
        found.learn(attempt, result)
        assert not left(found, WEB, "image.tag", f"1@{A}") and left(found, WEB, "image.tag", f"v1@{A}") is form
    two = [facts(WEB), facts(use("t/db:1", nth=1), B)]
    found = search(two, {"tag": "1"})
    assert found.next() is not None and not left(found, WEB, "tag", "x")


@pytest.mark.parametrize(("gives", "is_rejected"), [(f"t/web:1@{B}", False), ("t/web:1", True)])
def test_a_value_that_anothers_digest_hides_is_not_rejected(gives: str, is_rejected: bool) -> None:
    values = {"web": {"repository": "t/web", "tag": "1"}, "db": {"repository": "t/db", "tag": "2"}}
    db = use("t/db:2", nth=1)
    found = search([facts(WEB), facts(db, B)], values)
    attempt = found.next()
    assert attempt is not None
    found.learn(attempt, compared({WEB: gives, db: "t/db:2"}, {WEB: A, db: B}))
    (_, (setting, *_)) = attempt.strategies[WEB.key]
    assert found.tried.allows(WEB.key, setting) is not is_rejected


@pytest.mark.parametrize(
    ("text", "spills"), [(f"1@{A}", True), (f"the tag is 1@{A}", True), (f"t/web:1@{A} and x", False), (A[7:20], False)]
)
def test_a_value_that_comes_out_elsewhere_as_a_whole_is_noted(text: str, spills: bool) -> None:
    """Not where it is a part of its image's own reference."""
    found = search([facts(WEB)], TAGGED)
    attempt = found.next()
    assert attempt is not None
    found.learn(attempt, compared({WEB: f"t/web:1@{A}"}, {WEB: A}, [difference(text)]))
    assert found.tried.spills(WEB.key, ("image", "tag")) is spills


@pytest.mark.parametrize(("hashes", "is_left"), [(True, True), (False, False)])
def test_a_hash_of_all_values_leaves_every_image_to_its_template(hashes: bool, is_left: bool) -> None:
    values = ValueIndex({"image": {"repository": "t/web", "tag": "1", "digest": ""}})
    found = Search([facts(WEB)], values, lambda _: TemplateScan([""]), hashes_all_values=lambda *_: hashes)
    attempt = found.next()
    assert attempt is not None
    effect = difference("b" * 64, before="a" * 64)
    found.learn(attempt, compared({WEB: f"t/web:1@{A}"}, {WEB: A}, [effect]))
    after = found.next()
    assert after is not None
    assert (not after.settings, WEB.key in after.by_template) == (is_left, is_left)
    assert found.tried.spills(WEB.key, ("other", "tag")) == is_left
