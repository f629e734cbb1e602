"""Keys that a chart declares without a value: `digest: null`, or `digest:`. Helm drops them from its values, but templates read
them, and they can be set.

A null for a subchart's default takes that away. Helm 4 applies it only if the user gives the subchart any value
(github.com/helm/helm, pkg/chart/common/util/coalesce.go), so that to set an image would take the default away, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from helmpin.chart.setargs import Json, Setting, ValuePath, lookup, reaches
from helmpin.errors import HelmFailed
from helmpin.plan.value_keys import DIGEST_KEY, TAG_KEY

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


def overridden_nulls(values: Mapping[str, Any], kept: Mapping[str, Any], chart: Chart) -> Iterator[Setting]:
    """What keeps the defaults of subcharts that are in Helm's computed values although a chart around them has null there. kept:
    values of the user, which may be the same; they must not be on a command line."""
    charts = {prefix for _, prefix, _ in chart.values_files()}
    for _, prefix, text in chart.values_files():
        inner = [each for each in charts if len(each) > len(prefix) and each[: len(prefix)] == prefix]
        for path in _nulls(_read(text), prefix, lambda _: True) if inner else ():
            held = lookup(values, path)
            is_default = held is not None and lookup(kept, path) is None
            if is_default and reaches(path) and any(path[: len(each)] == each for each in inner):
                yield Setting(path, Json.of(held))


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
    return tuple(_nulls(_read(text), (), _is_part)) if may_be else ()


def _read(text: str) -> Any:
    """A values.yaml; None for one that only helm can read."""
    from helmpin import kube_yaml

    try:
        return kube_yaml.read_first(text, what="values.yaml cannot be read", where="values.yaml")
    except HelmFailed:
        return None


def _nulls(node: Any, path: ValuePath, counts: Callable[[str], object]) -> Iterator[ValuePath]:
    for key, child in node.items() if isinstance(node, dict) else ():
        if isinstance(child, dict):
            yield from _nulls(child, (*path, key), counts)
        elif child is None and counts(key):
            yield (*path, key)


def _is_part(key: str) -> bool:
    return bool(DIGEST_KEY.search(key) or TAG_KEY.search(key))


def _with_null(node: Any, path: ValuePath) -> Any:
    """A map with null at a path, unless something is there, or its map is not."""
    key, *rest = path
    if not isinstance(node, Mapping):
        return node
    if not rest:
        return node if key in node else {**node, key: None}
    changed = _with_null(node.get(key), tuple(rest))
    return node if changed is node.get(key) else {**node, key: changed}
