"""What an audit finds of each release: drift, images without a digest, no record, tags that run as several digests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from helmpin.audit.gather import Snapshot
from helmpin.cluster.pods import Pods, compare_pods, containers, reported
from helmpin.cluster.workloads import (
    RELEASE_NAME,
    RELEASE_NAMESPACE,
    Object,
    Seen,
    compare_specs,
    name_of,
    slots,
)
from helmpin.errors import HelmPinError, VerificationFailed, why_invalid
from helmpin.image.reference import InvalidReference, Reference, split
from helmpin.next_command import helm_command
from helmpin.registry import details_of, resolve
from helmpin.registry.details import Details
from helmpin.release import record_checks
from helmpin.release.record import Record
from helmpin.release.revision import UNREADABLE, disagreements, images_of
from helmpin.release.storage import RevisionInfo
from helmpin.verify.checks import Registries, askable, missing_of, resolve_doubts
from helmpin.verify.tags import Moved, moved, tags

DRIFT, UNPINNED, UNMANAGED, MIXED, UNKNOWN = "drift", "unpinned", "unmanaged", "mixed", "unknown"
MOVED = "moved"
PINNED_ELSEWHERE = "pinned-elsewhere"
KINDS = {
    DRIFT: "record, manifest, live specs, pods or (with --registry) the registry do not agree",
    UNPINNED: "an image has no digest",
    UNMANAGED: "the release has no record: helm-pin did not deploy it",
    PINNED_ELSEWHERE: "the release has no record, but every image of its manifest has a digest",
    MIXED: "one tag runs as different digests on different pods",
    MOVED: "a tag is another digest now than the release runs (with --registry)",
    UNKNOWN: "something is unknown: pods that have not started, a node that reports no image, an object that cannot be read",
}
"""The kinds of finding, and what each means."""


class AuditFinding(NamedTuple):
    """A finding: one of KINDS, and a line for people that names the object."""

    kind: str
    text: str


class Release(NamedTuple):
    """One release of one context, judged."""

    context: str
    namespace: str
    name: str
    revision: int
    """0 if its stored revisions could not be read."""
    status: str
    chart: str
    updated: str
    set_id: str
    """'' if there is no usable record."""
    images: dict[str, str]
    """reference → digest, of the record; the image as written → its digest, or '', without one."""
    containers: int
    """Containers that report the recorded digest."""
    findings: list[AuditFinding]
    notes: tuple[str, ...]
    moved: tuple[Moved, ...] | None = None
    """The tags that have moved since; None if no registry was asked, or none answered."""
    details: Mapping[str, Details] = MappingProxyType({})
    """What each digest is, as far as that was requested and is known."""

    @property
    def kinds(self) -> list[str]:
        """The kinds of its findings, in the order of KINDS."""
        found = {finding.kind for finding in self.findings}
        return [kind for kind in KINDS if kind in found]

    @property
    def pinned(self) -> int:
        """How many of the images have a digest."""
        return sum(bool(digest) for digest in self.images.values())


class Mixed(NamedTuple):
    """A tag that runs as several digests."""

    image: str
    """registry/repository:tag."""
    pods: dict[str, list[str]]
    """digest → namespace/name of the pods that run it."""


class Audit(NamedTuple):
    """One context, judged."""

    context: str
    releases: list[Release]
    mixed: list[Mixed]
    unread: tuple[str, ...]
    unanswered: Mapping[str, str] = MappingProxyType({})
    """The registries that did not answer everything, and why, in their words."""


def judge(snapshots: Iterable[Snapshot], registries: Registries | None, *, describe: bool = False) -> list[Audit]:
    """Judge what was read. registries: how to ask them, for all contexts at once; None not to ask. describe: whether to ask them,
    too, what each image is."""
    drafts = [(snapshot, _mixed(snapshot.pods), _drafts(snapshot)) for snapshot in snapshots]
    every = [draft for _, _, some in drafts for draft in some]
    resolve_doubts([draft.seen for draft in every], registries)
    answers = _at_registries(every, registries, describe=describe)
    return [_audit(snapshot, mixed, [(draft, answers[draft.id]) for draft in some]) for snapshot, mixed, some in drafts]


class _ReleaseId(NamedTuple):
    """A release of any cluster."""

    context: str
    namespace: str
    name: str


class _Answer(NamedTuple):
    """What registries say about a release."""

    gone: tuple[str, ...] = ()
    moved: tuple[Moved, ...] | None = None
    still_tagged: frozenset[str] = frozenset()
    """The digests of moved tags that another tag holds."""
    details: Mapping[str, Details] = MappingProxyType({})
    unanswered: Mapping[str, str] = MappingProxyType({})
    """The registries that did not answer, and why, in their words."""
    silent: tuple[str, ...] = ()
    """What is unknown because of that, a line each."""


class _Draft:
    """A release that is being judged. Mutable. A fault of one release is a finding, and never ends the audit."""

    def __init__(self, revision: RevisionInfo, snapshot: Snapshot, pods: Pods) -> None:
        self.revision = revision
        self.key = (revision.namespace, revision.stored.release)
        self.id = _ReleaseId(snapshot.context, *self.key)
        self.record: Record | None = None
        self.pinned: Record | None = None
        """What to ask registries for: the record, or without one the digests of the manifest."""
        self.findings: list[AuditFinding] = []
        self.unreadable = ""
        """Why the audit of this release is not complete, for the list of what could not be read."""
        self.uses: set[str] = set()
        self.seen = Seen()
        self.pods: list[Object] = []
        self._judge_stored(snapshot.unreadable.get(self.key, ""))
        try:
            self._look(snapshot, pods)
        except UNREADABLE as error:
            self._cannot_judge(f"its live objects cannot be judged: {why_invalid(error)}")

    def _judge_stored(self, unreadable: str) -> None:
        stored = self.revision.stored
        try:
            uses = stored.uses()
            self.uses = {use.image for use in uses}
            self.record = self.pinned = stored.record()
            if self.record is not None:
                for line in disagreements(self.record, stored, uses):
                    self.find(DRIFT, line)
                return
            self.pinned = record_checks.from_manifest(uses)
        except VerificationFailed as error:
            if record_checks.newer(stored.record_text):
                self._cannot_judge(f"the record cannot be read: {error.why}; {error.hint}")
            else:
                self.find(DRIFT, f"the record is not valid: {error.why}")
        except HelmPinError as error:
            self._cannot_judge(f"{error.what}: {error.why}")
        else:
            if self.pinned:
                self.find(PINNED_ELSEWHERE, "it has no record, but every image has a digest")
            else:
                self.find(UNMANAGED, "it has no digest record: helm-pin did not deploy it")
        if unreadable and not self.unreadable:
            self._cannot_judge(f"the stored manifest cannot be read: {unreadable}")

    def _cannot_judge(self, why: str) -> None:
        self.find(UNKNOWN, why)
        if not self.revision.stored.problem:  # an unreadable revision is on that list already
            self.unreadable = f"release {self.revision.namespace}/{self.revision.stored.release}: {why}"

    def find(self, kind: str, text: str) -> None:
        self.findings.append(AuditFinding(kind, text))

    def _look(self, snapshot: Snapshot, pods: Pods) -> None:
        number, status, namespace = self.revision.stored.revision, self.revision.status, self.revision.namespace
        if status != "deployed":
            self.find(UNKNOWN, f"revision {number} is {status}: no revision is deployed")
        if status not in ("deployed", "failed"):  # helm may be at work
            return
        pairs: list[tuple[Object, Object | None]] = []
        for item in snapshot.wanted[self.key]:
            now = snapshot.find(item, namespace)
            if now is None and snapshot.may_be_there(item, namespace):
                self.find(UNKNOWN, f"{name_of(item)} was not found, but not everything could be read")
            else:
                pairs.append((item, now))
        specs = compare_specs(pairs)
        if specs.at_admission:
            others = images_of(r.stored for r in snapshot.revisions[self.key] if r is not self.revision)
            if status != "deployed":  # superseded revisions are not read
                others[""] = "left by an earlier revision, or changed at admission"
            specs = compare_specs(pairs, others)
        there = [(item, now) for item, now in pairs if now is not None]
        self.seen = compare_pods(there, pods)
        self.seen.wrong = [*specs.wrong, *self.seen.wrong]
        self.seen.notes = [*specs.notes, *self.seen.notes]
        self.pods = [pod for _, now in there for pod in pods.of(now)]


def _drafts(snapshot: Snapshot) -> list[_Draft]:
    pods = Pods(snapshot.population)
    return [_Draft(revision, snapshot, pods) for revision in snapshot.deployed]


def _audit(snapshot: Snapshot, mixed: list[Mixed], answered: Sequence[tuple[_Draft, _Answer]]) -> Audit:
    return Audit(
        context=snapshot.context,
        releases=[_finished(draft, snapshot, mixed, answer) for draft, answer in answered],
        mixed=mixed,
        unread=(*snapshot.unread, *(draft.unreadable for draft, _ in answered if draft.unreadable)),
        unanswered={registry: why for _, answer in answered for registry, why in answer.unanswered.items()},
    )


def _finished(draft: _Draft, snapshot: Snapshot, mixed: list[Mixed], answer: _Answer) -> Release:
    revision, record = draft.revision, draft.record
    findings = [*draft.findings, *(AuditFinding(DRIFT, line) for line in (*draft.seen.wrong, *answer.gone))]
    allowed = record.allowed if record else ()
    unpinned = sorted(image for image in draft.uses if split(image)[2] is None)
    findings += [
        AuditFinding(UNPINNED, f"{image} has no digest" + (" (allowed)" if image in allowed else ""))
        for image in unpinned
    ]
    mine = {f"{pod['metadata'].get('namespace')}/{pod['metadata']['name']}" for pod in draft.pods}
    findings += [
        AuditFinding(MIXED, f"{m.image} runs as {len(m.pods)} digests: {', '.join(sorted(m.pods))}")
        for m in mixed
        if any(mine & set(some) for some in m.pods.values())
    ]
    for each in answer.moved or ():
        untagged = "" if each.was in answer.still_tagged else _untagged(revision, snapshot.context)
        findings.append(AuditFinding(MOVED, each.text + untagged))
    unknown = (*draft.seen.settling, *draft.seen.staying, *draft.seen.silent, *answer.silent)
    findings += [AuditFinding(UNKNOWN, line) for line in unknown]
    latest = snapshot.revisions[draft.key][-1]
    later = f"revision {latest.stored.revision}, {latest.status}, came after the deployed one"
    return Release(
        context=snapshot.context,
        namespace=revision.namespace,
        name=revision.stored.release,
        revision=revision.stored.revision,
        status=revision.status,
        chart=revision.chart,
        updated=revision.updated,
        set_id=record.set_id if record else "",
        images={i.reference: i.digest for i in record.images} | dict.fromkeys(unpinned, "")
        if record
        else {image: split(image)[2] or "" for image in sorted(draft.uses)},
        containers=draft.seen.right,
        findings=findings,
        notes=(*([later] if latest is not revision else []), *draft.seen.notes),
        moved=answer.moved,
        details=answer.details,
    )


def _untagged(revision: RevisionInfo, context: str) -> str:
    keep = helm_command(f"pin keep {revision.stored.release}", namespace=revision.namespace, context=context)
    return f"; no tag is known to hold the recorded digest, {keep} gives it one"


def _at_registries(drafts: list[_Draft], registries: Registries | None, *, describe: bool) -> dict[_ReleaseId, _Answer]:
    """What the registries no longer have of each release, and which of its tags have moved; all are requested at once."""
    if registries is None:
        return {draft.id: _Answer() for draft in drafts}
    asked = [
        (d, askable(d.pinned, d.revision.stored, d.uses), tags(d.pinned, d.revision.stored, d.uses))
        for d in drafts
        if d.pinned
    ]
    references = [reference for _, pinned, _ in asked for reference in pinned]
    answers = resolve([*references, *(tag.reference for _, _, named in asked for tag in named)], *registries)
    still_tagged = _still_tagged({draft.id: moved(named, answers) for draft, _, named in asked}, registries)
    about = details_of(references, *registries) if describe else {}
    found = {draft.id: _Answer(moved=()) for draft in drafts}
    for draft, pinned, named in asked:
        missing = missing_of(pinned, answers)
        gone = [f"{r.name}@{r.digest} is gone from the registry: {e.reason}" for r, e in missing.gone]
        known = {r.digest or "": about[r] for r in pinned if r in about}
        details = {digest: each for digest, each in known.items() if isinstance(each, Details)}
        silent = missing_of([tag.reference for tag in named], answers).silent
        undescribed = missing_of([r for r in pinned if r in about], about).silent
        unanswered = {error.registry: error.reason for _, error in (*missing.silent, *silent, *undescribed)}
        moves = tuple(moved(named, answers))
        known_moves = moves if moves or not silent else None
        without_digest = {reference.name for reference, _ in missing.silent}
        found[draft.id] = _Answer(
            gone=tuple(gone),
            moved=known_moves,
            still_tagged=still_tagged[draft.id],
            details=details,
            unanswered=unanswered,
            silent=(
                *(f"{r.name}@{r.digest}: {error}" for r, error in missing.silent),
                *(f"whether {r} has moved is unknown: {error}" for r, error in silent if r.name not in without_digest),
            ),
        )
    return found


def _still_tagged(moves: Mapping[_ReleaseId, list[Moved]], registries: Registries) -> dict[_ReleaseId, frozenset[str]]:
    """For each release, the recorded digests of moved tags that a tag of helm pin keep still holds."""
    tags = {
        (release, each.was): each.kept_by(release.name, release.namespace)
        for release, some in moves.items()
        for each in some
    }
    answers = resolve(tags.values(), *registries)
    held = [(release, was) for (release, was), tag in tags.items() if getattr(answers[tag], "digest", "") == was]
    return {release: frozenset(was for owner, was in held if owner == release) for release in moves}


def _mixed(pods: list[Object]) -> list[Mixed]:
    """The tags that run as more than one digest, on pods that have not ended."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for pod in pods:
        if pod["metadata"].get("deletionTimestamp") or (pod.get("status") or {}).get("phase") in (
            "Succeeded",
            "Failed",
        ):
            continue
        for container in containers(pod):
            tagged = _tagged(container.image)
            if tagged and container.image_id:
                name = f"{pod['metadata'].get('namespace')}/{pod['metadata']['name']}"
                # nodes report an image in different ways, but its digest in the pod's spec is always the same
                found[tagged][split(container.image)[2] or reported(container.image_id)].add(name)
    return [
        Mixed(image, {digest: sorted(names) for digest, names in sorted(digests.items())})
        for image, digests in sorted(found.items())
        if len(digests) > 1
    ]


def _tagged(image: str) -> str:
    """registry/repository:tag of an image, or '' when it has no tag."""
    try:
        reference = Reference.parse(image)
    except InvalidReference:
        return ""
    return f"{reference.name}:{reference.tag}" if reference.tag else ""


def without_records(snapshot: Snapshot) -> list[Release]:
    """The releases of a context whose stored revisions cannot be listed, by the annotations of live objects."""
    by_release: dict[tuple[str, str], list[Object]] = defaultdict(list)
    for item in snapshot.population:
        annotations = item["metadata"].get("annotations") or {}
        if RELEASE_NAME in annotations:
            by_release[annotations.get(RELEASE_NAMESPACE, ""), annotations[RELEASE_NAME]].append(item)
    out = []
    for (namespace, name), items in sorted(by_release.items()):
        images = {image: split(image)[2] or "" for item in items for image in slots(item).values()}
        charts = {(item["metadata"].get("labels") or {}).get("helm.sh/chart", "") for item in items} - {""}
        findings = [AuditFinding(UNKNOWN, "its stored revisions cannot be listed: only live objects were looked at")]
        findings += [AuditFinding(UNPINNED, f"{image} has no digest") for image, digest in images.items() if not digest]
        chart = min(charts, default="")
        out.append(
            Release(
                context=snapshot.context,
                namespace=namespace,
                name=name,
                revision=0,
                status="",
                chart=chart,
                updated="",
                set_id="",
                images=images,
                containers=0,
                findings=findings,
                notes=(),
            )
        )
    return out
