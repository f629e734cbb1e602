"""The only module that runs helm."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from helmpin.errors import HelmFailed, UsageError

SECRET_FLAGS = frozenset({"--password", "--username", "--kube-token"})
"""Flags whose value never appears in --debug output."""
VALUE_FLAGS = frozenset({"--set", "--set-string", "--set-json", "--set-literal"})
"""Flags whose value may hold a secret after the first `=`."""


class Flag(NamedTuple):
    """One flag of a helm command, as its own help tells it."""

    name: str
    takes_value: bool
    """Whether the next argument is its value; a flag with an optional value (`--wait[=watcher]`) takes only `=`."""


class Finished(NamedTuple):
    """A helm that was watched: its exit status and what it wrote on standard error."""

    status: int
    stderr: str


class Running:
    """A helm that was started and not yet waited for; its output goes to files, so that many can run at once."""

    def __init__(self, helm: Helm, args: Sequence[str], stdin: bytes | None) -> None:
        import tempfile

        self._helm, self._args, self._started = helm, args, time.perf_counter()
        self._out: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed in output()
        self._err: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        with _started(args):
            self._process = subprocess.Popen(
                [helm.binary, *args],
                stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                stdout=self._out,
                stderr=self._err,
                env=helm.quiet_environment(),
            )
        helm.running.add(self)
        if stdin is not None and self._process.stdin:
            with suppress(BrokenPipeError):
                self._process.stdin.write(stdin)
            self._process.stdin.close()

    def output(self) -> str:
        """Wait, and return standard output. Raises HelmFailed with helm's own words."""
        try:
            status = self._process.wait()
        finally:
            self.stop()
        self._helm.log(self._args, time.perf_counter() - self._started)
        self._out.seek(0)
        self._err.seek(0)
        with self._out, self._err:
            out, err = self._out.read(), self._err.read()
        if status:
            raise helm_failed(self._args, status, err.decode(errors="replace"))
        return out.decode(errors="replace")

    def stop(self, grace: float = 2) -> None:
        """End it, if it has not ended; after `grace` seconds without asking."""
        self._helm.running.discard(self)
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(grace)
            except subprocess.TimeoutExpired:  # helm catches signals, and its rendering does not stop for them
                self._process.kill()
                self._process.wait()


class Helm:
    """One helm binary. `spent` collects (what ran, seconds) for the closing line of --debug."""

    def __init__(self, binary: str, *, debug: bool = False) -> None:
        self.binary = binary
        self.debug = debug
        self.spent: list[tuple[str, float]] = []
        self.running: set[Running] = set()
        self._help: dict[str, str] | None = None

    @classmethod
    def find(cls, environ: Mapping[str, str] = os.environ) -> Helm:
        """The helm that started the plugin (HELM_BIN), or the first on PATH. Raises UsageError when there is none."""
        binary = environ.get("HELM_BIN") or "helm"
        found = shutil.which(binary)
        if not found:
            raise UsageError(
                f"helm not found: {binary}",
                why="HELM_BIN names no program"
                if environ.get("HELM_BIN")
                else "HELM_BIN is not set, and there is no helm on PATH",
                todo="run it as `helm pin …`, or set HELM_BIN to the helm to use",
            )
        return cls(found, debug=environ.get("HELM_DEBUG", "").lower() in ("1", "true", "t"))

    def stop(self) -> None:
        """End what was started and is not needed any more."""
        for running in list(self.running):
            running.stop()

    def start(self, args: Sequence[str], stdin: bytes | None = None) -> Running:
        """Start helm and go on; `.output()` waits for it."""
        return Running(self, args, stdin)

    def run(self, args: Sequence[str], stdin: bytes | None = None) -> str:
        """Run helm and return its standard output. Raises HelmFailed with helm's own words."""
        return self.start(args, stdin).output()

    def watch(self, args: Sequence[str]) -> Finished:
        """Run helm while the user watches: both streams go where ours go as they come; standard error is kept too."""
        from subprocess_tee import run

        started = time.perf_counter()
        sys.stdout.flush()
        with _started(args):
            done = run([self.binary, *args], tee=True, env=self.environment())
        sys.stdout.flush()  # before what we say of it on standard error
        self.log(args, time.perf_counter() - started)
        return Finished(done.returncode, done.stderr or "")

    def quiet_environment(self) -> dict[str, str]:
        """The environment for a helm whose output we read: HELM_DEBUG would mix its talk into it."""
        return {**self.environment(), "HELM_DEBUG": "false"}

    def environment(self) -> dict[str, str]:
        """The environment for helm. A run is short and many follow each other: it may use memory rather than collect garbage
        (GOGC, pkg.go.dev/runtime)."""
        return {"GOGC": "400", **os.environ}

    @property
    def version(self) -> tuple[int, int, int]:
        """(major, minor, patch) of this helm; a helm built by `go install` tells no patch, which counts as 0."""
        match = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", self._told("version"))
        if not match:
            raise HelmFailed(f"cannot tell the version of {self.binary}", why=self._told("version"))
        return (int(match[1]), int(match[2]), int(match[3] or 0))

    def flags(self, command: str) -> dict[str, Flag]:
        """Every flag that `helm COMMAND` takes, by each of its spellings (`-f` and `--values`)."""
        return parse_flags(self._told(command))

    def _told(self, command: str) -> str:
        """What helm says of a command in its help (or its short version), kept on disk for as long as the binary is the same."""
        cache = self._cache_file()
        if self._help is None:
            self._help = {}
            with suppress(OSError, ValueError):
                self._help = json.loads(cache.read_text())
        if command not in self._help:
            self._help[command] = self.run(["version", "--short"] if command == "version" else [command, "--help"])
            with suppress(OSError):
                cache.parent.mkdir(parents=True, exist_ok=True)
                scratch = cache.with_suffix(f".{os.getpid()}")
                scratch.write_text(json.dumps(self._help))
                scratch.replace(cache)
        return self._help[command]

    def _cache_file(self) -> Path:
        stat = Path(self.binary).stat()
        home = os.environ.get("HELM_CACHE_HOME") or Path.home() / ".cache" / "helm"
        return Path(home) / "helm-pin" / f"helm-{stat.st_ino:x}-{stat.st_size:x}-{stat.st_mtime_ns:x}.json"

    def log(self, args: Sequence[str], seconds: float, program: str = "helm") -> None:
        """Note the time of one run, and with --debug print the command line without its secrets."""
        self.spent.append((f"{program} {args[0] if args else ''}", seconds))
        if self.debug:
            shown = " ".join(" ".join(hide_secrets(args)).split())
            print(f"[helm-pin] {seconds * 1000:6.0f} ms  {program} {shown}", file=sys.stderr)

    def tell_time(self) -> None:
        """The closing line of --debug: where the time went."""
        total: dict[str, float] = {}
        for what, seconds in self.spent:
            total[what] = total.get(what, 0) + seconds
        parts = ", ".join(
            f"{what} {seconds * 1000:.0f} ms" for what, seconds in sorted(total.items(), key=lambda item: -item[1])
        )
        print(f"[helm-pin] time: {parts}", file=sys.stderr)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Count the time of something that is not a helm run."""
        started = time.perf_counter()
        yield
        self.spent.append((what, time.perf_counter() - started))


@contextmanager
def _started(args: Sequence[str]) -> Iterator[None]:
    """Raises HelmFailed for a program that the system does not start."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.E2BIG, errno.ENOENT, errno.EACCES, errno.EAGAIN, errno.ENOMEM):
            raise
        too_long = error.errno == errno.E2BIG
        raise HelmFailed(
            f"helm {args[0]} could not be started",
            why=f"its arguments have {sum(map(len, args))} characters" if too_long else str(error),
            todo="put what `helm pin plan -o values` prints into a values file" if too_long else "",
        ) from None


def parse_flags(help_text: str) -> dict[str, Flag]:
    """The flags in a cobra command's help: `-f, --values strings   what it does`.

    A flag without a type word is a switch; `string[="client"]` is one whose value can only follow a `=`
    (pflag, flag.go, FlagUsages and NoOptDefVal).
    """
    found: dict[str, Flag] = {}
    for line in help_text.splitlines():
        match = re.match(r"\s+(?:(-\w), )?(--[\w-]+)(?: (\S+))?(?:\s{2,}|$)", line)
        if match:
            short, name, kind = match.groups()
            flag = Flag(name, bool(kind) and "[=" not in kind)
            found[name] = flag
            if short:
                found[short] = flag
    return found


def hide_secrets(args: Sequence[str]) -> list[str]:
    """The arguments as they may be printed: passwords, tokens and the values of --set are masked, digests are not."""
    out: list[str] = []
    hide: str | None = None
    for arg in args:
        name, equals, value = arg.partition("=")
        if hide:
            out.append(_masked(hide, arg))
            hide = None
        elif name in SECRET_FLAGS | VALUE_FLAGS and equals:
            out.append(f"{name}={_masked(name, value)}")
        else:
            hide = arg if arg in SECRET_FLAGS | VALUE_FLAGS else None
            out.append(re.sub(r"(\w+://)[^/@\s]+@", r"\1***@", arg))
    return out


def _masked(flag: str, value: str) -> str:
    key, equals, rest = value.partition("=")
    if flag in VALUE_FLAGS and equals:
        return value if re.search(r"sha256:[0-9a-f]{64}$|^[0-9a-f]{64}$", rest) else f"{key}=***"
    return "***"


def helm_failed(args: Sequence[str], status: int, stderr: str) -> HelmFailed:
    """The error for a helm that ended with `status`, in helm's own words without its `Error: `."""
    words = [
        line
        for line in stderr.splitlines()
        if line.strip() and not line.startswith(("WARNING:", "coalesce.go", "walk.go"))
    ]
    why = re.sub(r"^Error: ", "", "\n".join(words[-40:]), flags=re.MULTILINE)
    return HelmFailed(
        f"helm {args[0] if args else ''} failed", why=why or f"helm ended with status {status} and said nothing"
    )
