"""A plan compared with what is deployed: which digests stay, which are new, and which move."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from helmpin import output
from helmpin.errors import HelmFailed, HelmPinError
from helmpin.helm import Helm
from helmpin.image.reference import split
from helmpin.named_tuple import NamedTuple
from helmpin.release.changes import UNPINNED, Digests, digests, named
from helmpin.release.reading import Reading

if TYPE_CHECKING:
    from helmpin.image.outside_pods import ExtraImageRules
    from helmpin.image.uses import ImageUse, UseKey
    from helmpin.plan.images import ImagePlan
    from helmpin.release.previous import Previous
    from helmpin.release.revision import Revision

SAME, NEW, MOVED, REMOVED, UNKNOWN = "same", "new", "moved", "removed", "unknown"


class Change(NamedTuple):
    """How an image differs from the deployed revision."""

    kind: str
    """SAME, NEW, MOVED or REMOVED; UNKNOWN for an image that is deployed but has no digest in the plan."""
    reference: str = ""
    """The deployed reference, with its tag; '' for NEW."""
    digest: str = ""
    """The deployed digest, or UNPINNED; '' for NEW."""
    was: str = ""
    """How to show the deployed reference: its tag if only that differs, the whole reference if the repository differs, else ''."""


class Deployed(NamedTuple):
    """What is deployed, and how a plan differs from it."""

    revision: int | None
    """None if there is no release."""
    changes: tuple[Change, ...]
    """In the order of the plan's images."""
    removed: tuple[Change, ...]
    """What is deployed and no longer planned."""

    @property
    def differing(self) -> int:
        """How many images would change."""
        return sum(change.kind != SAME for change in (*self.changes, *self.removed))


class DeployedImages(NamedTuple):
    """What is deployed."""

    digests: Digests = MappingProxyType({})
    uses: Sequence[ImageUse] = ()


class DeployedReading:
    """What is deployed. The constructor starts to read it; `result()` waits."""

    def __init__(self, helm: Helm, release: str) -> None:
        self._helm, self._release = helm, release
        self._reading = Reading(helm, release)

    def result(
        self, previous: Previous | None, images: Sequence[ImagePlan], also: ExtraImageRules | None = None
    ) -> Deployed:
        """The planned images compared with the deployed revision. previous: the release that was planned for. also: the images
        outside pod specs that are planned. Raises HelmFailed."""
        if previous is None or previous.installs_anew or not previous.has_run:
            return Deployed(None, *compared(DeployedImages(), images))
        stored = self._stored(previous.revision)
        return Deployed(stored.revision, *compared(_before(stored, also), images))

    def _stored(self, revision: int) -> Revision:
        try:
            latest = self._reading.result()
        except HelmFailed:  # removed meanwhile
            return Reading(self._helm, self._release, revision).result()
        return latest if latest.revision == revision else Reading(self._helm, self._release, revision).result()


def _before(stored: Revision, also: ExtraImageRules | None) -> DeployedImages:
    uses = stored.uses(also)
    record = None
    try:
        record = stored.record()
    except HelmPinError as error:
        output.say(f"What is deployed is read from the manifest of revision {stored.revision}: {error.what}.")
    return DeployedImages(digests({use.image for use in uses}, record), uses)


_AtDigest = tuple[str, str]
"""(reference, digest); the digest may be UNPINNED."""


def compared(before: DeployedImages, images: Sequence[ImagePlan]) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """How each planned image differs from what its uses ran before, and what is no longer planned.

    A new use counts as the same if the release has the image already.
    """
    ran = _pairs(before.uses, (use for image in images for use in image.uses))
    planned = [_planned(image) for image in images]
    deployed = sorted((reference, digest) for reference, several in before.digests.items() for digest in several)
    found: list[Change] = []
    accounted: set[_AtDigest] = set()
    for image, now in zip(images, planned, strict=True):
        old = [named(ran[use.key].image) for use in image.uses if use.key in ran]
        others = sorted({_recorded(each, before.digests) for each in old if not _is_same(each, now)})
        own = [each for each in others if _name(each) == _name(now)]
        is_there = any(_is_same(each, now) for each in deployed)
        if not others and (is_there or (old and len(old) == len(image.uses))):
            change = Change(SAME, *now)
        elif origins := own or (others if is_there else _by_name(now, planned, before.digests)):
            change = _moved(origins[0], now)
        else:
            change = Change(NEW)
        is_unknown = image.problem and not image.is_let_through and now[1] == UNPINNED and change.kind != NEW
        found.append(change._replace(kind=UNKNOWN) if is_unknown else change)
        same = {_recorded(each, before.digests) for each in old if _is_same(each, now)}
        accounted |= {now, *own, *same, (change.reference, change.digest)}
    gone = [each for each in deployed if each not in accounted and not any(_is_same(each, now) for now in planned)]
    return tuple(found), tuple(Change(REMOVED, *each) for each in gone)


def _planned(image: ImagePlan) -> _AtDigest:
    """What will run, or would if it were not refused. An image without a digest (it may be allowed) stays as it is."""
    if not image.digest or not image.reference:
        return named(image.image)
    return str(image.reference._replace(digest=None)), image.digest


def _name(image: _AtDigest) -> str:
    return split(image[0])[0]


def _is_same(old: _AtDigest, now: _AtDigest) -> bool:
    """Whether a deployed image is the planned one. Its template may have left out the tag."""
    return old[1] == now[1] and old[0] in (now[0], _name(now))


def _recorded(old: _AtDigest, digests: Digests) -> _AtDigest:
    """A deployed image, with the recorded tag if its template has left that out."""
    return next(((r, old[1]) for r in sorted(digests) if split(r)[0] == old[0] and old[1] in digests[r]), old)


def _by_name(now: _AtDigest, planned: Iterable[_AtDigest], digests: Digests) -> list[_AtDigest]:
    """What a planned image was before, if none of its uses existed: the same reference, or the only one of its repository. What is
    no longer planned comes first."""
    old = [now[0]] if now[0] in digests else [each for each in digests if split(each)[0] == _name(now)]
    new = {each[0] for each in planned if _name(each) == _name(now)}
    if len(old) != 1 or (old[0] != now[0] and len(new) != 1):
        return []
    return sorted(((old[0], digest) for digest in digests[old[0]]), key=lambda each: (each in planned, each))


def _moved(old: _AtDigest, now: _AtDigest) -> Change:
    was = "" if old[0] == now[0] else split(old[0])[1] or "" if _name(old) == _name(now) else old[0]
    return Change(MOVED, *old, was)


# -- places ---------------------------------------------------------------------------------------------------------------


def _slot(use: ImageUse) -> tuple[Any, ...]:
    """The container, whatever its position in the list."""
    return (tuple(part for part in use.path if isinstance(part, str)), use.container) if use.container else use.path


_PLACES: Sequence[Callable[[ImageUse], tuple[Any, ...]]] = (
    lambda use: (use.source, use.kind, use.name, _slot(use)),
    lambda use: (use.kind, use.name, _slot(use)),  # of another template
    lambda use: (use.source, use.kind, bool(use.hook), _slot(use)),  # of a random name
)
"""What identifies a planned use with a deployed one: the first of these keys that equally many of both sides have."""


def _pairs(old: Iterable[ImageUse], new: Iterable[ImageUse]) -> Mapping[UseKey, ImageUse]:
    """The deployed use for each planned one, by the latter's key. Several in one place are paired in the order of the templates."""
    found: dict[UseKey, ImageUse] = {}
    sides = [sorted(uses, key=lambda use: (*use.key[:3], str(use.path))) for uses in (old, new)]
    for place in _PLACES:
        before, after = (_grouped(uses, place) for uses in sides)
        both = {key for key in after if len(after[key]) == len(before.get(key, ()))}
        for key in both:
            found |= {now.key: was for was, now in zip(before[key], after[key], strict=True)}
        sides = [[use for use in uses if place(use) not in both] for uses in sides]
    return found


def _grouped(uses: Iterable[ImageUse], place: Callable[[ImageUse], tuple[Any, ...]]) -> dict[Any, list[ImageUse]]:
    groups: dict[Any, list[ImageUse]] = defaultdict(list)
    for use in uses:
        groups[place(use)].append(use)
    return groups
