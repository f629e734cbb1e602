"""The start and the end of the program."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from helmpin import cli, lifeline
from helmpin.errors import HelmFailed, UsageError
from helmpin.helm import Helm


@pytest.mark.parametrize("status", [0, 3])
def test_what_is_to_be_removed_at_the_end_is(status: int) -> None:
    """The interpreter is not taken apart after success, and files with a token in them are removed all the same."""
    code = (
        "import atexit, sys; from helmpin import __main__, cli;"
        f"atexit.register(print, 'removed'); cli.main = lambda: {status}; __main__.main()"
    )
    done = subprocess.run([sys.executable, "-c", code, "plan"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (status, "removed\n", "")


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("upgade", "did you mean upgrade?"),
        ("zz", "one of upgrade, install, "),
        ("uninstall", "helm uninstall does it;"),
    ],
)
def test_an_unknown_command(word: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"unknown command: {word}") as failed:
        cli.run([word])
    assert failed.value.hint.startswith(hint)


def _said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: Callable[[], object]) -> str:
    """The first line of the message about how a command fails."""
    monkeypatch.setattr(cli, "run", lambda _: command())
    monkeypatch.setattr(lifeline, "listen", lambda: None)
    monkeypatch.setattr(lifeline._State, "left", "")
    monkeypatch.setattr(lifeline._State, "untouched", "")
    assert cli.main([]) == 1
    return capsys.readouterr().err.splitlines()[0]


@pytest.mark.parametrize(
    ("state", "error", "first"),
    [
        ("nothing was deployed", HelmFailed("helm template failed"), "helm template failed; nothing was deployed"),
        ("", HelmFailed("helm template failed"), "helm template failed"),
        (lambda: "revision 2 is failed", HelmFailed("helm upgrade failed"), "helm upgrade failed"),
        (
            lambda: "revision 2 is failed",
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
            "cannot write a file; revision 2 is failed",
        ),
        (
            "nothing was changed",
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
            "cannot write a file; nothing was changed",
        ),
        ("nothing was changed", KeyError("x"), "internal error: KeyError: 'x'; nothing was changed"),
    ],
)
def test_an_error_says_that_nothing_was_changed_as_long_as_that_is_so(
    state: str | Callable[[], str],
    error: Exception,
    first: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command() -> None:
        (lifeline.nothing_yet if isinstance(state, str) else lifeline.if_stopped)(state)  # type: ignore[arg-type]
        raise error

    assert _said(monkeypatch, capsys, command) == f"Error: {first}"


def test_a_state_that_was_found_out_is_not_added_to_errors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        lifeline.nothing_yet("nothing was deployed")
        lifeline.if_stopped("revision 5 is failed")
        raise HelmFailed("helm upgrade failed")

    assert _said(monkeypatch, capsys, command) == "Error: helm upgrade failed"


@pytest.mark.parametrize(("command", "state"), cli.NOTHING_YET.items())
def test_a_command_that_is_stopped_before_it_begins(command: str, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def find() -> None:
        found.append(lifeline.left())
        raise UsageError("no helm")

    found: list[str] = []
    monkeypatch.setattr(Helm, "find", find)
    monkeypatch.setattr(lifeline, "watch_parent", lambda: None)
    monkeypatch.setattr(lifeline._State, "left", "")
    with pytest.raises(UsageError):
        cli.run([command, "web"])
    assert found == [state]
