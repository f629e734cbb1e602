"""Values, found by what they hold."""

from __future__ import annotations

import time

import pytest

from helmpin.search.value_index import ValueIndex, is_seen, scope_of


@pytest.mark.parametrize(
    ("path", "scope", "seen"),
    [
        ("image.tag", "", True),
        ("db.image.tag", "", True),
        ("db.image.tag", "db", True),
        ("image.tag", "db", False),
        ("other.image.tag", "db", False),
        ("global.tag", "db", True),
        ("db.global.tag", "db.redis", True),
        ("other.global.tag", "db.redis", False),
        ("db.redis.global.tag", "db", True),
    ],
)
def test_what_a_chart_sees(path: str, scope: str, seen: bool) -> None:
    assert is_seen(tuple(path.split(".")), tuple(filter(None, scope.split(".")))) is seen


@pytest.mark.parametrize(
    ("value", "text", "may"),
    [
        ("reg/{{ .a }}/web:{{ .b }}", "reg/x/y/web:1", True),
        ("reg/{{ .a }}/web:{{ .b }}", "reg/web:1", False),
        ("{{ .a }}web:1", "web:1", True),
        ("web{{ .a }}web", "web", False),
        ("{{ .a }}web{{ .b }}web", "web", False),
        ("{{ .a }}", "web", False),
    ],
)
def test_what_a_value_that_is_a_template_may_print(value: str, text: str, may: bool) -> None:
    assert ValueIndex({"image": value}).at(text) == ([("image",)] if may else [])


def test_a_value_with_many_actions_takes_no_time() -> None:
    """A hostile chart would keep a shared renderer busy for hours."""
    began = time.monotonic()
    assert ValueIndex({"image": "web" + "{{ .x }}a" * 40 + "{{ .x }}b"}).at("web" + "a" * 250) == []
    assert time.monotonic() - began < 2


def test_maps_come_in_the_order_of_the_values() -> None:
    index = ValueIndex({"b": {"Image": {"x": 1}, "app": {}}, "a": {"image": {}}})
    assert index.maps(("app", "image", "app")) == [(("b", "Image"), {"x": 1}), (("b", "app"), {}), (("a", "image"), {})]


def test_a_map_in_place_of_a_list_blocks_nothing() -> None:
    index = ValueIndex({"pods": [{"image": "t/web:1"}]}, kept={"pods": {"image": "x"}})
    assert not index.is_blocked(("pods", 0, "image"))
    assert not index.is_blocked(("other", "image"))


@pytest.mark.parametrize(
    ("source", "scope"),
    [
        ("app/templates/x.yaml", ()),
        ("app/charts/db/templates/x.yaml", ("db",)),
        ("app/charts/db/charts/common/templates/tests/x.yaml", ("db", "common")),
        ("charts/templates/x.yaml", ()),
        ("app/templates/charts/db/x.yaml", ()),
        ("", ()),
    ],
)
def test_scope_of(source: str, scope: tuple[str, ...]) -> None:
    assert scope_of(source) == scope


def test_helms_copies_of_globals_are_left_out_in_charts_of_charts_too() -> None:
    """What a chart in between declares is its own; of what Helm passes on from it, the original is found alone."""
    root = {"image": {"tag": "1"}}
    auth = {"image": {"tag": "1", "digest": "2"}}
    redis = {**auth, "own": "2"}
    values = {"global": root, "auth": {"global": auth, "redis": {"global": redis}}}
    assert ValueIndex(values).at("1") == [("global", "image", "tag")]
    assert ValueIndex(values).at("2") == [
        ("auth", "global", "image", "digest"),
        ("auth", "redis", "global", "own"),
    ]
