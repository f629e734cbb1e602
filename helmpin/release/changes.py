"""The digests of a revision by reference, and what changes from one set of them to the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from helmpin.image.reference import InvalidReference, Reference, split
from helmpin.release.record import Record

UNPINNED = "unpinned"
"""Stands for the digest of an image that has none."""


def digests(images: Iterable[str], record: Record | None) -> dict[str, str]:
    """{reference: digest} of a revision: those of its record, and what else its manifest has."""
    found = {image.reference: image.digest for image in record.images} if record else {}
    recorded = set(found.values())
    for image in images:
        digest = split(image)[2]
        if digest not in recorded:
            found[_reference(image)] = digest or UNPINNED
    return found


def _reference(image: str) -> str:
    try:
        return str(Reference.parse(image)._replace(digest=None))
    except InvalidReference:
        return image


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[dict[str, Any]]:
    """What changed: `from` and `to` are digests, UNPINNED, or None where the image is not there; `was` is the reference before,
    where only the tag of an image has changed."""
    sides: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for side, references in enumerate((before, after)):
        for reference in sorted(references):
            sides[split(reference)[0]][side].append(reference)
    changed: list[dict[str, Any]] = []
    for old, new in (sides[name] for name in sorted(sides)):
        pairs: list[tuple[str | None, str | None]] = [
            (r if r in old else None, r if r in new else None) for r in {*old, *new}
        ]
        if len(old) == len(new) == 1:
            pairs = [(old[0], new[0])]
        for was, now in sorted(pairs, key=lambda pair: pair[1] or pair[0] or ""):
            change = {"reference": now or was, "from": before.get(was or ""), "to": after.get(now or "")}
            if was and now and was != now:
                change["was"] = was
            if change["from"] != change["to"] or "was" in change:
                changed.append(change)
    return changed
