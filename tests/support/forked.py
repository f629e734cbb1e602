"""helm-pin as helm starts it, without the time that helm and Python's imports take: see fork_server.py.

A process of its own, with its own environment, folder and streams. That a helm starts the plugin, with what it hands on, and that
Python starts it, is shown by the tests that call `helm pin`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock

from tests.support.fork_server import HOME, MAIN, NUMBER, read


class ForkServer:
    """A process that has imported helm-pin. Ends with the process that started it. Mutable."""

    def __init__(self, python: Sequence[str]) -> None:
        self._channel, theirs = socket.socketpair()
        self._one_at_a_time = Lock()
        with theirs:
            command = [*python, "-X", "utf8", f"{HOME}/tests/support/fork_server.py"]
            counting = {"COVERAGE_PROCESS_START": f"{HOME}/tests/support/counted_forks.ini"}
            env = {**os.environ, **(counting if "COVERAGE_PROCESS_START" in os.environ else {})}
            self._process = subprocess.Popen(command, env=env, stdin=theirs)

    def run(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: Path | None, timeout: float, main: str = MAIN
    ) -> tuple[int, bytes, bytes]:
        """Exit status, standard output and standard error of a command line. main: what starts helm-pin. Raises TimeoutError."""
        asked = {"argv": argv, "env": dict(env), "cwd": os.fspath(cwd or Path.cwd()), "main": main}
        request = json.dumps(asked).encode()
        with (
            self._one_at_a_time,
            Path(os.devnull).open("rb") as nothing,
            TemporaryFile() as out,
            TemporaryFile() as err,
        ):
            streams = [nothing.fileno(), out.fileno(), err.fileno()]
            socket.send_fds(self._channel, [NUMBER.pack(len(request))], streams)
            self._channel.sendall(request)
            pid = self._number()
            self._channel.settimeout(timeout)
            try:
                status = self._number()
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                self._channel.settimeout(None)
                self._number()
                raise
            self._channel.settimeout(None)
            out.seek(0)
            err.seek(0)
            return status, out.read(), err.read()

    def _number(self) -> int:
        return int(NUMBER.unpack(read(self._channel, NUMBER.size))[0])


@cache
def fork_server(*, is_counted: bool) -> ForkServer:
    """This process's own: with the plugin's Python, or with that of the tests, which counts the branches that are taken."""
    return ForkServer([sys.executable] if is_counted else [f"{HOME}/.venv/bin/python", "-I", "-S"])
