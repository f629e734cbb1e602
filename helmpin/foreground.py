"""A program in helm-pin's place: it has helm-pin's own streams, gets its signals, and lives on when helm-pin is killed.

This is how the deploying helm runs. Go ends a program that writes to a pipe without a reader, so helm could die before it has
stored how the deployment ended. If our output is a pipe, its reader may end at any time (`| head -1`; Ctrl-C, which reaches all of
`helm … | tee log`). So a `cat` stands in between: it outlives us, and continues to read when its own reader is gone.

The program ignores SIGHUP, which kills a plain helm and leaves its release pending. The kernel sends it after a Ctrl-C, too, if the
helm that the user started leads the terminal's session (`ssh -t HOST helm …`) and is gone.
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess  # not sh: it lets a signal to us end the program, and gives it no other streams than ours or its own
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

from helmpin import lifeline
from helmpin.named_tuple import NamedTuple

_SHELL = "/bin/sh"
_RELAY = "trap '' HUP INT PIPE QUIT TERM; cat || { cat >/dev/null; exit 1; }"
_STARTER = "trap '' HUP; exec \"$@\""


class Ended(NamedTuple):
    """How the program ended."""

    status: int
    """Its exit status; negative when a signal ended it."""
    asked: int
    """The first signal that asked helm-pin to stop meanwhile, or 0."""
    unread: bool
    """Whether the reader of our standard output was gone."""


def run(
    command: Sequence[str], environ: Mapping[str, str], say: Callable[[str], None], left: Callable[[], str]
) -> Ended:
    """Run a program to its end. The first signal is passed on to it, and `say` reports that; a second one kills it, unless it is
    SIGHUP, which no user sends to insist.

    left: finds out the state that things are left in, once the program has started. Raises Stopped if helm-pin was stopped before
    that, OSError if the program cannot be started.
    """
    signals, relays = _Signals(say), _Relays()
    with signals:
        with relays:
            signals.processes += relays.processes
            signals.raise_if_stopped()
            process = subprocess.Popen(
                [_SHELL, "-c", _STARTER, command[0], *command],
                env=environ,
                stdout=relays.given.get(1),
                stderr=relays.given.get(2),
            )
            lifeline.if_stopped(left)
            signals.pass_on(process)
            status = process.wait()
        return Ended(status, signals.first, relays.unread)


class _Signals:
    """Within the block, helm-pin passes signals on and does not unwind. Mutable."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._handlers: dict[int, Any] = {}
        self._received_at = 0.0
        self.first = 0
        self.processes: list[subprocess.Popen[bytes]] = []
        """What a second signal kills."""

    def __enter__(self) -> None:
        for signum in lifeline.STOPPERS:
            if signal.getsignal(signum) is not signal.SIG_IGN:
                self._handlers[signum] = signal.signal(signum, self._received)

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._handlers.items():
            signal.signal(signum, handler)

    def raise_if_stopped(self) -> None:
        """Raises Stopped when a signal has come, or the parent is gone."""
        if self.first or lifeline.orphaned():
            signum = self.first or lifeline.PARENT_GONE
            lifeline.accept(signum)  # the signal itself may still be put off: it must not interrupt the clean-up
            raise lifeline.Stopped(signum)

    def pass_on(self, process: subprocess.Popen[bytes]) -> None:
        """Pass signals on to this process, also one that has come already."""
        self._process = process
        self.processes.append(process)
        if self.first:
            self._ask()

    def _received(self, signum: int, _frame: FrameType | None) -> None:
        if not lifeline.accept(signum):
            return
        if not self.first:
            self.first, self._received_at = signum, time.monotonic()
            if self._process:
                self._ask()
        elif signum != signal.SIGHUP:
            killer = threading.Timer(self._received_at + lifeline.GRACE - time.monotonic(), self._kill)
            killer.daemon = True
            killer.start()

    def _ask(self) -> None:
        # helm shuts down cleanly for SIGINT and SIGTERM alone (pkg/cmd/upgrade.go), and takes no notice of a second one
        self._process.send_signal(signal.SIGINT if self.first == signal.SIGINT else signal.SIGTERM)  # type: ignore[union-attr]
        self._say("Stopping: waiting for helm to finish what it has begun. Interrupt again to kill it.")

    def _kill(self) -> None:
        for process in self.processes:
            process.kill()


class _Relays:
    """Standard output and error for a program that must survive their readers. Mutable."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.given: dict[int, int] = {}
        """What to give the program for each stream that is not simply inherited."""
        self.unread = False

    def __enter__(self) -> None:
        known: dict[tuple[int, int], int] = {}  # one relay for `2>&1`, so that lines stay in order
        for stream in (1, 2):
            found = os.fstat(stream)
            if stat.S_ISFIFO(found.st_mode) or stat.S_ISSOCK(found.st_mode):
                pipe = found.st_dev, found.st_ino
                known[pipe] = self.given[stream] = known.get(pipe) or self._start(stream)

    def __exit__(self, *_: object) -> None:
        for pipe in set(self.given.values()):
            os.close(pipe)
        statuses = [relay.wait() for relay in self.processes]
        self.unread = 1 in self.given and statuses[0] == 1

    def _start(self, stream: int) -> int:
        there, here = os.pipe()
        try:
            self.processes.append(
                subprocess.Popen([_SHELL, "-c", _RELAY], stdin=there, stdout=stream, stderr=subprocess.DEVNULL)
            )
        except OSError:
            os.close(here)
            raise
        finally:
            os.close(there)
        return here
