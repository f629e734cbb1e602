"""What an attempt makes of each image, and of the record of the release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from helmpin import __version__
from helmpin.chart.setargs import Setting, lookup
from helmpin.config.settings import Settings
from helmpin.image.reference import Reference
from helmpin.image.uses import ImageUse, UseKey
from helmpin.lock import Lock
from helmpin.named_tuple import NamedTuple
from helmpin.plan.decide import Decided, plan_images
from helmpin.plan.digests import ResolvedImages
from helmpin.plan.images import ImagePlan, Problem
from helmpin.plan.rendered import Rendered
from helmpin.release.record import Image, Record, Undo
from helmpin.render.diff import Follower
from helmpin.search.attempt import Attempt


class Outcomes(NamedTuple):
    """What an attempt, if it is the last, makes of each image and of the record."""

    rendered: Rendered
    settings: Settings
    lock: Lock | None
    uses: Sequence[ImageUse]
    known: ResolvedImages
    created: str
    """When the record is made (RFC 3339)."""
    set_by: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    explained: Mapping[UseKey, Problem] = MappingProxyType({})

    def images(self, attempt: Attempt, followers: tuple[Follower, ...] = ()) -> list[ImagePlan]:
        """The plan for each image."""
        decided = Decided(
            known=self.known,
            attempt=attempt,
            settings=self.settings,
            lock=self.lock,
            set_by=self.set_by,
            followers=followers,
            explained=self.explained,
        )
        planned, lock = plan_images(self.uses, decided), self.lock
        return [image._replace(source=lock.kind) if lock and _is_from(lock, image) else image for image in planned]

    def record(self, attempt: Attempt, images: Sequence[ImagePlan] | None = None) -> Record:
        """The record of the release. images: the plan for each, if it is known already."""
        images = self.images(attempt) if images is None else images
        return Record(
            tool=f"helm-pin {__version__}",
            created=self.created,
            images=tuple(
                _recorded(image, image.reference)
                for image in images
                if image.digest and image.reference and not image.problem
            ),
            undo=_undo(attempt.settings, self.rendered),
            allowed=tuple(image for image, problem in self.known.problems.items() if problem.kind == "allowed"),
            lock=self.lock.recorded if self.lock and any(image.source for image in images) else "",
            required=self.settings.gate.shown,
        )


def _recorded(image: ImagePlan, reference: Reference) -> Image:
    """A planned image as the record has it."""
    return Image(
        reference=str(reference._replace(digest=None)),
        image=image.image,
        digest=image.digest,
        media_type=image.media_type,
        via=image.via,
        values=image.values,
        followers=tuple(follower.place() for follower in image.followers),
        source=image.source,
    )


def _is_from(lock: Lock, image: ImagePlan) -> bool:
    """Whether the digest of an image came from the lock."""
    return (
        image.via in ("values", "template")
        and not image.kept_for
        and image.reference in {*lock.digests, *lock.platforms}
    )


def _undo(settings: Iterable[Setting], rendered: Rendered) -> tuple[Undo, ...]:
    """What stood at each path that is set, so that these values can be reused later without the digests."""
    values, kept = rendered.origin.values or {}, rendered.kept
    entries = []
    for path in sorted({setting.path for setting in settings}, key=lambda p: [str(part) for part in p]):
        depth = next(
            (i for i in range(len(path)) if not isinstance(lookup(kept, path[: i + 1]), (dict, list))), len(path) - 1
        )
        supplied = lookup(kept, path) is not None
        entries.append(Undo(path, lookup(values, path), supplied, depth))
    return tuple(entries)
