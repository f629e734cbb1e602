"""helm pin keep with a real registry: what a rollback needs outlives the registry's garbage collection."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from scripts.devtools import images
from scripts.devtools.api import Cluster
from scripts.devtools.binaries import binary
from tests.support import app as apps
from tests.support.app import App
from tests.support.registry_servers import PASSWORD, USER, Server, distribution
from tests.support.workstation import Workstation, whichever_helm

pytestmark = whichever_helm


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A registry whose log is of these tests alone."""
    with distribution(tmp_path_factory.mktemp("registry")) as started:
        yield started


@pytest.fixture
def app(in_cluster: Workstation, server: Server, unique: str, tmp_path: Path) -> App:
    """One chart; its image at A."""
    return apps.app(in_cluster, server.host, unique, tmp_path)


def collect(folder: Path) -> None:
    """What registries do from time to time: delete what has no tag."""
    command = [binary("registry"), "garbage-collect", "--delete-untagged", folder / "registry" / "config.yml"]
    subprocess.run(command, check=True, capture_output=True)


def kept(app: App, *args: str, status: int = 0, name: str = "app") -> list[dict[str, Any]]:
    """What `helm pin keep -o json` prints."""
    done = app.machine.pin("keep", name, "-o", "json", *args)
    assert done.status == status, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def tags(server: Server, repository: str) -> list[str]:
    """The tags of helm-pin's that a repository has."""
    listed = json.loads(server.request("GET", f"/v2/{repository}/tags/list")[2])["tags"] or []
    return sorted(tag for tag in listed if tag.startswith("keep-"))


def test_what_is_kept_survives_a_garbage_collection(in_cluster: Workstation, unique: str, tmp_path: Path) -> None:
    both = ("linux/amd64", "linux/arm64")
    with distribution(tmp_path / "registry") as server:
        app = apps.app(in_cluster, server.host, unique, tmp_path)
        nobodys = app.push("C", both)
        app.push("A", both)
        app.deploy()
        app.push("B")
        app.deploy()
        for platform in both:  # nothing but the index holds them
            server.request("DELETE", f"/v2/{unique}/manifests/latest-{platform.replace('/', '-')}")
        assert [row["result"] for row in kept(app)] == ["kept", "kept"]
        collect(tmp_path)
        with pytest.raises(HTTPError, match="404"):
            server.request("HEAD", f"/v2/{unique}/manifests/{nobodys}", headers={"Accept": images.INDEX})
        done = app.machine.pin("rollback", "app", "1", "--verify")
        assert done.status == 0, done.stderr


def test_tags_through_a_life(app: App, server: Server, unique: str) -> None:
    """Of each digest once; with --prune, those of revisions that are gone are removed, and no one else's."""
    digests = [app.push("A")]
    app.deploy()
    digests.append(app.push("B"))
    app.deploy()
    app.deploy("--set", "replicas=2")
    named = {digest: f"keep-app_{unique}_{digest[7:23]}" for digest in digests}
    assert [(row["digest"], row["tag"], row["result"]) for row in kept(app)] == [
        (digest, tag, "kept") for digest, tag in named.items()
    ]
    for digest, tag in named.items():
        headers = server.request("HEAD", f"/v2/{unique}/manifests/{tag}", headers={"Accept": images.MANIFEST})[1]
        assert headers["Docker-Content-Digest"] == digest
    assert {row["result"] for row in kept(app)} == {"already kept"}
    shown = app.machine.pin("keep", "app")
    assert shown.stdout.splitlines()[0].split() == ["IMAGE", "DIGEST", "TAG", "RESULT"]
    written = [line for line in (server.log or Path()).read_text().splitlines() if f"PUT /v2/{unique}/" in line]
    assert len([line for line in written if "keep-" in line and "HTTP/1.1" in line]) == 2

    app.push("A")
    app.deploy(name="other")
    (others,) = kept(app, name="other")
    digests.append(app.push("C"))
    app.deploy("--history-max", "2")
    rows = kept(app, "--prune")
    assert [row["result"] for row in rows] == ["already kept", "kept", "removed"]
    assert rows[-1]["tag"] == named[digests[0]]
    assert tags(server, unique) == sorted([others["tag"], *(row["tag"] for row in rows[:2])])
    assert {row["result"] for row in kept(app, "--revisions", "1", "--prune")} == {"already kept"}

    # a revision that failed takes nobody's place: what runs and what a rollback would go to is kept
    digests.append(app.push("D"))
    nowhere = ("--set", "nodeSelector.there=nowhere", "--wait", "--timeout", "1s")
    assert app.machine.pin("upgrade", "app", app.chart, *nowhere).status == 1
    assert app.statuses() == ["superseded", "deployed", "failed"]
    kept(app)
    rows = kept(app, "--revisions", "1", "--prune")
    assert [row["digest"] for row in rows if row["result"] == "already kept"] == digests[2:]
    assert len(tags(server, unique)) == 3
    app.deploy("--set", "replicas=2")  # D runs, a rollback would go to C
    rows = kept(app, "--revisions", "1", "--prune")
    assert [row["digest"] for row in rows] == digests[2:]


def test_what_cannot_be_kept(app: App, server: Server, unique: str) -> None:
    """A digest that is gone: nobody's login would help. And nothing is pruned where a record cannot be read."""
    gone = app.push("A")
    app.deploy()
    app.push("B")
    app.deploy()
    app.delete(gone)
    refused = app.machine.pin("keep", "app")
    assert refused.status == 5
    assert "1 of 2 tags could not be written" in refused.stderr
    assert f"{gone} is gone from the registry" in refused.stderr
    assert "no rollback can run what is gone" in refused.stderr
    assert "log in" not in refused.stderr

    app.rewrite(1, lambda stored: stored["chart"]["metadata"]["annotations"].update({"helm-pin/digests": "{"}))
    before = tags(server, unique)
    refused = app.machine.pin("keep", "app", "--prune")
    assert refused.status == 1
    assert "no tag was removed" in refused.stderr
    assert tags(server, unique) == before != []
    assert len(kept(app)) == 1

    assert app.machine.pin("keep", "nobody").status == 1
    assert app.machine.pin("keep", "app", "--revisions", "0").status == 2


def test_where_the_login_may_not_push(
    in_cluster: Workstation, private_registry: Server, unique: str, tmp_path: Path
) -> None:
    server = private_registry
    digest = server.push_image(unique, "latest")[0]
    chart = tmp_path / "chart"
    for name, text in apps.CHART.items():
        path = chart / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("REPOSITORY", f"{server.host}/{unique}"))
    knows = in_cluster.with_env(HELM_PIN_REGISTRY_USERNAME=f"{server.host}={USER}", HELM_PIN_REGISTRY_PASSWORD=PASSWORD)
    assert knows.pin("upgrade", "--install", "app", chart).status == 0
    refused = in_cluster.pin("keep", "app")
    assert refused.status == 5
    assert "1 of 1 tags could not be written" in refused.stderr
    assert "authentication required" in refused.stderr
    done = knows.pin("keep", "app", "-o", "json")
    assert done.status == 0, done.stderr
    assert json.loads(done.stdout)[0]["digest"] == digest


def test_audit_warns(app: App, cluster: Cluster) -> None:
    app.deploy()
    app.push("B")

    def moved(*flags: str) -> str:
        data = json.loads(app.machine.pin("audit", "--registry", "-o", "json", *flags).stdout)
        (release,) = data["contexts"][0]["releases"]
        return "".join(finding["text"] for finding in release["findings"] if finding["kind"] == "moved")

    assert "no tag is known to hold the recorded digest, helm pin keep app gives it one" in moved()
    context = f"helm-pin-{cluster.name}"
    assert f"helm pin keep app --kube-context {context} gives it one" in moved("--context", context)
    kept(app)
    told = moved()
    assert "has moved since" in told
    assert "no tag is known" not in told
