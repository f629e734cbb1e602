"""Many at once: a bounded number of threads for each host, and one deadline for all."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

J = TypeVar("J", bound=Hashable)
R = TypeVar("R")
MAX_THREADS = 128


def width(jobs: int, most: int) -> int:
    """How many of a host's jobs run at once: up to ten all of them, then a third, `most` at most."""
    return min(jobs, most, max(10, -(-jobs // 3)))


class Gather(Generic[J, R]):
    """Does every job; hosts do not wait for one another."""

    def __init__(self, do: Callable[[J], R]) -> None:
        self._do = do
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._results: dict[J, R] = {}
        self._error: BaseException | None = None
        self._running = 0

    def run(self, hosts: Mapping[str, Sequence[J]], most: int, deadline: float) -> dict[J, R]:
        """The results there are when all is done, or at the deadline (on time.monotonic()). `most`: threads for one host.

        Raises what a job raised. Threads that are still busy at the deadline are left behind; they end with the process.
        """
        widths = [width(len(jobs), most) for jobs in hosts.values()]
        share = min(1.0, MAX_THREADS / max(sum(widths), 1))
        for jobs, wide in zip(hosts.values(), widths, strict=True):
            queue = deque(jobs)
            for _ in range(max(1, int(wide * share))):
                self._running += 1
                threading.Thread(target=self._drain, args=(queue,), daemon=True, name="registry").start()
        with self._lock:
            self._idle.wait_for(lambda: self._running == 0 or self._error is not None, max(0.0, deadline - time.monotonic()))
            if self._error is not None:
                raise self._error
            return dict(self._results)

    def _drain(self, queue: deque[J]) -> None:
        try:
            while True:
                try:
                    job = queue.popleft()
                except IndexError:
                    break
                result = self._do(job)
                with self._lock:
                    self._results[job] = result
        except BaseException as error:  # noqa: BLE001  raised again in run()
            self._error = error
        finally:
            with self._lock:
                self._running -= 1
                self._idle.notify_all()
