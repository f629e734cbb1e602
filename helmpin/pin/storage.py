"""All stored revisions of a release, or of many, at once.

helm keeps each revision as one object: a Secret or a ConfigMap whose `release` is base64 of gzip of JSON (helm's
pkg/storage/driver, util.go encodeRelease), labelled owner=helm, name and version. One read of the API serves them all. With
another driver, or without kubectl, helm itself is asked for each revision, several at a time.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from helmpin.kubectl import Kubectl
from helmpin.pin import release as one
from helmpin.pin.digestset import ANNOTATION
from helmpin.pin.release import Stored

AT_ONCE = 4
"""helm processes at a time."""


class Revision(NamedTuple):
    """One stored revision, with what `helm history` shows of it."""

    stored: Stored
    namespace: str
    updated: str
    status: str
    chart: str
    app_version: str
    description: str


def revisions(helm: Helm, release: str, most: int) -> list[Revision]:
    """The latest `most` revisions of a release, oldest first. Raises HelmFailed in helm's words."""
    kind = stored_as()
    if kind and Kubectl.available():
        kubectl = Kubectl(helm)
        found = sorted(stored(kubectl, kind, f"owner=helm,name={release}"), key=lambda r: r.stored.revision)
        if found:
            return found[-most:]
    return list(_through_helm(helm, release, most))


def stored_as(environ: Mapping[str, str] = os.environ) -> str:
    """The kind of object that holds releases (HELM_DRIVER), or '' when they are not in the API."""
    driver = environ.get("HELM_DRIVER", "").lower()
    return {
        "": "secrets",
        "secret": "secrets",
        "secrets": "secrets",
        "configmap": "configmaps",
        "configmaps": "configmaps",
    }.get(driver, "")


def stored(kubectl: Kubectl, kind: str, selector: str, *, everywhere: bool = False) -> Iterator[Revision]:
    """The stored revisions that a label selector finds, of the namespace or of all. Raises HelmFailed."""
    scope = ["--all-namespaces"] if everywhere else []
    only = ["--field-selector=type=helm.sh/release.v1"] if kind == "secrets" else []
    for item in kubectl.items(["get", kind, *scope, *only, f"--selector={selector}"]):
        data = (item.get("data") or {}).get("release")
        if isinstance(data, str):
            where = f"{kind[:-1]} {item['metadata'].get('namespace')}/{item['metadata'].get('name')}"
            yield _revision(decode(data, where, twice=kind == "secrets"), str(item["metadata"].get("namespace", "")))


def decode(data: str, where: str, *, twice: bool) -> dict[str, Any]:
    """A stored release. `twice`: the API's own base64 is around helm's. Raises HelmFailed when it is not one."""
    try:
        raw = base64.b64decode(base64.b64decode(data) if twice else data)
        loaded = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    except (binascii.Error, OSError, EOFError, ValueError) as error:
        raise HelmFailed("a stored release cannot be read", where=where, why=str(error)) from None
    return loaded if isinstance(loaded, dict) else {}


def _revision(item: Mapping[str, Any], namespace: str) -> Revision:
    info, metadata = item.get("info") or {}, (item.get("chart") or {}).get("metadata") or {}
    hooks = "".join(
        f"\n---\n# Source: {hook.get('path', '')}\n{hook.get('manifest', '')}\n" for hook in item.get("hooks") or []
    )
    text = str((metadata.get("annotations") or {}).get(ANNOTATION, ""))
    status = str(info.get("status", ""))
    kept = Stored(
        str(item.get("name", "")), int(item.get("version", 0)), status, text, str(item.get("manifest", "")), hooks
    )
    return Revision(
        kept,
        namespace,
        str(info.get("last_deployed", "")),
        status,
        f"{metadata.get('name', 'MISSING')}-{metadata.get('version', 'MISSING')}",
        str(metadata.get("appVersion", "")),
        str(info.get("description", "")),
    )


def _through_helm(helm: Helm, release: str, most: int) -> Iterator[Revision]:
    rows = json.loads(helm.run(["history", release, "--max", str(most), "-o", "json"]))
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        readings = [one.Reading(helm, release, int(row["revision"])) for row in some]
        for row, reading in zip(some, readings, strict=True):
            yield Revision(
                reading.result(),
                os.environ.get("HELM_NAMESPACE", ""),
                str(row.get("updated", "")),
                str(row.get("status", "")),
                str(row.get("chart", "")),
                str(row.get("app_version", "")),
                str(row.get("description", "")),
            )
