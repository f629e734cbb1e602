"""Where values stand in YAML text: with anchors that are given twice, too, which Helm takes as YAML means them."""

from __future__ import annotations

import pytest
import yaml

from helmpin.yaml_position import compose, span

TWICE = """\
first: &tag one
second: &tag two
third: *tag
map: {fourth: *tag, list: [&tag three, *tag]}
"""


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("first",), "&tag one"),
        (("second",), "&tag two"),
        (("third",), "*tag"),
        (("map", "fourth"), "*tag"),
        (("map", "list", 0), "&tag three"),
    ],
)
def test_an_anchor_that_is_given_twice(path: tuple[str | int, ...], text: str) -> None:
    found = span(TWICE, path)
    assert found is not None
    assert TWICE[found.start : found.end] == text


def test_an_alias_means_the_last_anchor_before_it() -> None:
    node = compose(TWICE)
    assert isinstance(node, yaml.MappingNode)
    values = {key.value: value for key, value in node.value}
    assert values["third"].value == "two"
    inner = {key.value: value for key, value in values["map"].value}
    assert [item.value for item in inner["list"].value] == ["three", "three"]


@pytest.mark.parametrize("text", ["a: *nobody\n", "a: &x 1\nb: &x 2\nc: *nobody\n", "a: [\n", "a: &x 1\nb: &x [\n"])
def test_what_is_not_yaml_has_no_places(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        compose(text)
    assert span(text, ("a",)) is None


def test_bytes_that_are_not_utf8_move_nothing() -> None:
    """What a post-renderer prints may have them in a comment; helm's output is read with surrogates for them."""
    text = "a: 1 # \udcff\udc80\nb: 007\n"
    found = span(text, ("b",))
    assert found is not None and text[found.start : found.end] == "007"
