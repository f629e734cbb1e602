"""Make the plugin's own virtual environment. install-binary.sh runs it with the user's Python: standard library only.

The new environment is made beside the old one and replaces it once it is complete and works. So an install that is
interrupted or fails leaves the old one in place, and can be repeated. Nothing in the environment depends on its path:
a plugin that is moved still works.
"""

from __future__ import annotations

import compileall
import fcntl
import hashlib
import os
import platform
import shlex
import shutil
import signal
import subprocess  # not sh: this is what installs it
import sys
import venv
from contextlib import suppress
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
REQUIREMENTS = HOME / "requirements.txt"
VENV = HOME / ".venv"
OFFLINE = HOME / "wheels"
"""The wheels of a plugin that was packaged for installs without a package index (scripts/package --offline)."""
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


def main() -> int:
    """Install and return the exit status. All output goes to standard error."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        install()
    except InstallError as error:
        print(f"helm-pin: error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        what = f"{error.strerror}: {error.filename or HOME}" if error.strerror else str(error)
        print(
            f"helm-pin: error: cannot write to the plugin's directory: {what}; get write access and {AGAIN}",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print(f"helm-pin: error: interrupted; {AGAIN}", file=sys.stderr)
        return 130
    return 0


def install() -> None:
    """Make .venv in the plugin's directory, unless it exists and works. Raises InstallError and OSError."""
    lock = os.open(HOME, os.O_RDONLY)
    with suppress(OSError):  # a file system without locks: nothing protects two installs at once
        fcntl.flock(lock, fcntl.LOCK_EX)
    if not is_current():
        fresh, old = HOME / ".venv.new", HOME / ".venv.old"
        try:
            _put_back(old)
            remove(fresh)
            remove(old)
            build(fresh)
            if os.path.lexists(VENV):
                VENV.rename(old)
            fresh.rename(VENV)
        finally:
            with suppress(OSError):
                _put_back(old)
                remove(fresh)
                remove(old)
    compileall.compile_dir(HOME / "helmpin", quiet=2)


def _put_back(old: Path) -> None:
    """Put back the environment that was to be replaced, where it was moved away and none took its place. Raises OSError."""
    if old.exists() and not os.path.lexists(VENV):
        old.rename(VENV)


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


def build(where: Path) -> None:
    """Make a virtual environment in `where` with the packages that requirements.txt locks. Raises InstallError and OSError."""
    wheels = os.environ.get("HELM_PIN_WHEELS", "") or (str(OFFLINE) if OFFLINE.is_dir() else "")
    if wheels and not Path(wheels).is_dir():
        raise InstallError(f"HELM_PIN_WHEELS is not a directory: {wheels}; correct or unset it, and {AGAIN}")
    print("helm-pin: making its own Python environment …", file=sys.stderr, flush=True)
    pip = make_environment(where)
    source = ["--no-index", "--find-links", str(Path(wheels).absolute())] if wheels else []
    # only wheels: building from source would fetch build tools that no hash locks
    locked = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "--requirement", str(REQUIREMENTS)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON") and name not in ELSEWHERE}
    done = subprocess.run(
        [*pip, "install", "--quiet", "--no-input", *source, *locked],
        env={
            "PIP_RETRIES": "2",
            **env,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_USER": "0",  # pip.conf may set it
            "PIP_REQUIRE_VIRTUALENV": "0",
            "PIP_DRY_RUN": "0",
            "PIP_CONSTRAINT": os.devnull,  # the versions are locked
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise InstallError(explain(done.stdout + done.stderr, wheels))
    if not next(where.glob("lib/*/site-packages/yaml"), None):
        raise InstallError(
            f"pip's configuration puts packages elsewhere: unset target, prefix and root (see: pip config list) and {AGAIN}"
        )
    if reason := trouble(where):
        raise InstallError(f"what was installed does not work: {reason}; fix that or set HELM_PIN_PYTHON, and {AGAIN}")
    (where / STAMP).write_text(f"{digest()}\n{THIS}\n")


def make_environment(where: Path) -> list[str]:
    """Make an empty virtual environment, and return the pip that installs into it. Raises InstallError and OSError."""
    if has_pip_with_python_flag():
        venv.create(where, symlinks=True)
        return [sys.executable, "-I", "-m", "pip", "--python", str(where / "bin/python")]
    try:
        venv.create(where, symlinks=True, with_pip=True)
    except subprocess.CalledProcessError as error:
        lines = str(error.output or b"", errors="replace").strip().splitlines()
        raise InstallError(
            f"{sys.executable} cannot make a virtual environment: {lines[-1] if lines else error}"
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
    last = errors[-1] if errors else printed.strip()[-300:]
    this = f"Python {platform.python_version()} on {platform.machine()}"
    if "DO NOT MATCH THE HASHES" in printed:
        source = wheels or "the package index"
        return f"a package from {source} is not the locked one (its hash differs): get the right one and {AGAIN}"
    if wheels and "No matching distribution" in printed:
        return f"{wheels} has no wheel for {this}: {last}"
    if any(word in printed for word in NETWORK):
        return (
            "cannot reach the package index: check the network, the proxy or pip's index-url, "
            f"or set HELM_PIN_WHEELS, and {AGAIN}"
        )
    return f"pip cannot install what requirements.txt locks for {this}: {last}"


if __name__ == "__main__":
    sys.exit(main())
