"""Reused values without helm-pin's digests; that real helms put them together as here is shown in tests/properties."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from helmpin.chart.setargs import lookup
from helmpin.release.previous import Previous, still_there
from helmpin.release.record import Undo
from helmpin.release.undo import (
    changes_a_reused_list,
    comes_back,
    config_without_digests,
    nulls_a_digest,
    restoring,
    with_defaults,
    with_null_default,
    without_digests,
)
from helmpin.render.coalesce import coalesced, holds_list, with_nulls
from tests.support.renders import digest

A, B = digest("a"), digest("b")
Path = tuple[str | int, ...]


def previous(config: Mapping[str, Any], *undo: Undo, status: str = "deployed") -> Previous:
    return Previous(3, 3, status, config, undo)


def reused(before: Previous, given: Mapping[str, Any] | None = None, renewed: Iterable[Path] = ()) -> dict[str, Any]:
    """The values that the next revision keeps: Helm merges what is given into the restored ones, and both over the reused; or it
    gets all of them."""
    restored = restoring(before, renewed)
    if restored is None:
        return coalesced(given or {}, config_without_digests(before))
    return coalesced(merge(restored, given or {}), before.config)


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Values files, one after another (pkg/cli/values, MergeMaps)."""
    out = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merge(out[key], value) if both else value
    return out


# -- one digest ---------------------------------------------------------------------------------------------------------

TAG = Undo(("image", "tag"), "1", True, 1)
"""The user gave `image.tag=1`."""
DEFAULT = Undo(("image", "tag"), "1", False, 0)
"""The chart's default was `image.tag: 1`, and the user's values had no `image`."""


def test_what_the_user_had_given_comes_back() -> None:
    before = previous({"image": {"tag": f"1@{A}", "x": "y"}, "other": 1}, TAG)
    assert restoring(before) == {"image": {"tag": "1"}}
    assert reused(before) == {"image": {"tag": "1", "x": "y"}, "other": 1}


def test_where_nothing_was_given_nothing_stays_and_no_map_that_was_made() -> None:
    before = previous({"image": {"tag": f"1@{A}"}, "other": 1}, DEFAULT)
    assert reused(before) == {"other": 1}


@pytest.mark.parametrize(
    ("depth", "config", "after"),
    [
        (0, {"a": {"b": {"tag": A}}}, {}),
        (1, {"a": {"b": {"tag": A}}}, {"a": {}}),
        (2, {"a": {"b": {"tag": A}}}, {"a": {"b": {}}}),
        (0, {"a": {"b": {"tag": A}, "x": 1}}, {"a": {"x": 1}}),
        (0, {"a": {"b": {"tag": A, "x": 1}}}, {"a": {"b": {"x": 1}}}),
        (0, {"a": {"b": {"tag": A, "x": None}}}, {"a": {"b": {"x": None}}}),
    ],
)
def test_maps_of_the_users_own_stay_though_they_are_empty(
    depth: int, config: dict[str, Any], after: dict[str, Any]
) -> None:
    assert reused(previous(config, Undo(("a", "b", "tag"), None, False, depth))) == after


def test_what_is_set_anew_is_left_for_it() -> None:
    before = previous({"image": {"tag": f"1@{A}"}}, TAG)
    assert restoring(before, [TAG.path]) == {}


@pytest.mark.parametrize(
    "entry",
    [
        DEFAULT,
        Undo(("image", "tag"), None, True, 1),
        Undo(("image", "tag"), ["1"], True, 1),
        Undo(("images", 0, "tag"), "1", True, 1),
    ],
)
def test_what_no_values_file_restores(entry: Undo) -> None:
    """A null would be written into the revision before, and a list is only replaced whole."""
    before = previous({"image": {"tag": f"1@{A}"}, "images": [{"tag": f"1@{A}"}]}, TAG, entry)
    assert restoring(before) is None
    assert restoring(before, [entry.path]) == ({} if entry.path == TAG.path else {"image": {"tag": "1"}})


@pytest.mark.parametrize(
    ("path", "given", "changes"),
    [
        (("pods", 0, "image"), {}, True),
        (("pods", 0, "image"), {"pods": [{"image": "b"}]}, False),
        (("pods", 0, "image"), {"pods": None}, True),
        (("others", 0, "image"), {}, False),  # a list of the chart's is given whole
        (("in", "pods", 0, 0), {"in": {}}, True),
        (("image", "tag"), {}, False),
    ],
)
def test_a_list_that_is_reused(path: Path, given: dict[str, Any], changes: bool) -> None:
    before = previous({"pods": [{"image": "a"}], "in": {"pods": [["a"]]}, "image": {"tag": "1"}})
    assert changes_a_reused_list(before, given, [path]) is changes


@pytest.mark.parametrize(("values", "holds"), [({}, False), ({"a": {"b": []}}, True), ({"a": {"b": "[]"}}, False)])
def test_holds_list(values: dict[str, Any], holds: bool) -> None:
    assert holds_list(values) is holds


def test_a_digest_key_and_the_tag_that_was_emptied_for_it() -> None:
    config = {"image": {"tag": "", "digest": A}}
    before = previous(config, TAG, Undo(("image", "digest"), None, False, 1))
    assert reused(before) == {"image": {"tag": "1"}}


@pytest.mark.parametrize("was", ["1", 1, 1.5, True, "", "null", "é\u2028"])
def test_whatever_scalar_stood_there(was: Any) -> None:
    before = previous({"a": {"tag": f"1@{A}"}}, Undo(("a", "tag"), was, True, 1))
    assert reused(before) == {"a": {"tag": was}}


# -- lists --------------------------------------------------------------------------------------------------------------


def test_a_list_of_the_users_own_comes_back_whole() -> None:
    config = {"pods": [{"image": f"a:1@{A}", "env": ["x"]}, {"image": "b:1"}]}
    before = previous(config, Undo(("pods", 0, "image"), "a:1", True, 2))
    assert reused(before) == {"pods": [{"image": "a:1", "env": ["x"]}, {"image": "b:1"}]}
    assert config["pods"][0]["image"] == f"a:1@{A}", "what was read was changed"


def test_a_key_that_was_added_to_an_element_of_the_users_list_goes_and_the_list_stays() -> None:
    config = {"pods": [{"repository": "a", "digest": A}]}
    before = previous(config, Undo(("pods", 0, "digest"), None, False, 2))
    assert reused(before) == {"pods": [{"repository": "a"}]}


def test_a_list_of_the_charts_that_was_given_whole_goes() -> None:
    config = {"pods": [{"image": f"a:1@{A}"}], "x": 1}
    assert reused(previous(config, Undo(("pods", 0, "image"), "a:1", False, 0))) == {"x": 1}


def test_a_list_in_a_list() -> None:
    config = {"pods": [[{"image": f"a:1@{A}"}], "x"]}
    assert reused(previous(config, Undo(("pods", 0, 0, "image"), "a:1", True, 3))) == {
        "pods": [[{"image": "a:1"}], "x"]
    }


# -- records of version 0.1.0, with lists recorded whole -------------------------------------------------------------------

OLD = [{"image": "a:1"}]


@pytest.mark.parametrize(("supplied", "after"), [(True, {"pods": OLD, "x": 1}), (False, {"x": 1})])
def test_a_list_that_was_recorded_whole(supplied: bool, after: dict[str, Any]) -> None:
    config = {"pods": [{"image": f"a:1@{A}"}], "x": 1}
    assert reused(previous(config, Undo(("pods",), OLD, supplied))) == after


# -- of a revision that plain helm has made ------------------------------------------------------------------------------

ROWS = [{"name": "a", "image": f"a:1@{A}"}, {"name": "b", "image": f"b:1@{B}", "digest": ""}]
ROW_UNDO = [Undo(("rows", 0, "image"), "a:1", False, 0), Undo(("rows", 1, "image"), "b:1", False, 0)]
"""Of a list of the chart, which was given whole."""


def after_plain_helm(then: Mapping[str, Any], now: Mapping[str, Any], *undo: Undo) -> dict[str, Any]:
    """The values that are reused, without helm-pin's digests."""
    return config_without_digests(previous(now, *still_there(undo, then, now)))


@pytest.mark.parametrize(
    ("held", "after"),
    [
        (f"1@{A}", "1"),
        (f"1@{B}", f"1@{B}"),
        (f"2@{A}", f"2@{A}"),
        (A, A),
        ("2", "2"),
        ("", ""),
        (1, 1),
        (["x", A], ["x", A]),
    ],
)
def test_what_somebody_has_given_since_is_left_alone(held: Any, after: Any) -> None:
    now = {"image": {"tag": held}, "x": 1}
    assert after_plain_helm({"image": {"tag": f"1@{A}"}}, now, TAG) == {"image": {"tag": after}, "x": 1}


@pytest.mark.parametrize("now", [{}, {"image": "text"}, {"image": None}, {"image": {"tag": None}}])
def test_what_is_not_there_any_more_is_left_alone(now: dict[str, Any]) -> None:
    assert after_plain_helm({"image": {"tag": f"1@{A}"}}, now, TAG) == now


def test_a_tag_that_was_emptied_beside_its_digest() -> None:
    then = {"image": {"tag": "", "digest": A}}
    undo = (TAG, Undo(("image", "digest"), None, False, 1))
    assert after_plain_helm(then, then, *undo) == {"image": {"tag": "1"}}
    assert after_plain_helm(then, {"image": {"tag": "2", "digest": A}}, *undo) == {"image": {"tag": "2"}}


def test_a_list_of_the_chart_that_is_as_it_was_goes() -> None:
    assert after_plain_helm({"rows": ROWS}, {"rows": copy.deepcopy(ROWS), "x": 1}, *ROW_UNDO) == {"x": 1}


MINE = {"name": "mine", "image": "mine:1"}


@pytest.mark.parametrize(
    ("held", "after"),
    [
        ([*ROWS, MINE], ["a:1", "b:1", "mine:1"]),
        ([MINE, *ROWS], ["mine:1", "a:1", "b:1"]),
        ([ROWS[1], ROWS[0]], ["b:1", "a:1"]),
        ([ROWS[1]], ["b:1"]),
        ([{**ROWS[0], "image": ROWS[1]["image"]}, ROWS[1]], [f"b:1@{B}", "b:1"]),
        ([{**ROWS[0], "image": "a:2"}, {**ROWS[1], "args": []}], ["a:2", f"b:1@{B}"]),
        ([], []),
    ],
)
def test_of_a_list_that_somebody_has_changed_the_same_elements_count(held: list[Any], after: list[str]) -> None:
    now = copy.deepcopy({"rows": held})
    rows = after_plain_helm({"rows": ROWS}, now, *ROW_UNDO)["rows"]
    assert rows == [{**row, "image": image} for row, image in zip(held, after, strict=True)]


def test_a_key_that_was_added_to_an_element_goes_wherever_that_stands() -> None:
    then = {"rows": [{"repository": "a", "digest": A}]}
    now = {"rows": [MINE, *then["rows"]]}
    entry = Undo(("rows", 0, "digest"), None, False, 2)
    assert after_plain_helm(then, now, entry) == {"rows": [MINE, {"repository": "a"}]}


def test_a_list_that_was_recorded_whole_and_changed_since() -> None:
    then, entry = {"pods": [{"image": f"a:1@{A}"}]}, Undo(("pods",), OLD, True)
    assert after_plain_helm(then, then, entry) == {"pods": OLD}
    assert after_plain_helm(then, {"pods": [MINE]}, entry) == {"pods": [MINE]}


# -- where the chart has changed ---------------------------------------------------------------------------------------

PINNED = f"main@{A}"


@pytest.mark.parametrize(
    ("entry", "now"),
    [
        (TAG, TAG),
        (DEFAULT, Undo(("image", "tag"), "3", False, 0)),
        (Undo(("image", "digest"), "", False, 0), Undo(("image", "digest"), None, False, 0)),
        (Undo(("rows", 0, "image"), "a:1", False, 0), Undo(("rows",), [1, 2], False, 0)),
        (Undo(("rows", 0, "digest"), None, False, 2), Undo(("rows", 0, "digest"), None, False, 2)),
        (Undo(("rows", 0, "image"), "a:1", True, 2), Undo(("rows", 0, "image"), "a:1", True, 2)),
    ],
)
def test_the_defaults_of_another_version_of_the_chart(entry: Undo, now: Undo) -> None:
    config = {"image": {"tag": PINNED}, "rows": [{"image": f"a:1@{A}"}]}
    assert [*with_defaults(previous(config, entry), {"image": {"tag": "3"}, "rows": [1, 2]})] == [now]


def test_defaults_that_hold_our_digests_are_none() -> None:
    """As --reuse-values of plain helm makes them."""
    config = {"image": {"tag": PINNED}, "rows": [{"image": f"a:1@{A}"}]}
    undo = (DEFAULT, Undo(("rows", 0, "image"), "a:1", False, 0))
    assert tuple(with_defaults(previous(config, *undo), copy.deepcopy(config))) == undo


@pytest.mark.parametrize(
    ("values", "defaults", "user_depth", "wanted"),
    [
        ({"db": {"image": {}}}, {"db": {"image": {"tag": None}}}, 0, {"db": {"image": {"tag": None}}}),
        ({"db": {"image": {}}}, {"db": {"image": None}}, 0, {"db": {"image": None}}),
        ({"db": {"image": {}}}, {"db": {"image": None}}, 2, {"db": {"image": {}}}),
        ({"db": {"image": {"name": "x"}}}, {"db": {"image": None}}, 1, {"db": {"image": {"name": "x"}}}),
        ({"db": {"image": {}}}, {"db": {"image": {"tag": "1"}}}, 0, {"db": {"image": {}}}),
        ({"db": {"image": {}}}, {"db": {"image": {}}}, 0, {"db": {"image": {}}}),
        ({"db": {}}, {}, 0, {"db": {}}),
    ],
)
def test_a_null_of_the_chart_comes_back(
    values: dict[str, Any], defaults: dict[str, Any], user_depth: int, wanted: dict[str, Any]
) -> None:
    entry = Undo(("db", "image", "tag"), None, False, user_depth)
    assert with_null_default(values, entry, defaults) == wanted


# -- computed values ----------------------------------------------------------------------------------------------------


def test_computed_values_have_the_defaults_again() -> None:
    values = {"image": {"tag": f"1@{A}", "digest": A}, "pods": [{"image": f"a:1@{A}"}]}
    entries = [DEFAULT, Undo(("image", "digest"), None, False, 0), Undo(("pods", 0, "image"), "a:1", False, 0)]
    assert without_digests(values, entries) == {"image": {"tag": "1"}, "pods": [{"image": "a:1"}]}
    assert values["image"]["digest"] == A, "what was read was changed"


def test_a_map_that_is_empty_without_the_digest_stays() -> None:
    """It may be the chart's, and its templates fail without it."""
    entries = [Undo(("plugins", "image"), None, False, 0)]
    assert without_digests({"plugins": {"image": f"a:1@{A}"}}, entries) == {"plugins": {}}


def test_what_is_not_there_any_more_is_passed() -> None:
    entries = [Undo(("image", "tag"), "1", False), Undo(("pods", 0, "image"), "1", False), Undo(("gone",), None, False)]
    assert without_digests({"image": "text", "pods": None}, entries) == {"image": "text", "pods": None}


# -- nulls --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "given", "nulls"),
    [
        ({"image": {"tag": A}}, {"image": {"tag": None}}, True),
        ({"image": {"tag": A}}, {"image": None}, True),
        ({"image": {"tag": A}}, {"image": {"other": None}}, False),
        ({"image": {"tag": A}}, {"image": {"tag": "2"}}, False),
        ({"image": {"tag": A, "x": 1}}, {"image": None}, False),
        ({"image": {"tag": A}}, {}, False),
    ],
)
def test_a_null_over_what_only_helm_pin_put_there(config: dict[str, Any], given: dict[str, Any], nulls: bool) -> None:
    assert nulls_a_digest(previous(config, DEFAULT), given) is nulls


# -- whatever the values are --------------------------------------------------------------------------------------------

KEYS = st.sampled_from(["a", "b", "c"])
SCALARS = st.sampled_from(["1", "x", "", 1, True, 1.5])
CONFIGS = st.dictionaries(
    KEYS,
    st.recursive(
        SCALARS | st.none(),
        lambda below: (
            st.dictionaries(KEYS, below, max_size=3)
            | st.lists(st.dictionaries(KEYS, SCALARS, max_size=2), min_size=1, max_size=2)
        ),
        max_leaves=8,
    ),
    max_size=3,
)
"""The user's values."""


def paths_to_set(node: Any, path: Path = ()) -> list[Path]:
    """Where helm-pin may set something in these values: at scalars, at keys that are not there, and in new maps."""
    if isinstance(node, dict):
        found = [p for key, child in node.items() for p in paths_to_set(child, (*path, key))]
        return [*found, *((*path, key) for key in ("new", "n") if key not in node), (*path, "made", "map", "tag")]
    if isinstance(node, list):
        return [p for i, child in enumerate(node) for p in paths_to_set(child, (*path, i))]
    return [] if node is None else [path]


def pinned(config: Mapping[str, Any], paths: Iterable[Path]) -> tuple[dict[str, Any], list[Undo]]:
    """The values after a deployment with digests at these paths, and what the record says of them."""
    out, undo = copy.deepcopy(dict(config)), []
    for path in paths:
        depth = next(i for i in range(len(path)) if not isinstance(lookup(config, path[: i + 1]), (dict, list)))
        undo.append(Undo(path, lookup(config, path), lookup(config, path) is not None, min(depth, len(path) - 1)))
        node: Any = out
        for part in path[:-1]:
            node = node[part] if isinstance(part, int) else node.setdefault(part, {})
        node[path[-1]] = f"1@{A}"
    return out, undo


@given(CONFIGS, st.data())
def test_the_next_revision_keeps_what_it_would_keep_without_helm_pin(
    config: dict[str, Any], data: st.DataObject
) -> None:
    choices = paths_to_set(config)
    paths = data.draw(st.lists(st.sampled_from(choices), unique=True, max_size=4)) if choices else []
    held, undo = pinned(config, paths)
    before = previous(held, *undo)
    assert config_without_digests(before) == config
    assert reused(before) == config
    now = data.draw(CONFIGS)
    assume(not nulls_a_digest(before, now))
    assert reused(before, now) == coalesced(now, config)


@given(CONFIGS, CONFIGS, st.data())
def test_helm_merges_all_values_into_themselves_unless_a_digest_would_come_back(
    config: dict[str, Any], now: dict[str, Any], data: st.DataObject
) -> None:
    choices = paths_to_set(config)
    paths = data.draw(st.lists(st.sampled_from(choices), unique=True, max_size=4)) if choices else []
    held, undo = pinned(config, paths)
    before = previous(held, *undo)
    whole = coalesced(now, config)
    merged = with_nulls(whole, now)
    assume(not (nulls_a_digest(before, now) or comes_back(before, merged, [])))
    assert coalesced(merged, held) == whole


def test_a_digest_comes_back_unless_it_is_set_again() -> None:
    before = previous({"image": {"tag": f"1@{A}", "x": "y"}, "other": 1}, DEFAULT)
    whole = {"image": {"x": "y"}, "other": 2}
    assert comes_back(before, whole, [])
    assert not comes_back(before, whole, [TAG.path])
    assert not comes_back(before, {"image": "web", "other": 1}, [])


@given(CONFIGS, st.data())
def test_what_is_renewed_is_in_its_place_and_the_rest_as_it_would_be(
    config: dict[str, Any], data: st.DataObject
) -> None:
    choices = [path for path in paths_to_set(config) if not any(isinstance(part, int) for part in path)]
    paths = data.draw(st.lists(st.sampled_from(choices), unique=True, max_size=4)) if choices else []
    renewed = data.draw(st.sets(st.sampled_from(paths))) if paths else set()
    held, undo = pinned(config, paths)
    again, _ = pinned({}, renewed)
    wanted, _ = pinned(config, renewed)
    assert reused(previous(held, *undo), again, renewed) == wanted
