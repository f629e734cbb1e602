"""The stored revisions of a release, or of many, in the objects of the API that hold them.

helm keeps each revision as one object: a Secret or a ConfigMap whose `release` is base64 of gzip of JSON (helm's
pkg/storage/driver, util.go encodeRelease), labelled owner=helm, name, version and status. One API request reads them all.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from helmpin import env
from helmpin.asked import ANNOTATION
from helmpin.errors import why_invalid
from helmpin.named_tuple import NamedTuple
from helmpin.release.revision import LARGEST, UNREADABLE, Revision
from helmpin.shapes import mapping

GZIP = 16 + zlib.MAX_WBITS
"""The format that zlib expects (zlib manual, inflateInit2)."""
MOST = 256
"""How many revisions are read at most: as many as helm history shows."""
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
"""What helm, and the name of the object that stores a release, allow. The name stands in commands that messages advise, and whoever
can write a Secret must not get others to paste a command of their choice."""


class RevisionInfo(NamedTuple):
    """One stored revision, with what `helm history` shows of it."""

    stored: Revision
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
    """The revisions that were read, and one line about each that was not."""

    found: list[RevisionInfo]
    unread: tuple[str, ...] = ()
    unreadable: tuple[RevisionInfo, ...] = ()
    """Those that exist but cannot be read, with what their labels say."""
    by_helm: bool = False
    """Whether helm read them: it skips those that it cannot read, and says nothing."""


def stored_as() -> str:
    """The resource that holds releases by HELM_DRIVER (helm's pkg/action/action.go, Init), or '' if they are not in the API."""
    kinds = {
        "": "secrets",
        "secret": "secrets",
        "secrets": "secrets",
        "configmap": "configmaps",
        "configmaps": "configmaps",
    }
    return kinds.get(env.storage_driver(), "")


def stored_objects(kind: str, selector: str) -> str:
    """The API resource (for Kubectl.lists) of the stored revisions that a label selector matches."""
    only = f"&fieldSelector={quote('type=helm.sh/release.v1')}" if kind == "secrets" else ""
    return f"v1/{kind}?labelSelector={quote(selector)}{only}"


def decoded(items: list[dict[str, Any]]) -> Revisions:
    """The revisions in objects of the API. One that cannot be decoded is reported; the others are still returned."""
    found: list[RevisionInfo] = []
    unread: list[str] = []
    unreadable: list[RevisionInfo] = []
    for item in items:
        metadata, data = item["metadata"], (item.get("data") or {}).get("release")
        try:
            stored = decode(str(data or ""), twice=item.get("kind") == "Secret")
            found.append(_revision(stored, str(metadata.get("namespace", ""))))
        except UNREADABLE as error:
            where = f"{item.get('kind')} {metadata.get('namespace')}/{metadata.get('name')}"
            unread.append(f"{where} is not a valid release: {why_invalid(error)}")
            unreadable += _labelled(metadata, unread[-1])
    return Revisions(found, tuple(unread), tuple(unreadable))


def _labelled(metadata: Mapping[str, Any], problem: str) -> Iterator[RevisionInfo]:
    """A revision that cannot be read, as helm's labels describe it; nothing without labels."""
    labels = metadata.get("labels") or {}
    name, version = labels.get("name"), str(labels.get("version", ""))
    if name and version.isascii() and version.isdigit():
        stored = Revision(
            release=name,
            revision=int(version[:9]),
            status=labels.get("status", "unknown"),
            record_text="",
            manifest="",
            hooks="",
            problem=problem,
        )
        yield RevisionInfo(
            stored=stored,
            namespace=str(metadata.get("namespace", "")),
            updated="",
            chart="",
            app_version="",
            description="",
        )


def decode(data: str, *, twice: bool) -> dict[str, Any]:
    """A stored release. `twice`: it is encoded in base64 twice, by helm and by the API. Raises ValueError, or RecursionError, if
    it is invalid or too large."""
    try:
        raw = base64.b64decode(base64.b64decode(data) if twice else data)
        loaded = json.loads(_unpacked(raw) if raw[:2] == b"\x1f\x8b" else raw)
    except zlib.error:
        raise ValueError("it is not valid gzip") from None
    if not (
        isinstance(loaded, dict) and isinstance(loaded.get("name"), str) and isinstance(loaded.get("version"), int)
    ):
        raise ValueError("it has no name and version")
    if not _NAME.fullmatch(loaded["name"]):
        raise ValueError(f"its name is not that of a release: {loaded['name'][:60]!r}")
    return loaded


def _unpacked(packed: bytes) -> bytes:
    """Raises ValueError for data that is too large when unpacked, or is truncated; zlib.error for invalid data."""
    unpacker = zlib.decompressobj(GZIP)
    found = unpacker.decompress(packed, LARGEST)
    if unpacker.unconsumed_tail:
        raise ValueError(f"it unpacks to more than {LARGEST >> 20} MiB")
    if not unpacker.eof:
        raise ValueError("it is truncated")
    return found


def _revision(item: Mapping[str, Any], namespace: str) -> RevisionInfo:
    info = mapping(item.get("info"))
    metadata = mapping(mapping(item.get("chart")).get("metadata"))
    hooks = "".join(
        f"\n---\n# Source: {text_of(hook.get('path'))}\n{text_of(hook.get('manifest'))}\n"
        for hook in map(mapping, item.get("hooks") or [])
    )
    record = text_of(mapping(metadata.get("annotations")).get(ANNOTATION))
    name, status = text_of(item["name"]), text_of(info.get("status"))
    stored = Revision(
        release=name,
        revision=item["version"],
        status=status,
        record_text=record,
        manifest=text_of(item.get("manifest")),
        hooks=hooks,
    )
    return RevisionInfo(
        stored=stored,
        namespace=namespace,
        updated=text_of(info.get("last_deployed")),
        chart=f"{text_of(metadata.get('name')) or 'MISSING'}-{text_of(metadata.get('version')) or 'MISSING'}",
        app_version=text_of(metadata.get("appVersion")),
        description=text_of(info.get("description")),
    )


def text_of(value: Any) -> str:
    """A string of a stored release. JSON can hold half of a surrogate pair, which cannot be printed."""
    return str(value or "").encode(errors="replace").decode()
