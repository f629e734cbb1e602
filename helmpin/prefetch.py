"""A head start for the plainest `helm pin history`, `upgrade` and `plan`: what reads the release, kubectl or helm, is started
before all of helm-pin is imported. No other command line is affected. This module imports only what Python has loaded already, and
what imports nothing.

Medians on two processors, in turn: `history` of kube-prometheus-stack takes 307 ms in place of 333. With a release for each,
`upgrade` of a small chart takes 488 in place of 499, and plain helm 256.
"""

from __future__ import annotations

import os

from helmpin.password import without_password

TYPE_CHECKING = False  # of typing, which is slow to import
if TYPE_CHECKING:
    from collections.abc import Mapping

GOGC = {"GOGC": "400"}
"""A run is short, so it should use more memory instead of collecting garbage (pkg.go.dev/runtime)."""
_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.")
_OWN = frozenset({"--max", "--output", "-o"})
_NOT_WITH = (
    *("--help", "--no-cluster", "--debug", "--namespace", "--kube", "--burst-limit", "--qps"),
    *("--registry-config", "--repository-config", "--repository-cache", "--content-cache"),
)
"""How words begin with which a release is not read, or in another environment than that of now (global_flags.py). Short flags in
one word may mean that, too: `-in shop`."""


class Started:
    """A program that was started, with the methods of subprocess.Popen (which is slow to import) that its reader calls. Mutable."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        """Raises OSError."""
        self.args, self.environ = command, environ
        self.returncode: int | None = None
        (self._out, out), (self._err, err) = os.pipe(), os.pipe()
        streams = [(os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, err, 2)]
        nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
        try:
            self.pid = os.posix_spawnp(command[0], command, environ, file_actions=[nothing, *streams])
        finally:
            os.close(out)
            os.close(err)

    def communicate(self, _stdin: bytes | None = None) -> tuple[bytes, bytes]:
        """Read standard output and standard error to their ends."""
        import threading

        errors: list[bytes] = []
        reader = threading.Thread(target=lambda: errors.append(_read(self._err)), daemon=True)
        reader.start()
        out = _read(self._out)
        reader.join()
        return out, errors[0]

    def poll(self, options: int = os.WNOHANG) -> int | None:
        """Its exit status, or None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self) -> int | None:
        """Wait for its end; the exit status."""
        return self.poll(0)

    def terminate(self) -> None:
        """Ask it to end."""
        os.kill(self.pid, 15)

    def kill(self) -> None:
        """End it."""
        os.kill(self.pid, 9)


_started: list[Started] = []


def start(argv: list[str]) -> None:
    """Start the program that this command line will run first, if any. An error is reported later, when its output is needed."""
    command = predict(argv, os.environ)
    if command:
        environ = {**GOGC, **without_password(os.environ)}
        if command[0] != "kubectl":
            environ["HELM_DEBUG"] = "false"
        try:
            _started.append(Started(command, environ))
        except OSError:
            return


def predict(argv: list[str], environ: os._Environ[str] | dict[str, str]) -> list[str]:
    """What the class Kubectl or Helm will run first for this command line; nothing if that is not certain."""
    argv = argv[:1] + argv[2:] if argv[:1] == ["upgrade"] and argv[1:2] in (["--install"], ["-i"]) else argv
    if len(argv) < 2 or argv[1].startswith("-") or not _NAME.issuperset(argv[1]):
        return []
    if argv[0] == "history":
        return _history(argv, environ)
    has_chart = len(argv) > 2 and not argv[2].startswith("-")  # plan CHART has no release
    if argv[0] == "upgrade" or (argv[0] == "plan" and has_chart):
        return _release(argv, environ)
    return []


def _release(argv: list[str], environ: os._Environ[str] | dict[str, str]) -> list[str]:
    """The helm that reads a release (release/previous.py)."""
    from helmpin.asked import RELEASE

    short = (word for word in argv[2:] if word.startswith("-") and not word.startswith("--"))
    if any(word.startswith(_NOT_WITH) for word in argv[2:]) or any("n" in word or "h" in word for word in short):
        return []
    return [environ.get("HELM_BIN") or "helm", "get", "all", argv[1], "--template", RELEASE]


def _history(argv: list[str], environ: os._Environ[str] | dict[str, str]) -> list[str]:
    """The kubectl that lists the stored revisions (release/revisions.py)."""
    options = {word.partition("=")[0] for word in argv[2:] if word.startswith("-")}
    if not options <= _OWN or environ.get("HELM_DRIVER", "") not in ("", "secret", "secrets"):
        return []
    if any(value not in ("", "false") for name, value in environ.items() if name.startswith("HELM_KUBE")):
        return []
    namespace = environ.get("HELM_NAMESPACE") or "default"
    wanted = f"labelSelector=owner%3Dhelm%2Cname%3D{argv[1]}&fieldSelector=type%3Dhelm.sh/release.v1"
    return ["kubectl", "get", f"--raw=/api/v1/namespaces/{namespace}/secrets?limit=5000&{wanted}"]


def claim(command: list[str], environ: Mapping[str, str]) -> Started | None:
    """The program that was started with these arguments and in this environment, if there is one. It belongs to the caller now."""
    for started in _started:
        if started.args[1:] == command[1:] and _set(started.environ) == _set(without_password(environ)):
            _started.remove(started)
            return started
    return None


def _set(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that are not empty: helm passes many on that are."""
    return {name: value for name, value in environ.items() if value}


def stop() -> None:
    """End what nobody has claimed."""
    while _started:
        started = _started.pop()
        if started.poll() is None:
            started.terminate()
            started.wait()


def _read(stream: int) -> bytes:
    with open(stream, "rb") as file:
        return file.read()
