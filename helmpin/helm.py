"""The only module that runs helm, but for `helm env` (console.py, next_command.py)."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess  # not sh: see show()
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from helmpin import env, prefetch, timeline
from helmpin.cache import folder, read, write
from helmpin.errors import HelmFailed, UsageError
from helmpin.named_tuple import NamedTuple
from helmpin.next_command import helm_command
from helmpin.process import Process

if TYPE_CHECKING:
    from helmpin.foreground import Ended

SECRET_FLAGS = frozenset({"--password", "--username", "--kube-token", "--post-renderer-args"})
"""Flags whose value is never printed."""
MASKED_FLAGS = frozenset({"--set", "--set-string", "--set-json", "--set-literal"})
"""Flags whose value may hold a secret after the first `=`."""
_ELF, _MACH_O = b"\x7fELF", (b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
"""How programs begin on Linux (ELF specification) and macOS (mach-o/loader.h, and fat.h for one of several architectures)."""


class Flag(NamedTuple):
    """One flag of a helm command, as its help describes it."""

    name: str
    takes_value: bool
    """Whether the next argument is its value; a flag with an optional value (`--wait[=watcher]`) takes only `=`."""


class HelmProcess:
    """A helm. The constructor starts it; `output()` waits for it. Mutable."""

    def __init__(self, helm: Helm, args: Sequence[str]) -> None:
        self._helm, self._args = helm, args
        with _started(args):
            command = [helm.binary, *args]
            environ = helm.quiet_environment()
            self._process = Process(command, environ, started=prefetch.claim(command, environ))
        helm.running.add(self)

    def output(self) -> str:
        """Wait, and return standard output. Bytes that are not UTF-8 are kept as surrogates, which printing turns back into bytes.

        Raises HelmFailed with helm's message.
        """
        try:
            status, out, err = self._process.ended()
        finally:
            self.stop()
        self._helm.log(self._args, self._process.began, self._process.seconds)
        if status:
            from helmpin.helm_failure import helm_failed

            raise helm_failed(self._args, status, err.decode(errors="replace"))
        return out.decode(errors="surrogateescape")

    def stop(self, grace: float = 2) -> None:
        """End it if it still runs. It gets `grace` seconds to end by itself."""
        self._helm.running.discard(self)
        self._process.stop(grace)  # helm catches signals, and its rendering does not stop for them


class Helm:
    """One helm binary. Mutable: it knows the processes that run, and what its help said."""

    def __init__(self, binary: str, *, debug: bool = False) -> None:
        self.binary = binary
        self.debug = debug
        self.running: set[HelmProcess] = set()
        self._help: dict[str, str] | None = None
        self.unread = False
        """Whether nobody read the output of a deploying helm to its end."""

    @classmethod
    def find(cls, environ: Mapping[str, str] = env.ENVIRON) -> Helm:
        """The helm that started the plugin (HELM_BIN), or the first on PATH. Raises UsageError when there is none."""
        binary = environ.get("HELM_BIN") or "helm"
        found = shutil.which(binary)
        if not found:
            raise UsageError(
                f"helm not found: {binary}",
                why="HELM_BIN is not an executable"
                if environ.get("HELM_BIN")
                else "HELM_BIN is not set, and there is no helm on PATH",
                hint="run it as `helm pin …`, or set HELM_BIN to the helm to use",
            )
        return cls(found, debug=env.debugging(environ))

    def stop(self) -> None:
        """End what is still running and no longer needed."""
        for running in list(self.running):
            running.stop()

    def start(self, args: Sequence[str]) -> HelmProcess:
        """Start helm without waiting; `.output()` waits for it."""
        return HelmProcess(self, args)

    def run(self, args: Sequence[str]) -> str:
        """Run helm and return its standard output. Raises HelmFailed with helm's message."""
        return self.start(args).output()

    def watch(self, args: Sequence[str]) -> None:
        """Run a helm that only fetches something, and show its output on standard error as it comes. Raises HelmFailed."""
        import logging

        from subprocess_tee import run

        # subprocess_tee drops lines that are not UTF-8, and asyncio would print a traceback for each
        logging.getLogger("asyncio").disabled = True
        started = time.perf_counter()
        shown = _Shown()
        with _started(args):
            done = run(
                [self.binary, *args],
                env=self.quiet_environment(),
                stdin=subprocess.DEVNULL,
                stdout=shown,
                stderr=shown,
            )
        self.log(args, started, time.perf_counter() - started)
        if done.returncode and done.stderr:
            from helmpin.helm_failure import helm_failed

            raise helm_failed(args, done.returncode, done.stderr)
        if done.returncode:  # the reason was in such a line: run() reads it
            self.run(args)

    def deploy(self, args: Sequence[str]) -> Ended:
        """Run a helm that changes the release args[1]. It has our streams, gets our signals, and outlives us if we are killed: see
        foreground.py.

        Raises HelmFailed if it cannot be started, Stopped if helm-pin was stopped before.
        """
        from helmpin import foreground, output

        started = time.perf_counter()
        sys.stdout.flush()
        with _started(args):
            ended = foreground.run(
                [self.binary, *args],
                self.environment(),
                output.say,
                lambda: f"{helm_command(f'history {args[1]}')} shows what state the release is in",
            )
        self.log(args, started, time.perf_counter() - started)
        self.unread = self.unread or ended.unread
        return ended

    def show(self, args: Sequence[str]) -> int:
        """Run a helm that changes nothing, with our streams, and return its exit status. It ends with us. Raises HelmFailed if it
        cannot be started."""
        from helmpin import lifeline

        started = time.perf_counter()
        sys.stdout.flush()
        with _started(args):
            # not sh: run in the foreground, it returns no process that could be ended
            process = subprocess.Popen([self.binary, *args], env=self.environment())
        lifeline.hold(process.pid)
        try:
            status = process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
            lifeline.release(process.pid)
            self.log(args, started, time.perf_counter() - started)
        return status if status >= 0 else 128 - status

    def quiet_environment(self) -> dict[str, str]:
        """The environment for a helm whose output we read: HELM_DEBUG would mix log lines into it."""
        return {**self.environment(), "HELM_DEBUG": "false"}

    def environment(self) -> dict[str, str]:
        """The environment for helm. Each run is short, so it should use more memory instead of collecting garbage (GOGC,
        pkg.go.dev/runtime)."""
        return {**prefetch.GOGC, **env.ENVIRON}

    @property
    def version(self) -> tuple[int, int, int]:
        """(major, minor, patch) of this helm; a helm built by `go install` has no patch version, which counts as 0."""
        match = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", self._cached_help("version"))
        if not match:
            raise HelmFailed(
                f"cannot read the version of {self.binary}",
                why=self._cached_help("version"),
                hint="HELM_BIN may be a wrapper: have it print its own messages to standard error",
            )
        return (int(match[1]), int(match[2]), int(match[3] or 0))

    def flags(self, command: str) -> dict[str, Flag]:
        """Every flag that `helm COMMAND` takes, by each of its spellings (`-f` and `--values`). command: may be a plugin's, in two
        words (`diff upgrade`)."""
        return parse_flags(self._cached_help(command))

    def hidden_flag(self, commands: Sequence[str], name: str) -> dict[str, Flag]:
        """A flag that one of these commands takes although its help does not list it, as helm hides deprecated ones; empty if none
        takes it."""
        for command in commands:
            try:
                self.run([*command.split(), name, "--help"])  # a switch: helm prints its help
            except HelmFailed as error:
                if "unknown flag" not in error.why:  # it took --help for its value
                    return {name: Flag(name, True)}
            else:
                return {name: Flag(name, False)}
        return {}

    def _cached_help(self, command: str) -> str:
        """The help of a helm command (or the short version), cached on disk for as long as the binary is the same."""
        with _started([command]):  # the binary may be gone
            cache = self._cache_file()
        if self._help is None:
            self._help = _read_help(cache) if cache else {}
        if " " in command:  # a plugin's, which can change at any time
            return self.run([*command.split(), "--help"])
        if command not in self._help:
            self._help[command] = self.run(["version", "--short"] if command == "version" else [command, "--help"])
            if cache:
                write(cache, json.dumps(self._help))
        return self._help[command]

    def _cache_file(self) -> Path | None:
        """Where the help is cached; None if this is not helm itself: a script may start another helm tomorrow, and so may a program
        such as snap that helm is a link to. Raises OSError."""
        binary = Path(os.path.realpath(self.binary))
        try:
            with binary.open("rb") as file:
                is_program = file.read(len(_ELF)) in (_ELF, *_MACH_O)
        except PermissionError:  # it may be run all the same
            return None
        if not (is_program and binary.name.startswith("helm")):
            return None
        stat = binary.stat()
        return folder() / f"helm-{stat.st_ino:x}-{stat.st_size:x}-{stat.st_mtime_ns:x}.json"

    def log(self, args: Sequence[str], began: float, seconds: float, program: str = "helm") -> None:
        """Note the time of one run; --debug prints its command line without its secrets. began: its time.perf_counter()."""
        shown = " ".join(" ".join(hide_secrets(args)).split()) if self.debug else ""
        timeline.note(f"{program} {args[0] if args else ''}", began, seconds, f"{program} {shown}")


class _Shown:
    """A file for subprocess_tee that prints what a program prints on standard error."""

    def write(self, text: str) -> None:
        """Print some text."""
        from helmpin.output import printable

        sys.stderr.write(printable(text))


@contextmanager
def _started(args: Sequence[str]) -> Iterator[None]:
    """Raises HelmFailed for a program that the system cannot start."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.E2BIG, errno.ENOENT, errno.EACCES, errno.EAGAIN, errno.ENOMEM):
            raise
        what = f"helm {args[0]} could not be started"
        if error.errno == errno.E2BIG:
            why = f"the command line is too long: {sum(map(len, args))} characters"
            hint = "put what `helm pin plan -o values` prints into a values file"
            raise HelmFailed(what, why=why, hint=hint) from None
        program = os.fsdecode(error.filename or "")  # not always helm: a shell starts it and relays its output
        sought = error.errno == errno.ENOENT and program and "/" not in program
        hint = f"set PATH so that {program} is found" if sought else ""
        why = error.strerror or str(error)
        raise HelmFailed(what, why=f"{program}: {why}" if program else why, hint=hint) from None


def _read_help(cache: Path) -> dict[str, str]:
    """The cached help by command; empty if the file is missing or was not written by _cached_help()."""
    try:
        found = json.loads(read(cache) or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and all(isinstance(text, str) and text for text in found.values()) else {}


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
    from helmpin.output import mask_urls

    out: list[str] = []
    hide: str | None = None
    for arg in args:
        name, equals, value = arg.partition("=")
        if hide:
            out.append(_masked(hide, arg))
            hide = None
        elif name in SECRET_FLAGS | MASKED_FLAGS and equals:
            out.append(f"{name}={_masked(name, value)}")
        else:
            hide = arg if arg in SECRET_FLAGS | MASKED_FLAGS else None
            out.append(mask_urls(arg))
    return out


def _masked(flag: str, value: str) -> str:
    key, equals, rest = value.partition("=")
    if flag in MASKED_FLAGS and equals and re.fullmatch(r"[\w./\[\]\\-]+", key):  # not the start of a JSON object
        shown = re.fullmatch(r"([\w./:+-]+@)?sha256:[0-9a-f]{64}", rest)
        shown = shown or (re.fullmatch(r"[0-9a-f]{64}", rest) and re.search(r"(?i)(digest|sha_?256|sha)$", key))
        return value if shown else f"{key}=***"
    return "***"
