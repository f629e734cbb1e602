"""What a plan of locked images costs, beside `helm template` twice and Python's start, which it cannot do without.

No registry and no cluster: all digests are in the lock. In turn, in one run; processor time (user and system, of all programs that
it starts), which a busy machine changes less, and the time that passes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from .bench_registry import TEMPLATE
from .binaries import binary

FLAGS = ("-I", "-S", "-X", "utf8")
"""As bin/helm-pin starts Python."""
ROOT = Path(__file__).resolve().parents[2]
MODULES = """
import glob, sys
sys.path[:0] = [sys.argv[1], *glob.glob(f"{sys.argv[1]}/.venv/lib/python3*/site-packages")]
from helmpin import cli, request
from helmpin.commands import plan
from helmpin.plan import loop, show
"""
"""What a plan imports."""


class Cost(NamedTuple):
    """Of one run, in milliseconds."""

    processor: float
    passed: float


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row for each program, and the ratio that the plan is to keep at 1 or below."""
    parser = argparse.ArgumentParser(prog="scripts/bench lock", description=__doc__)
    parser.add_argument("--helm", default="helm3", help="helm3, helm4, or a path (default helm3)")
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args(argv)
    helm = options.helm if "/" in options.helm else str(binary(options.helm))
    with tempfile.TemporaryDirectory() as folder:
        measure(helm, Path(folder), options.images, options.runs)
    return 0


def measure(helm: str, folder: Path, images: int, runs: int) -> None:
    """Write a chart and its lock, and time each program `runs` times in turn."""
    names = [f"app{i:03}" for i in range(images)]
    chart = folder / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: bench\nversion: 1.0.0\n")
    (chart / "templates" / "all.yaml").write_text(TEMPLATE)
    (chart / "values.yaml").write_text(
        "".join(f"{name}: {{image: {{repository: example.com/team/{name}, tag: main}}}}\n" for name in names)
    )
    lines = [f"- image: example.com/team/{name}:main@sha256:{i:064x}\n" for i, name in enumerate(names)]
    (folder / "lock.yaml").write_text("version: 1\nimages:\n" + "".join(lines))
    env = {**os.environ, **{f"HELM_{k}_HOME": str(folder / k) for k in ("DATA", "CONFIG", "CACHE")}, "HELM_BIN": helm}
    env |= {"GOGC": "400"}  # as helm-pin runs helm
    python = ROOT / ".venv" / "bin" / "python"
    if not python.exists():
        subprocess.run(["sh", ROOT / "install-binary.sh"], check=True, stdout=subprocess.DEVNULL)
    plan = [
        ROOT / "bin" / "helm-pin",
        "plan",
        "bench",
        chart,
        "--no-cluster",
        "--lock",
        folder / "lock.yaml",
        "--locked",
    ]
    programs: dict[str, Sequence[str | Path]] = {
        f"plan of {images} locked images": plan,
        "helm template": [helm, "template", "bench", chart],
        "Python's start": [python, *FLAGS, "-c", "pass"],
        "the same with helm-pin's modules": [python, *FLAGS, "-c", MODULES, ROOT],
    }
    for command in programs.values():
        run(command, env)
    costs = [[run(command, env) for command in programs.values()] for _ in range(runs)]
    print(f"{'':32}{'CPU ms':>8}{'ms':>8}   medians of {runs}, in turn")
    for name, each in zip(programs, zip(*costs, strict=True), strict=True):
        print(
            f"{name:32}{statistics.median(c.processor for c in each):8.0f}{statistics.median(c.passed for c in each):8.0f}"
        )
    for what in Cost._fields:
        name = "CPU" if what == "processor" else "time"
        for start, which in ((2, "Python's start"), (3, "a start with modules")):
            ratios = [getattr(c[0], what) / (2 * getattr(c[1], what) + getattr(c[start], what)) for c in costs]
            print(f"{name} of the plan beside that of two templates and {which}: {statistics.median(ratios):.2f}")


def run(command: Sequence[str | Path], env: Mapping[str, str]) -> Cost:
    """Run a program to its end."""
    started = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{errors.decode(errors='replace')}")
    return Cost((usage.ru_utime + usage.ru_stime) * 1000, (time.perf_counter() - started) * 1000)
