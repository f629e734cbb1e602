"""The settings file on real helms: where it is found, what it decides, and what says so."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest

from tests.integration.test_lint import POD, make
from tests.support.any_tag import AnyTag
from tests.support.workstation import CHECKOUT, Finished, Workstation


class Repository:
    """A repository with charts, and helm-pin run from elsewhere."""

    def __init__(self, root: Path, machine: Workstation, content: AnyTag) -> None:
        self.root, self.elsewhere = root / "repository", root / "elsewhere"
        self.elsewhere.mkdir()
        self.root.mkdir()
        subprocess.run(["git", "init", "-q", self.root], check=True)
        env = {"HELM_BIN": str(machine.helm_binary), "HELM_PIN_REGISTRY_MIRROR": content.mirror}
        self.machine = machine.with_env(**env)
        make(self.root / "charts/web", POD % ("web", "ghcr.io/team/web:main"))
        make(self.root / "charts/other", POD % ("other", "quay.io/team/other:main"))

    def pin(self, *args: object) -> Finished:
        """helm-pin, without the time that its start takes."""
        return self.machine.forked(*args, cwd=self.elsewhere)

    def plan(self, chart: str, *args: object) -> Finished:
        """The plan of a chart."""
        return self.pin("plan", "rel", self.root / "charts" / chart, "--no-cluster", *args)


@pytest.fixture
def repository(tmp_path: Path, workstation: Workstation, content: AnyTag) -> Repository:
    """Helm 3, then Helm 4."""
    return Repository(tmp_path, workstation, content)


def test_a_named_file_counts_where_no_registry_is_asked(repository: Repository) -> None:
    chart, file = repository.root / "charts/web", repository.elsewhere / "policy.yaml"
    assert repository.pin("lint", chart).status == 3
    file.write_text("rules: [{match: ghcr.io/team/*, fixed-tag: [main]}]\n")
    passed = repository.pin("lint", chart, "--config", file)
    assert passed.status == 0, passed.stderr
    (repository.root / ".helm-pin.yaml").write_text(file.read_text())
    assert repository.pin("lint", chart).status == 0
    assert repository.pin("lint", chart, "--config", "none").status == 3


def test_the_file_of_the_repository(repository: Repository) -> None:
    assert repository.plan("web").status == 0
    file = repository.root / ".helm-pin.yaml"
    file.write_text("mutable: refuse\nrules: [{match: ghcr.io/team/*, mutable: pin}]\n")
    verbose = repository.plan("web", "-v")
    assert verbose.status == 0 and verbose.stdout.endswith(f"settings file: {file}\n")
    assert f"{file}, key rules, entry 1: for ghcr.io/team/*, pin" in verbose.stderr
    other = repository.plan("other")
    assert other.status == 3 and "quay.io/team/other:main: tag main moves by design" in other.stderr
    debug = repository.machine.with_env(HELM_DEBUG="1").run(
        CHECKOUT / "bin/helm-pin", "plan", "rel", repository.root / "charts/web", "--no-cluster"
    )
    assert f"[helm-pin] settings file: {file}" in debug.stderr
    assert repository.plan("other", "--config", "none").status == 0
    (repository.root / "charts/other/.helm-pin.yaml").write_text("mutable: pin\n")
    assert repository.plan("other").status == 0


def test_a_rule_and_a_registry_refuse(repository: Repository) -> None:
    file = repository.root / ".helm-pin.yaml"
    file.write_text("rules: [{match: quay.io, mutable: refuse}]\nallowed-registry: [quay.io]\n")
    other, web = repository.plan("other"), repository.plan("web")
    assert (other.status, web.status) == (3, 3)
    assert f"tag main moves by design, and {file}, key rules, entry 1 refuses it" in other.stderr
    assert f"not from an allowed registry ({file}, key allowed-registry: quay.io)" in web.stderr
    assert "used by Pod/web container c" in web.stderr
    linted = repository.pin("lint", repository.root / "charts/web", "-o", "json")
    assert "not from an allowed registry" in json.loads(linted.stdout)[0]["reason"]


def test_each_chart_that_is_linted_has_its_own_file(repository: Repository) -> None:
    (repository.root / "charts/web/.helm-pin.yaml").write_text("allow-unpinned: ['ghcr.io/team/*']\n")
    done = repository.pin("lint", *sorted((repository.root / "charts").iterdir()), "-o", "json")
    assert [found["image"] for found in json.loads(done.stdout)] == ["quay.io/team/other:main"]


def test_what_is_in_force(repository: Repository) -> None:
    file = repository.root / ".helm-pin.yaml"
    file.write_text("mutable: refuse\nmutable-tag: [x]\n")
    chart = repository.root / "charts/web"
    done = repository.pin("config", chart, "--mutable-tag", "v*")
    assert done.status == 0
    assert done.stdout.splitlines()[0] == f"settings file: {file}"
    rows = [line.split()[:3] for line in done.stdout.splitlines()[3:]]
    assert [row for row in rows if row[2] != "default"] == [
        ["mutable", "refuse", f"{file},"],
        ["mutable-tag", "v*", "--mutable-tag"],
        ["registry-mirror", repository.machine.env["HELM_PIN_REGISTRY_MIRROR"], "HELM_PIN_REGISTRY_MIRROR"],
    ]
    assert ["registry-timeout", "30s", "default"] in rows
    data = json.loads(repository.pin("config", chart, "-o", "json").stdout)
    assert data["file"] == str(file)
    assert {"name": "mutable", "value": "refuse", "from": f"{file}, key mutable"} in data["settings"]
    assert repository.pin("config").stdout.startswith("settings file: none\n")
    assert "mutable " in repository.pin("config", "--config", "none").stdout
    assert repository.pin("config", "oci://registry.example/charts/web").status == 0
    missing = repository.pin("config", "nosuch")
    assert (missing.status, missing.stdout) == (1, "")
    assert missing.stderr.startswith("Error: chart not found\n  at    nosuch\n  why ")
    first = "{image: 'a/*', reason: one, until: 2099-01-31}"
    file.write_text(f"allow-unpinned: [{first}, {{image: b, reason: two, until: 2020-02-01}}, c]\n")
    allowed = [
        line for line in repository.pin("config", chart).stdout.splitlines() if line.startswith("allow-unpinned")
    ]
    assert [re.split("  +", line)[1] for line in allowed] == [
        "a/* (until 2099-01-31: one)",
        "b (until 2020-02-01: two): over",
        "c",
    ]
    jsonschema.Draft202012Validator.check_schema(json.loads(repository.pin("config", "--schema").stdout))
    file.write_text("mutable: perhaps\n")
    assert repository.pin("config", chart).status == 2


def test_a_found_file_does_not_say_who_is_asked(repository: Repository) -> None:
    (repository.root / ".helm-pin.yaml").write_text("registry-mirror: ['*=http://127.0.0.1:1']\n")
    done = repository.plan("web")
    assert done.status == 2 and "allowed only in a settings file that you name (--config)" in done.stderr
    assert f"--config {repository.root / '.helm-pin.yaml'} or HELM_PIN_CONFIG" in done.stderr
