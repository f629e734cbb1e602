"""Waiting until the cluster has settled: pods start one after another, and those of the previous revision end."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable

from helmpin import output
from helmpin.verify.check import UNKNOWN, Check

PAUSE = 1.0
"""Seconds between two checks."""


def wait(look: Callable[[], Check], deadline: float) -> Check:
    """Check until the verdict can no longer change with time, or until the deadline (time.monotonic()).

    Shows progress: a passing line on a terminal, elsewhere a line for each change. Details that will not change are reported at
    once.
    """
    shown = ""
    staying: set[str] = set()
    while True:
        check = look()
        for line in check.staying:
            if line not in staying:
                output.progress("")
                output.say(line)
        staying.update(check.staying)
        if check.verdict != UNKNOWN or not check.may_change or time.monotonic() + PAUSE > deadline:
            output.progress("")
            return check
        line = f"waiting for {check.name}: {'; '.join((check.summary, *check.details[:1]))}"
        if not sys.stderr.isatty() and line != shown:
            output.inform(line)
        shown = line
        output.progress(_cut(f"{line} ({deadline - time.monotonic():.0f} s left)"))
        time.sleep(PAUSE)


def _cut(line: str) -> str:
    """A line that a terminal shows without breaking it, so that the next one can overwrite it."""
    columns = shutil.get_terminal_size().columns
    return line if len(line) < columns else f"{line[: columns - 2]}…"
