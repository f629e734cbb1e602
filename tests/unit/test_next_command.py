"""The commands that messages advise: what they name, and what the kubeconfig says anyway."""

from __future__ import annotations

from pathlib import Path

import pytest

from helmpin.next_command import helm_command, kubectl_command

CONFIG = """\
apiVersion: v1
kind: Config
current-context: here
contexts:
- name: here
  context: {cluster: c, user: u, namespace: shop}
- name: there
  context: {cluster: d, user: u}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "config"
    file.write_text(CONFIG)
    monkeypatch.setenv("KUBECONFIG", str(file))
    for name in ("HELM_NAMESPACE", "HELM_KUBECONTEXT", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    return file


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize(
    ("namespace", "context", "flags"),
    [
        ("", "", ""),
        ("shop", "", ""),
        ("shop", "here", ""),
        ("jobs", "", " --namespace jobs"),
        ("default", "", " --namespace default"),
        ("default", "there", " CONTEXT there"),
        ("shop", "there", " --namespace shop CONTEXT there"),
        ("shop", "my cluster", " --namespace shop CONTEXT 'my cluster'"),
    ],
)
def test_what_the_kubeconfig_says_is_left_out(
    namespace: str, context: str, flags: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELM_NAMESPACE", namespace)
    monkeypatch.setenv("HELM_KUBECONTEXT", context)
    assert helm_command("history web") == "helm history web" + flags.replace("CONTEXT", "--kube-context")
    assert kubectl_command("delete job x") == "kubectl delete job x" + flags.replace("CONTEXT", "--context")


@pytest.mark.usefixtures("config")
def test_an_object_has_its_own_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_NAMESPACE", "jobs")
    assert kubectl_command("get pod x", namespace="other") == "kubectl get pod x --namespace other"
    assert kubectl_command("get pod x", namespace="shop") == "kubectl get pod x"
    assert helm_command("list --all-namespaces", namespace=None) == "helm list --all-namespaces"


def test_the_first_of_several_files_counts(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, gone = config.with_name("first"), config.with_name("gone")
    first.write_text("contexts: [{name: here, context: {namespace: jobs}}]\n")
    monkeypatch.setenv("KUBECONFIG", f"{gone}:{first}:{config}")
    monkeypatch.setenv("HELM_NAMESPACE", "jobs")
    assert helm_command("history web") == "helm history web"


@pytest.mark.parametrize("text", ["", "contexts: {here: {namespace: shop}}", "contexts: [here, {}]", "[]"])
def test_without_a_namespace_it_is_default(text: str, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text(text)
    monkeypatch.setenv("HELM_NAMESPACE", "default")
    assert helm_command("history web") == "helm history web"


def test_what_is_not_known_is_said(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid kubeconfig; and a pod without one, whose namespace helm has from the service account."""
    monkeypatch.setenv("HELM_NAMESPACE", "default")
    config.write_text("{")
    assert helm_command("history web") == "helm history web --namespace default"
    config.unlink()
    assert helm_command("history web") == "helm history web"
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    assert helm_command("history web") == "helm history web --namespace default"
