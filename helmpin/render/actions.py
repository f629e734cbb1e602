"""The actions of a Go template, `{{ … }}`, by the rules of Go's lexer (text/template/parse, lex.go)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from helmpin.named_tuple import NamedTuple

COMMENT = re.compile(r"\{\{-?\s*/\*.*?\*/\s*-?\}\}", re.DOTALL)
STRING = re.compile(r'"(?:\\.|[^"\\])*"|`[^`]*`')
"""A string in the code of an action."""
_SPACE = r"[ \t\r\n]"
_PLAIN = r"[^\"`'}]*"
_OTHER = r"""\}(?!\})|"(?:\\.|[^"\\])*"|`[^`]*`|'(?:\\.|[^'\\])*'"""
_ACTION = re.compile(
    rf"\{{\{{(?P<left>-(?={_SPACE}))?"
    rf"(?:{_SPACE}*/\*.*?\*/{_SPACE}*(?:(?<={_SPACE})-)?|(?P<code>{_PLAIN}(?:(?:{_OTHER}){_PLAIN})*))"
    r"\}\}",
    re.DOTALL,
)
"""One action. A `}}` inside a string or a comment does not end it. Its code is read in long pieces, which is twice as fast as one
character at a time."""
_TRIMS_RIGHT = re.compile(rf"{_SPACE}-\}}\}}")
_WORD = re.compile(r"\s*(\w*)")


def whole_word(word: str, then: str = "") -> re.Pattern[str]:
    """An expression for a whole word, and one for what follows. It begins with the word, since Python's re is many times as fast
    with expressions that begin with letters."""
    return re.compile(rf"{word}(?<!\w{word})\b{then}")


TPL = whole_word("tpl")
"""The function that evaluates a text as a template."""


class Action(NamedTuple):
    """One `{{ … }}` of a template: its place, its code ('' for a comment), and the sides that it trims."""

    start: int
    end: int
    code: str
    trims_left: bool
    trims_right: bool

    @property
    def word(self) -> str:
        """Its first word, such as `if`, `end` or `define`; '' if it begins with something else."""
        match = _WORD.match(self.code)
        return match[1] if match else ""


def actions(text: str) -> Iterator[Action]:
    """The actions of a template in order, up to one that is not closed, which Helm rejects."""
    at = 0
    while (start := text.find("{{", at)) >= 0 and (match := _ACTION.match(text, start)):
        at = match.end()
        code, trims_right = match["code"] or "", _TRIMS_RIGHT.match(text, at - len(" -}}")) is not None
        yield Action(
            start=start,
            end=at,
            code=code[:-1] if trims_right and code else code,
            trims_left=match["left"] is not None,
            trims_right=trims_right,
        )


def any_matches(text: str, pattern: re.Pattern[str]) -> bool:
    """Whether an action of a template matches; plain text and comments do not count."""
    return pattern.search(text) is not None and any(pattern.search(action.code) for action in actions(text))


def rewritten(text: str, change: Callable[[str], str]) -> str:
    """The template with each action changed."""
    pieces, kept = [], 0
    for action in actions(text):
        pieces += [text[kept : action.start], change(text[action.start : action.end])]
        kept = action.end
    return "".join([*pieces, text[kept:]])
