"""The real node: it pulls what the registry has, runs it, and says so. The tests of verify and audit stand on that."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from scripts.devtools import cluster as local
from scripts.devtools import images
from scripts.devtools.api import Cluster
from scripts.devtools.node import runtime_folder
from scripts.devtools.processes import Servers
from tests.support.workstation import CHECKOUT, Workstation, whichever_helm

PLATFORMS = ("linux/amd64", "linux/arm64")


def pods(machine: Workstation) -> list[dict[str, Any]]:
    items = json.loads(machine.kubectl("get", "pods", "-o", "json"))["items"]
    return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]


def eventually(what: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.2)


def deploy(machine: Workstation, image: str) -> None:
    machine.kubectl("create", "deployment", "app", f"--image={image}")
    machine.kubectl("rollout", "status", "deployment/app", "--timeout=60s")


def runs(machine: Workstation, letter: str) -> bool:
    """Whether the one pod of the Deployment prints that letter, and only that."""
    names = [pod["metadata"]["name"] for pod in pods(machine) if pod["status"]["phase"] == "Running"]
    return len(names) == 1 and set(machine.kubectl("logs", names[0]).split()) == {letter}


def image_id(machine: Workstation) -> str:
    """The imageID of the one pod."""
    (pod,) = pods(machine)
    return str(pod["status"]["containerStatuses"][0]["imageID"])


@whichever_helm
class TestRealNode:
    def test_a_tag_that_moves_changes_what_runs(self, on_node: Workstation, node_cluster: Cluster, unique: str) -> None:
        registry = node_cluster.registry
        first = images.push(registry, unique, "latest", "A")
        deploy(on_node, f"{registry}/{unique}:latest")
        eventually(lambda: runs(on_node, "A"))
        assert image_id(on_node) == f"{registry}/{unique}@{first}"

        second = images.push(registry, unique, "latest", "B")
        on_node.kubectl("delete", "pods", "--all", "--grace-period=1")
        eventually(lambda: runs(on_node, "B"))
        assert image_id(on_node) == f"{registry}/{unique}@{second}"

    def test_a_digest_that_stays(self, on_node: Workstation, node_cluster: Cluster, unique: str) -> None:
        registry = node_cluster.registry
        first = images.push(registry, unique, "latest", "A", PLATFORMS)
        deploy(on_node, f"{registry}/{unique}:latest@{first}")
        images.push(registry, unique, "latest", "B", PLATFORMS)
        on_node.kubectl("delete", "pods", "--all", "--grace-period=1")
        eventually(lambda: runs(on_node, "A"))
        assert image_id(on_node) == f"{registry}/{unique}@{first}"

    def test_a_digest_that_is_gone(self, on_node: Workstation, node_cluster: Cluster, unique: str) -> None:
        registry = node_cluster.registry
        digest = images.push(registry, unique, "latest", f"gone {unique}")
        images.delete(registry, unique, digest)
        on_node.kubectl("create", "deployment", "app", f"--image={registry}/{unique}@{digest}")

        def reason() -> str:
            statuses = [status for pod in pods(on_node) for status in pod["status"].get("containerStatuses", [])]
            return "".join(status["state"].get("waiting", {}).get("reason", "") for status in statuses)

        eventually(lambda: reason() in ("ErrImagePull", "ImagePullBackOff"))


def test_down_leaves_nothing_behind(node_cluster: Cluster, unique: str) -> None:
    name = f"{node_cluster.name}-second"
    subprocess.run([CHECKOUT / "scripts/cluster", "up", "--node", "--name", name], check=True, capture_output=True)
    second = local.find(name)
    assert second
    try:
        images.push(second.registry, unique, "latest", unique)
        spec = {
            "containers": [{"name": "app", "image": f"{second.registry}/{unique}"}],
            "terminationGracePeriodSeconds": 1,
        }
        pod = {"metadata": {"name": "app"}, "spec": spec}
        second.api("POST", "/api/v1/namespaces/default/pods", pod)
        eventually(lambda: any(b"/letter" in command and unique.encode() in command for command in commands()))
        containerd = Servers(Path(second.folder)).pid("containerd")
        assert containerd
        os.kill(containerd, signal.SIGKILL)  # what it runs goes on without it
    finally:
        down = subprocess.run([CHECKOUT / "scripts/cluster", "down", "--name", name], capture_output=True, text=True)
    assert "[helm-pin] ended kubelet, " in down.stderr  # after a word about who else holds the lock, perhaps
    assert not Path(second.folder).exists()
    assert second.folder not in Path("/proc/mounts").read_text()
    traces = [second.folder.encode(), str(runtime_folder(Path(second.folder))).encode(), unique.encode()]
    assert [command for command in commands() if any(trace in command for trace in traces)] == []


def commands() -> list[bytes]:
    """The command lines of all processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes())
    return found
