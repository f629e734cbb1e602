"""Histories that something is wrong with, read in every way that helm-pin has, on a real API server."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scripts.devtools.api import Cluster
from tests.support import kube
from tests.support.registry_servers import Server
from tests.support.twins import UNVALIDATED
from tests.support.workstation import Finished, Workstation, whichever_helm

pytestmark = whichever_helm

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: app, image: "{{ .Values.image }}"}
"""


@pytest.fixture
def push(cluster: Cluster, unique: str) -> Callable[[str], str]:
    """Moves the tag latest of the chart's image to a build, and returns its digest."""
    return lambda build: Server(cluster.registry).push_image(unique, "latest", salt=f"{unique} {build}")[0]


@pytest.fixture
def chart(cluster: Cluster, unique: str, tmp_path: Path) -> Path:
    """One Deployment whose image is at latest."""
    return written(tmp_path, f"{cluster.registry}/{unique}:latest")


def written(place: Path, image: str) -> Path:
    folder = place / "web"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 1.0.0\nappVersion: 2.0.0\n")
    (folder / "values.yaml").write_text(f"image: {image}\n")
    (folder / "templates" / "deployment.yaml").write_text(DEPLOYMENT)
    return folder


def succeeded(done: Finished) -> Finished:
    assert done.status == 0, done.stderr
    return done


def upgrade(machine: Workstation, chart: Path, *args: str) -> None:
    succeeded(machine.pin("upgrade", "--install", "web", chart, UNVALIDATED, *args))


def history(machine: Workstation, *args: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(succeeded(machine.pin("history", "web", "-o", "json", *args)).stdout)
    return rows


def change_record(release: dict[str, Any], old: str, new: str) -> None:
    annotations = release["chart"]["metadata"]["annotations"]
    assert old in annotations["helm-pin/digests"]
    annotations["helm-pin/digests"] = annotations["helm-pin/digests"].replace(old, new)


def without_kubectl(machine: Workstation, folder: Path) -> Workstation:
    """The same machine with a PATH that has what is needed, and no kubectl."""
    folder.mkdir()
    for program in ("sh", "env"):
        (folder / program).symlink_to(str(shutil.which(program)))
    return machine.with_env(PATH=str(folder))


def test_config_maps(in_cluster: Workstation, chart: Path, push: Callable[[str], str], tmp_path: Path) -> None:
    machine = in_cluster.with_env(HELM_DRIVER="configmap")
    digest = push("A")
    upgrade(machine, chart)
    assert kube.namespace(machine).api("GET", "secrets?labelSelector=owner%3Dhelm")["items"] == []
    rows = history(machine)
    assert [row["images"][0]["digest"] for row in rows] == [digest]
    assert history(without_kubectl(machine, tmp_path / "bin")) == rows
    unknown = in_cluster.pin("history", "web")
    assert (unknown.status, "release: not found" in unknown.stderr) == (1, True)
    audited = machine.pin("audit", "-o", "json")
    (release,) = json.loads(audited.stdout)["contexts"][0]["releases"]
    assert (audited.status, release["release"], release["pinned"]) == (0, "web", "1/1")


class Deployed(NamedTuple):
    """A release `web` whose first two revisions have A and B."""

    machine: Workstation
    chart: Path
    a: str
    b: str

    @property
    def latest(self) -> kube.Revision:
        """The latest revision, as it is stored."""
        return kube.revision(self.machine, "web", len(self.stored()))

    def stored(self) -> list[dict[str, Any]]:
        """The Secrets of its revisions."""
        items = kube.namespace(self.machine).api("GET", "secrets?labelSelector=owner%3Dhelm%2Cname%3Dweb")["items"]
        return [*items]


@pytest.fixture(scope="class")
def deployed(
    shared_in_cluster: Workstation, cluster: Cluster, shared_unique: str, tmp_path_factory: pytest.TempPathFactory
) -> Deployed:
    """For all tests of a class: each puts back what it spoils."""
    folder = written(tmp_path_factory.mktemp("shared"), f"{cluster.registry}/{shared_unique}:latest")
    digests = []
    for build in "AB":
        digests.append(Server(cluster.registry).push_image(shared_unique, "latest", salt=f"{shared_unique} {build}")[0])
        upgrade(shared_in_cluster, folder)
    return Deployed(shared_in_cluster, folder, *digests)


class TestStored:
    def test_every_way_to_read_gives_the_same(self, deployed: Deployed, tmp_path: Path) -> None:
        machine, number = deployed.machine, deployed.latest.number + 1
        machine.helm(
            *("upgrade", "web", deployed.chart, UNVALIDATED),
            *("--description", "by plain helm", "--set", "image=example.com/plain:1"),
        )

        calls, counted = tmp_path / "calls", tmp_path / "counted" / "kubectl"
        counted.parent.mkdir()
        counted.write_text(f'#!/bin/sh\necho "$*" >> {calls}\nexec {shutil.which("kubectl")} "$@"\n')
        counted.chmod(0o755)
        rows = history(machine.with_env(PATH=f"{counted.parent}:{os.environ['PATH']}"))
        assert len(calls.read_text().splitlines()) == 1  # the API is asked once
        shown = [(row["revision"], row["record"], row["pinned"]) for row in rows]
        assert shown == [(1, "ok", "1/1"), (2, "ok", "1/1"), (number, "none", "0/1")]
        assert [(change["from"], change["to"]) for change in rows[1]["changes"]] == [(deployed.a, deployed.b)]
        assert rows[2]["description"] == "by plain helm"
        alone = without_kubectl(machine, tmp_path / "bin")
        assert alone.run("sh", "-c", "command -v kubectl").status != 0
        assert history(alone) == rows
        assert history(machine, "--max", "2") == rows[1:]
        assert history(alone, "--max", "2") == rows[1:]

    def test_a_record_that_was_changed_by_hand(self, deployed: Deployed) -> None:
        first = kube.revision(deployed.machine, "web", 1)
        with first.put_back():
            first.rewrite(lambda release: change_record(release, deployed.a, deployed.b))
            row, second, *_ = history(deployed.machine)
            assert (row["record"], row["set"], second["record"]) == ("invalid", None, "ok")
            assert "the record was edited" in row["problem"]
            assert "invalid record" in succeeded(deployed.machine.pin("history", "web")).stdout
            assert deployed.machine.pin("verify", "web", "--revision", "1").status == 4

    def test_a_manifest_that_was_changed_by_hand(self, deployed: Deployed) -> None:
        first, other = kube.revision(deployed.machine, "web", 1), f"sha256:{'0' * 64}"
        with first.put_back():
            first.rewrite(lambda release: release.update(manifest=release["manifest"].replace(deployed.a, other)))
            row, *_ = history(deployed.machine)
            assert row["record"] == "invalid"
            assert other in row["problem"]

    def test_a_stored_revision_that_cannot_be_read(self, deployed: Deployed) -> None:
        first, number = kube.revision(deployed.machine, "web", 1), deployed.latest.number
        with first.put_back():
            first.spoil()
            done = succeeded(deployed.machine.pin("history", "web", "-o", "json"))
            assert [row["revision"] for row in json.loads(done.stdout)] == [*range(2, number + 1)]
            assert first.secret in done.stderr

    def test_the_latest_revision_cannot_be_read(self, deployed: Deployed) -> None:
        """helm passes over it as if it were not there, so what it shows says nothing of what is deployed."""
        machine, latest = deployed.machine, deployed.latest
        with latest.put_back():
            latest.spoil()
            before, delete = deployed.stored(), f"kubectl delete secret/{latest.secret}"
            done = machine.pin("verify", "web", "-o", "json")
            assert done.status == 1, done.stdout + done.stderr
            assert latest.secret in done.stdout and delete in done.stderr
            data = json.loads(done.stdout)
            assert data["verified"] is False
            verdicts = {check["check"]: check["verdict"] for check in data["checks"]}
            assert [verdicts[check] for check in ("latest", "workloads", "pods")] == [
                "cannot tell",
                "skipped",
                "skipped",
            ]
            assert machine.pin("verify", "web", "-o", "images").status == 1
            for more in (["--verify"], ["1", "--verify", "--dry-run"]):
                refused = machine.pin("rollback", "web", *more)
                assert refused.status == 1, refused.stderr
                assert "the latest revision cannot be read; nothing was changed" in refused.stderr
                assert latest.secret in refused.stderr and delete in refused.stderr
            failed = machine.pin("rollback", "web", "1")
            assert failed.status == 1 and delete in failed.stderr and "at admission" not in failed.stderr, failed.stderr
            assert deployed.stored() == before
            latest.place.api("DELETE", f"secrets/{latest.secret}")
            done = succeeded(machine.pin("rollback", "web", "1", "--verify"))
            assert f"Revision {latest.number} restores set " in done.stderr

    def test_a_stored_revision_that_lacks_a_part(self, deployed: Deployed) -> None:
        """helm does not reckon with it: what is wrong is said of the revision, and not of the connection."""
        machine, latest = deployed.machine, deployed.latest
        for part in ("chart", "info"):
            told = f"{latest.secret} is not a whole release: it has no {part}"
            with latest.put_back():
                latest.rewrite(lambda release, part=part: release.pop(part))
                for command in (["verify", "web"], ["verify", "web", "--revision", str(latest.number)]):
                    done = machine.pin(*command)
                    assert done.status == 1, done.stdout + done.stderr
                    assert told in done.stderr
                    assert f"kubectl delete secret/{latest.secret}" in done.stderr and "cluster-info" not in done.stderr
                done = machine.pin("rollback", "web", "1", "--verify", "--dry-run")
                assert done.status == (1 if part == "info" else 0), (
                    done.stderr
                )  # of its chart, a rollback needs nothing
                assert (told in done.stderr) == (part == "info")
                assert "goroutine" not in done.stderr

    def test_no_stored_revision_can_be_read(self, deployed: Deployed) -> None:
        machine, only = deployed.machine, kube.revision(deployed.machine, "web", 1).copy("alone")
        only.spoil()
        for command in (["verify", "alone"], ["rollback", "alone", "1", "--verify"]):
            done = machine.pin(*command)
            assert done.status == 1 and only.secret in done.stderr and "there is no release" not in done.stderr, (
                done.stderr
            )
