"""scripts/bench registry: it runs, and what it compares resolves alike (it fails itself when a digest is wrong)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[3] / "scripts" / "bench"


def test_it_measures() -> None:
    command = [
        sys.executable,
        str(BENCH),
        "registry",
        "--images",
        "1",
        "3",
        "--latency",
        "0",
        "20",
        "--runs",
        "1",
        "-o",
        "json",
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr

    rows = json.loads(run.stdout)

    cases = {(row["latency"], row["images"]) for row in rows}
    assert cases == {(0, 1), (0, 3), (20, 1), (20, 3)}
    assert {"helm-pin", "crane, 16 at once", "crane, one by one"} <= {row["tool"] for row in rows}
    assert all(row["median"] >= row["latency"] / 1000 for row in rows)


def test_what_it_does_not_know() -> None:
    run = subprocess.run([sys.executable, str(BENCH), "everything"], capture_output=True, text=True, timeout=20)
    assert run.returncode == 2 and "registry" in run.stderr
