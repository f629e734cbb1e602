"""Writing --set arguments; that helm reads them back the same is shown in tests/integration/test_setargs.py."""

from __future__ import annotations

from typing import Any

import pytest

from helmpin.chart.setargs import Path, Setting, arguments, as_tree, key, lookup, reaches, text

LIST = {"web": {"pods": [{"image": "a:1", "n": 1}, {"image": "b:1", "deep": [[{"x": "y"}]]}]}}


@pytest.mark.parametrize(
    ("path", "written"),
    [
        (("a", "b"), "a.b"),
        (("a", 0, "b"), "a[0].b"),
        (("a.b", "c/d"), r"a\.b.c/d"),
        (("a[0]", "x=y,z"), r"a\[0\].x\=y\,z"),
        (("back\\slash",), r"back\\slash"),
        (("7", " "), "7. "),
    ],
)
def test_key(path: Path, written: str) -> None:
    assert key(path) == written


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


def test_a_list_is_set_whole_with_its_elements_changed() -> None:
    before = {"web": {"pods": [dict(pod) for pod in LIST["web"]["pods"]]}}
    found = arguments(
        [Setting(("web", "pods", 0, "image"), "a:2"), Setting(("web", "pods", 1, "deep", 0, 0, "x"), "z")], LIST
    )
    assert found == ["--set-json", 'web.pods=[{"image":"a:2","n":1},{"image":"b:1","deep":[[{"x":"z"}]]}]']
    assert before == LIST, "helm's values were changed"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (("a", ""), 'a={"":"x"}'),
        (("a", "\0", "b"), 'a={"\\u0000":{"b":"x"}}'),
        (("a",) * 31, ".".join("a" * 30) + '={"a":"x"}'),
    ],
    ids=["empty", "NUL", "deep"],
)
def test_a_key_that_set_cannot_say(path: Path, found: str) -> None:
    values: Any = "there"
    for part in reversed(path):
        values = {part: values}
    assert arguments([Setting(path, "x")], values) == ["--set-json", found]
    assert reaches(path)


def test_what_is_above_comes_before_what_is_in_it() -> None:
    values = {"a": {"": "1", "l": ["1"]}}
    assert arguments([Setting(("a", "l", 0), "2"), Setting(("a", ""), "2")], values) == [
        "--set-json",
        'a={"":"2","l":["1"]}',
        "--set-json",
        'a.l=["2"]',
    ]


def test_as_tree() -> None:
    found = [Setting(("web", "pods", 1, "image"), "b:2"), Setting(("web", "tag"), "2"), Setting(("x", "y"), "z")]
    assert as_tree(found, LIST) == {
        "web": {"pods": [LIST["web"]["pods"][0], {**LIST["web"]["pods"][1], "image": "b:2"}], "tag": "2"},
        "x": {"y": "z"},
    }
    assert LIST["web"]["pods"][1]["image"] == "b:1"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (("web", "pods", 0, "n"), 1),
        (("web", "none"), None),
        (("web", "pods", 9), None),
        (("web", "pods", 0, "n", "x"), None),
    ],
)
def test_lookup(path: Path, found: Any) -> None:
    assert lookup(LIST, path) == found
