"""deploy/audit on a real API server: it is accepted there, and its account may do what an audit needs and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.devtools.api import Cluster
from tests.support import app as apps
from tests.support.workstation import CHECKOUT, Workstation, whichever_helm

pytestmark = whichever_helm

CHART = CHECKOUT / "deploy" / "audit"
IMAGE = ("--set", "image.repository=registry.example.com/helm-pin")
GATEWAY = ("--set", "output.pushgateway=http://pushgateway:9091/")
TEXTFILE = ("--set", "output.textfileDirectory=/var/lib/node-exporter")
LISTED = ["pods", "secrets", "deployments.apps", "replicasets.apps", "statefulsets.apps", "daemonsets.apps"]
LISTED += ["jobs.batch", "cronjobs.batch"]


def rendered(machine: Workstation, *args: str) -> list[dict[str, Any]]:
    return [item for item in yaml.safe_load_all(machine.helm("template", "audit", CHART, *IMAGE, *args)) if item]


def may(cluster: Cluster, namespace: str, verb: str, resource: str, where: str = "") -> bool:
    """Whether the audit's account may do that: in one namespace, or in all."""
    name, _, group = resource.partition(".")
    name, _, sub = name.partition("/")
    spec = {
        "user": f"system:serviceaccount:{namespace}:audit",
        "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
        "resourceAttributes": {
            "verb": verb,
            "resource": name,
            "group": group,
            "subresource": sub,
            "namespace": where,
        },
    }
    answer = cluster.api("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec})
    return bool(answer["status"]["allowed"])


def container(items: list[dict[str, Any]]) -> dict[str, Any]:
    (job,) = [item for item in items if item["kind"] == "CronJob"]
    (found,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return dict(found)


class TestRendered:
    def test_it_passes_helms_own_lint(self, workstation: Workstation) -> None:
        workstation.helm("lint", "--strict", CHART, *IMAGE, *GATEWAY)

    def test_to_a_pushgateway(self, workstation: Workstation) -> None:
        args = container(rendered(workstation, *GATEWAY))["args"]
        assert "--to=http://pushgateway:9091/metrics/job/helm-pin-audit/shard/all" in args
        assert "--all-namespaces" in args

    def test_to_a_file(self, workstation: Workstation) -> None:
        found = container(rendered(workstation, *TEXTFILE, "--set", "namespaces={shop}"))
        assert "--to=/metrics/helm-pin-shop.prom" in found["args"]
        assert "--namespace=shop" in found["args"]
        assert {mount["name"] for mount in found["volumeMounts"]} == {"tmp", "metrics"}

    @pytest.mark.parametrize(("args", "why"), [(IMAGE, "output.pushgateway"), (GATEWAY, "image.repository")])
    def test_what_is_missing(self, workstation: Workstation, args: tuple[str, ...], why: str) -> None:
        done = workstation.run(workstation.helm_binary, "template", "audit", CHART, *args)
        assert done.status != 0
        assert why in done.stderr


@pytest.fixture(scope="class")
def audited(
    shared_in_cluster: Workstation, cluster: Cluster, shared_unique: str, tmp_path_factory: pytest.TempPathFactory
) -> Workstation:
    """A release that is there."""
    apps.app(shared_in_cluster, cluster.registry, shared_unique, tmp_path_factory.mktemp("app")).deploy()
    return shared_in_cluster


class TestApplied:
    """The account has its rights and no others, and the job's own arguments do with them."""

    def test_the_whole_cluster(
        self, audited: Workstation, cluster: Cluster, shared_unique: str, tmp_path: Path
    ) -> None:
        audited.helm("install", "audit", CHART, *IMAGE, *TEXTFILE)
        try:
            assert all(may(cluster, shared_unique, "list", resource) for resource in LISTED)
            for verb in ("get", "watch", "create", "update", "patch", "delete"):
                assert not any(may(cluster, shared_unique, verb, each, shared_unique) for each in LISTED), verb
            for resource in ("configmaps", "serviceaccounts", "nodes", "roles.rbac.authorization.k8s.io"):
                assert not may(cluster, shared_unique, "list", resource, shared_unique), resource
            assert not may(cluster, shared_unique, "create", "pods/exec", shared_unique)
            self.run(audited, cluster, shared_unique, tmp_path, "all")
        finally:
            audited.helm("uninstall", "audit")  # what is in no namespace, too

    def test_namespaces_one_by_one(
        self, audited: Workstation, cluster: Cluster, shared_unique: str, tmp_path: Path
    ) -> None:
        audited.helm("install", "audit", CHART, *IMAGE, *TEXTFILE, "--set", f"namespaces={{{shared_unique}}}")
        try:
            assert all(may(cluster, shared_unique, "list", resource, shared_unique) for resource in LISTED)
            assert not any(may(cluster, shared_unique, "list", each, "default") for each in LISTED)
            metrics = self.run(audited, cluster, shared_unique, tmp_path, shared_unique)
            assert 'helm_pin_audit_unread{context=""} 0' in metrics
            assert f'namespace="{shared_unique}"' in metrics and metrics.count("helm_pin_release_info{") == 2
        finally:
            audited.helm("uninstall", "audit")

    def run(self, machine: Workstation, cluster: Cluster, namespace: str, folder: Path, shard: str) -> str:
        """The metrics that the job writes with the account's own token."""
        kubeconfig = folder / "account"
        asked = f"/api/v1/namespaces/{namespace}/serviceaccounts/audit/token"
        token = cluster.api("POST", asked, {})["status"]["token"]
        cluster._replace(token=token).write_kubeconfig(kubeconfig)
        (template,) = cluster.api("GET", f"/apis/batch/v1/namespaces/{namespace}/cronjobs")["items"]
        (job,) = template["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        assert job["command"] == ["helm", "pin", "audit"]
        args = [arg.replace("--to=/metrics", f"--to={folder}") for arg in job["args"]]
        done = machine.with_env(KUBECONFIG=str(kubeconfig)).pin("audit", *args)
        assert done.status == 0, done.stderr
        assert "forbidden" not in done.stderr
        metrics = (folder / f"helm-pin-{shard}.prom").read_text()
        assert f'helm_pin_release_images_pinned{{context="",namespace="{namespace}",release="app"}} 1' in metrics
        return metrics
