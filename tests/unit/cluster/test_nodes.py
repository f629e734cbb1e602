"""Which nodes a pod may run on, and of which platforms these are."""

from __future__ import annotations

from typing import Any

import pytest

from helmpin.cluster.nodes import admits, platform, platforms_needed, pod_spec
from helmpin.image.documents import read


def node(name: str = "one", arch: str = "amd64", **labels: str) -> dict[str, Any]:
    own = {"kubernetes.io/os": "linux", "kubernetes.io/arch": arch}
    return {"metadata": {"name": name, "labels": {**own, **labels}}, "status": {}}


def required(*expressions: dict[str, Any], fields: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A pod spec with one term of required node affinity."""
    return one_term(matchExpressions=list(expressions), matchFields=fields or [])


def one_term(**term: Any) -> dict[str, Any]:
    """The same, of whatever form."""
    terms = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"affinity": {"nodeAffinity": terms}}


def expression(operator: str, *values: str, key: str = "zone") -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": list(values)}


A = node(zone="a", cores="8")
ADMITS: dict[str, tuple[dict[str, Any], bool]] = {
    "nothing said": ({}, True),
    "a selector": ({"nodeSelector": {"zone": "a"}}, True),
    "another selector": ({"nodeSelector": {"zone": "a", "disk": "ssd"}}, False),
    "a node by name": ({"nodeName": "one"}, True),
    "another by name": ({"nodeName": "two"}, False),
    "In": (required(expression("In", "a", "b")), True),
    "not In": (required(expression("In", "b")), False),
    "NotIn": (required(expression("NotIn", "b")), True),
    "NotIn of a label that is not there": (required(expression("NotIn", "b", key="none")), True),
    "Exists": (required(expression("Exists")), True),
    "DoesNotExist": (required(expression("DoesNotExist")), False),
    "Gt": (required(expression("Gt", "4", key="cores")), True),
    "Lt": (required(expression("Lt", "4", key="cores")), False),
    "Gt of no number": (required(expression("Gt", "x", key="cores")), False),
    "all of a term": (required(expression("In", "a"), expression("In", "b")), False),
    "a field": (required(fields=[expression("In", "one", key="metadata.name")]), True),
    "another field": (required(fields=[expression("In", "two", key="metadata.name")]), False),
    "an empty term": (required(), False),
    "what is only preferred": (
        {"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]}}},
        True,
    ),
    "an unknown operator": (required(expression("Like", "a")), False),
    "expressions that are no list": (one_term(matchExpressions=5), False),
    "fields that are no list": (one_term(matchExpressions=[expression("Exists")], matchFields=5), True),
    "values that are no list": (required({**expression("In"), "values": 5}), False),
}


@pytest.mark.parametrize(("spec", "does"), ADMITS.values(), ids=ADMITS)
def test_admits(spec: dict[str, Any], does: bool) -> None:
    assert admits(spec, A) is does


def test_one_of_several_terms_is_enough() -> None:
    spec = required(expression("In", "b"))
    terms = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    terms.append({"matchExpressions": [expression("In", "a")]})
    assert admits(spec, A)


def test_what_a_node_reports_goes_before_its_labels() -> None:
    reporting = node(arch="wrong") | {"status": {"nodeInfo": {"operatingSystem": "linux", "architecture": "arm64"}}}
    assert platform(reporting) == "linux/arm64"
    assert platform(node()) == "linux/amd64"
    assert platform({"metadata": {}}) == ""


MANIFEST = """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      nodeSelector: {kubernetes.io/arch: arm64}
      initContainers: [{name: init, image: both}]
      containers: [{name: app, image: here}]
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: both}]}}
- {apiVersion: v1, kind: Pod, metadata: {name: b}, spec: {nodeName: nowhere, containers: [{name: a, image: none}]}}
---
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: build}
spec: {steps: [{name: a, image: step}]}
"""


def test_the_platforms_of_a_manifest() -> None:
    nodes = [node("amd"), node("arm", "arm64")]
    assert platforms_needed(read(MANIFEST), nodes) == {
        "here": {"linux/arm64"},
        "both": {"linux/amd64", "linux/arm64"},
        "none": set(),
        "step": {"linux/amd64", "linux/arm64"},
    }


def test_the_pod_spec_of_an_image() -> None:
    pod = {"spec": {"containers": [{"image": "x"}], "nodeName": "n"}}
    assert pod_spec(pod, ("spec", "containers", 0, "image")) == pod["spec"]
    assert pod_spec(pod, ("spec", "somewhere", "image")) == pod["spec"]
    assert pod_spec([], ("spec", 0)) == {}
