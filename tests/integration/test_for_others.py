"""What plan prints for other deployers: complete, or refused.

What they make of it, for every chart of the tests: test_shapes.py and test_kinds.py.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.support.any_tag import AnyTag
from tests.support.promise import Promise
from tests.support.twins import written
from tests.support.workstation import whichever_helm

pytestmark = whichever_helm


def pod(*images: str) -> str:
    """A Pod that runs these images."""
    containers = "".join(f"  - {{name: c{i}, image: {image}}}\n" for i, image in enumerate(images))
    return f"apiVersion: v1\nkind: Pod\nmetadata: {{name: pod}}\nspec:\n  containers:\n{containers}"


def test_what_a_kustomization_cannot_say(promise: Promise, tmp_path: Path) -> None:
    """What else it cannot: tests/unit/plan/test_kustomize.py."""
    text = pod("example.com/a/x:1") + "  volumes: [{name: v, image: {reference: 'example.com/a/b:1'}}]\n"
    chart = written(tmp_path / "chart", {"templates/all.yaml": text})
    done = promise.pin("plan", "rel", chart, "--no-cluster", "-o", "kustomize")
    assert (done.status, done.stdout) == (3, "")
    assert "1 of 2 images cannot be pinned by a kustomization" in done.stderr
    assert "example.com/a/b:1: " in done.stderr
    assert "only in lists of containers and initContainers" in done.stderr
    part = promise.pin("plan", "rel", chart, "--no-cluster", "-o", "kustomize", "--partial")
    assert part.status == 0
    assert "Incomplete" in part.stderr
    assert [image["name"] for image in yaml.safe_load(part.stdout)["images"]] == ["example.com/a/x"]


def test_nothing_is_printed_before_a_refusal(promise: Promise, content: AnyTag, tmp_path: Path) -> None:
    chart = written(tmp_path / "chart", {"templates/pod.yaml": pod("example.com/a/b:1", "auto")})
    for form in ("values", "images"):
        done = promise.pin("plan", "rel", chart, "--no-cluster", "-o", form)
        assert (done.status, done.stdout) == (3, "")
    let = promise.pin("plan", "rel", chart, "--no-cluster", "-o", "images", "--allow-unpinned", "auto")
    assert let.stdout == f"example.com/a/b:1@{content.digest(('example.com', 'a/b', '1'))}\n"
    assert "Without a digest, because it is allowed: auto.\n" in let.stderr


def test_a_list_of_defaults_that_is_set_whole_is_named_where_it_is_set(promise: Promise, tmp_path: Path) -> None:
    template = pod("{{ (first .Values.sidecars).image }}")
    values = "sidecars: [{image: 'example.com/a/b:1', args: [x]}]\n"
    chart = written(tmp_path / "chart", {"templates/pod.yaml": template, "values.yaml": values})
    said = "Set as a whole, because an image stands in it: sidecars."
    for form, is_set in (("table", True), ("values", True), ("kustomize", False), ("images", False)):
        done = promise.pin("plan", "rel", chart, "--no-cluster", "-o", form)
        assert done.status == 0 and (said in done.stderr) is is_set, done.stderr


def test_settings_alone_are_said_to_be_incomplete(promise: Promise, tmp_path: Path) -> None:
    """Where no value carries an image: an upgrade pins it in the template, or refuses it."""
    said = "Incomplete: no value carries example.com/a/b:1"
    chart = written(tmp_path / "chart", {"templates/pod.yaml": pod("example.com/a/b:1")})
    done = promise.pin("plan", "rel", chart, "--no-cluster", "-o", "json")
    assert f"{said}; helm pin upgrade pins it.\n" in done.stderr
    written(chart, {"templates/pod.yaml": pod("example.com/a/b:1", "auto")})
    done = promise.pin("plan", "rel", chart, "--no-cluster", "-o", "json")
    assert done.status == 3
    assert f"{said}.\n" in done.stderr


def test_images_a_line_each(promise: Promise, content: AnyTag, tmp_path: Path) -> None:
    """Sorted and once, whatever the values reach, as every tool reads them."""
    digest = content.digest(("docker.io", "library/nginx", "latest"))
    text = pod("example.com/a/b:1", "nginx", "nginx:latest", f"example.com/a/c@{digest}", "{{ .Values.image }}")
    chart = written(tmp_path / "chart", {"templates/pod.yaml": text, "values.yaml": "image: example.com/a/b:1\n"})
    done = promise.pin("plan", "rel", chart, "--no-cluster", "-o", "images")
    assert done.stdout.splitlines() == [
        f"docker.io/library/nginx:latest@{digest}",
        f"example.com/a/b:1@{content.digest(('example.com', 'a/b', '1'))}",
        f"example.com/a/c@{digest}",
    ]
