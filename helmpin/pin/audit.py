"""Drift over many releases: record, stored manifest, live specs and running pods, read in one pass over the API."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from helmpin.errors import HelmFailed, VerificationFailed
from helmpin.helm import Helm
from helmpin.image import find
from helmpin.image.reference import Reference, split
from helmpin.kubectl import Kubectl
from helmpin.pin import release, storage
from helmpin.pin.digestset import DigestSet
from helmpin.pin.render import parse
from helmpin.pin.storage import Revision
from helmpin.pin.verify import acceptable, by_container, reported, spec_image, statuses, top_owner
from helmpin.registry import RegistryError, RegistrySettings, resolve

WORKLOADS = ("deployments", "statefulsets", "daemonsets", "jobs", "cronjobs")
KINDS = ("drift", "unpinned", "unmanaged", "mixed")
"""What --fail-on can name."""


class Release(NamedTuple):
    """One release, as found in one context."""

    context: str
    namespace: str
    name: str
    revision: int
    chart: str
    set_id: str
    """'' when there is no usable record."""
    images: dict[str, str]
    """reference → digest, of the record; the image as written → '' for those without a digest."""
    kinds: tuple[str, ...]
    """Of KINDS; empty when all is well."""
    details: tuple[str, ...]


class Audit(NamedTuple):
    """One context's releases, and what could not be read there."""

    context: str
    releases: list[Release]
    unread: tuple[str, ...]
    """One line for each kind of object that could not be read: what is said of the releases leaves it out."""


def audit(helm: Helm, context: str, *, everywhere: bool, settings: RegistrySettings | None = None) -> Audit:
    """Read every deployed release of a context's namespace, or of all namespaces. `settings`: ask registries too.

    Raises HelmFailed when not even the releases can be read.
    """
    kind = storage.stored_as()
    if not kind:
        raise HelmFailed(
            "audit reads releases from the API",
            why="HELM_DRIVER keeps them elsewhere",
            todo="helm pin verify RELEASE for one",
        )
    kubectl = Kubectl(helm, context=context)
    found = sorted(
        storage.stored(kubectl, kind, "owner=helm,status=deployed", everywhere=everywhere),
        key=lambda r: (r.namespace, r.stored.release),
    )
    objects, unread = _objects(kubectl, everywhere)
    pods = [o for o in objects if o.get("kind") == "Pod"]
    owner_of = {o["metadata"]["uid"]: [w["uid"] for w in o["metadata"].get("ownerReferences") or []] for o in objects}
    live = {_identity(o, ""): o for o in objects}
    pods_of = _pods_by_owner(
        pods, owner_of, {o["metadata"]["uid"]: o for o in objects if o.get("kind") not in ("Pod", "ReplicaSet")}
    )
    mixed = _mixed(pods)
    cluster = _Cluster(live, pods_of, mixed, settings)
    return Audit(context, _without_gone([_judge(context, r, cluster) for r in found], settings), unread)


def _objects(kubectl: Kubectl, everywhere: bool) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """The workloads and pods, in one call; kind by kind when something among them may not be read."""
    scope = ["--all-namespaces"] if everywhere else []
    wanted = (*WORKLOADS, "replicasets", "pods")
    try:
        return kubectl.items(["get", ",".join(wanted), *scope]), ()
    except HelmFailed:
        pass
    objects: list[dict[str, Any]] = []
    unread = []
    for kind in wanted:
        try:
            objects += kubectl.items(["get", kind, *scope])
        except HelmFailed as error:
            unread.append(f"{kind}: {(error.why.splitlines() or ['?'])[-1]}")
    return objects, tuple(unread)


class _Cluster(NamedTuple):
    """What was read: objects by kind, namespace and name; pods by their workload's UID; digests by the tag they run under."""

    live: dict[Any, dict[str, Any]]
    pods_of: dict[str, list[dict[str, Any]]]
    mixed: dict[str, set[str]]
    settings: RegistrySettings | None


def _without_gone(releases: list[Release], settings: RegistrySettings | None) -> list[Release]:
    """Add what the registries no longer have, asked for all releases at once."""
    if settings is None:
        return releases
    wanted = {(i, d): Reference.parse(i).with_digest(d) for r in releases for i, d in r.images.items() if d}
    answers = resolve(wanted.values(), settings)
    out = []
    for r in releases:
        said = [(i, d, answers[wanted[i, d]]) for i, d in r.images.items() if d]
        lines = [f"{i}@{d}: {answer}" for i, d, answer in said if isinstance(answer, RegistryError)]
        gone = any(isinstance(answer, RegistryError) and answer.kind == "not-found" for _, _, answer in said)
        kinds = tuple(dict.fromkeys((*r.kinds, "drift"))) if gone else r.kinds
        out.append(r._replace(kinds=kinds, details=(*r.details, *lines)))
    return out


def _judge(context: str, revision: Revision, cluster: _Cluster) -> Release:
    stored = revision.stored
    uses = stored.uses()
    kinds: dict[str, None] = {}
    details: list[str] = []
    record, problem = _record(revision)
    if record is None:
        kinds["drift" if problem else "unmanaged"] = None
        details.append(problem or "no digest record: helm-pin did not deploy it")
    else:
        for line in release.disagreements(record, uses):
            kinds["drift"] = None
            details.append(line)
    for image in dict.fromkeys(use.image for use in uses if "@sha" not in use.image):
        kinds["unpinned"] = None
        details.append(f"{image} has no digest")
        if len(running := cluster.mixed.get(image, set())) > 1:
            kinds["mixed"] = None
            details.append(f"{image} runs as {len(running)} digests: {', '.join(sorted(d[:19] for d in running))}")
    for line in _drift(stored, revision.namespace, record, cluster):
        kinds["drift"] = None
        details.append(line)
    images = {i.reference: i.digest for i in record.images} if record else {use.image: "" for use in uses}
    set_id = record.set_id if record else ""
    found = tuple(kinds)
    return Release(
        context,
        revision.namespace,
        stored.release,
        stored.revision,
        revision.chart,
        set_id,
        images,
        found,
        tuple(details),
    )


def _record(revision: Revision) -> tuple[DigestSet | None, str]:
    try:
        return revision.stored.record(), ""
    except VerificationFailed as error:
        return None, f"the record is not valid: {error.why}"


def _drift(stored: release.Stored, namespace: str, record: DigestSet | None, cluster: _Cluster) -> list[str]:
    """Where live specs, or running pods, are not what the stored manifest says."""
    found = []
    for document in parse(stored.manifest).documents:
        for item in document.objects():
            if not isinstance(item, dict) or not any(find.images(item)):
                continue
            now = cluster.live.get(_identity(item, namespace))
            if now is None:
                continue  # a kind that is not read here, or not there: verify tells
            name, says = f"{item.get('kind')}/{item['metadata'].get('name')}", by_container(item)
            has = by_container(now)
            found += [
                f"{name} {container} has {has.get(container, 'no such container')}, the release says {image}"
                for container, image in says.items()
                if has.get(container) != image
            ]
            for pod in cluster.pods_of.get(now["metadata"]["uid"], ()):
                found += _pod_drift(pod, has, record, cluster.settings)
    return found


def _pod_drift(
    pod: dict[str, Any], wanted: dict[str, str], record: DigestSet | None, settings: RegistrySettings | None
) -> list[str]:
    """Containers of a pod that report a digest which their pinned image does not stand for.

    Without a registry to ask, another digest than the pinned one may be a platform's of the same index: nothing is said then.
    """
    found = []
    for container, _, image_id in statuses(pod):
        image = wanted.get(container, "")
        if not (image_id and record and settings and split(image)[2]) or spec_image(pod, container) != image:
            continue
        if reported(image_id) not in acceptable(image, record, settings, reported(image_id)):
            found.append(f"Pod/{pod['metadata']['name']} {container} reports {image_id}, pinned is {split(image)[2]}")
    return found


def _mixed(pods: list[dict[str, Any]]) -> dict[str, set[str]]:
    """For each image by tag, the digests that run under it."""
    found: dict[str, set[str]] = defaultdict(set)
    for pod in pods:
        for container, _, image_id in statuses(pod):
            image = spec_image(pod, container)
            if image and image_id and "@" not in image:
                found[image].add(reported(image_id))
    return found


def _pods_by_owner(
    pods: list[dict[str, Any]], owner_of: dict[str, list[str]], workloads: dict[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for pod in pods:
        top = top_owner(pod["metadata"]["uid"], owner_of, workloads)
        while top:
            found[top].append(pod)
            above = [o for o in owner_of.get(top, ()) if o in workloads]  # a Job of a CronJob
            top = above[0] if above else None
    return found


def _identity(item: dict[str, Any], namespace: str) -> tuple[str, str, str]:
    metadata = item.get("metadata") or {}
    return (str(item.get("kind")), str(metadata.get("namespace") or namespace), str(metadata.get("name")))
