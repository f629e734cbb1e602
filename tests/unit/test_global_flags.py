"""Flags that count for every command, wherever they stand."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helmpin import env, output
from helmpin.env import ENVIRON
from helmpin.errors import UsageError
from helmpin.global_flags import check_none_is_lost, take
from helmpin.helm import Helm
from helmpin.request import understand
from tests.support.workstation import without_home


@pytest.mark.parametrize(
    ("given", "kept", "environ"),
    [
        (["-n", "a", "verify", "web"], ["verify", "web"], {"HELM_NAMESPACE": "a"}),
        (["verify", "web", "--namespace=a=b"], ["verify", "web"], {"HELM_NAMESPACE": "a=b"}),
        (["-nargo", "verify", "web"], ["verify", "web"], {"HELM_NAMESPACE": "argo"}),
        (["verify", "web", "-n=argo"], ["verify", "web"], {"HELM_NAMESPACE": "argo"}),
        (["verify", "web", "-nargo"], ["verify", "web"], {"HELM_NAMESPACE": "argo"}),
        (["--debug", "audit"], ["audit"], {"HELM_DEBUG": "true"}),
        (["--debug=false", "audit"], ["audit"], {"HELM_DEBUG": "false"}),
        (["--burst-limit", "5", "verify", "web"], ["verify", "web"], {"HELM_BURST_LIMIT": "5"}),
        (["x", "--kube-as-group", "a", "--kube-as-group=b"], ["x"], {"HELM_KUBEASGROUPS": "a,b"}),
        (["x", "--color"], ["x"], {"HELM_COLOR": "always"}),
        (["x", "--color", "never", "y"], ["x", "y"], {"HELM_COLOR": "never", "NO_COLOR": "1"}),
        (["--colour=auto", "x"], ["x"], {"HELM_COLOR": "auto"}),
        (["x", "--no-color"], ["x"], {"HELM_COLOR": "never", "NO_COLOR": "1"}),
        (["--quiet", "x"], ["x"], {"HELM_PIN_QUIET": "1"}),
        (["--quiet=true", "x"], ["x"], {"HELM_PIN_QUIET": "1"}),
        (["--quiet", "--quiet=F", "x"], ["x"], {}),
        (["x", "--", "-n", "--quiet"], ["x", "--", "-n", "--quiet"], {}),
        (["x", "--names", "--no-hooks", "-o", "json"], ["x", "--names", "--no-hooks", "-o", "json"], {}),
    ],
)
def test_they_become_variables(given: list[str], kept: list[str], environ: dict[str, str]) -> None:
    rest, variables = take(given)
    assert rest == kept
    assert {name: value for name, value in variables.items() if value} == environ


def test_variables_are_set_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag beats NO_COLOR, for the programs that are started too."""
    for name in ("NO_COLOR", "HELM_COLOR"):
        monkeypatch.setenv(name, "x")
    env.change(take(["x", "--color"])[1])
    assert "NO_COLOR" not in os.environ and ENVIRON["HELM_COLOR"] == "always"
    env.change(take(["x", "--no-color"])[1])
    assert os.environ["NO_COLOR"] == "1"


def test_the_password_is_there_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_PIN_REGISTRY_PASSWORD", "secret")
    assert [env.take_password(), env.take_password()] == ["secret", ""]
    assert "HELM_PIN_REGISTRY_PASSWORD" not in os.environ


@pytest.mark.parametrize("given", [["x", "-n"], ["x", "--color=perhaps"]])
def test_what_is_no_value(given: list[str]) -> None:
    with pytest.raises(UsageError):
        take(given)


@pytest.mark.parametrize("words", [["-vn", "argo"], ["-vnargo"], ["-vn=argo"]])
def test_a_namespace_behind_other_switches(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As pflag reads groups: helm itself leaves these to the plugin."""
    monkeypatch.setenv("HELM_NAMESPACE", "default")
    request = understand("verify", ["web", *words], Helm("/nonexistent/helm"))
    assert (request.positionals, request.flags, request.options["verbose"]) == (["web"], [], True)
    assert ENVIRON["HELM_NAMESPACE"] == "argo"


@pytest.mark.parametrize("command", ["verify", "history"])
def test_a_name_after_two_dashes_is_no_flag_of_helm(command: str) -> None:
    """A script that passes on a name chosen by somebody else writes the dashes to be safe."""
    helm = Helm("/nonexistent/helm")
    with pytest.raises(UsageError, match="a name cannot begin with -"):
        understand(command, ["--", "--kubeconfig=theirs"], helm)


def test_a_name_that_is_empty() -> None:
    with pytest.raises(UsageError, match=r"^there is an empty word \(''\) on the command line$"):
        understand("verify", [""], Helm("/nonexistent/helm"))


def test_a_value_that_is_empty_or_missing() -> None:
    """An empty word never means that nobody wants the flag."""
    helm = Helm("/nonexistent/helm")
    for flag, value in (
        ("require", "COMMAND"),
        ("lock", "FILE|release:…"),
        ("selector", "LABELS"),
        ("platform", "PLATFORM"),
    ):
        command = "config" if flag in ("require", "lock", "platform") else "verify"
        for words in ([f"--{flag}="], [f"--{flag}", ""], [f"--{flag}", " "]):
            with pytest.raises(UsageError, match=f"^--{flag} is empty") as error:
                understand(command, words, helm)
            assert error.value.hint == f"leave the flag out, or give it {value}"
        with pytest.raises(UsageError, match=f"flag needs an argument: --{flag}") as error:
            understand(command, [f"--{flag}"], helm)
        assert "an empty word ('')" in error.value.why


def test_diff_says_how_it_is_used_before_a_plugin_is_missed() -> None:
    with pytest.raises(UsageError, match=r"helm pin diff takes upgrade\|rollback RELEASE"):
        understand("diff", ["bogus"], Helm("/nonexistent/helm"))


@pytest.mark.parametrize(("variable", "namespace"), [(None, "default"), ("", "default"), ("prod", "prod")])
def test_the_namespace_of_the_release(monkeypatch: pytest.MonkeyPatch, variable: str | None, namespace: str) -> None:
    monkeypatch.delenv("HELM_NAMESPACE", raising=False)
    if variable is not None:
        monkeypatch.setenv("HELM_NAMESPACE", variable)
    assert env.namespace() == namespace


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    without_home(monkeypatch)
    for name in ("HELM_CACHE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert env.cache_home().is_relative_to("/")
    assert env.home() == Path("/")


class Terminal(io.StringIO):
    """Standard output or error on a terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Both streams on a terminal, and an environment without wishes. (Not a fixture: pytest has streams of its own for each.)"""
    stream = Terminal()
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setattr("sys.stderr", stream)
    for name in ("NO_COLOR", "HELM_COLOR", "HELM_PIN_QUIET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return stream


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [
        ({}, True),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": "1"}, False),
        ({"HELM_COLOR": "never"}, False),
        ({"HELM_COLOR": "always", "TERM": "dumb"}, True),
        ({"HELM_COLOR": "always", "NO_COLOR": "1"}, False),
        ({"HELM_COLOR": "auto"}, True),
        ({"HELM_COLOR": "Never"}, False),
        ({"HELM_COLOR": "ALWAYS", "TERM": "dumb"}, True),
        ({"HELM_COLOR": "sometimes"}, True),
    ],
)
def test_colour(environ: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b" in output.colour("ok", "32")) is coloured


def test_colour_that_is_asked_for_needs_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", io.StringIO())
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("HELM_COLOR", "always")
    assert "\x1b" in output.colour("ok", "32")


@contextmanager
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything takes longer than a second."""
    monkeypatch.setattr(output.Progress, "AFTER", -1.0)
    yield


def test_progress_counts_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with slow(monkeypatch), output.Progress("charts", 3) as progress:
        progress.step()
        progress.step()
    assert terminal.getvalue() == "\r\x1b[K1 of 3 charts\r\x1b[K2 of 3 charts\r\x1b[K"


def test_progress_is_over_where_an_abandoned_thread_still_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with slow(monkeypatch), output.Progress("charts", 3) as progress:
        pass
    progress.step()
    assert terminal.getvalue() == ""


@pytest.mark.parametrize(("name", "value"), [("HELM_PIN_QUIET", "1"), ("TERM", "dumb")])
def test_no_progress(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    monkeypatch.setenv(name, value)
    with slow(monkeypatch), output.Progress("charts", 3) as progress:
        progress.step()
    assert terminal.getvalue() == ""


def test_no_progress_for_what_is_quick_or_is_read_by_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with output.Progress("charts", 3) as progress:
        progress.step()
    assert terminal.getvalue() == ""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with slow(monkeypatch), output.Progress("charts", 3) as progress:
        progress.step()
    assert stream.getvalue() == ""


def test_quiet_is_silent_about_what_went_well(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    monkeypatch.setenv("HELM_PIN_QUIET", "1")
    output.inform("2 charts")
    output.say("Error: one chart")
    assert terminal.getvalue() == "Error: one chart\n"


@pytest.mark.parametrize(
    "words", ["rollback web  1", "rollback  web 1", "upgrade web chart --description  --install", "lint a "]
)
def test_a_word_that_helm_leaves_out_is_an_error(words: str) -> None:
    """Two spaces stand for an empty word between them."""
    with pytest.raises(UsageError, match=r"^there is an empty word \(''\) on the command line$"):
        check_none_is_lost(["/bin/helm", "pin", *words.split(" ")])


@pytest.mark.parametrize(
    "words",
    [
        "pin rollback web 1",
        "-n  pin rollback web",
        "pin rollback web -n ",
        "pin template --description= x",
        "list ",
        "",
    ],
)
def test_no_word_is_lost(words: str) -> None:
    check_none_is_lost(["/bin/helm", *words.split(" ")])
    check_none_is_lost([])
