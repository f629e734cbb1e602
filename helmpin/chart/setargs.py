"""Writing values as helm's --set arguments, so that helm reads back exactly what was meant.

The grammar is Helm's own (pkg/strvals/parser.go): in a key `=` `[` `,` `.` end a part and `\\` takes the next character as it
is; in a value `,` ends it and a leading `{` starts a list. `--set-json` values are plain JSON. What no key can say (the
element of a list, an empty key, NUL, more than 30 levels) is set by giving the map or list above it whole, as JSON.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

Path = tuple[str | int, ...]
MAX_LEVELS = 30
"""How deep a --set key may go (strvals.MaxNestedNameLevel)."""

LONGEST = 100_000
"""Bytes of JSON in one argument: Linux takes 128 KiB (execve(2), MAX_ARG_STRLEN)."""


class Setting(NamedTuple):
    """One scalar to set: where in the values, and the text to put there."""

    path: Path
    value: str


def key(path: Path) -> str:
    """A value path as --set writes it: `a.b\\.c.list[0]`."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        else:
            out += ("." if out else "") + "".join("\\" + c if c in "\\=[],." else c for c in part)
    return out


def text(value: str) -> str:
    """A string as the value of --set-string."""
    escaped = value.replace("\\", "\\\\").replace(",", "\\,")
    return "\\" + escaped if escaped.startswith("{") else escaped


def arguments(settings: Iterable[Setting], values: Mapping[str, Any]) -> list[str]:
    """The arguments that make `settings` true over `values` (helm's computed values).

    A list is set whole, with its elements changed: `--set list[0].x=` over a chart's default would replace the whole list
    by that one element. Raises ValueError for a path that no argument can reach (see `reaches`).
    """
    scalars: dict[str, str] = {}
    wholes: dict[Path, Any] = {}
    for path, value in settings:
        level = _writable(path)
        if not level:
            raise ValueError(f"helm has no --set for the key {path[0]!r}")
        if level < len(path):
            whole = path[:level]
            if whole not in wholes:
                wholes[whole] = copy.deepcopy(lookup(values, whole))
            lookup(wholes[whole], path[level:-1])[path[-1]] = value
        elif "\0" in value:
            wholes[path] = value
        else:
            scalars[key(path)] = value
    out: list[str] = []
    for path in sorted(wholes, key=key):  # what is above comes before what is in it
        for name, value in _pieces(key(path), wholes[path]):
            out += ["--set-json", f"{name}={value}"]
    for name in sorted(scalars):
        out += ["--set-string", f"{name}={text(scalars[name])}"]
    return out


def _pieces(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """A value as JSON; a list that is too long for one argument as an empty one and its elements."""
    whole = json.dumps(value, separators=(",", ":"))
    if len(whole) < LONGEST or not isinstance(value, list):
        yield name, whole
        return
    yield name, "[]"
    for i, item in enumerate(value):
        yield from _pieces(f"{name}[{i}]", item)


def reaches(path: Path) -> bool:
    """Whether `arguments` can set it: the first key can be written. (helm drops `--set =x` without a word.)"""
    return _writable(path) > 0


def _writable(path: Path) -> int:
    """How many of the leading parts a key can say."""
    unsaid = (i for i, part in enumerate(path) if isinstance(part, int) or not part or "\0" in part)
    return min(next(unsaid, len(path)), MAX_LEVELS)


def as_tree(settings: Iterable[Setting], values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as a tree of values, for a values file; lists are whole, as in `arguments`."""
    tree: dict[str, Any] = {}
    for path, value in settings:
        node: Any = tree
        for i, part in enumerate(path[:-1]):
            if isinstance(path[i + 1], int) and not isinstance(part, int) and part not in node:
                node[part] = copy.deepcopy(lookup(values, path[: i + 1]))
            node = node[part] if isinstance(part, int) else node.setdefault(part, {})
        node[path[-1]] = value
    return tree


def lookup(node: Any, path: Path) -> Any:
    """The value at `path`; None where there is none."""
    for part in path:
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            return None
    return node
