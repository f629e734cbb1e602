"""Where a digest can go, likeliest first."""

from __future__ import annotations

from typing import Any

import pytest
from helmpin.pin.mentions import Mentions
from helmpin.pin.propose import Values, text_of, ways

HEX = "c" * 64
DIGEST = f"sha256:{HEX}"


def proposed(
    image: str, values: dict[str, Any], template: str = "", scope: tuple[str, ...] = ()
) -> list[list[dict[str, str]]]:
    """For each anchor, the ways: each as {value path: text}."""
    ladders = ways(image, DIGEST, scope, Values(values), Mentions([template]))
    return [[{".".join(map(str, s.path)): s.value for s in way.settings} for way in ladder] for ladder in ladders]


def first(image: str, values: dict[str, Any], template: str = "", scope: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """The way that is tried first at each anchor."""
    return [ladder[0] for ladder in proposed(image, values, template, scope)]


@pytest.mark.parametrize(
    ("image", "values", "wanted"),
    [
        ("t/web:1.2", {"image": {"repository": "t/web", "tag": "1.2"}}, {"image.tag": f"1.2@{DIGEST}"}),
        ("t/web:1.2", {"image": {"repository": "t/web", "tag": "1.2", "digest": ""}}, {"image.digest": DIGEST}),
        ("t/web:1.2", {"image": {"repository": "t/web", "tag": "1.2", "sha": ""}}, {"image.sha": HEX}),
        ("t/web:1.2", {"image": {"repository": "t/web", "tag": ""}}, {"image.tag": f"1.2@{DIGEST}"}),
        ("t/web:1.2", {"image": "t/web:1.2"}, {"image": f"t/web:1.2@{DIGEST}"}),
        ("t/web", {"image": "t/web"}, {"image": f"t/web@{DIGEST}"}),
        ("r.io/t/web:1", {"registry": "r.io", "image": "t/web", "tag": 1}, {"tag": f"1@{DIGEST}"}),
        (
            "t/web:1.2",
            {"webImage": "t/web", "webImageTag": "1.2", "dbImageTag": "1.2"},
            {"webImageTag": f"1.2@{DIGEST}"},
        ),
        ("t/web:1.2", {"image": {"repository": "t/web", "version": "1.2"}}, {"image.version": f"1.2@{DIGEST}"}),
        ("t/web:v1.2", {"image": {"repository": "t/web", "tag": "1.2"}}, {"image.tag": f"1.2@{DIGEST}"}),
        ("t/web:1", {"l": [{"image": "t/web:1"}]}, {"l.0.image": f"t/web:1@{DIGEST}"}),
        ("t/web:1", {"web": {"image": "t/web"}, "global": {"tag": "1"}}, {"global.tag": f"1@{DIGEST}"}),
    ],
)
def test_first_way(image: str, values: dict[str, Any], wanted: dict[str, str]) -> None:
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
    assert {f"image.{key}": other} in proposed("t/web:1", values, template)[0]


def test_digest_keys_come_with_the_tag_emptied_too() -> None:
    ladder = proposed("t/web:1", {"image": {"repository": "t/web", "tag": "1", "digest": ""}})[0]
    assert {"image.digest": DIGEST, "image.tag": ""} in ladder
    assert ladder.index({"image.digest": DIGEST}) < ladder.index({"image.digest": DIGEST, "image.tag": ""})
    assert {"image.tag": f"1@{DIGEST}"} in ladder


def test_keys_that_only_the_template_reads() -> None:
    values = {"image": {"repository": "t/web"}}
    assert proposed("t/web:1", values) == []
    assert first("t/web:1", values, "{{ .Values.image.tag }}") == [{"image.tag": f"1@{DIGEST}"}]
    assert {"image.digest": DIGEST} in proposed(
        "t/web:1", values, "{{ .Values.image.tag }}@{{ .Values.image.digest }}"
    )[0]


def test_every_key_of_one_image() -> None:
    values = {name: {"image": {"repository": "t/app", "tag": "1"}} for name in ("web", "worker")}
    assert first("t/app:1", values) == [{"web.image.tag": f"1@{DIGEST}"}, {"worker.image.tag": f"1@{DIGEST}"}]


def test_the_map_that_holds_the_very_tag_comes_first() -> None:
    values = {
        "old": {"image": {"repository": "t/app", "tag": "1"}},
        "new": {"image": {"repository": "t/app", "tag": "2"}},
    }
    assert first("t/app:2", values) == [{"new.image.tag": f"2@{DIGEST}"}]


@pytest.mark.parametrize(
    "values",
    [
        {"serviceAccount": {"name": "web"}, "nameOverride": "web", "image": {"repository": "t/web", "tag": "1"}},
        {"podLabels": {"version": "1"}, "image": {"repository": "t/web", "tag": "1"}},
        {"image": {"repository": "t/web", "tag": "1", "pullPolicy": "Always", "tags": ["1"], "debug": {"tag": "1"}}},
    ],
)
def test_what_only_looks_alike_is_left(values: dict[str, Any]) -> None:
    assert first("t/web:1", values) == [{"image.tag": f"1@{DIGEST}"}]


def test_a_subchart_sees_its_own_values() -> None:
    image = {"repository": "t/db", "tag": "1"}
    values = {"image": dict(image), "db": {"image": dict(image)}, "other": {"image": dict(image)}}
    assert first("t/db:1", values, scope=("db",)) == [{"db.image.tag": f"1@{DIGEST}"}]


def test_a_global_is_set_where_it_stands() -> None:
    shared = {"image": "t/db:1"}
    assert first("t/db:1", {"global": shared, "db": {"global": shared}}, scope=("db",)) == [
        {"global.image": f"t/db:1@{DIGEST}"}
    ]


def test_a_map_with_a_tag_is_not_that_of_an_untagged_image() -> None:
    assert proposed("t/web", {"image": {"repository": "t/web", "tag": "1"}}) == []


def test_what_set_cannot_reach_is_not_proposed() -> None:
    assert proposed("t/web:1", {"": "t/web:1"}) == []


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (True, "true"), (8, "8"), (1.1, "1.1"), (2.0, "2"), ("x", "x"), (False, "false")]
)
def test_text_of(value: object, text: str) -> None:
    assert text_of(value) == text
