"""Whether a record agrees with itself and with a manifest. record.py checks its form, revision.py reads both."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from helmpin.chart.setargs import MAX_INDEX
from helmpin.image.reference import InvalidReference, Reference
from helmpin.release.record import VERSION, Image, Record

if TYPE_CHECKING:
    from helmpin.image.uses import ImageUse

LONGEST = 4 << 20
"""The longest record, in characters: enough for some thirty thousand images."""
_INDEX = re.compile(r"(?<!\\)\[(\d+)\]")
_DIGEST = re.compile(r"@(sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128}))(?![\w@])")
_NAME = re.compile(r"[\w.:/\[\]-]*\Z", re.ASCII)
_BEFORE = 400
"""How many characters to search for the reference before a digest: host, repository and tag together are shorter."""


def problems(record: Record) -> list[str]:
    """The contradictions in a record, one line each. Two digests for one reference are allowed: a Job keeps the one it ran with."""
    found = [line for image in record.images for line in _image(image)]
    indexes = [part for undo in record.undo for part in undo.path if isinstance(part, int)]
    found += [f"index {index} of a list is out of range" for index in indexes if not 0 <= index <= MAX_INDEX]
    return found


def _image(image: Image) -> Iterator[str]:
    try:
        written = Reference.parse(image.image)
    except InvalidReference as error:
        yield f"image {image.image!r} is not a valid reference: {error}"
        return
    name = str(written._replace(digest=None))
    if name != image.reference:
        yield f"image {image.image} is {name}, not {image.reference}"
    if written.digest and written.digest != image.digest:
        yield f"image {image.image} does not have the recorded digest {image.digest}"
    if image.via == "chart" and not written.digest:
        yield f"{image.reference}: recorded as pinned by the chart, but image {image.image} has no digest"
    for path in image.values:
        for index in _INDEX.findall(path):
            if len(index) > len(str(MAX_INDEX)) or int(index) > MAX_INDEX:
                yield f"{image.reference}: index {index[:20]} of a list is out of range"


def newer(text: str) -> str:
    """The tool that wrote a record in a newer format than this helm-pin knows; '' if it is not newer."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    version = record.get("version") if isinstance(record, dict) else None
    return str(record.get("tool") or "helm-pin")[:80] if isinstance(version, int) and version > VERSION else ""


def from_manifest(uses: Sequence[ImageUse]) -> Record | None:
    """A record made from the manifest of a revision without one: None unless it uses images, all of them by digest."""
    images: set[Image] = set()
    for use in uses:
        reference = Reference.read(use.image)
        if reference is None or not reference.digest:
            return None
        name = str(reference._replace(digest=None))
        images.add(Image(name, use.image, reference.digest, media_type="", via="chart"))
    return Record("", "", tuple(sorted(images))) if images else None


def is_recorded(image: str, references: Sequence[str]) -> bool:
    """Whether an image is one of these references, which are recorded for its digest. A template may leave out the tag: then the
    repository alone must match."""
    reference = Reference.read(image)
    if reference is None:
        return False
    if reference.tag:
        return f"{reference.name}:{reference.tag}" in references
    return any(Reference.parse(each).name == reference.name for each in references)


def pinned_references(text: str) -> Iterator[Reference]:
    """Every reference with a digest in a text, in linear time."""
    for match in _DIGEST.finditer(text):
        name = _NAME.search(text[max(0, match.start() - _BEFORE) : match.start()])
        with suppress(InvalidReference):
            yield Reference.parse(f"{name[0].rpartition('//')[2] if name else ''}@{match[1]}")


def hosts(images: Iterable[str], manifest: str) -> set[str]:
    """The registries that a revision's own images name: those that it runs, and all others that have a digest in its manifest."""
    found = {reference.registry for reference in pinned_references(manifest)}
    for image in images:
        with suppress(InvalidReference):
            found.add(Reference.parse(image).registry)
    return found


def follower_problems(record: Record, objects: Iterable[Any]) -> list[str]:
    """The recorded followers that do not have their digest, one line each.

    A place is `ConfigMap/settings data.image`. Names may be random, so if no object has that name, all of its kind count.
    """
    from helmpin.image.documents import kind_and_name

    wanted = [(place, image) for image in record.images for place in image.followers]
    places = {place for place, _ in wanted} | {_unnamed(place) for place, _ in wanted}
    held: dict[str, set[tuple[str, str | None]]] = defaultdict(set)
    for item in objects if wanted else ():
        kind, name = kind_and_name(item)
        for path, text in _texts(item, ()):
            for place in {f"{kind}/{name} {path}", f"{kind} {path}"} & places:
                held[place].update((str(r._replace(digest=None)), r.digest) for r in pinned_references(text))
    lines = []
    for place, image in wanted:
        there = held.get(place) or held.get(_unnamed(place)) or set()
        if (image.reference, image.digest) not in there:
            others = ", ".join(sorted(digest or "" for reference, digest in there if reference == image.reference))
            lines.append(f"{place}: {image.reference} has {others or 'no digest'}, but {image.digest} is recorded")
    return lines


def _unnamed(place: str) -> str:
    start, _, path = place.partition(" ")
    return f"{start.partition('/')[0]} {path}"


def _texts(node: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(dotted path, text) of every string that may hold a digest."""
    if isinstance(node, dict):
        for key, child in node.items():
            yield from _texts(child, (*path, str(key)))
    elif isinstance(node, list):
        for i, child in enumerate(node):
            yield from _texts(child, (*path, str(i)))
    elif isinstance(node, str) and "@sha" in node:
        yield ".".join(path), node
