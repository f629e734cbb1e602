"""Which tags have moved since a release was deployed. That is not a failure: the release runs by digest for as long as the registry
keeps the digest. `helm pin keep` gives it a tag of its own, so that the registry does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from helmpin.image.reference import Reference, split
from helmpin.named_tuple import NamedTuple
from helmpin.registry import RegistryError, Resolved
from helmpin.release import record_checks
from helmpin.release.record import Record
from helmpin.release.revision import Revision

KEEP = "keep-"
LONGEST = 100
"""The most characters of release and namespace in a tag; longer names are cut and made unique by a hash."""


def keep_prefix(release: str, namespace: str) -> str:
    """The start of the tags that keep the digests of a release. Neither name can contain `_`; a tag has at most 128 characters."""
    from hashlib import sha256

    name = f"{release}_{namespace}"
    if len(name) > LONGEST:
        name = f"{name[: LONGEST - 13]}_{sha256(name.encode()).hexdigest()[:12]}"
    return f"{KEEP}{name}_"


def keep_tag(release: str, namespace: str, digest: str) -> str:
    """The tag that keeps a digest for a release."""
    return f"{keep_prefix(release, namespace)}{digest.partition(':')[2][:16]}"


class Tag(NamedTuple):
    """A tag that a release was deployed from."""

    reference: Reference
    """Without a digest."""
    digests: tuple[str, ...]
    """What was recorded for it: several if a Job keeps the digest that it ran with, which comes last."""
    since: str
    """When the first of these was resolved, RFC 3339; '' if unknown."""


class Moved(NamedTuple):
    """A tag that points to another digest now, or is gone."""

    reference: str
    was: str
    now: str
    """'' if the tag is gone."""
    since: str
    """The tag moved after this time; '' if unknown."""

    @property
    def text(self) -> str:
        """For people: `quay.io/team/app:main has moved since …: it points to sha256:… now`."""
        since = f" since {self.since}" if self.since else " since"
        if not self.now:
            return f"{self.reference} is gone" + (f"; it was there at {self.since}" if self.since else "")
        return f"{self.reference} has moved{since}: it points to {self.now} now"

    def kept_by(self, release: str, namespace: str) -> Reference:
        """The tag that keeps the recorded digest, if there is one."""
        return Reference.parse(self.reference)._replace(tag=keep_tag(release, namespace, self.was))


def tags(record: Record, stored: Revision, images: Iterable[str]) -> list[Tag]:
    """The tags of a record, or of one made from a manifest, at registries that the revision's own images name. Images that the
    chart itself pins are left out: they move with the chart, not with a tag."""
    named = record_checks.hosts(images, stored.manifest + stored.hooks)
    digests: dict[str, dict[str, str]] = defaultdict(dict)
    # a Job may have kept one from an earlier revision
    old = stored.digests_of_jobs() if "Job" in stored.manifest else set()
    for image in record.images:
        if split(image.reference)[1] and (image.via != "chart" or not record.created):
            is_known = not image.source and image.digest not in old
            digests[image.reference][image.digest] = record.created if is_known else ""
    found = []
    for name, recorded in sorted(digests.items()):
        reference, newest_first = Reference.parse(name), sorted(recorded, key=lambda digest: digest in old)
        if reference.registry in named:
            found.append(Tag(reference, tuple(newest_first), recorded[newest_first[0]]))
    return found


def moved(tags: Iterable[Tag], answers: Mapping[Reference, object]) -> list[Moved]:
    """The tags that point to another digest now, or are gone. Tags about which a registry did not answer are left out."""
    found = []
    for tag in tags:
        answer = answers.get(tag.reference)
        gone = isinstance(answer, RegistryError) and answer.kind == "not-found"
        if gone or (isinstance(answer, Resolved) and answer.digest not in tag.digests):
            now = answer.digest if isinstance(answer, Resolved) else ""
            found.append(Moved(str(tag.reference), tag.digests[0], now, tag.since))
    return found
