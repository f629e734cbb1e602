"""-o images: the images that plan, verify, history and audit know, one a line, for tools that read images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.devtools import images as images_of_tests
from scripts.devtools.cluster import Cluster
from tests.support import app as apps
from tests.support import browser
from tests.support.app import App
from tests.support.workstation import Finished, Workstation, whichever_helm

pytestmark = whichever_helm


@pytest.fixture
def app(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> App:
    """One chart; its image at A."""
    return apps.app(in_cluster, cluster.registry, unique, tmp_path)


def images(app: App, *command: object, status: int = 0) -> list[str]:
    """The lines that a command prints."""
    return printed(app, *command, status=status).stdout.splitlines()


def printed(app: App, *command: object, status: int = 0) -> Finished:
    done = app.machine.pin(*command, "-o", "images")
    assert done.status == status, done.stderr
    return done


def test_each_command(app: App) -> None:
    first = app.push("A")
    app.deploy()
    second = app.push("B")
    app.deploy()
    third = app.push("C")
    app.deploy("--set", f"image.tag=latest@{first}", name="other")
    both = sorted([app.image(first), app.image(second)])
    assert images(app, "plan", "app", app.chart) == [app.image(third)]
    assert images(app, "verify", "app") == [app.image(second)]
    assert images(app, "verify", "app", "--revision", "1") == [app.image(first)]
    assert images(app, "history", "app") == both
    assert images(app, "history", "app", "--max", "1") == [app.image(second)]
    assert images(app, "audit") == both


def test_what_has_no_digest_is_named(app: App, tmp_path: Path) -> None:
    digest = app.push("A")
    app.machine.helm("install", "app", app.chart)
    app.machine.helm("upgrade", "app", app.chart, "--set", f"image.tag=latest@{digest}")
    assert images(app, "verify", "app") == [app.image(digest)]
    done = printed(app, "history", "app")
    assert done.stdout.splitlines() == [app.image(digest)]
    assert done.stderr == f"Left out, because they have no digest: {app.image()}.\n"
    app.machine.helm("upgrade", "app", app.chart, "--reset-values")
    missing = printed(app, "verify", "app", status=4)
    assert missing.stdout == ""
    assert "record: failed, not found" in missing.stderr
    assert app.image() in printed(app, "audit").stderr
    report = tmp_path / "images"
    assert printed(app, "audit", "--to", report).stdout == ""
    assert report.read_text() == "\n"


def test_drift_is_said_beside_them(app: App) -> None:
    digest = app.push("A")
    app.deploy()
    app.machine.kubectl("set", "image", "deployment/app", "app=busybox:1")
    done = printed(app, "verify", "app", status=4)
    assert done.stdout == f"{app.image(digest)}\n"
    assert "workloads: failed, 1 difference" in done.stderr
    assert "busybox:1" in done.stderr


def test_what_each_image_is(app: App, unique: str, tmp_path: Path) -> None:
    """Asked only when wanted; of every revision, of the deployed one, of all releases."""
    app = app._replace(machine=app.machine.with_env(HELM_CACHE_HOME=str(tmp_path / "cache")))
    first = app.push("A", ("linux/amd64", "linux/arm64"))
    app.deploy()
    second = app.push("B")
    app.deploy()

    rows = json.loads(app.machine.pin("history", "app", "-o", "json", "--describe").stdout)
    platforms = [[image["details"]["platforms"] for image in row["images"]] for row in rows]
    assert platforms == [[["linux/amd64", "linux/arm64"]], [[images_of_tests.HERE]]]
    assert all(image["details"]["size"] > 100_000 for row in rows for image in row["images"])
    shown = app.machine.pin("history", "app", "--describe").stdout
    assert f"\n\n{app.image(first)}\n  platforms linux/amd64, linux/arm64\n  size      " in shown
    assert "details" not in app.machine.pin("history", "app", "-o", "json").stdout
    assert "--registry-timeout has no effect" in app.machine.pin("history", "app", "--registry-timeout", "3s").stderr

    known = json.loads(app.machine.pin("verify", "app", "-o", "json", "-v").stdout)["details"]
    assert known[app.image(second)]["platforms"] == [images_of_tests.HERE]
    assert f"{app.image(second)}\n  platforms {images_of_tests.HERE}\n" in app.machine.pin("verify", "app", "-v").stdout
    assert app.machine.pin("verify", "app", "-v", "--no-registry").status == 2

    data = json.loads(app.machine.pin("audit", "-o", "json", "--registry", "--describe").stdout)
    (release,) = data["contexts"][0]["releases"]
    assert release["details"][second]["platforms"] == [images_of_tests.HERE]
    page = tmp_path / "page.html"
    assert app.machine.pin("audit", "-o", "html", "--to", page, "--registry", "--describe").status == 0
    assert f"{app.image()} {images_of_tests.HERE} · " in browser.words(
        browser.shown(page, f"open=/{unique}/app", scratch=tmp_path)
    )
    assert app.machine.pin("audit", "--describe").status == 2
