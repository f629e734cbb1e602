"""What the last plan has left in helm's cache makes the next one faster, and never another."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.post_renderer import through
from tests.support.registry_servers import Server, distribution
from tests.support.twins import written
from tests.support.workstation import CHECKOUT, Workstation, whichever_helm

pytestmark = whichever_helm

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {containers: [{name: c, image: '%s'}]}\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A registry of the test's own, whose tags move."""
    with distribution(tmp_path / "registry") as started:
        yield started


@pytest.fixture
def chart(server: Server, tmp_path: Path) -> Path:
    """A Pod whose tag a value gives, and one of a packed subchart whose template has the image."""
    server.push_image("app", "1")
    files = {
        "templates/app.yaml": POD % ("app", "{{ .Values.image.repository }}:{{ .Values.image.tag }}"),
        "values.yaml": f"image: {{repository: {server.host}/app, tag: '1'}}\npassword: ''\n",
        "charts/side/Chart.yaml": "apiVersion: v2\nname: side\nversion: 1.0.0\n",
        "charts/side/templates/side.yaml": POD % ("side", f"{server.host}/side"),
    }
    server.push_image("side", "latest")
    return written(tmp_path / "chart", files)


@pytest.fixture
def machine(workstation: Workstation, tmp_path: Path) -> Workstation:
    """One with an empty cache."""
    return workstation.with_env(HELM_CACHE_HOME=str(tmp_path / "cache"))


def kept(machine: Workstation) -> list[Path]:
    return sorted(Path(machine.env["HELM_CACHE_HOME"], "helm-pin").glob("attempt-*.json"))


def plan(machine: Workstation, chart: Path, *args: object) -> Any:
    """What a plan finds, without the time of its record."""
    done = machine.pin("plan", "web", chart, "--no-cluster", "--output=json", *args)
    assert done.status == 0, done.stderr
    return json.loads(done.stdout)


def elsewhere(machine: Workstation, chart: Path, folder: Path, *args: object) -> Any:
    """The same on a machine whose cache is empty."""
    return plan(machine.with_env(HELM_CACHE_HOME=str(folder)), chart, *args)


def begins_early(machine: Workstation, chart: Path, *args: object) -> bool:
    """Whether the confirming render of a plan is begun before the registry is asked."""
    done = machine.pin("plan", "web", chart, "--no-cluster", "--debug", *args)
    assert done.status == 0, done.stderr
    starts = re.findall(r"(\d+) \+ +\d+ ms  (helm template web|asking registries)", done.stderr)
    assert [what for _, what in starts].count("helm template web") == 2, done.stderr
    (asked,) = (int(at) for at, what in starts if what == "asking registries")
    return max(int(at) for at, what in starts if what == "helm template web") < asked


def test_the_confirming_render_of_the_next_plan_is_begun_at_once(machine: Workstation, chart: Path) -> None:
    assert not begins_early(machine, chart)
    assert begins_early(machine, chart)
    assert begins_early(machine, chart)


def test_a_tag_that_has_moved_is_pinned_to_where_it_is_now(
    machine: Workstation, chart: Path, server: Server, tmp_path: Path
) -> None:
    before = plan(machine, chart)
    server.push_image("app", "1", salt="another program")
    after = plan(machine, chart)
    assert after != before
    assert after == elsewhere(machine, chart, tmp_path / "empty")
    assert begins_early(machine, chart)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("templates/app.yaml", POD % ("other", "{{ .Values.image.repository }}:{{ .Values.image.tag }}")),
        ("templates/more.yaml", POD % ("more", "{{ .Values.image.repository }}:{{ .Values.image.tag }}")),
        ("charts/side/templates/side.yaml", POD % ("side", "{{ .Values.image }}")),
    ],
)
def test_a_chart_that_was_edited_is_planned_as_it_is_now(
    machine: Workstation, chart: Path, server: Server, tmp_path: Path, path: str, text: str
) -> None:
    before = plan(machine, chart)
    (chart / path).write_text(text)
    (chart / "charts/side/values.yaml").write_text(f"image: {server.host}/side\n")
    after = plan(machine, chart)
    assert after != before
    assert after == elsewhere(machine, chart, tmp_path / "empty")


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"key": null}',
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_what_is_damaged_is_not_used(machine: Workstation, chart: Path, damage: bytes) -> None:
    before = plan(machine, chart)
    (file,) = kept(machine)
    file.write_bytes(damage)
    assert plan(machine, chart) == before
    assert begins_early(machine, chart)


@pytest.mark.parametrize(
    "poison",
    [
        {"files": {"templates/evil.yaml": POD % ("evil", "evil:1")}},
        {"files": {"templates/app.yaml": "{{ fail `no` }}"}},
        {"files": {"../../etc/x": "x", "": "y"}},
        {"strings": ["image.tag=2"]},
        {"strings": ["--no-such-flag"]},
        {"strings": ["a=\0b"]},
        {"strings": ["a=\ud800b"]},
        {"files": {"templates/\ud800.yaml": "\ud800"}},
        {"files": []},
        {"strings": 5},
    ],
    ids=str,
)
def test_what_somebody_put_there_changes_nothing(machine: Workstation, chart: Path, poison: dict[str, Any]) -> None:
    before = plan(machine, chart)
    (file,) = kept(machine)
    good = json.loads(file.read_text())
    for name, value in poison.items():
        both = isinstance(value, dict) and isinstance(good[name], dict)
        good[name] = {**good[name], **value} if both else value
    file.write_text(json.dumps(good))
    assert plan(machine, chart) == before


def test_helm_gets_no_flag_from_there(machine: Workstation, chart: Path, tmp_path: Path) -> None:
    before = plan(machine, chart)
    (file,) = kept(machine)
    good = json.loads(file.read_text())
    for at in (f"--output-dir={tmp_path}/out", f"--post-renderer={tmp_path}/run"):
        (tmp_path / "run").write_text(f"#!/bin/sh\ntouch {tmp_path}/out\ncat\n")
        (tmp_path / "run").chmod(0o755)
        file.write_text(json.dumps({**good, "strings": [at], "arguments": [at]}))
        assert plan(machine, chart) == before
        assert not (tmp_path / "out").exists()


def test_a_pipe_is_not_waited_for(machine: Workstation, chart: Path) -> None:
    before = plan(machine, chart)
    (file,) = kept(machine)
    file.unlink()
    os.mkfifo(file)
    assert plan(machine, chart) == before
    assert begins_early(machine, chart), "it has been replaced"


def test_no_value_but_an_images_is_kept_and_nobody_else_may_read_it(
    machine: Workstation, chart: Path, tmp_path: Path
) -> None:
    (tmp_path / "values.yaml").write_text("password: hunter2\n")
    plan(machine, chart, "--values", tmp_path / "values.yaml", "--set", "other=hunter3")
    (file,) = kept(machine)
    assert "hunter" not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_other_values_are_another_plan(machine: Workstation, chart: Path, server: Server, tmp_path: Path) -> None:
    server.push_image("app", "2")
    values = tmp_path / "values.yaml"
    values.write_text("image: {tag: '1'}\n")
    plan(machine, chart, "-f", values)
    values.write_text("image: {tag: '2'}\n")
    assert not begins_early(machine, chart, "-f", values)
    assert begins_early(machine, chart, "-f", values)
    assert plan(machine, chart, "-f", values) == elsewhere(machine, chart, tmp_path / "empty", "-f", values)


def test_a_cache_that_takes_no_files_is_done_without(machine: Workstation, chart: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "helm-pin").write_text("this is a file")
    assert plan(machine, chart) == plan(machine, chart)


def test_a_post_renderer_runs_no_more_often(machine: Workstation, chart: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    machine, flags = through(machine, tmp_path, f"echo ran >> {log}\ncat\n")
    (tmp_path / "plugins" / "helm-pin").symlink_to(CHECKOUT)  # where Helm 4 finds the other plugin, too
    runs = []
    for _ in range(2):
        log.write_text("")
        plan(machine, chart, *flags)
        runs.append(log.read_text().count("ran"))
    assert runs[0] == runs[1] > 0
