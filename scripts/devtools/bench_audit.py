"""How long an audit of a whole cluster takes beside `kubectl get pods -A -o json`, which it has to read anyway.

On a real control plane with kwok's nodes (scripts/cluster, brought up for it), in turn, in one run: medians and their ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import cluster as clusters
from .api import Cluster
from .bench_scale import peak
from .binaries import binary, say, tools
from .images import push

ROOT = Path(__file__).resolve().parents[2]
NAME = "bench-audit"
ANNOTATION = "helm-pin/digests"


def main(argv: Sequence[str] | None = None) -> int:
    """Print one row for each way to look at the cluster."""
    parser = argparse.ArgumentParser(prog="scripts/bench audit", description=__doc__)
    parser.add_argument("--helm", default="helm3", help="helm3, helm4, or a path (default helm3)")
    parser.add_argument("--releases", type=int, default=300)
    parser.add_argument("--pods", type=int, default=5, help="of each release")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args(argv)
    helm = options.helm if "/" in options.helm else str(binary(options.helm))
    cluster = clusters.up(NAME)
    try:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(helm, cluster, Path(folder))
            bench.fill(options.releases, options.pods)
            bench.measure(options.runs)
    finally:
        clusters.down(NAME)
    return 0


class Bench:
    """A cluster full of releases that have a record."""

    def __init__(self, helm: str, cluster: Cluster, folder: Path) -> None:
        self.helm, self.cluster, self.folder = helm, cluster, folder
        homes = {f"HELM_{kind}_HOME": str(folder / kind) for kind in ("DATA", "CONFIG", "CACHE")}
        self.env = {**os.environ, **cluster.env, **homes, "PATH": f"{tools()}:{os.environ['PATH']}"}

    def run(self, *command: str, fine: tuple[int, ...] = (0,)) -> tuple[float, str]:
        """Run a command; its seconds and its standard output."""
        started = time.perf_counter()
        done = subprocess.run(command, env=self.env, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode not in fine:
            sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
        return time.perf_counter() - started, done.stdout

    def fill(self, releases: int, pods: int) -> None:
        """Deploy one release by helm-pin, and the others by plain helm from the chart that it recorded in: the same, sooner."""
        self.run(self.helm, "plugin", "install", str(ROOT))
        self.run(self.helm, "create", "web")
        repository = f"{self.cluster.registry}/web"
        push(self.cluster.registry, "web", "latest", "A")
        given = {"image": {"repository": repository, "tag": "latest"}, "replicaCount": pods}
        (self.folder / "values.json").write_text(json.dumps(given))
        (self.folder / "web/templates/tests/test-connection.yaml").unlink()
        self.run(self.helm, "pin", "upgrade", "--install", "app", "web", "-f", "values.json")
        told = json.loads(self.run(self.helm, "get", "metadata", "app", "-o", "json")[1])["annotations"][ANNOTATION]
        with (self.folder / "web/Chart.yaml").open("a") as chart:
            chart.write(f"annotations:\n  {ANNOTATION}: {json.dumps(told)}\n")
        given["image"]["tag"] = f"latest@{json.loads(told)['images'][0]['digest']}"
        (self.folder / "values.json").write_text(json.dumps(given))
        say(f"deploying {releases} releases …")

        def install(number: int) -> None:
            namespace = f"team-{number % 30}"
            self.run(
                self.helm, "install", f"app-{number}", "web", "-n", namespace, "--create-namespace", "-f", "values.json"
            )

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(install, range(1, releases)))
        for _ in range(300):
            phases = self.run("kubectl", "get", "pods", "-A", "-o", "jsonpath={.items[*].status.phase}")[1].split()
            if phases == ["Running"] * releases * pods:
                return
            time.sleep(1)
        sys.exit(f"{releases * pods} pods were to run; there are {len(phases)}")

    def measure(self, runs: int) -> None:
        """Each way in turn."""
        ways = {
            "kubectl get pods -A -o json": ("kubectl", "get", "pods", "-A", "-o", "json"),
            "helm pin audit -A": (self.helm, "pin", "audit", "-A"),
            "helm pin audit -A -o html": (self.helm, "pin", "audit", "-A", "-o", "html"),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(runs + 1):
            for name, command in ways.items():
                times[name].append(self.run(*command)[0])
        medians = {name: statistics.median(some[1:]) for name, some in times.items()}  # the first warms up
        base = next(iter(medians.values()))
        print(
            f"{'':32}{'seconds':>9}{'ratio':>8}{'MiB':>8}   medians of {runs}, in turn; memory at the peak, of all processes"
        )
        for name, seconds in medians.items():
            print(f"{name:32}{seconds:9.2f}{seconds / base:8.2f}{peak(ways[name], self.env):8.0f}")
