"""How often a property is tried: what runs programs, in a time budget, ten times as long with HELM_PIN_TEST_LONG=1."""

from __future__ import annotations

import functools
import os
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import ParamSpec

import pytest
from hypothesis import HealthCheck, Phase, settings

P = ParamSpec("P")
LONG = os.environ.get("HELM_PIN_TEST_LONG", "") not in ("", "0")
EXAMPLES = int(os.environ.get("HELM_PIN_TEST_EXAMPLES") or 0)
"""How many examples each property of the unit tests tries; 0 for as many as it says itself."""


def examples(count: int) -> int:
    """The `max_examples` of a property that would try `count`, unless HELM_PIN_TEST_EXAMPLES says another number."""
    return EXAMPLES or count


def examples_within(count: int, seconds: float, *, long: int) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Settings of a property that runs programs: `count` examples, or as many as fit into the time; each on one of the Helms.

    The same examples each time, so that a failure comes back. A long run has `long` others, on both Helms, which are made smaller
    where they fail; --hypothesis-seed N repeats one.
    """
    factor = 10 if LONG else 1
    phases = [phase for phase in Phase if LONG or phase not in (Phase.shrink, Phase.explain)]

    def decorate(test: Callable[P, None]) -> Callable[P, None]:
        ends: dict[str, float] = {}
        tried: Counter[str] = Counter()
        failed: set[str] = set()

        @functools.wraps(test)
        def within_budget(*args: P.args, **kwargs: P.kwargs) -> None:
            run = os.environ["PYTEST_CURRENT_TEST"]  # one for each parameter, as for each helm
            tried[run] += 1
            is_its_turn = LONG or tried[run] % 2 == ("helm4" in run)
            in_time = time.monotonic() < ends.setdefault(run, time.monotonic() + seconds * factor)
            if run not in failed and not (is_its_turn and in_time):
                return
            try:
                test(*args, **kwargs)
            except BaseException:
                failed.add(run)  # its example must fail again
                raise

        limits = settings(
            max_examples=long if LONG else count,
            deadline=None,
            derandomize=not LONG,
            database=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        )
        return pytest.mark.timeout(int(seconds * factor) + 600)(limits(within_budget))

    return decorate


def one_helm_each(names: Iterable[str], *, other: bool = False) -> list[tuple[str, str]]:
    """Names, each with the Helm that it draws, or with the other; with both in a long run."""
    helms = ("helm3", "helm4")
    drawn = ((name, (zlib.crc32(name.encode()) + other) % 2) for name in names)
    return [(name, helm) for name, number in drawn for helm in (helms if LONG else (helms[number],))]
