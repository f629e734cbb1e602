"""Where a digest can go, likeliest first."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helmpin.chart.setargs import Setting, dotted_key, lookup, reaches
from helmpin.search.anchors import Anchor, anchors, holding, in_scope
from helmpin.search.candidates import by_any_key, candidates, nulled
from helmpin.search.value_index import ValueIndex
from helmpin.shapes import text_of
from helmpin.templates.scan import TemplateScan

HEX = "c" * 64
DIGEST = f"sha256:{HEX}"
NO_SCAN = TemplateScan([])


def ranked(
    image: str,
    values: dict[str, Any],
    template: str = "",
    scope: tuple[str, ...] = (),
    names: Collection[str] = (),
    **index: Any,
) -> list[list[dict[str, str]]]:
    """For each anchor, the candidates: each as {value path: text}."""
    found = candidates(image, DIGEST, scope, ValueIndex(values, **index), TemplateScan([template]), names)
    return [[{".".join(map(str, s.path)): s.value for s in each.settings} for each in options] for options in found]


def first(image: str, values: dict[str, Any], template: str = "", scope: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """The candidate that is tried first at each anchor."""
    return [options[0] for options in ranked(image, values, template, scope)]


@pytest.mark.parametrize(
    ("image", "values", "wanted"),
    [
        ("t/web:1.2", {"image": {"repository": "t/web", "tag": "1.2"}}, {"image.tag": f"1.2@{DIGEST}"}),
        ("t/web:1.2", {"image": {"repository": "t/web", "tag": "1.2", "digest": ""}}, {"image.digest": DIGEST}),
        ("t/web:1.2", {"image": {"repository": "t/web", "tag": "1.2", "digest": None}}, {"image.digest": DIGEST}),
        ("t/web:1.2", {"image": {"repository": "t/web", "tag": "1.2", "sha": ""}}, {"image.sha": HEX}),
        ("t/web:1.2", {"image": {"repository": "t/web", "tag": ""}}, {"image.tag": f"1.2@{DIGEST}"}),
        ("t/web:1.2", {"image": {"repository": "t/web", "tag": None}}, {"image.tag": f"1.2@{DIGEST}"}),
        ("t/web:1.2", {"image": "t/web:1.2"}, {"image": f"t/web:1.2@{DIGEST}"}),
        ("t/web", {"image": "t/web"}, {"image": f"t/web:latest@{DIGEST}"}),
        ("t/web", {"image": {"repository": "t/web", "tag": ""}}, {"image.repository": f"t/web:latest@{DIGEST}"}),
        (
            "t/web:1.2-arm64",
            {"image": {"repository": "t/web", "tag": "1.2", "arch": "arm64"}},
            {"image.arch": f"arm64@{DIGEST}"},
        ),
        (
            "t/web:1.2-alpine",
            {"image": {"repository": "t/web", "tag": "1.2", "variant": "-alpine"}},
            {"image.variant": f"-alpine@{DIGEST}"},
        ),
        (
            "t/web:1.2-alpine",
            {"image": {"repository": "t/web", "tag": "1.2-alpine", "variant": "alpine"}},
            {"image.tag": f"1.2-alpine@{DIGEST}"},
        ),
        (
            "t/web:1.2-slim-arm64",
            {"image": {"repository": "t/web", "tag": "1.2", "arch": "arm64"}},
            {"image.tag": f"1.2-slim-arm64@{DIGEST}"},
        ),
        ("r.io/t/web:1", {"registry": "r.io", "image": "t/web", "tag": 1}, {"tag": f"1@{DIGEST}"}),
        ("t/web:8", {"image": {"repository": "t/web", "tag": 8.0}}, {"image.tag": f"8@{DIGEST}"}),
        (
            "t/web:1.2",
            {"webImage": "t/web", "webImageTag": "1.2", "dbImageTag": "1.2"},
            {"webImageTag": f"1.2@{DIGEST}"},
        ),
        (
            "t/web:1.2",
            {"dbImageTag": "1.2", "webImage": "t/web", "webImageTag": "1.2"},
            {"webImageTag": f"1.2@{DIGEST}"},
        ),
        ("t/web:1.2", {"image": {"repository": "t/web", "version": "1.2"}}, {"image.version": f"1.2@{DIGEST}"}),
        ("t/web:v1.2", {"image": {"repository": "t/web", "tag": "1.2"}}, {"image.tag": f"1.2@{DIGEST}"}),
        ("t/web:1", {"l": [{"image": "t/web:1"}]}, {"l.0.image": f"t/web:1@{DIGEST}"}),
        ("t/web:1", {"web": {"image": "t/web"}, "global": {"tag": "1"}}, {"global.tag": f"1@{DIGEST}"}),
        ("t/web:1.2-slim", {"image": {"repository": "t/web", "tag": "1.2"}}, {"image.tag": f"1.2-slim@{DIGEST}"}),
        ("r.io/t/web:1", {"repo": "web", "tag": "1"}, {"tag": f"1@{DIGEST}"}),
        (
            "t/web:1.2",
            {"image": {"repository": "t/web", "tag": "{{ .Chart.AppVersion }}"}},
            {"image.tag": f"1.2@{DIGEST}"},
        ),
        (
            "r.io/t/web:1.2",
            {"image": {"repository": "{{ .Values.host }}/t/web", "tag": "1.2"}},
            {"image.tag": f"1.2@{DIGEST}"},
        ),
        (
            "t/web:1.2",
            {"image": "t/web:{{ .Chart.AppVersion }}"},
            {"image": f"t/web:{{{{ .Chart.AppVersion }}}}@{DIGEST}"},
        ),
    ],
)
def test_first_candidate(image: str, values: dict[str, Any], wanted: dict[str, str]) -> None:
    assert first(image, values) == [wanted]


@pytest.mark.parametrize(
    ("key", "template", "wanted"),
    [
        ("digest", "", DIGEST),
        ("sha", "", HEX),
        ("digest", "{{ .r }}@sha256:{{ .Values.image.digest }}", HEX),
        ("sha", "{{ .r }}@{{ .Values.image.sha }}", DIGEST),
        ("digest", '{{ printf "@sha256:%s" .Values.image.digest }}', HEX),
    ],
)
def test_the_form_that_the_template_wants(key: str, template: str, wanted: str) -> None:
    values = {"image": {"repository": "t/web", "tag": "1", key: ""}}
    assert first("t/web:1", values, template) == [{f"image.{key}": wanted}]
    other = HEX if wanted == DIGEST else DIGEST
    assert {f"image.{key}": other} in ranked("t/web:1", values, template)[0]


def test_digest_keys_come_with_the_tag_emptied_too() -> None:
    options = ranked("t/web:1", {"image": {"repository": "t/web", "tag": "1", "digest": ""}})[0]
    assert {"image.digest": DIGEST, "image.tag": ""} in options
    assert options.index({"image.digest": DIGEST}) < options.index({"image.digest": DIGEST, "image.tag": ""})
    assert {"image.tag": f"1@{DIGEST}"} in options


def test_keys_that_only_the_template_reads() -> None:
    values = {"image": {"repository": "t/web"}}
    assert ranked("t/web:1", values) == []
    assert first("t/web:1", values, "{{ .Values.image.tag }}") == [{"image.tag": f"1@{DIGEST}"}]
    both = ranked("t/web:1", values, "{{ .Values.image.tag }}@{{ .Values.image.digest }}")[0]
    assert {"image.digest": DIGEST} in both


def test_order_of_candidate_keys() -> None:
    template = "{{ .Values.image.repository }}:{{ .Values.appTag }}\n{{ with .Values.image }}{{ .tag }}{{ end }}"
    tags = [{"image.tag": f"1@{DIGEST}"}, {"appTag": f"1@{DIGEST}"}]
    for image, wanted in (({"repository": "t/web", "tag": "1"}, tags), ({"repository": "t/web"}, tags[::-1])):
        options = ranked("t/web:1", {"image": image, "appTag": ""}, template)[0]
        assert [each for each in options if each in tags] == wanted


@pytest.mark.parametrize(
    ("question", "takes_it"),
    [
        ('contains "/" .Values.image.name', True),
        ('.Values.image.name | contains ":"', True),
        ('contains "/" .Values.image.names', False),
        ('contains "x" .Values.image.name', False),
    ],
)
def test_a_name_that_may_be_a_whole_reference(question: str, takes_it: bool) -> None:
    values = {"image": {"name": "web"}, "global": {"tag": "1"}}
    found = first("r.io/t/web:1", values, f"{{{{ if {question} }}}}")
    assert found == [{"image.name": f"r.io/t/web:1@{DIGEST}"} if takes_it else {"global.tag": f"1@{DIGEST}"}]


@pytest.mark.parametrize(
    ("held", "image", "wanted"),
    [
        ("{{ .Values.image.tag }}-slim", "t/web:1-slim", f"{{{{ .Values.image.tag }}}}-slim@{DIGEST}"),
        (
            "{{ .Values.host }}/web:{{ .Values.v }}",
            "t/web:1",
            f"{{{{ .Values.host }}}}/web:{{{{ .Values.v }}}}@{DIGEST}",
        ),
        ("{{ .Values.host }}/web", "t/web", f"{{{{ .Values.host }}}}/web:latest@{DIGEST}"),
    ],
)
def test_what_a_value_that_is_a_template_prints_gets_the_digest_at_its_end(held: str, image: str, wanted: str) -> None:
    """The tag is in it already, if the image has one: wherever that stands."""
    assert {"sidecar.image": wanted} in first(image, {"sidecar": {"image": held}})


def test_several_values_beside_one_name_may_each_pin_some_uses() -> None:
    template = "".join(
        f'{{{{ .Values.{at}.image | default "t/box" }}}}:{{{{ .Values.{at}.imageTag }}}}\n' for at in "ab"
    )
    found = candidates("t/box:1", DIGEST, (), ValueIndex({"a": {}, "b": {}}), TemplateScan([template]))[0]
    assert [(c.settings[0].path, c.is_spare) for c in found] == [(("a", "imageTag"), True), (("b", "imageTag"), True)]


def test_of_what_is_read_on_the_same_line_each_may_be_that_of_a_template() -> None:
    template = "".join(f"image: t/box:{{{{ .Values.{at}.tag }}}}\n" for at in "abcde")
    found = candidates("t/box:1", DIGEST, (), ValueIndex({}), TemplateScan([template]))[0]
    assert [c.settings[0].path for c in found if c.is_spare] == [(at, "tag") for at in "abcde"]


@pytest.mark.parametrize("written", ["x/t/web:", "my-t/web:", "t/web-1:", "t/web:1-"])
def test_another_name_that_ends_or_begins_alike(written: str) -> None:
    assert ranked("t/web:1", {"appTag": ""}, f"image: {written}{{{{ .Values.appTag }}}}") == []


def test_every_key_of_one_image() -> None:
    values = {name: {"image": {"repository": "t/app", "tag": "1"}} for name in ("web", "worker")}
    assert first("t/app:1", values) == [{"web.image.tag": f"1@{DIGEST}"}, {"worker.image.tag": f"1@{DIGEST}"}]


def test_the_map_that_holds_the_very_tag_comes_first_and_the_others_after_it() -> None:
    values = {
        "old": {"image": {"repository": "t/app", "tag": "1"}},
        "new": {"image": {"repository": "t/app", "tag": "2"}},
        "empty": {"image": {"repository": "t/app", "tag": ""}},
    }
    assert first("t/app:2", values) == [{"new.image.tag": f"2@{DIGEST}"}]
    assert {"empty.image.tag": f"2@{DIGEST}"} in ranked("t/app:2", values)[0]


@pytest.mark.parametrize(
    "values",
    [
        {"serviceAccount": {"name": "web"}, "nameOverride": "web", "image": {"repository": "t/web", "tag": "1"}},
        {"podLabels": {"version": "1"}, "image": {"repository": "t/web", "tag": "1"}},
        {"image": {"repository": "t/web", "tag": "1", "pullPolicy": "Always", "tags": ["1"], "debug": {"tag": "1"}}},
        {"other": {"image": "{{ .Values.name }}:{{ .Values.tag }}"}, "image": {"repository": "t/web", "tag": "1"}},
    ],
)
def test_what_only_looks_alike_is_left(values: dict[str, Any]) -> None:
    assert first("t/web:1", values) == [{"image.tag": f"1@{DIGEST}"}]


def test_a_subchart_sees_its_own_values() -> None:
    image = {"repository": "t/db", "tag": "1"}
    values = {"image": dict(image), "db": {"image": dict(image)}, "other": {"image": dict(image)}}
    assert first("t/db:1", values, scope=("db",)) == [{"db.image.tag": f"1@{DIGEST}"}]


def test_a_subchart_of_a_subchart_sees_the_values_of_the_one_above() -> None:
    image = {"repository": "t/db", "tag": "1"}
    values = {"image": dict(image), "db": {"image": dict(image)}, "common": {"image": dict(image)}}
    assert first("t/db:1", values, scope=("db", "common")) == [{"db.image.tag": f"1@{DIGEST}"}]


def test_maps_without_a_name_are_a_charts_own() -> None:
    values = {"image": {"tag": ""}, "db": {"image": {"tag": "", "digest": ""}}}
    assert ranked("t/db:1", values, scope=("db",)) == [
        [{"db.image.digest": DIGEST}, {"db.image.digest": HEX}, {"db.image.tag": f"1@{DIGEST}"}]
    ]


def test_a_tag_is_shared_with_the_maps_inside_its_own() -> None:
    values = {"a": {"tag": "1"}, "b": {"image": {"repository": "t/web"}, "tag": "1", "count": 1, "empty": ""}}
    assert ranked("t/web:1", values) == [[{"b.tag": f"1@{DIGEST}"}, {"a.tag": f"1@{DIGEST}"}]]


def test_a_global_tag_is_shared_with_every_map_and_nearer_ones_come_first() -> None:
    values = {"x": {"tag": "1"}, "global": {"tag": "1"}, "b": {"image": {"repository": "t/web"}}}
    x, shared = {"x.tag": f"1@{DIGEST}"}, {"global.tag": f"1@{DIGEST}"}
    assert ranked("t/web:1", values) == [[shared, x]]
    near = {**values, "b": {"tag": "1", **values["b"]}}
    assert ranked("t/web:1", near) == [[{"b.tag": f"1@{DIGEST}"}, shared, x]]
    outer = {"global": {"tag": "1"}, "tag": "1", "b": near["b"]}
    assert ranked("t/web:1", outer) == [[{"b.tag": f"1@{DIGEST}"}, {"tag": f"1@{DIGEST}"}, shared]]


def test_a_shared_tag_yields_to_an_image_that_is_named_beside_it() -> None:
    values = ValueIndex({"tag": "1", "image": "t/web", "b": {"image": {"repository": "t/app"}}, "c": {"tag": "2"}})
    flags = {
        image: [[each.by_tag_only for each in options] for options in candidates(image, DIGEST, (), values, NO_SCAN)]
        for image in ("t/web:1", "t/app:1", "t/none:2")
    }
    assert flags == {"t/web:1": [[False]], "t/app:1": [[True]], "t/none:2": [[True]]}


@pytest.mark.parametrize(
    ("beside", "paths"),
    [
        ({"digest": ""}, [("digest",), ("digest",)]),
        ({"tag": {"a": "map"}, "digest": {"a": "map"}}, []),
        ({"version": "1", "tag": "1"}, [("tag",), ("version",)]),
        ({"tag": "", "version": "1"}, [("version",), ("tag",)]),
        ({"tag": "1", "version": "1", "imageTag": "1"}, [("tag",), ("imageTag",)]),
        ({"sidecarTag": "1", "tag": "1"}, [("tag",)]),
        ({"tagForArm": "1", "tag": "1", "tagForS390x": "2"}, [("tag",), ("tagForArm",)]),
        (
            {"digest": "", "version": "1", "tag": "1"},
            [("digest",)] * 2 + [("digest", "tag")] * 2 + [("tag",), ("version",)],
        ),
    ],
    ids=[
        "a digest key is no tag key",
        "maps hold neither",
        "a tag before a version",
        "the very tag before an empty key",
        "two tag keys at most",
        "the tag of another image",
        "a tag for some platforms",
        "beside a digest, the likeliest tag emptied",
    ],
)
def test_the_keys_beside_a_name(beside: dict[str, Any], paths: list[tuple[str, ...]]) -> None:
    options = ranked("t/web:1", {"image": {"repository": "t/web", **beside}})
    tried = [tuple(path.removeprefix("image.") for path in each) for some in options for each in some]
    assert tried == paths


@pytest.mark.parametrize(
    ("values", "template"),
    [
        ({"image": {"repository": "t/web", "tag": ""}}, ""),
        ({"image": {"repository": "t/web"}}, "{{ .Values.image.repository }}:v{{ .Values.image.tag }}"),
        ({"image": {"repository": "t/web"}, "tag": ""}, "{{ .Values.image.repository }}:v{{ .Values.tag }}"),
    ],
)
def test_a_template_may_write_the_v_of_a_version(values: dict[str, Any], template: str) -> None:
    """In that case the tag goes without it, if the whole one has failed."""
    tags = [tag for options in ranked("t/web:v1.2", values, template) for each in options for tag in each.values()]
    assert tags[:2] == [f"v1.2@{DIGEST}", f"1.2@{DIGEST}"]
    tags = [tag for options in ranked("t/web:vendor", values, template) for each in options for tag in each.values()]
    assert f"endor@{DIGEST}" not in tags


def test_an_empty_override_in_the_map_of_the_image() -> None:
    """Its key says what it is, however the template reads it: `index .Values "web-db" "docker" "imageName"`."""
    values = {"global": {"tag": "1"}, "web-db": {"docker": {"imageName": ""}, "logLevel": "", "imageTag": ""}}
    found = [path for options in ranked("r.io/t/web-db:1", values) for each in options for path in each]
    assert "web-db.docker.imageName" in found and "web-db.logLevel" not in found


def test_an_empty_text_that_names_the_image_and_that_a_template_prints_as_one() -> None:
    values = {"instead": {"web": "", "db": "", "image": ""}, "registry": "r.io/t"}
    read = "image: '{{ .Values.instead.web }}'\nimage: '{{ .Values.instead.db }}'\nimage: {{ .Values.instead.image }}\n"
    assert ranked("r.io/t/web:1", values, read) == [[{"instead.web": f"r.io/t/web:1@{DIGEST}"}]]
    assert ranked("r.io/t/web:1", values, read.replace("image:", "name:")) == []
    assert ranked("r.io/t/web:1", {"sub": values}, read, scope=("sub",)) == [
        [{"sub.instead.web": f"r.io/t/web:1@{DIGEST}"}]
    ]
    assert ranked("r.io/t/web:1", values, read, scope=("sub",)) == []


def test_a_key_that_is_read_of_the_map_for_another_image_is_not_this_ones() -> None:
    template = "{{ .Values.image.repository }}\n{{ .Values.image.sidecarTag }}\n{{ .Values.image.sidecarDigest }}"
    assert ranked("t/web:1", {"image": {"repository": "t/web"}}, template) == []


def test_a_name_in_a_map_for_an_image_comes_before_one_elsewhere() -> None:
    values = {"app": {"name": "t/web", "tag": "1"}, "webImage": {"name": "t/web", "tag": "1"}}
    assert first("t/web:1", values) == [{"webImage.tag": f"1@{DIGEST}"}]


def test_a_tag_elsewhere_is_for_uses_that_the_named_one_does_not_pin_unless_it_is_that_of_another_image() -> None:
    values = {
        "image": {"repository": "t/web", "tag": "1"},
        "a": {"image": {"tag": "1"}},
        "b": {"image": {"tag": "1", "repository": "t/other"}},
    }
    [options] = candidates("t/web:1", DIGEST, (), ValueIndex(values), NO_SCAN)
    assert [(each.settings[0].path, each.is_spare) for each in options] == [
        (("image", "tag"), False),
        (("a", "image", "tag"), True),
    ]


def test_a_key_that_a_helper_reads_of_an_argument_that_has_the_name_too() -> None:
    values = {"web": {"imageName": "t/web"}, "other": {"size": "1"}}
    template = (
        '{{ define "x" }}{{ .config.imageName }}:{{ .config.imageTag }}{{ .config.size }}{{ .rest.extraTag }}{{ end }}'
    )
    assert ranked("t/web:1", values, template) == [[{"web.imageTag": f"1@{DIGEST}"}]]


@pytest.mark.parametrize("template", ["{{ .Values.image.repository }}:{{ .Values.image.tag }}", ""])
def test_a_digest_key_that_no_template_has_comes_after_the_tag(template: str) -> None:
    """Without an emptied tag. Where no template is known, it comes first."""
    values = {"image": {"repository": "t/web", "tag": "1", "digest": ""}}
    digest, tag = {"image.digest": DIGEST}, {"image.tag": f"1@{DIGEST}"}
    (options,) = ranked("t/web:1", values, template)
    assert options.index(tag) < options.index(digest) if template else options[0] == digest
    assert any(len(each) > 1 for each in options) == (not template)


@pytest.mark.parametrize(
    ("asks", "is_tried"),
    [
        ('{{ if contains "sha256:" .tag }}@{{ else }}:{{ end }}', True),
        ('{{ ternary "@" ":" (hasPrefix "sha256:" .tag) }}', True),
        ('{{ if regexMatch "^sha256:[a-f0-9]{64}$" .tag }}@{{ end }}', True),
        ('{{ if hasPrefix "v" .tag }}:{{ end }}', False),
    ],
)
def test_a_digest_takes_the_place_of_a_tag_where_a_template_asks_for_one(asks: str, is_tried: bool) -> None:
    """Last: it loses the tag."""
    template = "{{ .Values.image.repository }}" + asks + "{{ .Values.image.tag }}"
    (options,) = ranked("t/web:1", {"image": {"repository": "t/web", "tag": "1"}}, template)
    assert options[0] == {"image.tag": f"1@{DIGEST}"}
    assert ({"image.tag": DIGEST} in options) == is_tried


def test_where_no_leaf_names_the_image_two_tags_are_tried_those_first_whose_path_says_its_name() -> None:
    values = {name: {"tag": "1"} for name in ("a", "b", "web", "c")}
    assert ranked("t/web:1", values) == [[{"web.tag": f"1@{DIGEST}"}, {"a.tag": f"1@{DIGEST}"}]]


@pytest.mark.parametrize(
    ("values", "uses", "at_once"),
    [
        (TAGS := {"a": {"tag": "1"}, "b": {"tag": "1"}, "c": {"tag": "1"}}, 3, {"a.tag", "b.tag", "c.tag"}),
        (TAGS, 4, {"a.tag", "b.tag", "c.tag"}),
        (TAGS, 2, set()),  # one of them may be off
        ({"a": {"tag": "1"}, "b": {"tag": "2"}, "c": {"tag": "1"}}, 3, {"a.tag", "c.tag"}),
        ({"a": {"tag": "1"}, "b": {"tag": "1", "repository": "t/db"}}, 2, set()),
        ({"a": {"image": {"tag": "1"}}, "b": {"tag": "1"}}, 2, set()),
        ({"l": [{"tag": "1"}, {"tag": "1"}]}, 2, {"l[0].tag", "l[1].tag"}),
        ({f"a{n}": {"tag": "1"} for n in range(21)}, 21, set()),
    ],
)
def test_the_tags_of_as_many_components_as_run_the_image_are_set_at_once(
    values: dict[str, Any], uses: int, at_once: set[str]
) -> None:
    found = candidates("t/web:1", DIGEST, (), ValueIndex(values), NO_SCAN, uses=uses)
    several = [{dotted_key(s.path) for s in each.settings} for each in found[0] if len(each.settings) > 1]
    assert several == ([at_once] if at_once else [])
    assert not several or len(found[0][0].settings) > 1  # before each alone


@pytest.mark.parametrize(
    ("beside", "unnamed"),
    [
        ({"tag": "", "pullPolicy": "Always"}, True),
        ({"tag": "", "name": ""}, True),
        ({"tag": "", "name": "other"}, False),
        ({"tag": "", "repository": "other"}, False),
    ],
)
def test_an_image_map_without_a_name_may_be_that_of_any_image(beside: dict[str, str], unnamed: bool) -> None:
    assert ranked("t/web:1", {"image": beside}) == ([[{"image.tag": f"1@{DIGEST}"}]] if unnamed else [])


def test_what_holds_a_tag_is_a_charts_own_or_global() -> None:
    index = ValueIndex({"global": {"a": "1"}, "db": {"b": 1, "global": "x"}, "other": {"c": "1", "global": "1"}})
    assert holding("t/db:1", ("db",), index) == [("global", "a"), ("db", "b")]


@pytest.mark.parametrize(("read", "path"), [("global.v", "global.v"), ("v", "db.v")])
def test_what_a_subchart_reads_beside_the_name(read: str, path: str) -> None:
    values = {"global": {"v": "1"}, "db": {"v": "1", "global": {"v": "1"}}, "v": "1"}
    line = f'{{{{ printf "%s:%s" "t/db" .Values.{read} }}}}'
    assert first("t/db:1", values, line, ("db",)) == [{path: f"1@{DIGEST}"}]


def test_a_global_is_set_where_it_stands() -> None:
    shared = {"image": "t/db:1"}
    assert first("t/db:1", {"global": shared, "db": {"global": shared}}, scope=("db",)) == [
        {"global.image": f"t/db:1@{DIGEST}"}
    ]


def test_a_map_with_a_tag_is_not_that_of_an_untagged_image() -> None:
    assert ranked("t/web", {"image": {"repository": "t/web", "tag": "1"}}) == []


def test_what_set_cannot_reach_is_not_proposed() -> None:
    assert ranked("t/web:1", {"": "t/web:1"}) == []
    assert ranked("t/web:1", {"\0": {"image": "t/web:1"}}) == []


# -- what the user's own values leave no room for -----------------------------------------------------------------------

IMAGES = {"image": {"repository": "t/web", "tag": "1", "digest": None}}


def test_a_value_that_the_user_has_nulled_is_not_set() -> None:
    """Helm would take the null away, and with it what the chart has at other keys of that map."""
    assert {"image.digest": DIGEST} in ranked("t/web:1", IMAGES)[0]
    assert ranked("t/web:1", IMAGES, kept={"image": {"digest": None}})[0] == [{"image.tag": f"1@{DIGEST}"}]
    assert ranked("t/web:1", IMAGES, kept={"image": None}) == []
    for kept, found in (({"image": {"digest": None}}, ["image.digest"]), ({"other": None}, []), ({}, [])):
        values = ValueIndex(IMAGES, kept=kept)
        left_alone = nulled("t/web:1", DIGEST, (), values, TemplateScan([]))
        assert sorted({dotted_key(each.settings[0].path) for each in left_alone}) == found


@pytest.mark.parametrize(
    ("tag", "template", "is_taken"),
    [
        ("REPLACED_BY_APP_VERSION", "", True),
        ("<version>", "", True),
        ("auto", 'image: t/web:{{ if eq .Values.image.tag "auto" }}2{{ else }}{{ .Values.image.tag }}{{ end }}', True),
        ("auto", "image: t/web:{{ .Values.image.tag }}", False),
        ("auto", 'a: {{ eq .Values.other.tag "auto" }}\nb: {{ .Values.image.tag }}', False),
        ("RC1", "", False),
        (f"1@{DIGEST}", "", False),
    ],
)
def test_a_text_that_stands_for_the_tag_gives_way_to_it(tag: str, template: str, is_taken: bool) -> None:
    values = {"image": {"repository": "t/web", "tag": tag}}
    assert bool(ranked("t/web:2", values, template)) == is_taken
    assert not is_taken or first("t/web:2", values, template) == [{"image.tag": f"2@{DIGEST}"}]


def test_a_map_with_another_tag_is_another_images() -> None:
    """Beside one without a tag. Another key that a version may stand in does not count where the tag has one of its own."""
    for more, own in (({"tag": "v3"}, 1), ({"tag": "", "version": "3"}, 2), ({"version": "3"}, 1)):
        values = {
            "a": {"repository": "t/web", "tag": "", "digest": ""},
            "b": {"repository": "t/web", "digest": "", **more},
        }
        assert len(ranked("t/web:1", values)) == own, more


LISTED = {"pods": [{"image": "t/web:1"}]}


def test_a_list_that_helm_reuses_is_not_set_and_one_that_the_user_gives_is() -> None:
    """A --set of one element replaces a list among the reused values whole; one among the given values it changes."""
    assert ranked("t/web:1", LISTED, kept=LISTED) == []
    assert ranked("t/web:1", LISTED, kept=LISTED, given=LISTED) == [[{"pods.0.image": f"t/web:1@{DIGEST}"}]]
    assert ranked("t/web:1", LISTED) == [[{"pods.0.image": f"t/web:1@{DIGEST}"}]], "the chart's own list"


# -- what templates read beside the name --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "values", "wanted"),
    [
        ("{{ .Values.name }}:{{ .Values.v }}", {"name": "t/web", "v": "1"}, {"v": f"1@{DIGEST}"}),
        ('{{ printf "%s:%s" "t/web" .Values.appTag }}', {"appTag": ""}, {"appTag": f"1@{DIGEST}"}),
        ('{{ printf "%s:%s" "web" .Values.appTag }}', {"appTag": ""}, {"appTag": f"1@{DIGEST}"}),
        ('{{ printf "%s@%s" "t/web" .Values.appDigest }}', {}, {"appDigest": DIGEST}),
        ('{{ default "t/web" .Values.theImage }}', {}, {"theImage": f"t/web:1@{DIGEST}"}),
        ("image: t/web:{{ .Values.appTag }}", {"appTag": ""}, {"appTag": f"1@{DIGEST}"}),
        ("image: '{{ .Values.registry }}/t/web:{{ .Values.appTag }}'", {"appTag": ""}, {"appTag": f"1@{DIGEST}"}),
        ("image: t/web@{{ .Values.appDigest }}", {}, {"appDigest": DIGEST}),
        ('{{ default (printf "t/web:%s" .Chart.AppVersion) .Values.theImage }}', {}, {"theImage": f"t/web:1@{DIGEST}"}),
        ('{{ default (printf "%s/web:1" .Values.org) .Values.theImage }}', {}, {"theImage": f"t/web:1@{DIGEST}"}),
        ('image: {{ .Values.reference | default "t/web:1" }}', {}, {"reference": f"t/web:1@{DIGEST}"}),
        ('image: {{ .Values.nameAndTag | default "t/web:1" }}', {}, {"nameAndTag": f"t/web:1@{DIGEST}"}),
        (
            'image: "{{ .Values.full }}{{ if not .Values.full }}t/web:{{ .Values.v }}{{ end }}"',
            {},
            {"full": f"t/web:1@{DIGEST}"},
        ),
        ('{{ printf "%s:%s" "t/web" .Values.global.v }}', {"global": {"v": "1"}}, {"global.v": f"1@{DIGEST}"}),
    ],
)
def test_beside_the_name(line: str, values: dict[str, Any], wanted: dict[str, str]) -> None:
    assert ranked("t/web:1", values, line)[0][0] == wanted


@pytest.mark.parametrize(
    "line",
    ['{{ .Values.theImage | default "t/web" }}:1', '{{ printf "%s:1" (default "t/web" .Values.theImage) }}:{{ 2 }}'],
)
def test_what_a_colon_follows_is_no_whole_reference(line: str) -> None:
    assert ranked("t/web:1", {}, line) == []


def test_what_is_read_beside_the_name_destroys_nothing() -> None:
    line = '{{ printf "%s:%s" "t/web" .Values.a.b.tag }}'
    assert ranked("t/web:1", {"a": "text"}, line) == []
    assert ranked("t/web:1", {"a": {"b": None}}, line) == [[{"a.b.tag": f"1@{DIGEST}"}]]
    assert ranked("t/web:1", {"a": {"b": {"tag": {"x": 2}}}}, line) == []
    assert ranked("t/web:1", {"a": {"b": {"tag": "another"}}}, line) == []


def test_a_tag_alone_is_a_last_resort_and_says_so() -> None:
    (options,) = candidates(
        "t/web:1.7", DIGEST, (), ValueIndex({"web": {"tag": "1.7"}, "x": {"tag": "1.7"}}), TemplateScan([])
    )
    assert [(each.by_tag_only, each.settings[0].path) for each in options] == [
        (True, ("web", "tag")),
        (True, ("x", "tag")),
    ]
    assert ranked("t/web", {"web": {"tag": "latest"}}) == []


@pytest.mark.parametrize("key", ["tags", "imageTags", "versions", "tag"])
def test_a_map_of_tags(key: str) -> None:
    assert ranked("t/web:1.7", {key: {"frontend": "1.7"}}) == [[{f"{key}.frontend": f"1.7@{DIGEST}"}]]
    assert ranked("t/web:1.7", {"ports": {"frontend": "1.7"}}) == []


def test_a_map_for_an_image_that_does_not_name_it() -> None:
    assert ranked("t/web:1", {"image": {"tag": "", "digest": ""}}) == [
        [{"image.digest": DIGEST}, {"image.digest": HEX}, {"image.tag": f"1@{DIGEST}"}]
    ]
    assert ranked("t/web:1", {"image": {"tag": "2"}}) == []


# -- the parts ----------------------------------------------------------------------------------------------------------


def test_anchors() -> None:
    values = ValueIndex({"image": "r.io/t/web", "full": "t/web:1", "name": "web", "other": "web", "repo": "t/web"})
    assert set(anchors("r.io/t/web:1", values)) == {
        Anchor(("full",), True),
        Anchor(("image",), False),
        Anchor(("repo",), False),
        Anchor(("name",), False),
    }
    assert Anchor(("image",), True) in set(anchors("r.io/t/web", values))


def test_in_scope_takes_the_innermost_charts_own() -> None:
    outer, inner, far = (Anchor(path, True) for path in (("image",), ("a", "b", "image"), ("z", "image")))
    assert in_scope([outer, inner, far], ("a", "b")) == [inner]
    assert in_scope([outer, far], ("a", "b")) == [outer, far]


KEYS = st.sampled_from(["image", "repository", "tag", "digest", "name", "web", "global", "", "sha", "registry"])
LEAVES = st.sampled_from(["t/web", "web", "1", "t/web:1", "", "r.io", "2", None, True, 1, 1.0])
VALUES = st.dictionaries(
    KEYS,
    st.recursive(LEAVES, lambda b: st.dictionaries(KEYS, b, max_size=4) | st.lists(b, max_size=2), max_leaves=10),
    max_size=4,
)
TEMPLATES = st.sampled_from(
    [
        "",
        '{{ printf "t/web:%s" .Values.image.tag }}',
        "{{ .Values.web.image.digest }}",
        '{{ print "t/web" .Values.tag }}',
    ]
)


@given(
    st.sampled_from(["t/web:1", "t/web", "r.io/t/web:1", "web:1"]),
    VALUES,
    TEMPLATES,
    st.sampled_from([(), ("web",)]),
    VALUES,
)
@example("t/web:1", {"image": {"sha": {}}}, "", (), {})
@example("t/web:1", {"image": "t/web", "": {"image": {}}}, "{{ .Values.image.tag }}", (), {})
@example("t/web:1", {"image": {"digest": "t/web", "tag": None, "image": "t/web"}}, "", (), {})
def test_whatever_the_values_are(
    image: str, values: dict[str, Any], template: str, scope: tuple[str, ...], kept: dict[str, Any]
) -> None:
    """Every setting can be written, destroys no map or list, changes something, and is not blocked."""
    index = ValueIndex(values, kept=kept)
    for options in candidates(image, DIGEST, scope, index, TemplateScan([template])):
        assert options
        for candidate in options:
            assert any(HEX in setting.value for setting in candidate.settings)
            for setting in candidate.settings:
                assert reaches(setting.path) and not index.is_blocked(setting.path)
                assert not isinstance(lookup(values, setting.path), (dict, list))
                assert setting != Setting(setting.path, text_of(lookup(values, setting.path)))
                for i in range(1, len(setting.path)):
                    assert isinstance(lookup(values, setting.path[:i]), (dict, list, type(None)))


# -- a component's own map ----------------------------------------------------------------------------------------------


def components(names: set[str], values: dict[str, Any]) -> list[dict[str, str]]:
    scan = TemplateScan(["{{ .Values.api.image.tag }}{{ .Values.web.image.tag }}"])
    found = candidates("t/web:1", DIGEST, (), ValueIndex(values), scan, names)
    return [{".".join(map(str, s.path)): s.value for s in each.settings} for options in found for each in options]


def test_a_component_may_have_an_image_map_as_its_siblings_have() -> None:
    values = {"web": {"port": 1}, "api": {"image": {"tag": "2"}}, "image": {"repository": "t/web", "tag": "1"}}
    wanted = {"web.image.tag": f"1@{DIGEST}"}
    assert components({"web"}, values)[-1] == wanted
    assert wanted not in components({"api"}, values)
    assert wanted not in components({"web"}, {**values, "api": {}}), "no sibling has one"
    assert wanted not in components({"web"}, {**values, "web": {"image": {"tag": "3"}}}), "it has one"


def test_a_whole_reference_at_another_registry_is_the_last_resort_in_its_chart() -> None:
    elsewhere = {"web": "s.io/t/web:1", "db": {"web": "s.io/t/web:1"}, "near": "localhost/t/web:1", "no": "x/t/web:1"}
    pinned = {path: {path: f"{host}/t/web:1@{DIGEST}"} for path, host in (("web", "s.io"), ("near", "localhost"))}
    options = ranked("r.io/t/web:1", elsewhere)[0]
    assert [pinned["web"], {"db.web": f"s.io/t/web:1@{DIGEST}"}, pinned["near"]] == options
    assert ranked("r.io/t/web:1", elsewhere, scope=("db",)) == [[{"db.web": f"s.io/t/web:1@{DIGEST}"}]]
    beside = ranked("r.io/t/web:1", {**elsewhere, "image": {"repository": "t/web", "tag": "1"}})[0]
    assert beside[0] == {"image.tag": f"1@{DIGEST}"} and beside[-1] == pinned["near"]


OWN_OR_SHARED = "{{ .Values.web.repository }}:{{ .Values.web.tag | default .Values.shared }}\n"


@pytest.mark.parametrize(
    ("more", "first_at"),
    [
        ("", "web.tag"),
        ("t/other:{{ .Values.shared }}\n", "web.tag"),
        ("t/other:{{ .Values.web.tag | default 2 }}\n", "shared"),
        ("t/other:{{ .Values.web.tag | default .Values.shared }}\n", "web.tag"),
    ],
)
def test_the_tag_that_fewer_lines_read_comes_first(more: str, first_at: str) -> None:
    """The other one may be that of components that are off. The own one is not declared."""
    values = {"web": {"repository": "t/web"}, "shared": "1"}
    assert first("t/web:1", values, OWN_OR_SHARED + more) == [{first_at: f"1@{DIGEST}"}]
    of_subchart = {"sub": {"web": values["web"]}, "global": {"shared": "1"}}
    text = (OWN_OR_SHARED + more).replace(".Values.shared", ".Values.global.shared")
    at = {"web.tag": "sub.web.tag", "shared": "global.shared"}[first_at]
    assert first("t/web:1", of_subchart, text, scope=("sub",)) == [{at: f"1@{DIGEST}"}]


@pytest.mark.parametrize(
    ("line", "is_its"),
    [("{{ .Values.a.tag }}{{ .Values.a.flavor }}", False), ("l: {{ .Values.a.flavor }}", True), ("", False)],
)
def test_a_map_with_a_variant_is_another_images_where_it_is_beside_the_tag(line: str, is_its: bool) -> None:
    images = {"a": {"image": "t/web", "tag": "1", "flavor": "x"}, "b": {"image": "t/web", "tag": "1"}}
    assert ({"a.tag": f"1@{DIGEST}"} in first("t/web:1", images, line)) is is_its


@pytest.mark.parametrize("tag", ["1", "", "2"])
def test_a_name_at_another_registry_counts_with_the_tag_beside_it(tag: str) -> None:
    values = {"web": {"repo": "s.io/t/web", "tag": tag}}
    found = ranked("r.io/t/web:1", values)
    assert ([{"web.tag": f"1@{DIGEST}"}] in found) is (tag == "1")


def test_a_component_named_like_the_image_may_have_the_tag_that_is_read_of_each() -> None:
    values = {"services": {"web": {"port": 1}, "api": {"port": 2}}, "tag": "1"}
    line = "{{ range $name, $each := .Values.services }}image: t/{{ $name }}:{{ $each.tag | default $.Values.tag }}{{ end }}"
    assert {"services.web.tag": f"1@{DIGEST}"} in ranked("t/web:1", values, line)[0]
    assert {"services.web.tag": f"1@{DIGEST}"} not in ranked("t/web:1", values, line.replace("$each.tag", "$.x.tag"))[0]
    upper = {"services": {"Web": {"port": 1}}, "tag": "1"}
    assert {"services.Web.tag": f"1@{DIGEST}"} in ranked("t/web:1", upper, line)[0]
    named = ranked("t/other:1", values, line.replace("$name", "$.Values.x"), names={"web"})[0]
    assert {"services.web.tag": f"1@{DIGEST}"} in named, "by the name of its container"
    held = {"services": {"web": {"tag": "2"}}, "tag": "1"}
    assert {"services.web.tag": f"1@{DIGEST}"} not in ranked("t/web:1", held, line)[0]


def test_a_whole_reference_under_any_key_is_spare_and_a_bare_word_where_a_template_prints_it_as_an_image() -> None:
    values = {"image": "t/web:1", "other": "t/web:1", "images": {"main": "t/web:1"}}
    spare = [{"images.main": f"t/web:1@{DIGEST}"}, {"other": f"t/web:1@{DIGEST}"}]
    assert ranked("t/web:1", values, "image: {{ .Values.images.main }}") == [[{"image": f"t/web:1@{DIGEST}"}, *spare]]
    words = {"proxy": "busybox", "label": "busybox"}
    line = "a: {{ .Values.label }}\n- {image: '{{ .Values.proxy }}'}\nimage: {{ .Values.label }}:{{ .Values.tag }}"
    assert ranked("busybox", words, line) == [[{"proxy": f"busybox:latest@{DIGEST}"}]]
    assert ranked("busybox", words, "image: {{ .Values.proxy.image }}") == []
    assert ranked("busybox:1", words, line) == []


def test_a_map_with_values_of_the_user_is_never_set_whole() -> None:
    """They would be on helm's command line, which others can read."""
    image = {"repository": "t/web", "tag": "1"}
    values = {"db": {"": image, "password": "secret"}}
    assert ranked("t/web:1", values) != []
    for index in ({"given": {"db": {"password": "secret"}}}, {"kept": {"db": {"password": "secret"}}}):
        assert ranked("t/web:1", values, **index) == []
    deep: dict[str, Any] = image
    for n in range(31):
        deep = {f"l{n}": deep}
    assert ranked("t/web:1", {**deep, "other": "x"}, given={"other": "x"}) != []
    assert ranked("t/web:1", deep, given=deep) == []


@pytest.mark.parametrize("key", ["images", "tags"])
def test_a_list_in_helms_copy_of_a_global_is_never_set(key: str) -> None:
    """It would be written whole, with values of the user that nothing in `given` shows there."""
    own = {key: [{"tag": "1.2.3", "password": "secret"}]}
    index = ValueIndex({"global": own, "sub": {"global": own}}, given={"global": own}, kept={"global": own})
    image, scope = "quay.io/team/app:1.2.3", ("sub",)
    found = [c for some in candidates(image, DIGEST, scope, index, TemplateScan(()), set()) for c in some]
    found += by_any_key(image, DIGEST, scope, index)
    assert {setting.path for c in found for setting in c.settings} <= {("global", key, 0, "tag")}


@pytest.mark.parametrize("line", ["{{ .Values.org }}{{ .Values.name }}", "{{ .Values.name }}{{ .Values.org }}"])
def test_what_another_value_is_joined_to_is_no_reference(line: str) -> None:
    values = {"org": "", "name": "t/web", "tag": "1"}
    wanted = [{"tag": f"1@{DIGEST}"}]
    assert ranked("t/web:1", values, f"image: {line}:{{{{ .Values.tag }}}}")[0] == wanted


def test_a_tag_that_the_template_begins() -> None:
    template = "image: {{ if .Values.full }}{{ .Values.full }}{{ else }}{{ .Values.org }}/web:web-{{ .Chart.Version }}{{ end }}"
    assert ranked("t/web:web-1", {"org": "t"}, template)[0] == [{"full": f"t/web:web-1@{DIGEST}"}]
    assert ranked("t/web:1", {"org": "t"}, template) == []


def _apps(count: int, **image: str) -> dict[str, Any]:
    """Values for many images, whose maps have these keys; @ stands for the number of each."""
    return {f"app{n}": {"image": {key: text.replace("@", str(n)) for key, text in image.items()}} for n in range(count)}


@pytest.mark.parametrize(
    "image",
    [
        {"repository": "t/app@", "tag": "v1"},
        {"repository": "t/app", "tag": "v@"},
        {"repository": "t/app@", "tag": ""},
        {"tag": "v1"},
        {"tag": ""},
        {"digest": ""},
        {"image": "t/app@:v1"},
    ],
)
def test_what_is_tried_for_an_image_does_not_grow_with_the_number_of_the_others(image: dict[str, str]) -> None:
    """Their search would take quadratic time."""

    def tried(count: int) -> int:
        wanted = "t/app:v7" if image.get("repository") == "t/app" else "t/app7:v1"
        lines = "\n".join(f"image: {{{{ .Values.app{n}.image.tag }}}}" for n in range(count))
        found = candidates(wanted, DIGEST, (), ValueIndex(_apps(count, **image)), TemplateScan([lines]))
        return sum(map(len, found))

    assert tried(300) <= max(tried(30), 60)
    assert tried(300) <= tried(100)


@pytest.mark.parametrize(
    ("names", "first"),
    [({"rel-worker"}, "worker"), ({"c", "my-web-server"}, "webServer"), ({"other"}, "api"), ((), "api")],
)
def test_an_empty_digest_key_in_a_map_that_is_called_like_a_container_comes_first(
    names: Collection[str], first: str
) -> None:
    values = {"image": {"repository": "t/web", "tag": "1", "digest": ""}}
    parts = ("api", "webServer", "worker")
    line = "image: {{ .Values.image.repository }}:{{ .Values.image.tag }}@{{ .Values.%s.digest | default .Values.image.digest }}\n"
    found = ranked("t/web:1", values, "".join(line % part for part in parts), names=names)
    assert found[0][0] == {f"{first}.digest": DIGEST}
