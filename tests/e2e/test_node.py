"""The real node: it pulls what the registry has, runs it, and says so. The tests of verify and audit stand on that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from scripts.devtools import images
from scripts.devtools.api import Cluster
from tests.support.app import eventually
from tests.support.kube import Namespace

PLATFORMS = ("linux/amd64", "linux/arm64")


@pytest.fixture
def place(node_cluster: Cluster, unique: str) -> Iterator[Namespace]:
    """A namespace on the real node."""
    node_cluster.api("POST", "/api/v1/namespaces", {"metadata": {"name": unique}})
    yield Namespace(node_cluster, unique)
    node_cluster.api("DELETE", f"/api/v1/namespaces/{unique}")


def deploy(place: Namespace, name: str, image: str) -> None:
    """A Deployment with one pod."""
    spec = {"containers": [{"name": "app", "image": image}], "terminationGracePeriodSeconds": 1}
    template = {"metadata": {"labels": {"app": name}}, "spec": spec}
    body = {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": name}}, "template": template}}
    place.api("POST", "deployments", body)


def pods(place: Namespace, name: str) -> list[dict[str, Any]]:
    """Those of a Deployment that are not being deleted."""
    return [pod for pod in place.pods() if pod["metadata"]["labels"].get("app") == name]


def runs(place: Namespace, name: str, letter: str) -> bool:
    """Whether the one pod of a Deployment prints that letter, and only that."""
    names = [pod["metadata"]["name"] for pod in pods(place, name) if pod["status"]["phase"] == "Running"]
    return len(names) == 1 and set(place.log(names[0]).split()) == {letter}


def image_id(place: Namespace, name: str) -> str:
    """The imageID of the one pod."""
    (pod,) = pods(place, name)
    return str(pod["status"]["containerStatuses"][0]["imageID"])


def test_a_tag_that_moves_changes_what_runs_and_a_digest_stays(place: Namespace, node_cluster: Cluster) -> None:
    registry, by_tag, by_digest = node_cluster.registry, f"{place.name}/tag", f"{place.name}/digest"
    first = images.push(registry, by_tag, "latest", "A")
    kept = images.push(registry, by_digest, "latest", "A", PLATFORMS)
    deploy(place, "tag", f"{registry}/{by_tag}:latest")
    deploy(place, "digest", f"{registry}/{by_digest}:latest@{kept}")
    eventually(lambda: runs(place, "tag", "A") and runs(place, "digest", "A"))
    assert image_id(place, "tag") == f"{registry}/{by_tag}@{first}"

    second = images.push(registry, by_tag, "latest", "B")
    images.push(registry, by_digest, "latest", "B", PLATFORMS)
    before = {pod["metadata"]["name"] for pod in place.pods()}
    place.api("DELETE", "pods?gracePeriodSeconds=1")
    eventually(lambda: runs(place, "tag", "B") and runs(place, "digest", "A"))
    assert image_id(place, "tag") == f"{registry}/{by_tag}@{second}"
    assert image_id(place, "digest") == f"{registry}/{by_digest}@{kept}"
    assert before.isdisjoint(pod["metadata"]["name"] for pod in place.pods())


def test_a_digest_that_is_gone(place: Namespace, node_cluster: Cluster) -> None:
    registry = node_cluster.registry
    digest = images.push(registry, place.name, "latest", f"gone {place.name}")
    images.delete(registry, place.name, digest)
    deploy(place, "app", f"{registry}/{place.name}@{digest}")

    def reason() -> str:
        statuses = [status for pod in place.pods() for status in pod["status"].get("containerStatuses", [])]
        return "".join(status["state"].get("waiting", {}).get("reason", "") for status in statuses)

    eventually(lambda: reason() in ("ErrImagePull", "ImagePullBackOff"))
