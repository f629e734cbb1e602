"""scripts/cluster: what the demo, these tests and people stand on."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.devtools.api import Cluster
from scripts.devtools.processes import Servers
from tests.support.registry_servers import Server
from tests.support.workstation import CHECKOUT, Finished, Workstation


def script(*args: str) -> Finished:
    done = subprocess.run([CHECKOUT / "scripts/cluster", *args], cwd="/", capture_output=True, text=True, check=False)
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def second() -> Iterator[str]:
    """The name of a cluster beside the one that the tests use."""
    name = f"second-{os.getpid()}"
    yield name
    script("down", "--name", name)


class TestScript:
    def test_a_second_cluster_beside_the_first(self, cluster: Cluster, second: str) -> None:
        assert script("status", "--name", second) == (1, f"cluster {second} is not up\n", "")
        up = script("up", "--name", second)
        assert up.status == 0, up.stderr
        again = script("up", "--name", second)  # up twice is up once, and quiet but for a wait for another one's start
        told = [line for line in again.stderr.splitlines() if "waiting for" not in line]
        assert (*again[:2], told) == (0, up.stdout, [])

        exports = script("env", "--name", second).stdout
        asked = f"{exports}\nkubectl get --raw /version; crane catalog --insecure $HELM_PIN_DEMO_REGISTRY"
        shell = subprocess.run(["sh", "-ec", asked], capture_output=True, text=True, check=False)
        assert shell.returncode == 0, shell.stderr
        assert json.loads(shell.stdout)["gitVersion"] == "v1.37.2"
        assert cluster.kubeconfig not in exports and cluster.registry not in exports

        assert script("down", "--name", second).status == 0
        assert script("env", "--name", second).status == 1
        assert cluster.api("GET", "/version")["gitVersion"] == "v1.37.2"
        assert script("down", "--name", second).status == 0

    def test_a_bad_name(self) -> None:
        refused = script("up", "--name", "../x")
        assert refused.status == 2 and "--name ../x: letters, digits and - only" in refused.stderr


def test_a_process_id_that_is_another_process_now_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as bystander:
        (tmp_path / "processes.json").write_text(json.dumps({"etcd": [bystander.pid, "1"]}))
        servers = Servers(tmp_path)
        assert servers.pid("etcd") is None
        assert servers.stop() == []
        assert bystander.poll() is None
        bystander.kill()


def test_a_server_that_ends_says_why(tmp_path: Path) -> None:
    servers = Servers(tmp_path)
    servers.start("broken", ["sh", "-c", "echo no such flag >&2; exit 1"])
    with pytest.raises(Exception, match=r"broken ended.*\n.*no such flag"):
        servers.await_ready("broken", lambda: False)


def test_a_deployment_runs(in_cluster: Workstation, cluster: Cluster) -> None:
    digest, _ = Server(cluster.registry).push_image("tests/app", "latest")
    in_cluster.kubectl("create", "deployment", "app", f"--image={cluster.registry}/tests/app@{digest}", "--replicas=2")
    in_cluster.kubectl("rollout", "status", "deployment/app", "--timeout=30s")
    pods = json.loads(in_cluster.kubectl("get", "pods", "-o", "json"))["items"]
    assert [pod["status"]["phase"] for pod in pods] == ["Running", "Running"]
    assert in_cluster.helm("list", "-o", "json").strip() == "[]"
    assert in_cluster.pin("--version").status == 0
