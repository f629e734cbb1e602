"""The tag to write instead of a mutable one: a full version that has the same digest today."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from helmpin.image import mutable
from helmpin.image.reference import Reference, valid_tag
from helmpin.registry.errors import RegistryError
from helmpin.registry.types import Resolved, TagList

MAX_CANDIDATES = 12
"""The most tags to try. With the requests that confirm the right one (2), the pages of tags (3) and the image's details (3), an
image takes at most 20 requests."""
_VERSION = re.compile(r"v?(\d+(?:\.\d+){1,3})(.*)")


class Registry(Protocol):
    """The part of the client that is used here."""

    def resolve(self, reference: Reference, /) -> Resolved: ...
    def seems(self, reference: Reference, /) -> str: ...
    def tags(self, reference: Reference, /) -> TagList: ...


def find(
    registry: Registry, reference: Reference, versions: Sequence[str], may_write: Callable[[Reference], bool]
) -> str:
    """The tag; '' if none was found. reference: with tag and digest. versions: those that the image states. may_write: whether the
    user's settings take a tag for a fixed one. Raises RegistryError."""
    tag = reference.tag or ""
    likely = _candidates(registry, reference, stated(versions, tag))
    named_by = (reference._replace(tag=candidate, digest=None) for candidate in likely)
    for named in islice(filter(may_write, named_by), MAX_CANDIDATES):
        try:
            if registry.seems(named) == reference.digest and registry.resolve(named).digest == reference.digest:
                return named.tag or ""
        except RegistryError as error:
            if error.kind != "not-found":
                raise
    return ""


def _candidates(registry: Registry, reference: Reference, likely: Sequence[str]) -> Iterator[str]:
    """The likely tags, then all others; the registry is asked for its tags only when they are needed."""
    yield from likely
    yield from (tag for tag in newest(registry.tags(reference).tags, reference.tag or "") if tag not in likely)


def stated(versions: Iterable[str], tag: str) -> list[str]:
    """The tags that the versions an image states may stand for, with the suffix that its tag has (`latest-alpine`)."""
    suffixes = list(dict.fromkeys((suffix(tag), "")))
    found = [f"{v}{version}{end}" for version in versions if version for end in suffixes for v in _prefixes(version)]
    return [each for each in dict.fromkeys(found) if valid_tag(each) and is_full(each)]


def _prefixes(version: str) -> tuple[str, ...]:
    return ("", "v") if not version.startswith("v") else ("",)


def suffix(tag: str) -> str:
    """What follows the version or the name of a tag: `-alpine` of `latest-alpine` and of `1.25-alpine`."""
    start, dash, rest = tag.partition("-")
    return dash + rest if start in mutable.MOVING or re.fullmatch(r"v?\d+(\.\d+)*", start) else ""


def newest(tags: Iterable[str], tag: str) -> list[str]:
    """The full versions among these tags: first those that extend the version of `tag`, then those with its suffix, then the
    newest."""
    end, wanted = suffix(tag), re.match(r"v?(\d+(?:\.\d+)*)", tag)
    line = [int(part) for part in wanted[1].split(".")] if wanted else []

    def order(each: str) -> tuple[bool, bool, list[int]]:
        match = _VERSION.match(each)
        numbers = [int(part) for part in match[1].split(".")] if match else []
        # if a version has the digest of 1.25, it is most likely a 1.25.x
        return numbers[: len(line)] == line, suffix(each) == end, numbers

    return sorted((each for each in tags if _VERSION.match(each) and is_full(each)), key=order, reverse=True)


def is_full(tag: str) -> bool:
    """Whether a tag names a version that nobody moves, by convention."""
    return mutable.reason(tag) is None
