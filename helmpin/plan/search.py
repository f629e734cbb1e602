"""The search for values that pin every image and change nothing else: what to try next, given what the renders showed.

It renders nothing itself. `next` gives an attempt, `learn` takes its result. An image moves on from one candidate for its values to
the next, from the last one to its template, and from there to the images that are left out, so that the others can still be pinned.
Each render that shows a fault moves some image on, and none comes back twice (suspicions.py), so the search ends. What moves it:

- It is not pinned in the render: its candidate failed. If only some of its uses are not pinned, these are split off, and try other
  values that hold the whole reference.
- Something else changed and shows its digest: its candidate has a side effect. Of several values, those go that show there.
- Something else changed and shows no digest. The blame goes to the images whose values the template can see, since a subchart sees
  its own and global ones: to those whose values it reads on a line that prints it, or else to those that the same template prints,
  or else to those of its chart; of these, to the ones whose tag stood there or whose values the template reads, if there are any.
  If it is still there without them, they get their values back; if it is still there with other values of the same subchart, no
  image is pinned by values of that subchart.
- Helm does not render: the images whose values the message names, or else whose template it names, or else all.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from helmpin.chart.setargs import Setting, ValuePath, dotted_key
from helmpin.image.manifest import ImageUse, UseKey
from helmpin.image.reference import pinned_form, split
from helmpin.plan import render_failure
from helmpin.plan.candidates import Candidate, Misfit, candidates
from helmpin.plan.group import Group
from helmpin.plan.suspicions import Effect, Suspicion, Suspicions
from helmpin.plan.template_scan import TemplateScan
from helmpin.plan.tried import Tried
from helmpin.plan.value_index import ValueIndex, is_seen, scope_of
from helmpin.render.diff import Comparison
from helmpin.render.differences import Difference, readable
from helmpin.timeline import step

MOST_ATTEMPTS = 5
"""Attempts with values. Images that are not pinned by then are left to the templates."""
MOST_REPAIRS = 5
"""Further attempts, each without the images that failed in the previous one."""


class Facts(NamedTuple):
    """What is known about one image use before the search."""

    use: ImageUse
    origin: ImageUse
    """The use as its template prints it, which a post-renderer may have changed."""
    digest: str
    """The digest to pin it to."""
    is_literal: bool
    """Whether the template holds the image literally, so that no value can change it."""
    in_template: Callable[[], bool]
    """Finds out whether the template can pin it: whether its place in the output is known."""
    is_in_values: bool = False
    """Whether a value may give the image even so: the literal may be in a branch that is not taken."""

    @property
    def scope(self) -> tuple[str, ...]:
        """The names of the subcharts down to that of its template."""
        return scope_of(self.origin.source)

    @property
    def may_be_set(self) -> bool:
        """Whether a value may reach it."""
        return self.is_in_values or not self.is_literal

    @property
    def names(self) -> set[str]:
        """The names of its container and object, in lower case."""
        return {name.lower() for name in (self.origin.container, self.origin.name) if name}


class Attempt(NamedTuple):
    """What to try: the values to set, and the uses that their templates pin."""

    settings: tuple[Setting, ...]
    by_template: frozenset[UseKey]
    strategies: Mapping[UseKey, tuple[str, tuple[Setting, ...]]]
    """For each use pinned by values: the strategies' names and the settings."""
    failed: Mapping[UseKey, str]
    """The uses that are left out, and why they cannot be pinned."""
    notes: Mapping[UseKey, tuple[str, ...]]
    """For each use, what was tried before and why it was rejected."""

    def with_values(self, pins: Mapping[UseKey, tuple[str, tuple[Setting, ...]]]) -> Attempt:
        """The same with values in place of template pins: for each use the strategies' names and the settings."""
        added = (setting for _, settings in pins.values() for setting in settings)
        return self._replace(
            settings=tuple(dict.fromkeys([*self.settings, *added])),
            by_template=self.by_template - pins.keys(),
            strategies={**self.strategies, **pins},
        )


NOTHING = Attempt(settings=(), by_template=frozenset(), strategies={}, failed={}, notes={})
"""The attempt that pins nothing."""
_State = tuple[tuple[tuple[int, ...], ...], int, int]
"""How many candidates each group has left, how many uses go to their templates, how many have failed. It only moves one way."""


class _Contest(NamedTuple):
    """A path for which several values are wanted."""

    winners: set[str]
    """The one that may be set there; if there are several, none may."""
    is_anothers: bool = False
    """Whether the map around the path is known to be the winner's, so that the others must not set anything in it."""


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


class Search:
    """One search. Mutable; it does no I/O."""

    def __init__(
        self,
        facts: Iterable[Facts],
        values: ValueIndex,
        scan: Callable[[str], TemplateScan],
        reads_on_lines: Callable[[str, str], Collection[ValuePath]] = lambda *_: (),
        reads: Callable[[str], Collection[ValuePath]] = lambda _: (),
    ) -> None:
        """scan: gives the scan of the templates of the chart that a source belongs to. reads: gives the values that a source reads
        by their whole path, itself or in the named templates that it uses. reads_on_lines: those that it reads itself on lines with
        a word (on any line: '')."""
        facts, self._reads_on_lines, self._reads = list(facts), reads_on_lines, reads
        self._suspicions = Suspicions()
        self._unexplained: frozenset[Effect] = frozenset()
        """The differences of the last render that show no digest."""
        self._groups: dict[tuple[Any, ...], Group] = {}
        self._in_template = {fact.use.key: fact.in_template for fact in facts}
        self._by_template: set[UseKey] = set()
        self._failed: dict[UseKey, str] = {}
        self._notes: dict[UseKey, list[str]] = defaultdict(list)
        self._attempts = self._repairs = 0
        self.tried = Tried()
        """What it has tried and rejected."""
        self.result: Attempt | None = None
        """The successful attempt; None while there is none."""
        for fact in facts:
            use, origin, scope = fact.use, fact.origin, fact.scope
            alike = (use.image, origin.image, fact.digest, scope, fact.is_literal)
            group = self._groups.get(alike)
            if group is None:
                ranked = []
                if fact.may_be_set:
                    ranked = candidates(origin.image, fact.digest, scope, values, scan(origin.source), fact.names)
                if split(use.image)[1] in (None, "latest") and not use.pull_policy:
                    # the tag must stay, but many templates drop it if there is a digest key
                    ranked = [sorted(options, key=lambda c: c.strategy.startswith("digest key")) for options in ranked]
                group = self._groups[alike] = Group(use.image, fact.digest, scope, ranked)
            group.uses.append(use)
        by_image: dict[str, list[Group]] = defaultdict(list)
        for group in self._groups.values():
            by_image[group.image].append(group)
        self.set_by = {image: _set_by(groups) for image, groups in by_image.items()}
        """For each image: the value paths that appear to set it, whether or not they can carry a digest."""

    @step("searching values")
    def next(self) -> Attempt | None:
        """What to try next; None if there is a result, or no render is left."""
        if self.result is not None or self._repairs >= MOST_REPAIRS:
            return None
        self._resolve_conflicts()
        last = self._attempts + 1 >= MOST_ATTEMPTS
        for group in self._groups.values():
            if last and group.ranked and not group.proven:
                self._note(group.uses, "other values: no render was left to try them")
                group.ranked = []
            if not group.ranked:
                for use in group.uses:
                    self._to_template(use)
        if self._attempts >= MOST_ATTEMPTS:
            self._repairs += 1
        self._attempts += 1
        return self._attempt()

    def learn(self, attempt: Attempt, result: Comparison | str) -> None:
        """Take the result of an attempt: the comparison of the renders, or helm's message if the chart did not render."""
        settings = {key: some for key, (_, some) in attempt.strategies.items()}
        if isinstance(result, str):
            self.tried.add(settings)
            self._blame_failure(result)
            return
        if not result.failing and not result.collateral:
            self.result = attempt
            return
        self.tried.add(
            {
                key: some  # of several values that pin a use, not all need be to blame
                for key, some in settings.items()
                if key in result.failing or len({setting.path for setting in some if setting.value}) == 1
            },
            result.failing,
        )
        before = self._state()
        blamed = self._blame_collateral(result)
        self._blame_values(result, blamed)
        self._blame_templates(attempt, result, blamed, before)
        if self._state() == before:  # no group in particular, so all change
            why = "\n".join(map(str, result.collateral[:3]))
            for group in self._active():
                self._note(group.uses, f"{_names(group.current())}: {why}")
                group.leave_paths()
            if self._state() == before:
                changed = {difference.leaf[0]: str(difference) for difference in reversed(result.collateral)}
                left = list(self._uses())
                for use in [use for use in left if use.source in changed] or left:
                    self._fail(use, changed.get(use.source, why) or "helm renders something else")

    def unsettled(self) -> Attempt:
        """The end of a search without a result: every remaining use has failed."""
        for use in self._uses():
            self._fail(use, "no render was left to find a way to pin it")
        return self._attempt()

    # -- what is tried ---------------------------------------------------------------------------------------------------

    def _uses(self) -> Iterable[ImageUse]:
        return (use for group in self._groups.values() for use in group.uses if use.key not in self._failed)

    def _active(self) -> list[Group]:
        """The groups that values pin."""
        done = self._by_template | self._failed.keys()
        return [g for g in self._groups.values() if g.ranked and any(use.key not in done for use in g.uses)]

    def _state(self) -> _State:
        ranked = tuple(tuple(map(len, group.ranked)) for group in self._groups.values())
        return ranked, len(self._by_template), len(self._failed)

    def _attempt(self) -> Attempt:
        settings: dict[Setting, None] = {}
        strategies: dict[UseKey, tuple[str, tuple[Setting, ...]]] = {}
        done = self._by_template | self._failed.keys()
        for group in self._active():
            names = ", ".join(sorted({candidate.strategy for candidate in group.current()}))
            settings.update(dict.fromkeys(group.settings()))
            for use in group.uses:
                if use.key not in done:
                    strategies[use.key] = (names, tuple(group.settings()))
        return Attempt(
            settings=tuple(settings),
            by_template=frozenset(self._by_template),
            strategies=strategies,
            failed=dict(self._failed),
            notes={use: tuple(notes) for use, notes in self._notes.items()},
        )

    def _to_template(self, use: ImageUse) -> None:
        if use.key in self._failed or use.key in self._by_template:
            return
        if self._in_template[use.key]():
            self._by_template.add(use.key)
        else:
            self._fail(use, "no value reaches it, and it was not found in what its template prints")

    def _fail(self, use: ImageUse, why: str) -> None:
        self._failed.setdefault(use.key, why)
        self._by_template.discard(use.key)

    def _resolve_conflicts(self) -> None:
        """No value can carry two digests. If two images want the same leaf, the one that is named beside it gets it; if both are,
        the one whose templates read it; if both do, the one whose name or most of whose name is there; if that does not decide,
        both lose it."""
        while contested := self._contested():
            for group in self._active():
                banned = {candidate for candidate in group.current() if self._loses(candidate, contested)}
                if banned:
                    self._note(group.uses, f"{_names(banned)}: another image needs the same value with another digest")
                    shared = [setting for c in banned if c.by_tag_only for setting in c.settings]
                    self.tried.add({use.key: shared for use in group.uses})
                    anothers = {
                        c
                        for c in banned
                        if any(s.path in contested and contested[s.path].is_anothers for s in c.settings)
                    }
                    group.drop_anchors(anothers)
                    group.advance(banned)

    def _contested(self) -> dict[ValuePath, _Contest]:
        """The paths for which several values are wanted, and which may be set there."""
        wanted: dict[ValuePath, dict[str, list[Group]]] = defaultdict(lambda: defaultdict(list))
        named: dict[ValuePath, dict[str, Misfit]] = defaultdict(dict)
        for group in self._active():
            for candidate in group.current():
                for setting in candidate.settings:
                    wanted[setting.path][setting.value].append(group)
                    if not (candidate.by_tag_only or candidate.is_spare):
                        least = named[setting.path].get(setting.value, candidate.misfit)
                        named[setting.path][setting.value] = min(least, candidate.misfit)
        contested = {path: groups for path, groups in wanted.items() if len(groups) > 1}
        return {path: self._contest(path, groups, named[path]) for path, groups in contested.items()}

    def _contest(self, path: ValuePath, groups: Mapping[str, list[Group]], named: Mapping[str, Misfit]) -> _Contest:
        """The values that may be set at a path: the one that a render has proven there; or those with an image name beside them; if
        there are several, only those wanted by templates that read the path or its map; of these, those that fit best. An image
        whose whole name stands elsewhere yields where a part of it does. groups: by what they want. named: how little the path is
        about each."""
        proven = {value for value, some in groups.items() if any(group.proven for group in some)}
        if len(proven) == 1:
            return _Contest(proven)
        reading = {
            value
            for value in (named if len(named) > 1 else ())
            for group in groups[value]
            if any(_is_read(group, path, self._reads(use.source)) for use in group.uses)
        }
        left = reading or named.keys()
        left = {v for v in left if _is_whole(named[v]) or not all(map(_is_named_as_a_whole, groups[v]))} or left
        best = {value for value in left if named[value] == min(named[each] for each in left)}
        return _Contest(best, is_anothers=len(named) > 1 and len(best) == 1)

    def _loses(self, candidate: Candidate, contested: Mapping[ValuePath, _Contest]) -> bool:
        return any(s.path in contested and contested[s.path].winners != {s.value} for s in candidate.settings)

    # -- what a render taught ----------------------------------------------------------------------------------------

    def _carriers(self, difference: Difference) -> list[Group]:
        """The groups whose digest appears in a difference, first where it does more than follow their own reference. Preferred are
        those that values pin, since a value may reach more than its image; then those whose image appears with the digest; then
        those that are not proven."""
        after = readable(difference.after)
        shown = [g for g in self._groups.values() if g.digest[7:19] in after]
        active = self._active()
        shown = [g for g in shown if g in active] or shown
        others = _without_references(after, shown)
        shown = [g for g in shown if g.digest[7:19] in others] or shown
        named = [g for g in shown if f"{split(g.image)[0]}:{split(g.image)[1] or 'latest'}@" in after]
        likely = named or shown
        return [g for g in likely if not g.proven] or likely

    def _suspects(self, source: str, before: Any = "") -> list[Group]:
        """The groups that may have caused a difference without a digest in what a template prints. Those whose images it prints
        come before those of its chart, and proven ones come last. Among them, those are preferred whose tag stood there before, or
        whose values the template reads, itself or in the named templates that it uses."""
        active = self._active()
        active = [group for group in active if _seen(_paths(group), source)] or active
        for some in ([g for g in active if not g.proven], active):
            near = [g for g in some if g.scope == scope_of(source)]
            if found := [g for g in near if any(use.source == source for use in g.uses)] or near or some:
                tagged = [g for g in found if _stands_in(split(g.image)[1], str(before))]
                return (
                    tagged
                    or [g for g in found if _set_and_read(g, self._reads_on_lines(source, ""))]
                    or [g for g in found if _set_and_read(g, self._reads(source))]
                    or found
                )
        return []

    def _suspects_of(self, difference: Difference) -> list[Group]:
        """The same for one difference. First come those of the container whose pull policy it is, then those whose values are read
        on a line of the template that prints it; last, those that are cleared of it."""
        leaf, words = difference.leaf, _words(difference)
        suspects = self._suspects(leaf[0], difference.before)
        uncleared = [g for g in self._active() if not self._suspicions.are_cleared(_paths(g), leaf)]
        left = [g for g in uncleared if _seen(_paths(g), leaf[0])] or uncleared
        return (
            [g for g in left if any(_is_pull_policy(leaf, use) for use in g.uses)]
            or [g for g in left if any(_set_and_read(g, self._reads_on_lines(leaf[0], word)) for word in words)]
            or [g for g in suspects if g in left]
            or [g for g in left if _set_and_read(g, self._reads_on_lines(leaf[0], ""))]
            or left
            or suspects
        )

    def _blame_collateral(self, result: Comparison) -> list[Group]:
        restored = self._drop_suspicions(result)
        left = self._leave_subcharts(result) if not restored else {}
        blames: dict[Group, _Blame] = {}
        active = self._active()
        carrying = [(difference, self._carriers(difference)) for difference in result.collateral]
        is_explained = any(group in active for _, carriers in carrying for group in carriers)
        for difference, carriers in carrying:
            by_values = [group for group in carriers if group in active]
            if not carriers and scope_of(difference.leaf[0]) in left:
                continue
            if not carriers and is_explained and _is_hash(difference):  # perhaps only of what the others change
                continue
            for group in by_values or ([] if carriers else self._suspects_of(difference)):
                blame = blames.setdefault(
                    group, _Blame(group=group, why=str(difference), paths=set(), certain=set(), doubtful=set())
                )
                blame.paths.update(self._guilty(group, difference))
                (blame.certain if carriers else blame.doubtful).add(_effect(difference))
            if carriers and not by_values:
                for group in carriers:
                    for use in [use for use in group.uses if use.key in self._by_template]:
                        self._fail(use, f"pinning it in the template changes something else: {difference}")
        for group, why, paths, certain, doubtful in blames.values():
            fails = group not in restored and any(use.key in result.failing for use in group.uses)
            if fails or certain:
                self._note(group.uses, f"{_names(group.current())}: {why}")
            else:
                self._suspect(group, paths, doubtful, why)
            if fails:
                group.fail(result.images.get(use.key, "") for use in group.uses)
            else:
                group.leave_paths(paths)
        return [
            *restored,
            *(group for groups in left.values() for group in groups),
            *(blame.group for blame in blames.values()),
        ]

    def _drop_suspicions(self, result: Comparison) -> list[Group]:
        """Give groups back what they have lost because of differences that are still there. Returns these groups: the result does
        not show what they pin."""
        effects = {_effect(each) for each in result.collateral}
        unfounded = self._suspicions.unfounded(effects, self._active())
        for group, ranked, _, _, note in unfounded:
            group.restore(ranked)
            for use in group.uses:
                self._by_template.discard(use.key)
                self._notes[use.key] = [each for each in self._notes[use.key] if each != note]
        return [each.group for each in unfounded]

    def _leave_subcharts(self, result: Comparison) -> dict[tuple[str, ...], list[Group]]:
        """Leave all values of each subchart that prints the same difference as in the last render, although other values are set
        now: to set any may be the cause. Helm 4 then renders the defaults that are null. Returns the groups that had values there,
        by the subchart."""
        unexplained = {_effect(each): str(each) for each in result.collateral if not self._carriers(each)}
        stay = [effect for effect in unexplained if effect in self._unexplained]
        self._unexplained = frozenset(unexplained)
        left: dict[tuple[str, ...], list[Group]] = {}
        for scope in {scope_of(leaf[0]) for leaf, _ in stay} - {()}:
            effects = [effect for effect in stay if scope_of(effect[0][0]) == scope]
            for group in self._active():
                if paths := {path for path in _paths(group) if path[: len(scope)] == scope}:
                    why = f"{unexplained[effects[0]]}, whatever is set for {dotted_key(scope)}"
                    self._suspect(group, paths, effects, why)
                    group.leave_map(scope)
                    left.setdefault(scope, []).append(group)
        return left

    def _suspect(self, group: Group, paths: Collection[ValuePath], effects: Collection[Effect], why: str) -> None:
        """Note that a group loses paths because of differences that show no digest."""
        note = f"{_names(group.current())}: {why}"
        self._note(group.uses, note)
        self._suspicions.add(
            Suspicion(group=group, ranked=group.ranked, paths=frozenset(paths), effects=frozenset(effects), note=note)
        )

    def _shown(self, group: Group, difference: Difference) -> set[ValuePath]:
        """The paths of a group whose value shows in a difference: elsewhere than in references, which may follow, or else there."""
        after = readable(difference.after)
        for text in (_without_references(after, self._active()), after):
            if found := {setting.path for setting in group.settings() if setting.value in text}:
                return found
        return set()

    def _guilty(self, group: Group, difference: Difference) -> set[ValuePath]:
        """The paths of a group that may have caused a difference: as far as that narrows them down, those that its template sees,
        whose value shows there, that end like its place, that the template reads on a line that prints it, or that it reads at
        all."""
        found, leaf = _paths(group), difference.leaf
        for some in (
            _seen(found, leaf[0]),
            self._shown(group, difference),
            {path for path in found if path[-2:] == leaf[3][-2:]},
            *(_set_and_read(group, self._reads_on_lines(leaf[0], word)) for word in (*_words(difference), "")),
        ):
            found = found & some or found
        return self._suspicions.without_cleared(found, leaf)

    def _blame_values(self, result: Comparison, blamed: Collection[Group]) -> None:
        """Drop the candidates that did not pin a use, except those of groups that are blamed already. Where another image's value
        came out instead, that one is dropped: it reaches more than its own image."""
        tried = [group for group in self._active() if group not in blamed]
        bad = {
            group: [use for use in group.uses if use.key in result.failing and use.key not in self._by_template]
            for group in tried
        }
        reached: dict[Group, list[ImageUse]] = {}
        for group in tried:
            others = [use for other in tried if other.digest != group.digest for use in bad[other]]
            if found := [use for use in others if group.digest in result.images.get(use.key, "")]:
                reached[group] = found
                self._note(group.uses, f"{_names(group.current())}: gives {result.images[found[0].key]!r} elsewhere")
                group.leave_paths({path for use in found for path in _set_and_read(group, self._reads(use.source))})
        explained = {use.key for uses in reached.values() for use in uses}
        for group in [group for group in tried if group not in reached]:
            group.proven = not bad[group]
            own = [use for use in bad[group] if use.key not in explained]
            if not own:
                continue
            self._note(own, f"{_names(group.current())}: gives {result.images.get(own[0].key)!r}")
            if any(use.key not in result.failing for use in group.uses):
                self._split_off(group, own)
            else:
                group.fail(result.images.get(use.key, "") for use in own)

    def _blame_templates(self, attempt: Attempt, result: Comparison, blamed: Collection[Group], before: _State) -> None:
        """For each use that its template did not pin: drop the values that changed it there. If there are none, the use has failed.

        before: the state before this result. A use does not fail in the same step in which values were dropped: they may be why.
        """
        bad = [use for use in self._uses() if use.key in result.failing and use.key in attempt.by_template]
        reaching = [(use, self._reaching(use, result.images.get(use.key, ""), blamed)) for use in bad]
        leaving: dict[Group, tuple[set[ValuePath], str]] = {}
        for use, guilty in reaching:
            for group, paths in guilty:  # values that pin it as well, with another result
                leaving.setdefault(group, (set(), result.images.get(use.key, "")))[0].update(paths)
        for group, (paths, gives) in leaving.items():
            self._note(group.uses, f"{_names(group.current())}: gives {gives!r} elsewhere")
            group.leave_paths(paths)
        for use in [use for use, guilty in reaching if not guilty]:
            if self._state() != before:
                return
            gives = result.images.get(use.key, "")
            is_unpinned = self._group_of(use).digest not in gives and gives != use.image
            if suspects := self._suspects(use.source) if is_unpinned else []:  # values changed what the template writes
                for group in suspects:
                    self._note(group.uses, f"{_names(group.current())}: gives {gives!r} elsewhere")
                    group.leave_paths()
            else:
                self._fail(use, f"its template gives {gives!r}")

    def _reaching(self, use: ImageUse, gives: str, blamed: Collection[Group]) -> list[tuple[Group, set[ValuePath]]]:
        """The groups whose values reach a use that its template pins, with the paths that this template reads, as far as these are
        known: those of other images, or else those that pin the image's other uses."""
        mine, active = self._group_of(use), [group for group in self._active() if group not in blamed]
        found = [group for group in active if group.digest in gives and group is not mine]
        if not found and gives == use.image:  # values print other uses of it just as they do another image
            found = [group for group in active if group.image == use.image and group.digest == mine.digest]
        if not found and mine.digest in gives and mine in active:  # in another form
            found = [mine]
        reading = [(group, _set_and_read(group, self._reads(use.source))) for group in found]
        return [each for each in reading if each[1]] or reading

    def _group_of(self, use: ImageUse) -> Group:
        """The group that a use belongs to now."""
        return next(group for group in self._groups.values() if use in group.uses)

    def _split_off(self, group: Group, bad: list[ImageUse]) -> None:
        """Split off the uses in `bad`, which do not read the values that pin the rest of the group: they try the spare candidates,
        first those that their own template reads; without any, their templates pin them."""
        spare, apart = group.spare(), defaultdict[tuple[Candidate, ...], list[ImageUse]](list)
        for use in bad if spare else ():
            own = self._reads_on_lines(use.source, "")
            read = sorted(spare, key=lambda c: not any(_is_read(group, s.path, own) for s in c.settings))
            apart[tuple(read)].append(use)
        for candidates_left, uses in apart.items():
            split_off = Group(group.image, group.digest, group.scope, [list(candidates_left)])
            split_off.uses = uses
            self._groups["apart", len(self._groups)] = split_off
        group.proven = True
        if apart:
            group.uses = [use for use in group.uses if use not in bad]
        else:
            for use in bad:
                self._to_template(use)

    def _blame_failure(self, why: str) -> None:
        """A render failed: drop the candidates whose values, template or chart helm's message names; without a name, all."""
        active = self._active()
        reason, scopes = render_failure.reason(why), render_failure.scopes_of(why)
        charts = {group.scope for group in self._groups.values()}
        named = [g for g in active if any(render_failure.names_value(why, s, charts) for s in g.settings())]
        if not named:  # the templates that the message names, or else their charts
            active = [g for g in active if not g.proven] or active
            near = [g for g in active if g.scope in scopes]
            named = [g for g in near if any(use.source in why for use in g.uses)] or near
            if render_failure.refuses_version(why):
                named = [g for g in named if any(c.strategy == "tag@digest" for c in g.current())] or named
            if render_failure.ends_in_a_colon(why):
                named = [g for g in named if any(not setting.value for setting in g.settings())] or named
        for group in named or active:
            blamed = {c for c in group.current() if any(render_failure.names_value(why, s, charts) for s in c.settings)}
            self._note(group.uses, f"{_names(blamed or group.current())}: the chart refuses it: {reason}")
            group.advance(blamed)
        if not active:
            left = list(self._uses())
            for use in [use for use in left if use.source and use.source in why] or left:
                self._fail(use, f"the chart does not render with it: {reason}")

    def _note(self, uses: Iterable[ImageUse], text: str) -> None:
        for use in uses:
            if text not in self._notes[use.key]:
                self._notes[use.key].append(text)


def _without_references(text: str, groups: Iterable[Group]) -> str:
    """A text without the whole references of these groups' images, with their digests."""
    for group in groups:
        text = text.replace(pinned_form(group.image, group.digest), "")
    return text


def _is_whole(misfit: Misfit) -> bool:
    """Whether the whole name of an image stands at a value, and no other registry beside it."""
    return misfit[0] == 0


def _is_named_as_a_whole(group: Group) -> bool:
    """Whether one of the values that a group sets holds the whole name of its image."""
    return any(_is_whole(c.misfit) and not (c.by_tag_only or c.is_spare) for c in group.current())


def _paths(group: Group) -> set[ValuePath]:
    """The paths that a group sets."""
    return {setting.path for setting in group.settings()}


def _seen(paths: Iterable[ValuePath], source: str) -> set[ValuePath]:
    """The paths that a template can see."""
    scope = scope_of(source)
    return {path for path in paths if is_seen(path, scope)}


def _set_and_read(group: Group, read: Collection[ValuePath]) -> set[ValuePath]:
    """The paths that a group sets and that templates read, themselves or their map."""
    return {path for path in _paths(group) if _is_read(group, path, read)}


def _is_read(group: Group, path: ValuePath, read: Collection[ValuePath]) -> bool:
    """Whether a path that a group sets, or the map that it is in, is among those that a template of its chart reads."""
    depth = len(group.scope)
    inner = path[depth:] if path[:depth] == group.scope else path
    return inner in read or inner[:-1] in read


def _effect(difference: Difference) -> Effect:
    return difference.leaf, str(difference.after)


def _is_hash(difference: Difference) -> bool:
    """Whether a leaf is a hash, as of another template's output, before and after."""
    return all(re.fullmatch("[0-9a-f]{8,128}", str(text)) for text in (difference.before, difference.after))


def _is_pull_policy(leaf: UseKey, use: ImageUse) -> bool:
    """Whether a leaf is the pull policy of a use's container, which often depends on whether the image has a digest."""
    return leaf == (*use.key[:3], (*use.path[:-1], "imagePullPolicy"))


def _words(difference: Difference) -> list[str]:
    """What the lines of a template have that print a difference: the key, or in a longer text the first word of each line that
    differs."""
    before, after = str(difference.before), str(difference.after)
    if "\n" not in after:
        return [next((part for part in reversed(difference.leaf[3]) if isinstance(part, str)), "")]
    had = set(before.splitlines())
    changed = [line for line in after.splitlines() if line not in had]
    return list(dict.fromkeys(word[0] for line in changed if (word := re.search(r"[A-Za-z][\w.-]*", line))))


def _stands_in(tag: str | None, text: str) -> bool:
    """Whether a text holds a tag as a word of its own."""
    return tag is not None and tag in text and bool(re.search(rf"(?<![\w.]){re.escape(tag)}(?![\w.])", text))


def _set_by(groups: Iterable[Group]) -> tuple[str, ...]:
    named = [candidate for group in groups for candidate in group.current() if not candidate.by_tag_only]
    return tuple(sorted({dotted_key(setting.path) for candidate in named for setting in candidate.settings}))


def _names(some: Iterable[Candidate]) -> str:
    shown = sorted({f"{candidate.strategy} at {dotted_key(candidate.settings[0].path)}" for candidate in some})
    return "; ".join(shown[:3])
