"""Keys that a chart declares without a value: `digest: null`, or `digest:`. Helm drops them from its values, but templates read
them, and they can be set."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from helmpin.chart.setargs import ValuePath
from helmpin.chart.value_keys import DIGEST_KEY, TAG_KEY
from helmpin.errors import HelmFailed

if TYPE_CHECKING:
    from helmpin.chart.stage import Chart

_EMPTY = re.compile(r":[ \t]*(?:null|~)?[ \t]*(?:[,}#\r]|$)", re.MULTILINE)
_PART = re.compile(r"(?:tag|version|digest|sha_?256|sha|hash)[\"']?\Z", re.IGNORECASE)
"""A first look at the end of a key, and at what follows it, that finds too much: a map may follow."""


def with_declared(values: Mapping[str, Any], chart: Chart) -> Mapping[str, Any]:
    """Helm's computed values, with null at the keys for tags and digests that the chart and its subcharts declare so, in the maps
    that are still there."""
    for path in _declared(chart):
        values = _with_null(values, path)
    return values


def look_ahead(chart: Chart) -> None:
    """Find these keys while helm renders: what is found in a values.yaml is cached."""
    for _ in _declared(chart):
        pass


def _declared(chart: Chart) -> Iterator[ValuePath]:
    """The paths of these keys."""
    for _, prefix, text in chart.values_files():
        for path in _in_file(text):
            if not (prefix and path[0] == "global"):  # helm puts there what the outer chart has
                yield (*prefix, *path)


@lru_cache(maxsize=256)
def _in_file(text: str) -> tuple[ValuePath, ...]:
    may_be = any(_PART.search(text, max(0, each.start() - 8), each.start()) for each in _EMPTY.finditer(text))
    return tuple(_nulls(_read(text), ())) if may_be else ()


def _read(text: str) -> Any:
    """A values.yaml; None for one that only helm can read."""
    from helmpin import kube_yaml

    try:
        return kube_yaml.read_first(text, what="values.yaml cannot be read", where="values.yaml")
    except HelmFailed:
        return None


def _nulls(node: Any, path: ValuePath) -> Iterator[ValuePath]:
    for key, child in node.items() if isinstance(node, dict) else ():
        if isinstance(child, dict):
            yield from _nulls(child, (*path, key))
        elif child is None and (DIGEST_KEY.search(key) or TAG_KEY.search(key)):
            yield (*path, key)


def _with_null(node: Any, path: ValuePath) -> Any:
    """A map with null at a path, unless something is there, or its map is not."""
    key, *rest = path
    if not isinstance(node, Mapping):
        return node
    if not rest:
        return node if key in node else {**node, key: None}
    changed = _with_null(node.get(key), tuple(rest))
    return node if changed is node.get(key) else {**node, key: changed}
