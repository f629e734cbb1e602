"""Many at once: a bounded number of threads for each host, and one deadline for all."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

J = TypeVar("J", bound=Hashable)
R = TypeVar("R")
MAX_THREADS = 128


def width(jobs: int, most: int) -> int:
    """How many of a host's jobs run at once: up to ten all of them, then half of them, `most` at most."""
    return min(jobs, most, max(10, -(-jobs // 2)))


def run(do: Callable[[J], R], hosts: Mapping[str, Sequence[J]], most: int, deadline: float) -> dict[J, R]:
    """Do every job of every host; hosts do not wait for one another. most: threads for one host.

    Returns the results that there are when all is done, or at the deadline (on time.monotonic()); threads that are busy
    then are left behind, and end with the process. Raises what a job raised.
    """
    results: dict[J, R] = {}
    errors: list[BaseException] = []
    changed = threading.Condition()
    widths = [width(len(jobs), most) for jobs in hosts.values()]
    share = min(1.0, MAX_THREADS / max(sum(widths), 1))
    busy = [max(1, int(wide * share)) for wide in widths]
    running = sum(busy)

    def drain(queue: deque[J]) -> None:
        nonlocal running
        try:
            while queue and not errors:
                try:
                    job = queue.popleft()
                except IndexError:
                    break
                result = do(job)
                with changed:
                    results[job] = result
        except BaseException as error:  # noqa: BLE001  raised again below
            errors.append(error)
        finally:
            with changed:
                running -= 1
                changed.notify_all()

    for jobs, threads in zip(hosts.values(), busy, strict=True):
        queue = deque(jobs)
        for _ in range(threads):
            threading.Thread(target=drain, args=(queue,), daemon=True, name="registry").start()
    with changed:
        changed.wait_for(lambda: running == 0 or errors, max(0.0, deadline - time.monotonic()))
        if errors:
            raise errors[0]
        return dict(results)
