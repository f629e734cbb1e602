"""Writing --set arguments: a reader of Helm's grammar reads them back the same (tests/integration/test_setargs.py: helm does)."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from helmpin.chart.setargs import (
    LONGEST,
    MAX_INDEX,
    MAX_LEVELS,
    Setting,
    ValuePath,
    arguments,
    as_tree,
    dotted_key,
    lookup,
    reaches,
    text,
)
from tests.support.strvals import computed

LIST = {"web": {"pods": [{"image": "a:1", "n": 1}, {"image": "b:1", "deep": [[{"x": "y"}]]}]}}


@pytest.mark.parametrize(
    ("path", "written"),
    [
        (("a", "b"), "a.b"),
        (("a", 0, "b"), "a[0].b"),
        (("a", 0, 1), "a[0][1]"),
        (("a.b", "c/d"), r"a\.b.c/d"),
        (("a[0]", "x=y,z"), r"a\[0\].x\=y\,z"),
        (("back\\slash",), r"back\\slash"),
        (("7", " "), "7. "),
        ((" {a", "{"), r" \{a.\{"),
    ],
)
def test_key(path: ValuePath, written: str) -> None:
    assert dotted_key(path) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [("a", "a"), ("a,b", r"a\,b"), ("a\\", "a\\\\"), ("{a", r"\{a"), ("a{", "a{"), ("", ""), ("=", "=")],
)
def test_text(value: str, written: str) -> None:
    assert text(value) == written


def test_scalars_are_sorted_and_strings() -> None:
    assert arguments([Setting(("b",), "1"), Setting(("a", "t"), "null")], {}) == [
        "--set-string",
        "a.t=null",
        "--set-string",
        "b=1",
    ]


def test_a_list_of_the_charts_is_set_whole_with_its_elements_changed() -> None:
    before = copy.deepcopy(LIST)
    found = arguments(
        [Setting(("web", "pods", 0, "image"), "a:2"), Setting(("web", "pods", 1, "deep", 0, 0, "x"), "z")], LIST
    )
    assert found == ["--set-json", 'web.pods=[{"image":"a:2","n":1},{"image":"b:1","deep":[[{"x":"z"}]]}]']
    assert before == LIST, "helm's values were changed"


# -- lists that the user gives --------------------------------------------------------------------------------------------


def test_a_list_that_the_user_gives_is_changed_by_index() -> None:
    settings = [Setting(("web", "pods", 0, "image"), "a:2"), Setting(("web", "pods", 1, "deep", 0, 0, "x"), "z")]
    assert arguments(settings, LIST, LIST) == [
        "--set-string",
        "web.pods[0].image=a:2",
        "--set-string",
        "web.pods[1].deep[0][0].x=z",
    ]


def test_a_list_of_the_charts_beside_one_of_the_users() -> None:
    values = {"a": [{"image": "a:1", "secret": "s"}], "b": [{"image": "b:1", "n": 1}]}
    found = arguments(
        [Setting(("a", 0, "image"), "a:2"), Setting(("b", 0, "image"), "b:2")], values, {"a": values["a"]}
    )
    assert found == ["--set-json", 'b=[{"image":"b:2","n":1}]', "--set-string", "a[0].image=a:2"]


@pytest.mark.parametrize("given", [{}, {"pods": None}, {"pods": {}}, {"pods": []}, {"pods": [{"image": "a:1"}]}])
def test_an_element_that_the_user_does_not_give_is_the_charts(given: dict[str, Any]) -> None:
    values = {"pods": [{"image": "a:1"}, {"image": "b:1"}]}
    assert arguments([Setting(("pods", 1, "image"), "b:2")], values, given)[0] == "--set-json"


def test_an_index_that_helm_refuses_is_not_written() -> None:
    values = {"pods": [{"image": "a"}] * (MAX_INDEX + 2)}
    (flag, *_) = arguments([Setting(("pods", MAX_INDEX + 1, "image"), "b")], values, values)
    assert flag == "--set-json"
    (flag, *_) = arguments([Setting(("pods", MAX_INDEX, "image"), "b")], values, values)
    assert flag == "--set-string"


SECRETS = st.text("abc{}[],.=\\\"'", min_size=8, max_size=12).map(lambda s: f"<{s}>")
USERS = st.dictionaries(
    st.sampled_from(["a", "b.c", ""]),
    st.lists(
        st.fixed_dictionaries({"image": st.just("x:1"), "secret": SECRETS}, optional={"more": st.lists(SECRETS)}),
        min_size=1,
        max_size=3,
    ),
    min_size=1,
)


@given(USERS, st.data())
def test_no_text_of_the_users_lists_is_repeated(values: dict[str, Any], data: st.DataObject) -> None:
    paths = [(name, i, "image") for name, items in values.items() for i in range(len(items)) if name]
    chosen = data.draw(st.sets(st.sampled_from(paths))) if paths else set()
    found = arguments([Setting(path, "x:2") for path in chosen], values, values)
    assert "secret" not in " ".join(found) and "<" not in " ".join(found)
    assert len(found) == 2 * len(chosen)


# -- keys that --set cannot say -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (("a", ""), 'a={"":"x"}'),
        (("a", "\0", "b"), 'a={"\\u0000":{"b":"x"}}'),
        (("a",) * (MAX_LEVELS + 1), ".".join("a" * MAX_LEVELS) + '={"a":"x"}'),
    ],
    ids=["empty", "NUL", "deep"],
)
def test_a_key_that_set_cannot_say(path: ValuePath, found: str) -> None:
    values: Any = "there"
    for part in reversed(path):
        values = {part: values}
    assert arguments([Setting(path, "x")], values) == ["--set-json", found]
    assert reaches(path)


@pytest.mark.parametrize("web", [{}, {"image": None}])
@pytest.mark.parametrize("above", ["", 0], ids=["an empty key", "a list"])
def test_maps_that_are_missing_in_what_is_set_whole_are_made(above: str | int, web: dict[str, Any]) -> None:
    values = {"a": [{"web": web}] if above == 0 else {above: {"web": web}}}
    whole = '[{"web":{"image":{"tag":"x"}}}]' if above == 0 else '{"":{"web":{"image":{"tag":"x"}}}}'
    assert arguments([Setting(("a", above, "web", "image", "tag"), "x")], values) == ["--set-json", f"a={whole}"]


def test_a_map_that_is_set_whole_is_made_where_it_is_missing() -> None:
    assert arguments([Setting(("x", "", "web"), "v")], {}) == ["--set-json", 'x={"":{"web":"v"}}']


@pytest.mark.parametrize("path", [("",), ("", "a"), ("\0",), (0, "a")])
def test_what_no_argument_reaches(path: ValuePath) -> None:
    assert not reaches(path)
    with pytest.raises(ValueError, match="no --set for the key"):
        arguments([Setting(path, "x")], {})


def test_a_value_with_a_nul_is_json() -> None:
    assert arguments([Setting(("a",), "x\0")], {}) == ["--set-json", 'a="x\\u0000"']


def test_what_is_above_comes_before_what_is_in_it() -> None:
    values = {"a": {"": "1", "l": ["1"]}}
    assert arguments([Setting(("a", "l", 0), "2"), Setting(("a", ""), "2")], values) == [
        "--set-json",
        'a={"":"2","l":["1"]}',
        "--set-json",
        'a.l=["2"]',
    ]


def test_a_list_longer_than_one_argument_is_given_in_pieces() -> None:
    values = {"l": [{"n": i, "x": "y" * 100} for i in range(LONGEST // 100)]}
    words = arguments([Setting(("l", 3, "x"), "z")], values)
    assert words[:2] == ["--set-json", "l=[]"] and max(map(len, words)) < LONGEST + 10
    assert [json.loads(word.partition("=")[2]) for word in words[3::2]] == [
        {**item, "x": "z"} if item["n"] == 3 else item for item in values["l"]
    ]


# -- any key, any value, any place ----------------------------------------------------------------------------------------

KEYS = st.text(
    st.sampled_from("\\=[],.{}\"'`:#&*!|>%@-~$()<> \t\n\0\x7f\xa0") | st.characters(exclude_categories=["Cs"]),
    max_size=5,
) | st.sampled_from(["0", "-1", "null", "true", "a.b[0]", "{a", " {a", "--set", "\\", "a\\"])
TREES = st.recursive(
    KEYS | st.integers() | st.booleans() | st.lists(st.none(), max_size=2),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=3),
    max_leaves=12,
)


def leaves(node: Any, path: ValuePath = ()) -> list[ValuePath]:
    """The paths of what is neither a map nor a list."""
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else None
    return [path] if below is None else [leaf for key, child in below for leaf in leaves(child, (*path, key))]


def with_leaf(node: Any, path: ValuePath, value: str) -> Any:
    """A tree with another leaf at that path."""
    if not path:
        return value
    items = dict(node) if isinstance(node, dict) else dict(enumerate(node))
    items[path[0]] = with_leaf(items[path[0]], path[1:], value)
    return items if isinstance(node, dict) else list(items.values())


def deep(*parts: str | int) -> dict[str, Any]:
    """A tree with one leaf, at that path, or at the last element of lists that are as long as their index says."""
    tree: Any = "there"
    for part in reversed(parts):
        tree = [0] * part + [tree] if isinstance(part, int) else {part: tree}
    assert isinstance(tree, dict)
    return tree


VALUES = st.dictionaries(KEYS, TREES, max_size=3)


@given(VALUES, VALUES, st.lists(KEYS, min_size=1), st.randoms())
@example(deep(*"a" * MAX_LEVELS), {}, ["x"], random.Random(0))
@example(deep(*"a" * (MAX_LEVELS + 3)), {}, ["x"], random.Random(0))
@example({}, deep(*["a", 1] * (MAX_LEVELS - 1)), ["x"], random.Random(0))
@example({}, deep("a", "", "b", 0), ["\0"], random.Random(0))
@example({"a": "b"}, {}, ["\0"], random.Random(0))
@example({"a": {"": "b", "l": ["c"]}}, {}, ["x"], random.Random(1))
@example({" {a": ["b"]}, {}, ["x"], random.Random(0))
@example({}, {" {a": ["b"]}, ["{x,y}"], random.Random(0))
def test_what_is_written_is_read_back(
    charts: dict[str, Any], users: dict[str, Any], texts: list[str], rng: random.Random
) -> None:
    """Some leaves, in maps and lists of the chart's and of the user's, get a text each, and nothing else changes."""
    values = charts | users
    paths = [path for path in leaves(values) if reaches(path)]
    assume(paths)
    found = [Setting(path, rng.choice(texts)) for path in rng.sample(paths, rng.randint(1, len(paths)))]
    wanted: Any = values
    for path, value in found:
        wanted = with_leaf(wanted, path, value)
    assert computed(values, users, arguments(found, values, users)) == wanted
    assert computed(values, users, arguments(found, values)) == wanted
    assert computed(values, as_tree(found, values), []) == wanted


# -- a tree for a values file -----------------------------------------------------------------------------------------------


def test_as_tree() -> None:
    before = copy.deepcopy(LIST)
    found = [Setting(("web", "pods", 1, "image"), "b:2"), Setting(("web", "tag"), "2"), Setting(("x", "y"), "z")]
    assert as_tree(found, LIST) == {
        "web": {"pods": [LIST["web"]["pods"][0], {**LIST["web"]["pods"][1], "image": "b:2"}], "tag": "2"},
        "x": {"y": "z"},
    }
    assert before == LIST


def test_as_tree_twice_in_one_list() -> None:
    found = as_tree([Setting(("web", "pods", i, "image"), str(i)) for i in (0, 1)], LIST)
    assert [pod["image"] for pod in found["web"]["pods"]] == ["0", "1"]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (("web", "pods", 0, "n"), 1),
        (("web", "none"), None),
        (("web", "pods", 9), None),
        (("web", "pods", 0, "n", "x"), None),
        ((), LIST),
    ],
)
def test_lookup(path: ValuePath, found: Any) -> None:
    assert lookup(LIST, path) == found


def test_a_letter_of_a_string_is_no_value() -> None:
    assert lookup({"a": "xyz"}, ("a", 1)) is None
