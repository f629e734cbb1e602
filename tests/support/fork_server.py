"""Runs helm-pin in forks of a process that has imported it: that import takes most of what helm-pin computes for a small chart.

tests/support/forked.py starts it with the plugin's own Python and a socket as its standard input. A request is three open files
(the standard streams) and a JSON text of argv, env, cwd and main, the file to run. The answer is the process id, and later the exit
status.
"""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import runpy
import socket
import struct
import sys
import traceback
from importlib import import_module
from typing import Any

HOME = __file__.rpartition("/tests/")[0]
MAIN = f"{HOME}/helmpin/__main__.py"
NUMBER = struct.Struct("!q")


def serve(channel: socket.socket) -> None:
    """Answer one request after the other until the socket is closed."""
    while True:
        size, streams, _, _ = socket.recv_fds(channel, NUMBER.size, 3)
        if not size:
            return
        request = json.loads(read(channel, NUMBER.unpack(size)[0]))
        pid = os.fork()
        if not pid:
            channel.close()
            become_helm_pin(request, streams)
        for file in streams:
            os.close(file)
        channel.sendall(NUMBER.pack(pid))
        channel.sendall(NUMBER.pack(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))


def read(channel: socket.socket, size: int) -> bytes:
    """So many bytes. Raises EOFError."""
    text = b""
    while len(text) < size:
        if not (more := channel.recv(size - len(text))):
            raise EOFError
        text += more
    return text


def become_helm_pin(request: dict[str, Any], streams: list[int]) -> None:
    """Run helm-pin as bin/helm-pin starts it. Does not return."""
    try:
        for number, file in enumerate(streams):
            os.dup2(file, number)
            os.close(file)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        sys.argv = [MAIN, *request["argv"]]
        sys._xoptions |= {"parent": str(os.getppid()), "interruptible": "1"}
        runpy.run_path(request["main"], run_name="__main__")
    except BaseException:  # noqa: BLE001 - nothing may go on as the server
        traceback.print_exc()
    os._exit(70)


if __name__ == "__main__":
    sys.path[:0] = [HOME, f"{HOME}/.venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"]
    for module in pkgutil.walk_packages([f"{HOME}/helmpin"], "helmpin."):
        if module.name != "helmpin.__main__":
            import_module(module.name)
    gc.freeze()
    requests = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    serve(requests)
