"""Writing values as helm's --set arguments, so that helm reads back exactly what was meant.

The grammar is Helm's own (pkg/strvals/parser.go): in a key `=` `[` `,` `.` end a part and `\\` takes the next character as it
is; in a value `,` ends it and a leading `{` starts a list. `--set-json` values are plain JSON.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Path = tuple[str | int, ...]


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
    by that one element.
    """
    scalars: dict[str, str] = {}
    lists: dict[Path, list[Any]] = {}
    for path, value in settings:
        index = next((i for i, part in enumerate(path) if isinstance(part, int)), None)
        if index is None:
            scalars[key(path)] = value
            continue
        whole = path[:index]
        changed = lists.setdefault(whole, copy.deepcopy(lookup(values, whole)))
        parent = lookup(changed, path[index:-1])
        parent[path[-1]] = value
    out: list[str] = []
    for path in sorted(lists, key=key):
        out += ["--set-json", f"{key(path)}={json.dumps(lists[path], separators=(',', ':'))}"]
    for name in sorted(scalars):
        out += ["--set-string", f"{name}={text(scalars[name])}"]
    return out


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
