"""What an image is: when it was built, from what, for which platforms. This is read from its manifests and its configuration, every
byte of which may be hostile, and cached by digest for good, because a digest never changes its meaning.

OCI image-spec (annotations.md, config.md); label-schema.org for older images.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from helmpin.cache import folder, read, write
from helmpin.image.reference import valid_digest
from helmpin.named_tuple import NamedTuple
from helmpin.registry.errors import RegistryError
from helmpin.shapes import mapping, sequence

PREFERRED = "linux/amd64"
"""The platform whose image describes an index, if it has one; else its first."""
NO_TIME = "0001-01-01T00:00:00"
"""What Go programs (crane, ko) write for a time that they do not know: its zero value (go.dev, package time)."""
LONGEST = 200
"""The most characters of a text that are kept."""
_KEYS = {
    "created": ("org.opencontainers.image.created", "org.label-schema.build-date"),
    "version": ("org.opencontainers.image.version", "org.label-schema.version"),
    "revision": ("org.opencontainers.image.revision", "org.label-schema.vcs-ref"),
    "source": ("org.opencontainers.image.source", "org.label-schema.vcs-url"),
}


class Details(NamedTuple):
    """What is known about an image; '' for what it does not state."""

    created: str = ""
    version: str = ""
    revision: str = ""
    source: str = ""
    platforms: tuple[str, ...] = ()
    size: int = 0
    """Bytes to pull for one platform: PREFERRED if the image has it, else `platforms[0]`."""

    def as_data(self) -> dict[str, Any]:
        """For JSON: null for what is not stated."""
        data = {name: getattr(self, name) or None for name in _KEYS}
        return {**data, "platforms": list(self.platforms), "size": self.size}

    def lines(self) -> list[str]:
        """For people, one line for each field that is stated."""
        found = [(name, getattr(self, name)) for name in _KEYS if getattr(self, name)]
        found += [("platforms", ", ".join(self.platforms))] if self.platforms else []
        found += [("size", megabytes(self.size))] if self.size else []
        return [f"{name:<9} {text}" for name, text in found]


def lines(answer: Details | RegistryError | None) -> list[str]:
    """What is known about an image, or why nothing is, for people."""
    if answer is None:
        return []
    return [f"not known: {answer}"] if isinstance(answer, RegistryError) else answer.lines()


def as_data(answer: Details | RegistryError | None) -> dict[str, Any] | None:
    """What is known about an image, for JSON; None if nothing is."""
    return answer.as_data() if isinstance(answer, Details) else None


def megabytes(size: int) -> str:
    """`54.3 MB`, as registries and docker show sizes."""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def described(documents: list[Any], config: Any, platforms: tuple[str, ...]) -> Details:
    """The details in an index and manifest, or in a manifest alone (outermost first), and a configuration."""
    labels = mapping(mapping(config).get("config")).get("Labels")
    sources = [*(mapping(document).get("annotations") for document in documents), labels]
    stated = {name: _first(sources, keys) for name, keys in _KEYS.items()}
    created = stated["created"] or _text(mapping(config).get("created"))
    stated["created"] = "" if created.startswith(NO_TIME) else created
    return Details(**stated, platforms=platforms or _platform(config), size=_size(documents[-1]))


def _first(sources: list[Any], keys: tuple[str, ...]) -> str:
    texts = (_text(mapping(source).get(key)) for source in sources for key in keys)
    return next((text for text in texts if text), "")


def _platform(config: Any) -> tuple[str, ...]:
    parts = [_text(mapping(config).get(key)) for key in ("os", "architecture", "variant")]
    return ("/".join(filter(None, parts)),) if parts[0] else ()


def _size(document: Any) -> int:
    parts = [mapping(document).get("config"), *sequence(mapping(document).get("layers"))]
    sizes = [mapping(part).get("size") for part in parts]
    return sum(size for size in sizes if type(size) is int and 0 <= size < 1 << 50)


def _text(value: Any) -> str:
    return value.strip().encode(errors="replace").decode()[:LONGEST] if isinstance(value, str) else ""


def _file(digest: str) -> Path:
    return folder() / "images" / f"{digest.replace(':', '-')}.json"


def cached(digest: str) -> Details | None:
    """What was cached for a digest; None if nothing was, or if the file was not written by cache()."""
    if not valid_digest(digest):
        return None
    try:
        data = json.loads(read(_file(digest)))
        texts = {name: _text(data[name]) for name in _KEYS}
        return Details(**texts, platforms=tuple(map(_text, data["platforms"])), size=int(data["size"]))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def cache(digest: str, details: Details) -> None:
    """Cache what is known about a digest, for good. If it cannot be written, registries will be asked again."""
    write(_file(digest), json.dumps(details.as_data()))
