"""Where the actions of a Go template begin and end."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helmpin.render.actions import actions, any_matches, rewritten, whole_word


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("no { action } here", []),
        ("a{{ b }}c{{d}}e", [" b ", "d"]),
        ("{{ a }}}", [" a "]),
        ("{{- a -}}{{ b-}}{{/* c */ -}}", [" a ", " b-", ""]),
        ('{{ "}}" }}', [' "}}" ']),
        ("{{ `}}` }}", [" `}}` "]),
        ("{{ '}' }}", [" '}' "]),
        ("{{ '\\'' }}", [" '\\'' "]),
        (r'{{ "\"}}" | x }} y }}', [r' "\"}}" | x ']),
        (r"{{ `\` }}", [r" `\` "]),
        ("{{ `a\n}}\nb` }}", [" `a\n}}\nb` "]),
        ("{{/* }} */}}{{ a }}", ["", " a "]),
        ("{{- /* it's \"so */ -}}{{ a }}", ["", " a "]),
        ("{{/* {{ a }} */}}", [""]),
        ("{{ if a\n}}", [" if a\n"]),
        ('{{ "never ends }} {{ a }}', []),
        ("{{ a }}{{ never ends", [" a "]),
    ],
)
def test_what_they_say(text: str, found: list[str]) -> None:
    assert [action.code for action in actions(text)] == found


@pytest.mark.parametrize(
    ("text", "trims"),
    [
        ("{{ a }}", (False, False)),
        ("{{- a }}", (True, False)),
        ("{{ a -}}", (False, True)),
        ("{{-\na\t-}}", (True, True)),
        ("{{-3}}", (False, False)),
        ("{{ 4-}}", (False, False)),
        ("{{- /* a */}}", (True, False)),
        ("{{/* a */ -}}", (False, True)),
        ("{{/* a -*/}}", (False, False)),
        ('{{ "a -" }}', (False, False)),
    ],
)
def test_which_sides_they_trim(text: str, trims: tuple[bool, bool]) -> None:
    assert [(action.trims_left, action.trims_right) for action in actions(text)] == [trims]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{{if x}}", "if"),
        ("{{- end -}}", "end"),
        ("{{\n define `x` }}", "define"),
        ("{{ .x }}", ""),
        ("{{/* define */}}", ""),
        ("{{}}", ""),
    ],
)
def test_their_first_word(text: str, word: str) -> None:
    assert [action.word for action in actions(text)] == [word]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{{ now }}", True),
        ('{{ "}}" | cat now }}', True),
        ("now {{ a }} now", False),
        ("{{/* now */}}", False),
        ("{{ a }}", False),
    ],
)
def test_any_matches(text: str, found: bool) -> None:
    assert any_matches(text, re.compile(r"\bnow\b")) is found


PIECES = st.lists(
    st.sampled_from(
        ["{{ a }}", "{{- /* }} */}}", '{{ "}}{{" }}', '{{ `"` -}}', "text", " ", "\n", "}", '"', "'", "é", "*/"]
    )
)


@given(PIECES)
def test_every_byte_is_in_an_action_or_beside_one(pieces: list[str]) -> None:
    text = "".join(pieces)
    found = [text[action.start : action.end] for action in actions(text)]
    assert found == [piece for piece in pieces if piece.startswith("{{")]
    assert rewritten(text, lambda action: action) == text
    assert rewritten(text, lambda _: "") == "".join(piece for piece in pieces if not piece.startswith("{{"))


@pytest.mark.parametrize("piece", ["{{ ", "{{/* ", '{{ "', "{{ a }}", "{", "}}"])
def test_a_long_template_takes_no_long_time(piece: str) -> None:
    started = time.process_time()
    list(actions(piece * 30_000))
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (".Release.Revision", True),
        ("Release", True),
        ("(.Release)", True),
        (".Release.Name", False),
        (".Values.isRelease", False),
        (".Values.Released", False),
        ("_Release", False),
        ("xRelease .Release.Revision", True),
    ],
)
def test_a_whole_word(text: str, found: bool) -> None:
    assert bool(whole_word("Release", r"(?!\.Name\b)").search(text)) is found
