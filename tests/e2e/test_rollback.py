"""helm pin rollback on real clusters: what it refuses before anything is touched, and what it proves afterwards."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from scripts.devtools.cluster import Cluster
from tests.support import app as apps
from tests.support.app import App, eventually
from tests.support.registry_servers import distribution
from tests.support.webhook import image_changer
from tests.support.workstation import Workstation

ANNOTATION = "helm-pin/digests"
DEPLOYMENTS = {"deployments": "/spec/template/spec"}


@pytest.fixture
def app(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> App:
    """On kwok, whose pods run at once and report no image."""
    return apps.app(in_cluster, cluster.registry, unique, tmp_path)


@pytest.fixture
def node_app(on_node: Workstation, node_cluster: Cluster, unique: str, tmp_path: Path) -> App:
    """On a node that pulls and runs."""
    return apps.app(on_node, node_cluster.registry, unique, tmp_path)


def deploy(app: App, letters: str) -> list[str]:
    """A revision for each letter; their digests."""
    digests = []
    for letter in letters:
        digests.append(app.push(letter))
        app.deploy()
    return digests


class TestTarget:
    @pytest.mark.parametrize("revision", [(), ("0",)])
    def test_the_one_before(self, app: App, revision: tuple[str, ...]) -> None:
        a, _, c = deploy(app, "ABC")
        assert app.rollback("1", "--verify").status == 0
        assert app.live() == app.image(a)
        done = app.rollback(*revision, "--verify")
        assert done.status == 0, done.stderr
        assert app.live() == app.image(c)  # revision 3, before the rollback's 4: not the 2 before 1
        assert "Revision 3: 1 image, set " in done.stderr
        assert "verified in record, manifest and workloads" in done.stderr

    def test_there_is_none(self, app: App) -> None:
        deploy(app, "A")
        for args in (["--verify"], ["7", "--verify"], ["7"], []):
            done = app.rollback(*args)
            assert done.status == 1, done.stderr
        done = app.rollback("first", "--verify")
        assert done.status == 2
        assert "REVISION is a number" in done.stderr
        assert app.statuses() == ["deployed"]


class TestDryRun:
    @pytest.mark.parametrize("proof", [[], ["--verify"]])
    def test_nothing_is_changed(self, app: App, proof: list[str]) -> None:
        _, b = deploy(app, "AB")
        done = app.rollback("1", "--dry-run", *proof)
        assert done.status == 0, done.stderr
        assert app.statuses() == ["superseded", "deployed"]
        assert app.live() == app.image(b)

    def test_what_would_be_refused(self, app: App) -> None:
        a, _ = deploy(app, "AB")
        app.delete(a)
        assert app.rollback("1", "--dry-run", "--verify").status == 4

    def test_none_is_no_dry_run(self, app: App) -> None:
        if not app.machine.helm4:
            pytest.skip("--dry-run=none is Helm 4's")
        a, _ = deploy(app, "AB")
        done = app.rollback("1", "--dry-run=none", "--verify")
        assert done.status == 0, done.stderr
        assert "verified in" in done.stderr
        assert app.live() == app.image(a)


class TestRefused:
    """Before anything is touched."""

    def untouched(self, app: App, revisions: int, digest: str) -> None:
        assert app.statuses() == ["superseded"] * (revisions - 1) + ["deployed"]
        assert app.live() == app.image(digest)

    def test_the_nearest_earlier_revision_is_offered(self, app: App) -> None:
        *_, c, d = digests = deploy(app, "ABCD")
        app.delete(digests[1])
        app.delete(c)
        done = app.rollback("3", "--verify")
        assert done.status == 4, done.stderr
        assert f"{app.registry}/{app.repository}@{c}" in done.stderr
        assert "helm pin rollback app 1 --verify: revision 1 can be restored" in done.stderr
        self.untouched(app, 4, d)
        assert app.rollback("1", "--verify").status == 0

    def test_nothing_can_be_restored(self, app: App) -> None:
        a, b = deploy(app, "AB")
        app.delete(a)
        done = app.rollback("--verify")
        assert done.status == 4
        assert "no earlier revision can be restored" in done.stderr
        self.untouched(app, 2, b)

    def test_a_registry_that_is_down(self, in_cluster: Workstation, unique: str, tmp_path: Path) -> None:
        with distribution(tmp_path / "registry") as server:
            app = apps.app(in_cluster, server.host, unique, tmp_path)
            _, b = deploy(app, "AB")
        done = app.rollback("1", "--verify", "--registry-timeout", "3s")
        assert done.status == 5, done.stderr
        assert server.host in done.stderr
        self.untouched(app, 2, b)
        assert app.rollback("1").status == 0  # plain helm's way is still open

    def test_a_record_that_was_tampered_with(self, app: App) -> None:
        a, b = deploy(app, "AB")

        def tamper(stored: dict[str, Any]) -> None:
            annotations = stored["chart"]["metadata"]["annotations"]
            annotations[ANNOTATION] = annotations[ANNOTATION].replace(a, b)

        app.rewrite(1, tamper)
        done = app.rollback("1", "--verify")
        assert done.status == 4, done.stderr
        assert "it was changed by hand" in done.stderr
        assert "--allow-unverified" in done.stderr
        self.untouched(app, 2, b)
        allowed = app.rollback("1", "--verify", "--allow-unverified")
        assert allowed.status == 0, allowed.stderr
        assert "not vouched for" in allowed.stderr
        assert app.live() == app.image(a)

    def test_a_manifest_that_was_tampered_with(self, app: App) -> None:
        a, b = deploy(app, "AB")

        def tamper(stored: dict[str, Any]) -> None:
            stored["manifest"] = stored["manifest"].replace(a, b)

        app.rewrite(1, tamper)
        done = app.rollback("1", "--verify")
        assert done.status == 4, done.stderr
        assert "Deployment/app container app" in done.stderr
        assert "is not in the record" in done.stderr
        self.untouched(app, 2, b)

    def test_an_account_that_may_not_look(self, app: App, cluster: Cluster, unique: str) -> None:
        _, b = deploy(app, "AB")
        everything_else = [
            {"apiGroups": [""], "resources": ["secrets", "pods"], "verbs": ["*"]},
            {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["create", "update", "patch", "delete"]},
        ]
        rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{unique}"
        cluster.api("POST", f"{rbac}/roles", {"metadata": {"name": "blind"}, "rules": everything_else})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "blind"}
        subject = {"kind": "User", "name": unique, "apiGroup": "rbac.authorization.k8s.io"}
        binding = {"metadata": {"name": "blind"}, "roleRef": role, "subjects": [subject]}
        cluster.api("POST", f"{rbac}/rolebindings", binding)
        done = app.rollback("1", "--verify", "--kube-as-user", unique)
        assert done.status == 1, done.stderr
        assert "nothing was changed" in done.stderr
        assert 'cannot get resource "deployments"' in done.stderr
        self.untouched(app, 2, b)


class TestReadBack:
    def test_a_webhook_that_changes_images(self, app: App, cluster: Cluster, unique: str, tmp_path: Path) -> None:
        a, _ = deploy(app, "AB")
        with image_changer(cluster, tmp_path, unique, DEPLOYMENTS, "example.com/other:1") as webhook:
            done = app.rollback("1", "--verify")
        assert done.status == 4, done.stderr
        assert f"Deployment/app app has example.com/other:1, the release says {app.image(a)}" in done.stderr
        assert "changed at admission" in done.stderr
        assert f"MutatingWebhookConfiguration/{webhook}, webhook images.example.com" in done.stderr
        assert app.statuses() == ["superseded", "superseded", "deployed"]

    def test_a_webhook_that_changes_pods(self, app: App, cluster: Cluster, unique: str, tmp_path: Path) -> None:
        deploy(app, "AB")
        with image_changer(cluster, tmp_path, unique, {"pods": "/spec"}, "example.com/other:1") as webhook:
            done = app.rollback("1", "--verify", "--wait", "--timeout", "60s")
        assert done.status == 4, done.stderr
        assert "the pods are not what revision 3 records" in done.stderr
        assert f"MutatingWebhookConfiguration/{webhook}" in done.stderr

    def test_a_node_that_does_not_say_what_runs(self, app: App) -> None:
        deploy(app, "AB")
        started = time.monotonic()
        done = app.rollback("1", "--verify", "--wait")
        assert done.status == 0, done.stderr
        assert "pods: cannot tell" in done.stderr
        assert "the node does not report which image" in done.stderr
        assert "verified in record, manifest and workloads" in done.stderr
        assert time.monotonic() - started < 60  # no use in waiting for --timeout's 5 minutes

    def test_a_rollback_that_fails(self, app: App) -> None:
        app.deploy("--set", "nodeSelector.there=nowhere")
        deploy(app, "B")
        done = app.rollback("1", "--verify", "--wait", "--timeout", "3s")
        assert done.status == 1, done.stderr
        assert "revision 3 is failed" in done.stderr
        assert "workloads: ok" in done.stderr
        assert "app has not started" in done.stderr

    def test_without_verify(self, app: App) -> None:
        a, _ = deploy(app, "AB")
        app.machine.helm("upgrade", "app", app.chart, "--reset-values")
        done = app.rollback("1")
        assert done.status == 0
        assert "Not checked: the registry, the cluster" in done.stderr
        assert app.live() == app.image(a)
        done = app.rollback("3")
        assert done.status == 0
        assert "the revision has no digest record" in done.stderr
        assert app.live() == app.image()


class TestOnNode:
    def test_the_program_of_before_runs_again(self, node_app: App) -> None:
        a, b = node_app.push("A"), ""
        node_app.deploy("--wait")
        b = node_app.push("B")
        node_app.deploy("--wait")
        eventually(lambda: node_app.prints() == "B")
        done = node_app.rollback("1", "--verify", "--wait", "--timeout", "60s")
        assert done.status == 0, done.stderr
        assert "verified in record, manifest and workloads and pods" in done.stderr
        eventually(lambda: node_app.prints() == "A")
        assert node_app.live() == node_app.image(a)
        assert a != b

    def test_a_digest_that_is_gone(self, node_app: App) -> None:
        a = node_app.push("A gone")
        node_app.deploy("--wait")
        node_app.machine.kubectl("delete", "pods", "--all", "--grace-period=1")
        b = node_app.push("B")
        node_app.deploy("--wait")
        node_app.delete(a)
        refused = node_app.rollback("1", "--verify", "--wait")
        assert refused.status == 4, refused.stderr
        assert node_app.statuses() == ["superseded", "deployed"]
        assert node_app.live() == node_app.image(b)

    def test_pods_that_are_not_there_in_time(self, node_app: App) -> None:
        """helm's --wait is content when a Deployment may have pods unavailable; the proof is not."""
        template = node_app.chart / "templates" / "deployment.yaml"
        spec = "  strategy: {rollingUpdate: {maxUnavailable: 1, maxSurge: 0}}\n  replicas:"
        template.write_text(template.read_text().replace("  replicas:", spec))
        node_app.deploy("--set", "nodeSelector.there=nowhere")
        node_app.push("B")
        node_app.deploy("--set", "replicas=0")
        done = node_app.rollback("1", "--verify", "--wait", "--timeout", "5s")
        assert "app has not started" in done.stderr
        assert done.status in (1, 4), done.stderr  # Helm 4 waits for every pod, and then it is the rollback that fails
        assert json.loads(node_app.machine.helm("status", "app", "-o", "json"))["version"] == 3
