"""The values of the release that an upgrade starts from, without the digests that helm-pin put in then.

helm upgrade reuses the old release's values with --reuse-values or --reset-then-reuse-values, and also when the user gives no
values at all (pkg/action/upgrade.go, reuseValues). helm-pin adds values of its own, so it must hand helm the old ones itself;
and it must take the old digests out of them, or they would stick for ever.
"""

from __future__ import annotations

import copy
import json
from typing import Any, NamedTuple

from helmpin.errors import HelmFailed
from helmpin.helm import Helm, Running
from helmpin.pin.digestset import ANNOTATION, Undo, parse


class Previous(NamedTuple):
    """What the last deployed revision was given. `computed` is read only when asked for: all values, defaults included."""

    revision: int
    config: dict[str, Any]
    undo: tuple[Undo, ...]


class Reading:
    """Reading the release has been started; `result()` waits for it. Two helm runs at once."""

    def __init__(self, helm: Helm, release: str) -> None:
        self._helm, self._release = helm, release
        self._metadata = helm.start(["get", "metadata", release, "-o", "json"])
        self._config = helm.start(["get", "values", release, "-o", "json"])

    def result(self) -> Previous | None:
        """The release that helm upgrade would start from, or None when there is no such release. Raises HelmFailed."""
        metadata, config = _or_none(self._metadata), _or_none(self._config)
        if metadata is None or config is None:
            return None
        if metadata.get("status") != "deployed":
            deployed = self._last_deployed()
            if deployed is not None and deployed != metadata.get("revision"):
                at = ["--revision", str(deployed), "-o", "json"]
                running = [self._helm.start(["get", what, self._release, *at]) for what in ("metadata", "values")]
                metadata, config = (json.loads(r.output()) or {} for r in running)
        text = (metadata.get("annotations") or {}).get(ANNOTATION)
        revision = int(metadata.get("revision") or metadata.get("version") or 0)
        undo = parse(text, f"release {self._release}, revision {revision}").undo if text else ()
        return Previous(revision, config, undo)

    def _last_deployed(self) -> int | None:
        rows = json.loads(self._helm.run(["history", self._release, "-o", "json"]))
        return max((int(row["revision"]) for row in rows if row.get("status") == "deployed"), default=None)


def computed(helm: Helm, release: str, previous: Previous) -> dict[str, Any]:
    """All values of the previous revision, its chart's defaults included, as they were before helm-pin's digests."""
    values = (
        json.loads(helm.run(["get", "values", release, "--all", "--revision", str(previous.revision), "-o", "json"]))
        or {}
    )
    return restored(values, previous.undo, defaults=True)


def restored(values: dict[str, Any], undo: tuple[Undo, ...], *, defaults: bool) -> dict[str, Any]:
    """A copy of `values` with what stood at the injected paths before: the user's own value, or (with `defaults`) the chart's."""
    out = copy.deepcopy(values)
    for entry in undo:
        keep = entry.supplied or defaults
        _put(out, entry.path, entry.was) if keep and entry.was is not None else _drop(out, entry.path)
    return out


def _put(tree: Any, path: tuple[str | int, ...], value: Any) -> None:
    for part in path[:-1]:
        tree = tree.setdefault(part, {}) if isinstance(tree, dict) else tree[part]
    tree[path[-1]] = value


def _drop(tree: Any, path: tuple[str | int, ...]) -> None:
    """Remove a value, and the maps that it leaves empty."""
    trail = []
    for part in path[:-1]:
        if not (isinstance(tree, dict) and part in tree):
            return
        trail.append((tree, part))
        tree = tree[part]
    if isinstance(tree, dict):
        tree.pop(path[-1], None)
    for parent, part in reversed(trail):
        if parent[part] == {}:
            del parent[part]


def _or_none(running: Running) -> dict[str, Any] | None:
    try:
        loaded = json.loads(running.output())
    except HelmFailed as error:
        if "not found" in error.why:
            return None
        raise
    return loaded or {}
