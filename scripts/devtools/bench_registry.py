"""How long many images take to resolve: helm-pin, crane one by one and 16 at once; kbld and skopeo where PATH has them.

Everything is a whole process, from its start to its end, against one real registry (CNCF distribution) on loopback,
directly and behind a line that delays every answer. The tools take turns, so that whatever else the machine does meets
them alike, and the digests of all must be right. --plan: the whole of `helm pin plan` beside `helm template` and crane.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from . import registry
from .binaries import binary, tools
from .images import INDEX, MANIFEST
from .processes import Servers, opener

ROOT = Path(__file__).parents[2]
TOO_LONG = 15.0
"""Seconds of one run after which a tool is not run again for the same case."""
OURS = """
import sys
from helmpin.image.reference import Reference
from helmpin.registry import RegistrySettings, resolve
for reference, answer in resolve(map(Reference.parse, sys.stdin.read().split()), RegistrySettings()).items():
    print(reference, answer.digest)
"""
TEMPLATE = """\
{{- range $name, $app := .Values }}
{{- if kindIs "map" $app }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
spec:
  selector:
    matchLabels: {app: {{ $name }}}
  template:
    metadata:
      labels: {app: {{ $name }}}
    spec:
      containers:
        - name: app
          image: "{{ $app.image.repository }}:{{ $app.image.tag }}"
{{- end }}
{{- end }}
"""
Digests = dict[str, str]


class Case(NamedTuple):
    """What is resolved."""

    latency: int
    """Milliseconds."""
    images: Sequence[str]


Tool = Callable[[Case], Digests]


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; see --help."""
    parser = argparse.ArgumentParser(prog="scripts/bench registry", description=__doc__)
    parser.add_argument(
        "--images", type=int, nargs="+", default=[1, 10, 50, 500], help="how many (default: 1 10 50 500)"
    )
    parser.add_argument("--latency", type=int, nargs="+", default=[0, 50], help="milliseconds (default: 0 50)")
    parser.add_argument("--runs", type=int, default=5, help="of each tool in each case (default 5)")
    parser.add_argument(
        "--index", action="store_true", help="tags of indexes, as of most public images, not of manifests"
    )
    parser.add_argument("--plan", action="store_true", help="the whole of helm pin plan")
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="helm-pin-bench-") as folder:
        servers = Servers(Path(folder))
        try:
            host = registry.start(servers, data=Path(folder) / "data")
            names = [f"bench/app{i}" for i in range(max(given.images))]
            expected = {name: fill(host, name, as_index=given.index) for name in names}
            using = plan_tools(Path(folder)) if given.plan else resolving_tools()
            rows = []
            for latency in given.latency:
                with slow(host, latency) as address:
                    for count in given.images:
                        case = Case(latency, [f"{address}/{name}:v1" for name in names[:count]])
                        wanted = {f"{address}/{name}:v1": expected[name] for name in names[:count]}
                        rows += measure(case, wanted, using, given.runs)
        finally:
            servers.stop()
    print(json.dumps(rows, indent=1) if given.output == "json" else table(rows))
    return 0


def measure(case: Case, wanted: Digests, using: Mapping[str, Tool], runs: int) -> list[dict[str, object]]:
    """A row for each tool: median and extremes of its runs, in seconds. Raises SystemExit when one resolves wrongly."""
    seconds: dict[str, list[float]] = {name: [] for name in using}
    for run in range(runs):
        for name, tool in using.items():
            if run and min(seconds[name]) > TOO_LONG:
                continue
            if sys.stderr.isatty():
                where = f"{len(case.images)} images at {case.latency} ms, run {run + 1}"
                print(f"{where}: {name:30}", end="\r", file=sys.stderr)
            begun = time.perf_counter()
            found = tool(case)
            seconds[name].append(time.perf_counter() - begun)
            if found != wanted:
                raise SystemExit(f"{name} is wrong: {dict(list(found.items() ^ wanted.items())[:3])}")
    fields = ("latency", "images", "tool", "median", "fastest", "slowest", "runs")
    numbers = {name: (statistics.median(took), min(took), max(took), len(took)) for name, took in seconds.items()}
    return [dict(zip(fields, (case.latency, len(case.images), name, *numbers[name]), strict=True)) for name in using]


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """The rows for people."""
    lines = [f"{'latency':>8} {'images':>7}  {'tool':30} {'median':>9} {'fastest':>9} {'slowest':>9} {'runs':>5}"]
    for row in rows:
        times = " ".join(f"{row[name]:7.3f} s" for name in ("median", "fastest", "slowest"))
        lines.append(f"{row['latency']:>5} ms {row['images']:>7}  {row['tool']:30} {times} {row['runs']:>5}")
    return "\n".join(lines)


# ---- The tools ------------------------------------------------------------------------------------------------------


def resolving_tools() -> dict[str, Tool]:
    """Those that turn references into digests."""
    crane = [str(binary("crane")), "digest"]
    found: dict[str, Tool] = {
        "helm-pin": helm_pin,
        "crane, 16 at once": at_once(16, crane),
        "crane, one by one": at_once(1, crane),
    }
    if kbld := shutil.which("kbld"):
        found["kbld"] = lambda case: by_kbld(kbld, case)
    if skopeo := shutil.which("skopeo"):
        command = [skopeo, "inspect", "--tls-verify=false", "--no-tags", "--format", "{{.Digest}}"]
        found["skopeo, 16 at once"] = at_once(16, command, "docker://")
    return found


def helm_pin(case: Case) -> Digests:
    """The registry room alone, from the interpreter's start."""
    lines = run([sys.executable, "-c", OURS], "\n".join(case.images), PYTHONPATH=str(ROOT)).splitlines()
    return dict(line.split(" ", 1) for line in lines)


def at_once(width: int, command: Sequence[str], prefix: str = "") -> Tool:
    """A tool that takes one image, started for each by xargs, so many at a time."""
    script = 'echo "$0 $("$@")"'  # sh -c SCRIPT IMAGE COMMAND… PREFIX+IMAGE

    def tool(case: Case) -> Digests:
        each = ["xargs", "-P", str(width), "-I{}", "sh", "-c", script, "{}", *command, f"{prefix}{{}}"]
        return dict(line.split(" ", 1) for line in run(each, "\n".join(case.images)).splitlines())

    return tool


def by_kbld(kbld: str, case: Case) -> Digests:
    """kbld, which replaces every image in YAML; its other lines are annotations."""
    resolved = run([kbld, "-f", "-"], json.dumps({"items": [{"image": image} for image in case.images]}))
    return {f"{name}:v1": digest for name, digest in re.findall(r"([\w.:/-]+)@(sha256:[0-9a-f]{64})", resolved)}


def plan_tools(folder: Path) -> dict[str, Tool]:
    """helm pin plan, and what a person without it would do."""
    helm = str(binary("helm4"))
    homes = {f"HELM_{kind}_HOME": str(folder / kind.lower()) for kind in ("DATA", "CONFIG", "CACHE")}
    path = f"{tools()}{os.pathsep}{os.environ['PATH']}"
    run([helm, "plugin", "install", str(ROOT)], PATH=path, **homes)
    crane = at_once(16, [str(binary("crane")), "digest"])

    def plan(case: Case) -> Digests:
        text = run([helm, "pin", "plan", "bench", chart(folder, case), "-o", "json"], PATH=path, **homes)
        return {item["reference"]: item["digest"] for item in json.loads(text)["images"]}

    def template(case: Case) -> Digests:
        text = run([helm, "template", "bench", chart(folder, case)], **homes)
        images = [line.split('"')[1] for line in text.splitlines() if "image: " in line]
        return crane(Case(case.latency, images))

    return {"helm pin plan": plan, "helm template, crane 16 at once": template}


def chart(folder: Path, case: Case) -> str:
    """A chart with a Deployment for each image; its folder."""
    address = case.images[0].split("/")[0]
    place = folder / f"chart-{len(case.images)}-{address.replace(':', '-')}"
    if not place.exists():
        (place / "templates").mkdir(parents=True)
        (place / "Chart.yaml").write_text("apiVersion: v2\nname: bench\nversion: 1.0.0\n")
        apps = {
            f"app{i}": {"image": {"repository": image.rpartition(":")[0], "tag": "v1"}}
            for i, image in enumerate(case.images)
        }
        (place / "values.yaml").write_text(json.dumps(apps))  # JSON is YAML
        (place / "templates" / "apps.yaml").write_text(TEMPLATE)
    return str(place)


def run(command: Sequence[str], stdin: str = "", **env: str) -> str:
    """A command's standard output. Raises SystemExit with its words when it fails."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, env={**os.environ, **env}, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:6])} failed:\n{done.stderr[-2000:]}")
    return done.stdout


# ---- What they are run against --------------------------------------------------------------------------------------


def fill(host: str, repository: str, *, as_index: bool = False) -> str:
    """Push an image without layers, or an index with that image; the digest of the tag."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "author": repository}).encode()
    place = send("POST", f"http://{host}/v2/{repository}/blobs/uploads/", b"")["Location"]
    send("PUT", f"{place}&digest={sha256(config)}", config)
    described = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(config), "size": len(config)}
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": []}
    body = json.dumps(document).encode()
    if not as_index:
        return put(host, repository, "v1", body, MANIFEST)
    child = {"mediaType": MANIFEST, "digest": put(host, repository, sha256(body), body, MANIFEST), "size": len(body)}
    child["platform"] = {"os": "linux", "architecture": "amd64"}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [child]}
    return put(host, repository, "v1", json.dumps(index).encode(), INDEX)


def put(host: str, repository: str, reference: str, body: bytes, kind: str) -> str:
    """Push a manifest; its digest."""
    send("PUT", f"http://{host}/v2/{repository}/manifests/{reference}", body, kind)
    return sha256(body)


def send(method: str, url: str, body: bytes, kind: str = "application/octet-stream") -> Mapping[str, str]:
    """One request to the registry; the headers of its answer."""
    with opener().open(urllib.request.Request(url, body, {"Content-Type": kind}, method=method)) as answer:
        return dict(answer.headers)


def sha256(content: bytes) -> str:
    """The digest of bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@contextmanager
def slow(host: str, milliseconds: int) -> Iterator[str]:
    """The address of a registry that is so far away."""
    if not milliseconds:
        yield host
        return
    command = [sys.executable, "-m", "devtools.slow", host.rpartition(":")[2], str(milliseconds)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    ) as line:
        try:
            assert line.stdout
            yield f"127.0.0.1:{line.stdout.readline().strip()}"
        finally:
            line.terminate()
