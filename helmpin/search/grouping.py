"""The uses that a search begins with, in groups, and what may be set for each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from helmpin.chart.setargs import dotted_key
from helmpin.image.reference import split
from helmpin.image.uses import UseKey
from helmpin.search.attempt import Facts
from helmpin.search.candidate import Candidate
from helmpin.search.candidates import NULLED, candidates, nulled
from helmpin.search.group import Group, shown
from helmpin.search.value_index import ValueIndex
from helmpin.templates.scan import TemplateScan


def groups_of(
    facts: Iterable[Facts], values: ValueIndex, scan: Callable[[str], TemplateScan]
) -> tuple[list[Group], dict[UseKey, str]]:
    """The groups, and the first use of each whose value the user has set to null: which, for people. scan: as Search has it."""
    alike: dict[tuple[Any, ...], list[Facts]] = defaultdict(list)
    for fact in facts:
        alike[fact.use.image, fact.origin.image, fact.digest, fact.scope, fact.is_literal].append(fact)
    groups: list[Group] = []
    set_to_null: dict[UseKey, str] = {}
    for some in alike.values():
        first = some[0]
        of_chart = scan(first.origin.source)
        group = Group(first.use.image, first.digest, first.scope, _ranked(first, len(some), values, of_chart))
        group.uses += [fact.use for fact in some]
        groups.append(group)
        if emptied := list(nulled(first.origin.image, first.digest, first.scope, values, of_chart)):
            set_to_null.setdefault(first.use.key, f"{shown(emptied[:1])}: {NULLED}")
    return groups, set_to_null


def _ranked(fact: Facts, uses: int, values: ValueIndex, scan: TemplateScan) -> list[list[Candidate]]:
    """The candidates for a use, as Group has them. uses: how many are alike."""
    if not fact.may_be_set:
        return []
    ranked = candidates(fact.origin.image, fact.digest, fact.scope, values, scan, fact.names, uses)
    if split(fact.use.image)[1] in (None, "latest") and not fact.use.pull_policy:
        # the tag must stay, but many templates drop it if there is a digest key
        return [sorted(options, key=lambda c: c.strategy.startswith("digest key")) for options in ranked]
    return ranked


def set_by(groups: Iterable[Group]) -> dict[str, tuple[str, ...]]:
    """For each image: the value paths that appear to set it, whether or not they can carry a digest."""
    by_image: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        by_image[group.image].append(group)
    return {image: _paths_of(some) for image, some in by_image.items()}


def _paths_of(groups: Iterable[Group]) -> tuple[str, ...]:
    named = [candidate for group in groups for candidate in group.current() if not candidate.by_tag_only]
    return tuple(sorted({dotted_key(setting.path) for candidate in named for setting in candidate.settings}))
