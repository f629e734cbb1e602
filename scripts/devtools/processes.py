"""Servers that outlive the script that started them: started, remembered in a file, looked up and ended again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from ssl import SSLContext

from .binaries import Unavailable


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing listens on now, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def birth(pid: int) -> str | None:
    """When a living process started, as a text that no later process of that id shares; None when it has ended."""
    with suppress(OSError):  # Linux: state and start time are fields 3 and 22, and the name before them may hold blanks
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    if Path("/proc/self").exists():
        return None
    ps = ["ps", "-o", "state=,lstart=", "-p", str(pid)]
    state, _, started = subprocess.run(ps, capture_output=True, text=True, check=False).stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


class Servers:
    """The servers of one folder: their logs, and a file that says which process each is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "processes.json"
        self._known: dict[str, tuple[int, str]] = {}
        with suppress(OSError):
            self._known = {name: (pid, born) for name, (pid, born) in json.loads(self._file.read_text()).items()}

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def pid(self, name: str) -> int | None:
        """The process id of a server that runs, or None."""
        pid, born = self._known.get(name, (0, ""))
        return pid if pid and birth(pid) == born else None

    def log(self, name: str) -> Path:
        """Where a server's output goes."""
        return self.folder / f"{name}.log"

    def start(self, name: str, command: Sequence[object], env: Mapping[str, str] | None = None) -> None:
        """Start a server in the background, on its own: no Ctrl-C reaches it."""
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                [str(part) for part in command],
                env={**os.environ, **(env or {})},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process.returncode = 0  # it is not ours to wait for: without this, Python warns that it still runs
        self._known[name] = (process.pid, birth(process.pid) or "")
        self._file.write_text(json.dumps(self._known))

    def await_ready(self, name: str, ready: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until a server is ready. Raises Unavailable, with the end of its log, when it ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.pid(name) is None or time.monotonic() > deadline:
                how = "ended" if self.pid(name) is None else f"is not ready after {seconds:.0f} s"
                tail = "\n".join(self.log(name).read_text(errors="replace").splitlines()[-15:])
                raise Unavailable(f"{name} {how}; the end of {self.log(name)}:\n{tail}")
            time.sleep(0.1)

    def stop(self, *names: str, by: signal.Signals = signal.SIGTERM) -> list[str]:
        """End these servers, or all, the last started first; the names of those that ran."""
        ended = []
        for name in names or reversed(list(self._known)):
            if pid := self.pid(name):
                os.kill(pid, by)
                ended.append(name)
                deadline = time.monotonic() + 10
                while self.pid(name) and time.monotonic() < deadline:
                    with suppress(ChildProcessError):
                        os.waitpid(pid, os.WNOHANG)
                    time.sleep(0.02)
                if self.pid(name):
                    os.kill(pid, signal.SIGKILL)
            self._known.pop(name, None)
        if self.folder.exists():
            self._file.write_text(json.dumps(self._known))
        return ended


def opener(context: SSLContext | None = None) -> urllib.request.OpenerDirector:
    """What opens URLs of this machine: never by way of a proxy."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))


def answers(url: str, context: SSLContext | None = None, token: str = "") -> bool:
    """Whether a server answers a GET with 200."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with suppress(OSError, urllib.error.URLError), opener(context).open(request, timeout=2) as response:
        return bool(response.status == 200)
    return False
