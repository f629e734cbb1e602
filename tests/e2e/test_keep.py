"""helm pin keep with a real registry: what a rollback needs outlives the registry's garbage collection."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.devtools import images
from scripts.devtools.binaries import binary
from tests.support import app as apps
from tests.support.app import App
from tests.support.registry_servers import PASSWORD, USER, Server, distribution
from tests.support.workstation import Workstation, whichever_helm

pytestmark = whichever_helm


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A registry of the test's own."""
    with distribution(tmp_path / "registry") as started:
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


def test_what_is_kept_survives_a_garbage_collection(app: App, server: Server, unique: str, tmp_path: Path) -> None:
    both = ("linux/amd64", "linux/arm64")
    digests = {}
    for name, first, then in (("app", "A", "B"), ("other", "C", "D")):
        there = app._replace(repository=f"{unique}-{name}")
        digests[name] = there.push(first, both)
        chart = apps.app(app.machine, server.host, there.repository, tmp_path / name).chart
        digests[name] = there.push(first, both)
        assert app.machine.pin("upgrade", "--install", name, chart).status == 0
        there.push(then)
        assert app.machine.pin("upgrade", name, chart).status == 0
        for platform in both:  # nothing but the index holds them
            tag = f"latest-{platform.replace('/', '-')}"
            server.request("DELETE", f"/v2/{there.repository}/manifests/{tag}")
    assert [row["result"] for row in kept(app)] == ["kept", "kept"]
    collect(tmp_path)
    done = app.machine.pin("rollback", "app", "1", "--verify")
    assert done.status == 0, done.stderr
    refused = app.machine.pin("rollback", "other", "1", "--verify")
    assert refused.status == 4
    assert "gone from the registry; nothing was changed" in refused.stderr


class TestTags:
    def test_of_each_digest_once(self, app: App, server: Server, unique: str) -> None:
        first = app.push("A")
        app.deploy()
        second = app.push("B")
        app.deploy()
        app.deploy("--set", "replicas=2")
        named = {digest: f"keep-app_{unique}_{digest[7:23]}" for digest in (first, second)}
        assert [(row["digest"], row["tag"], row["result"]) for row in kept(app)] == [
            (digest, tag, "kept") for digest, tag in named.items()
        ]
        for digest, tag in named.items():
            headers = server.request("HEAD", f"/v2/{unique}/manifests/{tag}", headers={"Accept": images.MANIFEST})[1]
            assert headers["Docker-Content-Digest"] == digest
        assert {row["result"] for row in kept(app)} == {"already kept"}
        shown = app.machine.pin("keep", "app")
        assert shown.stdout.splitlines()[0].split() == ["IMAGE", "DIGEST", "TAG", "RESULT"]
        pushed = [line for line in (server.log or Path()).read_text().splitlines() if "PUT" in line and "keep-" in line]
        assert len([line for line in pushed if "HTTP/1.1" in line]) == 2

    def test_prune(self, app: App, server: Server, unique: str) -> None:
        """Those of revisions that are gone, and no one else's."""
        for letter in "ABC":
            app.push(letter)
            app.deploy("--history-max", "2")
            app.deploy("--history-max", "2", name="other")
            kept(app)
            kept(app, name="other")
        before = tags(server, unique)
        assert len(before) == 6
        rows = kept(app, "--prune")
        assert [row["result"] for row in rows] == ["already kept", "already kept", "removed"]
        gone = rows[-1]["tag"]
        assert tags(server, unique) == [tag for tag in before if tag != gone]
        assert {row["result"] for row in kept(app, "--revisions", "1", "--prune")} == {"already kept"}
        assert len([tag for tag in tags(server, unique) if tag.startswith("keep-other_")]) == 3

    def test_revisions_that_failed_take_nobodys_place(self, app: App, server: Server, unique: str) -> None:
        """What runs and what a rollback would go to is kept."""
        digests = []
        for letter in "ABC":
            digests.append(app.push(letter))
            app.deploy()
        digests.append(app.push("D"))
        nowhere = ("--set", "nodeSelector.there=nowhere", "--wait", "--timeout", "1s")
        assert app.machine.pin("upgrade", "app", app.chart, *nowhere).status == 1
        assert app.statuses() == ["superseded", "superseded", "deployed", "failed"]
        kept(app)
        rows = kept(app, "--revisions", "1", "--prune")
        assert [row["digest"] for row in rows if row["result"] == "already kept"] == digests[2:]
        assert len(tags(server, unique)) == 2
        app.deploy("--set", "replicas=2")  # D runs, a rollback would go to C
        rows = kept(app, "--revisions", "1", "--prune")
        assert [row["digest"] for row in rows] == digests[2:]

    def test_nothing_is_pruned_where_a_record_cannot_be_read(self, app: App, server: Server, unique: str) -> None:
        app.deploy()
        kept(app)
        app.push("B")
        app.deploy()
        app.rewrite(1, lambda stored: stored["chart"]["metadata"]["annotations"].update({"helm-pin/digests": "{"}))
        refused = app.machine.pin("keep", "app", "--prune")
        assert refused.status == 1
        assert "no tag was removed" in refused.stderr
        assert len(tags(server, unique)) == 1
        assert len(kept(app)) == 1

    def test_a_digest_that_is_gone(self, app: App) -> None:
        """Nobody's login would help."""
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

    def test_usage(self, app: App) -> None:
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


def test_audit_warns(app: App) -> None:
    app.push("A")
    app.deploy()
    app.push("B")

    def moved(*flags: str) -> str:
        data = json.loads(app.machine.pin("audit", "--registry", "-o", "json", *flags).stdout)
        (release,) = data["contexts"][0]["releases"]
        return "".join(finding["text"] for finding in release["findings"] if finding["kind"] == "moved")

    assert "no tag is known to hold the recorded digest, helm pin keep app gives it one" in moved()
    context = app.machine.kubectl("config", "current-context").strip()
    assert f"helm pin keep app --kube-context {context} gives it one" in moved("--context", context)
    kept(app)
    assert "has moved since" in moved()
    assert "no tag is known" not in moved()
