"""A plan beside what is deployed: which digests stay, which are new, and which move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from helmpin import output
from helmpin.errors import HelmFailed, HelmPinError
from helmpin.helm import Helm
from helmpin.image.reference import split
from helmpin.plan.images import ImagePlan
from helmpin.release.changes import UNPINNED, changes, digests
from helmpin.release.reused_values import Previous
from helmpin.release.revision import Reading, Revision

SAME, NEW, MOVED, REMOVED = "same", "new", "moved", "removed"


class Change(NamedTuple):
    """How an image differs from the deployed revision."""

    kind: str
    """SAME, NEW, MOVED or REMOVED."""
    reference: str = ""
    """The deployed reference, with its tag; '' for NEW."""
    digest: str = ""
    """The deployed digest, or UNPINNED; '' for NEW."""
    tag: str = ""
    """The deployed tag, where it is another one."""


class Deployed(NamedTuple):
    """What is deployed, and how a plan differs from it."""

    revision: int | None
    """None if there is no release."""
    changes: tuple[Change, ...]
    """In the order of the plan's images."""
    removed: tuple[Change, ...]
    """What is deployed and not planned."""

    @property
    def differing(self) -> int:
        """How many images would change."""
        return sum(change.kind != SAME for change in (*self.changes, *self.removed))


class DeployedReading:
    """Starts to read what is deployed; `result()` waits for it."""

    def __init__(self, helm: Helm, release: str) -> None:
        self._helm, self._release = helm, release
        self._reading = Reading(helm, release)

    def result(self, previous: Previous | None, images: Sequence[ImagePlan]) -> Deployed:
        """The planned images beside the deployed revision. previous: the release that was planned for. Raises HelmFailed."""
        if previous is None or previous.installs_anew:
            return Deployed(None, *compared({}, images))
        stored = self._stored(previous.revision)
        return Deployed(stored.revision, *compared(_digests(stored), images))

    def _stored(self, revision: int) -> Revision:
        try:
            latest = self._reading.result()
        except HelmFailed:  # removed meanwhile
            return Reading(self._helm, self._release, revision).result()
        return latest if latest.revision == revision else Reading(self._helm, self._release, revision).result()


def _digests(stored: Revision) -> dict[str, set[str]]:
    """The deployed digests by reference. A Job may keep another one than the rest of the release."""
    images = {use.image for use in stored.uses()}
    record = None
    try:
        record = stored.record()
    except HelmPinError as error:
        output.say(f"What is deployed is read from the manifest of revision {stored.revision}: {error.what}.")
    found: dict[str, set[str]] = {}
    for reference, digest in digests(images, record).items():
        found.setdefault(reference, set()).add(digest)
    for image in record.images if record else ():
        found.setdefault(image.reference, set()).add(image.digest)
    return found


def compared(
    before: Mapping[str, set[str]], images: Sequence[ImagePlan]
) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """How each planned image differs from the deployed digests by reference, and what is planned no more."""
    planned = [(_name(image), UNPINNED if image.problem else image.digest) for image in images]
    old = {reference: min(digests) for reference, digests in before.items()}
    moves = {change["reference"]: change for change in changes(old, dict(planned))}
    found = []
    for reference, digest in planned:
        move = moves.get(reference)
        if digest in before.get(reference, ()) or _same_without_tag(before, reference, digest):
            found.append(Change(SAME, reference, digest))
        elif move and move["from"]:
            was = move.get("was", "")
            found.append(Change(MOVED, was or reference, move["from"], split(was)[1] or ""))
        elif reference in before:
            found.append(Change(MOVED, reference, old[reference]))
        else:
            found.append(Change(NEW))
    kept = {change.reference for change in found} | {reference for reference, _ in planned}
    tagless = {(split(reference)[0], digest) for reference, digest in planned}
    gone = [
        Change(REMOVED, reference, old[reference])
        for reference in sorted(before)
        if reference not in kept and not any((reference, digest) in tagless for digest in before[reference])
    ]
    return tuple(found), tuple(gone)


def _same_without_tag(before: Mapping[str, set[str]], reference: str, digest: str) -> bool:
    """Whether a manifest has the digest without a tag."""
    return digest in before.get(split(reference)[0], ())


def _name(image: ImagePlan) -> str:
    return str(image.reference._replace(digest=None)) if image.reference else image.image
