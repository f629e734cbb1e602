"""Setting one annotation in a Chart.yaml by editing its text, so that every other byte of it stays.

The YAML parser gives the position to edit. The result is parsed again, and must differ in that one key only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml

from helmpin import kube_yaml, yaml_position
from helmpin.errors import HelmFailed

_FAILED = "the chart's Chart.yaml cannot be annotated"
_PLAIN = re.compile(r"annotations|[A-Za-z][\w.-]*/[\w./-]+")
"""What needs no quotes: it cannot be read as null, a number or a boolean."""


def annotate(text: str, key: str, value: str) -> str:
    """`text` (a Chart.yaml) with annotations[key] set to `value` in its first YAML document, the one that helm reads.

    Raises HelmFailed when the text is not a YAML mapping, or cannot be edited safely.
    """
    bom = "\ufeff" if text.startswith("\ufeff") else ""
    body = text.removeprefix("\ufeff")
    before = _read(body)
    edited = _edit(body, key, value)
    name = _annotations_of(before)
    before[name] = {**(before.get(name) or {}), key: value}
    if _read(edited) != before:
        raise _refuse("its `annotations` are written in a way that cannot be edited safely")
    return bom + edited


def _read(text: str) -> dict[str, Any]:
    loaded = kube_yaml.read_first(text, what=_FAILED, where="Chart.yaml")
    if not isinstance(loaded, dict):
        raise _refuse("it is not a YAML mapping")
    return loaded


def _annotations_of(keys: Iterable[str]) -> str:
    """Which of the keys of a Chart.yaml helm takes for `annotations`: it ignores their case (encoding/json)."""
    return next((key for key in sorted(keys, reverse=True) if key.lower() == "annotations"), "annotations")


def _refuse(why: str) -> HelmFailed:
    return HelmFailed(
        _FAILED,
        where="Chart.yaml",
        why=why,
        hint="write `annotations:` as a plain YAML block mapping",
    )


def _edit(text: str, key: str, value: str) -> str:
    root: Any = yaml_position.compose(text)
    if not isinstance(root, yaml.MappingNode) or not root.value:
        raise _refuse("it is not a YAML mapping")
    called = _annotations_of(k.value for k, _ in root.value if isinstance(k, yaml.ScalarNode))
    found = [(k, v) for k, v in root.value if k.value == called]
    if not found:
        return _insert(text, root, "annotations", None, key, value)
    name, node = found[-1]  # of a key given twice, the last counts
    start, end = node.start_mark.index, node.end_mark.index
    pair = f"{_quoted(key)}: {_quoted(value)}"
    if start < name.end_mark.index:  # an alias: the node is where its anchor is
        alias = re.compile(r"\s*:\s*(\*[^\s,\]}]+)").match(text, name.end_mark.index)
        if not alias:
            raise _refuse("its `annotations` are written in a way that cannot be edited safely")
        return f"{text[: alias.start(1)]}{{<<: {alias[1]} , {pair}}}{text[alias.end(1) :]}"
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
        space = " " if text[start - 1 : start] == ":" else ""
        return f"{text[:start]}{space}{{{pair}}}{text[end:]}"
    if not isinstance(node, yaml.MappingNode):
        raise _refuse("its `annotations` are not a mapping")
    for k, v in reversed(node.value):
        if k.value == key:
            start = v.start_mark.index
            end = start + len(text[start : v.end_mark.index].rstrip())
            return f"{text[:start]}{_quoted(value)}{text[end:]}"
    if not node.value:
        return f"{text[: end - 1]}{pair}{text[end - 1 :]}"
    return _insert(text, node, key, value)


def _insert(text: str, node: yaml.MappingNode, *path_and_value: str | None) -> str:
    """`text` with a new first entry in the mapping `node`: (key, value), or (key, None, inner key, value)."""
    first = node.value[0][0].start_mark
    key, value, *inner = (None if part is None else _quoted(part) for part in path_and_value)
    if node.flow_style:
        entry = f"{key}: {value}" if not inner else f"{key}: {{{inner[0]}: {inner[1]}}}"
        return f"{text[: first.index]}{entry}, {text[first.index :]}"
    line = "\r\n" if "\r\n" in text else "\n"
    indent = line + " " * first.column
    entry = f"{key}: {value}" if not inner else f"{key}:{indent}  {inner[0]}: {inner[1]}"
    return f"{text[: first.index]}{entry}{indent}{text[first.index :]}"


def _quoted(text: str) -> str:
    """`text` as a YAML scalar on one line, in block and in flow style."""
    import json

    if _PLAIN.fullmatch(text):
        return text
    return "'" + text.replace("'", "''") + "'" if text.isprintable() else json.dumps(text)
