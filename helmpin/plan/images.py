"""What is planned for each image of a chart, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from helmpin import policy
from helmpin.chart.setargs import Setting, dotted_key
from helmpin.config.settings import Settings
from helmpin.image.hints import filled_in, let_through
from helmpin.image.manifest import ImageUse, UseKey
from helmpin.image.reference import InvalidReference, Reference, pinned_form, valid_digest
from helmpin.plan.value_hints import hint_on_values
from helmpin.render.diff import Follower

if TYPE_CHECKING:
    from helmpin.lock import Lock
    from helmpin.plan.digests import ResolvedImages
    from helmpin.plan.search import Attempt

ProblemKind = Literal["registry", "gate", "refused", "allowed"]
"""registry: it gave no digest. gate: a required command rejected it. refused: helm-pin cannot or must not pin it. allowed: it
may stay without a digest."""


class Problem(NamedTuple):
    """Why an image is not pinned."""

    text: str
    kind: ProblemKind
    hint: str = ""
    """What to do about it."""


class ImagePlan(NamedTuple):
    """What is planned for one image of the chart."""

    image: str
    reference: Reference | None
    digest: str
    media_type: str
    mutable: str | None
    """Why the tag is mutable; None if it is not."""
    via: str
    """values, template, chart, or '' if it is not pinned."""
    strategy: str
    values: tuple[str, ...]
    """The value paths that carry its digest."""
    uses: tuple[ImageUse, ...]
    notes: tuple[str, ...]
    problem: Problem | None
    set_by: tuple[str, ...]
    """The value paths that set the image, even if they cannot carry a digest."""
    followers: tuple[Follower, ...]
    by_values_alone: bool
    """Whether --set arguments alone pin every use of it; if not, `values` may pin some."""
    kept_for: str = ""
    """The Job that keeps this digest, because its pod template cannot change."""
    source: str = ""
    """Where the digest came from, if not from the registry: `lock` or `release`."""
    emptied: tuple[str, ...] = ()
    """The value paths that are emptied, so that `values` count."""
    must_be_fixed: bool = True
    """Whether a mutable tag of it is refused: not if a lock has its digest; a rule may differ from the setting for all."""

    @property
    def is_let_through(self) -> bool:
        """Whether it may be deployed without a digest."""
        return self.problem is not None and self.problem.kind == "allowed"

    @property
    def is_refused_as_mutable(self) -> bool:
        """Whether its mutable tag must not be deployed."""
        return bool(self.mutable) and self.must_be_fixed and not self.is_let_through

    @property
    def why_unpinned(self) -> Problem | None:
        """Why it is not pinned: its mutable tag is refused, or it has another problem."""
        if self.is_refused_as_mutable:
            return Problem(f"{self.mutable}, and mutable tags are refused", "refused")
        return self.problem

    @property
    def pinned(self) -> str:
        """The reference as it will be deployed. (The chart's template may leave the tag out.)"""
        return self.image if self.via == "chart" else pinned_form(self.image, self.digest)


def references_of(
    uses: Iterable[ImageUse],
    settings: Settings,
    values: Mapping[str, Any] = MappingProxyType({}),
    lock: Lock | None = None,
) -> tuple[dict[str, Reference], dict[str, Problem]]:
    """The reference of each image, and the problem of each that is refused, invalid or may stay unpinned. values: all of the
    chart's. lock: no rule refuses the tag of what it has."""
    references: dict[str, Reference] = {}
    problems: dict[str, Problem] = {}
    for image in dict.fromkeys(use.image for use in uses):
        filled = filled_in(image)
        refusal = None if filled else policy.registry_refusal(image, settings)
        may_be_unpinned = policy.is_allowed(image, settings.allow_unpinned)
        if not (refusal or may_be_unpinned or _is_locked(image, lock)):
            refusal = policy.refusal_by_rule(image, settings)
        if refusal:
            problems[image] = Problem(refusal.text, "refused", refusal.hint)
        elif may_be_unpinned:
            exemptions = (
                each for each in settings.exemptions if not each.is_over() and policy.is_allowed(image, [each.image])
            )
            by = next((f"the exemption of {each.shown}" for each in exemptions), settings.allow_unpinned_from)
            problems[image] = Problem(f"allowed by {by}", "allowed")
        elif filled:
            problems[image] = Problem(f"placeholder: {filled}", "refused", let_through(image))
        else:
            try:
                references[image] = Reference.parse(image)
            except InvalidReference as error:
                hint = f"{hint_on_values(image, values)}; or {let_through(image)}"
                problems[image] = Problem(f"not an image reference: {error}", "refused", hint)
    return references, problems


def _is_locked(image: str, lock: Lock | None) -> bool:
    """Whether the lock has the digest of an image; if so, its tag cannot move."""
    reference = Reference.read(image)
    return lock is not None and reference is not None and lock.knows(reference)


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
    strategies = sorted({attempt.strategies[use.key][0] for use in uses if use.key in attempt.strategies})
    used: dict[Setting, None] = {}
    for use in uses:
        used.update(dict.fromkeys(attempt.strategies.get(use.key, ("", ()))[1]))
    by_template = any(use.key in attempt.by_template for use in uses)
    if reference is None or problem:
        via = ""
    elif valid_digest(reference.digest or ""):
        via, strategies = "chart", ["already pinned"]
    else:
        via = "template" if by_template else "values"
        strategies += ["staged template"] if by_template else []
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
        notes=tuple(dict.fromkeys(note for use in uses for note in attempt.notes.get(use.key, ()))),
        problem=problem,
        set_by=decided.set_by.get(image, ()),
        followers=tuple(
            follower
            for follower in decided.followers
            if any(r._replace(digest=None) == bare and r.digest == digest for r in follower.references)
        ),
        by_values_alone=via == "chart" or (via == "values" and not by_template),
        kept_for=kept_for,
        must_be_fixed=policy.refuses_mutable(image, settings) and not _is_locked(image, decided.lock),
    )


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
