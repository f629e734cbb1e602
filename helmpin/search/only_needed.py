"""No digest for what is not there: several maps of the values may name an image without holding its tag, each for a component of
its own. That of a component that is off would get the digest of another one's image. One render, with another digest at each of
these maps, shows which of them reach an image, or anything else; the others are left out."""

from __future__ import annotations

from collections.abc import Iterable

from helmpin.chart.setargs import Setting
from helmpin.image.uses import UseKey
from helmpin.named_tuple import NamedTuple
from helmpin.render.diff import Comparison
from helmpin.render.differences import readable
from helmpin.search.attempt import Attempt
from helmpin.search.candidate import Candidate


class Pinned(NamedTuple):
    """The uses of an image, and what pins them: a candidate for each map that may."""

    uses: tuple[UseKey, ...]
    digest: str
    candidates: tuple[Candidate, ...]

    @property
    def doubtful(self) -> tuple[Candidate, ...]:
        """Those whose maps do not hold the image's tag, if there are several candidates."""
        return tuple(c for c in self.candidates if c.misfit[1]) if len(self.candidates) > 1 else ()


class OnlyNeeded:
    """Mutable; it does no I/O. `next` gives an attempt, `learn` takes its result."""

    def __init__(self, result: Attempt, pinned: Iterable[Pinned]) -> None:
        """result: that of the first search. pinned: what values pin in it."""
        self.result = result
        self._pinned = [each for each in pinned if each.doubtful]
        doubtful = dict.fromkeys(candidate for each in self._pinned for candidate in each.doubtful)
        self._marks = {candidate: f"{number:064x}" for number, candidate in enumerate(doubtful)}
        self._pending = [self._marked()] if doubtful else []

    def next(self) -> Attempt | None:
        """What to try next; None when nothing is left."""
        return self._pending.pop() if self._pending else None

    def learn(self, attempt: Attempt, result: Comparison | str) -> None:
        """Take the result of an attempt: the comparison of the renders, or helm's message if the chart did not render."""
        if isinstance(result, str) or not self._marks:
            if not (isinstance(result, str) or result.failing or result.collateral):
                self.result = attempt
            return
        images = (result.images[key] for key in result.failing if key in result.images)
        shown = " ".join([*images, *(readable(each.after) for each in result.collateral)])  # in followers, too
        if unneeded := {candidate for candidate, mark in self._marks.items() if mark not in shown}:
            self._pending = [self._without(unneeded)]
        self._marks = {}

    def _marked(self) -> Attempt:
        """The result with another digest in each doubtful candidate."""
        marked = {
            setting: setting._replace(
                value=setting.value.replace(each.digest.partition(":")[2], self._marks[candidate])
            )
            for each in self._pinned
            for candidate in each.doubtful
            for setting in candidate.settings
        }
        return self.result._replace(settings=tuple(marked.get(setting, setting) for setting in self.result.settings))

    def _without(self, unneeded: set[Candidate]) -> Attempt:
        strategies = dict(self.result.strategies)
        gone: set[Setting] = set()
        for each in self._pinned:
            if left := [candidate for candidate in each.candidates if candidate not in unneeded]:
                names = ", ".join(sorted({candidate.strategy for candidate in left}))
                strategies |= dict.fromkeys(each.uses, (names, tuple(s for c in left for s in c.settings)))
                gone |= {setting for candidate in unneeded for setting in candidate.settings}
        gone -= {setting for _, settings in strategies.values() for setting in settings}
        settings = tuple(setting for setting in self.result.settings if setting not in gone)
        return self.result._replace(settings=settings, strategies=strategies)
