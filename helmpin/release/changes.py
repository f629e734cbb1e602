"""The digests of a revision by reference, and what changes from one set of them to the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import zip_longest
from typing import Any

from helmpin.image.reference import Reference, split
from helmpin.release.record import Record

UNPINNED = "unpinned"
"""Stands for the digest of an image that has none."""

Digests = Mapping[str, AbstractSet[str]]
"""The digests of each reference. There may be several: references without a tag stand for several images, and a Job may keep an
older digest than the rest."""


def digests(images: Iterable[str], record: Record | None) -> Digests:
    """The digests of a revision: those of its record, and others that its manifest has."""
    found: dict[str, set[str]] = defaultdict(set)
    for image in record.images if record else ():
        found[image.reference].add(image.digest)
    recorded = {digest for several in found.values() for digest in several}
    for text in images:
        reference, digest = named(text)
        if digest not in recorded:
            found[reference].add(digest)
    return dict(found)


def listed(images: Iterable[str], record: Record | None) -> Iterator[tuple[str, str]]:
    """The same as (reference, digest)."""
    return ((reference, digest) for reference, several in digests(images, record).items() for digest in several)


def named(image: str) -> tuple[str, str]:
    """(reference, digest) of an image as written in a manifest. The reference is normalised if it is valid."""
    digest = split(image)[2] or UNPINNED
    reference = Reference.read(image)
    return str(reference._replace(digest=None)) if reference else image, digest


def changes(before: Digests, after: Digests) -> list[dict[str, Any]]:
    """What changed: `from` and `to` are digests, UNPINNED, or None if the image is not there; `was` is the previous reference, if
    the tag of an image has changed."""
    names: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for side, references in enumerate((before, after)):
        for reference in sorted(references):
            names[split(reference)[0]][side].append(reference)
    return [change for name in sorted(names) for change in _changes(before, after, *names[name])]


def _changes(before: Digests, after: Digests, old: list[str], new: list[str]) -> Iterator[dict[str, Any]]:
    """The changes of one repository. old, new: its references before and after."""
    pairs = [(each, each) for each in sorted({*old, *new})]
    if len(old) == len(new) == 1:
        pairs = [(old[0], new[0])]
    for was, now in pairs:
        sides = before.get(was, set()), after.get(now, set())
        stays = sides[0] & sides[1] if was == now else set()
        gone, come = (sorted(side - stays) for side in sides)
        # a Job keeps the one that stays; the rest had, or gets, another
        if len(stays) == 1 and len(gone) + len(come) == 1 and split(now)[1]:
            gone, come = gone or [*stays], come or [*stays]
        for digest, other in zip_longest(gone, come):
            change = {"reference": now if other else was, "from": digest, "to": other}
            yield {**change, "was": was} if was != now and digest and other else change
