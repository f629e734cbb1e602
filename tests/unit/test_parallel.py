"""Doing the same for several things at once."""

from __future__ import annotations

import threading
import time

import pytest

from helmpin import parallel


@pytest.mark.parametrize("at_once", [1, 3, 50])
def test_results_are_in_the_order_of_the_items(at_once: int) -> None:
    def slowest_first(item: int) -> int:
        time.sleep(0.01 * (9 - item))
        return item * 2

    assert list(parallel.each(slowest_first, range(10), at_once)) == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]
    assert list(parallel.each(slowest_first, [], at_once)) == []


def test_an_error_does_not_wait_for_the_others() -> None:
    rest, begun = threading.Event(), []

    def work(item: int) -> None:
        begun.append(item)
        if item == 0:
            raise ValueError("no")
        rest.wait(20)

    began = time.monotonic()
    with pytest.raises(ValueError, match="no"):
        list(parallel.each(work, range(10), 2))
    took = time.monotonic() - began
    rest.set()
    assert took < 10 and set(begun) <= {0, 1, 2}
