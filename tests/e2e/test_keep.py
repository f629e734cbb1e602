"""helm pin keep with a real registry: what a rollback needs outlives the registry's garbage collection."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError

import pytest

from scripts.devtools import images
from scripts.devtools.api import Cluster
from scripts.devtools.binaries import binary
from tests.e2e.test_history import without_kubectl
from tests.support import app as apps
from tests.support import kube
from tests.support.app import App
from tests.support.registry_servers import PASSWORD, USER, Server, distribution
from tests.support.twins import UNVALIDATED
from tests.support.workstation import Workstation, whichever_helm

pytestmark = whichever_helm

RECORD = "helm-pin/digests"
BY_TAG = "---\nkind: Pod\nmetadata: {name: by-tag}\nspec: {containers: [{name: a, image: 'example.com/a:1'}]}\n"
BOTH = ("linux/amd64", "linux/arm64")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the registry."""
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    """A registry whose log and garbage are of these tests alone."""
    with distribution(folder / "registry") as started:
        yield started


class Deployed(NamedTuple):
    """A release `app`, which one test goes on with; and others, stored as its first revisions are."""

    app: App
    digests: list[str]
    """Those of the first two revisions: of an image for BOTH, and of one for one platform."""


@pytest.fixture(scope="class")
def deployed(
    shared_in_cluster: Workstation, server: Server, shared_unique: str, tmp_path_factory: pytest.TempPathFactory
) -> Deployed:
    """For all tests of a class, each of which leaves these two images in the registry, and `latest` at another than the first."""
    app = apps.app(shared_in_cluster, server.host, shared_unique, tmp_path_factory.mktemp("chart"))
    digests = []
    like_it = (("A", BOTH, ("gone", "moved", "private", "plain")), ("B", (), ("gone", "other", "plain")))
    for number, (letter, platforms, releases) in enumerate(like_it, 1):
        digests.append(app.push(letter, platforms))
        app.deploy()
        for release in releases:
            kube.revision(app.machine, "app", number).copy(release)
    return Deployed(app, digests)


def collect(folder: Path) -> None:
    """What registries do from time to time: delete what has no tag."""
    command = [binary("registry"), "garbage-collect", "--delete-untagged", folder / "registry" / "config.yml"]
    subprocess.run(command, check=True, capture_output=True)


def kept(app: App, *args: str, name: str = "app") -> list[dict[str, Any]]:
    """What `helm pin keep -o json` prints."""
    done = app.machine.pin("keep", name, "-o", "json", *args)
    assert done.status == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def tags(server: Server, repository: str, *releases: str) -> list[str]:
    """The tags of helm-pin's that a repository has for releases."""
    listed = json.loads(server.request("GET", f"/v2/{repository}/tags/list")[2])["tags"] or []
    return sorted(tag for tag in listed if tag.startswith(tuple(f"keep-{release}_" for release in releases)))


class TestKept:
    def test_through_a_life(self, deployed: Deployed, server: Server, folder: Path, shared_unique: str) -> None:
        """Tags of each digest once, which survive a garbage collection; with --prune, those of revisions that are gone are removed,
        and no one else's.
        """
        app, repository = deployed.app, shared_unique
        nobodys = app.push("E", BOTH)
        digests = [app.push("A", BOTH), app.push("B")]
        assert digests == deployed.digests
        for platform in BOTH:  # nothing but the index holds them
            server.request("DELETE", f"/v2/{repository}/manifests/latest-{platform.replace('/', '-')}")
        named = {digest: f"keep-app_{repository}_{digest[7:23]}" for digest in digests}
        assert [(row["digest"], row["tag"], row["result"]) for row in kept(app)] == [
            (digest, tag, "kept") for digest, tag in named.items()
        ]
        for digest, tag in named.items():
            headers = {"Accept": f"{images.MANIFEST}, {images.INDEX}"}
            answered = server.request("HEAD", f"/v2/{repository}/manifests/{tag}", headers=headers)[1]
            assert answered["Docker-Content-Digest"] == digest
        collect(folder)
        with pytest.raises(HTTPError, match="404"):
            server.request("HEAD", f"/v2/{repository}/manifests/{nobodys}", headers={"Accept": images.INDEX})
        done = app.rollback("1", "--verify")
        assert done.status == 0, done.stderr
        assert [(row["digest"], row["result"]) for row in kept(app)] == [(digest, "already kept") for digest in digests]
        shown = app.machine.pin("keep", "app")
        assert shown.stdout.splitlines()[0].split() == ["IMAGE", "DIGEST", "TAG", "RESULT"]
        written = [line for line in (server.log or Path()).read_text().splitlines() if f"PUT /v2/{repository}/" in line]
        assert len([line for line in written if "keep-app_" in line and "HTTP/1.1" in line]) == 2

        (others,) = kept(app, name="other")
        assert others["digest"] == digests[1]
        digests.append(app.push("C"))
        app.deploy("--history-max", "2")
        rows = kept(app, "--prune")
        assert [row["result"] for row in rows] == ["already kept", "kept", "removed"]
        assert rows[-1]["tag"] == named[digests[1]]
        assert tags(server, repository, "app", "other") == sorted([others["tag"], *(row["tag"] for row in rows[:2])])
        assert {row["result"] for row in kept(app, "--revisions", "1", "--prune")} == {"already kept"}

        # a revision that failed takes nobody's place: what runs and what a rollback would go to is kept
        digests.append(app.push("D"))
        nowhere = ("--set", "nodeSelector.there=nowhere", "--wait", "--timeout", "1s")
        assert app.machine.pin("upgrade", "app", app.chart, UNVALIDATED, *nowhere).status == 1
        assert app.statuses() == ["superseded", "deployed", "failed"]
        kept(app)
        rows = kept(app, "--revisions", "1", "--prune")
        assert [row["digest"] for row in rows if row["result"] == "already kept"] == digests[2:]
        assert len(tags(server, repository, "app", "other")) == 3

    def test_not_what_is_gone_or_cannot_be_read(self, deployed: Deployed, server: Server, shared_unique: str) -> None:
        """A digest that is gone: nobody's login would help. And nothing is pruned where a record cannot be read."""
        app, (gone, _) = deployed
        app.delete(gone)
        refused = app.machine.pin("keep", "gone")
        assert refused.status == 5
        assert "1 of 2 tags could not be written" in refused.stderr
        assert f"{gone} is gone from the registry" in refused.stderr
        assert "no rollback can run what is gone" in refused.stderr
        assert "log in" not in refused.stderr
        app.push("A", BOTH)
        app.push("B")

        app.rewrite(1, lambda stored: stored["chart"]["metadata"]["annotations"].update({RECORD: "{"}), "gone")
        before = tags(server, shared_unique, "gone")
        refused = app.machine.pin("keep", "gone", "--prune")
        assert refused.status == 1
        assert "no tag was removed" in refused.stderr
        assert tags(server, shared_unique, "gone") == before != []
        done = app.machine.pin("keep", "gone", "-o", "json")
        assert (done.status, len(json.loads(done.stdout))) == (1, 1)
        assert "cannot read what a revision needs; its digests are not kept" in done.stderr
        app.delete(deployed.digests[1])
        done = app.machine.pin("keep", "gone")
        app.push("B")
        assert done.status == 1
        assert "revision 1: the digest record is not valid" in done.stderr
        assert f"{deployed.digests[1]} is gone from the registry" in done.stderr

        assert app.machine.pin("keep", "nobody").status == 1
        assert app.machine.pin("keep", "gone", "--revisions", "0").status == 2

    def test_prune_leaves_what_it_cannot_see_to_be_needless(
        self, deployed: Deployed, server: Server, shared_unique: str, tmp_path: Path
    ) -> None:
        """The digests of a revision that has images without one, too; and all where helm, which skips what it cannot read, is the
        only reader."""
        app, machine = deployed.app, deployed.app.machine
        assert len(kept(app, name="plain")) == 2
        before = tags(server, shared_unique, "plain")

        def by_tag_too(stored: dict[str, Any]) -> None:
            del stored["chart"]["metadata"]["annotations"][RECORD]
            stored["manifest"] += BY_TAG

        app.rewrite(1, by_tag_too, "plain")
        done = machine.pin("keep", "plain", "--prune")
        assert done.status == 0, done.stderr
        assert "revision 1 has no digest record" in done.stderr
        assert tags(server, shared_unique, "plain") == before
        app.rewrite(1, lambda stored: stored["info"].update(status="superseded"), "plain")

        kube.revision(machine, "plain", 2).spoil()
        refused = without_kubectl(machine, tmp_path / "bin").pin("keep", "plain", "--prune")
        assert refused.status == 1
        assert "helm shows no deployed revision, and none after 1" in refused.stderr
        for command in (["keep", "plain"], ["history", "plain", "-o", "images"]):
            done = machine.pin(*command)
            assert done.status == 1, done
            assert "cannot read what a revision needs" in done.stderr
            assert "There is nothing to keep" not in done.stderr
        assert tags(server, shared_unique, "plain") == before

    def test_not_where_the_login_may_not_push(
        self, deployed: Deployed, private_registry: Server, shared_unique: str
    ) -> None:
        (app, (public, _)), server = deployed, private_registry
        digest = server.push_image(shared_unique, "latest")[0]

        def move(stored: dict[str, Any]) -> None:
            del stored["chart"]["metadata"]["annotations"][RECORD]
            stored["manifest"] = stored["manifest"].replace(app.registry, server.host).replace(public, digest)

        app.rewrite(1, move, "private")
        login = {"HELM_PIN_REGISTRY_USERNAME": f"{server.host}={USER}", "HELM_PIN_REGISTRY_PASSWORD": PASSWORD}
        refused = app.machine.pin("keep", "private")
        assert refused.status == 5
        assert "1 of 1 tags could not be written" in refused.stderr
        assert "authentication required" in refused.stderr
        done = app.machine.with_env(**login).pin("keep", "private", "-o", "json")
        assert done.status == 0, done.stderr
        assert json.loads(done.stdout)[0]["digest"] == digest

    def test_audit_warns_of_what_is_not(self, deployed: Deployed, cluster: Cluster) -> None:
        app = deployed.app

        def moved(*flags: str) -> str:
            data = json.loads(app.machine.pin("audit", "--registry", "-o", "json", *flags).stdout)
            releases = {release["release"]: release["findings"] for release in data["contexts"][0]["releases"]}
            return "".join(finding["text"] for finding in releases["moved"] if finding["kind"] == "moved")

        assert "no tag is known to hold the recorded digest, helm pin keep moved gives it one" in moved()
        context = f"helm-pin-{cluster.name}"
        assert f"helm pin keep moved --kube-context {context} gives it one" in moved("--context", context)
        kept(app, name="moved")
        told = moved()
        assert "has moved since" in told
        assert "no tag is known" not in told
