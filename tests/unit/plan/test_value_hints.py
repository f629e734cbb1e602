"""Which values are blamed for a text that is no image reference."""

from __future__ import annotations

from typing import Any

import pytest

from helmpin.plan.value_hints import at_fault, hint_on_values
from tests.support.renders import digest

IMAGE = {"repository": "q.io/app", "tag": ""}


@pytest.mark.parametrize(
    ("image", "values", "hint"),
    [
        (f"q.io/app:@{digest('a')}", {"image": {**IMAGE, "tag": f"@{digest('a')}"}}, "correct image.tag"),
        ('q.io/app:1",', {"image": {**IMAGE, "tag": '1",'}}, "correct image.tag"),
        (
            "q.io/app:1_?",
            {"image": IMAGE},
            "correct the value, or the appVersion of the chart, that gives its tag",
        ),
        ("Q.io/App:1", {"image": {"repository": "Q.io/App", "tag": "1"}}, "correct image.repository"),
        (":1", {"image": {"repository": "", "tag": "1"}}, "the repository is empty: set image.repository"),
        ("/app:1", {"global": {"registry": ""}}, "nothing stands before its first slash: set global.registry"),
        ("Q//?", {}, "nothing stands between two of its slashes"),
        ("Q", {}, "correct the values that set it"),
    ],
)
def test_the_value_at_fault_is_named(image: str, values: dict[str, Any], hint: str) -> None:
    assert hint_on_values(image, values).startswith(hint)


@pytest.mark.parametrize(
    ("image", "values", "hint"),
    [
        ("a/b:2.0240101e+07", {"image": {"tag": 20240101}}, "image.tag is read as a number; quote it"),
        ("a/b:2.0240101e+07", {"image": {"tag": 20240101.0}, "port": 80}, "image.tag is read as a number; quote it"),
        ("a/b:1e+06", {"x": {"tag": 1000000}, "y": {"tag": 1e6}}, "x.tag or y.tag is read as a number; quote it"),
        ("a/b:%!s(float64=1.5)", {"image": {"tag": 1.5}}, "image.tag is read as a number; quote it"),
        ("a/b:%!s(bool=true)", {"image": {"tag": True}}, "image.tag is read as true or false; quote it"),
        ("a/b:%!s(float64=1.5)", {"image": {"tag": "1.5"}}, "the value is read as a number; quote it"),
    ],
)
def test_a_value_that_is_read_as_a_number_is_named(image: str, values: dict[str, Any], hint: str) -> None:
    assert hint_on_values(image, values) == hint


A, B = ("a", "image"), ("b", "image")
LINES = [[(*A, "repository"), (*A, "tag")], [(*B, "repository"), (*B, "tag")]]


@pytest.mark.parametrize(
    ("image", "values", "hint"),
    [
        (":", {"a": {"image": {"repository": None, "tag": ""}}}, "set a.image.repository or b.image.repository"),
        (":", {"a": {"image": {}}, "b": {"image": {"tag": "1"}}}, "set a.image.repository"),
        (":1", {"b": {"image": {"tag": "1"}}}, "set b.image.repository"),
        (":1", {"a": {"image": {"tag": 1}}, "b": {"image": {"tag": "2"}}}, "set a.image.repository"),
        (":3", {"a": {"image": {"tag": 1}}, "b": {"image": {"tag": "2"}}}, "set the value that names it"),
        (":", {"a": {"image": {"repository": {}}}, "b": {"image": "x"}}, "set b.image.repository"),
    ],
)
def test_the_values_that_the_lines_read_which_may_have_printed_it_are_named(
    image: str, values: dict[str, Any], hint: str
) -> None:
    assert hint_on_values(image, values, LINES) == f"the repository is empty: {hint}"


def test_a_value_that_is_null_is_named() -> None:
    values = {"a": {"image": {"repository": "t/web", "tag": None}}, "b": {"image": {"repository": "t/db", "tag": "1"}}}
    assert hint_on_values("t/web:%!s(<nil>)", values, LINES) == "a.image.tag is null or missing; set it"
    assert hint_on_values("t/x:%!s(<nil>)", values, LINES) == "the value is null or missing; set it"


def test_the_values_at_fault() -> None:
    values = {"image": {"repository": "Nginx", "tag": "1.2"}, "other": {"repository": "team/app", "tag": "a b"}}
    assert at_fault("Nginx:1.2", values) == [("image", "repository")]
    assert at_fault("team/app:a b", values) == [("other", "tag")]
    assert at_fault("Some:1", values) == []
