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

_ASKED = (
    '{{ define "value" }}{{ $type := printf "%T" . -}}'
    '{{ if eq $type "string" }}"{{ printf "%x" . }}"'
    '{{ else if eq $type "map[string]interface {}" -}}'
    '{"map": [{{ range $key, $value := . }}["{{ printf "%x" $key }}", {{ template "value" $value }}], {{ end }}null]}'
    '{{ else if eq $type "[]interface {}" }}[{{ range . }}{{ template "value" . }}, {{ end }}null]'
    '{{ else if eq $type "<nil>" }}null'
    "{{ else }}{{ . }}{{ end }}{{ end -}}"
    '[{{ .Release.Version }}, "{{ .Release.Info.Status }}", '
    f'{{{{ template "value" index .Release.Chart.Metadata.Annotations "{ANNOTATION}" }}}}, '
    '{{ if .Release.Config }}{{ template "value" .Release.Config }}{{ else }}null{{ end }}]'
)
"""Revision, status, record and values as JSON, in one helm run: `helm get all --template` has no functions beyond Go's own
(text/template, Functions), so strings go in hexadecimal."""


class Previous(NamedTuple):
    """What the last deployed revision was given. `computed` is read only when asked for: all values, defaults included."""

    revision: int
    config: dict[str, Any]
    undo: tuple[Undo, ...]


class Reading:
    """Reading the release has been started; `result()` waits for it."""

    def __init__(self, helm: Helm, release: str) -> None:
        self._helm, self._release = helm, release
        self._running = self._start()

    def _start(self, revision: int | None = None) -> Running:
        at = ["--revision", str(revision)] if revision else []
        return self._helm.start(["get", "all", self._release, *at, "--template", _ASKED])

    def result(self) -> Previous | None:
        """The release that helm upgrade would start from, or None when there is no such release. Raises HelmFailed."""
        try:
            revision, status, record, config = json.loads(self._running.output())
        except HelmFailed as error:
            if "not found" in error.why:
                return None
            raise
        if status != "deployed":
            deployed = self._last_deployed()
            if deployed is not None and deployed != revision:
                revision, status, record, config = json.loads(self._start(deployed).output())
        text = _decoded(record)
        undo = parse(text, f"release {self._release}, revision {revision}").undo if text else ()
        return Previous(revision, _decoded(config) or {}, undo)

    def _last_deployed(self) -> int | None:
        rows = json.loads(self._helm.run(["history", self._release, "-o", "json"]))
        return max((int(row["revision"]) for row in rows if row.get("status") == "deployed"), default=None)


def _decoded(value: Any) -> Any:
    """What _ASKED encoded: a string is in hexadecimal, a list ends with a null, and a map is a list of pairs."""
    if isinstance(value, str):
        return bytes.fromhex(value).decode(errors="replace")
    if isinstance(value, list):
        return [_decoded(item) for item in value[:-1]]
    if isinstance(value, dict):
        return {_decoded(pair[0]): _decoded(pair[1]) for pair in value["map"][:-1]}
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(value)  # as helm get values prints it: all its numbers are float64
    return value


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
