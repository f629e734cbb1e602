"""What registries say about the releases of an audit: digests that are gone, tags that have moved, what each image is."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType

from helmpin.image.reference import Reference
from helmpin.named_tuple import NamedTuple
from helmpin.registry import RegistryError, details_of, resolve
from helmpin.registry.details import Details
from helmpin.release.record import Record
from helmpin.release.revision import Revision
from helmpin.verify.registries import Missing, Registries, askable, missing_of
from helmpin.verify.tags import Moved, moved, tags


class ReleaseId(NamedTuple):
    """A release of any cluster."""

    context: str
    namespace: str
    name: str


class Question(NamedTuple):
    """What to ask about a release."""

    release: ReleaseId
    stored: Revision
    pinned: Record | None
    """The record, or without one the digests of the manifest; None not to ask."""
    uses: AbstractSet[str]
    """The images of its manifest, as written."""


class Answer(NamedTuple):
    """What registries say about a release."""

    gone: tuple[str, ...] = ()
    moved: tuple[Moved, ...] | None = None
    still_tagged: frozenset[str] = frozenset()
    """The digests of moved tags that another tag holds."""
    details: Mapping[str, Details] = MappingProxyType({})
    unanswered: tuple[tuple[str, str], ...] = ()
    """(registry, why) of those that did not answer everything, in their words: several if they gave several reasons."""
    silent: tuple[str, ...] = ()
    """What is unknown because of that, a line each."""


def ask(questions: list[Question], registries: Registries | None, *, describe: bool) -> dict[ReleaseId, Answer]:
    """What the registries no longer have of each release, and which of its tags have moved; all are requested at once.

    registries: None not to ask. describe: whether to ask, too, what each image is.
    """
    if registries is None:
        return {question.release: Answer() for question in questions}
    asked = [
        (q.release, askable(q.pinned, q.stored, q.uses), tags(q.pinned, q.stored, q.uses))
        for q in questions
        if q.pinned
    ]
    references = [reference for _, pinned, _ in asked for reference in pinned]
    answers = resolve([*references, *(tag.reference for _, _, named in asked for tag in named)], *registries)
    moves = {release: moved(named, answers) for release, _, named in asked}
    held = _still_tagged(moves, registries)
    about = details_of(references, *registries) if describe else {}
    found = {question.release: Answer(moved=()) for question in questions}
    for release, pinned, named in asked:
        silent = missing_of([tag.reference for tag in named], answers).silent
        known = {reference: about[reference] for reference in pinned if reference in about}
        found[release] = _answer(missing_of(pinned, answers), silent, known)._replace(
            moved=tuple(moves[release]) if moves[release] or not silent else None, still_tagged=held[release]
        )
    return found


def _answer(
    missing: Missing,
    silent_tags: list[tuple[Reference, RegistryError]],
    about: Mapping[Reference, Details | RegistryError],
) -> Answer:
    """The answer about the digests of a release, and what is unknown of them and of its tags."""
    unanswered = [*missing.silent, *silent_tags, *missing_of([*about], about).silent]
    without_digest = {reference.name for reference, _ in missing.silent}
    return Answer(
        gone=tuple(f"{r.name}@{r.digest} is gone from the registry: {e.reason}" for r, e in missing.gone),
        details={r.digest or "": each for r, each in about.items() if isinstance(each, Details)},
        unanswered=tuple(dict.fromkeys((error.registry, error.reason) for _, error in unanswered)),
        silent=(
            *(f"{r.name}@{r.digest}: {error}" for r, error in missing.silent),
            *(f"whether {r} has moved is unknown: {e}" for r, e in silent_tags if r.name not in without_digest),
        ),
    )


def _still_tagged(moves: Mapping[ReleaseId, list[Moved]], registries: Registries) -> dict[ReleaseId, frozenset[str]]:
    """For each release, the recorded digests of moved tags that a tag of helm pin keep still holds."""
    tags = {
        (release, each.was): each.kept_by(release.name, release.namespace)
        for release, some in moves.items()
        for each in some
    }
    answers = resolve(tags.values(), *registries)
    held = [(release, was) for (release, was), tag in tags.items() if getattr(answers[tag], "digest", "") == was]
    return {release: frozenset(was for owner, was in held if owner == release) for release in moves}
