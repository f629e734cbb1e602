"""What images are, and which versions they have today: from real registries, asked only when wanted, and kept for good."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.registry_servers import OCI_INDEX, OCI_MANIFEST, Server, distribution
from tests.support.twins import written
from tests.support.workstation import Finished, Workstation, whichever_helm

pytestmark = whichever_helm

OCI = "org.opencontainers.image."


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A registry of the test's own: what it is asked is counted."""
    with distribution(tmp_path / "registry") as started:
        yield started


def push(server: Server, *tags: str, platforms: tuple[str, ...] = ("linux/arm64", "linux/amd64"), **labels: str) -> str:
    """Push an index of images with labels, under each tag; its digest."""
    children = []
    for platform in platforms:
        system, architecture = platform.split("/")
        stated = {f"{OCI}{name}": text for name, text in labels.items()}
        config = {"os": system, "architecture": architecture, "created": "2026-01-02T03:04:05Z", "config": {}}
        config["config"] = {"Labels": stated}
        body = json.dumps(config).encode()
        layer = server.push_blob("app", f"layer of {platform}".encode())
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"digest": server.push_blob("app", body), "size": len(body), "mediaType": "x"},
            "layers": [{"digest": layer, "size": 1_000_000, "mediaType": "x"}],
        }
        digest = server.push_manifest("app", f"part-{architecture}", manifest, OCI_MANIFEST)
        child = {"mediaType": OCI_MANIFEST, "digest": digest, "size": 1}
        children.append({**child, "platform": {"os": system, "architecture": architecture}})
    index = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": children,
        "annotations": {f"{OCI}revision": "0123abc"},
    }
    return [server.push_manifest("app", tag, index, OCI_INDEX) for tag in tags][-1]


@pytest.fixture
def chart(server: Server, tmp_path: Path) -> Path:
    """One Pod with the image at latest."""
    pod = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: pod}}\nspec: {{containers: [{{name: app, image: '{server.host}/app'}}]}}\n"
    return written(tmp_path / "chart", {"templates/pod.yaml": pod})


def asked(server: Server) -> list[str]:
    """The requests that the registry has had."""
    assert server.log
    return [line for line in server.log.read_text().splitlines() if "HTTP/1.1" in line and "/v2/app/" in line]


def planned(machine: Workstation, chart: Path, *args: str) -> Finished:
    done = machine.pin("plan", "web", chart, "--no-cluster", *args)
    assert done.status == 0, done.stderr
    return done


def image(machine: Workstation, chart: Path, *args: str) -> dict[str, Any]:
    """The one image of the plan."""
    (found,) = json.loads(planned(machine, chart, "-o", "json", *args).stdout)["images"]
    assert isinstance(found, dict)
    return found


def test_plan_shows_what_an_image_is(workstation: Workstation, server: Server, chart: Path, tmp_path: Path) -> None:
    push(server, "latest", version="1.27.3", source="https://example.com/app")
    machine = workstation.with_env(HELM_CACHE_HOME=str(tmp_path / "cache"))
    assert "details" not in image(machine, chart)
    before = len(asked(server))
    shown = planned(machine, chart, "-v").stdout
    assert len(asked(server)) - before <= 2 + 3  # the tag; index, manifest and configuration
    for line in (
        "created   2026-01-02T03:04:05Z",
        "version   1.27.3",
        "revision  0123abc",
        "source    https://example.com/app",
        "platforms linux/arm64, linux/amd64",
        "size      1.0 MB",
    ):
        assert f"  {line}\n" in shown
    known = image(machine, chart, "-v")["details"]
    assert (known["version"], known["platforms"]) == ("1.27.3", ["linux/arm64", "linux/amd64"])
    before = len(asked(server))
    assert image(machine, chart, "-v")["details"] == known
    assert sum("blobs" in line for line in asked(server)[before:]) == 0  # kept for good


def test_versions_that_have_the_digest_today(
    workstation: Workstation, server: Server, chart: Path, tmp_path: Path
) -> None:
    machine = workstation.with_env(HELM_CACHE_HOME=str(tmp_path / "cache"))
    push(server, "v1.27.2", "1.27.2", version="1.27.2")
    push(server, "latest", "1.27", "v1.27.3", version="1.27.3")
    assert "suggestion" not in image(machine, chart)
    assert image(machine, chart, "--suggest")["suggestion"] == "v1.27.3"
    assert image(machine, chart, "--suggest", "--mutable-tag", "v1.*")["suggestion"] is None
    push(server, "latest", version="")  # it says nothing of itself, and no version has its digest
    assert image(machine, chart, "--suggest")["suggestion"] is None
    push(server, "latest", "1.28.0-rc.1", "1.28.0", platforms=("linux/amd64",), version="")
    assert image(machine, chart, "--suggest")["suggestion"] == "1.28.0"


def test_no_more_than_twenty_requests(workstation: Workstation, server: Server, chart: Path, tmp_path: Path) -> None:
    machine = workstation.with_env(HELM_CACHE_HOME=str(tmp_path / "cache"))
    push(server, *(f"1.{n}.0" for n in range(30)), version="old")
    push(server, "latest", version="new")
    planned(machine, chart)
    before = len(asked(server))
    planned(machine, chart)
    plain = len(asked(server)) - before
    assert image(machine, chart, "--suggest")["suggestion"] is None
    assert len(asked(server)) - before - plain - plain <= 20


def test_lint_suggests(workstation: Workstation, server: Server, chart: Path, tmp_path: Path) -> None:
    machine = workstation.with_env(HELM_CACHE_HOME=str(tmp_path / "cache"))
    push(server, "latest", "1.27.3", version="1.27.3")
    plain = machine.pin("lint", chart, "-o", "json")
    assert not [line for line in asked(server) if "helm-pin/" in line]
    assert "suggestion" not in json.loads(plain.stdout)[0]
    done = machine.pin("lint", chart, "--suggest", "-o", "json")
    assert done.status == 3
    assert json.loads(done.stdout)[0]["suggestion"] == "1.27.3"
    done = machine.pin("lint", chart, "--suggest", "-o", "json", "--mutable-tag", "1.27.*")
    assert "1.27.3" not in done.stdout
    assert [line for line in asked(server) if "helm-pin/" in line]
    refused = machine.pin("lint", chart, "--registry-timeout", "3s")
    assert (refused.status, "has no effect without --fix or --suggest" in refused.stderr) == (2, True)
    assert machine.pin("lint", chart, "--suggest", "--locked").status == 2


FIXED = {
    "a": ("{repository: HOST/app, tag: 'latest'} # kept", "{repository: HOST/app, tag: '1.27.3'} # kept"),
    "b": ("HOST/app:stable", '"HOST/app:1.28.0"'),
    "c": ("{image: HOST/app}", '{image: "HOST/app:1.27.3"}'),
    "d": ("{registry: HOST, repository: app, tag: }", "{registry: HOST, repository: app, tag: 1.27.3}"),
    "e": ("{repository: HOST/app, tag: old}", "{repository: HOST/app, tag: old}"),
}
"""Values before and after; `old` has no version."""


def test_lint_writes_versions(workstation: Workstation, server: Server, tmp_path: Path) -> None:
    """Where the tag stands, in any shape; what has no version stays, and every other byte."""
    machine = workstation.with_env(HELM_CACHE_HOME=str(tmp_path / "cache"))
    push(server, "latest", "1.27.3", version="1.27.3")
    push(server, "stable", "1.28.0", version="1.28.0")
    push(server, "old", version="0.1.0")
    images = {
        "a": "{{ .Values.a.repository }}:{{ .Values.a.tag }}",
        "b": "{{ .Values.b }}",
        "c": "{{ .Values.c.image }}",
        "d": "{{ .Values.d.registry }}/{{ .Values.d.repository }}{{ with .Values.d.tag }}:{{ . }}{{ end }}",
        "e": "{{ .Values.e.repository }}:{{ .Values.e.tag }}",
        "f": f"{server.host}/app:stable",
    }
    containers = "".join(f"\n  - {{name: {name}, image: '{image}'}}" for name, image in images.items())
    pod = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: pod}}\nspec:\n  containers:{containers}\n"
    before, after = (
        "# values\n" + "".join(f"{name}: {pair[n]}\n" for name, pair in FIXED.items()).replace("HOST", server.host)
        for n in (0, 1)
    )
    chart = written(tmp_path / "chart", {"templates/pod.yaml": pod, "values.yaml": before})
    done = machine.pin("lint", chart, "--fix", "--suggest")
    assert (chart / "values.yaml").read_text() == after
    assert f"{server.host}/app:old: no version with the digest of its tag is known" in done.stderr
    assert f"{server.host}/app:stable: no value in a file sets its tag" in done.stderr
    assert [line.split(": ")[2] for line in done.stdout.splitlines()] == [
        f"{server.host}/app:old",
        f"{server.host}/app:stable",
    ]
    assert (done.status, f"Fixed {chart}/values.yaml" in done.stderr) == (3, True)


def test_a_registry_that_does_not_know(workstation: Workstation, server: Server, chart: Path, tmp_path: Path) -> None:
    """What is asked beyond the digest is for information: the plan stands without it."""
    machine = workstation.with_env(HELM_CACHE_HOME=str(tmp_path / "cache"))
    digest = push(server, "latest", version="1.27.3")
    locked = tmp_path / "lock.yaml"
    locked.write_text(f"version: 1\nimages:\n- image: {server.host}/app:latest@sha256:{'a' * 64}\n")
    done = planned(machine, chart, "-v", "--lock", str(locked))
    assert "  not known: " in done.stdout and "not found" in done.stdout
    before = len(asked(server))
    assert planned(machine, chart, "-v", "--lock", str(locked), "--locked").status == 0
    assert len(asked(server)) == before
    assert digest
