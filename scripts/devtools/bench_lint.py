"""How long it takes to lint many charts in one command, beside `helm lint` of the same charts and `helm template` of each.

What `helm create` makes, under names of their own, or the charts given. No registry and no cluster. In turn, in one run: seconds
for each chart, by the clock and of the processors.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from .binaries import binary

ROOT = Path(__file__).resolve().parents[2]


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row for each way."""
    parser = argparse.ArgumentParser(prog="scripts/bench lint", description=__doc__)
    parser.add_argument("--helm", default="helm4", help="helm3, helm4, or a path (default helm4)")
    parser.add_argument("--charts", type=int, default=100, help="how many to make (default 100)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("chart", nargs="*", type=Path, help="charts to lint instead")
    options = parser.parse_args(argv)
    helm = options.helm if "/" in options.helm else str(binary(options.helm))
    subprocess.run(["sh", ROOT / "install-binary.sh"], check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as folder:
        charts = [str(path.resolve()) for path in options.chart] or create(helm, Path(folder), options.charts)
        measure(helm, Path(folder), charts, options.runs)
    return 0


def create(helm: str, folder: Path, count: int) -> list[str]:
    """Make so many charts."""
    charts = [str(folder / f"web-{number}") for number in range(count)]
    for chart in charts:
        subprocess.run([helm, "create", chart], check=True, stdout=subprocess.DEVNULL)
    return charts


def measure(helm: str, folder: Path, charts: Sequence[str], runs: int) -> None:
    """Time each way `runs` times in turn."""
    env = {**os.environ, **{f"HELM_{kind}_HOME": str(folder / kind) for kind in ("DATA", "CONFIG", "CACHE")}}
    env["HELM_BIN"] = helm
    ways = {
        "helm pin lint, all at once": [[str(ROOT / "bin" / "helm-pin"), "lint", *charts]],
        "helm lint, all at once": [[helm, "lint", *charts]],
        "helm template, one by one": [[helm, "template", chart] for chart in charts],
    }
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, commands in ways.items():
            costs[name].append(timed(commands, env))
    print(f"{len(charts)} charts: s for each{'by the clock':>24}{'of the processors':>20}   medians of {runs}, in turn")
    for name, times in costs.items():
        passed, processor = (statistics.median(each) / len(charts) for each in zip(*times, strict=True))
        print(f"{name:30}{passed:18.3f}{processor:20.3f}")


def timed(commands: Sequence[Sequence[str]], env: dict[str, str]) -> tuple[float, float]:
    """Seconds by the clock and of the processors. Lint ends with another status where it finds something."""
    began, before = time.perf_counter(), os.times()
    for command in commands:
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1, 3):
            sys.exit(f"{' '.join(command[:3])} failed:\n{done.stderr}")
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, used
