"""Which templates may change what later templates see: helm gives all templates of a chart the same maps of values."""

from __future__ import annotations

import re
from collections.abc import Iterator

from helmpin.render.actions import actions, whole_word

_NEW = r"\(*\s*(?:dict|omit|pick|include|tpl|(?:mustD|d)eepCopy|from(?:Yaml|Json))\b(?![^}]*\)\.\w)"
"""The start of an expression for a map of its own, of which no field is taken."""
_CHANGES = {
    name: whole_word(name, rf"\s+(?!{_NEW})(\$\w+(?![\w.])|[$.(])")
    for name in ("set", "unset", "merge", "mergeOverwrite", "mustMerge", "mustMergeOverwrite")
}
"""Calls of the functions that change the map that is their first argument (sprig, dict.go): a variable, or another expression."""
_IS_NEW = re.compile(rf"\s*{_NEW}|.*\|\s*(?:(?:mustD|d)eepCopy|from(?:Yaml|Json))[\s)]*\Z", re.DOTALL)


def changes_shared_map(text: str) -> bool:
    """Whether a template may change a map that it has not made itself, as far as its text shows."""
    changes = [change for name, change in _CHANGES.items() if name in text and change.search(text)]
    if not changes:
        return False
    codes = [action.code for action in actions(text)]
    changed = {found[1] for code in codes for change in changes for found in change.finditer(code)}
    return any(not _is_new(map_, codes) for map_ in changed)


def _is_new(map_: str, codes: list[str]) -> bool:
    """Whether a map is only ever one of the template's own. codes: of all its actions."""
    given = [*_given(map_, codes)] if map_[1:] else []
    return bool(given) and all(map(_IS_NEW.match, given))


def _given(variable: str, codes: list[str]) -> Iterator[str]:
    """What is assigned to a variable."""
    for code in codes:
        if assigned := re.match(rf"\s*{re.escape(variable)}\s*:?=(.*)", code, re.DOTALL):
            yield assigned[1]
