"""Doing the same for several things at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(function: Callable[[Item], Result], items: Sequence[Item], at_once: int) -> Iterator[Result]:
    """What a function gives for each item, in their order, as soon as it is known. It is called in up to `at_once` threads. What
    ends this early, such as an error or a signal, does not wait for those that still run."""
    from concurrent.futures import ThreadPoolExecutor

    executor = ThreadPoolExecutor(max_workers=max(1, min(at_once, len(items))))
    try:
        yield from executor.map(function, items)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
