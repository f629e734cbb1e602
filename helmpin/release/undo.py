"""The values that helm reuses, without the digests that helm-pin put there.

Helm itself reuses the values (pkg/action/upgrade.go, reuseValues). Digests of an earlier upgrade among them would stay for ever.
Most are set anew. For the others, a values file restores what the user had given. If that is not enough, Helm gets all values,
merged as it would merge them (render/coalesce.py). A digest that somebody else has given is left alone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from helmpin.chart.setargs import lookup
from helmpin.release.record import Undo

if TYPE_CHECKING:
    from helmpin.release.previous import Previous


def restoring(previous: Previous, renewed: Iterable[tuple[str | int, ...]] = ()) -> dict[str, Any] | None:
    """The values that remove helm-pin's digests from the reused ones, except at paths that are set again. None if no values can.

    They restore what the user had given. To remove anything else would need a null, which Helm 3.22 and 4 also write into the
    stored values of the previous revision (CoalesceTables changes both tables); and a list can only be replaced whole.
    """
    paths = set(renewed)
    tree: dict[str, Any] = {}
    for entry in previous.undo:
        if entry.path in paths:
            continue
        if not entry.supplied or entry.was is None or isinstance(entry.was, (list, dict)) or _in_list(entry.path):
            return None
        node: Any = tree
        for part in entry.path[:-1]:
            node = node.setdefault(part, {})
        node[entry.path[-1]] = entry.was
    return tree


def changes_a_reused_list(previous: Previous, given: Mapping[str, Any], paths: Iterable[tuple[str | int, ...]]) -> bool:
    """Whether one of these paths goes into a list that only the reused values have: Helm cannot change such a list by index."""
    for path in paths:
        for i, part in enumerate(path):
            lists = [isinstance(lookup(values, path[:i]), list) for values in (previous.config, given)]
            if isinstance(part, int) and lists == [True, False]:
                return True
    return False


def _in_list(path: Iterable[str | int]) -> bool:
    return any(isinstance(part, int) for part in path)


def config_without_digests(previous: Previous) -> dict[str, Any]:
    """The user's values that the release stores, as they would be without helm-pin."""
    values = copy.deepcopy(dict(previous.config))
    for entry in previous.undo:
        _restore(values, entry, keep=entry.supplied)
    return values


def nulls_a_digest(previous: Previous, given: Mapping[str, Any]) -> bool:
    """Whether the user sets a key to null that is in the release's values only because helm-pin set it. Helm would drop the null
    with the key and restore the chart's default; without helm-pin it would keep the null."""
    without = config_without_digests(previous)
    return any(
        lookup(given, path) is None and _has(previous.config, path) and not _has(without, path)
        for path in _leaves(given)
    )


def comes_back(previous: Previous, whole: Mapping[str, Any], renewed: Iterable[tuple[str | int, ...]]) -> bool:
    """Whether Helm would add something to `whole`, because the reused values have it and it is not set again."""
    paths = set(renewed)
    return any(path not in paths for path in _missing(previous.config, whole))


def _missing(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str | int, ...]]:
    for key, value in old.items():
        if key not in new:
            yield from ((key, *path) for path in _leaves(value))
        elif isinstance(value, dict) and isinstance(new[key], dict):
            yield from ((key, *path) for path in _missing(value, new[key]))


def _has(node: Any, path: tuple[str | int, ...]) -> bool:
    above = lookup(node, path[:-1])
    return isinstance(above, dict) and path[-1] in above


def _leaves(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if not isinstance(node, dict) or not node:
        yield path
        return
    for key, child in node.items():
        yield from _leaves(child, (*path, key))


def with_defaults(previous: Previous, defaults: Mapping[str, Any]) -> Iterator[Undo]:
    """The same where plain helm has brought another version of the chart: its own default stands where the user's values had
    nothing. With --reuse-values, helm makes all earlier values the chart's, ours included (pkg/action/upgrade.go, reuseValues)."""
    for entry in previous.undo:
        inside = next((i for i, part in enumerate(entry.path) if isinstance(part, int)), len(entry.path))
        path = entry.path[:inside] if entry.user_depth < inside else entry.path  # a list of the chart was given whole
        default = lookup(defaults, path)
        is_ours = default is not None and default == lookup(previous.config, path)
        yield entry if entry.supplied or is_ours else Undo(path, default, False, entry.user_depth)


def with_null_default(values: Mapping[str, Any], entry: Undo, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """A revision's computed values without a digest, with the null that its chart has there. Helm 3 computes it, too: it takes the
    default of a subchart away (pkg/chartutil/coalesce.go)."""
    out = copy.deepcopy(dict(values))
    for depth in range(entry.user_depth, len(entry.path)):
        key, outer, beside = entry.path[depth], lookup(defaults, entry.path[:depth]), lookup(out, entry.path[:depth])
        is_null = isinstance(outer, dict) and key in outer and outer[key] is None
        if is_null and isinstance(beside, dict) and not beside.get(key):
            beside[key] = None
    return out


def without_digests(values: Mapping[str, Any], undo: Iterable[Undo]) -> dict[str, Any]:
    """A revision's computed values, with the chart's defaults, without helm-pin's digests. A map that is empty then stays: it may
    be the chart's, whose templates read in it."""
    out = copy.deepcopy(dict(values))
    for entry in undo:
        _restore(out, entry, keep=True, prunes=False)
    return out


def _restore(tree: dict[str, Any], entry: Undo, *, keep: bool, prunes: bool = True) -> None:
    """Restore what stood at a path. With keep=False, or if nothing stood there, remove it; with `prunes`, also the maps that
    helm-pin created."""
    path = entry.path
    inside = next((i for i, part in enumerate(path) if isinstance(part, int)), 0)
    if not keep and entry.user_depth < inside:
        path = path[:inside]  # a list of the chart, which was given whole
    trail: list[Any] = [tree]
    for part in path[:-1]:
        child = lookup(trail[-1], (part,))
        if not isinstance(child, (dict, list)):
            return
        trail.append(child)
    if keep and entry.was is not None:
        trail[-1][path[-1]] = entry.was
        return
    if isinstance(trail[-1], dict):
        trail[-1].pop(path[-1], None)
    for i in range(len(trail) - 1, entry.user_depth, -1) if prunes else ():
        if trail[i] == {} and isinstance(trail[i - 1], dict):
            del trail[i - 1][path[i - 1]]
