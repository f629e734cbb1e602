"""--require on a real API server: what a command refuses is not deployed, what it agreed to is in the record, and asked again."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from scripts.devtools.cluster import Cluster
from tests.support import app as apps
from tests.support import kube
from tests.support.app import App
from tests.support.workstation import CHECKOUT, Workstation, whichever_helm

pytestmark = whichever_helm


@pytest.fixture
def app(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> App:
    """One chart; its image at A."""
    return apps.app(in_cluster, cluster.registry, unique, tmp_path)


@pytest.fixture
def agrees(tmp_path: Path) -> tuple[str, Path]:
    """A command that agrees to the images of a list, and logs what it is asked; and the list."""
    script, known = tmp_path / "agrees", tmp_path / "known"
    script.write_text(
        f'#!/bin/sh\necho "$1" >> {tmp_path}/asked\ngrep -qF "$1" {known} || {{ echo not signed; exit 1; }}\n'
    )
    script.chmod(0o755)
    known.touch()
    return f"{script} {{}}", known


def record(app: App, revision: int) -> dict[str, Any]:
    """That of a stored revision."""
    place = kube.namespace(app.machine)
    secret = place.api("GET", f"secrets/{kube.Revision(place, 'app', revision).secret}")
    stored = kube.unpacked(base64.b64decode(secret["data"]["release"]))
    found: dict[str, Any] = json.loads(stored["chart"]["metadata"]["annotations"]["helm-pin/digests"])
    return found


def test_nothing_is_deployed_before_all_agree_and_a_rollback_asks_again(
    app: App, agrees: tuple[str, Path], tmp_path: Path
) -> None:
    command, known = agrees
    first = app.push("A")
    for flags in (["upgrade", "--install", "app"], ["install", "app"], ["plan", "app"], ["template"]):
        refused = app.machine.pin(*flags, app.chart, "--require", command)
        assert refused.status == 3, refused.stderr
        asked = command.replace("{}", app.image(first))
        assert f"Error: {app.image()} refused by a required command" in refused.stderr
        assert (
            f"{app.image()}: `{asked}` rejected the image (exit status 1)\n            | not signed\n" in refused.stderr
        )
    assert kube.revisions(app.machine, "app") == []
    known.write_text(f"{app.image(first)}\n")
    app.deploy("--require", command, "--require", "test -n {}")
    assert record(app, 1)["required"] == [command, "test -n {}"]
    assert set((tmp_path / "asked").read_text().splitlines()) == {app.image(first)}
    second = app.push("B")
    by_environment = app.machine.with_env(HELM_PIN_REQUIRE=command)
    assert by_environment.pin("upgrade", "app", app.chart).status == 3
    assert len(app.statuses()) == 1
    assert app.live() == app.image(first)
    app.deploy()
    assert "required" not in record(app, 2)

    known.write_text("")
    refused = app.rollback("1", "--verify", "--require", command)
    assert refused.status == 3
    assert "1 image refused by a required command; nothing was changed" in refused.stderr
    assert f"{app.image(first)}: `{command.replace('{}', app.image(first))}` rejected the image" in refused.stderr
    assert len(app.statuses()) == 2
    known.write_text(f"{app.image(first)}\n")
    alone = app.rollback("1", "--require", command)
    assert (alone.status, "--require requires --verify" in alone.stderr) == (2, True)
    assert app.live() == app.image(second)
    (tmp_path / "asked").write_text("")
    done = app.rollback("1", "--verify", "--require", command)
    assert done.status == 0, done.stderr
    assert "Not run now, although revision 1 was deployed with it: --require test -n {}" in done.stderr
    assert (tmp_path / "asked").read_text() == f"{app.image(first)}\n"
    assert app.live() == app.image(first)
    assert record(app, 3)["required"] == [command, "test -n {}"]


def test_usage(workstation: Workstation) -> None:
    done = workstation.pin("plan", CHECKOUT / "tests/charts/hard-coded", "--require", "/nonexistent/program {}")
    assert done.status == 2, done.stderr
    assert "--require" in done.stderr
