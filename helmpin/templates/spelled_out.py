"""Templates in which each value is read by its whole path, `.Values.image.tag`, however they are written: through a variable,
inside `with`, of a map that may be missing, or with a function for maps. It is a guess, for a variable may have been set again in a
branch, and only for reading: helm does not get this text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType

from helmpin.named_tuple import NamedTuple
from helmpin.render.actions import STRING, actions

EACH = "__each__"
"""Stands for the key or the index of each element that `range` goes through."""
KEY = r"[A-Za-z_](?:[\w-]*\w)?"
"""A key as it is written after a dot; one with a hyphen, which Go takes only as a string, stands so in what spelled_out() gives."""
_DEEPEST = 20
"""How many levels of parentheses around a path are taken away."""
_PATH = rf"\$?\.Values(?:\.{KEY})*"
_OPERAND = rf"(?:\$\w*(?:\.{KEY})*|\.(?:{KEY}(?:\.{KEY})*)?)"
"""What a map may be read of: a variable, the dot, a field, a path."""
_EMPTY = r"(?:\(\s*dict\s*\)|dict\b|\(\s*list\s*\)|list\b)"
_MAY_NAME = (
    *(re.compile(rf"{word}[^{{}}]{{0,200}}\.Values") for word in (":=", "with", "range", "block")),
    *(re.compile(rf"{word}\s+[\"$.(]") for word in ("dig", "get", "index")),
    re.compile(r"\)\.[A-Za-z_]"),
)
"""What makes a template worth reading: others read every value by its whole path. They begin with letters, which is fast in Python,
and look no further than an action may go on, since a text of many megabytes may hold these words, too."""
_OR_EMPTY = re.compile(
    rf"\(\s*(?:({_PATH})(?:\s*\|\s*default\s+{_EMPTY})?|default\s+{_EMPTY}\s+({_PATH}))\s*\)(?=\.[A-Za-z_]|\s+\")"
)
"""A map that may be missing, before the key that is read of it: `(.Values.image | default dict).tag`."""
_NAMED = rf"\"{KEY}\""
_DIG = re.compile(rf"dig\s+((?:{_NAMED}\s+)+)(\"[^\"]*\"|[^\s()\"]+)\s+({_OPERAND})(?![\w.])")
_GET = re.compile(rf"\b(?:get|index)\s+({_OPERAND})((?:\s+{_NAMED})+)(?!\s*[\w\"$.(])")
_GET_THEN = re.compile(rf"\b(index\s+{_OPERAND}(?:\s+{_NAMED})*\s+[$.][\w.]*)((?:\s+{_NAMED})+)(?!\s*[\w\"$.(])")
"""`index` with a key that is computed, and keys after it."""
_VALUE = re.compile(
    rf"\s*\(*\s*(?:({_PATH})\s*\)*(?:\s*\|\s*default\s+{_EMPTY})?|default\s+{_EMPTY}\s+({_PATH}))\s*\)*\s*"
)
"""A pipeline that gives one value, or an empty one in its place."""
_MERGED = re.compile(r"\s*\(*\s*(?:must)?(?:[mM]erge(Overwrite)?|[dD]eepCopy)\b.*\.Values\b")
"""A pipeline that gives a copy of a map, perhaps with others merged into it."""
_ASSIGNS = re.compile(r"\s*(?:(?:with|if)\s+)?(\$\w+)\s*:?=(.*)", re.DOTALL)
_BLOCK = re.compile(r'\s*block\s+(?:"[^"]*"|`[^`]*`)(.*)', re.DOTALL)
_FIELD = re.compile(r"(?<![\w.)$\]])\.(?=[A-Za-z_])(?!Values\b)")
_DOT = re.compile(r"(?<![\w.)$\]])\.(?![\w.])")
_VARIABLE = re.compile(r"\$\w+")


class _Scope(NamedTuple):
    """What names values at a place of a template."""

    dot: str
    """The value that the dot is; '' for anything else."""
    variables: Mapping[str, str]
    """The values that variables are, by `$name`."""


_TOP = _Scope("", MappingProxyType({}))


@lru_cache(maxsize=4096)
def spelled_out(text: str) -> str:
    """The template, with the whole path for each value that its actions read in another way. What is not understood stays. Cached,
    because many templates use the same named ones."""
    if not any(pattern.search(text) for pattern in _MAY_NAME):
        return text
    text = text.replace(".Values.AsMap", ".Values")  # the same map, in the form that `dig` wants (pkg/chart/common)
    pieces, kept = [], 0
    inner: list[_Scope] = []
    """The scopes to return to at each `end`."""
    branches: list[_Scope] = []
    """Those in which the `else` of each block is."""
    scope = _TOP
    for action in actions(text):
        if action.code.startswith("`"):
            continue
        word = action.word
        outer = branches[-1] if word == "else" and branches else scope
        code = _read(action.code, outer)
        if code != action.code:
            start = text.index(action.code, action.start)
            pieces += [text[kept:start], code]
            kept = start + len(action.code)
        if word == "end":
            scope = inner.pop() if inner else _TOP
            if branches:
                branches.pop()
        elif word == "else":
            scope = _within(code.partition("else")[2], outer)
        elif word in ("if", "with", "range", "define", "block"):
            inner.append(scope)
            branches.append(scope)
            scope = _TOP if word == "define" else _within(code, scope)
        elif assigned := _ASSIGNS.fullmatch(code):
            scope = scope._replace(variables={**scope.variables, assigned[1]: _value(assigned[2])})
    return "".join([*pieces, text[kept:]])


def _within(code: str, outer: _Scope) -> _Scope:
    """The scope inside a block that begins with this code."""
    word, _, pipeline = code.strip().partition(" ")
    assigned = _ASSIGNS.fullmatch(code) if word in ("if", "with") else None
    value = _value(assigned[2] if assigned else pipeline)
    if word == "block":
        found = _BLOCK.fullmatch(code)
        return _Scope(_value(found[1]) if found else "", MappingProxyType({}))
    if word == "range":
        names, assigns, over = pipeline.partition(":=")
        whole = _value(over if assigns else pipeline)
        each = f"{whole}.{EACH}" if whole else ""
        variables = _VARIABLE.findall(names) if assigns else []
        return _Scope(each, {**outer.variables, **dict.fromkeys(variables, ""), **dict.fromkeys(variables[-1:], each)})
    more = {assigned[1]: value} if assigned else {}
    return _Scope(value if word == "with" else outer.dot, {**outer.variables, **more})


def _value(pipeline: str) -> str:
    """The path of the value that a pipeline gives; '' for anything else. Of maps that are merged, it is that of the one that wins
    (sprig, dict.go)."""
    pipeline = " ".join(pipeline.split())  # one space at a time: it is not backtracked over
    if found := _VALUE.fullmatch(pipeline):
        return (found[1] or found[2]).removeprefix("$")
    if merged := _MERGED.match(pipeline):
        paths: list[str] = re.findall(_PATH, pipeline)
        return paths[-1 if merged[1] else 0].removeprefix("$")
    return ""


def _read(code: str, scope: _Scope) -> str:
    """The code of an action, with whole paths."""
    if scope.dot or any(scope.variables.values()):
        code = "".join(_named(part, scope, is_string=is_string) for part, is_string in _parts(code))
    if ")" in code or "index" in code or "get" in code or "dig" in code:
        for _ in range(_DEEPEST):
            before, code = code, _with_shorter_path(code)
            if code == before:
                break
    return code


def _with_shorter_path(code: str) -> str:
    """The code of an action with paths for what reads a map of values, one level of parentheses fewer at a time."""
    if ")" in code:
        code = _OR_EMPTY.sub(lambda found: found[1] or found[2], code)
    if "dig" in code:
        code = _DIG.sub(lambda found: f"{_chain(found[3], found[1])} | default {found[2]}", code)
    if "get" in code or "index" in code:
        code = _GET.sub(lambda found: _chain(found[1], found[2]), code)
        code = _GET_THEN.sub(lambda found: _chain(f"({found[1]})", found[2]), code)
    return code


def _chain(operand: str, keys: str) -> str:
    """The keys `"image" "tag"` of an operand as `….image.tag`."""
    return operand.removesuffix(".") + "".join(f".{key}" for key in re.findall(r'"([^"]*)"', keys))


def _parts(code: str) -> Iterator[tuple[str, bool]]:
    """The code of an action in pieces, each with whether it is a string."""
    at = 0
    for found in STRING.finditer(code):
        yield code[at : found.start()], False
        yield found[0], True
        at = found.end()
    yield code[at:], False


def _named(part: str, scope: _Scope, *, is_string: bool) -> str:
    """A piece of an action with paths for the dot and for variables."""
    if is_string:
        return part
    if scope.dot:
        part = _DOT.sub(scope.dot, _FIELD.sub(f"{scope.dot}.", part))
    # what is assigned keeps its name
    return _VARIABLE.sub(lambda found: _path(found, scope, part), part)


def _path(found: re.Match[str], scope: _Scope, part: str) -> str:
    is_assigned = re.match(r"\s*(?:,|:?=(?!=))", part[found.end() :])
    return found[0] if is_assigned else scope.variables.get(found[0]) or found[0]
