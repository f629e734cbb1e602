"""Checks of the live cluster: the specs of workloads, and what their pods run."""

from __future__ import annotations

import re
from collections import defaultdict

from helmpin.cluster.admission import suspects
from helmpin.cluster.owners import with_owners
from helmpin.cluster.pods import Pods, compare_pods
from helmpin.cluster.workloads import Object, Seen, compare_specs, identity
from helmpin.kubectl import Kubectl
from helmpin.named_tuple import NamedTuple
from helmpin.output import count
from helmpin.release import revisions
from helmpin.release.revision import Revision, images_of
from helmpin.verify.check import FAILED, OK, UNKNOWN, Check
from helmpin.verify.doubts import resolve_doubts
from helmpin.verify.registries import Registries

_GONE = re.compile(r'no matches for kind "[^"]+" in version')
"""kubectl's message for a kind that the API server does not serve, so that there can be no object of it."""


class Live(NamedTuple):
    """Objects that run images: (stored object, live object or None), and what could not be read."""

    stored: Revision
    """The revision, or the manifest, that they belong to."""
    pairs: list[tuple[Object, Object | None]]
    unread: tuple[str, ...] = ()
    unknown_kinds: tuple[str, ...] = ()
    """kubectl's messages about kinds that the API server does not have."""


def read_live(stored: Revision, kubectl: Kubectl) -> Live:
    """The live counterparts of the stored objects with images, read in one call for each namespace. Raises HelmFailed."""
    mine = stored.objects()
    by_namespace: dict[str, list[Object]] = defaultdict(list)
    for item in mine:
        by_namespace[identity(item, kubectl.namespace)[2]].append(item)
    found: dict[tuple[str, str, str, str], Object] = {}
    errors: list[str] = []
    for namespace, items in by_namespace.items():
        answer = kubectl.get_these(items, namespace)
        found |= {identity(item, namespace): item for item in answer.items}
        errors += answer.errors
    gone = [error for error in errors if _GONE.search(error)]
    unread = [error for error in errors if error not in gone]
    pairs: list[tuple[Object, Object | None]] = []
    for item in mine:
        now = found.get(identity(item, kubectl.namespace))
        if now is not None or not any(_is_about(error, item, mine) for error in unread):
            pairs.append((item, now))
    return Live(stored, pairs, tuple(unread), tuple(gone))


def _is_about(error: str, item: Object, all_items: list[Object]) -> bool:
    """Whether kubectl's message explains why this object could not be read. A message that names no object is about all of them."""

    def names(one: Object) -> bool:
        return f'"{one["metadata"].get("name")}"' in error

    return names(item) or not any(names(one) for one in all_items)


def live_check(live: Live, kubectl: Kubectl) -> Check:
    """Whether the live workload specs use the images of the stored manifest."""
    seen = _compared(live, kubectl)
    seen.notes += suspects(kubectl, seen.at_admission)
    return judged("workloads", seen, live.unread, "live object", "as in the manifest")


class OtherJob(NamedTuple):
    """A Job whose live images are not those of the stored one."""

    namespace: str
    """Its own; '' for the release's."""
    name: str
    differences: tuple[str, ...]
    """For people, one for each image."""


def other_jobs(live: Live, kubectl: Kubectl) -> list[OtherJob]:
    """The Jobs that cannot become what is stored: the pod template of a Job is immutable (batch/v1, JobSpec). Those whose images
    only admission has changed are left out, since it changes them again in what helm sends."""
    found = []
    for stored, now in live.pairs:
        group, kind, namespace, name = identity(stored, "")
        if (group, kind) == ("batch", "Job") and now is not None:
            seen = _compared(live._replace(pairs=[(stored, now)]), kubectl)
            if (wrong := [line for line in seen.wrong if line not in seen.added]) and not seen.at_admission:
                found.append(OtherJob(namespace, name, tuple(wrong)))
    return found


def _compared(live: Live, kubectl: Kubectl) -> Seen:
    """Live objects beside the stored ones. Where admission may have changed them, other revisions of the release are read."""
    seen = compare_specs(live.pairs, owner=live.stored.owner)
    if (seen.at_admission or seen.depends_on_history) and live.stored.revision:
        seen = compare_specs(live.pairs, _images_of_others(live.stored, kubectl))
    return seen


def _images_of_others(stored: Revision, kubectl: Kubectl, *, pruned_too: bool = False) -> dict[str, str]:
    """The images of the other revisions of a release, each with the revision; under '' what others may be, if not all revisions
    could be read. pruned_too: also if the first ones are not stored any more (--history-max). Raises HelmFailed."""
    read = revisions.read_all(kubectl.helm, stored.release)
    others = images_of(each.stored for each in read.found if each.stored.revision != stored.revision)
    if read.unread or (pruned_too and min((each.stored.revision for each in read.found), default=1) > 1):
        others[""] = "of a revision that cannot be read, or changed at admission"
    return others


def pods_check(live: Live, kubectl: Kubectl, registries: Registries | None) -> Check:
    """Whether the pods' image IDs are the digests of the stored manifest, or other digests of the same image.

    registries: how to ask what else a digest is reported as, None not to ask.
    """
    pods, unread = read_pods(live, kubectl)
    seen = compare_pods(live.pairs, pods, live.stored.owner)
    if (seen.at_admission or seen.depends_on_history) and live.stored.revision:
        seen = compare_pods(live.pairs, pods, others=_images_of_others(live.stored, kubectl, pruned_too=True))
    return judged_pods(seen, (*live.unread, *unread), kubectl, registries)


def judged_pods(seen: Seen, unread: tuple[str, ...], kubectl: Kubectl, registries: Registries | None) -> Check:
    """The check of what pods show."""
    resolve_doubts([seen], registries)
    seen.notes += suspects(kubectl, seen.at_admission)
    return judged("pods", seen, unread, "container", "as recorded")


_BETWEEN = {
    "Deployment": ("apps/v1/replicasets",),
    "CronJob": ("batch/v1/jobs",),
    "StatefulSet": (),
    "DaemonSet": (),
    "ReplicaSet": (),
    "Job": (),
    "Pod": (),
}
"""The resources between an object of a kind and its pods."""
RESOURCES = {
    ("v1", "Pod"): "v1/pods",
    ("apps/v1", "Deployment"): "apps/v1/deployments",
    ("apps/v1", "StatefulSet"): "apps/v1/statefulsets",
    ("apps/v1", "DaemonSet"): "apps/v1/daemonsets",
    ("apps/v1", "ReplicaSet"): "apps/v1/replicasets",
    ("batch/v1", "Job"): "batch/v1/jobs",
    ("batch/v1", "CronJob"): "batch/v1/cronjobs",
}
"""Kubernetes' own kinds that run images or stand between a custom resource and its pods: (apiVersion, kind) → resource."""


def read_pods(live: Live, kubectl: Kubectl) -> tuple[Pods, tuple[str, ...]]:
    """The pods in the namespaces of live objects, and the objects in between; and what could not be read."""
    there = [now for _, now in live.pairs if now is not None]
    between = {r for now in there for r in _BETWEEN.get(str(now.get("kind")), RESOURCES.values())}
    population: list[Object] = list(there)
    unread: list[str] = []
    for namespace in sorted({str(now["metadata"].get("namespace") or kubectl.namespace) for now in there}):
        for answer in kubectl.lists(["v1/pods", *sorted(between)], namespace).values():
            population += answer.items
            unread += answer.errors
    population, errors = with_owners(kubectl, population, there)
    unread = list(dict.fromkeys((*unread, *errors)))
    return Pods(population, are_all=not unread), tuple(unread)


def judged(name: str, seen: Seen, unread: tuple[str, ...], what: str, good: str) -> Check:
    """The check for what live objects or pods show. what: what the summary counts, in the singular. good: how it should be."""
    open_points = len(unread) + len(seen.settling) + len(seen.staying) + len(seen.silent)
    verdict, summary = OK, f"{count(seen.right, what)} {good}"
    if seen.wrong:
        verdict, summary = FAILED, count(len(seen.wrong), "difference")
    elif open_points:
        verdict, summary = UNKNOWN, f"{summary}; {open_points} could not be checked"
    return Check(
        name=name,
        verdict=verdict,
        summary=summary,
        details=(*seen.wrong, *seen.settling, *seen.staying, *seen.silent, *seen.notes),
        unread=unread,
        may_change=verdict == UNKNOWN and bool(seen.settling) and not unread,
        staying=tuple(seen.staying),
        matched=0 if seen.wrong else seen.right,
    )
