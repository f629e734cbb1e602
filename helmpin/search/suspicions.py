"""Candidates that were dropped because of differences that they need not have caused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from helmpin.chart.setargs import ValuePath
from helmpin.named_tuple import NamedTuple
from helmpin.render.differences import Leaf
from helmpin.search.candidate import Candidate
from helmpin.search.group import Group

Effect = tuple[Leaf, str]
"""A difference: where it is, and the text that stands there instead."""


class Suspicion(NamedTuple):
    """What a group lost, and why."""

    group: Group
    ranked: list[list[Candidate]]
    """Its candidates before."""
    paths: frozenset[ValuePath]
    """The paths that it lost."""
    effects: frozenset[Effect]
    """The differences."""
    note: str


class Suspicions:
    """What the last render led to. If all of the differences are still there in the next one, the values that were dropped for them
    did not cause them, or not alone. Mutable."""

    def __init__(self) -> None:
        self._last: list[Suspicion] = []
        self._cleared: dict[Leaf, set[ValuePath]] = defaultdict(set)

    def unfounded(self, effects: Collection[Effect], active: Collection[Group]) -> list[Suspicion]:
        """The suspicions that a render with these differences does not bear out. They are forgotten, and so are the others. active:
        the groups whose values that render had, which may have caused the differences in another way."""
        found = [each for each in self._last if each.effects <= set(effects) and each.group not in active]
        for each in found:
            for leaf, _ in each.effects:
                self._cleared[leaf] |= each.paths
        self._last = []
        return found

    def without_cleared(self, paths: Collection[ValuePath], leaf: Leaf) -> set[ValuePath]:
        """The paths that may still have caused a difference at a leaf; all of them if none is left."""
        return {*paths} - self._cleared[leaf] or {*paths}

    def add(self, suspicion: Suspicion) -> None:
        """Remember a suspicion, unless the same was unfounded before: nothing is cleared twice."""
        if any(suspicion.paths - self._cleared[leaf] for leaf, _ in suspicion.effects):
            self._last.append(suspicion)

    def are_cleared(self, paths: Iterable[ValuePath], leaf: Leaf) -> bool:
        """Whether each of these paths is cleared of the difference at a leaf."""
        return {*paths} <= self._cleared[leaf]
