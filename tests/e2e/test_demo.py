"""scripts/demo: it checks each of its own claims, so it must end well; and it leaves nothing behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts.devtools import cluster as local
from scripts.devtools.api import Cluster
from scripts.devtools.binaries import binary
from tests.support.workstation import CHECKOUT, Finished, environment


def demo(*args: str, **env: str) -> Finished:
    done = subprocess.run(
        [CHECKOUT / "scripts/demo", *args],
        cwd="/",
        env={**environment(), **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def test_on_a_cluster_of_its_own() -> None:
    """With one Helm; the other follows on the real node, and tests/e2e/test_main_job.py goes the same way with both."""
    shown = demo("--helm", str(binary("helm3")))
    assert shown.status == 0, shown.stdout + shown.stderr
    assert "That was helm-pin." in shown.stdout
    assert [name for name in local.names() if name.startswith("demo-")] == []


def test_on_the_current_cluster_with_a_real_node(node_cluster: Cluster) -> None:
    env = {"KUBECONFIG": node_cluster.kubeconfig, "HELM_PIN_DEMO_REGISTRY": node_cluster.registry}
    shown = demo("--use-current-cluster", "--helm", str(binary("helm4")), **env)
    assert shown.status == 0, shown.stdout + shown.stderr
    assert "the pod of plain  prints: build B\n  the pod of shop   prints: build A" in shown.stdout


def test_what_it_does_not_know() -> None:
    shown = demo("--nod")
    assert (shown.status, "unrecognized arguments: --nod" in shown.stderr) == (2, True)
    assert "The main job of helm-pin" in demo("--help").stdout


@pytest.mark.parametrize("context", ["dead", ""])
def test_a_current_cluster_that_does_not_answer(context: str, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        f"""{{apiVersion: v1, kind: Config, current-context: "{context}",
        contexts: [{{name: dead, context: {{cluster: c, user: u}}}}], users: [{{name: u, user: {{token: t}}}}],
        clusters: [{{name: c, cluster: {{server: "https://127.0.0.1:1"}}}}]}}"""
    )
    shown = demo("--use-current-cluster", "--helm", str(binary("helm4")), KUBECONFIG=str(kubeconfig))
    assert (shown.status, shown.stdout) == (1, "")
    message, at, why, *hint = shown.stderr.splitlines()
    assert message == "scripts/demo: error: the current cluster does not answer"
    assert at == ("  at    context dead" if context else "  at    kubectl has no current context")
    assert why.startswith("  why   ") and "memcache" not in why and "Please enter" not in why
    assert hint[0].startswith("  next  kubectl config get-contexts") and "--use-current-cluster" in hint[1]
