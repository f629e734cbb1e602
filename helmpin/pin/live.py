"""What a cluster holds of a release: its live objects, the pods below them, and what those run.

Nothing here reads anything: it judges objects as the API sends them. A pod is a release's when its chain of owner references
(Kubernetes documentation, Owners and Dependents) leads to one of the release's objects.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from helmpin.image import find
from helmpin.image.reference import split, valid_digest
from helmpin.pin.render import parse

Object = dict[str, Any]
Slot = tuple[str, ...]
"""Where an image stands in an object, with its container's name for its position, which changes when another is added."""
MAKERS = ("helm", "kube-controller-manager")
"""How the field managers (Kubernetes documentation, Server-Side Apply) begin that set what a release says."""
REPLICATED = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
"""The kinds that keep a number of pods."""
STATUSES = {
    "initContainers": "initContainerStatuses",
    "containers": "containerStatuses",
    "ephemeralContainers": "ephemeralContainerStatuses",
}


class Doubt(NamedTuple):
    """A container that reports another digest than the one it should run: which may stand for the same image."""

    where: str
    image: str
    """As it should be, with its digest."""
    reported: str
    """The imageID."""


class Seen:
    """What live objects or pods show, collected one line for each thing."""

    def __init__(self) -> None:
        self.right = 0
        """Live objects, or containers, that are as they should be."""
        self.wrong: list[str] = []
        self.settling: list[str] = []
        """What time may settle: pods that have not started, or are of an older revision during a rollout."""
        self.silent: list[str] = []
        """What cannot be told: a node that reports no image, a digest that no registry was asked about."""
        self.notes: list[str] = []
        self.doubts: list[Doubt] = []
        self.at_admission: list[Object] = []
        """Objects whose images nobody but their maker has set, and which differ all the same."""


def with_images(manifest: str) -> list[Object]:
    """The objects of a stored manifest that run images."""
    documents = parse(manifest).documents
    found = (item for d in documents if "image" in d.text for item in d.objects())
    return [item for item in found if isinstance(item, dict) and any(find.images(item))]


def identity(item: Object, namespace: str) -> tuple[str, str, str, str]:
    """(API group, kind, namespace, name); `namespace` for an object that names none."""
    metadata = item.get("metadata") or {}
    group = str(item.get("apiVersion", "")).rpartition("/")[0]
    return (group, str(item.get("kind")), str(metadata.get("namespace") or namespace), str(metadata.get("name")))


def name_of(item: Object) -> str:
    """KIND/name, for people."""
    return f"{item.get('kind')}/{item['metadata'].get('name')}"


def slots(item: Object) -> dict[Slot, str]:
    """The images of an object by where they stand."""
    found: dict[Slot, str] = {}
    for image, path in find.images(item):
        last = max(i for i, part in enumerate(path) if isinstance(part, int))
        slot = (*map(str, path[:last]), find.container_name(item, path) or str(path[last]))
        found[slot] = image
    return found


def compare_specs(pairs: Iterable[tuple[Object, Object | None]]) -> Seen:
    """Whether live objects have the images that the stored ones (first of each pair) have."""
    seen = Seen()
    for stored, now in pairs:
        if now is None and stored.get("kind") == "Job" and "ttlSecondsAfterFinished" in (stored.get("spec") or {}):
            seen.notes.append(f"{name_of(stored)} is not there: it is removed when it has finished")
        elif now is None:
            seen.wrong.append(f"{name_of(stored)} is not in the cluster")
        else:
            _compare_spec(stored, now, seen)
    return seen


def _compare_spec(stored: Object, now: Object, seen: Seen) -> None:
    name, has, wants = name_of(stored), slots(now), slots(stored)
    if all(has.get(slot) == image for slot, image in wants.items()):
        seen.right += 1
    for slot, image in wants.items():
        if slot not in has:
            seen.wrong.append(f"{name} has no more {slot[-1]}, which is to run {image}")
        elif has[slot] != image:
            seen.wrong.append(f"{name} {slot[-1]} has {has[slot]}, the release says {image}: {_blame(now, slot)}")
            if _at_admission(now, slot):
                seen.at_admission.append(now)
    seen.notes += [f"{name} has {slot[-1]} besides, with {image}" for slot, image in has.items() if slot not in wants]


def _blame(now: Object, slot: Slot) -> str:
    """Who has set an image that is not the one that its maker was told, for people."""
    by = _setters(now, slot)
    if by:
        return "set by " + ", ".join(f"{manager} at {time}" if time else manager for manager, time in by)
    return "changed at admission" if _at_admission(now, slot) else "changed by hand, or at admission"


def _at_admission(now: Object, slot: Slot) -> bool:
    """Whether nobody but the object's maker has set an image, so that admission has changed it."""
    return bool(now["metadata"].get("managedFields")) and not _setters(now, slot)


def _setters(now: Object, slot: Slot) -> list[tuple[str, str]]:
    """Who but its maker has set an image, by the object's managed fields: (field manager, time)."""
    entries = now["metadata"].get("managedFields") or []
    owners = [
        e for e in entries if not str(e.get("manager")).startswith(MAKERS) and _owns(e.get("fieldsV1") or {}, slot)
    ]
    return [(str(e.get("manager")), str(e.get("time", ""))) for e in owners]


def _owns(fields: Any, slot: Slot) -> bool:
    """Whether managed fields hold a container's image (structured-merge-diff, `f:` fields and `k:` list keys)."""
    *path, container = slot
    for part in path:
        fields = fields.get(f"f:{part}")
        if not isinstance(fields, dict):
            return False
        if not fields:
            return True  # the whole of it is one value, as in custom resources
    key = next((key for key in fields if key.startswith("k:") and json.loads(key[2:]) == {"name": container}), None)
    return key is not None and "f:image" in fields[key]


class Pods:
    """Pods and the controllers between them and the objects of releases."""

    def __init__(self, population: Iterable[Object]) -> None:
        self._all = {item["metadata"]["uid"]: item for item in population}
        self._below: dict[str, list[Object]] = defaultdict(list)
        for item in self._all.values():
            if item.get("kind") == "Pod":
                for uid in self._chain(item):
                    self._below[uid].append(item)

    def _chain(self, item: Object) -> list[str]:
        """The UIDs of an object, its owner, and so on, the controlling owner where there are several."""
        chain: list[str] = []
        uid: str | None = item["metadata"]["uid"]
        while uid and uid not in chain:
            chain.append(uid)
            owners = (self._all.get(uid, {}).get("metadata") or {}).get("ownerReferences") or []
            controlling = [o for o in owners if o.get("controller")] or owners
            uid = controlling[0]["uid"] if controlling else None
        return chain

    def of(self, workload: Object) -> list[Object]:
        """The pods below an object, or the pod that it is."""
        return self._below.get(workload["metadata"]["uid"], [])

    def controller(self, pod: Object) -> Object | None:
        """The object that made a pod, where it was read."""
        chain = self._chain(pod)
        return self._all.get(chain[1]) if len(chain) > 1 else None


def compare_pods(pairs: Iterable[tuple[Object, Object | None]], pods: Pods) -> Seen:
    """Whether the pods of live objects run the images that the stored ones (first of each pair) have."""
    seen = Seen()
    for stored, now in pairs:
        if now is not None:
            _compare_below(stored, now, pods, seen)
    return seen


def _compare_below(stored: Object, now: Object, pods: Pods, seen: Seen) -> None:
    kind, status = now.get("kind"), now.get("status") or {}
    if kind in REPLICATED and status.get("observedGeneration", 0) < now["metadata"].get("generation", 0):
        seen.settling.append(f"{name_of(now)}: its controller has not acted on the last change yet")
        return
    wanted: dict[Slot, set[str]] = defaultdict(set)
    for slot, image in slots(stored).items():
        wanted[slot[-2:]].add(image)  # a pod's list and container: an object may hold several pod templates
    current = 0
    for pod in pods.of(now):
        controller = pods.controller(pod) or now
        phase = (pod.get("status") or {}).get("phase")
        if pod["metadata"].get("deletionTimestamp"):
            seen.notes.append(f"{name_of(pod)} is being deleted")
        elif phase in ("Succeeded", "Failed") and controller.get("kind") not in ("Job", "Pod"):
            seen.notes.append(f"{name_of(pod)} has ended ({pod['status'].get('reason') or phase})")
        elif _is_older(pod, controller, now):
            line = f"{name_of(pod)} is of an older revision: {', '.join(sorted(set(slots(pod).values())))}"
            (seen.notes if kind == "CronJob" else seen.settling).append(line)
        else:
            current += 1
            _compare_pod(pod, controller, wanted, seen)
    if kind in REPLICATED:
        wants = status.get("desiredNumberScheduled", 0) if kind == "DaemonSet" else now["spec"].get("replicas", 1)
        if current < wants:
            seen.settling.append(f"{name_of(now)} wants {wants} pods and has {current}")


def _is_older(pod: Object, controller: Object, workload: Object) -> bool:
    """Whether a pod was made from an earlier state of its workload, and so is expected to go or to have ended.

    A Deployment's ReplicaSets carry its revision; StatefulSets and DaemonSets mark their pods with a hash or generation
    of the template (Kubernetes source, pkg/controller: deployment/util, statefulset, daemon). A CronJob's Job is older when
    its images are not the CronJob's.
    """
    kind = workload.get("kind")
    if kind == "Deployment" and controller.get("kind") == "ReplicaSet":
        return _annotation(controller, _REVISION) != _annotation(workload, _REVISION)
    labels = pod["metadata"].get("labels") or {}
    if kind == "StatefulSet":
        update = (workload.get("status") or {}).get("updateRevision")
        return bool(update) and labels.get("controller-revision-hash") != update
    if kind == "DaemonSet":
        made = labels.get("pod-template-generation")
        return made is not None and made != _annotation(workload, "deprecated.daemonset.template.generation")
    if kind == "CronJob" and controller.get("kind") == "Job":
        mine, its = slots(workload), slots(controller)
        return {s[-2:]: i for s, i in mine.items()} != {s[-2:]: i for s, i in its.items()}
    return False


_REVISION = "deployment.kubernetes.io/revision"


def _annotation(item: Object, name: str) -> str | None:
    return (item["metadata"].get("annotations") or {}).get(name)


def _compare_pod(pod: Object, controller: Object, wanted: Mapping[Slot, set[str]], seen: Seen) -> None:
    told = {slot[-2:]: image for slot, image in slots(controller).items()}
    for container in containers(pod):
        where, image = f"{name_of(pod)} {container.slot[-1]}", container.image
        images = wanted.get(container.slot)
        if images is None:
            seen.notes.append(f"{where} is not of the release (injected): {image}")
        elif image not in images:
            slot = ("spec", *container.slot)
            follows = controller is not pod and told.get(container.slot) == image
            why = f"as {name_of(controller)} says" if follows else _blame(pod, slot)
            seen.wrong.append(f"{where} has {image}, the release says {' or '.join(sorted(images))}: {why}")
            if not follows and _at_admission(pod, slot):
                seen.at_admission.append(pod)
        elif split(image)[2] is None:
            seen.notes.append(f"{where} is let through without a digest: {image}")
        elif container.image_id:
            if reported(container.image_id) == split(image)[2]:
                seen.right += 1
            else:
                seen.doubts.append(Doubt(where, image, container.image_id))
        elif container.runs:
            seen.silent.append(f"{where} runs, and the node does not report which image")
        else:
            seen.settling.append(f"{where} has not started{container.reason}")


class Container(NamedTuple):
    """A container of a pod: what its spec asks for, and what its status reports."""

    slot: Slot
    """(the list it stands in, its name)"""
    image: str
    image_id: str
    """'' when none is reported."""
    runs: bool
    """Whether it has been started."""
    reason: str
    """`: ImagePullBackOff`, why it waits, or ''."""


def containers(pod: Object) -> Iterator[Container]:
    """The containers of a pod."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    for kind, reports in STATUSES.items():
        by_name = {s.get("name"): s for s in status.get(reports) or []}
        for item in spec.get(kind) or []:
            report = by_name.get(item["name"]) or {}
            state = report.get("state") or {}
            why = (state.get("waiting") or {}).get("reason") or ("" if report else str(status.get("reason") or ""))
            runs = "running" in state or "terminated" in state or bool(report.get("lastState"))
            slot = (kind, str(item["name"]))
            yield Container(
                slot, str(item.get("image", "")), str(report.get("imageID") or ""), runs, f": {why}" if why else ""
            )


def reported(image_id: str) -> str:
    """The digest in an imageID, in each of the forms that runtimes use: `docker-pullable://name@sha256:…`, `name@sha256:…`,
    `docker://sha256:…`, `sha256:…`, or 64 hexadecimal digits."""
    digest = image_id.rpartition("@")[2].rpartition("://")[2]
    return digest if valid_digest(digest) or not valid_digest(f"sha256:{digest}") else f"sha256:{digest}"
