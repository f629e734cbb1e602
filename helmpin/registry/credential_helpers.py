"""Docker credential helpers: programs `docker-credential-NAME` that hold the secrets
(github.com/docker/docker-credential-helpers).

`get` reads a server's address on standard input and prints `{"ServerURL", "Username", "Secret"}`; the user name
`<token>` says that the secret is an identity token. What it does not know it answers with a fixed sentence and a
failing exit status.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import threading
from contextlib import suppress

from helmpin.registry.errors import Failure
from helmpin.registry.types import Credential

TIMEOUT = 10.0
"""Seconds that a helper may take."""
MAX_OUTPUT = 64 * 1024
UNKNOWN = "credentials not found"
_running: set[int] = set()
"""The process groups of those that have not answered yet."""


def get(name: str, server: str, timeout: float = TIMEOUT) -> Credential | None:
    """What docker-credential-`name` holds for `server`; None when it knows none.

    Raises Failure (`unauthorized`) when the helper is missing, hangs, fails or prints something else.
    """
    program = f"docker-credential-{name}"
    path = shutil.which(program) if re.fullmatch(r"[\w.+-]+", name) else None
    if not path:
        raise _failed(
            program,
            "there is no such program on PATH",
            f"install {program}, or take it out of the docker configuration",
        )
    status, out = _run(path, program, server, timeout)
    if status:
        words = out.decode(errors="replace").strip()
        if UNKNOWN in words or "no credentials" in words:
            return None
        raise _failed(program, f"it ended with status {status}")  # what it printed may be anything, a secret too
    try:
        answer = json.loads(out)
        username, secret = answer["Username"], answer["Secret"]
        if not (isinstance(username, str) and isinstance(secret, str)):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _failed(program, "what it printed is not the JSON of a credential") from None
    if not secret:
        return None
    if username == "<token>":
        return Credential(identity_token=secret, source=program)
    return Credential(username, secret, source=program)


def stop() -> None:
    """End every helper that has not answered: who wanted to know has stopped waiting, or helm-pin ends."""
    for group in list(_running):
        _end(group)


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
        raise _failed(program, f"it cannot be started: {error.strerror}") from None
    assert process.stdin and process.stdout
    late = threading.Event()
    _running.add(process.pid)

    def give_up() -> None:
        late.set()
        _end(process.pid)

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
        _running.discard(process.pid)
    if late.is_set():
        raise _failed(
            program,
            f"it did not answer within {timeout:g} s",
            f"run `echo {server} | {program} get` to see what it waits for",
        )
    return status, out


def _end(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)  # with its children, which hold the pipe


def _failed(program: str, why: str, todo: str = "") -> Failure:
    todo = todo or f"run `{program} list` to see what is wrong, or take it out of the docker configuration"
    return Failure("unauthorized", f"the credential helper {program} failed: {why}", todo)
