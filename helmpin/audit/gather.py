"""Reading all that an audit needs from one cluster, in one pass: one list of each resource, whatever the number of releases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from helmpin import env
from helmpin.cluster.owners import with_owners
from helmpin.cluster.workloads import Object, identity
from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from helmpin.image.find import BUILT_IN
from helmpin.kubectl import Kubectl, Objects, Resource
from helmpin.named_tuple import NamedTuple
from helmpin.next_command import helm_command
from helmpin.release import storage
from helmpin.release.storage import RevisionInfo
from helmpin.verify.live import RESOURCES

ReleaseKey = tuple[str, str]
"""A release: (namespace, name)."""
Kind = tuple[str, str]
"""(apiVersion, kind)."""
SETTLED = "owner=helm,status!=superseded"
"""The stored revisions that show what is deployed, or how the last attempt ended."""


class Snapshot(NamedTuple):
    """What was read from one context."""

    context: str
    deployed: list[RevisionInfo]
    """The deployed revision of each release, or the latest if none is deployed."""
    revisions: dict[ReleaseKey, list[RevisionInfo]]
    """All revisions of each release that were read, oldest first."""
    wanted: dict[ReleaseKey, list[Object]]
    """The stored objects with images of each release."""
    live: dict[tuple[str, str, str, str], Object]
    """Live objects by identity, with '' for no namespace."""
    pods: list[Object]
    population: list[Object]
    """Pods, and what stands between them and the releases' objects."""
    unread: tuple[str, ...]
    """What could not be read, one line each."""
    unseen: frozenset[tuple[str, str, str]]
    """(namespace, apiVersion, kind) of what could not be read, with namespace '' for all."""
    releases_read: bool
    """Whether the stored revisions could be listed."""
    unreadable: Mapping[ReleaseKey, str] = MappingProxyType({})
    """Why the manifest of a release's deployed revision cannot be read."""

    def find(self, stored: Object, namespace: str) -> Object | None:
        """The live counterpart of a stored object of a release in a namespace."""
        group, kind, _, name = where = identity(stored, namespace)
        return self.live.get(where) or self.live.get((group, kind, "", name))

    def may_be_there(self, stored: Object, namespace: str) -> bool:
        """Whether an object that was not found may exist, since objects of its kind could not be read."""
        kind = (str(stored.get("apiVersion")), str(stored.get("kind")))
        return any((place, *kind) in self.unseen for place in ("", identity(stored, namespace)[2]))


def gather(helm: Helm, context: str, *, everywhere: bool, own_namespace: bool) -> Snapshot:
    """Read a context: its current namespace, or all.

    own_namespace: use the namespace that the context itself names, not the one that helm was given. Raises HelmFailed if releases
    are not stored in the API.
    """
    stored = _stored("audit", "verify RELEASE")
    kubectl = Kubectl(helm, context=context)
    if own_namespace and not everywhere:
        try:
            kubectl = Kubectl(helm, context=context, namespace=kubectl.own_namespace())
        except HelmFailed as error:
            return _unread(context, error.why)
    mine = None if everywhere else kubectl.namespace
    answers = kubectl.lists([stored, *RESOURCES.values()], mine)
    decoded = storage.decoded(answers[stored].items)
    revisions = _by_release([*decoded.found, *decoded.unreadable])
    deployed = [chosen for some in revisions.values() if (chosen := current(some))]
    wanted, unreadable = stored_objects(deployed)
    read = [((mine or "", kind), answers[resource]) for kind, resource in RESOURCES.items()]
    read += _elsewhere(kubectl, wanted, mine)
    population = [item for _, answer in read for item in answer.items]
    errors = [error for answer in (answers[stored], *(answer for _, answer in read)) for error in answer.errors]
    tops = [item for (_, (version, _)), answer in read if version not in BUILT_IN for item in answer.items]
    population, more = with_owners(kubectl, population, tops, everywhere=everywhere)
    errors += more
    if mine and not (revisions or population or errors):
        errors += kubectl.no_namespace()
    return Snapshot(
        context=context,
        deployed=deployed,
        revisions=revisions,
        wanted=wanted,
        live={identity(item, ""): item for item in population},
        pods=[item for item in population if item.get("kind") == "Pod"],
        population=population,
        unread=tuple(dict.fromkeys((*errors, *decoded.unread))),
        unseen=frozenset((namespace, *kind) for (namespace, kind), answer in read if answer.errors),
        releases_read=not answers[stored].errors,
        unreadable=unreadable,
    )


def _unread(context: str, why: str) -> Snapshot:
    """A context of which nothing can be read."""
    return Snapshot(
        context=context,
        deployed=[],
        revisions={},
        wanted={},
        live={},
        pods=[],
        population=[],
        unread=(why,),
        unseen=frozenset(),
        releases_read=False,
    )


def _stored(command: str, instead: str) -> str:
    """The API resource of the stored revisions. instead: the command that asks helm for one release.

    Raises HelmFailed if releases are not stored in the API.
    """
    kind = storage.stored_as()
    if not kind:
        hint = f"ask for one release: {helm_command(f'pin {instead}')}"
        why = "it lists the Secrets or ConfigMaps in the API that hold them"
        what = f"{command} cannot read releases that are stored with HELM_DRIVER={env.storage_driver()}"
        raise HelmFailed(what, why=why, hint=hint)
    return storage.stored_objects(kind, SETTLED)


def deployed(helm: Helm, *, everywhere: bool) -> tuple[list[RevisionInfo], tuple[str, ...]]:
    """The deployed revisions of the current namespace, or of all, and what could not be read. Raises HelmFailed if releases are not
    stored in the API."""
    stored, kubectl = _stored("outdated", "outdated RELEASE"), Kubectl(helm)
    mine = None if everywhere else kubectl.namespace
    answer = kubectl.lists([stored], mine)[stored]
    errors = answer.errors or (kubectl.no_namespace() if mine and not answer.items else ())
    decoded = storage.decoded(answer.items)
    revisions = _by_release([*decoded.found, *decoded.unreadable])
    return [chosen for some in revisions.values() if (chosen := current(some))], (*errors, *decoded.unread)


def stored_objects(deployed: Iterable[RevisionInfo]) -> tuple[dict[ReleaseKey, list[Object]], dict[ReleaseKey, str]]:
    """The objects with images of each release, and for some releases why they cannot be read."""
    found: dict[ReleaseKey, list[Object]] = {}
    unreadable: dict[ReleaseKey, str] = {}
    for revision in deployed:
        key = (revision.namespace, revision.stored.release)
        try:
            found[key] = revision.stored.objects()
        except HelmFailed as error:
            found[key], unreadable[key] = [], error.why
    return found, unreadable


def _by_release(revisions: Iterable[RevisionInfo]) -> dict[ReleaseKey, list[RevisionInfo]]:
    found: dict[ReleaseKey, list[RevisionInfo]] = defaultdict(list)
    for revision in sorted(revisions, key=lambda r: (r.namespace, r.stored.release, r.stored.revision)):
        found[revision.namespace, revision.stored.release].append(revision)
    return found


def current(revisions: list[RevisionInfo]) -> RevisionInfo | None:
    """The deployed revision of a release; the latest where none is, or None when that is uninstalled, or when there are none."""
    if not revisions or revisions[-1].status == "uninstalled":
        return None
    return next((r for r in reversed(revisions) if r.status == "deployed"), revisions[-1])


def _elsewhere(
    kubectl: Kubectl, wanted: dict[ReleaseKey, list[Object]], mine: str | None
) -> list[tuple[tuple[str, Kind], Objects]]:
    """What else the releases have: custom resources with pod templates, and objects outside the audited namespace.

    Each kind is read once for each namespace that it is in, whatever the number of releases.
    """
    custom: dict[str, set[Kind]] = defaultdict(set)
    others: set[str] = set()
    for (own, _), objects in wanted.items():
        for item in objects:
            namespace = "" if mine is None else identity(item, own)[2]
            kind = (str(item.get("apiVersion")), str(item.get("kind")))
            if kind not in RESOURCES:
                custom[namespace].add(kind)
            if namespace != (mine or ""):
                others.add(namespace)
    found: list[tuple[tuple[str, Kind], Objects]] = []
    for namespace in sorted(others):
        answers = kubectl.lists(RESOURCES.values(), namespace)
        found += [((namespace, kind), answers[resource]) for kind, resource in RESOURCES.items()]
    known, errors = kubectl.resources({version for kinds in custom.values() for version, _ in kinds})
    for namespace, kinds in sorted(custom.items()):
        found += [((namespace, kind), Objects([], errors[kind[0]])) for kind in sorted(kinds) if kind[0] in errors]
        found += _custom(kubectl, {kind: known[kind] for kind in sorted(kinds) if kind in known}, namespace)
    return found


def _custom(kubectl: Kubectl, kinds: dict[Kind, Resource], namespace: str) -> list[tuple[tuple[str, Kind], Objects]]:
    found = []
    for scope in (True, False):
        some = {kind: resource.name for kind, resource in kinds.items() if resource.namespaced is scope}
        answers = kubectl.lists(some.values(), namespace or None if scope else None)
        found += [((namespace, kind), answers[name]) for kind, name in some.items()]
    return found
