"""Deploying from a lock, on real API servers: without a registry, after the tags have moved, and from one cluster to another."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.devtools.api import Cluster
from tests.conftest import cluster_for_tests, own_namespace
from tests.support import app as apps
from tests.support.app import App
from tests.support.registry_servers import distribution
from tests.support.twins import UNVALIDATED
from tests.support.workstation import Workstation, whichever_helm

pytestmark = whichever_helm

CONTEXT = "arn:aws:eks:eu-north-1:1:cluster/staging"
"""A context's name as some clouds make it."""


@pytest.fixture(scope="module")
def production(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A second API server: that of the real node, which others need too; where there is none, one that only keeps objects."""
    if sys.platform == "linux" and os.geteuid() == 0:
        yield request.getfixturevalue("node_cluster")
    else:
        with cluster_for_tests("testother", bare=True) as started:
            yield started


@pytest.fixture
def app(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> App:
    """One chart; its image at A."""
    return apps.app(in_cluster, cluster.registry, unique, tmp_path)


def record(machine: Workstation, revision: int) -> Any:
    """The record of a revision of release app."""
    metadata = json.loads(machine.helm("get", "metadata", "app", "--revision", revision, "-o", "json"))
    return json.loads(metadata["annotations"]["helm-pin/digests"])


def test_no_registry(in_cluster: Workstation, unique: str, tmp_path: Path) -> None:
    lock = tmp_path / "app.lock.yaml"
    with distribution(tmp_path / "registry") as server:
        app = apps.app(in_cluster, server.host, unique, tmp_path)
        first = app.push("A")
        assert app.machine.pin("lock", "app", app.chart, "--file", lock).status == 0
        moved = app.push("B")
        app.deploy()
        assert app.live() == app.image(moved)
        without = record(app.machine, 1)
        assert "lock" not in without
        assert "source" not in without["images"][0]
    assert app.machine.pin("upgrade", "app", app.chart).status == 5
    by_env = app.machine.with_env(HELM_PIN_LOCK=str(lock), HELM_PIN_LOCKED="true")
    done = by_env.pin("upgrade", "app", app.chart, UNVALIDATED)
    assert done.status == 0, done.stderr
    assert app.live() == app.image(first)
    locked = record(app.machine, 2)
    assert locked["lock"] == "app.lock.yaml"
    assert locked["images"][0]["source"] == "lock"
    assert app.verify("--no-registry")[0] == 0

    lock.write_text(lock.read_text().replace(first, moved))
    app.deploy("--lock", str(lock))
    assert app.live() == app.image(moved)

    template = app.chart / "templates/deployment.yaml"
    template.write_text(template.read_text() + "        - {name: new, image: 'quay.io/t/new:1.2.3'}\n")
    refused = app.machine.pin("upgrade", "app", app.chart, "--lock", lock, "--locked")
    assert refused.status == 3
    assert "quay.io/t/new:1.2.3: not in" in refused.stderr
    assert "nothing was deployed" in refused.stderr
    assert len(app.statuses()) == 3
    assert app.live() == app.image(moved)


def test_what_a_release_runs_from_one_cluster_to_another(
    app: App, cluster: Cluster, production: Cluster, unique: str, tmp_path: Path
) -> None:
    """The deployed revision, whatever came after it; or the one that is named."""
    first = app.push("A")
    app.deploy()
    second = app.push("B")
    app.deploy()
    broken = ["--reset-values", "--set", "nodeSelector.bad key=x"]
    assert app.machine.run(app.machine.helm_binary, "upgrade", "app", app.chart, *broken).status != 0
    assert app.statuses()[-1] == "failed"
    app.push("C")
    with own_namespace(app.machine, production, unique, tmp_path / "production") as machine:
        cluster.write_kubeconfig(tmp_path / "staging", unique)
        staging = json.loads((tmp_path / "staging").read_text())
        staging["contexts"][0]["name"] = CONTEXT
        (tmp_path / "staging").write_text(json.dumps(staging))
        there = machine.with_env(KUBECONFIG=f"{tmp_path / 'production'}:{tmp_path / 'staging'}")
        source = f"release:{CONTEXT}/{unique}/app"
        alone = ["--set", "replicas=0", UNVALIDATED]  # nobody is to run it
        done = there.pin("install", "app", app.chart, "--lock", source, "--locked", *alone)
        assert done.status == 0, done.stderr
        assert app._replace(machine=machine).live() == app.image(second)
        theirs, ours = record(there, 1), record(app.machine, 2)
        assert theirs["lock"] == f"{source}@2"
        assert theirs["images"][0]["source"] == "release"
        assert theirs["images"][0]["mediaType"] == ours["images"][0]["mediaType"] != ""
        assert theirs["set"] == ours["set"]
        server = there.pin("upgrade", "app", app.chart, "--lock", source, "--kube-apiserver", production.server)
        assert server.status == 2
        assert "conflicts with helm's --kube-… flags" in server.stderr
    earlier = app.machine.pin("plan", "app", app.chart, "--lock", f"release:{unique}/app@1", "--locked", "-o", "json")
    assert [image["digest"] for image in json.loads(earlier.stdout)["images"]] == [first]
    missing = app.machine.pin("upgrade", "app", app.chart, "--lock", f"release:{unique}/nobody")
    assert missing.status == 1
    assert f"release nobody, namespace {unique}" in missing.stderr
    app.rewrite(2, lambda stored: stored.update(manifest=stored["manifest"].replace(second, first)))
    tampered = app.machine.pin("upgrade", "app", app.chart, "--lock", f"release:{unique}/app")
    assert tampered.status == 4, tampered.stderr
    assert f"  at    --lock release:{unique}/app@2\n" in tampered.stderr
    other = f"name another revision: --lock release:{unique}/app@REVISION; helm pin history app"
    assert other in tampered.stderr
    assert app.machine.run(app.machine.helm_binary, "rollback", "app", "1").status == 0
    app.rewrite(4, lambda stored: stored["chart"]["metadata"].pop("annotations"))
    plain = app.machine.pin("plan", "app", app.chart, "--lock", f"release:{unique}/app")
    assert (plain.status, other in plain.stderr) == (4, True), plain.stderr
    assert "the revision has no digest record" in plain.stderr
