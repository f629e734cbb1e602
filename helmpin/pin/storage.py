"""All stored revisions of a release, or of many, at once.

helm keeps each revision as one object: a Secret or a ConfigMap whose `release` is base64 of gzip of JSON (helm's
pkg/storage/driver, util.go encodeRelease), labelled owner=helm, name, version and status. One read of the API serves them all.
With another driver, or without kubectl, or where that read is refused, helm itself is asked for each revision, several at a time.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from helmpin.kubectl import Kubectl
from helmpin.pin import release as one
from helmpin.pin.digestset import ANNOTATION
from helmpin.pin.release import Stored

GZIP = 16 + zlib.MAX_WBITS
"""What zlib is told to expect (zlib manual, inflateInit2)."""
AT_ONCE = 4
"""helm processes at a time."""


class Revision(NamedTuple):
    """One stored revision, with what `helm history` shows of it."""

    stored: Stored
    namespace: str
    updated: str
    """RFC 3339."""
    chart: str
    """name-version."""
    app_version: str
    description: str

    @property
    def status(self) -> str:
        """helm's word: deployed, superseded, failed, pending-upgrade, …"""
        return self.stored.status


class Revisions(NamedTuple):
    """Revisions that were read, and one line for each thing that could not be."""

    found: list[Revision]
    unread: tuple[str, ...] = ()


def revisions(helm: Helm, release: str, most: int) -> Revisions:
    """The latest `most` revisions of a release, oldest first. Raises HelmFailed in helm's words."""
    kind = stored_as()
    if kind and Kubectl.available():
        kubectl = Kubectl(helm)
        resource = stored_objects(kind, f"owner=helm,name={release}")
        _load_meanwhile()
        answer = kubectl.lists([resource], kubectl.namespace)[resource]
        if answer.items and not answer.errors:
            read = decoded(answer.items)
            return Revisions(sorted(read.found, key=lambda r: r.stored.revision)[-most:], read.unread)
    return Revisions(list(_through_helm(helm, release, most)))


def _load_meanwhile() -> None:
    """Import what reads manifests and records while kubectl runs: either takes about as long."""
    import importlib
    import threading

    for name in ("helmpin.pin.render", "hashlib"):
        # no daemon: one that imports C extensions while the interpreter ends can crash it
        threading.Thread(target=importlib.import_module, args=(name,)).start()


def stored_as(environ: Mapping[str, str] = os.environ) -> str:
    """The resource that holds releases by HELM_DRIVER (helm's pkg/action/action.go, Init), or '' when the API has none."""
    driver = environ.get("HELM_DRIVER", "")
    return {"": "secrets", "secret": "secrets", "secrets": "secrets"}.get(
        driver, "configmaps" if driver in ("configmap", "configmaps") else ""
    )


def stored_objects(kind: str, selector: str) -> str:
    """The API's resource (as Kubectl.lists takes it) of the stored revisions that a label selector finds."""
    only = f"&fieldSelector={quote('type=helm.sh/release.v1')}" if kind == "secrets" else ""
    return f"v1/{kind}?labelSelector={quote(selector)}{only}"


def decoded(items: list[dict[str, Any]]) -> Revisions:
    """The revisions in objects of the API. One that cannot be decoded is left out, as helm leaves it out, and is told."""
    found, unread = [], []
    for item in items:
        metadata, data = item["metadata"], (item.get("data") or {}).get("release")
        try:
            stored = decode(str(data or ""), twice=item.get("kind") == "Secret")
            found.append(_revision(stored, str(metadata.get("namespace", ""))))
        except ValueError as error:
            unread.append(
                f"{item.get('kind')} {metadata.get('namespace')}/{metadata.get('name')} holds no release: {error}"
            )
    return Revisions(found, tuple(unread))


def decode(data: str, *, twice: bool) -> dict[str, Any]:
    """A stored release. `twice`: the API's own base64 is around helm's. Raises ValueError when it is not one."""
    try:
        raw = base64.b64decode(base64.b64decode(data) if twice else data)
        loaded = json.loads(zlib.decompress(raw, GZIP, 1 << 20) if raw[:2] == b"\x1f\x8b" else raw)
    except (zlib.error, ValueError, RecursionError) as error:
        raise ValueError(str(error) or type(error).__name__) from None
    if not (
        isinstance(loaded, dict) and isinstance(loaded.get("name"), str) and isinstance(loaded.get("version"), int)
    ):
        raise ValueError("it has no name and version")
    return loaded


def _revision(item: Mapping[str, Any], namespace: str) -> Revision:
    info = _mapping(item.get("info"))
    metadata = _mapping(_mapping(item.get("chart")).get("metadata"))
    hooks = "".join(
        f"\n---\n# Source: {hook.get('path', '')}\n{hook.get('manifest', '')}\n"
        for hook in map(_mapping, item.get("hooks") or [])
    )
    text = str(_mapping(metadata.get("annotations")).get(ANNOTATION, ""))
    kept = Stored(
        item["name"], item["version"], str(info.get("status", "")), text, str(item.get("manifest") or ""), hooks
    )
    return Revision(
        kept,
        namespace,
        str(info.get("last_deployed", "")),
        f"{metadata.get('name', 'MISSING')}-{metadata.get('version', 'MISSING')}",
        str(metadata.get("appVersion", "")),
        str(info.get("description", "")),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _through_helm(helm: Helm, release: str, most: int) -> Iterator[Revision]:
    try:
        rows = json.loads(helm.run(["history", release, "--max", str(most), "-o", "json"]))
    except HelmFailed as error:
        one.tell(error, release)
        raise
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        readings = [one.Reading(helm, release, int(row["revision"])) for row in some]
        for row, reading in zip(some, readings, strict=True):
            yield Revision(
                reading.result(),
                os.environ.get("HELM_NAMESPACE", ""),
                str(row.get("updated", "")),
                str(row.get("chart", "")),
                str(row.get("app_version", "")),
                str(row.get("description", "")),
            )
