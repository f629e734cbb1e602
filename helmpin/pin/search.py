"""Propose, render, compare: the search for a set of values that pins every image and changes nothing else."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from helmpin.chart.setargs import Setting, arguments, key
from helmpin.errors import HelmFailed, Refused
from helmpin.pin import again, propose
from helmpin.pin.compare import Comparison, Difference, Leaf, compare, is_pin, noise, random_leaves
from helmpin.pin.mentions import Mentions, is_written
from helmpin.pin.propose import Values, Way
from helmpin.pin.render import ImageUse, Render
from helmpin.pin.wrap import Templates, Wrapper

MAX_RENDERS = 6


class Renderer(Protocol):
    """Renders the staged chart with these further arguments; raises HelmFailed."""

    def __call__(self, extra: Sequence[str]) -> Render: ...


class Outcome(NamedTuple):
    """What the search found."""

    settings: tuple[Setting, ...]
    arguments: list[str]
    by_template: frozenset[tuple[Any, ...]]
    """Keys of the uses that are pinned in the staged template."""
    strategies: dict[tuple[Any, ...], tuple[str, tuple[Setting, ...]]]
    """For each use pinned by values: the strategies' names and the settings."""
    notes: dict[tuple[Any, ...], list[str]]
    """For each use: what was tried and why it was not taken."""
    failed: dict[tuple[Any, ...], str]
    """For each use that cannot be pinned: why."""
    render: Render
    renders: int
    set_by: dict[str, tuple[str, ...]]
    """For each image: the value paths that set it, as far as its name tells, whether or not they can carry a digest."""


class _Group:
    """The uses of one image by the templates of one chart or subchart, and the ways to pin them."""

    def __init__(self, image: str, digest: str, scope: tuple[str, ...], ladders: list[list[Way]]) -> None:
        self.image, self.digest, self.scope = image, digest, scope
        self.ladders = ladders
        self.uses: list[ImageUse] = []
        self.proven = False
        """Whether a render showed the current ways to be right for every use that takes them."""

    def settings(self) -> list[Setting]:
        return [setting for ladder in self.ladders for setting in ladder[0].settings]

    def advance(self, banned: set[Way]) -> None:
        """Drop the current ways (or those in `banned`) for the next ones."""
        self.proven = False
        self.ladders = [ladder[1:] if not banned or ladder[0] in banned else ladder for ladder in self.ladders]
        self.ladders = [ladder for ladder in self.ladders if ladder]

    def fail(self, images: Iterable[str]) -> None:
        """Drop the current ways, which gave these images. Where the digest is in none of them, another form of it at the same
        paths will not be either."""
        self.proven = False
        if any(self.digest.partition(":")[2] in image for image in images):
            self.advance(set())
            return
        paths = [{setting.path for setting in ladder[0].settings} for ladder in self.ladders]
        self.ladders = [
            [way for way in ladder if {s.path for s in way.settings} != tried]
            for ladder, tried in zip(self.ladders, paths, strict=True)
        ]
        self.ladders = [ladder for ladder in self.ladders if ladder]

    def leave_paths(self) -> None:
        """Drop every way that uses the paths of the current ones: they hold the digest, and do something else besides."""
        self.proven = False
        used = {setting.path for setting in self.settings()}
        self.ladders = [[way for way in ladder if not used & {s.path for s in way.settings}] for ladder in self.ladders]
        self.ladders = [ladder for ladder in self.ladders if ladder]


class Search:
    """One search. `prepare` is called before each confirming render with what is tried, to write the record, and before a plain
    render with None, to have none."""

    def __init__(
        self,
        plain: Render,
        uses: list[ImageUse],
        digests: Mapping[str, str],
        staged: Templates,
        render: Renderer,
        prepare: Callable[[Outcome | None], None],
    ) -> None:
        assert plain.values is not None
        self.plain, self.uses, self.digests = plain, uses, digests
        self.values = Values(plain.values)
        self.render, self.prepare = render, prepare
        self.wrapper = Wrapper(staged)
        self.staged = staged
        self.again = self._watch_random()
        self.wrapped: set[tuple[Any, ...]] = set()
        self.notes: dict[tuple[Any, ...], list[str]] = defaultdict(list)
        self.random: set[Leaf] | None = None
        """The leaves that differed between two plain renders, once that had to be done."""
        self.renders = 1
        self._mentions: dict[str, Mentions] = {}
        self.groups: dict[tuple[str, tuple[str, ...], bool], _Group] = {}
        templates = staged.template_files()
        for use in uses:
            scope = scope_of(use.source)
            paths = self._paths(use.source)
            written = bool(paths) and all(is_written(use.image, templates[path]) for path in paths)
            group = self.groups.get((use.image, scope, written))
            if group is None:
                digest, mentions = digests[use.image], self._mentions_of(use.source)
                ladders = [] if written else propose.ways(use.image, digest, scope, self.values, mentions)
                group = self.groups[use.image, scope, written] = _Group(use.image, digest, scope, ladders)
            group.uses.append(use)
        self.set_by = {image: _set_by(g for g in self.groups.values() if g.image == image) for image in digests}

    def run(self) -> Outcome:
        """Search until every use is pinned and nothing else changed, or the renders are used up."""
        failure, failing = "", self.uses
        while self.renders < MAX_RENDERS:
            self._settle_conflicts()
            self._wrap_the_rest(last=self.renders == MAX_RENDERS - 1)
            outcome = self._outcome(self.plain, {})
            self.prepare(outcome)
            try:
                self.renders += 1
                after = self.render(outcome.arguments)
            except HelmFailed as error:
                failure = error.why
                if again.TEMPLATE in failure:
                    self._stop_watching()
                else:
                    self._blame_failure(failure)
                continue
            comparison = compare(self.plain, after, self.digests)
            collateral = self._true_collateral(comparison, after)
            failing = [
                use
                for use in self.uses
                if not is_pin(use.image, comparison.images.get(use.key, ""), self.digests[use.image])
            ]
            if not failing and not collateral:
                self._stop_watching()
                return outcome._replace(render=after, renders=self.renders)
            failure = "\n".join(map(str, collateral[:3]))
            advanced = self._blame_collateral(collateral, {use.key for use in failing}, comparison)
            self._blame_failing(failing, comparison, advanced)
        left = self.uses if failure else failing
        return self._outcome(
            self.plain, {use.key: failure or "no value and no template line carries it" for use in left}
        )

    def _paths(self, source: str) -> list[str]:
        """The template file of a source, and copies of it; none when it is nowhere (a template may print a source line itself)."""
        try:
            return self.staged.source_to_paths(source) if source else []
        except Refused:
            return []

    def _mentions_of(self, source: str) -> Mentions:
        """What the templates of the chart that `source` belongs to read."""
        path = next(iter(self._paths(source)), "")
        folder = path[: path.rfind("templates/")]
        if folder not in self._mentions:
            files = self.staged.template_files()
            own = [text for name, text in files.items() if name.startswith(f"{folder}templates/")]
            library = [
                text
                for name, text in files.items()
                if name.startswith(f"{folder}charts/") and name.rpartition("/")[2].startswith("_")
            ]
            self._mentions[folder] = Mentions(own, library)
        return self._mentions[folder]

    # -- randomness ----------------------------------------------------------------------------------------------------

    def _watch_random(self) -> bool:
        """Have the confirming renders evaluate what may be random twice. Returns whether there is anything to watch."""
        paths = again.may_be_random(self.staged.template_files())
        sources = (
            {d.source for d in self.plain.documents if not paths.isdisjoint(self._paths(d.source))} if paths else set()
        )
        if sources:
            self.staged.write_template(again.TEMPLATE, again.template(sources))
        return bool(sources)

    def _stop_watching(self) -> None:
        if self.again:
            self.staged.remove_template(again.TEMPLATE)
        self.again = False

    # -- what is tried next ------------------------------------------------------------------------------------------

    def _active(self) -> list[_Group]:
        return [g for g in self.groups.values() if g.ladders and any(use.key not in self.wrapped for use in g.uses)]

    def _settle_conflicts(self) -> None:
        """No value can carry two digests. Where two images want the same leaf, the one whose name stands beside it gets it;
        where that does not decide, neither does."""
        while contested := self._contested():
            for group in self._active():
                banned = {way for way in (ladder[0] for ladder in group.ladders) if self._loses(way, contested)}
                if banned:
                    self._note(group.uses, f"{_names(banned)}: the same value feeds another image")
                    group.advance(banned)

    def _contested(self) -> dict[Any, set[str]]:
        """The paths that more than one text is wanted at, and the texts that a way with a name beside it wants there."""
        wanted: dict[Any, dict[str, bool]] = defaultdict(dict)
        for group in self._active():
            for way in (ladder[0] for ladder in group.ladders):
                for setting in way.settings:
                    named = wanted[setting.path].get(setting.value, False) or not way.weak
                    wanted[setting.path][setting.value] = named
        return {path: {v for v, named in values.items() if named} for path, values in wanted.items() if len(values) > 1}

    def _loses(self, way: Way, contested: Mapping[Any, set[str]]) -> bool:
        return any(s.path in contested and contested[s.path] != {s.value} for s in way.settings)

    def _wrap_the_rest(self, *, last: bool) -> None:
        for group in self.groups.values():
            if last and not group.proven:
                self._note(group.uses, "no more renders: the template carries it")
                group.ladders = []
            for use in group.uses:
                if not group.ladders and use.key not in self.wrapped:
                    self._wrap(use)
        self.wrapper.write()

    def _wrap(self, use: ImageUse) -> None:
        self.wrapped.add(use.key)
        if self._paths(use.source):
            self.wrapper.pin(
                use.source, use.image, pinned_form(use.image, self.digests[use.image]), anywhere=bool(use.elsewhere)
            )

    # -- what a render taught ----------------------------------------------------------------------------------------

    def _true_collateral(self, comparison: Comparison, after: Render) -> list[Difference]:
        """The differences that the pins made: those that a second plain render makes too are random."""
        found = [d for d in comparison.collateral if d.leaf not in (self.random or ())]
        if not found:
            return []
        if after.again:
            random = random_leaves(after)
            found = [d for d in found if d.leaf not in random]
        if found and self.random is None and self.renders < MAX_RENDERS:
            if all(self._carriers(d) for d in found):
                return found
            self.renders += 1
            self._stop_watching()
            self.prepare(None)
            self.random = noise(self.plain, self.render([]))
        return [d for d in found if d.leaf not in (self.random or ())]

    def _carriers(self, difference: Difference) -> list[_Group]:
        """The groups whose injected text shows in a difference."""
        after = str(difference.after)
        return [g for g in self._active() if g.digest[7:19] in after]

    def _suspects(self, scope: tuple[str, ...]) -> list[_Group]:
        """Who may have made a difference that shows no digest: not a group that an earlier render showed to be harmless."""
        active = self._active()
        unproven = [g for g in active if not g.proven]
        near = [g for g in unproven if g.scope == scope]
        return near or unproven or [g for g in active if g.scope == scope] or active

    def _blame_collateral(
        self, collateral: list[Difference], failing: set[tuple[Any, ...]], comparison: Comparison
    ) -> list[_Group]:
        blamed: dict[int, tuple[_Group, str]] = {}
        for difference in collateral:
            groups = self._carriers(difference)
            if not groups:
                groups = self._suspects(scope_of(difference.leaf[0]))
            for group in groups:
                blamed.setdefault(id(group), (group, str(difference)))
        for group, why in blamed.values():
            self._note(group.uses, f"{_names({ladder[0] for ladder in group.ladders})}: {why}")
            if any(use.key in failing for use in group.uses):
                group.fail(comparison.images.get(use.key, "") for use in group.uses)
            else:
                group.leave_paths()
        return [group for group, _ in blamed.values()]

    def _blame_failing(self, failing: list[ImageUse], comparison: Comparison, advanced: list[_Group]) -> None:
        unsettled = {use.key for use in failing}
        for group in self._active():
            if group in advanced:
                continue
            bad = [use for use in group.uses if use.key in unsettled and use.key not in self.wrapped]
            group.proven = not bad
            if not bad:
                continue
            good = [use for use in group.uses if use.key not in unsettled]
            self._note(
                bad, f"{_names({ladder[0] for ladder in group.ladders})}: gives {comparison.images.get(bad[0].key)!r}"
            )
            if good:  # the values are right for some: the others do not read them
                for use in bad:
                    self._wrap(use)
            else:
                group.fail(comparison.images.get(use.key, "") for use in bad)

    def _blame_failure(self, why: str) -> None:
        """A render failed: the ways of the chart (or the values) that helm's words name are dropped."""
        active = self._active()
        named = [g for g in active if any(_mentions_path(why, s) or _read_by(why, s, g.scope) for s in g.settings())]
        if not named:
            scopes = {scope_of(m) for m in re.findall(r"[\w.-]+(?:/charts/[\w.-]+)*/templates/", why)}
            named = [g for g in active if g.scope in scopes]
        for group in named or active:
            self._note(
                group.uses,
                f"{_names({ladder[0] for ladder in group.ladders})}: the chart refuses it: {why.splitlines()[-1][:200]}",
            )
            group.advance(set())

    def _note(self, uses: Iterable[ImageUse], text: str) -> None:
        for use in uses:
            if text not in self.notes[use.key]:
                self.notes[use.key].append(text)

    def _outcome(self, render: Render, failed: dict[tuple[Any, ...], str]) -> Outcome:
        settings: dict[Setting, None] = {}
        strategies: dict[tuple[Any, ...], tuple[str, tuple[Setting, ...]]] = {}
        for group in self._active():
            names = ", ".join(sorted({ladder[0].strategy for ladder in group.ladders}))
            settings.update(dict.fromkeys(group.settings()))
            for use in group.uses:
                if use.key not in self.wrapped:
                    strategies[use.key] = (names, tuple(group.settings()))
        args = arguments(settings, self.values.tree)
        return Outcome(
            tuple(settings),
            args,
            frozenset(self.wrapped),
            strategies,
            dict(self.notes),
            failed,
            render,
            self.renders,
            self.set_by,
        )


def scope_of(source: str) -> tuple[str, ...]:
    """The subchart names in a `# Source:` path: `app/charts/db/templates/x.yaml` → ('db',)."""
    return tuple(re.findall(r"/charts/([^/]+)(?=/)", source))


def pinned_form(image: str, digest: str) -> str:
    """An image as written, at its digest: the tag stays for people to read; the digest is what counts."""
    return f"{image}@{digest}"


def _mentions_path(why: str, setting: Setting) -> bool:
    """Whether a values.schema.json error names the setting: `- image.tag: …` or `- at '/image/tag': …`."""
    parts = [str(p) for p in setting.path]
    for line in why.splitlines():
        match = re.match(r"\s*- (?:at '/?([^']*)'|([^:\s]+)):", line)
        if match:
            named = (match[1] or match[2] or "").replace("/", ".")
            tail = [p for p in named.split(".") if p and p != "(root)"]
            if tail and (parts[-len(tail) :] == tail or parts[: len(tail)] == tail):
                return True
            if not tail and "dditional propert" in line and f"'{parts[-1]}'" in line:
                return True
    return False


def _read_by(why: str, setting: Setting, scope: tuple[str, ...]) -> bool:
    """Whether a template error shows the setting: `at <semverCompare ">=1.2" .Values.image.tag>: error calling …`."""
    path = setting.path[len(scope) :] if setting.path[: len(scope)] == scope else setting.path
    return bool(re.search(rf"\.Values\.{re.escape('.'.join(map(str, path)))}(?![\w.])", why))


def _set_by(groups: Iterable[_Group]) -> tuple[str, ...]:
    ways = [ladder[0] for group in groups for ladder in group.ladders if not ladder[0].weak]
    return tuple(sorted({key(setting.path) for way in ways for setting in way.settings}))


def _names(ways: Iterable[Way]) -> str:
    shown = sorted({f"{way.strategy} at {key(way.settings[0].path)}" for way in ways})
    return "; ".join(shown[:3])
