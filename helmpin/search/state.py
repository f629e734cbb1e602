"""Where a search stands: what pins each use, as far as it is known, and what was tried before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from helmpin.chart.setargs import Setting
from helmpin.image.uses import ImageUse, UseKey
from helmpin.search.attempt import Attempt, Facts
from helmpin.search.group import Group
from helmpin.search.tried import Tried

Standing = tuple[tuple[int, ...], int, int]
"""How often the candidates of each group have changed, how many uses go to their templates, how many have failed."""


class SearchState:
    """Each use is pinned by the values of its group, or by its template, or has failed. Mutable."""

    def __init__(self, facts: Iterable[Facts], groups: list[Group], nulled: Mapping[UseKey, str]) -> None:
        """nulled: as Attempt has it."""
        self.groups = groups
        self.charts = {group.scope for group in groups}
        """The scopes of the charts that have images."""
        self.by_template: set[UseKey] = set()
        self.failed: dict[UseKey, str] = {}
        self.tried = Tried()
        """What was tried and rejected."""
        self._in_template = {fact.use.key: fact.in_template for fact in facts}
        self._notes = defaultdict(list, {key: [text] for key, text in nulled.items()})
        self._nulled = nulled

    def uses(self) -> Iterable[ImageUse]:
        """Those that have not failed."""
        return (use for group in self.groups for use in group.uses if use.key not in self.failed)

    def active(self) -> list[Group]:
        """The groups that values pin."""
        return [group for group in self.groups if group.ranked and self.by_values(group)]

    def by_values(self, group: Group) -> list[ImageUse]:
        """Those uses of a group that its values pin."""
        return [use for use in group.uses if use.key not in self.by_template and use.key not in self.failed]

    def standing(self) -> Standing:
        """How far it has come, so that it shows whether a result has changed anything."""
        return tuple(group.changes for group in self.groups), len(self.by_template), len(self.failed)

    def attempt(self) -> Attempt:
        """What to try next."""
        settings: dict[Setting, None] = {}
        strategies: dict[UseKey, tuple[str, tuple[Setting, ...]]] = {}
        for group in self.active():
            names = ", ".join(sorted({candidate.strategy for candidate in group.current()}))
            settings.update(dict.fromkeys(group.settings()))
            for use in self.by_values(group):
                strategies[use.key] = (names, tuple(group.settings()))
        return Attempt(
            settings=tuple(settings),
            by_template=frozenset(self.by_template),
            strategies=strategies,
            failed=dict(self.failed),
            notes={use: tuple(notes) for use, notes in self._notes.items()},
            nulled=dict(self._nulled),
        )

    def to_template(self, use: ImageUse) -> None:
        """Leave a use to its template. If that cannot pin it, it has failed."""
        if use.key in self.failed or use.key in self.by_template:
            return
        if self._in_template[use.key]():
            self.by_template.add(use.key)
        else:
            self.fail(use, "no value reaches it, and it was not found in what its template prints")

    def fail(self, use: ImageUse, why: str) -> None:
        """Leave a use out."""
        self.failed.setdefault(use.key, why)
        self.by_template.discard(use.key)

    def group_of(self, use: ImageUse) -> Group:
        """The group that a use belongs to now."""
        return next(group for group in self.groups if use in group.uses)

    def note(self, uses: Iterable[ImageUse], text: str) -> None:
        """Note for each use what was tried and why it was rejected."""
        for use in uses:
            if text not in self._notes[use.key]:
                self._notes[use.key].append(text)

    def take_back(self, uses: Iterable[ImageUse], text: str) -> None:
        """Do without a note, and without what it led to: values are tried again for these uses."""
        for use in uses:
            self.by_template.discard(use.key)
            self._notes[use.key] = [each for each in self._notes[use.key] if each != text]
