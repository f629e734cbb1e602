"""-o images: the images that plan, verify, history and audit know, one a line, for tools that read images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from scripts.devtools import images as images_of_tests
from scripts.devtools.cluster import Cluster
from tests.support import app as apps
from tests.support import kube
from tests.support.app import App
from tests.support.twins import UNVALIDATED
from tests.support.workstation import Finished, Workstation, whichever_helm

pytestmark = whichever_helm
BARE = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: bare}
data: {a: b}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: bare}
spec:
  selector: {matchLabels: {app: bare}}
  template:
    metadata: {labels: {app: bare}}
    spec: {containers: [{name: app, image: }]}
"""


class Deployed(NamedTuple):
    """A release in two revisions, with their digests; another one, of the first digest; and what the tag means now."""

    app: App
    first: str
    second: str
    third: str


@pytest.fixture(scope="class")
def deployed(
    shared_in_cluster: Workstation, cluster: Cluster, shared_unique: str, tmp_path_factory: pytest.TempPathFactory
) -> Deployed:
    """Not changed by the tests, nor what is known of its images."""
    folder = tmp_path_factory.mktemp("deployed")
    machine = shared_in_cluster.with_env(HELM_CACHE_HOME=str(folder / "cache"))
    app = apps.app(machine, cluster.registry, shared_unique, folder)
    first = app.push("A", ("linux/amd64", "linux/arm64"))
    app.deploy()
    second = app.push("B")
    app.deploy()
    app.deploy("--set", f"image.tag=latest@{first}", name="other")
    return Deployed(app, first, second, app.push("C"))


def images(app: App, *command: object, status: int = 0) -> list[str]:
    """The lines that a command prints."""
    return printed(app, *command, status=status).stdout.splitlines()


def printed(app: App, *command: object, status: int = 0) -> Finished:
    done = app.machine.pin(*command, "-o", "images")
    assert done.status == status, done.stderr
    return done


class TestOfWhatIsDeployed:
    def test_each_command(self, deployed: Deployed) -> None:
        app, first, second, third = deployed
        both = sorted([app.image(first), app.image(second)])
        assert images(app, "plan", "app", app.chart) == [app.image(third)]
        assert images(app, "verify", "app") == [app.image(second)]
        assert images(app, "verify", "app", "--revision", "1") == [app.image(first)]
        assert images(app, "history", "app") == both
        assert images(app, "audit") == both

    def test_an_image_without_a_digest_is_named(self, deployed: Deployed) -> None:
        app = deployed.app
        app.machine.helm("upgrade", "--install", "plain", app.chart)
        for command in (["verify", "plain", "--no-registry"], ["history", "plain"]):
            done = app.machine.pin(*command, "-o", "images")
            assert done.stdout == ""
            assert "Left out, because they have no digest: " in done.stderr, done.stderr
        app.machine.helm("uninstall", "plain")

    def test_drift_is_said_beside_them(self, deployed: Deployed) -> None:
        app, first, *_ = deployed
        place, other = kube.namespace(app.machine), "deployments/other"
        deployment = place.api("GET", other)
        app.machine.kubectl("set", "image", "deployment/other", "app=busybox:1")
        try:
            done = printed(app, "verify", "other", status=4)
        finally:
            place.put(other, deployment)
        assert done.stdout == f"{app.image(first)}\n"
        assert "workloads: failed, 1 difference" in done.stderr
        assert "busybox:1" in done.stderr

    def test_what_each_image_is(self, deployed: Deployed) -> None:
        """Asked only when wanted; of every revision, of the deployed one, of all releases. On the page: test_audit.py."""
        app, first, second, _ = deployed
        rows = json.loads(app.machine.pin("history", "app", "-o", "json", "--describe").stdout)
        platforms = [[image["details"]["platforms"] for image in row["images"]] for row in rows]
        assert platforms == [[["linux/amd64", "linux/arm64"]], [[images_of_tests.HERE]]]
        assert all(image["details"]["size"] > 100_000 for row in rows for image in row["images"])
        shown = app.machine.pin("history", "app", "--describe").stdout
        assert f"\n\n{app.image(first)}\n  platforms linux/amd64, linux/arm64\n  size      " in shown
        plain = app.machine.pin("history", "app", "-o", "json", "--registry-timeout", "3s")
        assert "details" not in plain.stdout
        assert "--registry-timeout has no effect" in plain.stderr

        known = json.loads(app.machine.pin("verify", "app", "-o", "json", "-v").stdout)["details"]
        assert known[app.image(second)]["platforms"] == [images_of_tests.HERE]
        assert (
            f"{app.image(second)}\n  platforms {images_of_tests.HERE}\n"
            in app.machine.pin("verify", "app", "-v").stdout
        )

        data = json.loads(app.machine.pin("audit", "-o", "json", "--registry", "--describe").stdout)
        (release,) = [each for each in data["contexts"][0]["releases"] if each["release"] == "app"]
        assert release["details"][second]["platforms"] == [images_of_tests.HERE]


def test_what_has_no_digest_is_named(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> None:
    app = apps.app(in_cluster, cluster.registry, unique, tmp_path)
    digest = app.push("A")
    app.machine.helm("install", "app", app.chart, UNVALIDATED)
    app.machine.helm("upgrade", "app", app.chart, UNVALIDATED, "--set", f"image.tag=latest@{digest}")
    assert images(app, "verify", "app") == [app.image(digest)]
    done = printed(app, "history", "app")
    assert done.stdout.splitlines() == [app.image(digest)]
    assert done.stderr == f"Left out, because they have no digest: {app.image()}.\n"
    app.machine.helm("upgrade", "app", app.chart, UNVALIDATED, "--reset-values")
    missing = printed(app, "verify", "app", status=4)
    assert missing.stdout == ""
    assert "record: failed, not found" in missing.stderr
    report = tmp_path / "images"
    audited = printed(app, "audit", "--to", report)
    assert (audited.stdout, report.read_text()) == ("", "\n")
    assert app.image() in audited.stderr


def test_a_container_without_an_image_is_refused_before_helm_deploys_a_part(
    in_cluster: Workstation, tmp_path: Path
) -> None:
    chart = tmp_path / "bare"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: bare\nversion: 1.0.0\n")
    (chart / "templates/all.yaml").write_text(BARE)
    place = kube.namespace(in_cluster)
    done = in_cluster.pin("upgrade", "--install", "bare", chart)
    assert done.status == 3
    assert "1 container has no image; nothing was deployed" in done.stderr
    assert "Deployment/bare container app, in bare/templates/all.yaml" in done.stderr
    assert place.api("GET", "secrets")["items"] == []
    assert "has no image: helm pin upgrade would refuse it" in in_cluster.pin("plan", "bare", chart).stderr

    let_through = in_cluster.pin("upgrade", "--install", "bare", chart, "--allow-unpinned", '""')
    assert let_through.status == 1
    assert "image: Required value" in let_through.stderr
    assert place.api("GET", "configmaps/bare")["data"] == {"a": "b"}, "helm has deployed a part"
