"""scripts/cluster: what the demo, these tests and people stand on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from scripts.devtools import cluster as local
from scripts.devtools import images
from scripts.devtools.api import Cluster
from scripts.devtools.node import runtime_folder
from scripts.devtools.processes import Servers
from tests.support import kube
from tests.support.app import eventually
from tests.support.registry_servers import Server
from tests.support.workstation import CHECKOUT, Finished, Workstation, whichever_helm


def script(*args: str) -> Finished:
    done = subprocess.run([CHECKOUT / "scripts/cluster", *args], cwd="/", capture_output=True, text=True, check=False)
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def second() -> Iterator[str]:
    """The name of a cluster beside the one that the tests use."""
    name = f"second-{os.getpid()}"
    yield name
    script("down", "--name", name)


def test_a_second_cluster_beside_the_first(cluster: Cluster, second: str, unique: str) -> None:
    """With a real node, where there can be one: what that runs is ended too."""
    with_node = sys.platform == "linux" and os.geteuid() == 0
    flags = ("--name", second, *(["--node"] if with_node else []))
    assert script("status", "--name", second) == (1, f"cluster {second} is not up\n", "")
    up = script("up", *flags)
    assert up.status == 0, up.stderr
    for name, of_which in ((flags, up.stdout), (("--name", cluster.name), told(cluster))):
        again = script("up", *name)  # up twice is up once, and quiet but for a wait for another one's start
        said = [line for line in again.stderr.splitlines() if "waiting until" not in line]
        assert (*again[:2], said) == (0, of_which, [])

    exports = script("env", "--name", second).stdout
    asked = f"{exports}\nkubectl get --raw /version; crane catalog --insecure $HELM_PIN_DEMO_REGISTRY > /dev/null"
    shell = subprocess.run(["sh", "-ec", asked], capture_output=True, text=True, check=False)
    assert shell.returncode == 0, shell.stderr
    assert json.loads(shell.stdout)["gitVersion"] == "v1.37.2"
    assert cluster.kubeconfig not in exports and cluster.registry not in exports

    made = local.find(second)
    assert made and (made.node, cluster.node, up.stdout) == (with_node, False, told(made))
    traces = [made.folder.encode()]
    if with_node:
        run_a_pod(made, unique)
        traces += [str(runtime_folder(Path(made.folder))).encode(), unique.encode()]
        containerd = Servers(Path(made.folder)).pid("containerd")
        assert containerd
        os.kill(containerd, signal.SIGKILL)  # what it runs goes on without it
    down = script("down", "--name", second)
    assert down.status == 0
    assert not Path(made.folder).exists()
    if with_node:
        assert "[helm-pin] ended kubelet, " in down.stderr  # after a word about who else holds the lock, perhaps
        assert made.folder not in Path("/proc/mounts").read_text()
    assert [command for command in commands() if any(trace in command for trace in traces)] == []
    assert script("env", "--name", second).status == 1
    assert cluster.api("GET", "/version")["gitVersion"] == "v1.37.2"
    assert script("down", "--name", second).status == 0


def told(cluster: Cluster) -> str:
    """What `up` prints of it."""
    return f"kubeconfig  {cluster.kubeconfig}\nregistry    {cluster.registry}\n"


def run_a_pod(cluster: Cluster, unique: str) -> None:
    """A pod that runs on the real node, and prints that name."""
    images.push(cluster.registry, unique, "latest", unique)
    container = {"name": "app", "image": f"{cluster.registry}/{unique}"}
    pod = {"metadata": {"name": "app"}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 1}}
    cluster.api("POST", "/api/v1/namespaces/default/pods", pod)
    eventually(lambda: any(b"/letter" in command and unique.encode() in command for command in commands()))


def commands() -> list[bytes]:
    """The command lines of all processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes())
    return found


def test_a_bad_name() -> None:
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


@whichever_helm
def test_a_deployment_runs(in_cluster: Workstation, cluster: Cluster) -> None:
    place = kube.namespace(in_cluster)
    digest, _ = Server(cluster.registry).push_image("tests/app", "latest")
    spec = {"containers": [{"name": "app", "image": f"{cluster.registry}/tests/app@{digest}"}]}
    template = {"metadata": {"labels": {"app": "app"}}, "spec": spec}
    body = {"replicas": 2, "selector": {"matchLabels": {"app": "app"}}, "template": template}
    place.api("POST", "deployments", {"metadata": {"name": "app"}, "spec": body})
    in_cluster.kubectl("rollout", "status", "deployment/app", "--timeout=30s")
    assert [pod["status"]["phase"] for pod in place.pods()] == ["Running", "Running"]
    assert in_cluster.helm("list", "-o", "json").strip() == "[]"
    assert in_cluster.pin("--version").status == 0
