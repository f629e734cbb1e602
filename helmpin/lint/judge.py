"""Which rules an image breaks, and what exempts it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from helmpin import policy
from helmpin.chart.setargs import ValuePath
from helmpin.config.settings import Settings
from helmpin.image.hints import filled_in
from helmpin.image.reference import InvalidReference, Reference
from helmpin.lint.finding import Exempt
from helmpin.lint.rules import MUTABLE_TAG, NOT_A_REFERENCE, NOT_IN_LOCK, REGISTRY, Rule
from helmpin.lock import Lock
from helmpin.named_tuple import NamedTuple
from helmpin.plan.value_hints import hint_on_empty_values


class Broken(NamedTuple):
    """A rule that an image breaks."""

    rule: Rule
    why: str
    exemption: Exempt | None = None


def judge(
    image: str,
    settings: Settings,
    lock: Lock | None,
    values: Mapping[str, Any] = MappingProxyType({}),
    lines: Iterable[Collection[ValuePath]] = (),
) -> Iterator[Broken]:
    """Each rule that an image breaks. No exemption counts for its registry. values: the chart's, which a reason may name. lines:
    what the lines of its templates read that print the image, each."""
    if not filled_in(image) and (refusal := policy.registry_refusal(image, settings)):
        yield Broken(REGISTRY, refusal.text)
    rule, why = _trouble(image, settings, lock, values, lines)
    if why:
        exemption = _exemption(image, settings)
        yield Broken(rule, why if exemption else why + _no_exemption(image, settings), exemption)


def judge_missing(settings: Settings, fault: str) -> Broken:
    """The rule that a container without an image breaks. fault: as WithoutImage has it."""
    why = f"the container {fault}; set the value that the template prints there"
    return Broken(NOT_A_REFERENCE, why, _exemption("", settings))


def _trouble(
    image: str,
    settings: Settings,
    lock: Lock | None,
    values: Mapping[str, Any],
    lines: Iterable[Collection[ValuePath]],
) -> tuple[Rule, str]:
    """Which rule an image breaks, wherever it comes from, and why; '' if it breaks none."""
    if why := filled_in(image):
        return NOT_A_REFERENCE, f"not an image yet: {why}"
    try:
        reference = Reference.parse(image)
    except InvalidReference as error:
        hint = hint_on_empty_values(image, values, lines)
        return NOT_A_REFERENCE, f"not an image reference: {error}" + (f"; {hint}" if hint else "")
    if lock and (refusal := lock.refusal(reference)):
        return NOT_IN_LOCK, refusal.why
    if lock and lock.knows(reference):
        return MUTABLE_TAG, ""
    return MUTABLE_TAG, policy.mutable_reason(image, settings) or ""


def _exemption(image: str, settings: Settings) -> Exempt | None:
    """What exempts an image, if anything does."""
    for each in settings.exemptions:
        if policy.is_allowed(image, [each.image]) and not each.is_over():
            return Exempt(each.image, each.shown, each.reason, each.until)
    glob = next((glob for glob in settings.allow_unpinned if policy.is_allowed(image, [glob])), "")
    return Exempt(glob, f"allow-unpinned {glob!r}") if glob else None


def _no_exemption(image: str, settings: Settings) -> str:
    """Why an exemption that seems to be meant for an image does not apply, after the reason; '' if none seems to be."""
    if over := next((each for each in settings.exemptions if policy.is_allowed(image, [each.image])), None):
        return f" (its exemption ended on {over.until}: {over.reason})"
    why = policy.left_out_tag(image, settings)
    return f" ({why})" if why else ""
