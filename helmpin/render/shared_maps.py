"""Which templates may change what later templates see: helm gives all templates of a chart the same maps of values."""

from __future__ import annotations

import re
from collections.abc import Iterator

from helmpin.render.actions import actions

_CHANGE = re.compile(r"\b(?:set|unset|(?:mustM|m)erge(?:Overwrite)?)\s+(\$\w+(?![\w.])|[$.]|\([(\s]*(?:\w+|[$.]))")
"""A call that changes the map that is its first argument (sprig, dict.go)."""
_NEW = re.compile(r"\s*\(*\s*(?:dict|list|omit|pick|include|tpl|(?:mustD|d)eepCopy|from(?:Yaml|Json))\b")
"""An expression for a map of its own begins so, or ends in one of these."""
_MADE_NEW = re.compile(r"\|\s*(?:(?:mustD|d)eepCopy|from(?:Yaml|Json))[\s)]*\Z")


def changes_shared_map(text: str) -> bool:
    """Whether a template may change a map that it has not made itself, as far as its text shows."""
    codes = [action.code for action in actions(text)]
    return any(not _is_new(each[1], codes) for code in codes for each in _CHANGE.finditer(code))


def _is_new(map_: str, codes: list[str]) -> bool:
    """Whether the expression for a map, of which this is the start, makes one. codes: of all actions, which may give a variable."""
    if "$" not in map_ or map_.strip("( ") == "$":
        return _NEW.match(map_) is not None
    given = [*_given(map_.strip("( "), codes)]
    return bool(given) and all(_NEW.match(each) or _MADE_NEW.search(each) for each in given)


def _given(variable: str, codes: list[str]) -> Iterator[str]:
    """What is assigned to a variable."""
    for code in codes:
        if assigned := re.match(rf"\s*{re.escape(variable)}\s*:?=(.*)", code, re.DOTALL):
            yield assigned[1]
