"""The pods of a release's live objects, and what they run.

No I/O: it judges objects as the API sends them. A pod belongs to a release if its chain of owner references (Kubernetes
documentation, Owners and Dependents) leads to one of the release's objects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from helmpin.cluster.workloads import (
    RELEASE,
    Doubt,
    Object,
    Seen,
    Slot,
    at_admission,
    blame,
    name_of,
    removes_itself,
    slots,
)
from helmpin.image.find import BUILT_IN
from helmpin.image.reference import split, valid_digest
from helmpin.named_tuple import NamedTuple
from helmpin.shapes import mapping

REPLICATED = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
"""The kinds that keep a number of pods."""
_REVISION = "deployment.kubernetes.io/revision"
ENDED = ("Succeeded", "Failed")
"""The phases of pods that have ended (API reference, PodStatus)."""
STATUSES = {
    "initContainers": "initContainerStatuses",
    "containers": "containerStatuses",
    "ephemeralContainers": "ephemeralContainerStatuses",
}


def controlling_owner(item: Object) -> Object | None:
    """The reference to the owner of an object, to the controlling one where there are several; None if it has none."""
    owners = (item.get("metadata") or {}).get("ownerReferences") or []
    return next(iter([owner for owner in owners if owner.get("controller")] or owners), None)


class Pods:
    """Pods and the controllers between them and the objects of releases."""

    def __init__(self, population: Iterable[Object], *, are_all: bool = True) -> None:
        """are_all: whether all that there are could be read."""
        self.are_all = are_all
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
            owner = controlling_owner(self._all.get(uid, {}))
            uid = owner["uid"] if owner else None
        return chain

    def of(self, workload: Object) -> list[Object]:
        """The pods that an object owns, directly or not; a pod owns itself."""
        return self._below.get(workload["metadata"]["uid"], [])

    def controller(self, pod: Object) -> Object | None:
        """The object that made a pod, where it was read."""
        chain = self._chain(pod)
        return self._all.get(chain[1]) if len(chain) > 1 else None


def compare_pods(
    pairs: Iterable[tuple[Object, Object | None]],
    pods: Pods,
    owner: str = RELEASE,
    others: Mapping[str, str] | None = None,
) -> Seen:
    """Whether the pods of live objects run the images of the stored objects (first of each pair).

    owner: what they are compared with, for people. others: the images of the other revisions of the release, as for
    compare_specs(); None if they are not known. If not all are, a Job of a CronJob may have any image, from an older revision.
    """
    seen = Seen()
    for stored, now in pairs:
        if now is not None:
            _compare_below(stored, now, pods, owner, others, seen)
        elif not removes_itself(stored):
            seen.silent.append(f"{name_of(stored)} is not found, so its pods cannot be identified")
    return seen


def _compare_below(
    stored: Object, now: Object, pods: Pods, owner: str, others: Mapping[str, str] | None, seen: Seen
) -> None:
    kind, status = now.get("kind"), mapping(now.get("status"))
    generation = now["metadata"].get("generation", 0)
    if kind in REPLICATED and _number(status.get("observedGeneration", 0), other=generation) < generation:
        seen.settling.append(f"{name_of(now)}: its controller has not acted on the last change yet")
        return
    wanted: dict[Slot, set[str]] = defaultdict(set)
    for slot, image in slots(stored).items():
        wanted[slot[-2:]].add(image)  # by list and container name only: an object may hold several pod templates
    current = 0
    for pod in pods.of(now):
        controller = pods.controller(pod) or now
        phase = (pod.get("status") or {}).get("phase")
        if pod["metadata"].get("deletionTimestamp"):
            seen.notes.append(f"{name_of(pod)} is being deleted")
        elif phase in ENDED and controller.get("kind") not in ("Job", "Pod"):
            seen.notes.append(f"{name_of(pod)} has ended ({pod['status'].get('reason') or phase})")
        elif older := _older(pod, controller, now, wanted, others, seen):
            line = f"{name_of(pod)} {older} of an older revision: {', '.join(sorted(set(slots(pod).values())))}"
            if why := _why_it_stays(pod, now):
                current += 1
                seen.staying.append(f"{line}; {why}")
            else:
                (seen.notes if kind == "CronJob" or phase in ENDED else seen.settling).append(line)
        else:
            current += 1
            _compare_pod(pod, controller, wanted, owner, seen)
    _compare_count(now, current, pods, seen)


def _compare_count(now: Object, current: int, pods: Pods, seen: Seen) -> None:
    """Note if an object has fewer current pods than it wants, or none."""
    kind, spec, status = now.get("kind"), mapping(now.get("spec")), mapping(now.get("status"))
    if kind in REPLICATED:
        wants = status.get("desiredNumberScheduled", 0) if kind == "DaemonSet" else spec.get("replicas", 1)
        if isinstance(wants, int) and current < wants and not pods.are_all:
            seen.silent.append(f"{name_of(now)} wants {wants} pods, and not all that there are could be read")
        elif isinstance(wants, int) and current < wants:
            paused = not current and kind == "Deployment" and spec.get("paused")  # it makes no first pod then
            line = f"{name_of(now)} wants {wants} pods and has {current}"
            (seen.staying if paused else seen.settling).append(line + ("; the Deployment is paused" if paused else ""))
    elif not current and _is_job(now) and not (spec.get("suspend") or _has_finished(status)):
        seen.settling.append(f"{name_of(now)} has no pod yet")
    elif not pods.of(now):
        seen.notes.append(f"{name_of(now)} has no pod")


def _number(value: Any, other: int = 0) -> int:
    """A number that Kubernetes' own kinds have in a place. other: for what another group's kind of that name may have there."""
    return value if isinstance(value, int) else other


def _is_job(item: Object) -> bool:
    """Whether it is a Job of Kubernetes' own: Volcano's has several pod templates, and other conditions."""
    return item.get("kind") == "Job" and item.get("apiVersion") in BUILT_IN


def _has_finished(status: Object) -> bool:
    """Whether a Job has finished (API reference, JobCondition)."""
    return any(c.get("type") in ("Complete", "Failed") for c in status.get("conditions") or [])


def idle(items: Iterable[Object]) -> dict[str, str]:
    """The objects that are kept and run nothing any more, by UID, each with why: `has ended (Succeeded)`.

    A ReplicaSet counts if its owner has scaled it to 0 and another one up: else the owner may scale it up again.
    """
    items = list(items)
    sets = [(item, controlling_owner(item)) for item in items if item.get("kind") == "ReplicaSet"]
    owned = [(item, owner, mapping(item.get("spec")).get("replicas")) for item, owner in sets if owner]
    scaled_up = {owner.get("uid") for _, owner, replicas in owned if replicas != 0}
    found = {
        item["metadata"]["uid"]: f"is an older one of {owner.get('kind')}/{owner.get('name')}, scaled to 0"
        for item, owner, replicas in owned
        if replicas == 0 and owner.get("uid") in scaled_up
    }
    for item in items:
        status = mapping(item.get("status"))
        if item.get("kind") == "Pod" and status.get("phase") in ENDED:
            found[item["metadata"]["uid"]] = f"has ended ({status['phase']})"
        elif _is_job(item) and _has_finished(status):
            found[item["metadata"]["uid"]] = "has finished"
    return found


def _why_it_stays(pod: Object, workload: Object) -> str:
    """Why no rollout replaces an older pod (Kubernetes documentation, StatefulSets, "Update strategies"; Deployments, "Pausing
    and Resuming"), or ''."""
    kind, spec = workload.get("kind"), mapping(workload.get("spec"))
    if kind == "Deployment":
        return "the Deployment is paused" if spec.get("paused") else ""
    if kind in ("ReplicaSet", "ReplicationController"):
        return f"a {kind} does not replace its pods: delete it"
    if kind not in ("StatefulSet", "DaemonSet"):
        return ""
    strategy = mapping(spec.get("updateStrategy"))
    if strategy.get("type") == "OnDelete":
        return "it is replaced only when it is deleted (updateStrategy OnDelete)"
    partition = _number(mapping(strategy.get("rollingUpdate")).get("partition"))
    ordinal = pod["metadata"]["name"].rpartition("-")[2]
    if kind == "StatefulSet" and ordinal.isdigit() and int(ordinal) < partition:
        return f"it is not replaced: its ordinal is below the partition ({partition}) of the updateStrategy"
    return ""


def _is_older(pod: Object, controller: Object, workload: Object) -> bool:
    """Whether a pod was made from an earlier state of its workload, and so is expected to end or to have ended.

    A Deployment's ReplicaSets carry its revision, unless it is paused; StatefulSets and DaemonSets mark their pods with a hash
    or generation of the template (Kubernetes source, pkg/controller: deployment/util, statefulset, daemon).
    """
    kind = workload.get("kind")
    is_paused = bool(mapping(workload.get("spec")).get("paused"))
    if kind == "Deployment" and controller.get("kind") == "ReplicaSet" and not is_paused:
        return _annotation(controller, _REVISION) != _annotation(workload, _REVISION)
    labels = pod["metadata"].get("labels") or {}
    if kind == "StatefulSet":
        update = mapping(workload.get("status")).get("updateRevision")
        return bool(update) and labels.get("controller-revision-hash") != update
    if kind == "DaemonSet":
        made = labels.get("pod-template-generation")
        return made is not None and made != _annotation(workload, "deprecated.daemonset.template.generation")
    return False


def _older(
    pod: Object,
    controller: Object,
    workload: Object,
    wanted: Mapping[Slot, set[str]],
    others: Mapping[str, str] | None,
    seen: Seen,
) -> str:
    """`is` if a pod is of an older revision, by _is_older() or since each image that is not the workload's is another revision's;
    `may be` if not all revisions are known; else ''."""
    if _is_older(pod, controller, workload):
        return "is"
    kind, is_paused = workload.get("kind"), mapping(workload.get("spec")).get("paused")
    odd = {c.image for c in containers(pod) if c.image not in wanted.get(c.slot, {c.image})}
    if not odd or kind in ("StatefulSet", "DaemonSet", "Job", "Pod") or (kind == "Deployment" and not is_paused):
        return ""
    seen.depends_on_history |= others is None
    if others is not None and others.keys() >= odd:
        return "is"
    is_usual = (kind, controller.get("kind")) in (("CronJob", "Job"), ("Deployment", "ReplicaSet"))
    return "may be" if is_usual and (others is None or "" in others) else ""


def _annotation(item: Object, name: str) -> str | None:
    return (item["metadata"].get("annotations") or {}).get(name)


def _compare_pod(pod: Object, controller: Object, wanted: Mapping[Slot, set[str]], owner: str, seen: Seen) -> None:
    asked = {slot[-2:]: image for slot, image in slots(controller).items()}
    has = list(containers(pod))
    if controller.get("kind") in REPLICATED or _is_job(controller):  # with one pod template
        missing = asked.keys() & wanted.keys() - {container.slot for container in has}
        seen.wrong += [
            f"{name_of(pod)}: container {slot[-1]} is missing (it should run {asked[slot]})" for slot in sorted(missing)
        ]
    for container in has:
        where, image = f"{name_of(pod)} {container.slot[-1]}", container.image
        images = wanted.get(container.slot)
        if images is None:
            of_controller = controller is not pod and container.slot in asked
            how = f"{name_of(controller)} has it too" if of_controller else "injected"
            how = "an ephemeral container" if container.slot[0] == "ephemeralContainers" else how
            seen.notes.append(f"{where} is not part of {owner} ({how}): {image}")
        elif image not in images:
            slot = ("spec", *container.slot)
            follows = controller is not pod and asked.get(container.slot) == image
            maker = owner if controller is pod else RELEASE  # a controller applies its own template
            why = f"as {name_of(controller)} says" if follows else blame(pod, slot, maker)
            seen.wrong.append(f"{where} has {image}, {owner} says {' or '.join(sorted(images))}: {why}")
            if not follows and at_admission(pod, slot, maker):
                seen.at_admission.append(pod)
        elif split(image)[2] is None:
            seen.notes.append(f"{where} has no digest: {image}")
        elif container.image_id:
            if reported(container.image_id) == split(image)[2]:
                seen.right += 1
            else:
                seen.doubts.append(Doubt(where, image, container.image_id))
        elif container.runs:
            seen.silent.append(f"{where}: the node does not report which image it has")
        else:
            seen.settling.append(f"{where} has not started{container.reason}")


class Container(NamedTuple):
    """A container of a pod, or an image volume: what its spec asks for, and what its status reports."""

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
    """The containers of a pod, and its image volumes."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    pending = str(status.get("reason") or "") or _not_scheduled(status)
    yield from _of_containers(spec, status, pending)
    yield from _of_image_volumes(spec, status, pending)


def _of_containers(spec: Object, status: Object, pending: str) -> Iterator[Container]:
    """pending: why the pod has not started; '' if that is unknown, or it has."""
    for kind, reports in STATUSES.items():
        by_name = {report.get("name"): report for report in status.get(reports) or []}
        for item in spec.get(kind) or []:
            report = by_name.get(item["name"]) or {}
            state = report.get("state") or {}
            why = (state.get("waiting") or {}).get("reason") or ("" if report else pending)
            yield Container(
                slot=(kind, str(item["name"])),
                image=str(item.get("image", "")),
                image_id=str(report.get("imageID") or ""),
                runs="running" in state or "terminated" in state or bool(report.get("lastState")),
                reason=f": {why}" if why else "",
            )


def _of_image_volumes(spec: Object, status: Object, pending: str) -> Iterator[Container]:
    """The volumes that are images. Which digest one has, the containers report that mount it (API reference, VolumeMountStatus)."""
    reported = (report for reports in STATUSES.values() for report in status.get(reports) or [])
    mounts = (mount for report in reported for mount in report.get("volumeMounts") or [])
    mounted = {
        str(mount.get("name")): str(((mount.get("volumeStatus") or {}).get("image") or {}).get("imageRef") or "")
        for mount in mounts
    }
    for volume in spec.get("volumes") or []:
        if image := str((volume.get("image") or {}).get("reference") or ""):
            name = str(volume["name"])
            yield Container(
                slot=("volumes", name),
                image=image,
                image_id=mounted.get(name, ""),
                runs=status.get("phase") not in (None, "Pending"),
                reason=f": {pending}" if pending else "",
            )


def _not_scheduled(status: Object) -> str:
    """Why a pod has no node, by its condition PodScheduled (Kubernetes documentation, Pod Lifecycle), or ''."""
    waits = [
        c for c in status.get("conditions") or [] if c.get("type") == "PodScheduled" and c.get("status") == "False"
    ]
    return ": ".join(str(c[key]) for c in waits for key in ("reason", "message") if c.get(key))


def reported(image_id: str) -> str:
    """The digest in an imageID, in each of the forms that runtimes use: `docker-pullable://name@sha256:…`, `name@sha256:…`,
    `docker://sha256:…`, `sha256:…`, or 64 hexadecimal digits."""
    digest = image_id.rpartition("@")[2].rpartition("://")[2]
    return digest if valid_digest(digest) or not valid_digest(f"sha256:{digest}") else f"sha256:{digest}"
