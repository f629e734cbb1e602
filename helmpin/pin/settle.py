"""Waiting until the cluster has settled: pods start one after the other, and those of the revision before end."""

from __future__ import annotations

import time
from collections.abc import Callable

from helmpin import output
from helmpin.pin.verify import UNKNOWN, Check

PAUSE = 1.0
"""Seconds between two looks."""


def wait(look: Callable[[], Check], deadline: float) -> Check:
    """Look until time can no longer change the verdict, or the deadline (time.monotonic()) is over. Shows progress."""
    while True:
        check = look()
        if check.verdict != UNKNOWN or not check.settles or time.monotonic() + PAUSE > deadline:
            output.progress("")
            return check
        output.progress(f"waiting for {check.name}: {check.summary}")
        time.sleep(PAUSE)
