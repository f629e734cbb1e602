"""The nodes that a pod may run on, by its nodeSelector and required node affinity, and so the platforms that its images need.

Kubernetes API reference, PodSpec v1 core and NodeSelectorTerm v1 core; kube-scheduler's component-helpers,
scheduling/corev1/nodeaffinity. Taints, resources and preferences are ignored, because they change from day to day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from helmpin.cluster.workloads import Object
from helmpin.cluster_advice import advice
from helmpin.errors import HelmFailed
from helmpin.image.documents import Document
from helmpin.image.find import CONTAINER_LISTS
from helmpin.image.uses import document_images
from helmpin.kubectl import Kubectl
from helmpin.shapes import mapping, sequence


def read_nodes(kubectl: Kubectl) -> list[Object]:
    """The nodes of the cluster. Raises HelmFailed."""
    answer = kubectl.lists(["v1/nodes"])["v1/nodes"]
    if answer.errors:
        why = "\n".join(answer.errors)
        raise HelmFailed("the nodes of the cluster cannot be read", why=why, hint=advice(why, None))
    return answer.items


def platforms_needed(documents: Iterable[Document], nodes: Sequence[Object]) -> dict[str, set[str]]:
    """The platforms that each image of a manifest needs (by image as written): those of the nodes that its pods may run on."""
    needed: dict[str, set[str]] = defaultdict(set)
    for document in documents:
        objects: list[Any] = []
        for use in document_images(document):
            objects = objects or document.objects()
            spec = pod_spec(objects[use.nth], use.path)
            needed[use.image] |= {platform(node) for node in nodes if admits(spec, node)} - {""}
    return dict(needed)


def pod_spec(item: Any, path: Sequence[str | int]) -> Mapping[str, Any]:
    """The pod spec that contains the image at a path of an object; empty if the image is not in one."""
    found: Mapping[str, Any] = {}
    for part in path:
        if isinstance(item, dict) and any(key in item for key in CONTAINER_LISTS):
            found = item
        try:
            item = item[part]
        except (KeyError, IndexError, TypeError):
            break
    return found


def platform(node: Object) -> str:
    """os/architecture of a node; '' if neither it nor its labels state that."""
    info = mapping(mapping(node.get("status")).get("nodeInfo"))
    labels = _labels(node)
    system = info.get("operatingSystem") or labels.get("kubernetes.io/os")
    architecture = info.get("architecture") or labels.get("kubernetes.io/arch")
    return f"{system}/{architecture}" if system and architecture else ""


def admits(spec: Mapping[str, Any], node: Object) -> bool:
    """Whether a pod may run on a node, by its nodeName, nodeSelector and required node affinity."""
    labels, name = _labels(node), mapping(node.get("metadata")).get("name")
    if spec.get("nodeName") not in (None, "", name):
        return False
    if any(labels.get(str(key)) != str(value) for key, value in mapping(spec.get("nodeSelector")).items()):
        return False
    affinity = mapping(mapping(spec.get("affinity")).get("nodeAffinity"))
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    terms = sequence(mapping(required).get("nodeSelectorTerms"))
    return any(_matches(mapping(term), labels, str(name)) for term in terms)


def _matches(term: Mapping[str, Any], labels: Mapping[str, str], name: str) -> bool:
    """Whether all of a term's expressions match; an empty term matches nothing."""
    expressions = [(e, labels) for e in sequence(term.get("matchExpressions"))]
    fields = [(e, {"metadata.name": name}) for e in sequence(term.get("matchFields"))]
    both = [*expressions, *fields]
    return bool(both) and all(_expression(mapping(each), values) for each, values in both)


def _expression(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value = labels.get(str(expression.get("key")))
    values = [str(each) for each in sequence(expression.get("values"))]
    operator = expression.get("operator")
    if operator in ("In", "NotIn"):
        return (value in values) is (operator == "In")
    if operator in ("Exists", "DoesNotExist"):
        return (value is not None) is (operator == "Exists")
    if operator in ("Gt", "Lt") and len(values) == 1 and value is not None:
        try:
            return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])
        except ValueError:
            return False
    return False


def _labels(node: Object) -> Mapping[str, str]:
    labels = mapping(mapping(node.get("metadata")).get("labels"))
    return {str(key): str(value) for key, value in labels.items()}
