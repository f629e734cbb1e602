"""Which templates may print something else in each render, as far as their text shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache

from helmpin.render.actions import STRING, TPL, actions, any_matches

_FUNCTIONS = {
    "rand": "(?:AlphaNum|Alpha|Ascii|Numeric|Bytes|Int)",
    "gen": r"(?:PrivateKey|CA|SelfSignedCert|SignedCert)\w*",
    **dict.fromkeys(("uuidv4", "now", "htpasswd", "bcrypt", "encryptAES", "shuffle"), ""),
}
"""sprig's random functions: the start of the name, which is searched for first, and the rest."""
_RANDOM = re.compile(rf"\b(?:{'|'.join(map(''.join, _FUNCTIONS.items()))})\b")
_IN_ANY_ORDER = re.compile(
    r"(?<![\w.$])(?<!len \()(?<!sortAlpha \()(?:keys|values)\b"
    r"(?!(?:[^()]|\([^()]*\))*\|\s*sortAlpha\b)(?![^()|]*\)+\s*\|\s*sortAlpha\b)(?![^()|]*\|\s*len\b)"
)
"""What lists a map in Go's random order and leaves it so (sprig, dict.go); not for its length alone."""
_MAY_CALL = {
    word: re.compile(rf"{word}{rest}(?=[\s)|}}.])") for word, rest in {**_FUNCTIONS, "keys": "", "values": ""}.items()
}
"""A first look that finds too much: plain text and comments count. Python's re is four times as fast with expressions that begin
with letters."""
_FAILS = re.compile(r"^\s*fail\b|\|\s*fail\s*$")
"""What prints nothing: its order shows in an error alone."""
_BEFORE_NO_CALL = re.compile(r"""[\w.$"'`]""")
_DEFINE = re.compile(r"""\{\{-?\s*(?:define|block)\s+["`]([^"`]+)["`]""")
_USED_BY_ANY_NAME = re.compile(r"include\s+[($.](?![^}]*\bBasePath\b)")
"""A named template whose name is computed. A file's path, as checksums usually compute it, does not count."""
_USED = tuple(re.compile(rf"""{word}\s+["`]([^"`]+)["`]""") for word in ("include", "template", "block"))


def may_be_random(files: Mapping[str, str], *, tpl: bool = False) -> set[str]:
    """The template files (path → text) whose output may differ from run to run: they call a random function of sprig, list a
    map in any order, or call a named template that does either.

    tpl: whether what `tpl` evaluates may do so, too.
    """
    return calling(files, lambda text: is_random(text) or (tpl and any_matches(text, TPL)))


def may_be_in_any_order(files: Mapping[str, str], *, tpl: bool = False) -> set[str]:
    """Those of may_be_random() that may list a map in any order."""
    return calling(files, lambda text: _lists_in_any_order(text) or (tpl and any_matches(text, TPL)))


def calling(files: Mapping[str, str], calls: Callable[[str], bool]) -> set[str]:
    """The files (path → text) that call something, themselves or by a named template."""
    own = {path for path, text in files.items() if calls(text)}
    found = _names(files, own, calls) if own else set()
    return {
        path for path, text in files.items() if path in own or (found and (found & used(text) or uses_any_name(text)))
    }


def names_calling(files: Mapping[str, str], calls: Callable[[str], bool]) -> set[str]:
    """The named templates in the files (path → text) that call something, themselves or by another one."""
    return _names(files, {path for path, text in files.items() if calls(text)}, calls)


def _names(files: Mapping[str, str], own: Collection[str], calls: Callable[[str], bool]) -> set[str]:
    """own: the files of which some text calls it."""
    uses: dict[str, set[str]] = {}
    found: set[str] = set()
    by_any_name: set[str] = set()
    for path, text in files.items():
        for name, body in defined(text):
            uses.setdefault(name, set()).update(used(body))
            if uses_any_name(body):
                by_any_name.add(name)
            if path in own and calls(body):
                found.add(name)
    found |= by_any_name if found else set()
    while more := {name for name, names in uses.items() if name not in found and names & found}:
        found |= more
    return found


def is_random(text: str) -> bool:
    """Whether an action of a template calls a random function, or lists a map in any order. Its strings do not, unless `tpl`
    evaluates one."""
    return _calls(text, _RANDOM, _IN_ANY_ORDER)


def _lists_in_any_order(text: str) -> bool:
    return _calls(text, _IN_ANY_ORDER)


@lru_cache(maxsize=4096)
def _calls(text: str, *calls: re.Pattern[str]) -> bool:
    """Whether an action of a template calls one of these. Cached, because `tpl` makes a plan ask twice."""
    if not may_be_called(text):
        return False
    return any(
        each.search(action.code)
        and not _FAILS.search(action.code)
        and (TPL.search(action.code) or each.search(STRING.sub('""', action.code)))
        for action in actions(text)
        for each in calls
    )


def lists_in_any_order(code: str) -> bool:
    """Whether the code of an action lists a map in any order, and prints what depends on it."""
    return bool(_IN_ANY_ORDER.search(code) and _IN_ANY_ORDER.search(STRING.sub('""', code)) and not _FAILS.search(code))


def may_be_called(text: str) -> bool:
    """Whether a template may call a function that is_random() looks for; a first look that finds too much."""
    return any(True for _ in possible_calls(text))


def possible_calls(text: str) -> Iterator[int]:
    """Where it may call one, in no order."""
    for word, calls in _MAY_CALL.items():
        if word in text:
            for call in calls.finditer(text):
                if call.start() == 0 or not _BEFORE_NO_CALL.match(text, call.start() - 1):
                    yield call.start()


@lru_cache(maxsize=4096)
def defined(text: str) -> tuple[tuple[str, str], ...]:
    """(name, body) of each named template that a template file defines. A body reaches up to the next one. Cached, as used() is:
    several questions are asked about the same files."""
    pieces = _DEFINE.split(text)
    return tuple(zip(pieces[1::2], pieces[2::2], strict=True))


def uses_any_name(text: str) -> bool:
    """Whether a template uses a named template whose name is computed."""
    return _USED_BY_ANY_NAME.search(text) is not None


@lru_cache(maxsize=4096)
def used(text: str) -> frozenset[str]:
    """The named templates that a template uses."""
    return frozenset(name for uses in _USED for name in uses.findall(text))
