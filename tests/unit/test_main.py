"""The start and the end of the program."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helmpin import cli
from helmpin.errors import UsageError


@pytest.mark.parametrize("status", [0, 3])
def test_what_is_to_be_removed_at_the_end_is(status: int) -> None:
    """The interpreter is not taken apart after success, and files with a token in them are removed all the same."""
    code = (
        "import atexit, sys; from helmpin import __main__, cli;"
        f"atexit.register(print, 'removed'); cli.main = lambda: {status}; __main__.main()"
    )
    done = subprocess.run([sys.executable, "-c", code, "plan"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (status, "removed\n", "")


@pytest.mark.parametrize(("word", "hint"), [("upgade", "did you mean upgrade?"), ("zz", "one of upgrade, install, ")])
def test_an_unknown_command(word: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"unknown command: {word}") as failed:
        cli.run([word])
    assert failed.value.hint.startswith(hint)
