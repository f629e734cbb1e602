"""What is decided for each image of a chart, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from helmpin.chart.setargs import Setting, key
from helmpin.config import Settings
from helmpin.image import mutable
from helmpin.image.reference import InvalidReference, Reference, split, valid_digest
from helmpin.pin.render import ImageUse
from helmpin.pin.search import Outcome, pinned_form

if TYPE_CHECKING:
    from helmpin.registry import Resolved

PLACEHOLDERS = frozenset({"auto"})
"""Texts that stand for an image which a webhook fills in (Istio's injection templates)."""


class Decision(NamedTuple):
    """What was decided for one image of the chart."""

    image: str
    reference: Reference | None
    digest: str
    media_type: str
    mutable: str | None
    via: str
    """values, template, chart, or '' when it is not pinned."""
    strategy: str
    values: tuple[str, ...]
    uses: tuple[ImageUse, ...]
    notes: tuple[str, ...]
    problem: str
    """Why it is not pinned; '' when it is."""
    kind: str
    """Of the problem: registry, refused or allowed."""
    todo: str
    set_by: tuple[str, ...]
    """The value paths that set the image, also where they cannot carry a digest."""


def is_allowed(image: str, globs: Sequence[str]) -> bool:
    """Whether --allow-unpinned lets an image through: a glob matches it as written."""
    return any(fnmatchcase(image, glob) for glob in globs)


def references_of(
    uses: list[ImageUse], settings: Settings
) -> tuple[dict[str, Reference], dict[str, tuple[str, str, str]]]:
    """The reference of each image, and (problem, kind, todo) for what is none or is let through."""
    references: dict[str, Reference] = {}
    problems: dict[str, tuple[str, str, str]] = {}
    for image in dict.fromkeys(use.image for use in uses):
        if is_allowed(image, settings.allow_unpinned):
            problems[image] = ("allowed by --allow-unpinned", "allowed", "")
        elif image in PLACEHOLDERS:
            problems[image] = ("not an image: a webhook fills it in", "refused", f"--allow-unpinned {image}")
        else:
            try:
                references[image] = Reference.parse(image)
            except InvalidReference as error:
                problems[image] = (
                    f"not an image reference: {error}",
                    "refused",
                    f"correct the values that make it, or --allow-unpinned {image!r}",
                )
    return references, problems


def decide(
    uses: list[ImageUse],
    references: Mapping[str, Reference],
    resolved: Mapping[str, Resolved],
    problems: Mapping[str, tuple[str, str, str]],
    outcome: Outcome,
    settings: Settings,
) -> list[Decision]:
    found = []
    by_image: dict[str, list[ImageUse]] = {}
    for use in uses:
        by_image.setdefault(use.image, []).append(use)
    for image, mine in by_image.items():
        reference, answer = references.get(image), resolved.get(image)
        problem, kind, todo = problems.get(image, ("", "", ""))
        failed = [use for use in mine if use.key in outcome.failed]
        if failed and not problem:
            problem, kind = (
                f"it cannot be pinned without changing something else: {outcome.failed[failed[0].key]}",
                "refused",
            )
            todo = "see helm pin plan -v for what was tried; set its digest in your values"
        strategies = sorted({outcome.strategies[use.key][0] for use in mine if use.key in outcome.strategies})
        settings_used: dict[Setting, None] = {}
        for use in mine:
            settings_used.update(dict.fromkeys(outcome.strategies.get(use.key, ("", ()))[1]))
        by_template = any(use.key in outcome.by_template for use in mine)
        if reference is None or problem:
            via = ""
        elif valid_digest(reference.digest or ""):
            via, strategies = "chart", ["already pinned"]
        else:
            via = "template" if by_template else "values"
            strategies += ["staged template"] if by_template else []
        notes = tuple(dict.fromkeys(note for use in mine for note in outcome.notes.get(use.key, ())))
        found.append(
            Decision(
                image,
                reference,
                answer.digest if answer else "",
                answer.media_type if answer else "",
                mutable.reason(split(image)[1], reference.digest, settings.mutable_tags) if reference else None,
                via,
                ", ".join(strategies),
                tuple(sorted({key(s.path) for s in settings_used if s.value})),
                tuple(mine),
                notes,
                problem,
                kind,
                todo,
                outcome.set_by.get(image, ()),
            )
        )
    return found


def pinned(decision: Decision) -> str:
    """The reference as it will be deployed (the chart's template may leave the tag out)."""
    return decision.image if decision.via == "chart" else pinned_form(decision.image, decision.digest)
