"""A first install of a chart whose own CRDs are not there yet: no dry run takes its objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.devtools.api import Cluster
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
  {{- $apis := .Capabilities.APIVersions }}
  containers: [{name: a, image: 'example.com/team/{{ if and ($apis.Has "ASKED") ($apis.Has "ALSO") }}old{{ else }}new{{ end }}:1'}]
"""


@pytest.fixture(scope="module")
def content() -> Iterator[AnyTag]:
    """What every registry holds."""
    with any_tag() as started:
        yield started


def test_branches_on_apis(
    in_cluster: Workstation, cluster: Cluster, content: AnyTag, unique: str, tmp_path: Path
) -> None:
    """helm template assumes APIs that the cluster lacks; where the images depend on one, nothing is deployed. Those of the cluster
    and of the chart's own CRDs are known.
    """
    files = {
        "crds/thing.yaml": CRD.replace("PLURAL", "things"),
        "templates/thing.yaml": "apiVersion: UNIQUE.example.com/v1\nkind: Thing\nmetadata: {name: t}\n",
        "templates/pod.yaml": POD.replace("ASKED", "policy/v1beta1").replace("ALSO", "policy/v1beta1"),
    }
    chart = written(tmp_path / "chart", {name: text.replace("UNIQUE", unique) for name, text in files.items()})
    machine = in_cluster.with_env(HELM_PIN_REGISTRY_MIRROR=content.mirror)
    refused = machine.pin("upgrade", "--install", "web", chart)
    assert refused.status == 3, refused.stderr
    assert "helm show crds" in refused.stderr
    assert "example.com/team/new:1" in refused.stderr
    assert cluster.api("GET", f"/api/v1/namespaces/{unique}/secrets")["items"] == []

    pod = POD.replace("ASKED", "apps/v1").replace("ALSO", f"{unique}.example.com/v1")
    written(chart, {"templates/pod.yaml": pod})
    done = machine.pin("upgrade", "--install", "web", chart)
    assert done.status == 0, done.stderr
    assert "image: 'example.com/team/old:1@sha256:" in machine.helm("get", "manifest", "web")
