"""Make the plugin's own virtual environment. Run by install-binary.sh with the user's Python: standard library only.

The new environment is made beside the old one and takes its place when it is whole and proved, so an interrupted or failed
install leaves what worked before, and running it again is always right.
"""

from __future__ import annotations

import compileall
import fcntl
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import venv
from contextlib import suppress
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
REQUIREMENTS = HOME / "requirements.txt"
VENV = HOME / ".venv"
STAMP = "helm-pin.stamp"
PROOF = "import sh, subprocess_tee, urllib3, yaml; yaml.CSafeLoader"
NETWORK = ("NewConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "NameResolutionError", "ProxyError", "ConnectionError")


class InstallError(Exception):
    """Why helm-pin cannot be installed, in one line that says what to do."""


def main() -> int:
    """Install and return the exit status. Everything is told on standard error."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        install()
    except InstallError as error:
        print(f"helm-pin: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("helm-pin: error: interrupted; run it again", file=sys.stderr)
        return 130
    return 0


def install() -> None:
    """Make .venv in the plugin's directory, unless it is there and right. Raises InstallError."""
    lock = os.open(HOME, os.O_RDONLY)
    with suppress(OSError):  # a file system without locks: two installs at once are the user's own doing
        fcntl.flock(lock, fcntl.LOCK_EX)
    stamp = f"{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()} {platform.python_version()} {sys.base_prefix}\n"
    try:
        for leftover in HOME.glob(".venv.*"):
            shutil.rmtree(leftover)
        if not is_right(stamp):
            fresh = Path(tempfile.mkdtemp(prefix=".venv.", dir=HOME))
            try:
                build(fresh)
                (fresh / STAMP).write_text(stamp)
                take_over(fresh)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        compileall.compile_dir(HOME / "helmpin", quiet=2)
    except OSError as error:
        raise InstallError(f"cannot write to {HOME}: {error.strerror or error}: make it writable for you and run it again") from None


def is_right(stamp: str) -> bool:
    """Whether the environment in place was made from these requirements with this Python, and works."""
    try:
        return (VENV / STAMP).read_text() == stamp and works(VENV)
    except OSError:
        return False


def works(where: Path) -> bool:
    """Whether the Python in `where` starts and finds everything."""
    return subprocess.run([where / "bin/python", "-I", "-c", PROOF], capture_output=True, check=False).returncode == 0


def take_over(fresh: Path) -> None:
    """Put `fresh` where .venv is."""
    old = fresh.with_name(fresh.name + ".old")
    if VENV.is_symlink() or VENV.exists():
        VENV.rename(old)
    fresh.rename(VENV)
    shutil.rmtree(old, ignore_errors=True)


def build(where: Path) -> None:
    """A virtual environment in `where` with what requirements.txt locks. Raises InstallError and OSError."""
    try:
        import ensurepip  # noqa: F401  Debian leaves it out of python3 and puts it into python3-venv
    except ImportError:
        pip = [sys.executable, "-I", "-m", "pip"]
        target = ["--target", str(where / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages")]
        venv.create(where, symlinks=True)
    else:
        pip = [str(where / "bin/python"), "-I", "-m", "pip"]
        target = []
        try:
            venv.create(where, symlinks=True, with_pip=True)
        except subprocess.CalledProcessError as error:
            raise InstallError(f"{sys.executable} cannot make a virtual environment with pip (its ensurepip failed: {error})") from None
    wheels = os.environ.get("HELM_PIN_WHEELS")
    if wheels and not Path(wheels).is_dir():
        raise InstallError(f"HELM_PIN_WHEELS is not a directory: {wheels}")
    source = ["--no-index", "--find-links", str(Path(wheels).absolute())] if wheels else []
    done = subprocess.run(
        [*pip, "install", "--require-hashes", "--only-binary", ":all:", "--no-deps", "--quiet", "--no-input", *target, *source,
         "--requirement", str(REQUIREMENTS)],
        env={"PIP_RETRIES": "2", **os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
    )
    if done.returncode:
        raise InstallError(explain(done.stdout + done.stderr, wheels))
    if not works(where):
        raise InstallError(f"what pip installed does not work with {sys.executable}: try another Python with HELM_PIN_PYTHON")


def explain(said: str, wheels: str | None) -> str:
    """One line for a pip that failed, from what it said."""
    last = next((line.removeprefix("ERROR: ") for line in reversed(said.splitlines()) if line.startswith("ERROR: ")), said.strip()[-200:])
    if "DO NOT MATCH THE HASHES" in said:
        return "a downloaded package is not the one that requirements.txt locks (hash mismatch): do not use this package index"
    if wheels:
        return f"HELM_PIN_WHEELS={wheels} lacks a wheel for this Python ({platform.python_version()}, {platform.machine()}): {last}"
    if any(word in said for word in NETWORK):
        return "no network: the package index cannot be reached; set a proxy or pip's index-url, or install from HELM_PIN_WHEELS=DIR"
    return f"pip cannot install the locked packages for Python {platform.python_version()} on {platform.machine()}: {last}"


if __name__ == "__main__":
    sys.exit(main())
