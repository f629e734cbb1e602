"""Tags that have moved since a release was deployed: helm pin outdated, and audit --registry."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scripts.devtools import images
from scripts.devtools.cluster import Cluster
from tests.support import app as apps
from tests.support import browser
from tests.support.app import App
from tests.support.registry_servers import distribution
from tests.support.workstation import Finished, Workstation, whichever_helm

pytestmark = whichever_helm


@pytest.fixture
def app(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> App:
    """One chart; its image at A."""
    return apps.app(in_cluster, cluster.registry, unique, tmp_path)


def outdated(app: App, *args: str, status: int = 0) -> dict[str, Any]:
    """What `helm pin outdated -o json` prints."""
    done = app.machine.pin("outdated", "-o", "json", *args)
    assert done.status == status, done.stderr
    return answer(done)


def answer(done: Finished) -> dict[str, Any]:
    """The JSON that it printed."""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def audited(app: App, *args: str, status: int = 0) -> dict[str, Any]:
    """Release app, as `helm pin audit -o json` has it."""
    done = app.machine.pin("audit", "-o", "json", *args)
    assert done.status == status, done.stderr
    return {r["release"]: r for r in json.loads(done.stdout)["contexts"][0]["releases"]}["app"]


def created(app: App) -> str:
    """When the record of release app was written."""
    metadata = json.loads(app.machine.helm("get", "metadata", "app", "-o", "json"))
    return str(json.loads(metadata["annotations"]["helm-pin/digests"])["created"])


class TestOutdated:
    def test_from_what_to_what_and_since(self, app: App, unique: str) -> None:
        first = app.push("A")
        app.deploy()
        assert outdated(app) == {"moved": [], "asked": 1, "unanswered": []}
        quiet = app.machine.pin("outdated")
        assert (quiet.status, quiet.stdout, quiet.stderr) == (0, "", "No tag has moved; 1 checked.\n")
        second = app.push("B")
        row = {"namespace": unique, "release": "app", "revision": 1, "reference": app.image()}
        moved = {**row, "from": first, "to": second, "since": created(app)}
        assert outdated(app)["moved"] == outdated(app, "app")["moved"] == [moved]
        everywhere = app.machine.pin("outdated", "-o", "json", "-A")
        assert everywhere.status in (0, 5)  # registries of other tests' releases may be gone
        assert moved in answer(everywhere)["moved"]
        shown = app.machine.pin("outdated", "app")
        assert shown.stdout.splitlines()[1].split() == [
            unique,
            "app",
            app.image(),
            first[:19],
            second[:19],
            created(app),
        ]
        app.deploy()
        assert outdated(app)["moved"] == []

    def test_releases_of_others(self, app: App) -> None:
        """Pinned by a values file: compared with the manifest; since when is not known. Nothing to compare without digests."""
        first = app.push("A")
        app.machine.helm("install", "app", app.chart, "--set", f"image.tag=latest@{first}")
        app.machine.helm("install", "plain", app.chart)
        second = app.push("B")
        (row,) = outdated(app)["moved"]
        assert (row["release"], row["from"], row["to"], row["since"]) == ("app", first, second, None)
        assert "plain: it has no digest record" in app.machine.pin("outdated").stderr

    def test_what_the_chart_pins_itself_does_not_count(self, app: App) -> None:
        first = app.push("A")
        app.deploy("--set", f"image.tag=latest@{first}")
        app.push("B")
        assert outdated(app) == {"moved": [], "asked": 0, "unanswered": []}

    def test_a_lock_does_not_say_since_when(self, app: App, tmp_path: Path) -> None:
        app.push("A")
        lock = tmp_path / "lock.yaml"
        assert app.machine.pin("lock", "app", app.chart, "--file", lock).status == 0
        app.deploy("--lock", str(lock))
        app.push("B")
        assert outdated(app)["moved"][0]["since"] is None

    def test_the_deployed_revision_counts(self, app: App) -> None:
        first = app.push("A")
        app.deploy()
        app.push("B")
        assert app.machine.pin("upgrade", "app", app.chart, "--set", "nodeSelector.bad key=x").status == 1
        (row,) = outdated(app, "app")["moved"]
        assert (row["revision"], row["from"]) == (1, first)

    def test_how_it_ends(self, app: App, in_cluster: Workstation, unique: str, tmp_path: Path) -> None:
        assert app.machine.pin("outdated", "nobody").status == 1
        assert app.machine.pin("outdated", "app", "-A").status == 2
        with distribution(tmp_path / "registry") as server:
            there = apps.app(in_cluster, server.host, unique, tmp_path / "chart")
            there.deploy()
        assert len(outdated(app, "--registry-timeout", "2s", status=5)["unanswered"]) == 1


class TestAudit:
    def test_a_finding_that_fails_only_when_asked(self, app: App) -> None:
        first = app.push("A")
        app.deploy()
        second = app.push("B")
        assert audited(app)["moved"] is None
        release = audited(app, "--registry")
        assert "moved" in release["kinds"]
        assert release["moved"] == [{"reference": app.image(), "from": first, "to": second, "since": created(app)}]
        (text,) = [f["text"] for f in release["findings"] if f["kind"] == "moved"]
        assert text.startswith(
            f"{app.image()} has moved since {created(app)}: it is {second} now; no tag is known to hold"
        )
        audited(app, "--registry", "--fail-on", "moved", status=4)
        audited(app, "--fail-on", "moved")
        assert re.search(r"SET +MOVED +VERDICT\n.* 1 +moved", app.machine.pin("audit", "--registry").stdout)
        metrics = app.machine.pin("audit", "--registry", "-o", "prometheus").stdout
        assert re.search(r'helm_pin_release_images_moved\{.*release="app"\} 1\n', metrics)
        assert "images_moved" not in app.machine.pin("audit", "-o", "prometheus").stdout

    def test_the_page_has_a_column(self, app: App, unique: str, tmp_path: Path) -> None:
        app.push("A")
        app.deploy()
        second = app.push("B")
        for flags, columns in ((["--registry"], "current context Moved tags app"), ([], "current context app")):
            page = tmp_path / "page.html"
            assert app.machine.pin("audit", "-o", "html", "--to", page, *flags).status == 0
            shown = browser.shown(page, f"open=/{unique}/app", scratch=tmp_path)
            assert f"Release (1 of 1) {columns}" in browser.words(shown)
            assert (f"The tag now {app.image()}" in browser.words(shown)) is bool(flags)
            assert (second in browser.words(shown)) is bool(flags)

    def test_each_reference_is_asked_for_once(
        self, app: App, in_cluster: Workstation, unique: str, tmp_path: Path
    ) -> None:
        with distribution(tmp_path / "registry") as server:
            there = apps.app(in_cluster, server.host, unique, tmp_path / "chart")
            for name in ("app", "two", "three"):
                there.deploy(name=name)
            images.push(server.host, unique, "latest", "B", ("linux/amd64", "linux/arm64"))
            assert server.log
            before = len(server.log.read_text().splitlines())
            audited(app, "--registry")
            asked = [line for line in server.log.read_text().splitlines()[before:] if "HTTP/1.1" in line]
            assert (
                sum(f"/v2/{unique}/manifests/latest" in line for line in asked) <= 2
            )  # HEAD, and GET where that is not enough
            assert sum("/manifests/sha256:" in line for line in asked) == 1
