"""The real node: it pulls what the registry has, runs it, and says so. The tests of verify and audit stand on that."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.devtools import images
from scripts.devtools.cluster import Cluster
from tests.support.workstation import CHECKOUT, Workstation

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


def test_down_leaves_nothing_behind(node_cluster: Cluster) -> None:
    name = f"{node_cluster.name}-second"
    script = CHECKOUT / "scripts/cluster"
    subprocess.run([script, "up", "--node", "--name", name], check=True, capture_output=True)
    folder = Path(node_cluster.folder).with_name(name)
    assert str(folder) in Path("/proc/mounts").read_text() or any(folder.glob("node/kubelet"))
    ended = subprocess.run([script, "down", "--name", name], check=True, capture_output=True, text=True).stderr
    assert ended.startswith("[helm-pin] ended kubelet, containerd, ")
    assert not folder.exists()
    assert str(folder) not in Path("/proc/mounts").read_text()
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(str(folder).encode() in command for command in commands)
