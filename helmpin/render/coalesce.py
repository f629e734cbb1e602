"""How helm merges values that it reuses with new ones. The one place where helm-pin has to do it itself: Helm cannot be made to
leave out a part of the reused ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def coalesced(new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """New values over the release's, as helm coalesces them (pkg/chart/common/util/coalesce.go, CoalesceTables)."""
    out = dict(new)
    for key, value in old.items():
        if key not in out:
            out[key] = value
        elif out[key] is None and value is not None:
            del out[key]
        elif isinstance(value, dict) and isinstance(out[key], dict):
            out[key] = coalesced(out[key], value)
    return out


def with_nulls(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The values with the nulls that the user gives. Helm removes these keys when it merges the reused values in, and from the
    stored values of the previous revision too."""
    out = dict(values)
    for key, value in given.items():
        if value is None:
            out[key] = None
        elif isinstance(value, dict):
            out[key] = with_nulls(out[key] if isinstance(out.get(key), dict) else {}, value)
    return out


def without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without the keys that are null. A null over a null would remove it."""
    return {
        key: without_nulls(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value is not None
    }


def holds_list(node: Any) -> bool:
    """Whether values hold a list."""
    return isinstance(node, list) or (isinstance(node, dict) and any(map(holds_list, node.values())))


def holds_null(node: Any) -> bool:
    """Whether values hold a null."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return node is None or any(map(holds_null, children))
