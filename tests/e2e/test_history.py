"""Histories that something is wrong with, read in every way that helm-pin has, on a real API server."""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.devtools.api import Cluster
from tests.support.registry_servers import Server
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
    folder = tmp_path / "web"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 1.0.0\nappVersion: 2.0.0\n")
    (folder / "values.yaml").write_text(f"image: {cluster.registry}/{unique}:latest\n")
    (folder / "templates" / "deployment.yaml").write_text(DEPLOYMENT)
    return folder


def succeeded(done: Finished) -> Finished:
    assert done.status == 0, done.stderr
    return done


def upgrade(machine: Workstation, chart: Path, *args: str) -> None:
    succeeded(machine.pin("upgrade", "--install", "web", chart, *args))


def history(machine: Workstation, *args: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(succeeded(machine.pin("history", "web", "-o", "json", *args)).stdout)
    return rows


def tamper(machine: Workstation, revision: int, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a stored revision in its Secret, as somebody with access to the API could."""
    name = f"sh.helm.release.v1.web.v{revision}"
    data = json.loads(machine.kubectl("get", "secret", name, "-o", "json"))["data"]["release"]
    release = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(data))))
    change(release)
    stored = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(release).encode()))).decode()
    machine.kubectl("patch", "secret", name, "--type=merge", "-p", json.dumps({"data": {"release": stored}}))


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


def test_every_way_to_read_gives_the_same(
    in_cluster: Workstation, chart: Path, push: Callable[[str], str], tmp_path: Path
) -> None:
    a = push("A")
    upgrade(in_cluster, chart)
    b = push("B")
    upgrade(in_cluster, chart)
    in_cluster.helm("upgrade", "web", chart, "--description", "by plain helm", "--set", "image=example.com/plain:1")
    upgrade(in_cluster, chart, "--reset-values")

    rows = history(in_cluster)
    assert [(row["revision"], row["record"], row["pinned"]) for row in rows] == [
        (1, "ok", "1/1"),
        (2, "ok", "1/1"),
        (3, "none", "0/1"),
        (4, "ok", "1/1"),
    ]
    assert [(change["from"], change["to"]) for change in rows[1]["changes"]] == [(a, b)]
    assert rows[2]["description"] == "by plain helm"
    alone = without_kubectl(in_cluster, tmp_path / "bin")
    assert alone.run("sh", "-c", "command -v kubectl").status != 0
    assert history(alone) == rows
    assert history(in_cluster, "--max", "2") == rows[2:]
    assert history(alone, "--max", "2") == rows[2:]


def test_the_api_is_asked_once(
    in_cluster: Workstation, chart: Path, push: Callable[[str], str], tmp_path: Path
) -> None:
    push("A")
    upgrade(in_cluster, chart)
    calls, counted = tmp_path / "calls", tmp_path / "bin" / "kubectl"
    counted.parent.mkdir()
    counted.write_text(f'#!/bin/sh\necho "$*" >> {calls}\nexec {shutil.which("kubectl")} "$@"\n')
    counted.chmod(0o755)
    machine = in_cluster.with_env(PATH=f"{counted.parent}:{os.environ['PATH']}")
    assert len(history(machine)) == 1
    assert len(calls.read_text().splitlines()) == 1


def test_config_maps(in_cluster: Workstation, chart: Path, push: Callable[[str], str], tmp_path: Path) -> None:
    machine = in_cluster.with_env(HELM_DRIVER="configmap")
    digests = []
    for build in "AB":
        digests.append(push(build))
        upgrade(machine, chart)
    assert in_cluster.kubectl("get", "secrets", "-l", "owner=helm", "-o", "name") == ""
    rows = history(machine)
    assert [row["images"][0]["digest"] for row in rows] == digests
    assert history(without_kubectl(machine, tmp_path / "bin")) == rows
    unknown = in_cluster.pin("history", "web")
    assert (unknown.status, "release: not found" in unknown.stderr) == (1, True)


def test_a_record_that_was_changed_by_hand(in_cluster: Workstation, chart: Path, push: Callable[[str], str]) -> None:
    a = push("A")
    upgrade(in_cluster, chart)
    b = push("B")
    upgrade(in_cluster, chart)
    tamper(in_cluster, 1, lambda release: change_record(release, a, b))

    first, second = history(in_cluster)
    assert (first["record"], first["set"], second["record"]) == ("invalid", None, "ok")
    assert "the record was edited" in first["problem"]
    assert "invalid record" in succeeded(in_cluster.pin("history", "web")).stdout
    refused = in_cluster.pin("rollback", "web", "1", "--verify")
    assert refused.status == 4, refused.stderr
    assert "the digest record is not valid" in refused.stderr
    assert "revision 1" in refused.stderr
    assert len(history(in_cluster)) == 2
    assert in_cluster.pin("verify", "web", "--revision", "1").status == 4


def test_a_manifest_that_was_changed_by_hand(in_cluster: Workstation, chart: Path, push: Callable[[str], str]) -> None:
    a = push("A")
    upgrade(in_cluster, chart)
    other = f"sha256:{'0' * 64}"
    push("B")
    upgrade(in_cluster, chart)
    tamper(in_cluster, 1, lambda release: release.update(manifest=release["manifest"].replace(a, other)))

    first, _ = history(in_cluster)
    assert first["record"] == "invalid"
    assert other in first["problem"]
    refused = in_cluster.pin("rollback", "web", "1", "--verify")
    assert refused.status == 4, refused.stderr
    assert other in refused.stderr
    assert len(history(in_cluster)) == 2


def test_a_stored_revision_that_cannot_be_read(
    in_cluster: Workstation, chart: Path, push: Callable[[str], str]
) -> None:
    push("A")
    upgrade(in_cluster, chart)
    upgrade(in_cluster, chart)
    broken = {"data": {"release": base64.b64encode(b"nonsense").decode()}}
    in_cluster.kubectl("patch", "secret", "sh.helm.release.v1.web.v1", "--type=merge", "-p", json.dumps(broken))
    done = succeeded(in_cluster.pin("history", "web", "-o", "json"))
    assert [row["revision"] for row in json.loads(done.stdout)] == [2]
    assert "sh.helm.release.v1.web.v1" in done.stderr


def spoil(machine: Workstation, revision: int) -> str:
    """Put something else in the place of a stored revision; the name of its Secret."""
    name = f"sh.helm.release.v1.web.v{revision}"
    broken = {"data": {"release": base64.b64encode(b"nonsense").decode()}}
    machine.kubectl("patch", "secret", name, "--type=merge", "-p", json.dumps(broken))
    return name


def stored(machine: Workstation) -> str:
    return machine.kubectl("get", "secrets", "--selector=owner=helm,name=web", "--output=yaml")


def test_the_latest_revision_cannot_be_read(in_cluster: Workstation, chart: Path, push: Callable[[str], str]) -> None:
    """helm passes over it as if it were not there, so what it shows says nothing of what is deployed."""
    push("A")
    for _ in range(3):
        upgrade(in_cluster, chart)
    name = spoil(in_cluster, 3)
    before, delete = stored(in_cluster), f"kubectl delete secret/{name}"
    done = in_cluster.pin("verify", "web")
    assert done.status == 1, done.stdout + done.stderr
    assert name in done.stdout and "latest     cannot tell" in done.stdout and delete in done.stderr
    data = json.loads(in_cluster.pin("verify", "web", "-o", "json").stdout)
    assert data["verified"] is False
    verdicts = {check["check"]: check["verdict"] for check in data["checks"]}
    assert (verdicts["latest"], verdicts["workloads"], verdicts["pods"]) == ("cannot tell", "skipped", "skipped")
    assert in_cluster.pin("verify", "web", "-o", "images").status == 1
    for more in (["--verify"], ["1", "--verify"], ["1", "--verify", "--dry-run"]):
        refused = in_cluster.pin("rollback", "web", *more)
        assert refused.status == 1, refused.stderr
        assert "the latest revision cannot be read; nothing was changed" in refused.stderr
        assert name in refused.stderr and delete in refused.stderr
    failed = in_cluster.pin("rollback", "web", "1")
    assert failed.status == 1 and delete in failed.stderr and "at admission" not in failed.stderr, failed.stderr
    assert stored(in_cluster) == before
    in_cluster.kubectl("delete", f"secret/{name}")
    succeeded(in_cluster.pin("rollback", "web", "1", "--verify"))
    assert "Release web, revision 3 (deployed)" in succeeded(in_cluster.pin("verify", "web")).stdout


def test_no_stored_revision_can_be_read(in_cluster: Workstation, chart: Path, push: Callable[[str], str]) -> None:
    push("A")
    upgrade(in_cluster, chart)
    name = spoil(in_cluster, 1)
    for command in (["verify", "web"], ["rollback", "web", "1", "--verify"]):
        done = in_cluster.pin(*command)
        assert done.status == 1 and name in done.stderr and "there is no release" not in done.stderr, done.stderr


@pytest.mark.parametrize("part", ["chart", "info"])
def test_a_stored_revision_that_lacks_a_part(
    in_cluster: Workstation, chart: Path, push: Callable[[str], str], part: str
) -> None:
    """helm does not reckon with it: what is wrong is said of the revision, and not of the connection."""
    push("A")
    upgrade(in_cluster, chart)
    upgrade(in_cluster, chart)
    tamper(in_cluster, 2, lambda release: release.pop(part))
    name = "sh.helm.release.v1.web.v2"
    for command in (["verify", "web"], ["verify", "web", "--revision", "2"]):
        done = in_cluster.pin(*command)
        assert done.status == 1, done.stdout + done.stderr
        assert f"{name} is not a whole release: it has no {part}" in done.stderr
        assert f"kubectl delete secret/{name}" in done.stderr and "cluster-info" not in done.stderr
    done = in_cluster.pin("rollback", "web", "1", "--verify", "--dry-run")
    if done.status:
        assert f"{name} is not a whole release: it has no {part}" in done.stderr and "goroutine" not in done.stderr
    in_cluster.kubectl("delete", f"secret/{name}")
    succeeded(in_cluster.pin("rollback", "web", "1", "--verify"))
    succeeded(in_cluster.pin("verify", "web"))


def test_the_nearest_earlier_revision_that_can_be_restored(
    in_cluster: Workstation, cluster: Cluster, unique: str, chart: Path, push: Callable[[str], str]
) -> None:
    digests = []
    for build in "ABCD":
        digests.append(push(build))
        upgrade(in_cluster, chart)
    registry = Server(cluster.registry)
    registry.request("DELETE", f"/v2/{unique}/manifests/{digests[2]}")
    refused = in_cluster.pin("rollback", "web", "3", "--verify")
    assert refused.status == 4, refused.stderr
    assert digests[2] in refused.stderr
    assert "helm pin rollback web 2 --verify" in refused.stderr
    registry.request("DELETE", f"/v2/{unique}/manifests/{digests[1]}")
    assert "helm pin rollback web 1 --verify" in in_cluster.pin("rollback", "web", "3", "--verify").stderr
    registry.request("DELETE", f"/v2/{unique}/manifests/{digests[0]}")
    assert "no earlier revision can be restored" in in_cluster.pin("rollback", "web", "3", "--verify").stderr
    assert len(history(in_cluster)) == 4
