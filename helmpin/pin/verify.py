"""Five checks that a revision is what its record says: the record, the manifest, the registry, live specs, running pods."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from helmpin.config import Settings
from helmpin.errors import RegistryUnavailable, VerificationFailed
from helmpin.image.reference import InvalidReference, Reference, split
from helmpin.kubectl import Kubectl
from helmpin.pin import release, storage
from helmpin.pin.admission import suspects
from helmpin.pin.digestset import DigestSet
from helmpin.pin.live import Doubt, Object, Seen, compare_specs, identity, with_images
from helmpin.pin.release import Stored
from helmpin.pin.render import parse
from helmpin.pin.running import Pods, compare_pods, reported
from helmpin.registry import Described, RegistryError, RegistrySettings, describe, resolve

if TYPE_CHECKING:
    from helmpin.registry.keychain import Keychain

OK, FAILED, UNKNOWN, SKIPPED = "ok", "failed", "cannot tell", "skipped"
MOST = 256
"""Revisions of a release that are looked at, as helm history shows."""


class Check(NamedTuple):
    """One check: its name, its verdict, a line for people, and what it found (one line each)."""

    name: str
    verdict: str
    summary: str
    details: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    """What the cluster or a registry would not tell, in their words: the verdict leaves it out."""
    settles: bool = False
    """Whether time may change the verdict."""


class Registries(NamedTuple):
    """How registries are asked."""

    settings: RegistrySettings
    keychain: Keychain | None = None
    """None for what this machine holds."""


def registries(settings: Settings, stored: Stored, kubectl: Kubectl) -> Registries:
    """How the registries of a stored revision are asked: with --pull-secrets as its own pods ask them.

    Raises HelmFailed and UsageError.
    """
    if not settings.pull_secrets:
        return Registries(settings.registry)
    from helmpin.pin import pullsecrets

    return Registries(
        settings.registry,
        pullsecrets.keychain(parse(f"{stored.manifest}\n{stored.hooks}"), kubectl, settings.registry),
    )


class Missing(NamedTuple):
    """What the registries lack, and what they could not say: (reference with digest, why)."""

    gone: list[tuple[Reference, RegistryError]]
    silent: list[tuple[Reference, RegistryError]]


class Live(NamedTuple):
    """A release's objects that run images: (stored object, live object or None), and what could not be read."""

    stored: Stored
    pairs: list[tuple[Object, Object | None]]
    unread: tuple[str, ...] = ()
    unknown_kinds: tuple[str, ...] = ()
    """kubectl's words about kinds that the API server does not have."""


def record_check(stored: Stored) -> tuple[Check, DigestSet | None]:
    """Whether the record is there and well formed."""
    try:
        record = stored.record()
    except VerificationFailed as error:
        return Check("record", FAILED, error.why), None
    if record is None:
        return Check("record", FAILED, "there is none: helm-pin did not deploy this revision"), None
    return Check("record", OK, f"{count(len(record.images), 'image')}, set {record.set_id}"), record


def manifest_check(stored: Stored, record: DigestSet) -> Check:
    """Whether the stored manifest and hooks use exactly the recorded digests."""
    problems = release.disagreements(record, stored)
    if problems:
        return Check("manifest", FAILED, f"{count(len(problems), 'difference')} to the record", tuple(problems))
    uses = count(len(stored.uses()), "image use")
    return Check("manifest", OK, f"{uses} in manifest and hooks, as recorded")


def registry_check(record: DigestSet, registries: Registries) -> Check:
    """Whether the registries still have every digest. A tag that has moved since is told, and is no failure."""
    by_tag = {i.reference: Reference.parse(i.reference) for i in record.images if i.via != "chart"}
    answers = resolve([*_pinned(record), *by_tag.values()], *registries)
    missing = _missing(record, answers)
    moved = []
    for image in record.images:
        now = answers.get(by_tag[image.reference]) if image.reference in by_tag else None
        if now is not None and not isinstance(now, RegistryError) and now.digest != image.digest:
            moved.append(f"{image.reference} has moved since: it is {now.digest} now")
    gone = [f"{r.name}@{r.digest}: {e.reason}" for r, e in missing.gone]
    silent = tuple(f"{r.name}@{r.digest}: {e}" for r, e in missing.silent)
    if gone:
        return Check("registry", FAILED, f"{count(len(gone), 'digest')} gone", (*gone, *moved), silent)
    if silent:
        return Check("registry", UNKNOWN, "a registry did not answer", tuple(moved), silent)
    said = f"; {count(len(moved), 'tag')} moved since" if moved else ""
    return Check("registry", OK, f"has {count(len(record.images), 'digest')}{said}", tuple(moved))


def at_registry(records: Iterable[DigestSet], registries: Registries) -> list[Missing]:
    """For each record, what the registries lack of it: every digest of all of them is asked for at once."""
    records = list(records)
    answers = resolve([reference for record in records for reference in _pinned(record)], *registries)
    return [_missing(record, answers) for record in records]


def _pinned(record: DigestSet) -> list[Reference]:
    return [Reference.parse(image.reference).with_digest(image.digest) for image in record.images]


def _missing(record: DigestSet, answers: Mapping[Reference, object]) -> Missing:
    failures = [(r, a) for r in dict.fromkeys(_pinned(record)) if isinstance(a := answers[r], RegistryError)]
    return Missing([f for f in failures if f[1].kind == "not-found"], [f for f in failures if f[1].kind != "not-found"])


def refuse_missing(missing: Missing, where: str, todo: str) -> None:
    """Raise VerificationFailed for digests that are gone, RegistryUnavailable for registries that could not say."""
    if missing.gone:
        raise VerificationFailed(
            f"{count(len(missing.gone), 'recorded digest')} gone from the registry; nothing was changed",
            where=where,
            why="\n".join(f"{r.name}@{r.digest}: {e.reason}" for r, e in missing.gone),
            todo=todo,
        )
    if missing.silent:
        raise RegistryUnavailable(
            "the registry could not vouch for the recorded digests; nothing was changed",
            where=where,
            why="\n".join(f"{r.name}@{r.digest}: {e}" for r, e in missing.silent),
            todo="\n".join(dict.fromkeys(e.todo for _, e in missing.silent if e.todo)),
        )


def read_live(stored: Stored, kubectl: Kubectl) -> Live:
    """The live counterparts of the stored manifest's objects with images, read in one call for each namespace."""
    mine = with_images(stored.manifest)
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


_GONE = re.compile(r'no matches for kind "[^"]+" in version')
"""kubectl's words for a kind that the API server does not have: there can be no object of it."""


def _is_about(error: str, item: Object, all_items: list[Object]) -> bool:
    """Whether kubectl's line says why this object could not be read; a line that names none of them is about all."""

    def names(one: Object) -> bool:
        return f'"{one["metadata"].get("name")}"' in error

    return names(item) or not any(names(one) for one in all_items)


def live_check(live: Live, kubectl: Kubectl) -> Check:
    """Whether the live workload specs use the images of the stored manifest."""
    seen = compare_specs(live.pairs)
    if seen.at_admission:
        revisions = storage.revisions(kubectl.helm, live.stored.release, MOST).found
        others = [r.stored for r in revisions if r.stored.revision != live.stored.revision]
        seen = compare_specs(live.pairs, release.images_of(others))
    seen.notes += suspects(kubectl, seen.at_admission)
    return _judged("workloads", seen, live.unread, "live object", "as in the manifest")


def pods_check(live: Live, kubectl: Kubectl, registries: Registries | None) -> Check:
    """Whether the running pods' image IDs are the digests of the stored manifest, or stand for the same image.

    registries: how to ask what else a digest is reported as, None not to ask.
    """
    pods, unread = read_pods(live, kubectl)
    seen = compare_pods(live.pairs, pods)
    settle_doubts([seen], registries)
    seen.notes += suspects(kubectl, seen.at_admission)
    return _judged("pods", seen, (*live.unread, *unread), "running container", "as recorded")


_BETWEEN = {
    "Deployment": ("apps/v1/replicasets",),
    "CronJob": ("batch/v1/jobs",),
    "StatefulSet": (),
    "DaemonSet": (),
    "ReplicaSet": (),
    "Job": (),
    "Pod": (),
}
"""What stands between an object of a kind and its pods."""
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
    """The pods of the namespaces of live objects, with what stands between; and what could not be read."""
    there = [now for _, now in live.pairs if now is not None]
    between = {r for now in there for r in _BETWEEN.get(str(now.get("kind")), RESOURCES.values())}
    population: list[Object] = list(there)
    unread: list[str] = []
    for namespace in sorted({str(now["metadata"].get("namespace") or kubectl.namespace) for now in there}):
        for answer in kubectl.lists(["v1/pods", *sorted(between)], namespace).values():
            population += answer.items
            unread += answer.errors
    return Pods(population), tuple(dict.fromkeys(unread))


def settle_doubts(collected: Iterable[Seen], registries: Registries | None) -> None:
    """Judge the containers that report another digest than their own by what registries say of both, all asked at once.

    It is the same image when the reported digest is that of one of the index's manifests or configurations, or when another name's
    image has the same configuration: a node keeps one image under many names.
    """
    doubts = [(seen, doubt, *_references(doubt)) for seen in collected for doubt in seen.doubts]
    asked = [reference for _, _, mine, its in doubts for reference in (mine, its) if reference]
    answers = describe(asked, *registries, configs=True) if registries and asked else {}
    for seen, doubt, mine, its in doubts:
        line = f"{doubt.where} runs {doubt.reported}, recorded is {split(doubt.image)[2]}"
        ours, other = answers.get(mine) if mine else None, answers.get(its) if its else None
        if registries is None:
            seen.silent.append(f"{line}: no registry was asked whether that is the same image")
        elif not isinstance(ours, Described):
            seen.silent.append(f"{line}: whether that is the same image is not known: {ours}")
        elif reported(doubt.reported) in _names(ours) or (
            isinstance(other, Described) and _configurations(ours) & _configurations(other)
        ):
            seen.right += 1
        else:
            seen.wrong.append(line)
        seen.doubts.remove(doubt)


def _references(doubt: Doubt) -> tuple[Reference | None, Reference | None]:
    def read(text: str) -> Reference | None:
        try:
            return Reference.parse(text)
        except InvalidReference:
            return None

    its = doubt.reported.rpartition("://")[2]
    return read(doubt.image), read(its) if "@" in its else None


def _names(described: Described) -> set[str]:
    """Every digest that a runtime may report for an image."""
    platforms = {d for p in described.platforms for d in (p.manifest_digest, p.config_digest) if d}
    return {described.digest} | platforms


def _configurations(described: Described) -> set[str]:
    return {p.config_digest for p in described.platforms if p.config_digest}


def _judged(name: str, seen: Seen, unread: tuple[str, ...], what: str, good: str) -> Check:
    details = (*seen.wrong, *seen.settling, *seen.silent, *seen.notes)
    fine = f"{count(seen.right, what)} {good}"
    if seen.wrong:
        return Check(name, FAILED, f"{count(len(seen.wrong), 'difference')}", details, unread)
    if unread or seen.settling or seen.silent:
        open_points = len(unread) + len(seen.settling) + len(seen.silent)
        settles = bool(seen.settling) and not unread
        return Check(name, UNKNOWN, f"{fine}; {count(open_points, 'point')} open", details, unread, settles)
    return Check(name, OK, fine, details)


def count(number: int, what: str) -> str:
    """`1 image`, `2 images`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
