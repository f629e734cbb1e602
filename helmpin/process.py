"""A program whose output is read: through pipes, as it comes, so that many can run at once and a full disk cannot truncate it."""

from __future__ import annotations

import os
import re
import signal
import subprocess  # not sh: its import takes 0.1 s of every command, and it drops what is over 3 MB of output
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from helmpin import lifeline

_TRACE = re.compile(r"goroutine \d+ ")


class Child(Protocol):
    """What is needed of subprocess.Popen."""

    pid: int

    def communicate(self, stdin: bytes | None = None, /) -> tuple[bytes, bytes]:
        """Write standard input, and read both outputs to their ends."""

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""

    def wait(self) -> int | None:
        """Wait for its end; the exit status."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it."""


class Process:
    """A program that runs until it ends, somebody stops it, or helm-pin is gone. Mutable."""

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        stdin: bytes | None = None,
        *,
        started: Child | None = None,
    ) -> None:
        """started: the program itself, where it runs already. Raises OSError when it cannot be started."""
        self.began, self.seconds = time.perf_counter(), 0.0
        self._child = started or subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environ,
        )
        self.pid = self._child.pid
        lifeline.hold(self.pid)
        self._held = True
        self._printed = b"", b""
        self._failed: BaseException | None = None
        # no join(): when a signal interrupts it, Python considers the thread finished (github.com/python/cpython/issues/90882)
        self._read = threading.Event()
        threading.Thread(target=self._communicate, args=(stdin,), daemon=True).start()

    def _communicate(self, stdin: bytes | None) -> None:
        try:
            self._printed = self._child.communicate(stdin)
        except BaseException as error:  # noqa: BLE001  raised in ended(): a part of the output must not pass for all of it
            self._failed = error
        finally:
            self.seconds = time.perf_counter() - self.began
            self._read.set()

    def ended(self) -> tuple[int, bytes, bytes]:
        """Wait; return the exit status, standard output and standard error."""
        self._read.wait()
        if self._failed:
            raise self._failed
        status = self._child.wait() or 0
        self._release()
        if -status in lifeline.STOPPERS:
            time.sleep(0.05)  # a Ctrl-C ends it too, maybe before helm-pin: a moment in which to be stopped
        return status, *self._printed

    def stop(self, grace: float = 0) -> None:
        """Kill it if it still runs. With `grace` seconds, ask it to end first."""
        if self._child.poll() is None:
            if grace:
                self._child.terminate()
                self._read.wait(grace)
            if self._child.poll() is None:
                self._child.kill()
                self._child.wait()
        self._release()

    def _release(self) -> None:
        if self._held:
            self._held = False
            lifeline.release(self.pid)


def kill_group(group: int) -> None:
    """Kill a program that leads a process group, with all that it has started there, if they still run."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def ending(status: int) -> str:
    """How a program ended, for people. status: its exit status; negative if a signal ended it."""
    if status >= 0:
        return f"exited with status {status}"
    number = -status
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    often = " (out of memory, or over a limit of the container or the system)" if number == signal.SIGKILL else ""
    return f"was killed by {name}{often}"


def without_trace(lines: list[str]) -> list[str]:
    """What a program printed on standard error, without the stack traces of a crashing Go program (runtime/panic.go)."""
    crash = next((n for n, line in enumerate(lines) if line.startswith(("panic: ", "fatal error: "))), len(lines))
    return lines[: crash + 1] if any(map(_TRACE.match, lines[crash:])) else lines
