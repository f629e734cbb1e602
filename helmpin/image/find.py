"""Finding the container images in objects: by shape, since a pod template may stand anywhere in any kind; and in the fields where
the kinds of some API groups have containers of their own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from helmpin.named_tuple import NamedTuple

CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
"""The container lists of a PodSpec (Kubernetes API reference, PodSpec v1 core)."""

_TEMPLATE = ("spec", "template", "spec")
POD_SPECS: Mapping[str, tuple[str, ...]] = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", *_TEMPLATE),
    "PodTemplate": _TEMPLATE[1:],
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"), _TEMPLATE
    ),
}
"""Where Kubernetes' own kinds have a PodSpec (API reference, Workload Resources)."""
BUILT_IN = ("v1", "apps/v1", "batch/v1")
"""The API versions of these kinds."""

ObjectPath = tuple[str | int, ...]


def dotted(path: Iterable[str | int]) -> str:
    """A path for people: `spec.containers.0.image`."""
    return ".".join(map(str, path))


class Found(NamedTuple):
    """One image in an object: the text as written and the path of its leaf."""

    image: str
    path: ObjectPath


class Missing(NamedTuple):
    """A container without a text for its image: what it has instead, and the path where the image belongs."""

    held: Any
    path: ObjectPath


class _Holder(NamedTuple):
    """What may hold an image."""

    item: dict[str, Any]
    path: ObjectPath
    is_container: bool
    """Else it is a volume."""


class Fields(NamedTuple):
    """Where a kind has containers in addition to a PodSpec's lists: under these keys, at any depth."""

    lists: tuple[str, ...] = ()
    """Keys of lists of containers."""
    single: tuple[str, ...] = ()
    """Keys of one container each."""
    free_form: tuple[str, ...] = ()
    """Keys whose content only a plugin understands: in it, none of these keys counts."""


_POD = Fields()
_ARGO = Fields(lists=("sidecars",), single=("container", "script"), free_form=("plugin",))
_TEKTON = Fields(lists=("steps", "sidecars"), single=("stepTemplate",))
_ADDITIONAL = Fields(lists=("additionalContainers",))
_SIDECARS = Fields(lists=("sidecars",))
_SIDECAR_CONTAINERS = Fields(lists=("sidecarContainers",))
KINDS: dict[str, dict[str, Fields]] = {
    "argoproj.io": {
        **dict.fromkeys(["Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow"], _ARGO),
        **dict.fromkeys(["EventSource", "Sensor"], Fields(single=("container",))),
    },
    "tekton.dev": {
        **dict.fromkeys(["Task", "ClusterTask", "TaskRun", "Pipeline", "PipelineRun"], _TEKTON),
        "StepAction": Fields(single=("spec",)),
    },
    "shipwright.io": dict.fromkeys(["BuildStrategy", "ClusterBuildStrategy"], Fields(lists=("steps", "buildSteps"))),
    "numaflow.numaproj.io": dict.fromkeys(["Pipeline", "MonoVertex"], Fields(("sidecars",), ("container",))),
    "sparkoperator.k8s.io": dict.fromkeys(["SparkApplication", "ScheduledSparkApplication"], _SIDECARS),
    "chaos-mesh.org": dict.fromkeys(["Workflow", "Schedule"], Fields(single=("container",))),
    "opentelemetry.io": {"OpenTelemetryCollector": _ADDITIONAL},
    "dragonflydb.io": {"Dragonfly": _ADDITIONAL},
    "pingcap.com": {"TidbCluster": _ADDITIONAL},
    "k8s.mariadb.com": dict.fromkeys(["MariaDB", "MaxScale"], _SIDECAR_CONTAINERS),
    "actions.summerwind.dev": dict.fromkeys(
        ["Runner", "RunnerDeployment", "RunnerReplicaSet", "RunnerSet"], _SIDECAR_CONTAINERS
    ),
    "solr.apache.org": {"SolrCloud": _SIDECAR_CONTAINERS},
    "acid.zalan.do": {"postgresql": _SIDECARS},
    "pxc.percona.com": {"PerconaXtraDBCluster": _SIDECARS},
    "psmdb.percona.com": {"PerconaServerMongoDB": _SIDECARS},
    "ps.percona.com": {"PerconaServerMySQL": _SIDECARS},
    "pgv2.percona.com": {"PerconaPGCluster": _SIDECARS},
    "redis.redis.opstreelabs.in": dict.fromkeys(
        ["Redis", "RedisCluster", "RedisReplication", "RedisSentinel"], Fields(("sidecars",), ("initContainer",))
    ),
    "vault.banzaicloud.com": {"Vault": Fields(lists=("vaultContainers", "vaultInitContainers"))},
    "apps.emqx.io": {"EMQX": Fields(lists=("extraContainers",))},
}
"""Where kinds have containers, by API group, from the types of each project's API."""
POLICY_GROUPS = ("kyverno.io", "gatekeeper.sh", "policy.sigstore.dev", "admissionregistration.k8s.io")
"""API groups, including their subdomains, whose objects contain patterns for images and run none."""
MADE_BY_POLICIES = frozenset({"mutate", "generate"})
"""The keys of what a policy adds to other objects, or creates (kyverno.io, Rule)."""
CONDITION_OF_POLICY = re.compile(r"[=^X<]?\(|(?:preconditions|conditions|context|match|exclude|list)$")
"""The keys in there of what is only compared: by their names, or with an anchor but for `+(key)` (Kyverno, Anchors)."""


def images(node: Any) -> Iterator[Found]:
    """Every container image and image volume of an object, in its order.

    A list under one of CONTAINER_LISTS whose items have a string `image` holds containers; an item of `volumes` beside such
    a list with `image.reference` is an image volume (PodSpec v1 core, ImageVolumeSource). A status and a policy run nothing.
    """
    for found in _holders(node, (), _POD):
        image = found.item.get("image")
        if found.is_container and isinstance(image, str):
            yield Found(image, (*found.path, "image"))
        elif not found.is_container and isinstance(image, dict) and isinstance(image.get("reference"), str):
            yield Found(image["reference"], (*found.path, "image", "reference"))


def without_image(item: Any) -> Iterator[Missing]:
    """The containers that have no text for an image: in Kubernetes' own workloads, of which the API server refuses them
    (pkg/apis/core/validation/validation.go, validateContainerCommon), and elsewhere those whose image is a number."""
    kind = item.get("kind") if isinstance(item, dict) and item.get("apiVersion") in BUILT_IN else None
    spec = POD_SPECS.get(kind) if isinstance(kind, str) else None
    for found in _holders(item, (), _POD):
        image = found.item.get("image")
        is_number = type(image) in (int, float)  # a tag alone, or a value without quotes
        is_refused = found.path[:-2] == spec and not isinstance(image, str)
        if found.is_container and (is_number or is_refused):
            yield Missing(image, (*found.path, "image"))


def is_policy(node: Any) -> bool:
    """Whether an object is a policy, which contains patterns and no images."""
    return _has_policies(group_and_kind(node)[0])


@cache
def _has_policies(group: str) -> bool:
    return any(group == policy or group.endswith(f".{policy}") for policy in POLICY_GROUPS)


def group_and_kind(node: Any) -> tuple[str, str]:
    """(API group, kind) of an object; ('', '') if `node` is not one. Objects can be nested in others."""
    version, kind = (node.get("apiVersion"), node.get("kind")) if isinstance(node, dict) else (None, None)
    if not isinstance(version, str) or not isinstance(kind, str):
        return "", ""
    return version.rpartition("/")[0], kind


def _holders(node: Any, path: ObjectPath, fields: Fields) -> Iterator[_Holder]:
    """Every container below a node, and every volume beside one, in the node's order."""
    if isinstance(node, list):
        for i, child in enumerate(node):
            if isinstance(child, (dict, list)):
                yield from _holders(child, (*path, i), fields)
    if not isinstance(node, dict):
        return
    is_object = "apiVersion" in node and "kind" in node
    if is_object:
        if is_policy(node):
            return
        group, kind = group_and_kind(node)
        fields = KINDS.get(group, {}).get(kind, _POD)
    for key, child in node.items():
        if not isinstance(child, (dict, list)) or (is_object and key == "status"):
            continue
        here = (*path, key)
        is_container = key in CONTAINER_LISTS or key in fields.lists
        if key in fields.single and isinstance(child, dict):
            yield _Holder(child, here, is_container=True)
        elif isinstance(child, list) and (
            is_container or (key == "volumes" and (fields is not _POD or is_pod_spec(node)))
        ):
            yield from (
                _Holder(each, (*here, i), is_container) for i, each in enumerate(child) if isinstance(each, dict)
            )
        yield from _holders(child, here, _POD if key in fields.free_form else fields)


def is_pod_spec(node: Any) -> bool:
    """Whether a node is a map with lists of containers."""
    return isinstance(node, dict) and any(name in node for name in CONTAINER_LISTS)


def container_name(node: Any, path: ObjectPath) -> str:
    """The name of the container (or volume) that an image path belongs to, which is the nearest list item; '' if it has none."""
    name = ""
    for part in path[:-1]:
        node = node[part]
        if isinstance(part, int):
            name = str(node.get("name", "")) if isinstance(node, dict) else ""
    return name
