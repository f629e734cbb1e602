"""Which tags have moved since a release was deployed: no failure, for the release runs by digest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from helmpin.image.reference import Reference, split
from helmpin.registry import Resolved
from helmpin.release import record_checks
from helmpin.release.record import DigestSet
from helmpin.release.revision import Stored


class Tag(NamedTuple):
    """A tag that a release was deployed from."""

    reference: Reference
    """Without a digest."""
    digests: tuple[str, ...]
    """What was recorded for it: several where a Job keeps the digest that it ran with."""
    since: str
    """When the digest was resolved, RFC 3339; '' where that is not known."""


class Moved(NamedTuple):
    """A tag that is another digest now."""

    reference: str
    was: str
    now: str
    since: str
    """It has moved after this time; '' where that is not known."""

    @property
    def text(self) -> str:
        """For people: `quay.io/team/app:main has moved since …: it is sha256:… now`."""
        return f"{self.reference} has moved since{f' {self.since}' if self.since else ''}: it is {self.now} now"


def tags(record: DigestSet, stored: Stored, images: Iterable[str]) -> list[Tag]:
    """The tags of a record, or of one made from a manifest, at registries that the revision's own images name. What the chart pins
    itself moves with the chart, not with a tag."""
    named = record_checks.hosts(images, stored.manifest + stored.hooks)
    digests: dict[str, dict[str, str]] = defaultdict(dict)
    for image in record.images:
        if split(image.reference)[1] and (image.via != "chart" or not record.created):
            digests[image.reference][image.digest] = "" if image.source else record.created
    found = [(Reference.parse(name), recorded) for name, recorded in sorted(digests.items())]
    return [Tag(ref, tuple(recorded), min(recorded.values())) for ref, recorded in found if ref.registry in named]


def moved(tags: Iterable[Tag], answers: Mapping[Reference, object]) -> list[Moved]:
    """Those that are another digest now. A tag that a registry does not have, or does not answer for, is none of them."""
    found = []
    for tag in tags:
        now = answers.get(tag.reference)
        if isinstance(now, Resolved) and now.digest not in tag.digests:
            found.append(Moved(str(tag.reference), tag.digests[0], now.digest, tag.since))
    return found
