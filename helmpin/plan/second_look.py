"""Values that several images lost together, because of a difference that need not be the fault of each. Once the others have other
values, or none, each image gets them back in a render of its own."""

from __future__ import annotations

from collections.abc import Iterable

from helmpin.plan.attempt import Attempt
from helmpin.plan.only_needed import Pinned
from helmpin.render.diff import Comparison

MOST_ATTEMPTS = 4


class SecondLook:
    """Mutable; it does no I/O. `next` gives an attempt, `learn` takes its result."""

    def __init__(self, result: Attempt, lost: Iterable[tuple[Pinned, ...]]) -> None:
        """result: that of the first search. lost: what values pinned until they were blamed for one difference, each time."""
        self.result = result
        self._lost = [list(together) for together in lost]
        self._attempts = 0

    def next(self) -> Attempt | None:
        """What to try next; None when nothing is left."""
        while self._lost and self._attempts < MOST_ATTEMPTS:
            together = self._lost[0]
            if not together:
                self._lost.pop(0)
            elif attempt := self._with(together.pop(0)):
                self._attempts += 1
                return attempt
        return None

    def learn(self, attempt: Attempt, result: Comparison | str) -> None:
        """Take the result of an attempt: the comparison of the renders, or helm's message if the chart did not render."""
        if isinstance(result, str) or result.failing or result.collateral:
            return
        self.result = attempt
        if len(self._lost[0]) == 1:  # then it is the last one's fault
            self._lost[0].clear()

    def _with(self, pinned: Pinned) -> Attempt | None:
        """The result with these values in place of template pins; None if no use needs them, or a path would need two values."""
        left = [key for key in pinned.uses if key in self.result.by_template]
        settings = tuple(setting for candidate in pinned.candidates for setting in candidate.settings)
        every = {*self.result.settings, *settings}
        if not left or len({setting.path for setting in every}) < len(every):
            return None
        names = ", ".join(sorted({candidate.strategy for candidate in pinned.candidates}))
        return self.result.with_values(dict.fromkeys(left, (names, settings)))
