"""Writing values as helm's --set arguments, so that helm reads back exactly what was meant.

The grammar is Helm's own (pkg/strvals/parser.go): in a key `=` `[` `,` `.` end a part and `\\` escapes the next character; in a
value `,` ends it and a leading `{` starts a list. `--set-json` values are plain JSON. Helm 4 takes an argument that begins with `{`
for JSON as a whole, so a key has it escaped. An element of a list that the user gives is set by its index. What no key can express
(an element of the chart's own list, since helm would replace the list by that element; an empty key, NUL, more than 30 levels) is
set by giving the map or list above it whole, as JSON.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from helmpin.named_tuple import NamedTuple

ValuePath = tuple[str | int, ...]
MAX_LEVELS = 30
"""How deep a --set key may go (strvals.MaxNestedNameLevel)."""

MAX_INDEX = 65536
"""The greatest index of a list that a --set key may have (strvals.MaxIndex)."""
LONGEST = 100_000
"""Bytes of JSON in one argument: Linux takes 128 KiB (execve(2), MAX_ARG_STRLEN)."""


class Setting(NamedTuple):
    """One scalar to set: where in the values, and the text to put there."""

    path: ValuePath
    value: str


def dotted_key(path: ValuePath) -> str:
    """A value path as --set writes it: `a.b\\.c.list[0]`."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        else:
            out += ("." if out else "") + "".join("\\" + c if c in "\\=[],.{" else c for c in part)
    return out


def text(value: str) -> str:
    """A string as the value of --set-string."""
    escaped = value.replace("\\", "\\\\").replace(",", "\\,")
    return "\\" + escaped if escaped.startswith("{") else escaped


def arguments(
    settings: Iterable[Setting], values: Mapping[str, Any], given: Mapping[str, Any] = MappingProxyType({})
) -> list[str]:
    """The arguments that apply `settings` to `values` (helm's computed values).

    given: the user's own values, whose lists are changed by index and never repeated.
    Raises ValueError for a path that no argument can reach (see `reaches`).
    """
    scalars: dict[str, str] = {}
    wholes: dict[ValuePath, Any] = {}
    for path, value in settings:
        level = writable(path, given)
        if not level:
            raise ValueError(f"helm has no --set for the key {path[0]!r}")
        if level < len(path):
            whole = path[:level]
            if whole not in wholes:
                found = copy.deepcopy(lookup(values, whole))
                wholes[whole] = {} if found is None else found
            _put(wholes[whole], path[level:], value)
        elif "\0" in value:
            wholes[path] = value
        else:
            scalars[dotted_key(path)] = value
    out: list[str] = []
    for path in sorted(wholes, key=dotted_key):  # an outer value comes before what is inside it
        for name, value in _pieces(dotted_key(path), wholes[path]):
            out += ["--set-json", f"{name}={value}"]
    for name in sorted(scalars):
        out += ["--set-string", f"{name}={text(scalars[name])}"]
    return out


def _put(node: Any, path: ValuePath, value: str) -> None:
    """Put a value into others, with the maps that are not there on the way."""
    for part in path[:-1]:
        if not isinstance(part, int) and node.get(part) is None:
            node[part] = {}
        node = node[part]
    node[path[-1]] = value


def _pieces(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """A value as JSON; a list that is too long for one argument as an empty one and its elements."""
    whole = json.dumps(value, separators=(",", ":"))
    if len(whole) < LONGEST or not isinstance(value, list):
        yield name, whole
        return
    yield name, "[]"
    for i, item in enumerate(value):
        yield from _pieces(f"{name}[{i}]", item)


def reaches(path: ValuePath) -> bool:
    """Whether `arguments` can set it: the first key can be written. (helm drops `--set =x` without a word.)"""
    return bool(path) and isinstance(path[0], str) and _is_key(path[0])


def writable(path: ValuePath, given: Mapping[str, Any]) -> int:
    """How many leading parts of a path a key can express."""
    for i, part in enumerate(path[:MAX_LEVELS]):
        if isinstance(part, int):
            items = lookup(given, path[:i])
            if not (isinstance(items, list) and part < len(items) and part <= MAX_INDEX):
                return i
        elif not _is_key(part):
            return i
    return min(len(path), MAX_LEVELS)


def _is_key(part: str) -> bool:
    """Whether a key can be written: not an empty one, nor one with a null byte."""
    return bool(part) and "\0" not in part


def as_tree(settings: Iterable[tuple[ValuePath, Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values with their paths (settings, for example) as a tree, for a values file; lists are whole, as helm replaces them."""
    tree: dict[str, Any] = {}
    for path, value in settings:
        node: Any = tree
        for i, part in enumerate(path[:-1]):
            if isinstance(path[i + 1], int) and not isinstance(part, int) and part not in node:
                node[part] = copy.deepcopy(lookup(values, path[: i + 1]))
            node = node[part] if isinstance(part, int) else node.setdefault(part, {})
        node[path[-1]] = value
    return tree


def lookup(node: Any, path: ValuePath) -> Any:
    """The value at `path`; None where there is none."""
    for part in path:
        if isinstance(node, str):
            return None
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            return None
    return node
