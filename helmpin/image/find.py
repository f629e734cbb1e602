"""Finding the container images in objects: by shape, since a pod template may stand anywhere in any kind; and in the fields where
the kinds of some API groups have containers of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
"""The container lists of a PodSpec (Kubernetes API reference, PodSpec v1 core)."""

_TEMPLATE = ("spec", "template", "spec")
POD_SPECS: Mapping[str, Sequence[str]] = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", *_TEMPLATE),
    **dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"), _TEMPLATE),
}
"""Where Kubernetes' own kinds have a PodSpec (API reference, Workload Resources)."""
BUILT_IN = ("v1", "apps/v1", "batch/v1")
"""The API versions of these kinds."""

ObjectPath = tuple[str | int, ...]


class Found(NamedTuple):
    """One image in an object: the text as written and the path of its leaf."""

    image: str
    path: ObjectPath


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


def images(node: Any) -> Iterator[Found]:
    """Every container image and image volume of an object, in its order.

    A list under one of CONTAINER_LISTS whose items have a string `image` holds containers; an item of `volumes` beside such
    a list with `image.reference` is an image volume (PodSpec v1 core, ImageVolumeSource). A status and a policy run nothing.
    """
    return _images(node, (), _POD) if isinstance(node, (dict, list)) else iter(())


def without_image(item: Any) -> Iterator[ObjectPath]:
    """The containers that have no text for an image: in Kubernetes' own workloads, of which the API server refuses them
    (pkg/apis/core/validation/validation.go, validateContainerCommon), and elsewhere those whose image is a number."""
    kind = item.get("kind") if isinstance(item, dict) and item.get("apiVersion") in BUILT_IN else None
    path = POD_SPECS.get(kind, ()) if isinstance(kind, str) else ()
    if not path:
        yield from _with_a_number(item, ())
        return
    spec: Any = item
    for part in path:
        spec = spec.get(part) if isinstance(spec, dict) else None
    for key in ("initContainers", "containers") if isinstance(spec, dict) else ():
        containers = spec.get(key)
        for i, each in enumerate(containers if isinstance(containers, list) else ()):
            if isinstance(each, dict) and not isinstance(each.get("image"), str):
                yield (*path, key, i)


def _with_a_number(node: Any, path: ObjectPath) -> Iterator[ObjectPath]:
    """The containers below a node whose image is a number: a tag alone, or a value that is not quoted."""
    if not isinstance(node, (dict, list)) or is_policy(node):
        return
    for key, child in node.items() if isinstance(node, dict) else enumerate(node):
        here = (*path, key)
        if here == ("status",):
            continue
        is_container = isinstance(node, list) and path[-1:] and path[-1] in CONTAINER_LISTS and isinstance(child, dict)
        if is_container and isinstance(child.get("image"), (int, float)) and not isinstance(child["image"], bool):
            yield here
        yield from _with_a_number(child, here)


def is_policy(node: Any) -> bool:
    """Whether an object is a policy, which contains patterns and no images."""
    group = group_and_kind(node)[0]
    return any(group == policy or group.endswith(f".{policy}") for policy in POLICY_GROUPS)


def group_and_kind(node: Any) -> tuple[str, str]:
    """(API group, kind) of an object; ('', '') if `node` is not one. Objects can be nested in others."""
    version, kind = (node.get("apiVersion"), node.get("kind")) if isinstance(node, dict) else (None, None)
    if not isinstance(version, str) or not isinstance(kind, str):
        return "", ""
    return version.rpartition("/")[0], kind


def _images(node: Any, path: ObjectPath, fields: Fields) -> Iterator[Found]:
    if isinstance(node, list):
        for i, child in enumerate(node):
            if isinstance(child, (dict, list)):
                yield from _images(child, (*path, i), fields)
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
        if key in fields.single:
            yield from _container(child, here)
        elif isinstance(child, list) and (key in CONTAINER_LISTS or key in fields.lists):
            yield from (found for i, item in enumerate(child) for found in _container(item, (*here, i)))
        elif key == "volumes" and isinstance(child, list) and (fields is not _POD or _is_pod_spec(node)):
            yield from (found for i, item in enumerate(child) for found in _volume(item, (*here, i)))
        yield from _images(child, here, _POD if key in fields.free_form else fields)


def _is_pod_spec(node: dict[str, Any]) -> bool:
    return any(name in node for name in CONTAINER_LISTS)


def _container(item: Any, path: ObjectPath) -> Iterator[Found]:
    if isinstance(item, dict) and isinstance(item.get("image"), str):
        yield Found(item["image"], (*path, "image"))


def _volume(item: Any, path: ObjectPath) -> Iterator[Found]:
    source = item.get("image") if isinstance(item, dict) else None
    if isinstance(source, dict) and isinstance(source.get("reference"), str):
        yield Found(source["reference"], (*path, "image", "reference"))


def container_name(node: Any, path: ObjectPath) -> str:
    """The name of the container (or volume) that an image path belongs to, which is the nearest list item; '' if it has none."""
    name = ""
    for part in path:
        node = node[part]
        if isinstance(part, int):
            name = str(node.get("name", "")) if isinstance(node, dict) else ""
    return name
