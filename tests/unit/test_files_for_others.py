"""The files by which other tools use helm-pin: what they name exists, and what they run runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from helmpin import __version__
from helmpin.command_table import COMMANDS
from helmpin.config.file import FILE as SETTINGS

ROOT = Path(__file__).parents[2]


def load(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def test_one_version() -> None:
    assert load("plugin.yaml")["version"] == __version__


def test_bases_are_named_by_whoever_builds() -> None:
    """No tag of a base can be taken from this file by mistake."""
    for name in ("deploy/audit/Dockerfile", "Dockerfile"):
        text = (ROOT / name).read_text()
        bases = re.findall(r"(?m)^ARG (\w+_IMAGE.*)$", text)
        assert set(re.findall(r"(?m)^FROM (\S+)", text)) == {f"${{{base}}}" for base in bases}
        assert not any("=" in base for base in bases)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for line in re.findall(r"(?m)^COPY ([^-].*)$", text):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists() and f"!{source}" in ignored


@pytest.fixture
def fake_home(tmp_path: Path) -> Path:
    """The action's folder, with a helm-pin that prints its arguments."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/helm-pin").write_text('#!/bin/sh\nprintf "[%s]" "$@"\n')
    (tmp_path / "bin/helm-pin").chmod(0o755)
    for name in ("one", "two"):
        (tmp_path / "charts" / name).mkdir(parents=True)
    return tmp_path


def step(action: Any, given: dict[str, str], home: Path) -> str:
    """What the action's last step prints, run as a runner does."""
    assert all(each["shell"] == "bash" for each in action["runs"]["steps"])
    inputs = {name: given.get(name, about["default"]) for name, about in action["inputs"].items()}
    last = action["runs"]["steps"][-1]

    def filled(text: str) -> str:
        text = text.replace("${{ github.action_path }}", str(home))
        return re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda match: inputs[match[1]], text)

    env = {name: filled(text) for name, text in last["env"].items()}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", last["run"]]
    log = home / "log"  # a file, since opening /dev/stdout would empty it
    with log.open("w") as file:
        file.write("before\n")
        file.flush()
        done = subprocess.run(
            command, cwd=home, env={**os.environ, **env}, stdout=file, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 0, done.stderr
    before, _, shown = log.read_text().partition("\n")
    assert before == "before"
    return shown


def test_the_github_action(fake_home: Path) -> None:
    action = load("action.yml")
    assert action["runs"]["using"] == "composite" and action["name"] and action["description"]
    assert step(action, {}, fake_home) == "[lint][charts/one][charts/two][-o][github]"
    given = {"charts": "a b", "output": "sarif", "file": "out", "arguments": "--mutable-tag v*"}
    assert step(action, given, fake_home) == ""
    assert (fake_home / "out").read_text() == "[lint][a][b][-o][sarif][--mutable-tag][v*]"
    hostile = '"; touch hacked; $(touch hacked) `touch hacked`'
    step(action, {"charts": hostile}, fake_home)
    assert not (fake_home / "hacked").exists()
    assert all("${{" not in each["run"] for each in action["runs"]["steps"])


def test_the_gitlab_component() -> None:
    head, jobs = yaml.safe_load_all((ROOT / "templates/lint.yml").read_text())
    inputs = head["spec"]["inputs"]
    (job,) = jobs.values()
    used = set(re.findall(r"\$\[\[ inputs\.(\w+) \]\]", (ROOT / "templates/lint.yml").read_text()))
    assert used == set(inputs)
    assert job["artifacts"]["reports"]["codequality"] in job["script"][0]
    assert inputs["arguments"]["default"] == "" and "$[[ inputs.arguments ]] > " in job["script"][0]
    assert "-o gitlab" in job["script"][0] and "gitlab" in COMMANDS["lint"].options[0].choices


def test_the_pre_commit_hook() -> None:
    (hook,) = load(".pre-commit-hooks.yaml")
    assert (hook["language"], hook["entry"].split()) == ("python", ["helm-pin", "lint"])
    wanted = re.compile(hook["files"])
    for name in (
        "Chart.yaml",
        "a/values.yaml",
        "a/values-prod.yml",
        "a/templates/x/y.tpl",
        "a/ci/b-values.yaml",
        SETTINGS,
    ):
        assert wanted.search(name)
    for name in ("README.md", "src/chart.py", "a/NOTES"):
        assert not wanted.search(name)


def test_packages_have_what_docker_has() -> None:
    text = (ROOT / "scripts/package").read_text()
    for name in ("plugin.yaml", "completion.yaml", "plugin.complete", "install-binary.sh", "bin", "helmpin"):
        assert f'"{name}"' in text
    help_text = subprocess.run([sys.executable, ROOT / "scripts/package", "--help"], capture_output=True, text=True)
    assert help_text.returncode == 0 and "--offline" in help_text.stdout
