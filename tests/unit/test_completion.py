"""What plugin.complete makes of the words that helm gives it: what it answers by itself, and what it asks of helm."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from helmpin.audit.findings import KINDS
from helmpin.command_table import COMMANDS
from helmpin.global_flags import VALUES

SCRIPT = Path(__file__).resolve().parents[2] / "plugin.complete"
HELM = """\
#!/bin/sh
[ "$HELM_NO_PLUGINS" = 1 ] || exit 1
printf '%s\\n' "$@"
"""
"""A helm that prints what it is asked."""
START = '"$SCRIPT" "$COMMAND" ""; exit'
OUTPUTS = {name: [each for each in command.options if each.name == "--output"] for name, command in COMMANDS.items()}


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    helm = tmp_path_factory.mktemp("helm") / "helm"
    helm.write_text(HELM)
    helm.chmod(0o755)
    return {**os.environ, "HELM_BIN": str(helm), "SCRIPT": str(SCRIPT)}


def printed(env: dict[str, str], *words: str) -> list[str]:
    """What the script prints, line by line, after these words."""
    return subprocess.run([SCRIPT, *words], env=env, capture_output=True, text=True, check=True).stdout.splitlines()


def asked(env: dict[str, str], *words: str) -> list[str]:
    """The words that helm shall complete after these."""
    complete, *rest = printed(env, *words)
    assert complete == "__complete"
    return rest


@pytest.mark.parametrize(
    ("command", "like"),
    [
        ("upgrade", "upgrade"),
        ("install", "install"),
        ("rollback", "rollback"),
        ("history", "history"),
        ("verify", "status"),
        ("keep", "status"),
        ("outdated", "status"),
        ("plan", "upgrade"),
        ("template", "template"),
        ("lock", "upgrade"),
    ],
)
def test_helm_completes_as_for_a_command_of_its_own(env: dict[str, str], command: str, like: str) -> None:
    assert asked(env, command, "") == [like, ""]
    assert asked(env, command, "--mutable", "pin", "--quiet", "web", "--allow-unpinned=*", "--wai") == [
        like,
        "web",
        "--wai",
    ]


def test_flags_of_helm_pin_are_left_out(env: dict[str, str]) -> None:
    assert asked(env, "rollback", "web", "--verify", "") == ["rollback", "web", ""]
    assert asked(env, "verify", "web", "--verbose", "--revision", "") == ["rollback", "web", ""]
    assert asked(env, "upgrade", "--mutable", "refuse", "rel", "--locked", "--lock=a", "") == ["upgrade", "rel", ""]
    assert asked(env, "upgrade", "rel", "--output=") == ["upgrade", "rel", "--output="]


def test_diff(env: dict[str, str]) -> None:
    assert printed(env, "diff", "") == ["upgrade", "rollback", ":4"]
    assert printed(env, "diff", "--locked", "") == ["upgrade", "rollback", ":4"]
    assert asked(env, "diff", "upgrade", "") == ["upgrade", ""]
    assert asked(env, "diff", "rollback", "web", "") == ["rollback", "web", ""]


def test_values_of_flags(env: dict[str, str]) -> None:
    for words in (["--mutable", ""], ["--mutable="], ["--mutable=re"]):
        assert printed(env, "upgrade", "rel", *words) == ["pin", "refuse", ":4"]
    assert printed(env, "audit", "--fail-on", "") == [*KINDS, "different", "none", ":4"]
    for name, outputs in OUTPUTS.items():
        for option in outputs:
            assert printed(env, name, "rel", "-o", "") == [*option.choices, ":4"], name
    assert printed(env, "plan", "rel", "--output", "") == printed(env, "plan", "rel", "-o", "")
    assert printed(env, "upgrade", "rel", "--lock", "") == [":0"]
    assert printed(env, "upgrade", "rel", "--platform", "") == [":4"]


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_values_of_global_flags_after_each_command(env: dict[str, str], command: str) -> None:
    """helm takes them out of the words, so that they stand in its own command line alone."""
    for flag in ("--kube-context",) if command != "upgrade" else VALUES:
        line = ["sh", "-c", START, "helm", "__complete", "pin", command, flag, ""]
        done = subprocess.run(line, env={**env, "COMMAND": command}, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == ["__complete", flag, ""]


def test_lint(env: dict[str, str]) -> None:
    """Its arguments are files, its flags those of helm template."""
    for words in (["--fix", ""], ["chart", ""], [""], ["--values=a", ""]):
        assert printed(env, "lint", *words) == [":0"]
    assert asked(env, "lint", "chart", "--fix", "--kube-v") == ["template", "--kube-v"]
    assert asked(env, "lint", "-f", "") == ["template", "x", "-f", ""]
