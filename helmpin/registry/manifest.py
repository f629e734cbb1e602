"""Parsing manifests: their type, and what they refer to. Every byte of one may be hostile.

OCI image-spec (manifest.md, image-index.md, media-types.md) and Docker image manifest version 2, schema 2.
"""

from __future__ import annotations

import json
from typing import Any

from helmpin.image.reference import valid_digest, valid_tag
from helmpin.named_tuple import NamedTuple
from helmpin.registry.errors import Failure, printable

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
KNOWN = INDEXES | MANIFESTS
ACCEPT = f"{OCI_INDEX}, {DOCKER_LIST}, {OCI_MANIFEST}, {DOCKER_MANIFEST}, */*"
"""Best first. `*/*` is for servers that know only application/json and respond with 406 otherwise; what they send is
judged by its content."""
SCHEMA_1 = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)
GENERIC = frozenset({"", "application/json", "application/octet-stream", "binary/octet-stream", "text/plain"})
"""Content-Types of servers that do not know manifests. The document itself then states its type."""

_HINT = "check what is served there: it may be a proxy, a login page, or an artifact that is not an image"


class IndexedManifest(NamedTuple):
    """A manifest that an index lists."""

    platform: str
    """os/architecture[/variant], or '' if the index does not state it."""
    digest: str
    is_index: bool = False
    """Whether it is an index again, by its media type in this one."""


class Manifest(NamedTuple):
    """An index (children) or an image manifest (config)."""

    media_type: str
    children: tuple[IndexedManifest, ...]
    config: str | None
    """The digest of the image's configuration; None for an index."""


def media_type(content_type: str) -> str:
    """The media type in a Content-Type header, without parameters, in lower case (RFC 9110, section 8.3.1)."""
    return content_type.partition(";")[0].strip().lower()


def check_type(content_type: str) -> str:
    """The media type in a Content-Type header. Raises Failure (`bad-answer`) unless a manifest may have it."""
    served = media_type(content_type)
    if served in SCHEMA_1:
        raise _schema_1()
    if served not in KNOWN | GENERIC:
        raise Failure("bad-answer", f"expected an image manifest, got {_shown(served)}", _HINT)
    return served


def read(body: bytes, content_type: str) -> Manifest:
    """Parse a manifest. Raises Failure (`bad-answer`) if it is malformed or contradicts itself or its Content-Type."""
    served = check_type(content_type)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Failure("bad-answer", "the manifest is not valid JSON, or is truncated", _HINT) from None
    if not isinstance(document, dict):
        raise Failure("bad-answer", "the manifest is not a JSON object", _HINT)
    if document.get("schemaVersion") == 1:
        raise _schema_1()
    stated = document.get("mediaType")
    kind = stated if stated is not None else served if served in KNOWN else _by_shape(document)
    if not isinstance(kind, str) or kind not in KNOWN:
        raise Failure("bad-answer", f"the document is of type {_shown(kind)}, not an image manifest", _HINT)
    if served in KNOWN and kind != served:
        raise Failure("bad-answer", f"served as {served}, but the document is of type {kind}", _HINT)
    if "manifests" in document and ("layers" in document or "config" in document):  # GHSA-77vh-xpmg-72qh
        raise Failure("bad-answer", "the document is both an index and an image manifest", _HINT)
    if kind in INDEXES:
        return Manifest(kind, tuple(_child(item) for item in _list(document.get("manifests"), "manifests")), None)
    config = document.get("config")
    return Manifest(kind, (), _digest(config, "config"))


def read_tags(body: bytes) -> list[str]:
    """The tags in a list of tags. Raises Failure (`bad-answer`) if it is malformed."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    tags = document.get("tags") if isinstance(document, dict) else ()
    if tags is None:  # a repository without tags
        return []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise Failure("bad-answer", "the list of tags is not valid", _HINT)
    return [tag for tag in tags if valid_tag(tag)]


def _schema_1() -> Failure:
    why = "Docker image manifest schema 1, which container runtimes no longer pull"
    return Failure("bad-answer", why, "build and push the image again with a current tool")


def _by_shape(document: dict[str, Any]) -> str:
    return OCI_INDEX if "manifests" in document else OCI_MANIFEST


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise Failure("bad-answer", f"the manifest has no list of {name}", _HINT)
    return value


def _child(item: Any) -> IndexedManifest:
    digest = _digest(item, "manifests")
    platform = item.get("platform")
    parts = [platform.get(key) for key in ("os", "architecture", "variant")] if isinstance(platform, dict) else []
    stated = "/".join(part for part in parts if isinstance(part, str) and part)
    return IndexedManifest(stated, digest, str(item.get("mediaType")) in INDEXES)


def _digest(descriptor: Any, name: str) -> str:
    digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
    if not isinstance(digest, str) or not valid_digest(digest):
        raise Failure("bad-answer", f"the manifest has no valid digest in {name}", _HINT)
    return digest


def _shown(value: object) -> str:
    return repr(printable(value)) if isinstance(value, str) else type(value).__name__
