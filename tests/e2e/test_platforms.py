"""--platform: what images must have, by name or by the nodes of a real API server; and what verify says of one that is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.devtools import images
from scripts.devtools.cluster import Cluster, kwok_node
from tests.support import app as apps
from tests.support.app import App
from tests.support.workstation import Workstation, whichever_helm

pytestmark = whichever_helm

BOTH = ("linux/amd64", "linux/arm64")


@pytest.fixture
def app(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> App:
    """One chart; its image at A."""
    app = apps.app(in_cluster, cluster.registry, unique, tmp_path)
    return app._replace(machine=app.machine.with_env(HELM_CACHE_HOME=str(tmp_path / "cache")))


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


def test_named(app: App, tmp_path: Path) -> None:
    app.push("A")
    for command in (("upgrade", "--install", "app"), ("install", "app"), ("plan", "app"), ("template",), ("lock",)):
        flags = ["--platform", "linux/amd64,linux/arm64"]
        flags += ["--file", str(tmp_path / "lock.yaml")] if command == ("lock",) else []
        done = app.machine.pin(*command, app.chart, *flags)
        assert done.status == 3, done.stderr
        assert f"{app.image()}: it has no image for linux/arm64; it has {images.HERE}" in done.stderr
    assert app.machine.kubectl("get", "secrets", "-l", "owner=helm", "-o", "name") == ""
    assert app.machine.with_env(HELM_PIN_PLATFORM="linux/arm64").pin("upgrade", "-i", "app", app.chart).status == 3
    app.push("A", BOTH)
    app.deploy("--platform", "linux/amd64", "--platform", "linux/arm64/v8")
    (tmp_path / ".helm-pin.yaml").write_text("platform: [linux/s390x]\n")
    done = app.machine.pin("upgrade", "app", app.chart, cwd=tmp_path)
    assert done.status == 3
    assert "it has no image for linux/s390x; it has linux/amd64, linux/arm64" in done.stderr


def test_a_digest_of_the_charts_own_is_checked_too(app: App) -> None:
    digest = app.push("A")
    done = app.machine.pin("plan", app.chart, "--set", f"image.tag=latest@{digest}", "--platform", "linux/arm64")
    assert done.status == 3
    assert "it has no image for linux/arm64" in done.stderr


def test_of_the_nodes_that_the_pods_may_run_on(app: App, arm: str) -> None:
    app.push("A", ("linux/amd64",))
    refused = app.machine.pin("upgrade", "--install", "app", app.chart, "--platform", "nodes")
    assert refused.status == 3
    assert "it has no image for linux/arm64; it has linux/amd64" in refused.stderr
    app.deploy("--platform", "nodes", "--set-json", 'nodeSelector={"kubernetes.io/arch":"amd64"}')
    there = ["--set-json", f'nodeSelector={{"kubernetes.io/hostname":"{arm}"}}']
    assert app.machine.pin("upgrade", "app", app.chart, "--platform", "nodes", *there).status == 3
    app.push("B", BOTH)
    app.deploy("--platform", "nodes", "--reset-values")


def test_usage(app: App) -> None:
    for flags in (["--platform", "linux"], ["--platform", "linux/amd64,"], ["--platform", "nodes", "--locked"]):
        assert app.machine.pin("plan", app.chart, *flags).status == 2, flags
    nowhere = app.machine.with_env(KUBECONFIG="/nonexistent").pin("template", app.chart, "--platform", "nodes")
    assert nowhere.status == 1
    assert "the nodes of the cluster cannot be read" in nowhere.stderr


def test_a_platform_that_is_gone(app: App, cluster: Cluster, unique: str) -> None:
    """An index can outlive what it lists. What no node needs may be gone."""
    digest = app.push("A", BOTH)
    app.deploy()
    app.push("B")
    app.deploy()
    parts = {name: images.push_one(cluster.registry, unique, "part", "A", name)[0] for name in BOTH}
    app.delete(parts["linux/arm64"])
    assert app.verify("--revision", "1")[1]["registry"]["verdict"] == "ok"
    status, checks = app.verify("--revision", "1", "--platform", "linux/amd64,linux/arm64")
    assert (status, checks["registry"]["verdict"]) == (4, "failed")
    gone = f"{app.registry}/{app.repository}@{digest}: its image for linux/arm64 is gone ({parts['linux/arm64']})"
    assert checks["registry"]["details"][0] == gone
    lacks = app.verify("--revision", "1", "--platform", "linux/s390x")[1]["registry"]
    assert "has no image for linux/s390x" in lacks["details"][0]
    app.delete(parts["linux/amd64"])
    status, checks = app.verify("--revision", "1")
    assert (status, checks["registry"]["summary"]) == (4, "1 platform gone")
    refused = app.rollback("1", "--verify")
    assert refused.status == 4
    assert "1 platform gone from the registry; nothing was changed" in refused.stderr
    assert len(app.statuses()) == 2


def test_an_image_without_an_index_has_one_platform(app: App) -> None:
    """A plan and a verification judge it alike."""
    digest = app.push("A")
    app.deploy()
    assert app.verify("--platform", images.HERE)[1]["registry"]["verdict"] == "ok"
    status, checks = app.verify("--platform", f"{images.HERE},linux/s390x")
    assert (status, checks["registry"]["verdict"]) == (4, "failed")
    lacks = f"{app.registry}/{app.repository}@{digest} has no image for linux/s390x; it has {images.HERE}"
    assert checks["registry"]["details"][0] == lacks
    assert checks["registry"]["summary"] == "1 platform missing"
    assert app.machine.pin("plan", "app", app.chart, "--platform", "linux/s390x").status == 3
