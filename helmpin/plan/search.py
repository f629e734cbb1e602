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
from typing import Any

from helmpin.chart.setargs import Setting, ValuePath, dotted_key
from helmpin.image.reference import split
from helmpin.image.uses import ImageUse, UseKey
from helmpin.named_tuple import NamedTuple
from helmpin.plan import render_failure
from helmpin.plan.attempt import Attempt, Facts
from helmpin.plan.candidate import Candidate
from helmpin.plan.candidates import NULLED, candidates, nulled
from helmpin.plan.causes import Causes, without_references
from helmpin.plan.contests import contests, in_anothers_map, losing
from helmpin.plan.group import Group
from helmpin.plan.only_needed import Pinned
from helmpin.plan.suspicions import Effect, Suspicion, Suspicions
from helmpin.plan.template_scan import TemplateScan
from helmpin.plan.tried import Tried
from helmpin.plan.value_index import ValueIndex, scope_of
from helmpin.render.diff import Comparison
from helmpin.render.differences import Difference, readable
from helmpin.timeline import step

MOST_ATTEMPTS = 5
"""Attempts with values. Images that are not pinned by then are left to the templates."""
MOST_REPAIRS = 5
"""Further attempts, each without the images that failed in the previous one."""
_State = tuple[tuple[int, ...], int, int]
"""How often the candidates of each group have changed, how many uses go to their templates, how many have failed."""


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
        asks: Callable[[str], Collection[ValuePath]] = lambda _: (),
    ) -> None:
        """scan: gives the scan of the templates of the chart that a source belongs to. reads: gives the values that a source reads
        by their whole path, itself or in the named templates that it uses; asks: those that it does in a condition.
        reads_on_lines: those that it reads itself on lines with a word (on any line: '')."""
        facts, self._reads_on_lines, self._reads = list(facts), reads_on_lines, reads
        self._suspicions = Suspicions()
        self._unexplained: frozenset[Effect] = frozenset()
        """The differences of the last render that show no digest."""
        groups: dict[tuple[Any, ...], Group] = {}
        self._in_template = {fact.use.key: fact.in_template for fact in facts}
        self._by_template: set[UseKey] = set()
        self._failed: dict[UseKey, str] = {}
        self._notes: dict[UseKey, list[str]] = defaultdict(list)
        self._nulled: dict[UseKey, str] = {}
        self._attempts = self._repairs = 0
        self.tried = Tried()
        """What it has tried and rejected."""
        self.result: Attempt | None = None
        """The successful attempt; None while there is none."""
        for fact in facts:
            use, origin, scope = fact.use, fact.origin, fact.scope
            alike = (use.image, origin.image, fact.digest, scope, fact.is_literal)
            group = groups.get(alike)
            if group is None:
                ranked = []
                if fact.may_be_set:
                    ranked = candidates(origin.image, fact.digest, scope, values, scan(origin.source), fact.names)
                if split(use.image)[1] in (None, "latest") and not use.pull_policy:
                    # the tag must stay, but many templates drop it if there is a digest key
                    ranked = [sorted(options, key=lambda c: c.strategy.startswith("digest key")) for options in ranked]
                group = groups[alike] = Group(use.image, fact.digest, scope, ranked)
                for each in nulled(origin.image, fact.digest, scope, values, scan(origin.source)):
                    self._nulled.setdefault(use.key, f"{_names([each])}: {NULLED}")
                    self._note([use], self._nulled[use.key])
            group.uses.append(use)
        self._groups = list(groups.values())
        self._charts = {group.scope for group in self._groups}
        """The scopes of the charts that have images."""
        self._causes = Causes(self._groups, self._active, self._suspicions, reads_on_lines, reads, asks)
        by_image: dict[str, list[Group]] = defaultdict(list)
        for group in self._groups:
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
        for group in self._groups:
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
        if self._drop_wrong_guesses(settings, result):
            return
        overridden = self._overridden(result)
        self.tried.add(
            {
                key: some  # of several values that pin a use, not all need be to blame
                for key, some in settings.items()
                if key not in overridden
                and (key in result.failing or len({setting.path for setting in some if setting.value}) == 1)
            },
            result.failing,
        )
        before = self._state()
        blamed = self._blame_collateral(result)
        self._blame_values(result, blamed, overridden)
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

    def pinned(self) -> list[Pinned]:
        """What values pin in the result."""
        done = self._by_template | self._failed.keys()
        return [
            Pinned(tuple(use.key for use in g.uses if use.key not in done), g.digest, tuple(g.current()))
            for g in self._active()
        ]

    def unsettled(self) -> Attempt:
        """The end of a search without a result: every remaining use has failed."""
        for use in self._uses():
            self._fail(use, "no render was left to find a way to pin it")
        return self._attempt()

    # -- what is tried ---------------------------------------------------------------------------------------------------

    def _uses(self) -> Iterable[ImageUse]:
        return (use for group in self._groups for use in group.uses if use.key not in self._failed)

    def _active(self) -> list[Group]:
        """The groups that values pin."""
        done = self._by_template | self._failed.keys()
        return [g for g in self._groups if g.ranked and any(use.key not in done for use in g.uses)]

    def _state(self) -> _State:
        return tuple(group.changes for group in self._groups), len(self._by_template), len(self._failed)

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
            nulled=dict(self._nulled),
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
        """Leave each path that several images want to the one that may set it (contests.py)."""
        while contested := contests(self._active(), self._reads):
            for group in self._active():
                if banned := losing(group, contested):
                    self._note(group.uses, f"{_names(banned)}: another image needs the same value with another digest")
                    shared = [setting for c in banned if c.by_tag_only for setting in c.settings]
                    self.tried.add({use.key: shared for use in group.uses})
                    group.drop_anchors(in_anothers_map(banned, contested))
                    group.advance(banned)

    # -- what a render taught ----------------------------------------------------------------------------------------

    def _drop_wrong_guesses(self, settings: Mapping[UseKey, Collection[Setting]], result: Comparison) -> bool:
        """Drop values that only a tag suggests, where they did not pin the image, if there is another fault: they may have caused
        it, so that nothing else is judged by this result. Returns whether there were any. settings: by each use, what was set."""
        guesses = [
            group
            for group in self._active()
            if all(candidate.by_tag_only for candidate in group.current())
            and all(use.key in result.failing for use in group.uses)
        ]
        wrong = {use.key for group in guesses for use in group.uses}
        if not (guesses and (result.collateral or result.failing - wrong)):
            return False
        self.tried.add({key: some for key, some in settings.items() if key in wrong}, result.failing)
        for group in guesses:
            images = [result.images.get(use.key, "") for use in group.uses]
            self._note(group.uses, f"{_names(group.current())}: gives {images[0]!r}")
            group.fail(images)
        return True

    def _blame_collateral(self, result: Comparison) -> list[Group]:
        """Drop what may have caused the differences. Returns the groups that were blamed, or got their values back."""
        restored = self._drop_suspicions(result)
        had_values = self._active()
        left = self._leave_subcharts(result) if not restored else {}
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
        active = self._active()
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
                    for use in [use for use in group.uses if use.key in self._by_template]:
                        self._fail(use, f"pinning it in the template changes something else: {difference}")
        return list(blames.values())

    def _drop_blamed(self, blame: _Blame, result: Comparison, *, is_restored: bool) -> None:
        """Drop the candidates of a group that may have caused differences. is_restored: whether it has just got them back, so that
        the result does not show what they pin."""
        group, why, paths, certain, doubtful = blame
        fails = not is_restored and any(use.key in result.failing for use in group.uses)
        if fails or certain:
            self._note(group.uses, f"{_names(group.current())}: {why}")
        else:
            self._suspect(group, paths, doubtful, why)
        if fails:
            group.fail(result.images.get(use.key, "") for use in group.uses)
        else:
            self._note_spilling(group, paths, result.collateral if certain else ())
            group.leave_paths(paths)

    def _note_spilling(self, group: Group, paths: Collection[ValuePath], collateral: Iterable[Difference]) -> None:
        """Note which of these paths of a group show in differences as a whole, apart from its own reference."""
        shown = without_references(" ".join(readable(difference.after) for difference in collateral), [group])
        for setting in group.settings():
            if setting.path in paths and setting.value and setting.value in shown:
                for use in group.uses:
                    self.tried.add_spilling(use.key, setting.path)

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
        unexplained = {_effect(each): str(each) for each in result.collateral if not self._causes.carriers(each)}
        stay = [effect for effect in unexplained if effect in self._unexplained]
        self._unexplained = frozenset(unexplained)
        left: dict[tuple[str, ...], list[Group]] = {}
        for scope in {scope_of(leaf[0]) for leaf, _ in stay} - {()}:
            effects = [effect for effect in stay if scope_of(effect[0][0]) == scope]
            for group in self._active():
                if paths := {path for path in group.paths() if path[: len(scope)] == scope}:
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

    def _overridden(self, result: Comparison) -> set[UseKey]:
        """The uses that have another image's digest, so that their own candidate has not been seen to fail."""
        active = self._active()
        return {
            use.key
            for group in active
            for use in group.uses
            if use.key in result.failing
            and any(g.digest != group.digest and g.digest in result.images.get(use.key, "") for g in active)
        }

    def _blame_values(self, result: Comparison, blamed: Collection[Group], overridden: Collection[UseKey]) -> None:
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
                group.leave_paths({path for use in found for path in group.read_among(self._reads(use.source))})
        for group in [group for group in tried if group not in reached]:
            group.proven = not bad[group]
            own = [use for use in bad[group] if use.key not in overridden]
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
            suspects = self._causes.suspects(use.source) if is_unpinned else []
            if suspects:  # values changed what the template writes
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
        reading = [(group, group.read_among(self._reads(use.source))) for group in found]
        return [each for each in reading if each[1]] or reading

    def _group_of(self, use: ImageUse) -> Group:
        """The group that a use belongs to now."""
        return next(group for group in self._groups if use in group.uses)

    def _split_off(self, group: Group, bad: list[ImageUse]) -> None:
        """Split off the uses in `bad`, which do not read the values that pin the rest of the group: they try the spare candidates,
        first those that their own template reads; without any, their templates pin them."""
        spare, apart = group.spare(), defaultdict[tuple[Candidate, ...], list[ImageUse]](list)
        for use in bad if spare else ():
            own = self._reads_on_lines(use.source, "")
            read = sorted(spare, key=lambda c: not any(group.is_read(s.path, own) for s in c.settings))
            apart[tuple(read)].append(use)
        for candidates_left, uses in apart.items():
            split_off = Group(group.image, group.digest, group.scope, [list(candidates_left)])
            split_off.uses = uses
            self._groups.append(split_off)
        group.proven = True
        if apart:
            group.uses = [use for use in group.uses if use not in bad]
        else:
            for use in bad:
                self._to_template(use)

    def _blame_failure(self, why: str) -> None:
        """A render failed: drop the candidates whose values, template or chart helm's message names; without a name, all."""
        blamed = self._blamed_by(why)
        for group in blamed:
            named = self._named_by(why, group)
            reason = render_failure.reason(why, (s for c in named for s in c.settings), self._charts)
            self._note(group.uses, f"{_names(named or group.current())}: the chart refuses it: {reason}")
            group.advance(named)
        if not blamed:
            left = list(self._uses())
            for use in [use for use in left if use.source and use.source in why] or left:
                self._fail(use, f"the chart does not render with it: {render_failure.reason(why)}")

    def _blamed_by(self, why: str) -> list[Group]:
        """The groups that helm's message blames, of those that values pin; all if it names none."""
        active = self._active()
        if named := [group for group in active if self._named_by(why, group)]:
            return named
        active = [group for group in active if not group.proven] or active
        scopes = render_failure.scopes_of(why)
        near = [group for group in active if group.scope in scopes]
        near = [group for group in near if any(use.source in why for use in group.uses)] or near
        if render_failure.refuses_version(why):
            near = [group for group in near if any(c.strategy == "tag@digest" for c in group.current())] or near
        if render_failure.ends_in_a_colon(why):
            near = [group for group in near if any(not setting.value for setting in group.settings())] or near
        return near or active

    def _named_by(self, why: str, group: Group) -> set[Candidate]:
        """The current candidates of a group whose values helm's message names."""
        return {c for c in group.current() if any(render_failure.names_value(why, s, self._charts) for s in c.settings)}

    def _note(self, uses: Iterable[ImageUse], text: str) -> None:
        for use in uses:
            if text not in self._notes[use.key]:
                self._notes[use.key].append(text)


def _effect(difference: Difference) -> Effect:
    return difference.leaf, str(difference.after)


def _is_hash(difference: Difference) -> bool:
    """Whether a leaf is a hash, as of another template's output, before and after."""
    return all(re.fullmatch("[0-9a-f]{8,128}", str(text)) for text in (difference.before, difference.after))


def _set_by(groups: Iterable[Group]) -> tuple[str, ...]:
    named = [candidate for group in groups for candidate in group.current() if not candidate.by_tag_only]
    return tuple(sorted({dotted_key(setting.path) for candidate in named for setting in candidate.settings}))


def _names(some: Iterable[Candidate]) -> str:
    shown = sorted({f"{candidate.strategy} at {dotted_key(candidate.settings[0].path)}" for candidate in some})
    return "; ".join(shown[:3])
