"""How the cost of a plan grows with images, with the size of the manifest and with values, and how much memory it takes; and how
the cost of a history grows with revisions.

All digests are in a lock, and only the history asks a cluster. Processor time of all programs that a command starts, in turn, in
one run, for three sizes that double, beside helm's own command (helm template, which each plan runs twice; helm history). The
growth is the cost of one more from the second to the third size beside that from the first to the second: 1 is linear, 2 is
quadratic. Memory is what all processes of a command hold at once, at its peak, beside helm's own.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from . import cluster as clusters
from .api import Cluster
from .bench_lock import run
from .bench_registry import TEMPLATE
from .binaries import binary, tools

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "{{ $app.image.repository }}:{{ $app.image.tag }}"
"""How TEMPLATE writes an image."""
APP = "{image: {repository: example.com/team/@, tag: main}}"
"""The values for it, with @ for its name."""
TICK = 0.005
"""Seconds between two looks at the memory."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table of costs for each kind of size, and one of memory."""
    parser = argparse.ArgumentParser(prog="scripts/bench scale", description=__doc__)
    parser.add_argument("--helm", default="helm4", help="helm3, helm4, or a path (default helm4)")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--of", choices=KINDS, action="append", help="what grows (repeatable; default all)")
    parser.add_argument(
        "--chart", type=Path, action="append", default=[], metavar="FOLDER", help="its memory, too (repeatable)"
    )
    options = parser.parse_args(argv)
    helm = options.helm if "/" in options.helm else str(binary(options.helm))
    subprocess.run(["sh", ROOT / "install-binary.sh"], check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        homes = {f"HELM_{kind}_HOME": str(folder / kind) for kind in ("DATA", "CONFIG", "CACHE")}
        env = {**os.environ, **homes, "HELM_BIN": helm, "GOGC": "400"}  # as helm-pin runs helm
        print(
            f"{'':34}{'helm pin: CPU ms':>24}{'growth':>8}{'helm: CPU ms':>24}{'growth':>8}   medians of {options.runs}, in turn"
        )
        last = {}
        for kind in options.of or KINDS:
            if kind != "revisions":
                last[f"{CHARTS[kind][1][2]} {kind}"] = measure(kind, helm, env, folder, options.runs)
                continue
            cluster = clusters.up("bench-scale", bare=True)
            try:
                there = {**env, **cluster.env, "PATH": f"{tools()}:{os.environ['PATH']}"}
                history(helm, there, cluster, folder, options.runs)
            finally:
                clusters.down("bench-scale")
        for chart in options.chart:
            last[chart.name] = plan([chart.resolve()], "--allow-unpinned=*")
        if last:
            print(f"\n{'':30}{'helm pin plan':>16}{'helm template':>16}{'ratio':>8}   MiB at the peak")
        for name, command in last.items():
            ours, theirs = peak(command, env), peak([helm, "template", "bench", command[3]], env)
            print(f"{name:30}{ours:16.0f}{theirs:16.0f}{ours / theirs:8.2f}")
    return 0


def measure(kind: str, helm: str, env: Mapping[str, str], folder: Path, runs: int) -> list[str | Path]:
    """Write charts of three sizes and print the costs of their plans; the plan of the largest."""
    write, sizes = CHARTS[kind]
    plans = [plan(write(folder / f"{kind}-{size}", size)) for size in sizes]
    compare(kind, sizes, plans, [[helm, "template", "bench", command[3]] for command in plans], env, runs)
    return plans[2]


def history(helm: str, env: Mapping[str, str], cluster: Cluster, folder: Path, runs: int) -> None:
    """Store releases of so many revisions, and print the costs of their histories."""
    for size in REVISIONS:
        fill(f"web-{size}", size, env, cluster, folder)
    theirs: list[list[str | Path]] = [
        [helm, "history", f"web-{size}", "--namespace", f"web-{size}"] for size in REVISIONS
    ]
    ours: list[list[str | Path]] = [[ROOT / "bin" / "helm-pin", *command[1:]] for command in theirs]
    compare("revisions", REVISIONS, ours, theirs, env, runs)


def fill(release: str, revisions: int, env: Mapping[str, str], cluster: Cluster, folder: Path) -> None:
    """Deploy twice, with ten images that all change, and store both in turn until there are so many revisions."""
    for build in "ab":
        chart = folder / f"{release}-{build}"
        images(chart, 10)
        if build == "b":
            lock = chart / "lock.yaml"
            lock.write_text(lock.read_text().replace("sha256:0", "sha256:b"))
        given = [chart, "--lock", chart / "lock.yaml", "--locked"]
        given += ["--namespace", release, "--create-namespace"]
        run([ROOT / "bin" / "helm-pin", "upgrade", "--install", release, *given], env)
    path = f"/api/v1/namespaces/{release}/secrets"
    stored = [cluster.api("GET", f"{path}/sh.helm.release.v1.{release}.v{number}") for number in (1, 2)]
    for number in range(1, revisions + 1):
        status = "deployed" if number == revisions else "superseded"
        secret = stored[1 - number % 2]
        # as pkg/storage/driver has it: base64 of gzip of JSON, and base64 again for the Secret
        content = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
        content |= {"version": number, "info": {**content["info"], "status": status}}
        packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(content).encode()))).decode()
        name = f"sh.helm.release.v1.{release}.v{number}"
        labels = {**secret["metadata"]["labels"], "version": str(number), "status": status}
        body = {"metadata": {"name": name, "labels": labels}, "type": secret["type"], "data": {"release": packed}}
        if number <= 2:
            cluster.api("PUT", f"{path}/{name}", body)
        else:
            cluster.api("POST", path, body)


def compare(
    name: str,
    sizes: Sequence[int],
    ours: Sequence[list[str | Path]],
    theirs: Sequence[list[str | Path]],
    env: Mapping[str, str],
    runs: int,
) -> None:
    """Run the commands in turn, once more than is counted, and print their costs and growth."""
    commands = [*ours, *theirs]
    costs = [[run(command, env).processor for command in commands] for _ in range(runs + 1)][1:]
    medians = [statistics.median(each) for each in zip(*costs, strict=True)]
    label = f"{' '.join(map(str, sizes))} {name}"
    print(f"{label:34}{_growth(medians[:3], sizes)}{_growth(medians[3:], sizes)}")


def _growth(costs: Sequence[float], sizes: Sequence[int]) -> str:
    """Two cells: the costs, and how they grow."""
    first, second, third = costs
    growth = (third - second) / (sizes[2] - sizes[1]) / ((second - first) / (sizes[1] - sizes[0]))
    return f"{' '.join(f'{cost:.0f}' for cost in costs):>24}{growth:8.2f}"


def plan(arguments: Sequence[str | Path], *more: str) -> list[str | Path]:
    """The command that plans a chart (which stands fourth in it)."""
    return [ROOT / "bin" / "helm-pin", "plan", "bench", *arguments, "--no-cluster", *more]


def new(
    folder: Path, template: str, values_of_chart: str, count: int, *, image: str = IMAGE, app: str = APP
) -> list[str | Path]:
    """Write a chart and the lock of its images app000, app001, …; the arguments for a plan of it. image: as the template writes
    each. app: the values for each."""
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: bench\nversion: 1.0.0\n")
    (folder / "templates" / "all.yaml").write_text(TEMPLATE.replace(IMAGE, image))
    (folder / "templates" / "more.yaml").write_text(template)
    apps = [f"app{i:03}: {app.replace('@', f'app{i:03}')}\n" for i in range(count)]
    (folder / "values.yaml").write_text("".join(apps) + values_of_chart)
    lines = [f"- image: example.com/team/app{i:03}:main@sha256:{i:064x}\n" for i in range(count)]
    (folder / "lock.yaml").write_text("version: 1\nimages:\n" + "".join(lines))
    return [folder, "--lock", folder / "lock.yaml", "--locked"]


def images(folder: Path, count: int) -> list[str | Path]:
    """A Deployment for each."""
    return new(folder, "", "", count)


def nameless(folder: Path, count: int) -> list[str | Path]:
    """The same, where the values of each have only its tag."""
    image = "example.com/team/{{ $name }}:{{ $app.image.tag }}"
    return new(folder, "", "", count, image=image, app="{image: {tag: main}}")


def sharing(folder: Path, count: int) -> list[str | Path]:
    """The same, with one tag for all, which no value can pin."""
    image = "{{ $app.image.repository }}:{{ $.Values.tag }}"
    return new(folder, "", "tag: main\n", count, image=image, app="{image: {repository: example.com/team/@}}")


def text(folder: Path, kib: int) -> list[str | Path]:
    """One image, and ConfigMaps of 64 KiB each."""
    line = "    - {key: some.setting, value: 12345, note: no image is named here at all}\n"
    one = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: data-%d}\ndata:\n  text: |\n" + line * (
        65536 // len(line)
    )
    return new(folder, "".join(one % i for i in range(kib // 64)), "", 1)


def values(folder: Path, count: int) -> list[str | Path]:
    """One image, and values that templates print, but no image has."""
    template = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: values}\ndata: {all: {{ toJson .Values.other | quote }}}\n"
    )
    return new(folder, template, "other:\n" + "".join(f"- {{key{i}: value {i}}}\n" for i in range(count)), 1)


CHARTS: dict[str, tuple[Callable[[Path, int], list[str | Path]], tuple[int, int, int]]] = {
    "images": (images, (100, 200, 400)),
    "images without names": (nameless, (100, 200, 400)),
    "images with one tag": (sharing, (100, 200, 400)),
    "KiB": (text, (1024, 2048, 4096)),
    "values": (values, (2000, 4000, 8000)),
}
"""What a plan's cost grows with: how a chart of a size is written, and the sizes."""
REVISIONS = (50, 100, 200)
KINDS = (*CHARTS, "revisions")


def peak(command: Sequence[str | Path], env: Mapping[str, str]) -> float:
    """MiB that a command and all that it starts hold at once, at the most."""
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    most, ended = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not ended.wait(TICK):
            most = max(most, held(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    errors = process.communicate()[1]
    ended.set()
    watcher.join()
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{errors.decode(errors='replace')}")
    return most / 2**20


def held(session: int) -> int:
    """Bytes that the processes of a session hold now (resident, as proc(5) has it in /proc/PID/stat and statm)."""
    total = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int((entry / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                    total += int((entry / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            except OSError:  # it has ended
                continue
    return total
