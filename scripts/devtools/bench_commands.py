"""What a whole command costs beside plain helm's: start-up, plan, upgrade, history. In turn, in one run, medians and their ratio.

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
from typing import NamedTuple

from . import cluster as clusters
from .api import Cluster
from .binaries import binary
from .images import push

ROOT = Path(__file__).resolve().parents[2]
NAME = "bench"


class Case(NamedTuple):
    """One row: a command of helm-pin's beside one of helm's."""

    name: str
    ours: Sequence[str]
    theirs: Sequence[str]
    first: bool = False
    """Whether each plan is the first of its kind: no earlier one has left anything in the cache (plan/head_start.py)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print one row for each command: helm-pin's median, helm's, and the ratio."""
    parser = argparse.ArgumentParser(prog="scripts/bench commands", description=__doc__)
    parser.add_argument("--helm", default="helm3", help="helm3, helm4, or a path (default helm3)")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--revisions", type=int, default=10, help="of the release whose history is read")
    parser.add_argument(
        "--chart",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="measure this chart too (repeatable); its images must resolve, here or by HELM_PIN_REGISTRY_MIRROR",
    )
    options = parser.parse_args(argv)
    helm = options.helm if "/" in options.helm else str(binary(options.helm))
    cluster = clusters.up(NAME)
    try:
        with tempfile.TemporaryDirectory() as folder:
            measure(helm, cluster, Path(folder), options)
    finally:
        clusters.down(NAME)
    return 0


def measure(helm: str, cluster: Cluster, folder: Path, options: argparse.Namespace) -> None:
    """Set up a release of each chart and time the commands on it; upgrades by plain helm on one of its own."""
    revisions, runs = options.revisions, options.runs
    env = {**os.environ, **cluster.env, **{f"HELM_{k}_HOME": str(folder / k) for k in ("DATA", "CONFIG", "CACHE")}}

    def run(*args: str) -> float:
        started = time.perf_counter()
        done = subprocess.run([helm, *args], env=env, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"helm {' '.join(args)} failed:\n{done.stderr}")
        return time.perf_counter() - started

    run("plugin", "install", str(ROOT))
    registry = cluster.env["HELM_PIN_DEMO_REGISTRY"]
    push(registry, "web", "latest", "A")
    for chart in ("web", "stack"):
        run("create", chart)
        values = folder / chart / "values.yaml"
        text = values.read_text().replace("repository: nginx", f"repository: {registry}/web")
        values.write_text(text.replace('tag: ""', "tag: latest"))
        (folder / chart / "templates" / "tests" / "test-connection.yaml").unlink()
    add_dashboards(folder / "stack")
    options.chart = [chart.resolve() for chart in options.chart]
    charts = {"web": folder / "web", "stack": folder / "stack", **{chart.name: chart for chart in options.chart}}
    for chart, path in charts.items():
        for _ in range(revisions):
            run("pin", "upgrade", "-i", chart, str(path), "--namespace", chart, "--create-namespace", "--no-hooks")
    cases = [Case("--version (beside helm version)", ["pin", "--version"], ["version"])]
    for chart, path in charts.items():
        given = ["template", "x", str(path)]
        plan = Case(f"plan --no-cluster {chart} (beside template)", ["pin", "plan", *given[1:], "--no-cluster"], given)
        cases += [plan, plan._replace(name=f"the same, the first time: {chart}", first=True)]
        cases.append(Case(f"template {chart}", ["pin", *given], given))
        same = [str(path), "--namespace", chart, "--no-hooks"]
        for _ in range(revisions):  # as many as the other has: each upgrade reads them all
            run("upgrade", "-i", "plain", *same)
        upgrade = Case(f"upgrade {chart}", ["pin", "upgrade", chart, *same], ["upgrade", "plain", *same])
        cases += [upgrade, upgrade._replace(name=f"the same, the first time: {chart}", first=True)]
        if path in options.chart:
            continue
        for command in (["pin", "upgrade", "-i", f"{chart}-kept"], ["upgrade", "-i", "plain-kept"]):
            run(*command, *same, "--set", "replicaCount=2")  # values that the next upgrade reuses: rendered by dry runs
        kept = ["pin", "upgrade", f"{chart}-kept", *same], ["upgrade", "plain-kept", *same]
        cases.append(Case(f"upgrade {chart}, values reused", *kept))
    for chart in charts:
        same = ["history", chart, "--namespace", chart, "--max", str(revisions)]
        cases.append(Case(f"history {chart}, {revisions} revisions", ["pin", *same], same))
    releases = ["rollback", "--namespace", "web", ""]
    cases.append(Case("completion of a release", ["__complete", "pin", *releases], ["__complete", *releases]))
    print(
        "web: what `helm create` makes. stack: the same and 40 ConfigMaps of 15 KB, as a monitoring stack's dashboards"
    )
    compare(cases, run, runs, folder / "CACHE" / "helm-pin")


def compare(cases: Sequence[Case], run: Callable[..., float], runs: int, cache: Path) -> None:
    """Time both commands of each case, each as often the first as the second, and print a row for it. cache: helm-pin's."""
    print(f"{'':56}{'helm pin':>10}{'helm':>10}{'ratio':>8}{'starts':>8}   medians of {runs}, ms, in turn")
    start = 0.0
    for name, ours, theirs, first in cases:
        run(*ours), run(*theirs)
        pairs = []
        for turn in range(runs):
            for kept in cache.glob("attempt-*") if first else ():
                kept.unlink()
            one, other = (run(*each) for each in ((ours, theirs), (theirs, ours))[turn % 2])
            pairs.append((one, other) if turn % 2 == 0 else (other, one))
        a, b = (statistics.median(side) for side in zip(*pairs, strict=True))
        start = start or b  # of `helm version`, which comes first
        print(f"{name:56}{a * 1000:10.0f}{b * 1000:10.0f}{a / b:8.2f}{(a - b) / start:8.1f}")
    print(
        "starts: what helm pin takes on top, in times of `helm version`; the helm that starts the plugin is one of them"
    )


def add_dashboards(chart: Path) -> None:
    """Give a chart as much text as charts with dashboards have, no easier to compress."""
    words = [f"{i * 7919 % 9973:x}" for i in range(2500)]
    for i in range(40):
        text = " ".join(words[(i * 61 + j * j) % len(words)] for j in range(3500))
        (chart / "templates" / f"dashboard-{i}.yaml").write_text(
            f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{{{ .Release.Name }}}}-{i}\ndata:\n  dashboard: {text}\n"
        )
