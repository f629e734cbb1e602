"""A first install of a chart whose own CRDs are not there yet: no dry run takes its objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.devtools.api import Cluster
from tests.support.any_tag import AnyTag, any_tag
from tests.support.twins import UNVALIDATED, written
from tests.support.workstation import Workstation, whichever_helm

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


@pytest.fixture
def machine(in_cluster: Workstation, content: AnyTag) -> Workstation:
    """Whose registries hold everything."""
    return in_cluster.with_env(HELM_PIN_REGISTRY_MIRROR=content.mirror)


def chart(folder: Path, unique: str, asked: str, also: str) -> Path:
    """One whose images depend on these APIs, with a CRD of its own and an object of that kind."""
    files = {
        "crds/thing.yaml": CRD.replace("PLURAL", "things"),
        "templates/thing.yaml": "apiVersion: UNIQUE.example.com/v1\nkind: Thing\nmetadata: {name: t}\n",
        "templates/pod.yaml": POD.replace("ASKED", asked).replace("ALSO", also),
    }
    return written(folder / "chart", {name: text.replace("UNIQUE", unique) for name, text in files.items()})


@whichever_helm
def test_images_that_depend_on_an_api_that_helm_alone_has(
    machine: Workstation, cluster: Cluster, unique: str, tmp_path: Path
) -> None:
    """helm template assumes it, and the cluster lacks it: nothing is deployed."""
    beta = "policy/v1beta1"
    refused = machine.pin("upgrade", "--install", "web", chart(tmp_path, unique, beta, beta))
    assert refused.status == 3, refused.stderr
    assert "helm show crds" in refused.stderr
    assert "example.com/team/new:1" in refused.stderr
    assert cluster.api("GET", f"/api/v1/namespaces/{unique}/secrets")["items"] == []


@pytest.mark.parametrize("has_object", [True, False])
def test_images_that_depend_on_apis_of_the_cluster_and_of_the_charts_own_crds(
    machine: Workstation, unique: str, tmp_path: Path, has_object: bool
) -> None:
    """Without an object of that kind, a dry run succeeds, and shows another image than helm deploys."""
    own = chart(tmp_path, unique, "apps/v1", f"{unique}.example.com/v1")
    if not has_object:
        (own / "templates/thing.yaml").unlink()
    done = machine.pin("upgrade", "--install", "web", own, UNVALIDATED)
    assert done.status == 0, done.stderr
    assert "image: 'example.com/team/old:1@sha256:" in machine.helm("get", "manifest", "web")
