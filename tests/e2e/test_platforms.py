"""--platform: what images must have, by name or by the nodes of a real API server; and what verify says of one that is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.devtools import images
from scripts.devtools.cluster import Cluster, kwok_node
from tests.support import app as apps
from tests.support.app import App
from tests.support.registry_servers import Server
from tests.support.twins import UNVALIDATED
from tests.support.workstation import Workstation, whichever_helm

pytestmark = whichever_helm

BOTH = ("linux/amd64", "linux/arm64")


@pytest.fixture
def app(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> App:
    """One chart; its image at A."""
    return made(in_cluster, cluster.registry, unique, tmp_path)


def made(machine: Workstation, registry: str, unique: str, folder: Path) -> App:
    """With a cache of its own, in which no registry's answers are yet."""
    return apps.app(machine.with_env(HELM_CACHE_HOME=str(folder / "cache")), registry, unique, folder)


@pytest.fixture
def arm(cluster: Cluster, unique: str) -> Iterator[str]:
    """A second node, of arm64, to which nothing is scheduled by itself; its name."""
    node = kwok_node(f"arm-{unique}")
    node["metadata"]["labels"]["kubernetes.io/arch"] = "arm64"
    node["spec"] = {"taints": [{"key": "arm", "effect": "NoSchedule"}]}
    node["status"]["nodeInfo"] = {
        **dict.fromkeys(
            ("machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion"), "x"
        ),
        **dict.fromkeys(("kubeletVersion", "kubeProxyVersion"), "x"),
        "operatingSystem": "linux",
        "architecture": "arm64",
    }
    cluster.api("POST", "/api/v1/nodes", node)
    yield f"arm-{unique}"
    cluster.api("DELETE", f"/api/v1/nodes/arm-{unique}")


def test_named_and_gone(app: App, cluster: Cluster, unique: str, tmp_path: Path) -> None:
    """A plan and a verification judge alike, and an image without an index has one platform. An index can outlive what it lists.
    What no node needs may be gone."""
    both = ("--platform", "linux/amd64,linux/arm64")
    by_env = app._replace(machine=app.machine.with_env(HELM_PIN_PLATFORM="linux/arm64"))
    for one, command in (
        (app, ("upgrade", "--install", "app", *both)),
        (app, ("lock", "--file", str(tmp_path / "lock.yaml"), *both)),
        (by_env, ("install", "app")),
    ):
        done = one.machine.pin(*command, app.chart)
        assert done.status == 3, done.stderr
        assert f"{app.image()}: it has no image for linux/arm64; it has {images.HERE}" in done.stderr
    assert cluster.api("GET", f"/api/v1/namespaces/{unique}/secrets")["items"] == []

    digest = app.push("A")
    app.deploy()
    assert app.verify("--platform", images.HERE)[1]["registry"]["verdict"] == "ok"
    status, checks = app.verify("--platform", f"{images.HERE},linux/s390x")
    assert (status, checks["registry"]["verdict"]) == (4, "failed")
    lacks = f"{app.registry}/{app.repository}@{digest} has no image for linux/s390x; it has {images.HERE}"
    assert checks["registry"]["details"][0] == lacks
    assert checks["registry"]["summary"] == "1 platform missing"

    digest = app.push("A", BOTH)
    app.deploy("--platform", "linux/amd64", "--platform", "linux/arm64/v8")
    (tmp_path / ".helm-pin.yaml").write_text("platform: [linux/s390x]\n")
    done = app.machine.pin("plan", "app", app.chart, cwd=tmp_path)
    assert done.status == 3
    assert "it has no image for linux/s390x; it has linux/amd64, linux/arm64" in done.stderr

    app.push("B")
    app.machine.helm("upgrade", "app", app.chart, "--reset-values", UNVALIDATED)
    parts = {name: images.push_one(cluster.registry, unique, "part", "A", name)[0] for name in BOTH}
    app.delete(parts["linux/arm64"])
    assert app.verify("--revision", "2")[1]["registry"]["verdict"] == "ok"
    by_digest = ("--set", f"image.tag=latest@{digest}", "--reset-values")
    assert app.machine.pin("plan", "app", app.chart, *by_digest, "--platform", "linux/amd64").status == 0
    refused = app.machine.pin("upgrade", "app", app.chart, *by_digest, *both)
    assert refused.status == 5
    assert f"its image for linux/arm64 is gone ({parts['linux/arm64']})" in refused.stderr
    status, checks = app.verify("--revision", "2", *both)
    assert (status, checks["registry"]["verdict"]) == (4, "failed")
    gone = f"{app.registry}/{app.repository}@{digest}: its image for linux/arm64 is gone ({parts['linux/arm64']})"
    assert checks["registry"]["details"][0] == gone
    app.push("A", BOTH)
    app.delete(parts["linux/amd64"])  # by which an index is described
    assert app.machine.pin("plan", "app", app.chart, *by_digest, "--platform", "linux/arm64").status == 0
    app.delete(parts["linux/arm64"])
    status, checks = app.verify("--revision", "2")
    assert (status, checks["registry"]["summary"]) == (4, "1 platform gone")
    refused = app.rollback("2", "--verify")
    assert refused.status == 4
    assert "1 platform is gone from the registry; nothing was changed" in refused.stderr
    assert len(app.statuses()) == 3


def test_of_the_nodes_that_the_pods_may_run_on(app: App, arm: str) -> None:
    app.push("A", ("linux/amd64",))
    refused = app.machine.pin("upgrade", "--install", "app", app.chart, "--platform", "nodes")
    assert refused.status == 3
    assert "it has no image for linux/arm64; it has linux/amd64" in refused.stderr
    app.deploy("--platform", "nodes", "--set-json", 'nodeSelector={"kubernetes.io/arch":"amd64"}')
    there = ["--set-json", f'nodeSelector={{"kubernetes.io/hostname":"{arm}"}}']
    assert app.machine.pin("plan", "app", app.chart, "--platform", "nodes", *there).status == 3
    app.push("B", BOTH)
    assert app.machine.pin("plan", "app", app.chart, "--platform", "nodes", "--reset-values").status == 0


def test_without_a_cluster(workstation: Workstation, registry: Server, unique: str, tmp_path: Path) -> None:
    app = made(workstation, registry.host, unique, tmp_path)
    for flags in (["--platform", "linux"], ["--platform", "linux/amd64,"], ["--platform", "nodes", "--locked"]):
        assert app.machine.pin("plan", app.chart, *flags).status == 2, flags
    nowhere = app.machine.with_env(KUBECONFIG="/nonexistent").pin("template", app.chart, "--platform", "nodes")
    assert nowhere.status == 1
    assert "the nodes of the cluster cannot be read" in nowhere.stderr
    of_its_own = f"image.tag=latest@{app.push('A')}"
    done = app.machine.pin("plan", app.chart, "--set", of_its_own, "--platform", "linux/arm64")
    assert done.status == 3
    assert "it has no image for linux/arm64" in done.stderr
