"""What a shell is offered at TAB, on both helms and a real cluster; the shells' scripts ask `helm __complete` the same way."""

from __future__ import annotations

from pathlib import Path

import pytest

from helmpin.audit.findings import KINDS
from helmpin.command_table import COMMANDS
from tests.support.workstation import Workstation, whichever_helm


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

    @pytest.mark.parametrize(
        "command", ["upgrade", "rollback", "history", "verify", "keep", "outdated", "plan", "lock"]
    )
    def test_releases(self, command: str, released: Workstation) -> None:
        assert offered(released, command, "") == ["web"]

    def test_revisions(self, released: Workstation) -> None:
        assert offered(released, "rollback", "web", "") == ["1", "2"]
        assert offered(released, "rollback", "web", "--verify", "") == ["1", "2"]
        assert offered(released, "verify", "web", "--revision", "") == ["1", "2"]

    def test_contexts_and_namespaces(self, released: Workstation) -> None:
        contexts = released.kubectl("config", "get-contexts", "-o", "name").split()
        assert contexts and offered(released, "audit", "--context", "") == contexts
        before = namespaces(released)
        offers = set(of_helm(released, "--namespace", ""))  # helm completes its own flags before `pin`
        after = namespaces(released)  # those of other tests come and go
        assert before & after <= offers <= before | after
        mine = released.kubectl("config", "view", "--minify", "--output=jsonpath={..namespace}")
        assert offered(released, "rollback", "--namespace", mine, "") == ["web"]
        assert offered(released, "rollback", "--namespace", "kube-system", "") == []

    def test_diff(self, released: Workstation) -> None:
        assert offered(released, "diff", "") == ["upgrade", "rollback"]
        assert offered(released, "diff", "--locked", "") == ["upgrade", "rollback"]
        assert offered(released, "diff", "upgrade", "") == ["web"]
        assert offered(released, "diff", "rollback", "web", "") == ["1", "2"]


def namespaces(machine: Workstation) -> set[str]:
    """The namespaces of the cluster."""
    return set(machine.kubectl("get", "namespaces", "--output=name").replace("namespace/", "").split())


def test_commands_and_flags(workstation: Workstation) -> None:
    assert offered(workstation, "") == sorted(COMMANDS)
    assert offered(workstation, "roll") == ["rollback"]
    assert "--mutable" in offered(workstation, "upgrade", "--mut")
    assert offered(workstation, "upgrade", "--insta") == ["--install"]  # helm's own
    assert offered(workstation, "plan", "rel", "--output", "") == [*COMMANDS["plan"].options[0].choices]
    assert offered(workstation, "plan", "rel", "-o", "") == [*COMMANDS["plan"].options[0].choices]
    assert offered(workstation, "upgrade", "rel", "--mutable", "") == ["pin", "refuse"]
    assert "json" in offered(workstation, "upgrade", "rel", "-o", "")


def test_values_of_flags(workstation: Workstation) -> None:
    assert offered(workstation, "upgrade", "rel", "--mutable=") == ["pin", "refuse"]
    assert offered(workstation, "upgrade", "rel", "--mutable=re") == ["pin", "refuse"]
    assert offered(workstation, "audit", "--fail-on", "") == [*KINDS, "different", "none"]
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


@pytest.fixture
def with_contexts(workstation: Workstation, tmp_path: Path) -> Workstation:
    """A machine that knows two clusters."""
    (tmp_path / "config").write_text(CONTEXTS)
    return workstation.with_env(KUBECONFIG=str(tmp_path / "config"))


@pytest.mark.parametrize("command", ["upgrade", "audit"])
def test_values_of_global_flags(command: str, with_contexts: Workstation) -> None:
    """helm takes them out before it asks the plugin."""
    for words in (["--kube-context", ""], ["--kube-context", "fi"], ["--kube-context="]):
        assert sorted(offered(with_contexts, command, *words)) == ["first", "second"]
    assert "first" not in offered(with_contexts, command, "--kube-context", "first", "")


@whichever_helm
@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_values_of_global_flags_after_each_command(command: str, with_contexts: Workstation) -> None:
    assert sorted(offered(with_contexts, command, "--kube-context", "")) == ["first", "second"]


def test_lint(workstation: Workstation) -> None:
    """Its arguments are files, its flags those of helm template."""
    assert offered(workstation, "lint", "--val")[-1] == "--values"
    assert offered(workstation, "lint", "chart", "--fi") == ["--fix"]
    assert "--kube-version" in offered(workstation, "lint", "chart", "--fix", "--kube-v")
    for words in (["-f", ""], ["--fix", ""], ["chart", ""]):
        done = workstation.run(workstation.helm_binary, "__complete", "pin", "lint", *words)
        assert done.stdout == ":0\n"


def test_charts(workstation: Workstation) -> None:
    """As helm completes them, whatever flags of helm-pin come before."""
    found = offered(workstation, "upgrade", "--mutable", "refuse", "rel", "--locked", "--lock=a", "")
    assert found == of_helm(workstation, "upgrade", "rel", "") != []
