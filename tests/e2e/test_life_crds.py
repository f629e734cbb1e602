"""A first install of a chart whose own CRDs are not there yet: no dry run takes its objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.any_tag import AnyTag, any_tag
from tests.support.twins import written
from tests.support.workstation import Workstation

CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: PLURAL.UNIQUE.example.com}
spec:
  group: UNIQUE.example.com
  scope: Namespaced
  names: {kind: Thing, plural: PLURAL, singular: thing}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  nodeName: nowhere
  containers: [{name: a, image: 'example.com/team/{{ if .Capabilities.APIVersions.Has "ASKED" }}old{{ else }}new{{ end }}:1'}]
"""


@pytest.fixture(scope="module")
def content() -> Iterator[AnyTag]:
    """What every registry holds."""
    with any_tag() as started:
        yield started


@pytest.mark.parametrize(("asked", "status"), [("policy/v1beta1", 3), ("apps/v1", 0), ("UNIQUE.example.com/v1", 0)])
def test_a_branch_on_an_api(
    asked: str, status: int, in_cluster: Workstation, content: AnyTag, unique: str, tmp_path: Path
) -> None:
    """helm template assumes APIs that the cluster lacks; where the images depend on one, nothing is deployed."""
    files = {
        "crds/thing.yaml": CRD.replace("PLURAL", "things"),
        "templates/thing.yaml": "apiVersion: UNIQUE.example.com/v1\nkind: Thing\nmetadata: {name: t}\n",
        "templates/pod.yaml": POD.replace("ASKED", asked),
    }
    chart = written(tmp_path / "chart", {name: text.replace("UNIQUE", unique) for name, text in files.items()})
    machine = in_cluster.with_env(HELM_PIN_REGISTRY_MIRROR=content.mirror)
    done = machine.pin("upgrade", "--install", "web", chart)
    assert done.status == status, done.stderr
    if status:
        assert "helm show crds" in done.stderr
        assert "example.com/team/new:1" in done.stderr
        assert machine.run(machine.helm_binary, "status", "web").status != 0
    else:
        assert "image: 'example.com/team/old:1@sha256:" in machine.helm("get", "manifest", "web")
