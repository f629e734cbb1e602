"""Which images may have caused a difference between two renders, and which of the values that pin them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any

from helmpin.chart.setargs import ValuePath
from helmpin.image.reference import pinned_form, split
from helmpin.image.uses import ImageUse, UseKey
from helmpin.render.differences import Difference, readable
from helmpin.search.group import Group
from helmpin.search.suspicions import Suspicions
from helmpin.search.value_index import is_seen, scope_of

_START_OF_DIGEST = re.compile(r"(?<=sha256[:._-])[0-9a-f]{4,}|(?<![0-9A-Za-z])[0-9a-f]{7,}(?![0-9A-Za-z])")


class Causes:
    """Finds the groups of a search that may have caused a difference. It changes nothing, and sees the groups as they are now."""

    def __init__(
        self,
        groups: Collection[Group],
        active: Callable[[], list[Group]],
        suspicions: Suspicions,
        reads_on_lines: Callable[[str, str], Collection[ValuePath]],
        reads: Callable[[str], Collection[ValuePath]],
        asks: Callable[[str], Collection[ValuePath]],
    ) -> None:
        """groups: all of the search. active: gives those that values pin. reads_on_lines, reads, asks: as Search has them."""
        self._groups, self._active, self._suspicions = groups, active, suspicions
        self._reads_on_lines, self._reads, self._asks = reads_on_lines, reads, asks

    def carriers(self, difference: Difference) -> list[Group]:
        """The groups whose digest appears in a difference, first where it does more than follow their own reference. Preferred are
        those that values pin, since a value may reach more than its image; then those that others' images appear with; then those
        whose own image appears with the digest; then those whose values the template can see, and reads; then those that are not
        proven."""
        after, source, active = readable(difference.after), difference.leaf[0], self._active()
        shown = _preferred([g for g in self._groups if _shows(after, g.digest)], lambda g: g in active)
        others = without_references(after, shown)
        shown = _preferred(shown, lambda g: _shows(others, g.digest))
        named = [g for g in shown if f"{split(g.image)[0]}:{split(g.image)[1] or 'latest'}@" in after]
        explained = {g.digest for g in named}
        strangers = [g for g in shown if split(g.image)[0] not in after and g.digest not in explained]
        likely = (strangers if named else []) or named or shown
        likely = _preferred(likely, lambda g: _seen(g.paths(), source))
        likely = _preferred(likely, lambda g: g.read_among(self._reads(source)))
        return _preferred(likely, lambda g: not g.proven)

    def suspects(self, source: str, before: Any = "") -> list[Group]:
        """The groups that may have caused a difference without a digest in what a template prints. Those whose images it prints
        come before those of its chart, and proven ones come last. Among them, those are preferred whose tag stood there before, or
        whose values the template reads, in a condition, itself or in the named templates that it uses."""
        active = self._active()
        active = [group for group in active if _seen(group.paths(), source)] or active
        for some in ([g for g in active if not g.proven], active):
            near = [g for g in some if g.scope == scope_of(source)]
            if found := [g for g in near if any(use.source == source for use in g.uses)] or near or some:
                tagged = [g for g in found if _stands_in(split(g.image)[1], str(before))]
                return (
                    tagged
                    or [g for g in found if g.read_among(self._asks(source))]
                    or [g for g in found if g.read_among(self._reads_on_lines(source, ""))]
                    or [g for g in found if g.read_among(self._reads(source))]
                    or found
                )
        return []

    def suspects_of(self, difference: Difference) -> list[Group]:
        """The same for one difference. First come those of the container whose pull policy it is, then those whose values are read
        on a line of the template that prints it; last, those that are cleared of it."""
        leaf, words = difference.leaf, words_of(difference)
        suspects = self.suspects(leaf[0], readable(difference.before))
        uncleared = [g for g in self._active() if not self._suspicions.are_cleared(g.paths(), leaf)]
        left = [g for g in uncleared if _seen(g.paths(), leaf[0])] or uncleared
        return (
            [g for g in left if any(_is_pull_policy(leaf, use) for use in g.uses)]
            or [g for g in left if any(g.read_among(self._reads_on_lines(leaf[0], word)) for word in words)]
            or [g for g in suspects if g in left]
            or [g for g in left if g.read_among(self._reads_on_lines(leaf[0], ""))]
            or left
            or suspects
        )

    def guilty(self, group: Group, difference: Difference) -> set[ValuePath]:
        """The paths of a group that may have caused a difference: as far as that narrows them down, those that its template sees,
        whose value shows there, that end like its place, that the template reads on a line that prints it, or that it reads at
        all."""
        found, leaf = group.paths(), difference.leaf
        for some in (
            _seen(found, leaf[0]),
            self._shown(group, difference),
            {path for path in found if path[-2:] == leaf[3][-2:]},
            *(group.read_among(self._reads_on_lines(leaf[0], word)) for word in (*words_of(difference), "")),
        ):
            found = found & some or found
        return self._suspicions.without_cleared(found, leaf)

    def _shown(self, group: Group, difference: Difference) -> set[ValuePath]:
        """The paths of a group whose value shows in a difference: elsewhere than in references, which may follow, or else there."""
        after = readable(difference.after)
        shown = [setting for setting in group.settings() if setting.value in after]
        others = without_references(after, self._active()) if shown else ""
        return {setting.path for setting in shown if setting.value in others} or {setting.path for setting in shown}


def _preferred(groups: list[Group], is_better: Callable[[Group], object]) -> list[Group]:
    """Those of some groups that are better, or all if none is."""
    return [group for group in groups if is_better(group)] or groups


def _shows(text: str, digest: str) -> bool:
    """Whether a text has a digest, or the start of one, as labels have it: some hexadecimal digits that stand alone, or fewer after
    the name of the algorithm."""
    digits = digest.partition(":")[2]
    return digits[:12] in text or any(digits.startswith(found) for found in _START_OF_DIGEST.findall(text))


def _seen(paths: Iterable[ValuePath], source: str) -> set[ValuePath]:
    """The paths that a template can see."""
    scope = scope_of(source)
    return {path for path in paths if is_seen(path, scope)}


def without_references(text: str, groups: Iterable[Group]) -> str:
    """A text without the whole references of these groups' images, with their digests."""
    for group in groups:
        text = text.replace(pinned_form(group.image, group.digest), "")
    return text


def _is_pull_policy(leaf: UseKey, use: ImageUse) -> bool:
    """Whether a leaf is the pull policy of a use's container, which often depends on whether the image has a digest."""
    return leaf == (*use.key[:3], (*use.path[:-1], "imagePullPolicy"))


def words_of(difference: Difference) -> list[str]:
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
