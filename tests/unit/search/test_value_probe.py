"""The probe for values that reach the end of an image: what gets a mark, and what is made of it. Nothing is rendered: a function
stands for the chart."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import pytest

from helmpin.chart.setargs import Setting, ValuePath, dotted_key, lookup
from helmpin.image.uses import ImageUse
from helmpin.render.diff import Comparison
from helmpin.render.differences import Difference
from helmpin.search.attempt import Attempt, Facts
from helmpin.search.probe_places import Probed
from helmpin.search.tried import Tried
from helmpin.search.value_index import ValueIndex
from helmpin.search.value_probe import MOST_MARKS, ValueProbe
from tests.support.renders import digest

A, B = map(digest, "ab")
POD = "app/templates/pod.yaml"
Values = Mapping[str, Any]


def use(image: str, *, nth: int = 0, source: str = POD) -> ImageUse:
    return ImageUse(image, source, 0, 0, "Pod", "x", ("spec", "containers", nth, "image"), f"c{nth}")


def probe(
    values: Values,
    *uses: ImageUse,
    reads: Collection[ValuePath] = (),
    keys: Collection[str] = (),
    tried: Tried | None = None,
    settings: tuple[Setting, ...] = (),
    alone: Collection[ValuePath] = (),
    cuts_digests: bool = False,
) -> ValueProbe:
    """After a search that left these uses to the template: the first gets the digest A, the second B."""
    facts = [
        Facts(use=each, origin=each, digest=d, is_literal=False, in_template=lambda: True)
        for each, d in zip(uses, (A, B), strict=False)
    ]
    result = Attempt(settings, frozenset(each.key for each in uses), {}, {}, {})
    probed = [Probed(fact=fact, reads=reads, alone=alone, keys=keys, cuts_digests=cuts_digests) for fact in facts]
    return ValueProbe(result, probed, ValueIndex(values), tried or Tried())


def marked(attempt: Attempt | None) -> list[str]:
    return [] if attempt is None else sorted(dotted_key(setting.path) for setting in attempt.settings)


def run(
    found: ValueProbe, values: Values, chart: Callable[[Callable[[str], str]], list[str] | str], *uses: ImageUse
) -> tuple[Attempt, int]:
    """The result, and the number of renders. chart: its images, or helm's message, given what to read values with."""
    renders = 0
    while attempt := found.next():
        renders += 1
        set_here = {dotted_key(setting.path): setting.value for setting in attempt.settings}

        def read(path: str, given: Mapping[str, str] = set_here) -> str:
            held = lookup(values, tuple(path.split(".")))
            return given.get(path, "" if held is None else str(held))

        images = chart(read)
        if isinstance(images, str):
            found.learn(attempt, images)
            continue
        got = {each.key: image for each, image in zip(uses, images, strict=True)}
        for key in attempt.by_template:
            got[key] = "by its template"
        left = [
            e for e, d in zip(uses, (A, B), strict=False) if e.key not in attempt.by_template and d not in got[e.key]
        ]
        found.learn(attempt, Comparison(got, frozenset(each.key for each in left), (), []))
    return found.result, renders


def pins(values: Values, image: str, gives: Callable[[Callable[[str], str]], str], **more: Any) -> dict[str, str]:
    """What is set for one image of a chart, which gives this image."""
    one = use(image)
    result, _ = run(probe(values, one, **more), values, lambda read: [gives(read)], one)
    assert bool(result.settings) is not bool(result.by_template)
    return {dotted_key(setting.path): setting.value for setting in result.settings}


def test_the_end_of_a_tag() -> None:
    values = {"grav": "1.7.41", "name": "web"}
    assert pins(values, "t/web:version-1.7.41", lambda read: f"t/{read('name')}:version-{read('grav')}") == {
        "grav": f"1.7.41@{A}"
    }
    for key in ("suffix", "image.edition"):
        values = {"suffix": "-slim"} if key == "suffix" else {"image": {"repository": "t/web", "edition": "-slim"}}
        assert pins(values, "t/web:1-slim", lambda read, key=key: f"t/web:1{read(key)}") == {key: f"-slim@{A}"}
    assert pins({"edition": "-slim"}, "t/web:1-slim", lambda read: f"t/web:1{read('edition')}") == {}, (
        "it may mean more"
    )
    values = {"image": {"name": "t/web", "suffix": ""}, "ldap": {"suffix": ""}}
    assert pins(values, "t/web:1", lambda read: f"t/web:1{read('image.suffix')}") == {"image.suffix": f"@{A}"}
    assert marked(probe(values, use("t/web:1")).next()) == ["image.suffix"]


def test_a_value_that_is_a_template_keeps_it() -> None:
    """helm evaluates it, so the mark stands behind what it prints."""
    held = "{{ .Values.repository }}:1"

    def gives(read: Callable[[str], str]) -> str:
        return read("image").replace("{{ .Values.repository }}", "t/web")

    assert pins({"image": held}, "t/web:1", gives, reads=[("image",)]) == {"image": f"{held}@{A}"}
    assert pins({"map": {"x": held}}, "t/web:1", lambda read: gives(lambda _: read("map.x")), reads=[("map",)])
    assert pins({"image": held}, "t/web:1", lambda read: f"{gives(read)}-slim", reads=[("image",)]) == {}
    values = {"image": "{{ .Values.name }}:{{ .Values.tag }}", "name": "t/web", "tag": "1"}
    found = pins(
        values,
        "t/web:1",
        lambda read: read("image").replace("{{ .Values.name }}", "t/web").replace("{{ .Values.tag }}", read("tag")),
        reads=[("image",), ("tag",)],
    )
    assert found, "although the tag in it has a mark of its own"
    assert probe({"host": "{{ .Release.Name }}-db"}, use("t/web:1"), reads=[("host",)]).next() is None, (
        "it ends otherwise"
    )
    assert probe({"image": held}, use("t/web:1")).next() is None, "its template does not read it"


@pytest.mark.parametrize("key", ["overrideValue", "pinTo", "full"])
def test_what_a_named_template_prints_alone_takes_a_whole_reference(key: str) -> None:
    path = ("image", key)

    def gives(read: Callable[[str], str]) -> str:
        return read(f"image.{key}") or "t/web:1"

    assert pins({}, "t/web:1", gives, reads=[path], alone=[path]) == {f"image.{key}": f"t/web:1@{A}"}
    assert pins({}, "t/web:1", gives, reads=[path]) == {}


@pytest.mark.parametrize(
    ("gives", "value"),
    [
        ("t/web@{}", A),
        ("t/web:1@{}", A),
        ("t/web@sha256:{}", A.removeprefix("sha256:")),
        ("t/other@{}", None),
        ("t/web:1-{}", None),
    ],
)
def test_a_key_for_a_digest_that_stands_anywhere(gives: str, value: str | None) -> None:
    """No value has it, and it is not beside the image's name."""
    reads = [("elsewhere", "digest")]

    def image(read: Callable[[str], str]) -> str:
        return gives.format(read("elsewhere.digest")) if read("elsewhere.digest") else "t/web:1"

    assert pins({}, "t/web:1", image, reads=reads) == ({"elsewhere.digest": value} if value else {})
    tried = Tried()
    tried.add({use("t/web:1").key: [Setting(reads[0], A)]})
    assert probe({}, use("t/web:1"), reads=reads, tried=tried).next() is None


def test_a_value_that_was_seen_elsewhere_as_a_whole_gets_no_mark() -> None:
    tried, one = Tried(), use("t/web:1.4")
    assert marked(probe({"tag": "1.4"}, one, reads=[("tag",)], tried=tried).next()) == ["tag"]
    tried.add_spilling(one.key, ("tag",))
    assert probe({"tag": "1.4"}, one, reads=[("tag",)], tried=tried).next() is None


@pytest.mark.parametrize("cuts", [True, False])
def test_a_tag_from_which_another_image_cuts_the_digest_off(cuts: bool) -> None:
    values, one, two = {"tag": "1.4"}, use("t/web:1.4"), use("t/worker:1.4", nth=1)
    tried = Tried()
    tried.add({each.key: [Setting(("tag",), "")] for each in (one, two)})  # as each needs another digest
    found = probe(values, one, two, reads=[("tag",)], tried=tried, cuts_digests=cuts)
    chart = lambda read: [f"t/web:{read('tag')}", f"t/worker:{read('tag').partition('@')[0]}"]  # noqa: E731
    result, _ = run(found, values, chart, one, two)
    assert [setting.value for setting in result.settings] == ([f"1.4@{A}"] if cuts else [])
    assert result.by_template == ({two.key} if cuts else {one.key, two.key})


def test_a_whole_reference_without_a_tag() -> None:
    values = {"kaniko": {"Image": "t/web", "ImageTag": "3"}}
    assert pins(values, "t/web", lambda read: read("kaniko.Image")) == {"kaniko.Image": f"t/web:latest@{A}"}


@pytest.mark.parametrize(
    ("path", "gives", "value"),
    [
        ("web.tag", "t/web:{}", "1"),
        ("web.tag", "t/web:v{}", None),
        ("web.imageOverride", "{}", "t/web:1"),
        ("web.imageOverride", "t/{}", "web:1"),
        ("web.override", "t/web:{}", "1"),
        ("web.override", "t/other:{}", None),
        ("web.tag", "t/web:{}-slim", None),
        ("web.size", "t/web:{}", None),
        ("web.nameOverride", "{}", None),
        ("web.tags.main", "t/web:{}", "1"),
        ("web.imageTags.main", "t/web:{}", "1"),
        ("web.names.main", "t/web:{}", None),
    ],
)
def test_what_is_missing_takes_what_stands_before_it_into_account(path: str, gives: str, value: str | None) -> None:
    """If the key may take a tag or a reference, and nothing follows it."""
    found = pins(
        {},
        "t/web:1",
        lambda read: gives.format(read(path)) if read(path) else "t/web:1",
        reads=[tuple(path.split("."))],
    )
    assert found == ({path: f"{value}@{A}"} if value else {})


def test_a_mark_stands_behind_a_text_that_may_stand_there() -> None:
    """A chart may check it: a tag, or a reference where the key says so; and nothing that is added to a tag."""
    paths = [
        ("imageOverride",),
        ("tagOverride",),
        ("image", "tag"),
        ("tagSuffix",),
        ("ref",),
        ("kubeVersionOverride",),
        ("server",),
    ]
    marks = probe({}, use("t/web:1-ab"), reads=paths).next()
    assert marks is not None
    texts = {dotted_key(path): value.rpartition("-")[0] for path, value in marks.settings}
    whole, tag = "t/web:1-ab", "1-ab"
    assert texts == {"imageOverride": whole, "tagOverride": tag, "image.tag": tag, "tagSuffix": "", "ref": whole}
    marks = probe({"suffix": "ab", "one": "b"}, use("t/web:1-ab"), reads=[("image", "a", "b")]).next()
    assert marked(marks) == ["suffix"], "one character is no end, and a map takes no text"


@pytest.mark.parametrize("held", ["latest", "auto", "{{ .Chart.AppVersion }}"])
@pytest.mark.parametrize("path", ["image.tag", "global.version"])
def test_a_tag_that_stands_for_another(path: str, held: str) -> None:
    top, key = path.split(".")
    values = {top: {key: held}}
    one = use("t/web:1.4")
    reads = [(top, key)]
    assert pins(
        values,
        "t/web:1.4",
        lambda read: "t/web:1.4" if read(path) == held else f"t/web:{read(path)}",
        reads=reads,
    ) == {path: f"1.4@{A}"}
    assert probe(values, one).next() is None, "its template does not read it"
    for other in (1.3, "1.4", "", None, True):
        assert (probe({"x": {key: other}}, one, reads=[("x", key)]).next() is None) is (other is True)
    by_name = probe({top: {"name": held}}, one, reads=[(top, "name")]).next()
    assert marked(by_name) == ([f"{top}.name"] if "{{" in held else [])
    assert probe({"db": {top: {key: held}}}, use("t/web", source="app/charts/db/templates/pod.yaml")).next() is None


def test_a_tag_of_a_subchart_that_stands_for_another() -> None:
    sub = use("t/web:1.4", source="app/charts/db/templates/pod.yaml")
    values = {"db": {"image": {"tag": "latest"}}, "image": {"tag": "latest"}}
    assert marked(probe(values, sub, reads=[("image", "tag")]).next()) == ["db.image.tag"]


def test_what_helpers_read_beside_a_name() -> None:
    values = {"image": {"repository": "t/web", "tag": "1"}}
    tried = Tried()
    tried.add({use("t/web:1").key: [Setting(("image", "tag"), f"1@{A}")]})
    keys = ["repository", "tag", "version", "unifiedRepoTag", "exporterImageTag"]
    found = probe(values, use("t/web:1"), keys=keys, tried=tried)
    assert marked(found.next()) == ["image.unifiedRepoTag"]


def test_what_gets_no_mark() -> None:
    values: Values = {
        "tag": "{{ .x }}1.2",
        "replicas": 1.2,
        "port": "2",
        "other": {"repository": "t/other", "tag": "1.2", "imageTag": ""},
        "apiVersion": "",
        "db": {"tag": ""},
    }
    reads = [("db", "tag", "deep"), ("global", "tag")]
    assert probe(values, use("t/web:1.2"), reads=reads).next() == Attempt(
        settings=(Setting(("db", "tag"), "1.2-mark0z"),), by_template=frozenset(), strategies={}, failed={}, notes={}
    )
    sub = use("t/web:1.2", source="app/charts/db/templates/pod.yaml")
    assert marked(probe({"tag": "1.2", "db": {"tag": "1.2"}, "global": {"tag": "1.2"}}, sub).next()) == [
        "db.tag",
        "global.tag",
    ]
    assert len(marked(probe({f"k{i}": {"tag": ""} for i in range(99)}, use("t/web:1")).next())) == MOST_MARKS


def test_what_a_template_reads_gets_a_mark_whatever_name_stands_beside_it() -> None:
    values = {"image": {"repository": "t/other", "tag": ""}}
    assert not marked(probe(values, use("t/web:1")).next())
    assert marked(probe(values, use("t/web:1"), reads=[("image", "tag")]).next()) == ["image.tag"]
    taken = (Setting(("image", "tag"), f"2@{B}"),)
    assert not marked(probe(values, use("t/web:1"), reads=[("image", "tag")], settings=taken).next())
    sub = use("t/web:1", source="app/charts/db/templates/pod.yaml")
    assert marked(probe({"db": values}, sub, reads=[("image", "tag")]).next()) == ["db.image.tag"]


def test_if_the_chart_does_not_render_with_all_it_is_asked_about_values_that_hold_something() -> None:
    values = {"version": "", "commit": "abc"}
    web = use("t/web:abc")
    found = probe(values, web)
    result, renders = run(found, values, lambda read: "no" if read("version") else [f"t/web:{read('commit')}"], web)
    assert result.settings == (Setting(("commit",), f"abc@{A}"),) and renders == 3
    _, renders = run(probe(values, web), values, lambda _: "no", web)
    assert renders == 2


def test_what_the_message_of_a_render_that_failed_names_gets_no_further_mark() -> None:
    values = {"version": "", "image": "", "tag": ""}
    web = use("t/web:1")

    def chart(read: Callable[[str], str]) -> list[str] | str:
        for refused in ("image", "version"):
            if read(refused):
                return f"at <.Values.{refused}>: wrong type for value; expected map[string]interface {{}}; got string"
        return [f"t/web:{read('tag') or 1}"]

    result, renders = run(probe(values, web), values, chart, web)
    assert result.settings == (Setting(("tag",), f"1@{A}"),) and renders == 4


def test_a_message_about_a_map_refuses_what_may_be_missing_there_first() -> None:
    values = {"app": {"commit": "abc"}}
    web = use("t/web:abc")
    found = probe(values, web, reads=[("app", "version"), ("app", "commit")])

    def chart(read: Callable[[str], str]) -> list[str] | str:
        return (
            "app:\n- at '/app': additional properties 'version' not allowed"
            if read("app.version")
            else [f"t/web:{read('app.commit')}"]
        )

    result, renders = run(found, values, chart, web)
    assert result.settings == (Setting(("app", "commit"), f"abc@{A}"),) and renders == 3


def test_where_one_guess_after_the_other_is_refused_those_that_hold_something_are_left() -> None:
    values = {"version": "", "label": "", "revision": "", "commit": "abc"}
    web = use("t/web:abc")

    def chart(read: Callable[[str], str]) -> list[str] | str:
        bad = next((key for key in ("version", "label", "revision") if read(key)), "")
        return f"at <.Values.{bad}>: wrong type for value" if bad else [f"t/web:{read('commit')}"]

    result, renders = run(probe(values, web), values, chart, web)
    assert result.settings == (Setting(("commit",), f"abc@{A}"),) and renders == 5


def test_a_mark_that_hides_the_others_is_left_out() -> None:
    values = {"image": "", "commit": "abc"}
    web = use("t/web:abc")
    result, renders = run(
        probe(values, web), values, lambda read: ["" if read("image") else f"t/web:{read('commit')}"], web
    )
    assert result.settings == (Setting(("commit",), f"abc@{A}"),) and renders == 3


def test_values_that_hold_something_get_their_marks_first() -> None:
    values = {**{f"k{i}": {"tag": ""} for i in range(99)}, "commit": "abc"}
    marks = probe(values, use("t/web:abc")).next()
    assert "commit" in marked(marks) and len(marked(marks)) == MOST_MARKS


def test_what_was_tried_in_vain_for_an_image_is_not_proved_again_for_the_mark_of_another() -> None:
    """A template reads both tags, so each stands at the other's place in one render."""
    values = {"web": {"repository": "t/web", "tag": "1"}, "db": {"repository": "t/db", "tag": "2"}}
    uses = use("t/web:1"), use("t/db:2", nth=1)
    tags = [("web", "tag"), ("db", "tag")]

    def chart(read: Callable[[str], str]) -> list[str]:
        return [f"{read(f'{name}.repository')}:{read(f'{name}.tag')}" for name in ("web", "db")]

    tried = Tried()
    result, fresh = run(probe(values, *uses, reads=tags, tried=tried), values, chart, *uses)
    assert [setting.path for setting in result.settings] == tags
    for each, path, text in zip(uses, tags, (f"1@{A}", f"2@{B}"), strict=True):
        tried.add({each.key: [Setting(path, text)]})
    result, renders = run(probe(values, *uses, reads=tags, tried=tried), values, chart, *uses)
    assert result.settings == () and renders <= fresh


def test_each_use_gets_its_own_value() -> None:
    values = {"a": {"imageOverride": None}, "b": {"imageOverride": None}}
    one, other = use("t/web:1"), use("t/web:1", nth=1)
    found = probe(values, one, other)
    result, renders = run(
        found,
        values,
        lambda read: [read("a.imageOverride") or "t/web:1", read("b.imageOverride") or "t/web:1"],
        one,
        other,
    )
    assert {dotted_key(path): value for path, value in result.settings} == {
        "a.imageOverride": f"t/web:1@{A}",
        "b.imageOverride": f"t/web:1@{B}",
    }
    assert renders == 2 and result.strategies[one.key] == (
        "reference",
        (Setting(("a", "imageOverride"), f"t/web:1@{A}"),),
    )


@pytest.mark.parametrize("settings", [(), (Setting(("commit",), f"abc@{B}"),)])
def test_no_value_carries_two_digests(settings: tuple[Setting, ...]) -> None:
    one, other = use("t/web:abc"), use("t/db:abc", nth=1)
    uses = [one] if settings else [one, other]
    found = probe({"commit": "abc"}, *uses, settings=settings)
    result, _ = run(
        found, {"commit": "abc"}, lambda read: [f"t/web:{read('commit')}", f"t/db:{read('commit')}"][: len(uses)], *uses
    )
    assert result.settings == settings and len(result.by_template) == len(uses)


def test_why_a_value_that_reaches_an_image_does_not_pin_it() -> None:
    """Where the search knew no value, and so no reason."""
    one, other = use("t/web:v1.2"), use("t/db:v1.2", nth=1)
    found = probe({"version": "1.2"}, one, other)
    result, _ = run(
        found, {"version": "1.2"}, lambda read: [f"t/{x}:v{read('version')}" for x in ("web", "db")], one, other
    )
    why = ("tag@digest at version: another image needs the same value with another digest",)
    assert result.notes == {} and found.noted(result).notes == {one.key: why, other.key: why}
    known = result._replace(notes={one.key: ("known",), other.key: ()})
    assert found.noted(known).notes == {one.key: ("known",), other.key: why}
    assert found.noted(result._replace(by_template=frozenset())).notes == {}


@pytest.mark.parametrize(
    ("gives", "why"),
    [
        (
            lambda read: f"t/web:v{read('version')}" if "mark" in read("version") else "t/web:other",
            "gives 't/web:other'",
        ),
        (
            lambda read: f"t/web:v{read('version')}" if "mark" in read("version") else f"t/web:v1.2@{A}",
            "x: spec.version: '1.2' would become 'other'",
        ),
    ],
)
def test_why_a_value_that_was_tried_does_not_pin_it(gives: Callable[[Callable[[str], str]], str], why: str) -> None:
    one = use("t/web:v1.2")
    found = probe({"version": "1.2"}, one)
    while attempt := found.next():
        values = {dotted_key(setting.path): setting.value for setting in attempt.settings}
        image = gives(values.__getitem__)
        failing = frozenset() if A in image else frozenset([one.key])
        changed = Difference(("x", 0, 0, ("spec", "version")), "1.2", "other", False)
        found.learn(attempt, Comparison({one.key: image}, failing, (), [changed] if A in image else []))
    assert found.noted(found.result).notes == {one.key: (f"tag@digest at version: {why}",)}


def test_what_is_wrong_is_left_out_and_the_rest_kept() -> None:
    one, other = use("t/web:abc"), use("t/db:def", nth=1)
    values = {"web": "abc", "db": "def"}

    def after_marks() -> ValueProbe:
        found = probe(values, one, other)
        marks = found.next()
        assert marks is not None
        value = {dotted_key(path): value for path, value in marks.settings}
        found.learn(
            marks, Comparison({one.key: f"t/web:{value['web']}", other.key: f"t/db:{value['db']}"}, frozenset(), (), [])
        )
        return found

    harm = Difference((POD, 0, 0, ("metadata", "name")), "x", f"1-{A[7:30]}")
    for wrong in (Comparison({}, frozenset([one.key]), (), []), Comparison({}, frozenset(), (), [harm])):
        found = after_marks()
        both = found.next()
        assert both is not None and marked(both) == ["db", "web"]
        found.learn(both, wrong)
        rest = found.next()
        assert rest is not None and marked(rest) == ["db"] and rest.by_template == {one.key}
        found.learn(rest, Comparison({}, frozenset(), (), []))
        assert found.result is rest and found.next() is None
    for lost in ("no", Comparison({}, frozenset(), (), [harm._replace(after="y")])):
        found = after_marks()
        both = found.next()
        assert both is not None
        found.learn(both, lost)
        assert found.next() is None and found.result.by_template == {one.key, other.key}


def test_values_in_a_subchart_that_prints_something_else_are_left() -> None:
    """Their digests do not show there: to set any value of the subchart may be why."""
    values: Values = {"tag": "abc", "db": {"tag": "def"}}
    one, other = use("t/web:abc"), use("t/db:def", nth=1, source="app/charts/db/templates/pod.yaml")
    found = probe(values, one, other)
    marks = found.next()
    assert marks is not None
    value = {dotted_key(path): value for path, value in marks.settings}
    shown = {one.key: f"t/web:{value['tag']}", other.key: f"t/db:{value['db.tag']}"}
    found.learn(marks, Comparison(shown, frozenset(), (), []))
    both = found.next()
    assert both is not None and marked(both) == ["db.tag", "tag"]
    harm = Difference((other.source, 0, 0, ("data", "config")), "{}", "a: null")
    found.learn(both, Comparison({}, frozenset(), (), [harm]))
    rest = found.next()
    assert rest is not None and marked(rest) == ["tag"] and rest.by_template == {other.key}


def test_it_ends_after_a_few_renders() -> None:
    uses = [use("t/web:abc"), use("t/db:def", nth=1)]
    found = probe({"web": "abc", "db": "def"}, *uses)
    wrong = [Comparison({}, frozenset([each.key]), (), []) for each in uses]
    marks = found.next()
    assert marks is not None
    value = {dotted_key(path): value for path, value in marks.settings}
    found.learn(
        marks,
        Comparison({uses[0].key: f"t/web:{value['web']}", uses[1].key: f"t/db:{value['db']}"}, frozenset(), (), []),
    )
    for number, result in enumerate(wrong, start=1):
        attempt = found.next()
        assert attempt is not None and len(attempt.settings) == 3 - number
        found.learn(attempt, result)
    assert found.next() is None and not found.result.settings


def _shares(values: Mapping[str, Any], *names: str, **more: Any) -> tuple[dict[str, str], int]:
    """What is set for images whose own tags count only where shared.tag is empty, and the number of renders."""
    uses = [use(f"t/{name}:1", nth=nth) for nth, name in enumerate(names)]

    def images(read: Callable[[str], str]) -> list[str]:
        return [f"t/{name}:{read('shared.tag') or read(f'{name}.tag') or 'latest'}" for name in names]

    found = probe(values, *uses, reads=[(name, "tag") for name in names], **more)
    result, renders = run(found, values, images, *uses)
    assert bool(result.settings) is not bool(result.by_template)
    return {dotted_key(setting.path): setting.value for setting in result.settings}, renders


@pytest.mark.parametrize("own", ["", None, "latest", "1"])
def test_a_shared_tag_that_wins_is_emptied_and_each_image_gets_its_own(own: str | None) -> None:
    values: Values = {
        "shared": {"tag": "1"},
        "web": {"repository": "t/web", "tag": own},
        "db": {"repository": "t/db", "tag": own},
    }
    assert _shares(values, "web", "db")[0] == {"shared.tag": "", "web.tag": f"1@{A}", "db.tag": f"1@{B}"}
    tried = Tried()
    for nth, (name, its) in enumerate([("web", A), ("db", B)]):
        key = use(f"t/{name}:1", nth=nth).key
        tried.add({key: [Setting((name, "tag"), f"1@{its}")]}, failing=[key])
    assert _shares(values, "web", "db", tried=tried)[0], "its own tag was tried while the shared one was set"


def test_a_shared_tag_is_emptied_only_where_each_image_has_its_own() -> None:
    values: Values = {"shared": {"tag": "1"}, "web": {"repository": "t/web", "tag": ""}, "db": {"repository": "t/db"}}
    found = probe(values, use("t/web:1"), use("t/db:1", nth=1), reads=[("web", "tag")])
    web, db = use("t/web:1").key, use("t/db:1", nth=1).key
    while (attempt := found.next()) and Setting(("shared", "tag"), "") not in attempt.settings:
        set_here = {dotted_key(setting.path): setting.value for setting in attempt.settings}
        images = {web: f"t/web:{set_here['shared.tag']}", db: f"t/db:{set_here['shared.tag']}"}
        found.learn(attempt, Comparison(images, frozenset([web, db]), (), []))
    assert marked(attempt) == ["db.repository", "shared.tag", "web.repository", "web.tag"]
    found.learn(attempt, Comparison({web: "t/web:1-mark0z", db: "t/db:"}, frozenset([web, db]), (), []))
    proof = found.next()
    assert proof is not None and marked(proof) == ["shared.tag", "web.tag"] and proof.by_template == {db}
    found.learn(proof, Comparison({}, frozenset([db]), (), []))
    assert found.next() is None and found.result.by_template == {web, db} and not found.result.settings


def test_where_a_shared_tag_may_be_empty_names_take_whole_references() -> None:
    values: Values = {"image": {"repository": "t/web", "crds": {"repository": "t/crds"}, "release": "1"}}
    uses = use("r/t/web:1"), use("r/t/crds:1", nth=1)

    def images(read: Callable[[str], str]) -> list[str]:
        tag = read("image.release")
        names = (f"r/{read('image.repository')}", f"r/{read('image.crds.repository')}")
        return [f"{name}:{tag}" if tag else name for name in names]

    result, _ = run(probe(values, *uses, reads=[("image", "release")]), values, images, *uses)
    assert {dotted_key(path): value for path, value in result.settings} == {
        "image.release": "",
        "image.repository": f"t/web:1@{A}",
        "image.crds.repository": f"t/crds:1@{B}",
    }


def test_two_images_of_one_name_share_no_name() -> None:
    """It cannot take both references, and is not emptied as a shared tag is."""
    values: Values = {"image": {"repository": "t/web", "release": "1"}, "flavour": "x"}
    uses = use("t/web:1"), use("t/web:1-x", nth=1)

    def images(read: Callable[[str], str]) -> list[str]:
        end = f":{read('image.release')}" if read("image.release") else ""
        return [f"{read('image.repository')}{end}", f"{read('image.repository')}{end}-x"]

    result, _ = run(probe(values, *uses, reads=[("image", "release")]), values, images, *uses)
    assert not any(setting == Setting(("image", "repository"), "") for setting in result.settings)


def test_what_is_no_shared_tag() -> None:
    one = {"shared": {"tag": "1"}, "web": {"tag": ""}}
    assert _shares(one, "web") == ({"shared.tag": f"1@{A}"}, 2), "one image alone has it"
    beside = {"shared": {"tag": "1", "image": "t/other"}, "web": {"tag": ""}, "db": {"tag": ""}}
    assert _shares(beside, "web", "db")[0] == {}, "it is the tag of another image"
    for_each_key: Values = {"replicas": "1", "web": {"tag": ""}, "db": {"tag": ""}}
    found = probe(for_each_key, use("t/web:1"), use("t/db:1", nth=1), reads=[("web", "tag")])
    while attempt := found.next():
        assert "replicas" not in {setting.path[0] for setting in attempt.settings if not setting.value}
        found.learn(attempt, Comparison({}, frozenset(), (), []))


def test_tags_that_win_over_tags_are_emptied_one_after_the_other() -> None:
    values: Values = {"global": {"tag": "1"}, "shared": {"tag": "3"}, "web": {"tag": 0}, "db": {"tag": "1"}}
    uses = use("t/web:1"), use("t/db:1", nth=1)

    def images(read: Callable[[str], str]) -> list[str]:
        own = [f"t/{name}:{read('global.tag') or read('shared.tag') or read(f'{name}.tag')}" for name in ("web", "db")]
        return [image if "-ee" in image else f"{image}-ee" for image in own]

    uses = use("t/web:1-ee"), use("t/db:1-ee", nth=1)
    tried = Tried()
    tried.add({each.key: [Setting(("global", "tag"), ""), Setting(("db", "tag"), "")] for each in uses})
    reads = [("global", "tag"), ("shared", "tag"), ("web", "tag"), ("db", "tag")]
    result, renders = run(probe(values, *uses, reads=reads, tried=tried), values, images, *uses)
    assert {dotted_key(path): value for path, value in result.settings} == {
        "global.tag": "",
        "shared.tag": "",
        "web.tag": f"1-ee@{A}",
        "db.tag": f"1-ee@{B}",
    }
    assert renders <= 6


def test_a_name_beside_a_tag_that_is_emptied_for_its_own() -> None:
    """The marks of names are not in the way of those of tags."""
    values: Values = {
        "shared": {"tag": "1"},
        "web": {"repository": "r/t/web", "tag": ""},
        "db": {"repository": "r/t/db", "tag": ""},
    }
    uses = use("r/t/web:1"), use("r/t/db:1", nth=1)

    def images(read: Callable[[str], str]) -> list[str]:
        return [f"{read(f'{name}.repository')}:{read('shared.tag') or read(f'{name}.tag')}" for name in ("web", "db")]

    reads = [("web", "tag"), ("db", "tag")]
    result, _ = run(probe(values, *uses, reads=reads), values, images, *uses)
    found = {dotted_key(path): value for path, value in result.settings}
    assert found == {"shared.tag": "", "web.tag": f"1@{A}", "db.tag": f"1@{B}"}


@pytest.mark.parametrize(("text", "spills"), [(f"1.4@{A}", True), (f"t/web:1.4@{A}", False)])
def test_a_proof_that_comes_out_elsewhere_as_a_whole_is_noted(text: str, spills: bool) -> None:
    one, tried = use("t/web:1.4"), Tried()
    found = probe({"tag": "1.4"}, one, reads=[("tag",)], tried=tried)
    marks = found.next()
    assert marks is not None
    found.learn(marks, Comparison({one.key: f"t/web:{marks.settings[0].value}"}, frozenset(), (), []))
    proof = found.next()
    assert proof is not None and proof.settings == (Setting(("tag",), f"1.4@{A}"),)
    harm = Difference((POD, 0, 0, ("metadata", "labels", "l")), "x", text)
    found.learn(proof, Comparison({}, frozenset(), (), [harm]))
    assert tried.spills(one.key, ("tag",)) is spills
