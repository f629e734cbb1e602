"""The checks that a revision is what its record says: in the store, at the registry, in the cluster, in the running pods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from helmpin.errors import RegistryUnavailable, VerificationFailed
from helmpin.image import find
from helmpin.image.reference import Reference, split
from helmpin.kubectl import Kubectl
from helmpin.pin import release
from helmpin.pin.digestset import DigestSet
from helmpin.pin.release import Stored
from helmpin.pin.render import Document, parse
from helmpin.registry import RegistryError, RegistrySettings, describe, resolve

OK, FAILED, UNKNOWN, SKIPPED = "ok", "failed", "cannot tell", "skipped"


class Check(NamedTuple):
    """One check: its name, its verdict, a line for people, and what it found (one line each)."""

    name: str
    verdict: str
    summary: str
    details: tuple[str, ...] = ()


class Missing(NamedTuple):
    """What the registries lack, and what they could not say: (reference with digest, why)."""

    gone: list[tuple[Reference, RegistryError]]
    silent: list[tuple[Reference, RegistryError]]


def record_check(stored: Stored) -> tuple[Check, DigestSet | None]:
    """Whether the record is there and well formed."""
    try:
        record = stored.record()
    except VerificationFailed as error:
        return Check("record", FAILED, error.why), None
    if record is None:
        return Check("record", FAILED, "there is none: helm-pin did not deploy this revision"), None
    return Check("record", OK, f"{_count(len(record.images), 'image')}, set {record.set_id}"), record


def manifest_check(stored: Stored, record: DigestSet) -> Check:
    """Whether the stored manifest and hooks use exactly the recorded digests."""
    uses = stored.uses()
    problems = release.disagreements(record, uses)
    if problems:
        return Check("manifest", FAILED, f"{_count(len(problems), 'difference')} to the record", tuple(problems))
    return Check("manifest", OK, f"{_count(len(uses), 'image use')} in manifest and hooks, as recorded")


def registry_check(record: DigestSet, settings: RegistrySettings) -> Check:
    """Whether the registries still have every digest. A tag that has moved since is told, and is no failure."""
    missing = at_registry(record, settings)
    moved = _moved(record, settings)
    if missing.gone:
        return Check(
            "registry",
            FAILED,
            f"{_count(len(missing.gone), 'digest')} gone",
            tuple(f"{r.name}@{r.digest}: {e}" for r, e in missing.gone),
        )
    if missing.silent:
        return Check(
            "registry", UNKNOWN, "it could not be asked", tuple(f"{r.name}@{r.digest}: {e}" for r, e in missing.silent)
        )
    return Check(
        "registry",
        OK,
        f"it has {_count(len(record.images), 'digest')}"
        + (f"; {_count(len(moved), 'tag')} moved since" if moved else ""),
        tuple(moved),
    )


def at_registry(record: DigestSet, settings: RegistrySettings) -> Missing:
    """Ask for every recorded digest, all at once."""
    wanted = [Reference.parse(image.reference).with_digest(image.digest) for image in record.images]
    answers = resolve(wanted, settings)
    failures = [(reference, answer) for reference, answer in answers.items() if isinstance(answer, RegistryError)]
    return Missing([f for f in failures if f[1].kind == "not-found"], [f for f in failures if f[1].kind != "not-found"])


def refuse_missing(missing: Missing, where: str, todo: str) -> None:
    """Raise VerificationFailed for digests that are gone, RegistryUnavailable for registries that could not say."""
    if missing.gone:
        why = "\n".join(f"{r.name}@{r.digest}: {e.reason}" for r, e in missing.gone)
        raise VerificationFailed(
            f"{_count(len(missing.gone), 'recorded digest')} gone from the registry; nothing was changed",
            where=where,
            why=why,
            todo=todo,
        )
    if missing.silent:
        why = "\n".join(f"{r.name}@{r.digest}: {e}" for r, e in missing.silent)
        advice = "\n".join(dict.fromkeys(e.todo for _, e in missing.silent if e.todo))
        raise RegistryUnavailable(
            "the registry could not vouch for the recorded digests; nothing was changed",
            where=where,
            why=why,
            todo=advice,
        )


class Live(NamedTuple):
    """The release's objects that run images: (stored object, live object or None)."""

    pairs: list[tuple[dict[str, Any], dict[str, Any] | None]]


def live_objects(stored: Stored, kubectl: Kubectl) -> Live:
    """Read the live counterparts of the stored manifest's objects with images, in one call. Raises HelmFailed."""
    mine = [item for document in parse(stored.manifest).documents for item in _with_images(document)]
    if not mine:
        return Live([])
    import json

    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": mine})
    found = kubectl.items(["get", "--filename=-", "--ignore-not-found"], stdin=text)
    by_name = {_identity(item, kubectl.namespace): item for item in found}
    return Live([(item, by_name.get(_identity(item, kubectl.namespace))) for item in mine])


def live_check(live: Live) -> Check:
    """Whether the live workload specs use the images of the stored manifest."""
    problems = []
    for item, now in live.pairs:
        name = f"{item.get('kind')}/{item['metadata'].get('name')}"
        if now is None:
            problems.append(f"{name} is not in the cluster")
            continue
        images = by_container(now)
        for container, image in by_container(item).items():
            if container not in images:
                problems.append(f"{name} {container} is gone from the live object")
            elif images[container] != image:
                why = "changed by hand, or by an admission webhook"
                problems.append(f"{name} {container} has {images[container]}, the release says {image} ({why})")
    if problems:
        return Check("workloads", FAILED, f"{_count(len(problems), 'difference')} to the manifest", tuple(problems))
    return Check("workloads", OK, f"{_count(len(live.pairs), 'live object')}, as in the manifest")


def pods_check(live: Live, record: DigestSet, kubectl: Kubectl, settings: RegistrySettings | None) -> Check:
    """Whether the running pods' image IDs are the recorded digests (or what these stand for: see acceptable()).

    Pods are the release's by their owner references. settings: how to ask what an index holds, None not to ask.
    """
    workloads = {now["metadata"]["uid"]: now for _, now in live.pairs if now is not None}
    owned = kubectl.items(["get", "pods,replicasets,jobs"])
    owner_of = {
        item["metadata"]["uid"]: [o["uid"] for o in item["metadata"].get("ownerReferences") or []] for item in owned
    }
    pods = [item for item in owned if item.get("kind") == "Pod"]
    wrong, unknown, notes, right = [], [], [], 0
    for pod in pods:
        top = top_owner(pod["metadata"]["uid"], owner_of, workloads)
        if top is None:
            continue
        expected = by_container(workloads[top])
        for container, image, image_id in statuses(pod):
            where = f"Pod/{pod['metadata']['name']} {container}"
            wanted = expected.get(container)
            if wanted is None:
                notes.append(f"{where} is not of the release (injected): {image}")
            elif spec_image(pod, container) != wanted:
                notes.append(f"{where} is of an older revision: {spec_image(pod, container)}")
            elif not image_id:
                unknown.append(f"{where} has not reported what it runs")
            elif reported(image_id) in acceptable(wanted, record, settings, reported(image_id)):
                right += 1
            else:
                wrong.append(f"{where} runs {image_id}, recorded is {split(wanted)[2]}")
    if wrong:
        return Check(
            "pods", FAILED, f"{_count(len(wrong), 'container')} run something else", tuple(wrong + unknown + notes)
        )
    if unknown:
        return Check("pods", UNKNOWN, f"{right} as recorded, {len(unknown)} cannot be told", tuple(unknown + notes))
    return Check("pods", OK, f"{_count(right, 'running container')} as recorded", tuple(notes))


def acceptable(image: str, record: DigestSet, settings: RegistrySettings | None, reported: str) -> set[str]:
    """The digests that a runtime may report for an image: the recorded one; and, asked of the registry only when it is another,
    those of an index's platform manifests, and of their configs."""
    digest = split(image)[2] or ""
    if reported == digest or settings is None:
        return {digest}
    known = next((i for i in record.images if i.digest == digest), None)
    if known is None:
        return {digest}
    reference = Reference.parse(known.reference).with_digest(digest)
    described = describe([reference], settings, configs=True)[reference]
    if isinstance(described, RegistryError):
        return {digest}
    return {digest} | {d for platform in described.platforms for d in (platform[1], platform[2]) if d}


def _moved(record: DigestSet, settings: RegistrySettings) -> list[str]:
    references = {image.reference: Reference.parse(image.reference) for image in record.images if image.via != "chart"}
    answers = resolve(references.values(), settings)
    found = []
    for image in record.images:
        answer = answers.get(references[image.reference]) if image.reference in references else None
        if answer is not None and not isinstance(answer, RegistryError) and answer.digest != image.digest:
            found.append(f"{image.reference} is now {answer.digest[:19]}")
    return found


def _with_images(document: Document) -> list[dict[str, Any]]:
    return [item for item in document.objects() if isinstance(item, dict) and any(find.images(item))]


def _identity(item: dict[str, Any], namespace: str) -> tuple[str, str, str, str]:
    metadata = item.get("metadata") or {}
    group = str(item.get("apiVersion", "")).rpartition("/")[0]
    return (group, str(item.get("kind")), str(metadata.get("namespace") or namespace), str(metadata.get("name")))


def by_container(item: dict[str, Any]) -> dict[str, str]:
    """{container name (or path): image} of an object."""
    return {(find.container_name(item, path) or ".".join(map(str, path))): image for image, path in find.images(item)}


def top_owner(uid: str, owner_of: dict[str, list[str]], workloads: dict[str, Any]) -> str | None:
    if uid in workloads:
        return uid
    for owner in owner_of.get(uid, ()):
        top = top_owner(owner, owner_of, workloads) if owner in owner_of or owner in workloads else None
        if top:
            return top
    return None


def statuses(pod: dict[str, Any]) -> list[tuple[str, str, str]]:
    status = pod.get("status") or {}
    kinds: Sequence[str] = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    return [(s["name"], s.get("image", ""), s.get("imageID", "")) for kind in kinds for s in status.get(kind) or []]


def spec_image(pod: dict[str, Any], container: str) -> str:
    return by_container(pod).get(container, "")


def reported(image_id: str) -> str:
    """The digest in an imageID: `docker-pullable://name@sha256:…`, `name@sha256:…` or a bare `sha256:…`."""
    return image_id.rpartition("@")[2].rpartition("://")[2]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
