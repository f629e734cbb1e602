"""Make the plugin's own virtual environment. install-binary.sh runs it with the user's Python: standard library only.

The new environment is made beside the old one and replaces it once it is complete and works. So an install that is
interrupted or fails leaves the old one in place, and can be repeated. Nothing in the environment depends on its path:
a plugin that is moved still works.

`helm plugin update` of a plugin from git removes what git does not know (`git clean -x -d -f -f`) before it runs this. So
the environment is kept, by hard links, in the .git folder too, which that leaves alone.
"""

from __future__ import annotations

import compileall
import errno
import fcntl
import hashlib
import os
import platform
import shlex
import shutil
import signal
import subprocess  # not sh: this is what installs it
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
REQUIREMENTS = HOME / "requirements.txt"
VENV = HOME / ".venv"
OFFLINE = HOME / "wheels"
"""The wheels of a plugin that was packaged for installs without a package index (scripts/package --offline)."""
FRESH, OLD, KEPT = HOME / ".venv.new", HOME / ".venv.old", HOME / ".git/helm-pin-venv"
"""Where the environment is made, where the one before waits meanwhile, and where it is kept."""
PARENT = os.getppid()
"""What started this: helm, or a shell."""
STAMP = "helm-pin.stamp"
THIS = f"{sys.base_prefix} {sys.version_info.major}.{sys.version_info.minor}"
"""The Python that runs this, as written in the stamp."""
PROOF = "import sh, subprocess_tee, urllib3, yaml._yaml"
"""Imports libyaml itself, so that the reason shows if it does not load."""
AGAIN = f"run it again: sh {shlex.quote(str(HOME / 'install-binary.sh'))}"
NETWORK = (
    "NewConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "NameResolutionError",
    "ProxyError",
    "SSLError",
)
"""Names in pip's output when it cannot reach the package index (urllib3's errors)."""
ELSEWHERE = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")
"""pip's environment variables that would install packages elsewhere."""


class InstallError(Exception):
    """Why helm-pin cannot be installed, and what to do, in one line."""


class Stopped(BaseException):
    """A signal asks this to stop; its argument is the number."""


def main() -> int:
    """Install and return the exit status. All output goes to standard error."""

    def stop(signum: int, _: object) -> None:
        raise Stopped(signum)

    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, stop)
    os.umask(os.umask(0) | 0o022)  # nobody else may change what helm-pin runs
    try:
        _leave_missing_folder()
        install()
    except InstallError as error:
        say(f"error: {error}")
        return 1
    except OSError as error:
        say(f"error: {_reason(error)}; {AGAIN}")
        return 1
    except Stopped as error:
        say(f"error: interrupted; {AGAIN}")
        return 128 + int(error.args[0])
    return 0


def _leave_missing_folder() -> None:
    """Leave a working directory that has been removed, in which pip fails."""
    try:
        Path.cwd()
    except OSError:
        os.chdir(HOME)


def say(text: str) -> None:
    """Print a line for people, if anybody can read it."""
    with suppress(OSError):
        print(f"helm-pin: {text}", file=sys.stderr, flush=True)


def _reason(error: OSError) -> str:
    if not (HOME / "plugin.yaml").exists():
        return "the plugin was removed while it was being installed"
    what = f"{error.strerror}: {error.filename or HOME}" if error.strerror else str(error)
    refused = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    return f"cannot write to the plugin's directory: {what}; get write access" if refused else f"cannot install: {what}"


def install() -> None:
    """Make .venv in the plugin's directory, unless it exists and works. Raises InstallError and OSError."""
    lock = os.open(HOME, os.O_RDONLY)
    _wait_for_lock(lock)
    try:
        _put_back_kept()
        if not is_current():
            _put_back()
            remove(FRESH)
            remove(OLD)
            build(FRESH, lock)
            if os.path.lexists(VENV):
                VENV.rename(OLD)
            FRESH.rename(VENV)
    finally:
        with suppress(OSError):
            _put_back()
            remove(FRESH)
            remove(OLD)
            if not (HOME / "plugin.yaml").exists():  # uninstalled meanwhile: an empty folder would stay in the way
                HOME.rmdir()
    _keep()
    compileall.compile_dir(HOME / "helmpin", quiet=2)


def _wait_for_lock(lock: int) -> None:
    with suppress(OSError):  # a file system without locks: nothing protects two installs at once
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another install of this plugin is running; waiting for it …")
            fcntl.flock(lock, fcntl.LOCK_EX)


def _put_back_kept() -> None:
    """Put back the environment that is kept, where git has removed the one that was used."""
    with suppress(OSError):
        if KEPT.is_dir() and not os.path.lexists(VENV):
            _copy(KEPT, FRESH)
            FRESH.rename(VENV)


def _keep() -> None:
    """Keep the environment in the .git folder, if there is one, unless it is there already."""
    kept, fresh = KEPT / STAMP, KEPT.with_suffix(".new")
    with suppress(OSError):
        if KEPT.parent.is_dir() and not (os.path.lexists(kept) and kept.samefile(VENV / STAMP)):
            _copy(VENV, fresh)
            remove(KEPT)
            fresh.rename(KEPT)


def _copy(made: Path, to: Path) -> None:
    """Replace an environment by hard links to another one. Raises OSError."""
    remove(to)
    shutil.copytree(made, to, symlinks=True, copy_function=os.link)


def _put_back() -> None:
    """Put back the environment that was to be replaced, where it was moved away and none took its place. Raises OSError."""
    if OLD.exists() and not os.path.lexists(VENV):
        OLD.rename(VENV)


def remove(path: Path) -> None:
    """Remove a file or directory, if there is one. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def digest() -> str:
    """Identifies what the environment is made from."""
    return hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()


def is_current() -> bool:
    """Whether the present environment was made from these requirements (and by HELM_PIN_PYTHON, if set), and works."""
    try:
        made_from, made_with = (VENV / STAMP).read_text().splitlines()
        wanted = THIS if os.environ.get("HELM_PIN_PYTHON") else made_with
        return (made_from, made_with) == (digest(), wanted) and not trouble(VENV)
    except (OSError, ValueError):
        return False


def trouble(where: Path) -> str:
    """Why the Python in `where` does not start or lacks a package; '' if it works. Raises OSError."""
    done = subprocess.run(
        [where / "bin/python", "-I", "-c", PROOF], capture_output=True, text=True, errors="replace", check=False
    )
    lines = done.stderr.strip().splitlines() or [f"it exited with status {done.returncode}"]
    return lines[-1] if done.returncode else ""


def build(where: Path, lock: int) -> None:
    """Make a virtual environment in `where` with the packages that requirements.txt locks. Raises InstallError and OSError.

    lock: a file descriptor that pip keeps open, so that it is locked as long as pip runs, even if this is killed."""
    wheels = os.environ.get("HELM_PIN_WHEELS", "") or (str(OFFLINE) if OFFLINE.is_dir() else "")
    if wheels and not Path(wheels).is_dir():
        raise InstallError(f"HELM_PIN_WHEELS is not a directory: {wheels}; correct or unset it, and {AGAIN}")
    say("making its own Python environment …")
    pip = make_environment(where)
    source = ["--no-index", "--find-links", str(Path(wheels).absolute())] if wheels else []
    # only wheels: building from source would fetch build tools that no hash locks
    locked = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "--requirement", str(REQUIREMENTS)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON") and name not in ELSEWHERE}
    env = {
        "PIP_RETRIES": "2",
        **env,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_USER": "0",  # pip.conf may set it
        "PIP_REQUIRE_VIRTUALENV": "0",
        "PIP_DRY_RUN": "0",
        "PIP_CONSTRAINT": os.devnull,  # the versions are locked
    }
    status, printed = _run_to_its_end([*pip, "install", "--quiet", "--no-input", *source, *locked], env, lock)
    if status:
        raise InstallError(explain(printed, wheels))
    if not next(where.glob("lib/*/site-packages/yaml"), None):
        raise InstallError(
            f"pip's configuration puts packages elsewhere: unset target, prefix and root (see: pip config list) and {AGAIN}"
        )
    if reason := trouble(where):
        raise InstallError(f"what was installed does not work: {reason}; fix that or set HELM_PIN_PYTHON, and {AGAIN}")
    (where / STAMP).write_text(f"{digest()}\n{THIS}\n")


def _run_to_its_end(command: Sequence[str], env: Mapping[str, str], lock: int) -> tuple[int, str]:
    """Run pip, and return its exit status and what it printed. Raises InstallError and OSError.

    It would go on to write into the plugin's directory, so a signal to this ends it with all that it has started, and so does the
    end of what started this, unless SIGHUP is ignored (nohup)."""
    stays = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    with tempfile.TemporaryFile(dir=HOME) as printed:
        process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            start_new_session=True,
            pass_fds=[lock],
        )
        try:
            while process.poll() is None:
                if os.getppid() != PARENT and not stays:
                    raise InstallError(f"what started the installation has ended; {AGAIN}")
                time.sleep(0.05)
        finally:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        printed.seek(0)
        return process.returncode, printed.read().decode(errors="replace")


def make_environment(where: Path) -> list[str]:
    """Make an empty virtual environment, and return the pip that installs into it. Raises InstallError and OSError."""
    if os.pathsep in str(where):
        raise InstallError(
            f"no Python environment can be made below a path with {os.pathsep!r}: {HOME}; move the plugin"
        )
    if has_pip_with_python_flag():
        venv.create(where, symlinks=True)
        return [sys.executable, "-I", "-m", "pip", "--python", str(where / "bin/python")]
    try:
        venv.create(where, symlinks=True, with_pip=True)
    except subprocess.CalledProcessError as error:
        lines = str(error.output or b"", errors="replace").strip().splitlines()
        raise InstallError(
            f"{sys.executable} cannot make a virtual environment: {lines[-1] if lines else error}; set HELM_PIN_PYTHON, and {AGAIN}"
        ) from None
    return [str(where / "bin/python"), "-I", "-m", "pip"]


def has_pip_with_python_flag() -> bool:
    """Whether this Python has a pip with --python (23 or later, as install-binary.sh requires), which is three times as fast."""
    try:
        import pip
    except ImportError:
        return False
    return int(pip.__version__.partition(".")[0]) >= 23


def explain(printed: str, wheels: str) -> str:
    """One line for a failed pip, from its output."""
    errors = [line.removeprefix("ERROR: ") for line in printed.splitlines() if line.startswith("ERROR: ")]
    last = (errors or printed.strip().splitlines() or ["it printed nothing"])[-1][-300:]
    this = f"Python {platform.python_version()} on {platform.machine()}"
    if "DO NOT MATCH THE HASHES" in printed:
        source = wheels or "the package index"
        return f"a package from {source} is not the locked one (its hash differs): get the right one and {AGAIN}"
    if wheels and "No matching distribution" in printed:
        return f"{wheels} has no wheel for {this}: {last}; add it, or set HELM_PIN_PYTHON, and {AGAIN}"
    if any(word in printed for word in NETWORK):
        return (
            "cannot reach the package index: check the network, the proxy or pip's index-url, "
            f"or set HELM_PIN_WHEELS, and {AGAIN}"
        )
    return f"pip cannot install what requirements.txt locks for {this}: {last}; {AGAIN}"


if __name__ == "__main__":
    sys.exit(main())
