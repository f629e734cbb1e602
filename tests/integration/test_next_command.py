"""The commands that messages advise: what they name, and what helm finds in the kubeconfig anyway."""

from __future__ import annotations

from pathlib import Path

import pytest

from helmpin import next_command
from helmpin.next_command import helm_command, kubectl_command
from tests.support.workstation import Workstation

CONFIG = """\
apiVersion: v1
kind: Config
current-context: here
clusters:
- {name: c, cluster: {server: "https://127.0.0.1:1"}}
contexts:
- name: here
  context: {cluster: c, user: u, namespace: shop}
- name: there
  context: {cluster: c, user: u}
- name: my cluster
  context: {cluster: c, user: u}
"""


@pytest.fixture(autouse=True)
def config(workstation: Workstation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kubeconfig of a helm that helm-pin was started by."""
    file = tmp_path / "config"
    file.write_text(CONFIG)
    monkeypatch.setenv("KUBECONFIG", str(file))
    monkeypatch.setenv("HELM_BIN", str(workstation.helm_binary))
    for name in ("HELM_NAMESPACE", "HELM_KUBECONTEXT", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    next_command.usual_namespace.cache_clear()
    return file


@pytest.mark.parametrize(
    ("namespace", "context", "flags"),
    [
        ("", "", ""),
        ("shop", "", ""),
        ("shop", "here", " CONTEXT here"),
        ("jobs", "", " --namespace jobs"),
        ("default", "", " --namespace default"),
        ("default", "there", " CONTEXT there"),
        ("shop", "there", " --namespace shop CONTEXT there"),
        ("shop", "my cluster", " --namespace shop CONTEXT 'my cluster'"),
    ],
)
def test_the_kubeconfigs_namespace_is_left_out(
    namespace: str, context: str, flags: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELM_NAMESPACE", namespace)
    monkeypatch.setenv("HELM_KUBECONTEXT", context)
    assert helm_command("history web") == "helm history web" + flags.replace("CONTEXT", "--kube-context")
    assert kubectl_command("delete job x") == "kubectl delete job x" + flags.replace("CONTEXT", "--context")


def test_an_object_has_its_own_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_NAMESPACE", "jobs")
    assert kubectl_command("get pod x", namespace="other") == "kubectl get pod x --namespace other"
    assert kubectl_command("get pod x", namespace="shop") == "kubectl get pod x"
    assert helm_command("list --all-namespaces", namespace=None) == "helm list --all-namespaces"


def test_several_files(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that says something of a context counts."""
    first, gone = config.with_name("first"), config.with_name("gone")
    first.write_text("apiVersion: v1\nkind: Config\ncontexts: [{name: here, context: {cluster: c, namespace: jobs}}]\n")
    monkeypatch.setenv("KUBECONFIG", f"{gone}:{first}:{config}")
    monkeypatch.setenv("HELM_NAMESPACE", "jobs")
    assert helm_command("history web") == "helm history web"


@pytest.mark.parametrize("text", ["", "kind: Config\n", "{", "contexts: [here, {}]", None])
def test_without_a_namespace_it_is_default(text: str | None, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the kubeconfig is invalid, or not there: helm takes `default` then, so nothing need be named."""
    config.unlink() if text is None else config.write_text(text)
    monkeypatch.setenv("HELM_NAMESPACE", "default")
    assert helm_command("history web") == "helm history web"
    monkeypatch.setenv("HELM_NAMESPACE", "shop")
    assert helm_command("history web") == "helm history web --namespace shop"


def test_a_helm_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_NAMESPACE", "shop")
    for program in ("/nonexistent/helm", "/bin/false"):
        monkeypatch.setenv("HELM_BIN", program)
        next_command.usual_namespace.cache_clear()
        assert helm_command("history web") == "helm history web --namespace shop"


@pytest.mark.parametrize(
    ("args", "advised"),
    [
        (["verify", "web", "--revision", "one"], "helm pin history web FLAGS lists the revisions"),
        (
            ["plan", "web", "CHART", "--lock", "my lock.yaml"],
            "write it: helm pin lock web CHART --file 'my lock.yaml' FLAGS",
        ),
    ],
    ids=lambda words: words[0] if isinstance(words, list) else "",
)
def test_a_whole_command(args: list[str], advised: str, workstation: Workstation, config: Path, tmp_path: Path) -> None:
    """As a person gives it, with helm's own flags."""
    machine = workstation.with_env(KUBECONFIG=str(config))
    of_another_file = ["--namespace", "jobs", "--kube-context", "there", "--kubeconfig", str(config)]
    for flags in ([], of_another_file[:4], of_another_file):
        done = machine.pin(*args, *flags, cwd=tmp_path)
        assert done.status == 2, done.stderr
        assert advised.replace(" FLAGS", "".join(f" {flag}" for flag in flags)) in done.stderr
