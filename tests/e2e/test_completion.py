"""What a shell is offered at TAB, on both helms and a real cluster; the shells' scripts ask `helm __complete` the same way.

What plugin.complete makes of each command and flag is shown in tests/unit/test_completion.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helmpin.command_table import COMMANDS
from tests.support import kube
from tests.support.workstation import Workstation


def offered(machine: Workstation, *words: str) -> list[str]:
    """The candidates after `helm pin`."""
    return of_helm(machine, "pin", *words)


def of_helm(machine: Workstation, *words: str) -> list[str]:
    """The candidates after `helm`, without their descriptions. (A shell takes those that begin as the word does.)"""
    done = machine.run(machine.helm_binary, "__complete", *words)
    assert done.status == 0, done.stderr
    *found, directive = done.stdout.splitlines()
    assert directive.startswith(":")
    return [line.partition("\t")[0] for line in found]


@pytest.fixture(scope="class")
def released(shared_in_cluster: Workstation, tmp_path_factory: pytest.TempPathFactory) -> Workstation:
    """A machine with a release `web` of two revisions."""
    chart = tmp_path_factory.mktemp("charts") / "web"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 1.0.0\n")
    (chart / "templates/text.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n")
    for _ in range(2):
        shared_in_cluster.helm("upgrade", "--install", "web", chart)
    return shared_in_cluster


class TestOfARelease:
    """What is in the cluster: on both helms, which are asked for it."""

    def test_releases(self, released: Workstation) -> None:
        for command in ("upgrade", "rollback", "history", "verify"):
            assert offered(released, command, "") == ["web"], command

    def test_revisions(self, released: Workstation) -> None:
        assert offered(released, "diff", "rollback", "web", "") == ["1", "2"]
        assert offered(released, "verify", "web", "--revision", "") == ["1", "2"]
        assert offered(released, "verify", "--revision", "") == []  # of which release is not known yet

    def test_contexts_and_namespaces(self, released: Workstation, shared_unique: str) -> None:
        contexts = [each["name"] for each in json.loads(Path(released.env["KUBECONFIG"]).read_text())["contexts"]]
        assert contexts and offered(released, "audit", "--context", "") == contexts
        before = namespaces(released)
        offers = set(of_helm(released, "--namespace", ""))  # helm completes its own flags before `pin`
        after = namespaces(released)  # those of other tests come and go
        assert before & after <= offers <= before | after
        assert offered(released, "rollback", "--namespace", shared_unique, "") == ["web"]
        assert offered(released, "rollback", "--namespace", "kube-system", "") == []


def namespaces(machine: Workstation) -> set[str]:
    """The namespaces of the cluster."""
    items = kube.namespace(machine).cluster.api("GET", "/api/v1/namespaces")["items"]
    return {item["metadata"]["name"] for item in items}


def test_commands_and_flags(workstation: Workstation) -> None:
    assert offered(workstation, "roll") == ["rollback"]
    assert offered(workstation, "") == sorted(COMMANDS)
    assert "--mutable" in offered(workstation, "upgrade", "--mut")
    assert offered(workstation, "upgrade", "--insta") == ["--install"]  # helm's own
    assert offered(workstation, "plan", "rel", "-o", "") == [*COMMANDS["plan"].options[0].choices]
    assert "json" in offered(workstation, "upgrade", "rel", "-o", "")


def test_values_of_flags(workstation: Workstation) -> None:
    assert offered(workstation, "upgrade", "rel", "--mutable=re") == ["pin", "refuse"]
    assert "json" in offered(workstation, "upgrade", "rel", "--output=")  # helm's own


def test_flags_before_the_command(workstation: Workstation) -> None:
    assert offered(workstation, "--quiet", "plan", "--mut")[0] == "--mutable"
    assert offered(workstation, "--quiet", "--no-color", "plan", "--mutable", "") == ["pin", "refuse"]


CONTEXTS = """\
apiVersion: v1
kind: Config
contexts: [{name: first, context: {cluster: c}}, {name: second, context: {cluster: c}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
"""


def test_values_of_global_flags(workstation: Workstation, tmp_path: Path) -> None:
    """helm takes them out before it asks the plugin."""
    (tmp_path / "config").write_text(CONTEXTS)
    machine = workstation.with_env(KUBECONFIG=str(tmp_path / "config"))
    for words in (["--kube-context", ""], ["--kube-context", "fi"], ["--kube-context="]):
        assert sorted(offered(machine, "upgrade", *words)) == ["first", "second"]
    assert "first" not in offered(machine, "upgrade", "--kube-context", "first", "")


def test_lint(workstation: Workstation) -> None:
    """Its arguments are files, its flags those of helm template."""
    assert offered(workstation, "lint", "--val")[-1] == "--values"
    assert offered(workstation, "lint", "chart", "--fi") == ["--fix"]
    done = workstation.run(workstation.helm_binary, "__complete", "pin", "lint", "-f", "")
    assert done.stdout == ":0\n"


def test_charts(workstation: Workstation) -> None:
    """As helm completes them, whatever flags of helm-pin come before."""
    found = offered(workstation, "upgrade", "--mutable", "refuse", "rel", "--locked", "--lock=a", "")
    assert found == of_helm(workstation, "upgrade", "rel", "") != []
