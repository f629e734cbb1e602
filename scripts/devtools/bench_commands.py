"""What a whole command costs beside plain helm's: start-up, upgrade, history. In turn, in one run, medians and their ratio.

On a real cluster (scripts/cluster, brought up for it) with the plugin installed in a folder of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from . import cluster as clusters
from .binaries import binary
from .images import push

ROOT = Path(__file__).resolve().parents[2]
NAME = "bench"


def main(argv: Sequence[str] | None = None) -> int:
    """Print one row for each command: helm-pin's median, helm's, and the ratio."""
    parser = argparse.ArgumentParser(prog="scripts/bench commands", description=__doc__)
    parser.add_argument("--helm", default="helm3", help="helm3, helm4, or a path (default helm3)")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--revisions", type=int, default=10, help="of the release whose history is read")
    options = parser.parse_args(argv)
    helm = options.helm if "/" in options.helm else str(binary(options.helm))
    cluster = clusters.up(NAME)
    try:
        with tempfile.TemporaryDirectory() as folder:
            measure(helm, cluster, Path(folder), options.runs, options.revisions)
    finally:
        clusters.down(NAME)
    return 0


def measure(helm: str, cluster: clusters.Cluster, folder: Path, runs: int, revisions: int) -> None:
    """Set up two releases of one chart, by helm and by helm-pin, and time the commands on them."""
    env = {**os.environ, **cluster.env, **{f"HELM_{k}_HOME": str(folder / k) for k in ("DATA", "CONFIG", "CACHE")}}

    def run(*args: str) -> float:
        started = time.perf_counter()
        done = subprocess.run([helm, *args], env=env, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"helm {' '.join(args)} failed:\n{done.stderr}")
        return time.perf_counter() - started

    run("plugin", "install", str(ROOT))
    run("create", "web")
    registry = cluster.env["HELM_PIN_DEMO_REGISTRY"]
    push(registry, "web", "latest", "A")
    values = Path(folder / "web" / "values.yaml")
    text = (
        values.read_text().replace("repository: nginx", f"repository: {registry}/web").replace('tag: ""', "tag: latest")
    )
    values.write_text(text)
    (folder / "web" / "templates" / "tests" / "test-connection.yaml").unlink()
    for _ in range(revisions):
        run("upgrade", "--install", "plain", "./web")
        run("pin", "upgrade", "--install", "pinned", "./web")
    cases: dict[str, tuple[Callable[[], float], Callable[[], float]]] = {
        "--version (beside helm version)": (lambda: run("pin", "--version"), lambda: run("version")),
        "template": (lambda: run("pin", "template", "web", "./web"), lambda: run("template", "web", "./web")),
        "upgrade": (lambda: run("pin", "upgrade", "pinned", "./web"), lambda: run("upgrade", "plain", "./web")),
        f"history of {revisions}+ revisions": (
            lambda: run("pin", "history", "pinned"),
            lambda: run("history", "plain"),
        ),
    }
    print(f"{'':34}{'helm pin':>10}{'helm':>10}{'ratio':>8}   medians of {runs}, ms, in turn")
    for name, (ours, theirs) in cases.items():
        ours(), theirs()
        pairs = [(ours(), theirs()) for _ in range(runs)]
        a, b = (statistics.median(side) for side in zip(*pairs, strict=True))
        print(f"{name:34}{a * 1000:10.0f}{b * 1000:10.0f}{a / b:8.2f}")
