"""The rules of .helmignore; tests/integration/chart/test_fidelity.py asks helm itself."""

from __future__ import annotations

import time

import pytest

from helmpin.chart.helmignore import ignored, parse, pattern


@pytest.mark.parametrize(
    ("rules", "path", "is_directory", "expected"),
    [
        ("", "a", False, False),
        ("# a\n\n  a  \r\n", "a", False, True),
        ("\ufeffa", "a", False, True),
        ("a", "b/a", False, True),  # no slash: the name at any depth
        ("/a", "a", False, True),
        ("/a", "b/a", False, False),
        ("b/a", "b/a", False, True),
        ("b/a", "c/b/a", False, False),
        ("a/", "a", True, True),
        ("a/", "a", False, False),
        ("*.txt", "b/a.txt", False, True),
        ("b/*", "b/c/a", False, False),  # a star stops at a slash
        ("?", "é", False, True),
        ("[a-c]x", "bx", False, True),
        ("[^a-c]x", "bx", False, False),
        ("!a", "a", False, False),  # what does not match is left out
        ("!a", "b", False, True),
        ("a\n!a", "a", False, True),  # the first that decides, decides
        ("", "templates/.x", False, True),
        ("", "templates/.", False, False),
        ("", "charts/a/templates/.x", False, False),
        ("/*[", "a", False, False),  # bad, but helm does not come so far when it looks
        ("\\/", "a", False, False),
    ],
)
def test_rules(rules: str, path: str, is_directory: bool, expected: bool) -> None:
    assert ignored(parse(rules, bool), path, is_directory) is expected


@pytest.mark.parametrize(
    "rule", ["a/**", "[", "[a", "[]a]", "[-a]", "[a-]", "a\\", "[\\", "[a\\", "*[", "a*[", "![", "/["]
)
def test_what_helm_does_not_take(rule: str) -> None:
    with pytest.raises(ValueError, match=r"double-star|syntax error"):
        parse(rule, bool)


@pytest.mark.parametrize(
    ("glob", "text", "expected"),
    [
        ("[b-a]", "a", False),
        ("[^b-a]", "a", True),
        ("[\\]]", "]", True),
        ("[!a]", "!", True),  # only ^ negates
        ("\\*", "*", True),
        ("\\*", "a", False),
        ("[^a]", "/", True),  # as in Go: a class may match a slash
        ("*[^x]*b", "a/bb", False),  # what a star has taken is never tried again
        ("a*b*c", "a-b-b-c", True),
        ("*a*", "bab", True),
        (".", "a", False),
        ("*", "a\nb", True),
        ("[a^]", "^", True),
        ("[&&~|]", "&", True),
    ],
)
def test_patterns(glob: str, text: str, expected: bool) -> None:
    assert (pattern(glob).fullmatch(text) is not None) is expected


@pytest.mark.parametrize("part", ["*a", "*[a-b]", "*?"])
def test_many_stars_take_no_time(part: str) -> None:
    """A hostile chart would keep a shared renderer busy for hours."""
    began = time.monotonic()
    assert not ignored(parse(part * 40 + "*b", bool), "a" * 250, False)
    assert time.monotonic() - began < 2


def test_several_slashes() -> None:
    """Helm 4 removes one; Helm 3 one more each time that it tries the rule."""
    four, three = parse("//a", bool), parse("//a", lambda: True)
    assert [ignored(four, "a", False) for _ in range(3)] == [False, False, False]
    assert [ignored(three, path, False) for path in ("a", "a", "b", "a")] == [False, True, False, True]
