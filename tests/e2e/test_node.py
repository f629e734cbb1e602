"""The real node: it pulls what the registry has, runs it, and says so. The tests of verify and audit stand on that.

And what helm-pin is for, there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.devtools import images
from scripts.devtools.api import Cluster
from tests.support import app as apps
from tests.support import kube
from tests.support.app import eventually
from tests.support.kube import Namespace
from tests.support.workstation import Workstation, whichever_helm

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


@whichever_helm
def test_a_release_forward_and_back(on_node: Workstation, node_cluster: Cluster, unique: str, tmp_path: Path) -> None:
    """What helm-pin is for, beside plain helm, by what the programs print."""
    app, machine = apps.app(on_node, node_cluster.registry, unique, tmp_path), on_node
    a = app.push("A", PLATFORMS)
    app.deploy("--wait")
    machine.helm("install", "plain", app.chart, "--wait")
    b = app.push("B", PLATFORMS)
    kube.namespace(machine).api("DELETE", "pods?gracePeriodSeconds=1")
    eventually(lambda: (app.prints("app"), app.prints("plain")) == ("A", "B"))
    assert "5 of 5 checks ok" in machine.pin("verify", "app").stdout

    app.deploy("--wait")
    eventually(lambda: app.prints("app") == "B")
    done = app.rollback("1", "--verify", "--wait", "--timeout", "60s")
    assert done.status == 0, done.stderr
    assert "verified in record, manifest, workloads, pods" in done.stderr
    eventually(lambda: app.prints("app") == "A")
    assert app.live() == app.image(a)
    assert "5 of 5 checks ok" in machine.pin("verify", "app").stdout

    machine.kubectl("set", "image", "deployment/app", f"app={app.image(b)}")
    told = f"Deployment/app app has {app.image(b)}, the release says {app.image(a)}: set by kubectl-set"
    eventually(lambda: app.prints("app") == "B")
    status, checks = app.verify()
    assert (status, checks["workloads"]["verdict"], checks["pods"]["verdict"]) == (4, "failed", "failed")
    assert told in str(checks["workloads"]["details"]) and b in str(checks["pods"]["details"])
    audited = machine.pin("audit")
    assert (audited.status, told in audited.stdout) == (4, True)

    app.delete(a)
    refused = app.rollback("1", "--verify", "--wait")
    assert refused.status == 4, refused.stderr
    assert "1 recorded digest is gone from the registry; nothing was changed" in refused.stderr
    assert app.live() == app.image(b)
    eventually(lambda: app.prints("app") == "B")
    assert app.statuses()[-1] == "deployed"

    machine.helm("rollback", "app", "1", *(["--force-conflicts"] if machine.helm4 else []))
    eventually(lambda: "ImagePullBackOff" in str(app.pods()))
    status, checks = app.verify()
    assert (status, checks["registry"]["verdict"]) == (4, "failed")
    assert a in "".join(checks["registry"]["details"])
    assert any("app has not started: " in line for line in checks["pods"]["details"])
