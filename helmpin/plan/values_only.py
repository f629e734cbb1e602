"""A second search, for output that cannot contain templates: values for the images that the first one left to templates.

The first search gives up early, since a template pin nearly always works. This one tries every candidate for an image, even if the
template itself contains the image (perhaps as a default), and keeps what pins it and changes nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from helmpin.chart.setargs import Setting
from helmpin.plan.candidates import Candidate, by_any_key, candidates
from helmpin.plan.search import Attempt, Facts
from helmpin.plan.template_scan import TemplateScan
from helmpin.plan.value_index import ValueIndex, scope_of
from helmpin.render.diff import Comparison, Key

MOST_TRIALS = 30
"""The most renders."""


class ValuesSearch:
    """Mutable; it does no I/O. `next` gives an attempt for one image, `learn` takes its result."""

    def __init__(
        self, result: Attempt, facts: Iterable[Facts], values: ValueIndex, scan: Callable[[str], TemplateScan]
    ) -> None:
        """result: that of the first search. scan: as for Search."""
        self.result = result
        self._trials = self._all([fact for fact in facts if fact.use.key in result.by_template], values, scan)
        self._left = MOST_TRIALS
        self._unread: frozenset[Key] = frozenset()
        """The uses that the last attempt did not pin, if it changed nothing else."""

    def next(self) -> Attempt | None:
        """What to try next; None when nothing is left."""
        if not self._left:
            return None
        self._left -= 1
        return next(self._trials, None)

    def learn(self, attempt: Attempt, result: Comparison | str) -> None:
        """Take the result of an attempt: the comparison of the renders, or helm's message if the chart did not render."""
        self._unread = frozenset()
        if not isinstance(result, str) and not result.collateral:
            self._unread = result.failing
            self.result = self.result if result.failing else attempt

    def _all(self, facts: list[Facts], values: ValueIndex, scan: Callable[[str], TemplateScan]) -> Iterator[Attempt]:
        groups: dict[tuple[str, str, str, tuple[str, ...]], list[Facts]] = defaultdict(list)
        for fact in facts:
            groups[fact.use.image, fact.origin.image, fact.digest, scope_of(fact.origin.source)].append(fact)
        for (_, image, digest, scope), alike in groups.items():
            names = {name.lower() for f in alike for name in (f.origin.container, f.origin.name) if name}
            ranked = candidates(image, digest, scope, values, scan(alike[0].origin.source), names)
            keys = {fact.use.key for fact in alike}
            known = {candidate.settings for options in ranked for candidate in options}
            others = [(c,) for c in by_any_key(image, digest, scope, values) if c.settings not in known]
            for tried in [*_combinations(ranked), *others]:
                left = keys & self.result.by_template
                if not left:
                    break  # values pin it now
                if (attempt := _with(self.result, left, tried)) is None:
                    continue
                yield attempt
                read = left - self._unread
                if self._unread and read and self._unread <= left and len(tried) == 1:
                    yield attempt._replace(
                        by_template=attempt.by_template | self._unread,
                        strategies={key: how for key, how in attempt.strategies.items() if key not in self._unread},
                    )


def _combinations(ranked: list[list[Candidate]]) -> Iterator[tuple[Candidate, ...]]:
    """The likeliest candidates of all anchors together, then the next ones; then each candidate alone."""
    together = [
        tuple(options[min(i, len(options) - 1)] for options in ranked) for i in range(max(map(len, ranked), default=0))
    ]
    alone = [(candidate,) for options in ranked for candidate in options]
    yield from dict.fromkeys([*together, *alone])


def _with(result: Attempt, keys: set[Key], tried: tuple[Candidate, ...]) -> Attempt | None:
    """The result with these uses pinned by these candidates; None if one path would need two values."""
    settings: dict[Setting, None] = dict.fromkeys(setting for candidate in tried for setting in candidate.settings)
    texts = {setting.path: setting.value for setting in (*result.settings, *settings)}
    if any(texts[setting.path] != setting.value for setting in (*result.settings, *settings)):
        return None
    strategy = ", ".join(sorted({candidate.strategy for candidate in tried}))
    return result._replace(
        settings=tuple(dict.fromkeys([*result.settings, *settings])),
        by_template=result.by_template - keys,
        strategies={**result.strategies, **dict.fromkeys(keys, (strategy, tuple(settings)))},
    )
