"""deploy/audit on a real API server: it is accepted there, and its account may do what an audit needs and nothing else."""

from __future__ import annotations

import json
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


def may(machine: Workstation, account: str, verb: str, resource: str, *scope: str) -> bool:
    done = machine.run("kubectl", "auth", "can-i", verb, resource, f"--as=system:serviceaccount:{account}", *scope)
    return done.stdout.strip() == "yes"


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


class TestApplied:
    def test_the_whole_cluster(self, in_cluster: Workstation, unique: str) -> None:
        in_cluster.helm("install", "audit", CHART, *IMAGE, *GATEWAY)
        account = f"{unique}:audit"
        try:
            assert all(may(in_cluster, account, "list", resource, "--all-namespaces") for resource in LISTED)
            for verb in ("get", "watch", "create", "update", "patch", "delete"):
                assert not any(may(in_cluster, account, verb, resource) for resource in LISTED), verb
            for resource in ("configmaps", "serviceaccounts", "nodes", "roles.rbac.authorization.k8s.io"):
                assert not may(in_cluster, account, "list", resource), resource
            assert not may(in_cluster, account, "create", "pods/exec")
        finally:
            in_cluster.helm("uninstall", "audit")  # what is in no namespace, too

    def test_namespaces_one_by_one(self, in_cluster: Workstation, unique: str) -> None:
        in_cluster.kubectl("create", "namespace", f"{unique}-other")
        try:
            in_cluster.helm("install", "audit", CHART, *IMAGE, *TEXTFILE, "--set", f"namespaces={{{unique}}}")
            account = f"{unique}:audit"
            assert all(may(in_cluster, account, "list", resource) for resource in LISTED)
            assert not any(may(in_cluster, account, "list", r, "-n", f"{unique}-other") for r in LISTED)
            jobs = json.loads(in_cluster.kubectl("get", "cronjobs", "-o", "json"))["items"]
            assert len(jobs) == 1
        finally:
            in_cluster.kubectl("delete", "namespace", f"{unique}-other", "--wait=false")

    @pytest.mark.parametrize("shard", ["all", ""])
    def test_the_audit_runs_with_that_account(
        self, in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path, shard: str
    ) -> None:
        """The job's own arguments, with the account's own token, on a release that is there."""
        made = apps.app(in_cluster, cluster.registry, unique, tmp_path)
        made.deploy()
        shards = [] if shard else ["--set", f"namespaces={{{unique}}}"]
        in_cluster.helm("install", "audit", CHART, *IMAGE, *TEXTFILE, *shards)
        try:
            self.run(in_cluster, cluster, unique, tmp_path, shard or unique)
        finally:
            in_cluster.helm("uninstall", "audit")  # what is in no namespace, too

    def run(self, in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path, shard: str) -> None:
        kubeconfig = tmp_path / "account"
        cluster._replace(token=in_cluster.kubectl("create", "token", "audit").strip()).write_kubeconfig(kubeconfig)
        template = json.loads(in_cluster.kubectl("get", "cronjobs", "-o", "json"))["items"][0]
        (job,) = template["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        assert job["command"] == ["helm", "pin", "audit"]
        args = [arg.replace("--to=/metrics", f"--to={tmp_path}") for arg in job["args"]]
        done = in_cluster.with_env(KUBECONFIG=str(kubeconfig)).pin("audit", *args)
        assert done.status == 0, done.stderr
        assert "forbidden" not in done.stderr
        metrics = (tmp_path / f"helm-pin-{shard}.prom").read_text()
        assert f'helm_pin_release_images_pinned{{context="",namespace="{unique}",release="app"}} 1' in metrics
        if shard == unique:
            assert 'helm_pin_audit_unread{context=""} 0' in metrics
            assert f'namespace="{unique}"' in metrics and metrics.count("helm_pin_release_info{") == 2
