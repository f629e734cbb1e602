"""What people do today to deploy digests, beside helm pin upgrade: crane and --set, and kbld where PATH has it.

A chart with a Deployment (of no replicas) for each image, on a real control plane and its registry (scripts/cluster, brought up
for it). Each way is a whole command line, from the tags to the deployed revision, in turn, in one run; the digests in the stored
manifest must be right.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from . import cluster as clusters
from .bench_registry import Case, chart, fill
from .binaries import binary, tools

ROOT = Path(__file__).resolve().parents[2]
NAME = "bench-peers"
WAYS = {
    "helm upgrade, by tag": '"$HELM" upgrade --install plain "$CHART"',
    "helm pin upgrade": '"$HELM" pin upgrade --install pinned "$CHART"',
    "crane one by one, --set": """
        set --
        for name in $NAMES; do
            set -- "$@" --set "$name.image.tag=v1@$(crane digest "$REGISTRY/bench/$name:v1")"
        done
        "$HELM" upgrade --install looped "$CHART" "$@" """,
    "crane 16 at once, --set": """
        one='echo "$0.image.tag=v1@$(crane digest "$REGISTRY/bench/$0:v1")"'
        set --
        for pair in $(printf '%s\\n' $NAMES | xargs -P 16 -I{} sh -c "$one" {}); do set -- "$@" --set "$pair"; done
        "$HELM" upgrade --install parallel "$CHART" "$@" """,
    "helm template | kbld, apply": '"$HELM" template built "$CHART" | kbld -f - | kubectl apply -f -',
}
"""The last makes no release: helm history and helm rollback know nothing of it."""
RELEASES = ("", "pinned", "looped", "parallel", "")


def main(argv: Sequence[str] | None = None) -> int:
    """Print one row for each way: its median, beside that of plain helm, which deploys tags."""
    parser = argparse.ArgumentParser(prog="scripts/bench peers", description=__doc__)
    parser.add_argument("--helm", default="helm4", help="helm3, helm4, or a path (default helm4)")
    parser.add_argument("--images", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args(argv)
    helm = options.helm if "/" in options.helm else str(binary(options.helm))
    cluster = clusters.up(NAME)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for count in options.images:
                measure(helm, cluster, Path(folder), count, options.runs)
    finally:
        clusters.down(NAME)
    return 0


def measure(helm: str, cluster: clusters.Cluster, folder: Path, count: int, runs: int) -> None:
    """Time each way on a chart of so many images."""
    names = [f"app{i}" for i in range(count)]
    digests = [fill(cluster.registry, f"bench/{name}") for name in names]
    place = chart(folder, Case(0, [f"{cluster.registry}/bench/{name}:v1" for name in names]))
    template = Path(place) / "templates" / "apps.yaml"
    text = template.read_text().replace("spec:\n  selector", "spec:\n  replicas: 0\n  selector")
    template.write_text(text.replace("  name: {{ $name }}\n", "  name: {{ $.Release.Name }}-{{ $name }}\n"))
    homes = {f"HELM_{kind}_HOME": str(folder / kind) for kind in ("DATA", "CONFIG", "CACHE")}
    env = {**os.environ, **cluster.env, **homes, "HELM": helm, "CHART": place, "REGISTRY": cluster.registry}
    namespace = f"of-{count}"
    cluster.api("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    env |= {
        "NAMES": " ".join(names),
        "HELM_NAMESPACE": namespace,
        "PATH": f"{tools('crane')}:{tools()}:{os.environ['PATH']}",
    }

    def run(script: str) -> float:
        started = time.perf_counter()
        done = subprocess.run(["sh", "-euc", script], env=env, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{script} failed:\n{done.stderr}")
        return time.perf_counter() - started

    if not Path(homes["HELM_DATA_HOME"], "plugins").exists():
        run(f'"$HELM" plugin install {ROOT}')
    ways = {name: script for name, script in WAYS.items() if "kbld" not in name or shutil.which("kbld")}
    for script in ways.values():
        run(script)
    for name, release in zip(WAYS, RELEASES, strict=True):
        if release:
            command = [helm, "get", "manifest", release]
            manifest = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
            if missing := [digest for digest in digests if f"v1@{digest}" not in manifest]:
                sys.exit(f"{name}: {len(missing)} digests are not in the manifest")
    costs = [[run(script) for script in ways.values()] for _ in range(runs)]
    medians = [statistics.median(each) for each in zip(*costs, strict=True)]
    print(f"{f'{count} images':32}{'seconds':>9}{'ratio':>8}   medians of {runs}, in turn")
    for name, seconds in zip(ways, medians, strict=True):
        print(f"{name:32}{seconds:9.2f}{seconds / medians[0]:8.2f}")
