"""The commands and the JSON in the documents: every command line is one, and every key is there."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from helmpin.command_table import COMMANDS
from helmpin.global_flags import take
from helmpin.helm import Helm
from helmpin.request import understand
from scripts.devtools.binaries import binary
from tests.integration.test_lint import POD, make
from tests.support.any_tag import any_tag
from tests.support.json_examples import example
from tests.support.workstation import CHECKOUT, Workstation, whichever_helm

DOCUMENTS = sorted([CHECKOUT / "README.md", *(CHECKOUT / "docs").glob("*.md"), *(CHECKOUT / "deploy").rglob("*.md")])


def command_lines(document: Path) -> list[str]:
    """Every `helm pin …` of a document's blocks, with continued lines joined, pipes and redirections cut off."""
    text = document.read_text()
    blocks = re.findall(r"(?ms)^```\w*\n(.*?)^```", text) + re.findall(r"(?m)^    (\S.*)$", text)
    lines = re.sub(r"\\\n\s*", " ", "\n".join(blocks)).splitlines()
    found = [match[1] for line in lines if (match := re.search(r"(?:^|\s|\$ |run: )helm pin ([a-z].*)$", line))]
    return [re.split(r"\s[|>]\s?|\s#\s", line)[0] for line in found]


CASES = [
    pytest.param(line, id=f"{document.name}: {line}")
    for document in DOCUMENTS
    if document.name != "commands.md"
    for line in dict.fromkeys(command_lines(document))
]


def test_commands_are_found() -> None:
    assert len(CASES) > 30


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where helm-pin keeps what helm has said of its flags."""
    return tmp_path_factory.mktemp("cached")


@pytest.mark.parametrize("line", CASES)
def test_a_command_line_is_one(line: str, cached: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HELM_CACHE_HOME", str(cached))
    name, *words = take(shlex.split(line))[0]
    assert name in COMMANDS
    words = [word.replace("…", "x") for word in words]
    if "--registry-username" in line:
        monkeypatch.setenv("HELM_PIN_REGISTRY_PASSWORD", "x")
    words = [word for word in words if word != "--registry-password-stdin"]
    for program in ("cosign", "trivy"):  # what --require names must be there
        (tmp_path / program).touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    if "--config" in words:
        Path(words[words.index("--config") + 1]).touch()
    understand(name, words, Helm(str(binary("helm4"))))


def shape(node: Any) -> Any:
    """Keys and kinds, without values; of a list its first element."""
    if isinstance(node, dict):
        return {key: shape(value) for key, value in node.items()}
    if isinstance(node, list):
        return [shape(node[0])] if node and isinstance(node[0], dict) else []
    return None


@whichever_helm
def test_json_is_as_documented(workstation: Workstation, tmp_path: Path) -> None:
    pod = POD % ("web", "team/web:{{ .Values.image.tag }}")
    chart = make(tmp_path / "charts/web", pod, values="# the tag\nimage:\n  tag: latest\n")
    with any_tag() as content:
        machine = workstation.with_env(
            HELM_BIN=str(workstation.helm_binary), HELM_PIN_REGISTRY_MIRROR=content.mirror, HELM_PIN_MUTABLE="pin"
        )

        def printed(*args: object) -> Any:
            return json.loads(machine.forked(*args, "-o", "json", cwd=tmp_path).stdout)

        linted = printed("lint", "charts/web")
        assert shape(linted) == shape(example("lint"))
        assert linted[0]["file"] == example("lint")[0]["file"]
        assert shape(printed("plan", "rel", chart, "--no-cluster")) == shape(example("plan"))
        config = printed("config", chart)
        config["settings"] = [row for row in config["settings"] if row["name"] == "mutable"]
        assert shape(config) == shape(example("config"))


def test_the_way_out_of_two_plugins_of_one_name(workstation: Workstation, tmp_path: Path) -> None:
    """As docs/troubleshooting.md says: helm itself removes neither."""
    shutil.copytree(workstation.env["HELM_DATA_HOME"], tmp_path / "data", symlinks=True)
    machine = workstation.with_env(HELM_DATA_HOME=str(tmp_path / "data"))
    (tmp_path / "again").symlink_to(CHECKOUT)
    machine.helm("plugin", "install", tmp_path / "again")
    refused = machine.run(machine.helm_binary, "plugin", "uninstall", "pin")
    assert refused.status == 1
    assert 'two plugins claim the name "pin"' in refused.stderr.replace("\\", "")
    (Path(machine.helm("env", "HELM_PLUGINS").strip()) / "again").unlink()
    assert machine.run(machine.helm_binary, "pin", "--version").status == 0
