"""Tags that have moved since a release was deployed: helm pin outdated, and audit --registry."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from scripts.devtools import images
from scripts.devtools.api import Cluster
from scripts.devtools.processes import Servers
from tests.support import app as apps
from tests.support import browser, kube
from tests.support.app import App
from tests.support.twins import UNVALIDATED
from tests.support.workstation import Finished, Workstation, whichever_helm

pytestmark = whichever_helm


@pytest.fixture(scope="class")
def app(
    shared_in_cluster: Workstation, cluster: Cluster, shared_unique: str, tmp_path_factory: pytest.TempPathFactory
) -> App:
    """Deployed at A; its tag has moved to B since. Beside it is what others have deployed: pinned by a values file, whose last
    upgrade failed, and not pinned."""
    made = apps.app(shared_in_cluster, cluster.registry, shared_unique, tmp_path_factory.mktemp("app"))
    machine, first = made.machine, made.push("A")
    made.deploy()
    second = made.push("B")
    machine.helm("install", "others", made.chart, UNVALIDATED, "--set", f"image.tag=latest@{first}")
    broken = ("--set", f"image.tag=latest@{second}", "--set", "nodeSelector.bad key=x")
    assert machine.run(machine.helm_binary, "upgrade", "others", made.chart, *broken).status != 0
    machine.helm("install", "plain", made.chart, UNVALIDATED)
    return made


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
    secret = kube.namespace(app.machine).api("GET", "secrets/sh.helm.release.v1.app.v1")
    stored = kube.unpacked(base64.b64decode(secret["data"]["release"]))
    return str(json.loads(stored["chart"]["metadata"]["annotations"]["helm-pin/digests"])["created"])


class TestMoved:
    def test_from_what_to_what_and_since(self, app: App) -> None:
        first, second = app.push("A"), app.push("B")
        row = {"namespace": app.repository, "release": "app", "revision": 1, "reference": app.image()}
        moved = {**row, "from": first, "to": second, "since": created(app)}
        assert outdated(app, "app")["moved"] == [moved]
        assert moved in outdated(app)["moved"]
        everywhere = app.machine.pin("outdated", "-o", "json", "-A")
        assert everywhere.status in (0, 5)  # registries of other tests' releases may be gone
        assert moved in answer(everywhere)["moved"]
        shown = app.machine.pin("outdated", "app")
        assert shown.stdout.splitlines()[1].split() == [
            app.repository,
            "app",
            app.image(),
            first[:19],
            second[:19],
            created(app),
        ]

    def test_nothing_has_moved(self, app: App) -> None:
        app.push("A")
        assert outdated(app, "app") == {"moved": [], "asked": 1, "unanswered": []}
        quiet = app.machine.pin("outdated", "app")
        assert (quiet.status, quiet.stdout, quiet.stderr) == (0, "", "No tag has moved; 1 checked.\n")
        app.push("B")

    def test_releases_of_others(self, app: App) -> None:
        """Pinned by a values file: the manifest of the deployed revision is compared; since when is not known. Nothing to compare
        without digests."""
        first, second = app.push("A"), app.push("B")
        done = app.machine.pin("outdated", "-o", "json")
        (row,) = [row for row in answer(done)["moved"] if row["release"] == "others"]
        assert (row["revision"], row["from"], row["to"], row["since"]) == (1, first, second, None)
        assert "plain: it has no digest record" in done.stderr
        assert not any(row["release"] == "plain" for row in answer(done)["moved"])

    def test_what_the_chart_pins_itself_does_not_count(self, app: App) -> None:
        app.deploy("--set", f"image.tag=latest@{app.push('A')}", name="own")
        app.push("B")
        assert outdated(app, "own") == {"moved": [], "asked": 0, "unanswered": []}

    def test_how_it_ends(self, app: App, in_cluster: Workstation) -> None:
        assert in_cluster.pin("outdated", "nobody").status == 1
        assert in_cluster.pin("outdated", "app", "-A").status == 2
        assert in_cluster.pin("outdated").status == 0
        nowhere = in_cluster.pin("outdated", "--namespace", "no-such")
        assert (nowhere.status, nowhere.stdout) == (1, "")
        assert 'Not read: namespaces "no-such" not found (NotFound)' in nowhere.stderr
        silent = ("--set", f"image.repository=127.0.0.1:9/app,image.tag=latest@{app.push('B')}")
        in_cluster.helm("install", "app", app.chart, *silent)
        there = app._replace(machine=in_cluster)
        assert len(outdated(there, "--registry-timeout", "2s", status=5)["unanswered"]) == 1
        kube.revision(in_cluster, "app", 1).spoil()
        spoilt = in_cluster.pin("outdated", "app")
        assert (spoilt.status, spoilt.stderr.count("Not read: ")) == (1, 1)

    def test_a_finding_of_an_audit_that_fails_only_when_asked(self, app: App) -> None:
        first, second = app.push("A"), app.push("B")
        release = audited(app, "--registry", "--fail-on", "moved", status=4)
        assert "moved" in release["kinds"]
        assert release["moved"] == [{"reference": app.image(), "from": first, "to": second, "since": created(app)}]
        (text,) = [f["text"] for f in release["findings"] if f["kind"] == "moved"]
        assert text.startswith(
            f"{app.image()} has moved since {created(app)}: it points to {second} now; no tag is known to hold"
        )
        assert audited(app)["moved"] is None
        assert app.machine.pin("audit", "--fail-on", "moved").status == 2
        shown = app.machine.pin("audit", "--registry")
        assert shown.status == 0
        assert re.search(r"SET +MOVED +VERDICT\n(.*\n)*.* app .* 1 +moved", shown.stdout)

    def test_the_page_of_an_audit_has_a_column(self, app: App, tmp_path: Path) -> None:
        second = app.push("B")
        for flags in (["--registry"], []):
            page = tmp_path / "page.html"
            assert app.machine.pin("audit", "-o", "html", "--to", page, *flags).status == 0
            shown = browser.words(browser.shown(page, f"open=/{app.repository}/app", scratch=tmp_path))
            heads = re.search(r"Release \(\d of \d\) current context (Moved tags )?\w", shown)
            assert heads and bool(heads[1]) is bool(flags), shown
            assert (f"The tag now {app.image()}" in shown) is bool(flags)
            assert (second in shown) is bool(flags)

    def test_each_reference_is_asked_for_once_by_an_audit(self, app: App, cluster: Cluster, tmp_path: Path) -> None:
        app.push("A")
        images.push(cluster.registry, app.repository, "latest", "B", ("linux/amd64", "linux/arm64"))
        log = Servers(Path(cluster.folder)).log("registry")
        before = len(log.read_text().splitlines())
        unknowing = app._replace(machine=app.machine.with_env(HELM_CACHE_HOME=str(tmp_path)))
        assert audited(unknowing, "--registry")["moved"]
        asked = [line for line in log.read_text().splitlines()[before:] if "HTTP/1.1" in line]
        latest = sum(f"/v2/{app.repository}/manifests/latest" in line for line in asked)
        assert 1 <= latest <= 2  # HEAD, and GET where that is not enough
        assert sum("/manifests/sha256:" in line for line in asked) == 1
        app.push("B")
