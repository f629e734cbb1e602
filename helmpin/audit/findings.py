"""What an audit finds: the kinds of finding, and the releases that were judged."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from helmpin.named_tuple import NamedTuple
from helmpin.registry.details import Details
from helmpin.verify.tags import Moved

DRIFT, UNPINNED, UNMANAGED, MIXED, UNKNOWN = "drift", "unpinned", "unmanaged", "mixed", "unknown"
MOVED = "moved"
PINNED_ELSEWHERE = "pinned-elsewhere"
KINDS = {
    DRIFT: "record, manifest, live specs, pods or (with --registry) the registry do not agree",
    UNPINNED: "an image has no digest",
    UNMANAGED: "the release has no record: helm-pin did not deploy it",
    PINNED_ELSEWHERE: "the release has no record, but every image of its manifest has a digest",
    MIXED: "one tag runs as different digests on different pods",
    MOVED: "the tag points to another digest than the release runs (with --registry)",
    UNKNOWN: "something is unknown: pods that have not started, a node that reports no image, an object that cannot be read",
}
"""The kinds of finding, and what each means."""


class AuditFinding(NamedTuple):
    """A finding: one of KINDS, and a line for people that names the object."""

    kind: str
    text: str


class Release(NamedTuple):
    """One release of one context, judged."""

    context: str
    namespace: str
    name: str
    revision: int
    """0 if its stored revisions could not be read."""
    status: str
    chart: str
    updated: str
    set_id: str
    """'' if there is no usable record."""
    images: dict[str, str]
    """reference → digest, of the record; the image as written → its digest, or '', without one."""
    containers: int
    """Containers that report the recorded digest."""
    findings: list[AuditFinding]
    notes: tuple[str, ...]
    moved: tuple[Moved, ...] | None = None
    """The tags that have moved since; None if no registry was asked, or none answered."""
    details: Mapping[str, Details] = MappingProxyType({})
    """What each digest is, as far as that was requested and is known."""
    kept: tuple[tuple[str, str], ...] = ()
    """Further (reference, digest): a Job keeps the digest that it ran with, while the rest of the release has another one."""

    @property
    def digests(self) -> list[tuple[str, str]]:
        """Every (reference, digest); '' without a digest."""
        return [*self.images.items(), *self.kept]

    @property
    def kinds(self) -> list[str]:
        """The kinds of its findings, in the order of KINDS."""
        found = {finding.kind for finding in self.findings}
        return [kind for kind in KINDS if kind in found]

    @property
    def pinned(self) -> int:
        """How many of the images have a digest."""
        return sum(bool(digest) for _, digest in self.digests)


class Mixed(NamedTuple):
    """A tag that runs as several digests."""

    image: str
    """registry/repository:tag."""
    pods: dict[str, list[str]]
    """digest → namespace/name of the pods that run it."""


class Audit(NamedTuple):
    """One context, judged."""

    context: str
    releases: list[Release]
    mixed: list[Mixed]
    unread: tuple[str, ...]
    unanswered: tuple[tuple[str, str], ...] = ()
    """(registry, why) of those that did not answer everything, in their words: several if they gave several reasons."""
