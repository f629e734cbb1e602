"""The digest that each image gets, from the lock, its registry or an existing Job; and why an image gets none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from helmpin import gate
from helmpin.config.settings import Settings
from helmpin.image.hints import let_through, number_hint
from helmpin.image.reference import Reference
from helmpin.image.uses import ImageUse, UseKey, only_tests
from helmpin.lock import Lock, NotLocked
from helmpin.lock.source import resolve
from helmpin.named_tuple import NamedTuple
from helmpin.plan import platforms
from helmpin.plan.credentials import keychain_of
from helmpin.plan.images import Problem, references_of
from helmpin.plan.jobs import JobFollower, KeptJobs, Locked
from helmpin.plan.rendered import Rendered
from helmpin.plan.value_hints import naming_numbers, read_on_lines
from helmpin.registry import RegistryError, Resolved
from helmpin.render.needs import texts
from helmpin.search.value_index import leaves
from helmpin.shapes import text_of


class ResolvedImages(NamedTuple):
    """What is known of the images of a render before any of them is pinned, by image as written or by use."""

    references: Mapping[str, Reference]
    resolved: Mapping[str, Resolved]
    wanted: Mapping[UseKey, str]
    """The digest of each use to pin."""
    jobs: Mapping[UseKey, str]
    """The Job of each use that keeps the digest it ran with."""
    problems: Mapping[str, Problem]
    """Why an image is not to be pinned."""
    job_followers: Mapping[UseKey, Sequence[JobFollower]] = MappingProxyType({})
    """For each of these uses, what follows it in its Job."""


def digests_of(
    rendered: Rendered,
    uses: Sequence[ImageUse],
    settings: Settings,
    kept_jobs: KeptJobs,
    lock: Lock | None,
    relock: Callable[[], str] | None = None,
) -> ResolvedImages:
    """The digest to pin each use to, from an existing Job, the lock or the registry. An image that must not be pinned, or cannot be
    resolved, has a problem instead. So has one that a Job keeps at another digest than the lock's, if all digests must come from
    the lock.

    uses: those of the plain render. lock: where digests come from before the registry is asked. relock: finds out how the lock gets
    the digest of a Job. Raises HelmPinError.
    """
    lines = partial(read_on_lines, rendered.chart, uses)
    references, problems = references_of(uses, settings, rendered.origin.values or {}, lock, lines)
    resolved = _resolve(rendered, uses, references, problems, settings, lock)
    problems.update(platforms.problems(rendered, resolved, references, settings))
    digests = {image: answer.digest for image, answer in resolved.items() if references[image].digest is None}
    locked = None
    if lock and lock.only:
        kept = {image: lock.kept.get(references[image], frozenset()) for image in digests}
        locked = Locked(digests, lock.name, kept, relock)
    by_jobs = kept_jobs.digests([use for use in uses if use.image in digests], locked)
    problems.update(by_jobs.problems)
    problems.update(_ask_gate(settings, uses, references, resolved, by_jobs.wanted, problems))
    wanted = {
        use.key: by_jobs.wanted.get(use.key) or digests[use.image]
        for use in uses
        if use.image in digests and use.image not in problems
    }
    return ResolvedImages(
        references=references,
        resolved=resolved,
        wanted=wanted,
        jobs=by_jobs.jobs,
        problems=problems,
        job_followers=by_jobs.followers,
    )


def _resolve(
    rendered: Rendered,
    uses: Sequence[ImageUse],
    references: Mapping[str, Reference],
    problems: dict[str, Problem],
    settings: Settings,
    lock: Lock | None,
) -> dict[str, Resolved]:
    """Each image resolved, by the lock or else by its registry. A problem is added for each that cannot be resolved."""
    keychain = None if settings.locked else keychain_of(rendered, settings)
    answers = resolve(lock, references.values(), settings.registry, keychain)
    by_image: dict[str, list[ImageUse]] = defaultdict(list)
    for use in uses:
        by_image[use.image].append(use)
    resolved: dict[str, Resolved] = {}
    for image, reference in references.items():
        answer = answers[reference]
        if isinstance(answer, NotLocked):
            problems[image] = Problem(answer.why, "refused", answer.hint)
        elif lock and lock.only and (why := _contradiction(lock, reference, rendered)):
            hint = f"take the digest out of your values, or write it into {lock.name}"
            problems[image] = Problem(why, "refused", hint)
        elif isinstance(answer, RegistryError) and reference.digest and answer.kind != "not-found":
            # the chart itself pins it: the digest is known, and runtimes check it
            resolved[image] = Resolved(reference.digest, "")
        elif isinstance(answer, RegistryError):
            problems[image] = _unresolved(image, answer, by_image[image], rendered.origin.values or {}, lock)
        else:
            resolved[image] = answer
    return resolved


def _contradiction(lock: Lock, reference: Reference, rendered: Rendered) -> str:
    """Why an image that the user's values pin is not as in the lock; '' if it is, or if the chart itself pins it: a lock that
    several charts share may have the tags of others."""
    digits = (reference.digest or "").partition(":")[2]
    if not digits or not any(digits in text for text in texts(rendered.kept)):
        return ""
    own = lock.instead_of(reference)
    return f"your values pin it to {reference.digest}, {lock.name} has {own}" if own else ""


def _unresolved(
    image: str, error: RegistryError, uses: Sequence[ImageUse], values: Mapping[str, Any], lock: Lock | None
) -> Problem:
    """The problem of an image that was not resolved, with a hint that fits its uses. values: helm's computed ones."""
    hint = error.hint
    if error.kind == "not-found":
        numbers = {text_of(value) for _, value in leaves(values) if isinstance(value, (int, float))}
        hint = "\n".join(filter(None, (hint, naming_numbers(number_hint(image, numbers), image, values))))
    elif error.kind in ("unreachable", "timeout", "rate-limited") and lock is None:
        hint += "\nor take the digests from a lock or a release: plan and upgrade --lock FILE, or --lock release:NAMESPACE/NAME"
    if all(only_tests(use.hook) for use in uses):
        hint = f"only a test hook uses it; if you do not run that, {let_through(image)}\n{hint}"
    elif all(use.pull_policy == "Never" for use in uses):
        hint = (
            f"its pull policy is Never, so it was loaded into the nodes and cannot run by digest; {let_through(image)}"
        )
    return Problem(str(error), "registry", hint)


def _ask_gate(
    settings: Settings,
    uses: Sequence[ImageUse],
    references: Mapping[str, Reference],
    resolved: Mapping[str, Resolved],
    by_jobs: Mapping[UseKey, str],
    problems: Mapping[str, Problem],
) -> dict[str, Problem]:
    """The problem of each image that a required command rejects, at each digest that it will have."""
    asked: dict[str, list[str]] = defaultdict(list)  # one image may be spelt in several ways
    for use in uses if settings.gate.commands else ():
        if use.image in resolved and use.image not in problems:
            digest = by_jobs.get(use.key) or resolved[use.image].digest
            asked[str(references[use.image]._replace(digest=digest))].append(use.image)
    refused = gate.ask(settings.gate, asked)
    hint = "fix what the command reports, sign or rebuild the image, or deploy another one"
    return {image: Problem(why, "gate", hint) for pinned, why in refused.items() for image in asked[pinned]}
