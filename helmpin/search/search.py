"""The search for values that pin every image and change nothing else: what to try next, given what the renders showed.

It renders nothing itself. `next` gives an attempt, `learn` takes its result. An image moves on from one candidate for its values to
the next, from the last one to its template, and from there to the images that are left out, so that the others can still be pinned.
Each render that shows a fault moves some image on, and none comes back twice (suspicions.py), so the search ends. What moves it:

- It is not pinned in the render (blame_unpinned.py).
- Something else changed (blame_collateral.py).
- Helm does not render (blame_failure.py).
- Another image needs the same value (contests.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from helmpin.chart.setargs import ValuePath
from helmpin.render.diff import Comparison
from helmpin.search.attempt import NO_RENDER_LEFT, Attempt, Facts
from helmpin.search.blame_collateral import CollateralBlame
from helmpin.search.blame_failure import blame_failure
from helmpin.search.blame_unpinned import UnpinnedBlame
from helmpin.search.causes import Causes
from helmpin.search.contests import FOR_ANOTHER, contests, in_anothers_map, losing
from helmpin.search.group import shown
from helmpin.search.grouping import groups_of, set_by
from helmpin.search.only_needed import Pinned
from helmpin.search.state import SearchState
from helmpin.search.suspicions import Suspicions
from helmpin.search.value_index import ValueIndex
from helmpin.templates.scan import TemplateScan
from helmpin.timeline import step

MOST_ATTEMPTS = 5
"""Attempts with values. Images that are not pinned by then are left to the templates."""
MOST_REPAIRS = 5
"""Further attempts, each without the images that failed in the previous one."""


class Search:
    """One search. Mutable; it does no I/O."""

    def __init__(
        self,
        facts: Iterable[Facts],
        values: ValueIndex,
        scan: Callable[[str], TemplateScan],
        reads_on_lines: Callable[[str, str], Collection[ValuePath]] = lambda *_: (),
        reads: Callable[[str], Collection[ValuePath]] = lambda _: (),
        asks: Callable[[str], Collection[ValuePath]] = lambda _: (),
        hashes_all_values: Callable[[str, str], bool] = lambda *_: False,
        prints_all_values: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """scan: gives the scan of the templates of the chart that a source belongs to. reads: gives the values that a source reads
        by their whole path, itself or in the named templates that it uses; asks: those that it does in a condition.
        reads_on_lines: those that it reads itself on lines with a word (on any line: ''). hashes_all_values: whether a source
        prints a hash of them all on a line with a word; prints_all_values: whether it prints them all as text."""
        facts, self._reads = list(facts), reads
        groups, nulled = groups_of(facts, values, scan)
        self._state = SearchState(facts, groups, nulled)
        suspicions = Suspicions()
        causes = Causes(groups, self._state.active, suspicions, reads_on_lines, reads, asks)
        self._unpinned = UnpinnedBlame(self._state, causes, reads_on_lines, reads)
        self._collateral = CollateralBlame(self._state, causes, suspicions, hashes_all_values, prints_all_values)
        self._attempts = self._repairs = 0
        self.tried = self._state.tried
        """What it has tried and rejected."""
        self.result: Attempt | None = None
        """The successful attempt; None while there is none."""
        self.set_by = set_by(groups)
        """For each image: the value paths that appear to set it, whether or not they can carry a digest."""

    @step("searching values")
    def next(self) -> Attempt | None:
        """What to try next; None if there is a result, or no render is left."""
        if self.result is not None or self._repairs >= MOST_REPAIRS:
            return None
        self._resolve_conflicts()
        last = self._attempts + 1 >= MOST_ATTEMPTS
        for group in self._state.groups:
            if last and group.ranked and not group.proven:
                self._state.note(group.uses, NO_RENDER_LEFT)
                group.ranked = []
            if not group.ranked:
                for use in group.uses:
                    self._state.to_template(use)
        if self._attempts >= MOST_ATTEMPTS:
            self._repairs += 1
        self._attempts += 1
        return self._state.attempt()

    def learn(self, attempt: Attempt, result: Comparison | str) -> None:
        """Take the result of an attempt: the comparison of the renders, or helm's message if the chart did not render."""
        settings = {key: some for key, (_, some) in attempt.strategies.items()}
        if isinstance(result, str):
            self.tried.add(settings)
            blame_failure(self._state, result)
            return
        if not result.failing and not result.collateral:
            self.result = attempt
            return
        if self._unpinned.drop_wrong_guesses(settings, result):
            return
        overridden = self._unpinned.overridden(result)
        self.tried.add(
            {
                key: some  # of several values that pin a use, not all need be to blame
                for key, some in settings.items()
                if key not in overridden
                and (key in result.failing or len({setting.path for setting in some if setting.value}) == 1)
            },
            result.failing,
        )
        before = self._state.standing()
        blamed = self._collateral.blame(result)
        self._unpinned.blame_values(result, blamed, overridden)
        self._unpinned.split_by_templates(blamed)
        self._unpinned.blame_templates(attempt, result, blamed, before)
        if self._state.standing() == before:
            self._blame_all(result)

    def pinned(self) -> list[Pinned]:
        """What values pin in the result."""
        return [
            Pinned(tuple(use.key for use in self._state.by_values(group)), group.digest, tuple(group.current()))
            for group in self._state.active()
        ]

    def unsettled(self) -> Attempt:
        """The end of a search without a result: every remaining use has failed."""
        for use in self._state.uses():
            self._state.fail(use, "no render was left to find a way to pin it")
        return self._state.attempt()

    def _resolve_conflicts(self) -> None:
        """Leave each path that several images want to the one that may set it (contests.py)."""
        while contested := contests(self._state.active(), self._reads):
            for group in self._state.active():
                if banned := losing(group, contested):
                    self._state.note(group.uses, f"{shown(banned)}: {FOR_ANOTHER}")
                    shared = [setting for c in banned if c.by_tag_only for setting in c.settings]
                    self.tried.add({use.key: shared for use in group.uses})
                    group.drop_anchors(in_anothers_map(banned, contested))
                    group.advance(banned)

    def _blame_all(self, result: Comparison) -> None:
        """Drop the candidates of every group, since none in particular is to blame. Without any, uses fail: those whose template
        prints something else, or else all."""
        before, why = self._state.standing(), "\n".join(map(str, result.collateral[:3]))
        for group in self._state.active():
            self._state.note(group.uses, f"{shown(group.current())}: {why}")
            group.leave_paths()
        if self._state.standing() == before:
            changed = {difference.leaf[0]: str(difference) for difference in reversed(result.collateral)}
            left = list(self._state.uses())
            for use in [use for use in left if use.source in changed] or left:
                self._state.fail(use, changed.get(use.source, why) or "helm renders something else")
