"""The pauses before further tries: each longer than the one before, to a limit, and no two clients' alike."""

from __future__ import annotations

from itertools import islice

from helmpin.registry.requester import pauses


def test_pauses() -> None:
    runs = [list(islice(pauses(), 8)) for _ in range(200)]
    for at, about in enumerate((0.1, 0.3, 0.9, 2.7, 5, 5, 5, 5)):
        taken = [run[at] for run in runs]
        assert about * 0.5 <= min(taken) < about * 0.7
        assert about * 1.3 < max(taken) <= about * 1.5
    assert len({tuple(run) for run in runs}) == len(runs)
