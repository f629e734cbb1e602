"""What a list or a text holds may stand in another order; what belongs together stays together."""

from __future__ import annotations

import random
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from helmpin.render.another_order import form
from tests.support.budget import examples
from tests.support.comparisons import DIGEST, WEB

WORD = st.text("abcdefgh", min_size=1, max_size=4)
ITEMS = st.dictionaries(WORD, WORD, min_size=2, max_size=6)
WRITTEN = {
    "lines": lambda items: "\n".join(f"{key}: {value}" for key, value in items),
    "words": lambda items: " ".join(f"{key}={value}" for key, value in items),
    "words after a key": lambda items: "all: " + ", ".join(f"{key}-{value}" for key, value in items),
    "flags": lambda items: "run " + " ".join(f"--{key} {value}" for key, value in items),
    "commas": lambda items: ",".join(f"{key}={value}" for key, value in items),
    "JSON": lambda items: "{" + ", ".join(f'"{key}": {{"x": "{value}"}}' for key, value in items) + "}",
    "bars": lambda items: "|".join(f"{key}:{value}" for key, value in items),
    "blocks": lambda items: "\n".join(f"{key}:\n  of: {value}" for key, value in items),
    "a list in YAML": lambda items: yaml.safe_dump([{"name": key, "value": value} for key, value in items]),
    "sections": lambda items: "\n".join(f"[{key}]\nof = {value}" for key, value in items),
    "arguments": lambda items: {"args": ["run", *(part for key, value in items for part in (f"--{key}", value)), "x"]},
    "a list": lambda items: [{"name": key, "value": {"of": [value]}} for key, value in items],
}


def of(value: Any) -> Any:
    return form(value, (), set().__contains__)


@settings(max_examples=examples(60), deadline=None)
@given(items=ITEMS, seed=st.integers())
@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_items_in_another_order_have_the_same_form(written: Any, items: dict[str, str], seed: int) -> None:
    other = random.Random(seed).sample([*items.items()], len(items))
    assert of({"data": written(items.items())}) == of({"data": written(other)})


@settings(max_examples=examples(60), deadline=None)
@given(items=ITEMS)
@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_values_that_change_places_have_another_form(written: Any, items: dict[str, str]) -> None:
    keys, values = [*items], [*items.values()]
    if len({*values}) > 1:
        values = values[1:] + values[:1]
        swapped = [*zip(keys, values, strict=True)]
        if {*swapped} != {*items.items()}:
            assert of([written(items.items())]) != of([written(swapped)])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("x: b,a", "x: a,b", True),
        ("x: 'b a'", "x: 'a b'", True),
        ("x: a, y: b", "x: b, y: a", False),
        ("web-1.25", "1.25-web", True),
        ("web-1.25", "web-1.26", False),
        ({"a-b": 1}, {"b-a": 1}, True),
        ({"a": "b"}, {"b": "a"}, False),
        ([{"env": ["x"]}, {"args": ["y"]}], [{"env": ["y"]}, {"args": ["x"]}], False),
        ({"command": ["cp", "a", "b"]}, {"command": ["cp", "b", "a"]}, False),
        ({"args": ["--x=1", "a", "-v", "b"]}, {"args": ["-v", "b", "--x=1", "a"]}, True),
        ({"args": ["--x=1", "a", "-v", "b"]}, {"args": ["-v", "a", "--x=1", "b"]}, False),
        ({"args": ["--x=1", "--y"]}, {"args": ["--y", "--x=1"]}, True),
        ({"list": ["cp", "a", "b"]}, {"list": ["cp", "b", "a"]}, True),
        ([1, "1"], ["1", 1], True),
        ([1], ["1"], False),
        ([1], [True], False),
        (["a", "a", "b"], ["a", "b", "b"], False),
        ([None], [], False),
        ("", "x", False),
        ("- a: 1\n  b: 2\n- a: 3\n  b: 4", "- a: 3\n  b: 4\n- a: 1\n  b: 2", True),
        ("- a: 1\n  b: 2\n- a: 3\n  b: 4", "- a: 1\n  b: 4\n- a: 3\n  b: 2", False),
        ("-\n  a: 1\n  b: 2\n-\n  a: 3\n  b: 4", "-\n  a: 3\n  b: 4\n-\n  a: 1\n  b: 2", True),
        ("-\n  a: 1\n  b: 2\n-\n  a: 3\n  b: 4", "-\n  a: 1\n  b: 4\n-\n  a: 3\n  b: 2", False),
        (
            "[\n  {\n    a: 1,\n    b: 2\n  },\n  {\n    a: 3,\n    b: 4\n  }\n]",
            "[\n  {\n    a: 3,\n    b: 4\n  },\n  {\n    b: 2,\n    a: 1\n  }\n]",
            True,
        ),
        (
            "server {\n  x 1;\n  y 2;\n}\nserver {\n  x 3;\n  y 4;\n}",
            "server {\n  x 1;\n  y 4;\n}\nserver {\n  x 3;\n  y 2;\n}",
            False,
        ),
        ("t/a:1", f"t/a:1@{DIGEST}", True),
        (WEB.partition(":")[0], f"{WEB.partition(':')[0]}:latest@{DIGEST}", True),
        ("t/a:1 t/b:1", f"t/b:1@{DIGEST} t/a:1", True),
        ("t/a:1", f"t/b:1@{DIGEST}", False),
    ],
)
def test_form(one: Any, other: Any, same: bool) -> None:
    assert (of(one) == of(other)) is same


def test_what_varies_is_of_no_matter_where_it_stands() -> None:
    one, other = ([{"name": "a", "value": value}] for value in "xy")
    assert form(one, ("at",), ("at", 0, "value").__eq__) == form(other, ("at",), ("at", 0, "value").__eq__)
    assert form(one, ("at",), ("at", 0, "name").__eq__) != form(other, ("at",), ("at", 0, "name").__eq__)
