"""The main job with every version of what helm-pin meets (scripts/matrix)."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from .binaries import HELM3, HELM4, HELM4_BEFORE, HELM_OLD, KUBERNETES, say

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES_BEFORE = "1.36.3"
MAIN_JOB = "tests/e2e/test_main_job.py"
DESCRIPTION = """The main job with every version of what helm-pin meets, and a table of the results.

Each row changes one thing: the helm, the API server, the Python, or where helm stores releases. It runs
tests/e2e/test_main_job.py (driver sql: test_sql_driver.py), in a copy of the checkout. Meant to run weekly
with --strict, not on every change: it builds what the tests do not need, such as a second API server.

Exit status: 0 all that could be tried passed, 1 a row failed, 2 there is no such row.
"""
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")


class Row(NamedTuple):
    """One combination: what is varied, and how the tests are told."""

    name: str
    env: dict[str, str]
    test: str = MAIN_JOB
    missing: str = ""
    """Why it cannot be tried on this machine."""


def main(words: Sequence[str]) -> int:
    """Try the rows that the command line names, or all; 1 if one fails, or with --strict cannot be tried."""
    parser = argparse.ArgumentParser(
        prog="scripts/matrix", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("row", nargs="*", metavar="ROW", help="a part of a row's name (default: all rows)")
    parser.add_argument("--strict", action="store_true", help="a row that this machine cannot try is a failure")
    given = parser.parse_args(words)
    known = list(rows())
    for word in given.row:
        if not any(word.lower() in row.name.lower() for row in known):
            parser.error(f"no row is named {word!r}; the rows are: {', '.join(row.name for row in known)}")
    chosen = [row for row in known if not given.row or any(word.lower() in row.name.lower() for word in given.row)]
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for number, row in enumerate(chosen):
            say(f"{row.name} …")
            results.append(attempt(row, Path(folder) / str(number)))
    width = max(len(row.name) for row in chosen)
    for row, result in zip(chosen, results, strict=True):
        print(f"{row.name:{width}}  {result}")
    untried = [row.name for row in chosen if row.missing]
    if untried:
        say(f"not tried: {', '.join(untried)}")
    return int(any(result.startswith("failed") for result in results) or (given.strict and bool(untried)))


def rows() -> Iterator[Row]:
    """All combinations."""
    helms = (HELM_OLD, "helm-old"), (HELM3, "helm3"), (HELM4_BEFORE, "helm4-before"), (HELM4, "helm4")
    yield from (Row(f"Helm {version}", {"HELM_PIN_TEST_HELMS": name}) for version, name in helms)
    yield from (Row(f"Kubernetes {each}", {"HELM_PIN_KUBERNETES": each}) for each in (KUBERNETES_BEFORE, KUBERNETES))
    for version in PYTHONS:
        python = find_python(version)
        env = {"HELM_PIN_TEST_PYTHON": python, "HELM_PIN_PYTHON": python}
        yield Row(f"Python {version}", env, missing="" if python else "not on this machine")
    yield from (Row(f"driver {each}", {"HELM_PIN_TEST_DRIVER": each}) for each in ("secret", "configmap"))
    here = sys.platform == "linux"
    yield Row("driver sql", {}, "tests/e2e/test_sql_driver.py", missing="" if here else "its PostgreSQL needs Linux")


def find_python(version: str) -> str:
    """A Python of that version: on PATH, or one of pyenv's; '' for none."""
    own = shutil.which(f"python{version}")
    if own and subprocess.run([own, "-c", ""], capture_output=True, check=False).returncode == 0:
        return own
    home = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    return next((str(path) for path in sorted(home.glob(f"{version}.*/bin/python"), reverse=True)), "")


def attempt(row: Row, folder: Path) -> str:
    """Run the tests of a row in a copy of the checkout, which has a Python environment of its own; the result, in words."""
    if row.missing:
        return row.missing
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    began = time.monotonic()
    command = ["scripts/test", "-p", "no:cacheprovider", row.test]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **row.env}, capture_output=True, text=True, check=False
    )
    lines = done.stdout.strip().splitlines() or ["no output"]
    if done.returncode:
        print(done.stdout[-8000:], done.stderr[-2000:], file=sys.stderr, sep="\n")
    return f"{'failed' if done.returncode else 'ok'}: {lines[-1]} ({time.monotonic() - began:.0f} s in all)"
