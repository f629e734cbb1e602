"""Five checks of a revision against its record: the record itself, the manifest, the registry, live specs, running pods."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from helmpin.cluster.admission import suspects
from helmpin.cluster.pods import Pods, compare_pods, reported
from helmpin.cluster.workloads import Doubt, Object, Seen, compare_specs, identity
from helmpin.config.settings import Settings
from helmpin.errors import HelmFailed, RegistryUnavailable, VerificationFailed
from helmpin.image.manifest import read
from helmpin.image.reference import InvalidReference, Reference, split
from helmpin.kubectl import Kubectl
from helmpin.output import count
from helmpin.registry import Described, RegistryError, RegistrySettings, describe, resolve
from helmpin.release import record_checks, revisions
from helmpin.release.record import Image, Record
from helmpin.release.revision import Revision, disagreements, images_of

if TYPE_CHECKING:
    from helmpin.registry.keychain import Keychain

OK, FAILED, UNKNOWN, SKIPPED = "ok", "failed", "cannot tell", "skipped"
_GONE = re.compile(r'no matches for kind "[^"]+" in version')
"""kubectl's message for a kind that the API server does not serve, so that there can be no object of it."""


class Check(NamedTuple):
    """One check: its name, its verdict, a line for people, and what it found (one line each)."""

    name: str
    verdict: str
    summary: str
    details: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    """What could not be read, in the words of the cluster or the registry. The verdict does not consider it."""
    may_change: bool = False
    """Whether the verdict may change with time."""
    staying: tuple[str, ...] = ()
    """The details that will not change with time, although a rollout is under way."""
    matched: int = 0
    """How many live objects or containers were seen as they should be."""


class Registries(NamedTuple):
    """How to ask registries."""

    settings: RegistrySettings
    keychain: Keychain | None = None
    """None for this machine's own credentials."""


def registries(settings: Settings, stored: Revision, kubectl: Kubectl) -> Registries:
    """How to ask the registries of a stored revision: with --pull-secrets, with the credentials of its pods.

    Raises HelmFailed and UsageError.
    """
    if not settings.pull_secrets:
        return Registries(settings.registry)
    from helmpin.cluster import pull_secrets

    return Registries(
        settings.registry,
        pull_secrets.keychain(read(f"{stored.manifest}\n{stored.hooks}"), kubectl, settings.registry),
    )


class Missing(NamedTuple):
    """What the registries do not have, and what they did not answer: (reference with digest, why)."""

    gone: list[tuple[Reference, RegistryError]]
    silent: list[tuple[Reference, RegistryError]]


class Live(NamedTuple):
    """Objects that run images: (stored object, live object or None), and what could not be read."""

    stored: Revision
    """The revision, or the manifest, that they belong to."""
    pairs: list[tuple[Object, Object | None]]
    unread: tuple[str, ...] = ()
    unknown_kinds: tuple[str, ...] = ()
    """kubectl's messages about kinds that the API server does not have."""


def record_check(stored: Revision) -> tuple[Check, Record | None]:
    """Whether there is a valid record; and what to verify: the record, or without one the manifest's own digests."""
    try:
        record = stored.record()
    except VerificationFailed as error:
        return Check("record", FAILED, error.why, (error.hint,)), None
    if record is not None:
        return Check("record", OK, f"{count(len(record.images), 'image')}, set {record.set_id}"), record
    try:
        pinned = record_checks.from_manifest(stored.uses())
    except HelmFailed:  # the check of the manifest reports it
        pinned = None
    if pinned is None:
        return Check("record", FAILED, "not found: helm-pin did not deploy this revision"), None
    return Check("record", SKIPPED, "no record; digests taken from the manifest"), pinned


def manifest_check(stored: Revision, record: Record) -> Check:
    """Whether the stored manifest and hooks use exactly the recorded digests. Raises HelmFailed when they cannot be read."""
    problems = disagreements(record, stored)
    if problems:
        return Check("manifest", FAILED, f"{count(len(problems), 'difference')} from the record", tuple(problems))
    uses = count(len(stored.uses()), "image use")
    return Check(
        "manifest", OK, f"{uses} in manifest and hooks, {'as recorded' if stored.record_text else 'by digest'}"
    )


def pinned_check(stored: Revision) -> tuple[Check, Record | None]:
    """Whether every image of a manifest has a digest; and a record of those digests to compare with, or None."""
    try:
        uses = stored.uses()
        stored.objects()
    except HelmFailed as error:
        return Check("manifest", FAILED, f"it cannot be read: {error.why}"), None
    pinned = record_checks.from_manifest(uses)
    if pinned:
        return Check("manifest", OK, f"{count(len(uses), 'image use')}, by digest"), pinned
    without = tuple(f"{use.place()}: {use.image} has no digest" for use in uses if "@" not in use.image)
    summary = f"{count(len(without), 'image use')} without a digest" if uses else "it runs no images"
    return Check("manifest", FAILED, summary, without), None


def registry_check(record: Record, stored: Revision, registries: Registries) -> Check:
    """registry_has() for the recorded images, at registries that the revision itself names. Raises HelmFailed if the manifest
    cannot be read."""
    return registry_has(_askable(record, stored, [use.image for use in stored.uses()]), registries)


def registry_has(images: Iterable[Image], registries: Registries) -> Check:
    """Whether the registries still have every digest. A tag that has moved is reported, but is not a failure."""
    images = list(images)
    by_tag = {i.reference: Reference.parse(i.reference) for i in images if i.via != "chart"}
    pinned = [_pinned(image) for image in images]
    answers = resolve([*pinned, *by_tag.values()], *registries)
    missing = missing_of(pinned, answers)
    moved = []
    for image in images:
        now = answers.get(by_tag[image.reference]) if image.reference in by_tag else None
        if now is not None and not isinstance(now, RegistryError) and now.digest != image.digest:
            moved.append(f"{image.reference} has moved since: it is {now.digest} now")
    gone = [f"{r.name}@{r.digest}: {e.reason}" for r, e in missing.gone]
    silent = tuple(f"{r.name}@{r.digest}: {e}" for r, e in missing.silent)
    if gone:
        return Check(
            name="registry",
            verdict=FAILED,
            summary=f"{count(len(gone), 'digest')} gone",
            details=(*gone, *moved),
            unread=silent,
        )
    if silent:
        return Check(
            name="registry", verdict=UNKNOWN, summary="a registry did not answer", details=tuple(moved), unread=silent
        )
    note = f"; {count(len(moved), 'tag')} moved since" if moved else ""
    return Check("registry", OK, f"has {count(len(set(pinned)), 'digest')}{note}", tuple(moved))


def askable(record: Record, stored: Revision, images: Iterable[str]) -> list[Reference]:
    """The recorded images, by digest, at registries that the revision's own images name. A forged record must not send requests
    elsewhere."""
    return [_pinned(image) for image in _askable(record, stored, images)]


def _askable(record: Record, stored: Revision, images: Iterable[str]) -> list[Image]:
    named = record_checks.hosts(images, stored.manifest + stored.hooks)
    return [image for image in record.images if Reference.parse(image.reference).registry in named]


def _pinned(image: Image) -> Reference:
    return Reference.parse(image.reference).with_digest(image.digest)


def at_registry(pinned: Iterable[list[Reference]], registries: Registries) -> list[Missing]:
    """For each list of references with digests, what the registries do not have of it; all are requested at once."""
    pinned = list(pinned)
    answers = resolve([reference for references in pinned for reference in references], *registries)
    return [missing_of(references, answers) for references in pinned]


def missing_of(pinned: list[Reference], answers: Mapping[Reference, object]) -> Missing:
    """What the registries do not have of these references, by their answers."""
    failures = [(r, a) for r in dict.fromkeys(pinned) if isinstance(a := answers[r], RegistryError)]
    return Missing([f for f in failures if f[1].kind == "not-found"], [f for f in failures if f[1].kind != "not-found"])


def refuse_missing(missing: Missing, where: str, hint: str) -> None:
    """Raise VerificationFailed for digests that are gone, RegistryUnavailable for registries that could not answer."""
    if missing.gone:
        raise VerificationFailed(
            f"{count(len(missing.gone), 'recorded digest')} gone from the registry; nothing was changed",
            where=where,
            why="\n".join(f"{r.name}@{r.digest}: {e.reason}" for r, e in missing.gone),
            hint=hint,
        )
    if missing.silent:
        raise RegistryUnavailable(
            "the registry could not confirm the recorded digests; nothing was changed",
            where=where,
            why="\n".join(f"{r.name}@{r.digest}: {e}" for r, e in missing.silent),
            hint="\n".join(dict.fromkeys(e.hint for _, e in missing.silent if e.hint)),
        )


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
    seen = compare_specs(live.pairs, owner=live.stored.owner)
    if seen.at_admission and live.stored.revision:
        read = revisions.read_all(kubectl.helm, live.stored.release, revisions.MOST)
        others = images_of(r.stored for r in read.found if r.stored.revision != live.stored.revision)
        if read.unread:
            others[""] = "of a revision that cannot be read, or changed at admission"
        seen = compare_specs(live.pairs, others)
    seen.notes += suspects(kubectl, seen.at_admission)
    return judged("workloads", seen, live.unread, "live object", "as in the manifest")


def pods_check(live: Live, kubectl: Kubectl, registries: Registries | None) -> Check:
    """Whether the pods' image IDs are the digests of the stored manifest, or other digests of the same image.

    registries: how to ask what else a digest is reported as, None not to ask.
    """
    pods, unread = read_pods(live, kubectl)
    seen = compare_pods(live.pairs, pods, live.stored.owner)
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
    return Pods(population), tuple(dict.fromkeys(unread))


def resolve_doubts(collected: Iterable[Seen], registries: Registries | None) -> None:
    """Judge the containers that report another digest than their own by what registries know about both, all requested at once.

    The image is the same when the reported digest is that of one of the index's manifests or configurations, or when the other
    name's image has the same configuration: a node keeps one image under many names.
    """
    doubts = [(seen, doubt, *_references(doubt)) for seen in collected for doubt in seen.doubts]
    asked = [reference for _, _, *both in doubts for reference in both if reference]
    answers = describe(asked, *registries, configs=True) if registries and asked else {}
    for seen, doubt, expected, found in doubts:
        line = f"{doubt.where} reports {doubt.reported}, recorded is {split(doubt.image)[2]}"
        should, does = answers.get(expected) if expected else None, answers.get(found) if found else None
        if registries is None:
            seen.silent.append(f"{line}: no registry was asked whether that is the same image")
        elif not isinstance(should, Described):
            seen.silent.append(f"{line}: whether that is the same image is unknown: {should}")
        elif reported(doubt.reported) in _names(should) or (
            isinstance(does, Described) and _configurations(should) & _configurations(does)
        ):
            seen.right += 1
        else:
            seen.wrong.append(line)
        seen.doubts.remove(doubt)


def _references(doubt: Doubt) -> tuple[Reference | None, Reference | None]:
    """What a container should run, and what it reports; None for what is not a reference."""

    def read(text: str) -> Reference | None:
        try:
            return Reference.parse(text)
        except InvalidReference:
            return None

    found = doubt.reported.rpartition("://")[2]
    return read(doubt.image), read(found) if "@" in found else None


def _names(described: Described) -> set[str]:
    """Every digest that a runtime may report for an image."""
    platforms = {d for p in described.platforms for d in (p.manifest_digest, p.config_digest) if d}
    return {described.digest} | platforms


def _configurations(described: Described) -> set[str]:
    return {p.config_digest for p in described.platforms if p.config_digest}


def judged(name: str, seen: Seen, unread: tuple[str, ...], what: str, good: str) -> Check:
    """The check for what live objects or pods show. what: what the summary counts, in the singular. good: how it should be."""
    details = (*seen.wrong, *seen.settling, *seen.staying, *seen.silent, *seen.notes)
    fine, staying = f"{count(seen.right, what)} {good}", tuple(seen.staying)
    if seen.wrong:
        return Check(
            name=name,
            verdict=FAILED,
            summary=f"{count(len(seen.wrong), 'difference')}",
            details=details,
            unread=unread,
            staying=staying,
        )
    if unread or seen.settling or seen.staying or seen.silent:
        open_points = len(unread) + len(seen.settling) + len(seen.staying) + len(seen.silent)
        may_change = bool(seen.settling) and not unread
        summary = f"{fine}; {open_points} undecided"
        return Check(
            name=name,
            verdict=UNKNOWN,
            summary=summary,
            details=details,
            unread=unread,
            may_change=may_change,
            staying=staying,
            matched=seen.right,
        )
    return Check(name, OK, fine, details, matched=seen.right)
