"""Known vulnerabilities of what the requirements lock, as pip-audit finds them (scripts/vulnerabilities)."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

from .binaries import cache, locked, say

ROOT = Path(__file__).resolve().parents[2]
DESCRIPTION = """Known vulnerabilities of all that requirements.txt, requirements-dev.txt and requirements-audit.txt lock, for every
Python and platform.

It runs pip-audit, which requirements-audit.txt locks, in an environment of its own. pip-audit asks the index that
serves the packages, or osv.dev (--service osv); a mirror that serves packages alone has no such data.

Exit status: 0 none is known, 1 some are, 2 wrong usage, 3 not checked, as the data cannot be had."""
FOUND, NOT_CHECKED = 1, 3
LOCKED = re.compile(r"(?m)^([\w.-]+)==([^\s;\\]+)")
FILES = ("requirements.txt", "requirements-dev.txt", "requirements-audit.txt")


def main(words: Sequence[str]) -> int:
    """Print what is known, or `not checked` and why."""
    parser = argparse.ArgumentParser(
        prog="scripts/vulnerabilities", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--service", choices=("pypi", "osv"), default="pypi", help="whom to ask (default pypi)")
    parser.add_argument("--osv-url", metavar="URL", help="where osv's API is (default: where pip-audit knows it)")
    given = parser.parse_args(words)
    texts = [(ROOT / name).read_text() for name in FILES]
    pins = sorted({pin for text in texts for pin in LOCKED.findall(text)})
    asked = ["--vulnerability-service", given.service, *(["--osv-url", given.osv_url] if given.osv_url else [])]
    try:
        vulnerable = audit(pins, [program(), *asked])
    except NotChecked as why:
        print(f"not checked: {why}")
        return NOT_CHECKED
    for pin, identifiers in vulnerable:
        print(f"{pin}: {', '.join(identifiers)}")
    print(f"{len(pins)} packages checked, {len(vulnerable)} with a known vulnerability")
    return FOUND if vulnerable else 0


class NotChecked(Exception):
    """Nothing is known, and why."""


def program() -> Path:
    """pip-audit, installed once into the cache. Raises NotChecked."""
    lock = ROOT / "requirements-audit.txt"
    key = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]
    home = cache() / f"venv-audit-{key}"
    with locked("venv-audit"):
        if not (home / "complete").exists():
            say("making a virtual environment for pip-audit: once …")
            shutil.rmtree(home, ignore_errors=True)
            venv.create(home, with_pip=True)
            pip = [home / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
            flags = ["--require-hashes", "--only-binary", ":all:", "--requirement", lock]
            if subprocess.run([*pip, *flags], stdout=sys.stderr, check=False).returncode:
                raise NotChecked("pip-audit cannot be installed")
            (home / "complete").touch()
    return home / "bin" / "pip-audit"


def audit(pins: Sequence[tuple[str, str]], command: Sequence[str | Path]) -> list[tuple[str, list[str]]]:
    """The pins that have known vulnerabilities, with their identifiers. Raises NotChecked unless all could be looked up."""
    versions = [
        [f"{name}=={version}" for name, version in some] for _, some in itertools.groupby(pins, lambda pin: pin[0])
    ]
    found = []
    for each in itertools.zip_longest(*versions):  # pip-audit takes one version of a package
        wanted = [pin for pin in each if pin]
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("\n".join(wanted))
            file.flush()
            flags = ["--strict", "--disable-pip", "--no-deps", "--format=json", "--progress-spinner=off"]
            done = subprocess.run([*command, *flags, "-r", file.name], capture_output=True, text=True, check=False)
        try:  # it exits with 1 for what it finds and for what it cannot look up
            answers = json.loads(done.stdout)["dependencies"]
        except (ValueError, KeyError):
            raise NotChecked((done.stderr.strip().splitlines() or ["pip-audit printed nothing"])[-1]) from None
        if len([one for one in answers if "vulns" in one]) != len(wanted):
            raise NotChecked("pip-audit left out a package")
        found += [
            (f"{one['name']} {one['version']}", [vulnerability["id"] for vulnerability in one["vulns"]])
            for one in answers
            if one["vulns"]
        ]
    return found
