"""One value for all uses of an image, in place of one that pins some of them and templates that pin the others: a chart may print
its digest key for the main container, and nothing but the tag for another one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from helmpin.chart.setargs import Setting
from helmpin.image.uses import UseKey
from helmpin.render.diff import Comparison
from helmpin.search.attempt import Attempt, Facts
from helmpin.search.candidate import Candidate
from helmpin.search.candidates import candidates
from helmpin.search.value_index import ValueIndex
from helmpin.templates.scan import TemplateScan

MOST_CANDIDATES = 2
"""The most to try for one image; each costs a render."""
MOST_IMAGES = 3
"""The most to try on their own, where one of them keeps all from being pinned so at once."""


class OneForAll:
    """Mutable; it does no I/O. `next` gives an attempt for all images or for one, `learn` takes its result."""

    def __init__(
        self, result: Attempt, facts: Iterable[Facts], values: ValueIndex, scan: Callable[[str], TemplateScan]
    ) -> None:
        """result: that of the first search. facts: of all uses. scan: as for Search."""
        self.result = result
        self._pending = self._attempts(_divided(result, facts), values, scan)

    def next(self) -> Attempt | None:
        """What to try next; None when nothing is left."""
        return next(self._pending, None)

    def learn(self, attempt: Attempt, result: Comparison | str) -> None:
        """Take the result of an attempt: the comparison of the renders, or helm's message if the chart did not render."""
        if not (isinstance(result, str) or result.collateral or result.failing):
            self.result = attempt

    def _attempts(
        self, images: list[list[Facts]], values: ValueIndex, scan: Callable[[str], TemplateScan]
    ) -> Iterator[Attempt]:
        first = self.result
        wanted = [
            (keys, some) for facts in images if (some := _others(first, facts, values, scan)) for keys in [_keys(facts)]
        ]
        together: Attempt | None = first
        for keys, some in wanted:
            together = together and _with(together, keys, some[0])
        if together and len(wanted) > 1:
            yield together
        if self.result is not first:
            return
        for keys, some in wanted[:MOST_IMAGES]:
            before = self.result
            for attempt in filter(None, (_with(before, keys, candidate) for candidate in some)):
                if self.result is before:
                    yield attempt


def _keys(facts: Iterable[Facts]) -> list[UseKey]:
    return [fact.use.key for fact in facts]


def _others(
    result: Attempt, facts: list[Facts], values: ValueIndex, scan: Callable[[str], TemplateScan]
) -> list[Candidate]:
    """The likeliest candidates for an image that set other values than those that pin some of its uses in a result."""
    now = {setting.path for key in _keys(facts) for setting in result.strategies.get(key, ("", ()))[1]}
    first = facts[0]
    ranked = candidates(first.origin.image, first.digest, first.scope, values, scan(first.origin.source))
    others = (c for options in ranked for c in options if not c.is_spare and now.isdisjoint(s.path for s in c.settings))
    return list(islice(others, MOST_CANDIDATES))


def _divided(result: Attempt, facts: Iterable[Facts]) -> list[list[Facts]]:
    """The uses of each image that values and templates pin."""
    groups: dict[tuple[str, str, str, tuple[str, ...]], list[Facts]] = defaultdict(list)
    for fact in facts:
        if fact.use.key not in result.failed and not fact.is_literal:
            groups[fact.use.image, fact.origin.image, fact.digest, fact.scope].append(fact)
    return [
        alike for alike in groups.values() if {fact.use.key in result.by_template for fact in alike} == {True, False}
    ]


def _with(result: Attempt, keys: Iterable[UseKey], candidate: Candidate) -> Attempt | None:
    """The result with these uses pinned by a candidate, and without what pinned them; None if one path would need two values."""
    others = {key: how for key, how in result.strategies.items() if key not in keys}
    kept = {setting for _, settings in others.values() for setting in settings}
    settings = tuple(setting for setting in result.settings if setting in kept)
    texts: dict[Setting, None] = dict.fromkeys([*settings, *candidate.settings])
    if len({setting.path for setting in texts}) < len(texts):
        return None
    alone = result._replace(settings=settings, strategies=others)
    return alone.with_values(dict.fromkeys(keys, (candidate.strategy, candidate.settings)))
