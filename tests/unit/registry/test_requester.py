"""The pauses before further tries: each longer than the one before, to a limit, and no two clients' alike; and those that a server
asks for."""

from __future__ import annotations

from itertools import islice

import pytest

from helmpin.registry.requester import pauses, spread


def test_pauses() -> None:
    runs = [list(islice(pauses(), 8)) for _ in range(200)]
    for at, about in enumerate((0.1, 0.3, 0.9, 2.7, 5, 5, 5, 5)):
        taken = [run[at] for run in runs]
        assert about * 0.5 <= min(taken) < about * 0.7
        assert about * 1.3 < max(taken) <= about * 1.5
    assert len({tuple(run) for run in runs}) == len(runs)


@pytest.mark.parametrize(("asked", "most"), [(0.4, 0.6), (1.0, 1.5), (22.0, 23.0), (0.0, 0.0), (-3.0, 0.0)])
def test_nobody_resumes_before_the_time_that_a_server_asks_for_or_long_after(asked: float, most: float) -> None:
    waits = {spread(asked) for _ in range(200)}
    assert max(asked, 0.0) <= min(waits) and max(waits) <= most
    assert len(waits) == (200 if asked > 0 else 1)
