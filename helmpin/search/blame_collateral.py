"""Which candidates go if a render shows that something else changed.

- It shows an image's digest: its candidate has a side effect. Of several values, those go that show there.
- It shows no digest. The blame goes to the images whose values the template can see, since a subchart sees its own and global ones:
  to those whose values it reads on a line that prints it, or else to those that the same template prints, or else to those of its
  chart; of these, to the ones whose tag stood there or whose values the template reads, if there are any (causes.py).
  If it is still there without them, they get their values back; if it is still there with other values of the same subchart, no
  image is pinned by values of that subchart.
- It is a hash of all values: no image is pinned by values that this chart sees. Where a template prints them all as text, that goes
  for each image whose digest shows there.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable

from helmpin.chart.setargs import ValuePath, dotted_key
from helmpin.named_tuple import NamedTuple
from helmpin.render.diff import Comparison
from helmpin.render.differences import Difference, readable
from helmpin.search.causes import Causes, without_references, words_of
from helmpin.search.group import Group, shown
from helmpin.search.state import SearchState
from helmpin.search.suspicions import Effect, Suspicion, Suspicions
from helmpin.search.value_index import inside, scope_of


class _Blame(NamedTuple):
    """A group that may have caused differences. Its sets grow."""

    group: Group
    why: str
    """The first difference."""
    paths: set[ValuePath]
    """Those of its paths that may have."""
    certain: set[Effect]
    """The differences that show its digest."""
    doubtful: set[Effect]
    """Those that show no digest, so that another group may have caused them."""


class CollateralBlame:
    """Changes the state of a search as its renders show collateral. Mutable: it knows the differences of the last render."""

    def __init__(
        self,
        state: SearchState,
        causes: Causes,
        suspicions: Suspicions,
        hashes_all_values: Callable[[str, str], bool],
        prints_all_values: Callable[[str], bool],
    ) -> None:
        """hashes_all_values, prints_all_values: as Search has them."""
        self._state, self._causes, self._suspicions = state, causes, suspicions
        self._hashes_all_values, self._prints_all_values = hashes_all_values, prints_all_values
        self._unexplained: frozenset[Effect] = frozenset()
        """The differences of the last render that show no digest."""

    def blame(self, result: Comparison) -> list[Group]:
        """Drop what may have caused the differences. Returns the groups that were blamed, or got their values back."""
        restored = self._drop_suspicions(result)
        had_values = self._state.active()
        left = {**(self._leave_subcharts(result) if not restored else {}), **self._leave_hashed(result)}
        blames = self._blames(result, left, had_values)
        for blame in blames:
            self._drop_blamed(blame, result, is_restored=blame.group in restored)
        return [
            *restored,
            *(group for groups in left.values() for group in groups),
            *(blame.group for blame in blames),
        ]

    def _blames(
        self, result: Comparison, left: Collection[tuple[str, ...]], had_values: Collection[Group]
    ) -> list[_Blame]:
        """The groups that may have caused differences. A difference that template pins have caused fails these uses. left: the
        subcharts whose values were left already. had_values: the groups that values pinned in this render, some of
        which have just left them."""
        blames: dict[Group, _Blame] = {}
        active = self._state.active()
        carrying = [(difference, self._causes.carriers(difference)) for difference in result.collateral]
        is_explained = any(group in active for _, carriers in carrying for group in carriers)
        for difference, carriers in carrying:
            by_values = [group for group in carriers if group in active]
            if not carriers and scope_of(difference.leaf[0]) in left:
                continue
            if not carriers and is_explained and _is_hash(difference):  # perhaps only of what the others change
                continue
            for group in by_values or ([] if carriers else self._causes.suspects_of(difference)):
                if group not in blames:
                    why = str(difference)
                    blames[group] = _Blame(group=group, why=why, paths=set(), certain=set(), doubtful=set())
                blame = blames[group]
                blame.paths.update(self._causes.guilty(group, difference))
                (blame.certain if carriers else blame.doubtful).add(_effect(difference))
            if carriers and not any(group in had_values for group in carriers):
                for group in carriers:
                    for use in [use for use in group.uses if use.key in self._state.by_template]:
                        self._state.fail(use, f"pinning it in the template changes something else: {difference}")
        return list(blames.values())

    def _drop_blamed(self, blame: _Blame, result: Comparison, *, is_restored: bool) -> None:
        """Drop the candidates of a group that may have caused differences. is_restored: whether it has just got them back, so that
        the result does not show what they pin."""
        group, why, paths, certain, doubtful = blame
        fails = not is_restored and any(use.key in result.failing for use in group.uses)
        if fails or certain:
            self._state.note(group.uses, f"{shown(group.current())}: {why}")
        else:
            self._suspect(group, paths, doubtful, why)
        if fails:
            group.fail(result.images.get(use.key, "") for use in group.uses)
        else:
            self._note_spilling(group, paths, result.collateral if certain else ())
            group.leave_paths(paths)
            printing = {leaf[0] for leaf, after in certain if "\n" in after and self._prints_all_values(leaf[0])}
            for scope in set(map(scope_of, printing)):  # whatever is set there shows
                self._state.tried.add_chart(scope)
                group.leave_seen(scope)

    def _note_spilling(self, group: Group, paths: Collection[ValuePath], collateral: Iterable[Difference]) -> None:
        """Note which of these paths of a group show in differences as a whole, apart from its own reference."""
        elsewhere = without_references(" ".join(readable(difference.after) for difference in collateral), [group])
        for setting in group.settings():
            if setting.path in paths and setting.value and setting.value in elsewhere:
                for use in group.uses:
                    self._state.tried.add_spilling(use.key, setting.path)

    def _drop_suspicions(self, result: Comparison) -> list[Group]:
        """Give groups back what they have lost because of differences that are still there. Returns these groups: the result does
        not show what they pin."""
        effects = {_effect(each) for each in result.collateral}
        unfounded = self._suspicions.unfounded(effects, self._state.active())
        for group, ranked, _, _, note in unfounded:
            group.restore(ranked)
            self._state.take_back(group.uses, note)
        return [each.group for each in unfounded]

    def _leave_subcharts(self, result: Comparison) -> dict[tuple[str, ...], list[Group]]:
        """Leave all values of each subchart that prints the same difference as in the last render, although other values are set
        now: to set any may be the cause. Helm 4 then renders the defaults that are null. Returns the groups that had values there,
        by the subchart."""
        unexplained = {_effect(each): str(each) for each in result.collateral if not self._causes.carriers(each)}
        stay = [effect for effect in unexplained if effect in self._unexplained]
        self._unexplained = frozenset(unexplained)
        left: dict[tuple[str, ...], list[Group]] = {}
        for scope in {scope_of(leaf[0]) for leaf, _ in stay} - {()}:
            effects = [effect for effect in stay if scope_of(effect[0][0]) == scope]
            for group in self._state.active():
                if paths := {path for path in group.paths() if path[: len(scope)] == scope}:
                    why = f"{unexplained[effects[0]]}, whatever is set for {dotted_key(scope)}"
                    self._suspect(group, paths, effects, why)
                    group.leave_map(scope)
                    left.setdefault(scope, []).append(group)
        return left

    def _leave_hashed(self, result: Comparison) -> dict[tuple[str, ...], list[Group]]:
        """Leave all values of each chart that has printed a hash of them all. Returns the groups that had some there, by chart."""
        left: dict[tuple[str, ...], list[Group]] = defaultdict(list)
        for difference in result.collateral:
            source = difference.leaf[0]
            scope = scope_of(source)
            is_other = scope in left or not _is_hash(difference)
            if is_other or not any(self._hashes_all_values(source, word) for word in words_of(difference)):
                continue
            self._state.tried.add_chart(scope)
            for group in self._state.active():
                if any(inside(path, scope) for path in group.paths()):
                    self._state.note(group.uses, f"{shown(group.current())}: {difference}, a hash of all values")
                    group.leave_seen(scope)
                    left[scope].append(group)
        return left

    def _suspect(self, group: Group, paths: Collection[ValuePath], effects: Collection[Effect], why: str) -> None:
        """Note that a group loses paths because of differences that show no digest."""
        note = f"{shown(group.current())}: {why}"
        self._state.note(group.uses, note)
        self._suspicions.add(
            Suspicion(group=group, ranked=group.ranked, paths=frozenset(paths), effects=frozenset(effects), note=note)
        )


def _effect(difference: Difference) -> Effect:
    return difference.leaf, str(difference.after)


def _is_hash(difference: Difference) -> bool:
    """Whether a leaf is a hash, as of another template's output, before and after."""
    return all(re.fullmatch("[0-9a-f]{8,128}", str(text)) for text in (difference.before, difference.after))
