"""The record: the digests that a revision deployed, in the chart annotation `helm-pin/digests`, which the release keeps.

docs/record.md describes the format. Readers accept unknown keys and refuse an unknown `version`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from helmpin.errors import VerificationFailed, why_invalid
from helmpin.image.reference import InvalidReference, Reference, valid_digest
from helmpin.named_tuple import NamedTuple

VERSION = 1
_LONGEST_SHOWN = 80
"""The most characters of a field that a message shows."""
_MOST_SHOWN = 5
"""The most images that a message lists."""


def now() -> str:
    """The time, as a record has it (RFC 3339)."""
    from datetime import datetime, timezone

    return datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Image(NamedTuple):
    """One image of a revision."""

    reference: str
    """Normalised: registry/repository:tag."""
    image: str
    """As the chart wrote it."""
    digest: str
    media_type: str
    via: str
    """`values`, `template` (for a use that no value reaches), or `chart` (already pinned there)."""
    values: tuple[str, ...] = ()
    """The value paths used, as --set writes them."""
    followers: tuple[str, ...] = ()
    """Where else the digest went: `ConfigMap/settings data.image`."""
    source: str = ""
    """Where the digest came from: `lock` or `release`; '' for the registry, or the chart itself."""


class Undo(NamedTuple):
    """What stood at a path that was set: needed to reuse the values of a revision without its digests."""

    path: tuple[str | int, ...]
    was: Any
    """The scalar; None if there was none. (Earlier records hold whole lists.)"""
    supplied: bool
    """Whether the user's own values (not the chart's defaults) held it."""
    user_depth: int = 0
    """How many leading parts of the path were maps of the user's own values; helm-pin created the others."""


class Record(NamedTuple):
    """The record of one revision."""

    tool: str
    created: str
    """RFC 3339."""
    images: tuple[Image, ...]
    undo: tuple[Undo, ...] = ()
    allowed: tuple[str, ...] = ()
    """Images that --allow-unpinned left without a digest, as the chart wrote them."""
    lock: str = ""
    """The lock that gave digests: a file's name, or `release:…`."""
    required: tuple[str, ...] = ()
    """The commands (--require) that succeeded for each image."""

    @property
    def set_id(self) -> str:
        """First 12 hex digits of the SHA-256 over the sorted `reference@digest` lines: same images, same set."""
        import hashlib

        return hashlib.sha256("".join(f"{line}\n" for line in sorted(self._set())).encode()).hexdigest()[:12]

    @property
    def size(self) -> int:
        """How many images are in that set: one that values pin in one place and its template in another counts once."""
        return len(self._set())

    @property
    def let_through(self) -> str:
        """For people: the images that it leaves without a digest, after a semicolon; '' if there are none."""
        from helmpin.output import count

        shown = [*sorted(self.allowed)[:_MOST_SHOWN], *(["…"] if len(self.allowed) > _MOST_SHOWN else [])]
        return (
            f"; {count(len(self.allowed), 'image')} let through without a digest: {', '.join(shown)}" if shown else ""
        )

    def _set(self) -> set[str]:
        return {f"{image.reference}@{image.digest}" for image in self.images}

    def to_json(self) -> str:
        """The annotation's text: compact, sorted, stable."""
        record: dict[str, Any] = {
            "version": VERSION,
            "tool": self.tool,
            "created": self.created,
            "set": self.set_id,
            "images": [_image_entry(image) for image in sorted(self.images)],
        }
        if self.undo:
            record["undo"] = [_undo_entry(undo) for undo in self.undo]
        if self.allowed:
            record["allowed"] = sorted(self.allowed)
        if self.lock:
            record["lock"] = self.lock
        if self.required:
            record["required"] = list(self.required)
        return json.dumps(record, separators=(",", ":"), sort_keys=True)


def _image_entry(image: Image) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "reference": image.reference,
        "image": image.image,
        "digest": image.digest,
        "mediaType": image.media_type,
        "via": image.via,
    }
    for name, items in (("values", image.values), ("followers", image.followers)):
        if items:
            entry[name] = list(items)
    if image.source:
        entry["source"] = image.source
    return entry


def _undo_entry(undo: Undo) -> dict[str, Any]:
    entry: dict[str, Any] = {"path": list(undo.path)}
    if undo.was is not None:
        entry["was"] = undo.was
    if undo.supplied:
        entry["supplied"] = True
    if undo.user_depth:
        entry["kept"] = undo.user_depth
    return entry


def parse(text: str, where: str) -> Record:
    """Read a record. `where` names its owner (`release web, revision 3`).

    Raises VerificationFailed for anything but a valid record: bad JSON, an unknown version, a malformed digest, or a `set` that
    does not match the images.
    """
    try:
        record = json.loads(text)
        if not isinstance(record, dict):
            raise ValueError("not a JSON object")
        if record.get("version") != VERSION or record["version"] is True:
            raise ValueError(f"its version is {_shown(record, 'version')}; this helm-pin reads version {VERSION}")
        found = Record(
            tool=_text(record, "tool"),
            created=_text(record, "created"),
            images=tuple(_image(item) for item in _list(record, "images")),
            undo=tuple(_undo(item) for item in (_list(record, "undo") if "undo" in record else ())),
            allowed=_texts(record, "allowed"),
            lock=_text(record, "lock") if "lock" in record else "",
            required=_texts(record, "required"),
        )
        if record.get("set") != found.set_id:
            raise ValueError(
                f"set ID {_shown(record, 'set')} does not match its images ({found.set_id!r}); the record was edited"
            )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        why = why_invalid(error)
        raise VerificationFailed(
            "the digest record is not valid",
            where=where,
            why=why,
            hint="it cannot be used for verification; `helm pin upgrade` with --reset-values writes a new one"
            + (", or use the helm-pin that wrote it" if "version" in why else ""),
        ) from None
    return found


def _image(item: Any) -> Image:
    if not isinstance(item, dict):
        raise ValueError("an entry of images is not an object")
    image = Image(
        reference=_text(item, "reference"),
        image=_text(item, "image"),
        digest=_text(item, "digest"),
        media_type=_text(item, "mediaType"),
        via=_text(item, "via"),
        values=_texts(item, "values"),
        followers=_texts(item, "followers"),
        source=_text(item, "source") if "source" in item else "",
    )
    if not valid_digest(image.digest):
        raise ValueError(f"{image.digest!r} is not a digest")
    try:
        Reference.parse(image.reference)
    except InvalidReference as error:
        raise ValueError(f"{image.reference!r} is not a reference: {error}") from None
    return image


def _undo(item: Any) -> Undo:
    if not isinstance(item, dict):
        raise ValueError("an entry of undo is not an object")
    path = tuple(_list(item, "path"))
    depth = item.get("kept", 0)
    if not path or not all(map(_is_part, path)) or not isinstance(depth, int) or not 0 <= depth < len(path):
        raise ValueError("an entry of undo has no usable path")
    return Undo(path, item.get("was"), bool(item.get("supplied")), user_depth=depth)


def _shown(record: Mapping[str, Any], key: str) -> str:
    """A field for people, as JSON writes it, shortened if it is long."""
    text = json.dumps(record[key]) if key in record else "missing"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _text(item: Mapping[str, Any], key: str) -> str:
    if not isinstance(item.get(key), str):
        raise ValueError(f"{key!r} is missing or not a string")
    return str(item[key])


def _is_part(part: Any) -> bool:
    return isinstance(part, str) or (type(part) is int and part >= 0)


def _texts(item: Mapping[str, Any], key: str) -> tuple[str, ...]:
    items = item.get(key, [])
    if not isinstance(items, list) or not all(isinstance(one, str) for one in items):
        raise ValueError(f"{key!r} is not a list of strings")
    return tuple(items)


def _list(item: Mapping[str, Any], key: str) -> Iterable[Any]:
    if not isinstance(item.get(key), list):
        raise ValueError(f"{key!r} is missing or not a list")
    return list(item[key])
