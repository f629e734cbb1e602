"""How long it takes to deploy many releases, several at a time, beside plain helm, and whether anything is left in TMPDIR.

On a real control plane (scripts/cluster, brought up for it), what `helm create` makes, installed and upgraded by helm and by
helm pin in turn. Seconds by the clock and of the processors, and their ratios.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import cluster as clusters
from .binaries import binary
from .images import push

ROOT = Path(__file__).resolve().parents[2]
NAME = "bench-fleet"


def main(argv: Sequence[str] | None = None) -> int:
    """Print one row for the installations and one for each round of upgrades."""
    parser = argparse.ArgumentParser(prog="scripts/bench fleet", description=__doc__)
    parser.add_argument("--helm", default="helm4", help="helm3, helm4, or a path (default helm4)")
    parser.add_argument("--releases", type=int, default=50)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3, help="how often each release is upgraded")
    options = parser.parse_args(argv)
    helm = options.helm if "/" in options.helm else str(binary(options.helm))
    cluster = clusters.up(NAME)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return measure(helm, cluster, Path(folder), options)
    finally:
        clusters.down(NAME)


def measure(helm: str, cluster: clusters.Cluster, folder: Path, options: argparse.Namespace) -> int:
    """Deploy by both; the number of files that are left."""
    scratch = folder / "tmp"
    scratch.mkdir()
    homes = {f"HELM_{kind}_HOME": str(folder / kind) for kind in ("DATA", "CONFIG", "CACHE")}
    env = {**os.environ, **cluster.env, **homes, "TMPDIR": str(scratch)}

    def run(*args: str) -> None:
        done = subprocess.run([helm, *args], env=env, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"helm {' '.join(args)} failed:\n{done.stderr}")

    def deploy(tool: Sequence[str], namespace: str) -> tuple[float, float]:
        """Seconds by the clock and of the processors."""
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        with ThreadPoolExecutor(options.at_once) as pool:
            commands = [
                (*tool, "upgrade", "--install", f"web-{number}", "./web", "--namespace", namespace)
                for number in range(options.releases)
            ]
            list(pool.map(lambda command: run(*command), commands))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return time.perf_counter() - began, spent

    run("plugin", "install", str(ROOT))
    registry = cluster.env["HELM_PIN_DEMO_REGISTRY"]
    push(registry, "web", "latest", "A")
    run("create", "web")
    values = folder / "web" / "values.yaml"
    text = values.read_text().replace("repository: nginx", f"repository: {registry}/web")
    values.write_text(text.replace('tag: ""', "tag: latest").replace("replicaCount: 1", "replicaCount: 0"))
    (folder / "web" / "templates" / "tests" / "test-connection.yaml").unlink()
    for namespace in ("plain", "pinned"):
        cluster.api("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    print(f"{options.releases} releases, {options.at_once} at once; seconds by the clock (of the processors)")
    print(f"{'':14}{'helm pin':>16}{'helm':>16}{'ratio':>16}")
    ratios = []
    for number in range(options.rounds + 1):
        theirs, ours = deploy([], "plain"), deploy(["pin"], "pinned")
        ratios.append((ours[0] / theirs[0], ours[1] / theirs[1]))
        print(_row("install" if number == 0 else f"upgrade {number}", ours, theirs, ratios[-1]))
    print(f"median ratio: {statistics.median(clock for clock, _ in ratios):.2f}")
    left = [path.name for path in scratch.iterdir()]
    print(f"left in TMPDIR: {', '.join(left) or 'nothing'}")
    return len(left)


def _row(name: str, *pairs: tuple[float, float]) -> str:
    return f"{name:14}" + "".join(f"{f'{clock:.2f} ({spent:.2f})':>16}" for clock, spent in pairs)
