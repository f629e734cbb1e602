"""YAML as helm reads it. That real helms agree is shown in tests/integration/test_kube_yaml.py."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helmpin.errors import HelmFailed
from helmpin.image.find import container_name, images
from helmpin.kube_yaml import MAX_DEPTH, read_all, read_first
from tests.support.budget import examples


def first(text: str | bytes) -> Any:
    return read_first(text, what="cannot be read", where="x.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0000-00-00", "0000-00-00"),
        ("2026-31-12", "2026-31-12"),
        ("2001-12-14T21:59:43+99:00", "2001-12-14T21:59:43+99:00"),
        ("2001-1-1", "2001-1-1"),
        ("0x_", "0x_"),
        ("1:30", "1:30"),
        ("08", 8.0),
        ("0o17", 15),
        ("1_000", 1000),
        ("y", True),
        ("Off", False),
        ("=", "="),
        (".inf", ".inf"),
        (".NaN", ".NaN"),
        ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000),
        ("0b" + "1" * 5000, "0b" + "1" * 5000),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 2.0**64),
        ("-9223372036854775809", -(2.0**63)),
        ('"1"', "1"),
        ("!!str 1", "1"),
        ("!!float 1", 1.0),
        ("!!binary aGVsbG8=", "hello"),
        ("!custom {a: !x [1]}", {"a": [1]}),
        ("!!python/object:os.system x", "x"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_values(text: str, value: Any) -> None:
    found = first(f"v: {text}")["v"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "key"),
    [("8080", "8080"), ("0x10", "16"), ("true", "true"), ("n", "false"), ("1.10", "1.1"), ("1e6", "1e+06")]
    + [("3.14159265358979", "3.1415927"), ("-0.00001", "-1e-05"), ("3.4028235e38", "3.4028235e+38")]
    + [("1e39", ".inf"), ("-.inf", "-.inf"), (".nan", ".nan"), ("2026-31-12", "2026-31-12"), ('"<<"', "<<")],
)
def test_keys_are_strings(text: str, key: str) -> None:
    assert first(f"{text}: v") == {key: "v"}


def test_an_integer_key_above_a_container() -> None:
    item = first("{spec: {8080: {containers: [{name: a, image: x}]}}}")
    (found,) = images(item)
    assert container_name(item, found.path) == "a"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{b: 2, <<: {b: 1, c: 1}}", {"b": 1, "c": 1}),
        ("{<<: {b: 1, c: 1}, b: 2}", {"b": 2, "c": 1}),
        ("{<<: [{a: 1}, {a: 2, b: 2}]}", {"a": 1, "b": 2}),
        ("{a: 1, a: 2}", {"a": 2}),
    ],
)
def test_merges_and_duplicates_take_effect_in_their_order(text: str, value: Any) -> None:
    assert first(text) == value


@pytest.mark.parametrize("text", ["", "# a comment\n", "---\n", "~"])
def test_an_empty_document_is_none(text: str) -> None:
    assert first(text) is None


def test_only_the_first_document_is_read() -> None:
    assert first("a: 1\n---\nb: [") == {"a": 1}
    with pytest.raises(HelmFailed):
        read_all("a: 1\n---\nb: [", what="w", where="x")
    assert read_all("a: 1\n---\n---\nb: 2", what="w", where="x") == [{"a": 1}, None, {"b": 2}]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [\n", "line 2: "),
        ("a:\n  ? [b]\n  : c", "line 2: a key must be"),
        ("~: a", "line 1: a key must be"),
        ("18446744073709551615: a", "line 1: a key must be"),
        ("a: !!int x", "line 1: cannot decode `x` as a !!int"),
        ("a: !!binary '*'", "invalid base64"),
        ("a: *b", "unknown anchor 'b'"),
        ("a: &a [*a]", "anchor 'a' value contains itself"),
        ("{<<: 1}", "map merge requires"),
        ("a: \x07", "control characters"),
        (b"a: \xff", "UTF-8"),
        ("a: \udcff", "it is not UTF-8"),
        ("[" * (MAX_DEPTH + 1), f"nested more than {MAX_DEPTH} levels deep"),
        ("a: " * 5000, "line 1: "),
        ("[" * 100_000, f"nested more than {MAX_DEPTH} levels deep"),
        (
            "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(f"a{n}: &a{n} [{f'*a{n - 1},' * 9}]\n" for n in range(1, 9)),
            "alias",
        ),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_wrong_and_where(text: str | bytes, why: str) -> None:
    with pytest.raises(HelmFailed, match="cannot be read") as failed:
        first(text)
    assert failed.value.where == ["x.yaml"]
    assert why in failed.value.why


def test_as_deep_as_allowed_can_be_walked() -> None:
    item = first("{a: " * (MAX_DEPTH - 3) + "{containers: [{image: x}]}" + "}" * (MAX_DEPTH - 3))
    assert [found.image for found in images(item)] == ["x"]


TEXTS = st.text(
    st.one_of(st.sampled_from("{}[]:,-?&*!|>%@`\"'#<=~ \n\t0123456789+_.eExobTZayn"), st.characters()), max_size=60
)


@settings(deadline=None, max_examples=examples(2000))
@given(TEXTS)
@example("!!timestamp 0000-00-00")
@example("!!float ''")
@example("? - ")
@example("0b" + "1" * 64)
def test_nothing_else_is_ever_raised(text: str) -> None:
    try:
        documents = read_all(text, what="cannot be read", where="x.yaml")
    except HelmFailed:
        return
    json.dumps(documents, allow_nan=False)


STRINGS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TREES = st.recursive(
    STRINGS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=4), max_leaves=12
)


@settings(deadline=None)
@given(TREES, st.booleans())
def test_quoted_strings_come_back(value: Any, flow: bool) -> None:
    assert first(yaml.safe_dump(value, default_style='"', default_flow_style=flow)) == value
