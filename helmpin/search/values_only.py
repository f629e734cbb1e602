"""A second search, for output that cannot contain templates: values for the images that the first one left to templates.

The first search gives up early, since a template pin nearly always works. This one tries every candidate for an image, even if the
template itself contains the image (perhaps as a default), and keeps what pins it and changes nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet

from helmpin.chart.setargs import Setting
from helmpin.image.uses import UseKey
from helmpin.named_tuple import NamedTuple
from helmpin.render.diff import Comparison
from helmpin.search.attempt import Attempt, Facts
from helmpin.search.candidate import Candidate
from helmpin.search.candidates import by_any_key, candidates
from helmpin.search.value_index import ValueIndex
from helmpin.templates.scan import TemplateScan

MOST_TRIALS = 30
"""The most renders."""


class _Trial(NamedTuple):
    """Candidates to try together for some uses of one image."""

    uses: frozenset[UseKey]
    candidates: tuple[Candidate, ...]


class ValuesSearch:
    """Mutable; it does no I/O. `next` gives an attempt for one image, `learn` takes its result."""

    def __init__(
        self, result: Attempt, facts: Iterable[Facts], values: ValueIndex, scan: Callable[[str], TemplateScan]
    ) -> None:
        """result: that of the first search. scan: as for Search."""
        self.result = result
        self._pending = _trials([fact for fact in facts if fact.use.key in result.by_template], values, scan)
        self._trying: _Trial | None = None
        """What `next` gave last, if it was a trial."""
        self._reduced: Attempt | None = None
        """The same for those uses alone that it pinned, if it changed nothing else."""
        self._left = MOST_TRIALS

    def next(self) -> Attempt | None:
        """What to try next; None when nothing is left."""
        if not self._left:
            return None
        self._left -= 1
        attempt, self._reduced, self._trying = self._reduced, None, None
        while attempt is None and (trial := next(self._pending, None)):
            left = trial.uses & self.result.by_template  # values may pin the others now
            if left and (attempt := _with(self.result, left, trial.candidates)):
                self._trying = _Trial(left, trial.candidates)
        return attempt

    def learn(self, attempt: Attempt, result: Comparison | str) -> None:
        """Take the result of an attempt: the comparison of the renders, or helm's message if the chart did not render."""
        if isinstance(result, str) or result.collateral:
            return
        if not result.failing:
            self.result = attempt
        elif self._trying and len(self._trying.candidates) == 1 and result.failing < self._trying.uses:
            self._reduced = attempt._replace(
                by_template=attempt.by_template | result.failing,
                strategies={key: how for key, how in attempt.strategies.items() if key not in result.failing},
            )


def _trials(facts: list[Facts], values: ValueIndex, scan: Callable[[str], TemplateScan]) -> Iterator[_Trial]:
    """Everything that may pin the uses of each image."""
    groups: dict[tuple[str, str, str, tuple[str, ...]], list[Facts]] = defaultdict(list)
    for fact in facts:
        groups[fact.use.image, fact.origin.image, fact.digest, fact.scope].append(fact)
    for (_, image, digest, scope), alike in groups.items():
        names = {name for fact in alike for name in fact.names}
        ranked = candidates(image, digest, scope, values, scan(alike[0].origin.source), names)
        known = {candidate.settings for options in ranked for candidate in options}
        others = [(c,) for c in by_any_key(image, digest, scope, values) if c.settings not in known]
        uses = frozenset(fact.use.key for fact in alike)
        yield from (_Trial(uses, together) for together in [*_combinations(ranked), *others])


def _combinations(ranked: list[list[Candidate]]) -> Iterator[tuple[Candidate, ...]]:
    """The likeliest candidates of all anchors together, then the next ones; then each candidate alone."""
    together = [
        tuple(options[min(i, len(options) - 1)] for options in ranked) for i in range(max(map(len, ranked), default=0))
    ]
    alone = [(candidate,) for options in ranked for candidate in options]
    yield from dict.fromkeys([*together, *alone])


def _with(result: Attempt, keys: AbstractSet[UseKey], tried: tuple[Candidate, ...]) -> Attempt | None:
    """The result with these uses pinned by these candidates; None if one path would need two values."""
    settings: dict[Setting, None] = dict.fromkeys(setting for candidate in tried for setting in candidate.settings)
    texts = {setting.path: setting.value for setting in (*result.settings, *settings)}
    if any(texts[setting.path] != setting.value for setting in (*result.settings, *settings)):
        return None
    strategy = ", ".join(sorted({candidate.strategy for candidate in tried}))
    return result.with_values(dict.fromkeys(keys, (strategy, tuple(settings))))
