"""Changing values in a values file and keeping every other byte."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any

import yaml

from helmpin import kube_yaml
from helmpin.chart.setargs import Setting, ValuePath, dotted_key, lookup
from helmpin.chart.value_keys import PART_KEY
from helmpin.errors import HelmFailed
from helmpin.yaml_position import child, compose, index, span

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./@-]*")
"""What needs no quotes, even in a flow map (where go-yaml reads a colon as the end of a key)."""
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")
_MERGE = "tag:yaml.org,2002:merge"
_MERGED = re.compile(r"[ \t]*:[ \t]*(?:\*[^\s,\[\]{}]+|\[[^\n\[\]]*\])[ \t]*(?:#.*)?$", re.MULTILINE)
"""What follows the key of a merge that ends on its line."""


class CannotEdit(Exception):
    """Why a file cannot be changed."""


def with_settings(text: str, settings: Iterable[Setting], own: Collection[Setting] = ()) -> str:
    """The text of a values file with these values in it. own: those that get a key of their own where a map has it from a merge
    (`<<`). Raises CannotEdit if anything else would be read differently."""
    if text.startswith("\ufeff"):  # a byte order mark, which no position counts
        return text[0] + with_settings(text[1:], settings, own)
    wanted = _read(text)
    aliases: list[Setting] = []
    for path, value in settings:
        wanted = _with(wanted, path, value)
        is_own = Setting(path, value) in own
        if not is_own and (at := span(text, path)) and at.is_alias:
            aliases.append(Setting(path, value))
        else:
            text = _edited(text, path, value, follows=not is_own)
    for path, value in aliases:  # each may have its value now, through its anchor
        if lookup(_read(text), path) != value:
            raise CannotEdit(f"{dotted_key(path)} is an alias")
    if _read(text) != wanted:
        raise CannotEdit("other values would change too: an alias or a merge shares them")
    return text


def written(text: str, bundles: Sequence[Sequence[Setting]]) -> tuple[str, list[str]]:
    """The text with all the values that can be written; and for each bundle why it cannot be ('' if it can). The settings of a
    bundle are written together or not at all."""
    why_not = ["" for _ in bundles]
    with suppress(CannotEdit):  # the usual case
        return with_settings(text, [setting for bundle in bundles for setting in bundle]), why_not
    for number, bundle in enumerate(bundles):
        try:
            text = with_settings(text, bundle)
        except CannotEdit as error:
            why_not[number] = str(error)
    # values that share an anchor can only change together
    for value in dict.fromkeys(s.value for bundle in bundles for s in bundle):
        together = [n for n, bundle in enumerate(bundles) if why_not[n] and any(s.value == value for s in bundle)]
        if together:
            with suppress(CannotEdit):
                text = with_settings(text, [s for n in together for s in bundles[n]])
                why_not = ["" if n in together else why for n, why in enumerate(why_not)]
    # where a merge shares a value that only some of the maps want, those get it as a key of their own
    for number, bundle in enumerate(bundles):
        if why_not[number]:
            with suppress(CannotEdit):
                text = with_settings(text, bundle, bundle)
                why_not[number] = ""
    return text, why_not


def depth_of(text: str, path: ValuePath) -> int:
    """How many leading parts of a path exist in a text."""
    try:
        return _deepest(text, path)[1]
    except CannotEdit:
        return 0


def _read(text: str) -> Any:
    try:
        first, *others = kube_yaml.read_all(text, what="not YAML", where="") or [None]
    except HelmFailed as error:
        raise CannotEdit(error.why) from None
    if any(other is not None for other in others):  # Helm 4 merges them, Helm 3 reads the first
        raise CannotEdit("it holds several YAML documents")
    return first or {}


def _with(node: Any, path: ValuePath, value: str) -> Any:
    """`node` with one value set; missing parents become maps."""
    if not path:
        return value
    part, rest = path[0], path[1:]
    if isinstance(part, int):
        if not isinstance(node, list) or part >= len(node):
            raise CannotEdit(f"there is no element {part} in the list")
        return [*node[:part], _with(node[part], rest, value), *node[part + 1 :]]
    if node is not None and not isinstance(node, dict):
        raise CannotEdit(f"{part} is below something that is not a map")
    return {**(node or {}), part: _with((node or {}).get(part), rest, value)}


def _edited(text: str, path: ValuePath, value: str, *, follows: bool) -> str:
    """The text with a value in it. follows: whether a merge leads to the key that it is read from."""
    found, depth = _deepest(text, path, follows=follows)
    rest = path[depth:]
    if found is None:
        newline = "" if not text or text.endswith("\n") else _newline(text)
        return text + newline + "\n".join(_block(rest, value, 0)).replace("\n", _newline(text)) + _newline(text)
    if isinstance(found, yaml.MappingNode) and not (depth or found.value or found.start_mark.column):
        block = _newline(text).join(_block(rest, value, 0))  # a file of `{}`, which says no more than an empty one
        return text[: index(found.start_mark)] + block + text[index(found.end_mark) :]
    quote = _quote(text, path)
    if isinstance(found, yaml.ScalarNode):
        return _replaced(text, path[:depth], _flow(rest, value, quote) if rest else "", value, quote)
    if isinstance(found, yaml.MappingNode) and rest and isinstance(rest[0], str):
        return _inserted(text, found, rest, value, quote)
    raise CannotEdit(f"{dotted_key(path)} cannot be written there")


def _deepest(text: str, path: ValuePath, *, follows: bool = True) -> tuple[yaml.Node | None, int]:
    """The deepest node on the way to a path, and how many parts lead to it. follows: whether merges count."""
    try:
        node = compose(text)
    except yaml.YAMLError as error:
        raise CannotEdit(str(error)) from None
    depth = 0
    for part in path:
        below = child(node, part)
        if below is None or not (follows or _has(node, below)):
            break
        node, depth = below[1], depth + 1
    if depth == 0 and isinstance(node, yaml.ScalarNode) and not node.value:
        return None, 0  # `---` or comments alone
    return node, depth


def _has(node: yaml.Node | None, below: tuple[yaml.Node | None, yaml.Node]) -> bool:
    """Whether a key and its value are a map's own, not from a merge; or an element is a list's."""
    return below[0] is None or (isinstance(node, yaml.MappingNode) and below in node.value)


def _quote(text: str, path: ValuePath) -> str:
    """The quotes of keys at the end of a path: those of JSON, or of the innermost flow map on the way that has keys."""
    with suppress(ValueError):
        json.loads(text)
        return '"'
    quote, node = "", compose(text)
    for part in path:
        if isinstance(node, yaml.MappingNode) and node.flow_style and node.value:
            quote = node.value[0][0].style or ""
        below = child(node, part)
        node = below[1] if below else None
    return quote


def _replaced(text: str, path: ValuePath, flow: str, value: str, quote: str) -> str:
    """The text with a scalar replaced, in its own style, or with the quotes of the surrounding keys if it has none. flow: a map to
    write instead of `value`."""
    at = span(text, path)
    if at is None or at.is_alias:
        raise CannotEdit(f"{dotted_key(path)} is an alias")
    properties = _PROPERTIES.match(text, at.start, at.end)
    start = properties.end() if properties else at.start
    old = text[start : at.end]
    new = flow or _scalar(value, old[:1] if old[:1] in ("'", '"') else quote)
    if old[:1] in ("|", ">"):
        if "#" in old.partition("\n")[0]:
            raise CannotEdit(f"{dotted_key(path)} is a block scalar with a comment")
        return text[:start] + new + old[len(old.rstrip()) :] + text[at.end :]
    if old:
        return text[:start] + new + text[at.end :]
    space = "" if start and text[start - 1].isspace() else " "
    return f"{text[:start]}{space}{new}{text[at.end :]}"


def _inserted(text: str, node: yaml.MappingNode, rest: ValuePath, value: str, quote: str) -> str:
    """The text with another key in a map: beside the parts of an image, and after the merges, which Helm lets replace the keys that
    stand before them (go-yaml 2)."""
    if node.flow_style:
        start = text.index("{", index(node.start_mark)) + 1
        pair = _flow(rest, value, quote)[1:-1]
        if not node.value:
            return text[:start] + pair + text[start:]
        if any(k.tag == _MERGE for k, _ in node.value):
            end = len(text[: index(node.end_mark) - 1].rstrip())
            comma = " " if text[end - 1] == "," else ", "
            return text[:end] + comma + pair + text[end:]
        space = text[start : index(node.value[0][0].start_mark)]
        first, comma = (space, f",{space}") if space.isspace() else ("", ", ")
        return text[:start] + first + pair + comma + text[start + len(first) :]
    newline = _newline(text)
    column = int(node.value[0][0].start_mark.column)
    block = _block(rest, value, column)
    lines = [
        (bool(PART_KEY.search(str(k.value))), i, index(v.end_mark))
        for i, (k, v) in enumerate(node.value)
        if isinstance(v, yaml.ScalarNode)
        and k.start_mark.line == v.start_mark.line == v.end_mark.line
        and k.start_mark.column == column
    ]
    merges = [(False, i, index(k.end_mark)) for i, (k, _) in enumerate(node.value) if k.tag == _MERGE]
    if merges and _MERGED.match(text, merges[-1][2]):
        lines = [merges[-1], *(line for line in lines if line[1] > merges[-1][1])]
    if not lines:  # before the first key
        start = index(node.value[0][0].start_mark)
        return f"{text[:start]}{newline.join(block).lstrip(' ')}{newline}{' ' * column}{text[start:]}"
    end = text.find("\n", max(lines)[2])
    if end < 0:
        return text + newline + newline.join(block) + newline
    return text[: end + 1] + newline.join(block) + newline + text[end + 1 :]


def _block(path: ValuePath, value: str, column: int) -> list[str]:
    """`key:` lines for the parts of a path, with the value in the last one."""
    if not all(isinstance(part, str) for part in path):
        raise CannotEdit("there is no such list")
    lines = [f"{' ' * (column + 2 * depth)}{_scalar(str(part))}:" for depth, part in enumerate(path)]
    return [*lines[:-1], f"{lines[-1]} {_scalar(value)}"]


def _flow(path: ValuePath, value: str, quote: str) -> str:
    out = _scalar(value, quote)
    for part in reversed(path):
        if not isinstance(part, str):
            raise CannotEdit("there is no such list")
        out = f"{{{_scalar(part, quote)}: {out}}}"
    return out


def _scalar(value: str, quote: str = "") -> str:
    """A string as YAML, in these quotes if possible."""
    if quote == "'" and "'" not in value and value.isprintable():
        return f"'{value}'"
    if quote != '"' and _PLAIN.fullmatch(value) and kube_yaml.plain(value) == value:
        return value
    return json.dumps(value)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
