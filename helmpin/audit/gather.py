"""Reading all that an audit needs of one cluster, in one pass: one list of each resource, whatever the number of releases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from helmpin.kubectl import Kubectl, Objects
from helmpin.pin import storage
from helmpin.pin.live import Object, identity, with_images
from helmpin.pin.storage import Revision
from helmpin.pin.verify import CONTROLLERS

Key = tuple[str, str]
"""A release: (namespace, name)."""
SETTLED = "owner=helm,status!=superseded"
"""The stored revisions that say what is deployed, or what became of the last attempt."""


class Snapshot(NamedTuple):
    """What was read of one context."""

    context: str
    deployed: list[Revision]
    """The deployed revision of each release; the latest one where none is deployed."""
    latest: dict[Key, Revision]
    wanted: dict[Key, list[Object]]
    """The stored objects with images of each release."""
    live: dict[tuple[str, str, str, str], Object]
    """Live objects by identity."""
    pods: list[Object]
    population: list[Object]
    """Pods, and what stands between them and the releases' objects."""
    unread: tuple[str, ...]
    """What could not be read, one line each."""
    releases_read: bool
    """Whether the stored revisions could be read."""


def gather(helm: Helm, context: str, *, everywhere: bool, own_namespace: bool) -> Snapshot:
    """Read a context: its current namespace, or all.

    own_namespace: the namespace that the context itself names, not the one that helm was told. Raises HelmFailed when releases are
    not kept in the API.
    """
    kind = storage.stored_as()
    if not kind:
        raise HelmFailed(
            "audit reads releases from the API",
            why="HELM_DRIVER keeps them elsewhere",
            todo="helm pin verify RELEASE checks one",
        )
    kubectl = Kubectl(helm, context=context)
    if own_namespace and not everywhere:
        try:
            kubectl = Kubectl(helm, context=context, namespace=kubectl.own_namespace())
        except HelmFailed as error:
            return Snapshot(context, [], {}, {}, {}, [], [], (error.why,), releases_read=False)
    stored = storage.stored_objects(kind, SETTLED)
    answers = kubectl.lists([stored, "v1/pods", *CONTROLLERS], None if everywhere else kubectl.namespace)
    revisions = storage.decoded(answers[stored].items)
    deployed, latest = _chosen(revisions.found)
    wanted = {(r.namespace, r.stored.release): with_images(r.stored.manifest) for r in deployed}
    population = [item for resource, answer in answers.items() if resource != stored for item in answer.items]
    others = _others(kubectl, wanted, population, everywhere=everywhere)
    population += others.items
    errors = (error for answer in (*answers.values(), others) for error in answer.errors)
    return Snapshot(
        context,
        deployed,
        latest,
        wanted,
        {identity(item, ""): item for item in population},
        answers["v1/pods"].items,
        population,
        tuple(dict.fromkeys((*errors, *revisions.unread))),
        not answers[stored].errors,
    )


def _chosen(revisions: Iterable[Revision]) -> tuple[list[Revision], dict[Key, Revision]]:
    """For each release the deployed revision, and the latest."""
    latest: dict[Key, Revision] = {}
    deployed: dict[Key, Revision] = {}
    for revision in sorted(revisions, key=lambda r: (r.namespace, r.stored.release, r.stored.revision)):
        key = (revision.namespace, revision.stored.release)
        latest[key] = revision
        if revision.status == "deployed":
            deployed[key] = revision
    gone = [key for key, revision in latest.items() if revision.status == "uninstalled"]
    return [deployed.get(key, latest[key]) for key in latest if key not in gone], latest


def _others(kubectl: Kubectl, wanted: dict[Key, list[Object]], read: list[Object], *, everywhere: bool) -> Objects:
    """The live objects of kinds that are not among those read: custom resources with pod templates."""
    known = {(item.get("apiVersion"), item.get("kind")) for item in read} | _KNOWN
    kinds = {(str(o.get("apiVersion")), str(o.get("kind"))) for objects in wanted.values() for o in objects} - known
    if not kinds:
        return Objects([])
    names = [".".join((kind, *reversed(version.split("/")))) for version, kind in sorted(kinds)]
    return kubectl.get([",".join(names), "--show-managed-fields", *(["--all-namespaces"] if everywhere else [])])


_KNOWN = {
    ("v1", "Pod"),
    *(("apps/v1", kind) for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")),
    *(("batch/v1", kind) for kind in ("Job", "CronJob")),
}
