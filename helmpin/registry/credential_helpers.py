"""Docker credential helpers: programs called `docker-credential-NAME` that store secrets
(github.com/docker/docker-credential-helpers).

`get` reads a server's address on standard input and prints `{"ServerURL", "Username", "Secret"}`. The username `<token>`
marks the secret as an identity token. An unknown server gets a fixed sentence and a non-zero exit status.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess  # not sh: it forks in Python, unsafe beside this package's threads, and its import takes 90 ms (this 16)
import threading
from contextlib import suppress

from helmpin import lifeline
from helmpin.process import ending, kill_group
from helmpin.registry.errors import Failure
from helmpin.registry.types import Credential

TIMEOUT = 10.0
"""Seconds that a helper may take."""
MAX_OUTPUT = 64 * 1024
UNKNOWN = "credentials not found"
_running: set[int] = set()
"""The process groups of helpers that are still running. Shared by all threads; stop() ends them."""


def get(name: str, server: str, timeout: float = TIMEOUT) -> Credential | None:
    """The credential that docker-credential-`name` stores for `server`, or None.

    Raises Failure (`unauthorized`) if the helper is missing, hangs, fails or prints something else.
    """
    program = f"docker-credential-{name}"
    path = shutil.which(program) if re.fullmatch(r"[\w.+-]+", name) else None
    if not path:
        raise _failed(program, "not found on PATH", f"install {program}, or remove it from the Docker configuration")
    status, out = _run(path, program, server, timeout)
    if status:
        words = out.decode(errors="replace").strip()
        if UNKNOWN in words or "no credentials" in words:
            return None
        raise _failed(program, f"it {ending(status)}")  # its output may contain anything, even a secret
    try:
        answer = json.loads(out)
        username, secret = answer["Username"], answer["Secret"]
        if not (isinstance(username, str) and isinstance(secret, str)):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _failed(program, "its output is not a credential in JSON") from None
    if not secret:
        return None
    if username == "<token>":
        found = Credential(identity_token=secret, source=program)
    else:
        found = Credential(username=username, password=secret, source=program)
    if not found.is_sendable:
        raise _failed(program, "its output has characters that no request can carry")
    return found


def stop() -> None:
    """End every helper that is still running: nobody is waiting for it any more."""
    for group in list(_running):
        kill_group(group)


def _run(path: str, program: str, server: str, timeout: float) -> tuple[int, bytes]:
    try:
        process = subprocess.Popen(
            [path, "get"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise _failed(program, f"cannot start it: {error.strerror}") from None
    assert process.stdin and process.stdout
    late = threading.Event()
    _running.add(process.pid)
    lifeline.hold(-process.pid)

    def give_up() -> None:
        late.set()
        kill_group(process.pid)  # its children too, which keep the pipe open

    timer = threading.Timer(timeout, give_up)
    timer.daemon = True
    timer.start()
    try:
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write(server.encode())
        out = process.stdout.read(MAX_OUTPUT + 1)
        if len(out) > MAX_OUTPUT:
            give_up()
            raise _failed(program, f"it printed more than {MAX_OUTPUT} bytes")
        status = process.wait()
    finally:
        timer.cancel()
        process.stdout.close()
        process.wait()
        lifeline.release(-process.pid)
        _running.discard(process.pid)
    if late.is_set():
        hint = f"run `echo {server} | {program} get` to see what it waits for"
        raise _failed(program, f"no response within {timeout:g} s", hint)
    return status, out


def _failed(program: str, why: str, hint: str = "") -> Failure:
    hint = hint or f"run `{program} list` to see the error, or remove the helper from the Docker configuration"
    return Failure("unauthorized", f"credential helper {program} failed: {why}", hint)
