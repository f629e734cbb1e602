"""Where the time of a command goes: each program that it ran and each larger step of its own, for `--debug`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from helmpin import env
from helmpin.named_tuple import NamedTuple

STARTED = time.perf_counter() - time.process_time()
"""When the process started, nearly: so far it has never waited."""


class Step(NamedTuple):
    """Something that took time. Steps of several threads may overlap, and so may programs."""

    name: str
    began: float
    """Seconds since the process started."""
    seconds: float


STEPS: list[Step] = []
"""The steps that have ended. Mutable, and one list for the whole process."""


def note(name: str, began: float, seconds: float, shown: str = "") -> None:
    """Note a step that has ended, and print it with --debug.

    began: its time.perf_counter(). shown: what is printed of it; '' for its name.
    """
    STEPS.append(Step(name, began - STARTED, seconds))
    if env.debugging():
        from helmpin.output import say

        say(f"[helm-pin] {(began - STARTED) * 1000:6.0f} +{seconds * 1000:5.0f} ms  {shown or name}")


@contextmanager
def step(name: str) -> Iterator[None]:
    """Note the block as a step. Works as a decorator, too."""
    began = time.perf_counter()
    try:
        yield
    finally:
        note(name, began, time.perf_counter() - began)


def print_total() -> None:
    """The closing line of --debug: the whole time, that of each kind of step, and the processor time of this process."""
    total: dict[str, list[float]] = {}
    for each in STEPS:
        total.setdefault(each.name, []).append(each.seconds)
    parts = [
        f"{name} {sum(times) * 1000:.0f}" + (f" ({len(times)} times)" if len(times) > 1 else "")
        for name, times in sorted(total.items(), key=lambda item: -sum(item[1]))
    ]
    whole = (
        f"{(time.perf_counter() - STARTED) * 1000:.0f} ms, of which helm-pin computed {time.process_time() * 1000:.0f}"
    )
    print(f"[helm-pin] time: {'; '.join([whole, *parts])}", file=sys.stderr)
