"""What an attempt decides for each image: how it is pinned, or why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from helmpin import policy
from helmpin.chart.setargs import Setting, dotted_key
from helmpin.config.settings import Settings
from helmpin.image.hints import let_through
from helmpin.image.reference import Reference, valid_digest
from helmpin.image.uses import ImageUse, UseKey
from helmpin.lock import Lock
from helmpin.named_tuple import NamedTuple
from helmpin.plan.digests import ResolvedImages
from helmpin.plan.images import ImagePlan, Problem, is_locked
from helmpin.render.diff import Follower
from helmpin.search.attempt import NO_RENDER_LEFT, Attempt


class Decided(NamedTuple):
    """What was decided about the uses of images."""

    known: ResolvedImages
    attempt: Attempt
    settings: Settings
    set_by: Mapping[str, tuple[str, ...]]
    """The value paths that set each image."""
    followers: Sequence[Follower] = ()
    lock: Lock | None = None
    explained: Mapping[UseKey, Problem] = MappingProxyType({})
    """Why uses failed, if the search cannot know."""


def plan_images(uses: Iterable[ImageUse], decided: Decided) -> list[ImagePlan]:
    """The plan for each image, once more for each digest that it gets and each Job that keeps one."""
    wanted, jobs = decided.known.wanted, decided.known.jobs
    by_image: dict[tuple[str, str, str], list[ImageUse]] = {}
    for use in uses:
        by_image.setdefault((use.image, wanted.get(use.key, ""), jobs.get(use.key, "")), []).append(use)
    return [_plan_image(mine, kept_for, decided) for (_, _, kept_for), mine in by_image.items()]


def _plan_image(uses: list[ImageUse], kept_for: str, decided: Decided) -> ImagePlan:
    image, known, attempt, settings = uses[0].image, decided.known, decided.attempt, decided.settings
    reference, answer = known.references.get(image), known.resolved.get(image)
    problem = known.problems.get(image) or _failure(uses, decided)
    via, strategies = _way(uses, None if problem else reference, attempt)
    used = [setting for use in uses if use.key in attempt.strategies for setting in attempt.strategies[use.key][1]]
    digest = known.wanted.get(uses[0].key) or (answer.digest if answer else "")
    bare = reference._replace(digest=None) if reference else None
    return ImagePlan(
        image=image,
        reference=reference,
        digest=digest,
        media_type=answer.media_type if answer else "",
        mutable=policy.mutable_reason(image, settings) if reference else None,
        via=via,
        strategy=", ".join(strategies),
        values=tuple(sorted({dotted_key(s.path) for s in used if s.value})),
        emptied=tuple(sorted({dotted_key(s.path) for s in used if not s.value})),
        uses=tuple(uses),
        notes=_notes(uses, used, attempt),
        problem=problem,
        set_by=decided.set_by.get(image, ()),
        followers=tuple(
            follower
            for follower in decided.followers
            if any(r._replace(digest=None) == bare and r.digest == digest for r in follower.references)
        ),
        by_values_alone=via in ("chart", "values"),
        kept_for=kept_for,
        nulled=next(filter(None, (attempt.nulled.get(use.key) for use in uses)), ""),
        must_be_fixed=policy.refuses_mutable(image, settings) and not is_locked(image, decided.lock),
    )


def _notes(uses: Sequence[ImageUse], used: Iterable[Setting], attempt: Attempt) -> tuple[str, ...]:
    """What was rejected for an image. If values pin it everywhere, not that one of these does not pin some use."""
    notes = dict.fromkeys(note for use in uses for note in attempt.notes.get(use.key, ()))
    if any(use.key not in attempt.strategies for use in uses):
        return tuple(notes)
    paths = {dotted_key(setting.path) for setting in used if setting.value}
    settled = [f" at {path}: {does} " for path in paths for does in ("gives", "leaves")]
    return tuple(note for note in notes if note != NO_RENDER_LEFT and not any(place in note for place in settled))


def _way(uses: Sequence[ImageUse], reference: Reference | None, attempt: Attempt) -> tuple[str, list[str]]:
    """How an image is pinned, as ImagePlan has it, and by which strategies. reference: None for one that is not."""
    strategies = sorted({attempt.strategies[use.key][0] for use in uses if use.key in attempt.strategies})
    if reference is None:
        return "", strategies
    if valid_digest(reference.digest or ""):
        return "chart", ["already pinned"]
    if any(use.key in attempt.by_template for use in uses):
        return "template", [*strategies, "staged template"]
    return "values", strategies


def _failure(uses: Iterable[ImageUse], decided: Decided) -> Problem | None:
    """Why one of the uses could not be pinned; None if each could."""
    failed = [use for use in uses if use.key in decided.attempt.failed]
    if not failed:
        return None
    why = decided.attempt.failed[failed[0].key]
    return next((decided.explained[use.key] for use in failed if use.key in decided.explained), None) or Problem(
        f"no way to pin it was found: {why}",
        "refused",
        f"write its digest where your values or the chart hold the image, or {let_through(failed[0].image)}",
    )
