"""How long a property is tried: a time budget for each run, ten times as long with HELM_PIN_TEST_LONG=1."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from typing import ParamSpec

import pytest
from hypothesis import HealthCheck, Phase, settings

P = ParamSpec("P")
LONG = os.environ.get("HELM_PIN_TEST_LONG", "") not in ("", "0")


def examples(count: int, seconds: float) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Settings of a property that runs programs: `count` examples, or as many as fit into the time.

    The same examples each time, so that a failure comes back. A long run has others, which are made smaller where they fail;
    --hypothesis-seed N repeats one.
    """
    factor = 10 if LONG else 1
    phases = [phase for phase in Phase if LONG or phase not in (Phase.shrink, Phase.explain)]

    def decorate(test: Callable[P, None]) -> Callable[P, None]:
        ends: dict[str, float] = {}

        @functools.wraps(test)
        def within_budget(*args: P.args, **kwargs: P.kwargs) -> None:
            run = os.environ["PYTEST_CURRENT_TEST"]  # one for each parameter, as for each helm
            if time.monotonic() > ends.setdefault(run, time.monotonic() + seconds * factor):
                return
            try:
                test(*args, **kwargs)
            except BaseException:
                ends[run] = float("inf")  # a failing example must be found again
                raise

        limits = settings(
            max_examples=count * factor,
            deadline=None,
            derandomize=not LONG,
            database=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        )
        return pytest.mark.timeout(int(seconds * factor) + 600)(limits(within_budget))

    return decorate
