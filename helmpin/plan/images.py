"""What is planned for each image of a chart, and why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from helmpin import policy
from helmpin.chart.setargs import ValuePath
from helmpin.config.settings import Settings
from helmpin.image.hints import filled_in, let_through
from helmpin.image.reference import InvalidReference, Reference, pinned_form
from helmpin.image.uses import ImageUse
from helmpin.named_tuple import NamedTuple
from helmpin.plan.value_hints import hint_on_values
from helmpin.render.diff import Follower

if TYPE_CHECKING:
    from helmpin.lock import Lock

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
    nulled: str = ""
    """The value that could pin it, but for the user's null, for people."""
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
    lines: Callable[[str], Iterable[Collection[ValuePath]]] = lambda _: (),
) -> tuple[dict[str, Reference], dict[str, Problem]]:
    """The reference of each image, and the problem of each that is refused, invalid or may stay unpinned. values: all of the
    chart's. lock: no rule refuses the tag of what it has. lines: what the lines read that print images in the templates of one."""
    references: dict[str, Reference] = {}
    problems: dict[str, Problem] = {}
    for image in dict.fromkeys(use.image for use in uses):
        filled = filled_in(image)
        refusal = None if filled else policy.registry_refusal(image, settings)
        may_be_unpinned = policy.is_allowed(image, settings.allow_unpinned)
        if not (refusal or may_be_unpinned or is_locked(image, lock)):
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
                hint = f"{hint_on_values(image, values, lines(image))}; or {let_through(image)}"
                problems[image] = Problem(f"not an image reference: {error}", "refused", hint)
    return references, problems


def is_locked(image: str, lock: Lock | None) -> bool:
    """Whether the lock has the digest of an image; if so, its tag cannot move."""
    reference = Reference.read(image)
    return lock is not None and reference is not None and lock.knows(reference)
