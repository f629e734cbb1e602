"""What an audit finds of each release: drift, images without a digest, no record, tags that run as several digests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from helmpin.audit.findings import (
    DRIFT,
    MIXED,
    MOVED,
    PINNED_ELSEWHERE,
    UNKNOWN,
    UNMANAGED,
    UNPINNED,
    Audit,
    AuditFinding,
    Mixed,
    Release,
)
from helmpin.audit.gather import Snapshot
from helmpin.audit.mixed import mixed_tags
from helmpin.audit.registries import Answer, Question, ReleaseId, ask
from helmpin.cluster.pods import Pods, compare_pods, idle
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
from helmpin.image.hints import named
from helmpin.image.reference import split
from helmpin.next_command import helm_command
from helmpin.release import record_checks
from helmpin.release.record import Record
from helmpin.release.revision import UNREADABLE, disagreements, images_of
from helmpin.release.storage import RevisionInfo
from helmpin.verify.doubts import resolve_doubts
from helmpin.verify.registries import Registries


def judge(snapshots: Iterable[Snapshot], registries: Registries | None, *, describe: bool = False) -> list[Audit]:
    """Judge what was read. registries: how to ask them, for all contexts at once; None not to ask. describe: whether to ask them,
    too, what each image is."""
    drafts = [(snapshot, mixed_tags(snapshot.pods), _drafts(snapshot)) for snapshot in snapshots]
    every = [draft for _, _, some in drafts for draft in some]
    resolve_doubts([draft.seen for draft in every], registries)
    answers = ask([draft.question for draft in every], registries, describe=describe)
    return [_audit(snapshot, mixed, [(draft, answers[draft.id]) for draft in some]) for snapshot, mixed, some in drafts]


class _Draft:
    """A release that is being judged. Mutable. A fault of one release is a finding, and never ends the audit."""

    def __init__(self, revision: RevisionInfo, snapshot: Snapshot, pods: Pods) -> None:
        self.revision = revision
        self.key = (revision.namespace, revision.stored.release)
        self.id = ReleaseId(snapshot.context, *self.key)
        self.record: Record | None = None
        self.pinned: Record | None = None
        """As in a Question."""
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

    @property
    def question(self) -> Question:
        """What to ask registries about it."""
        return Question(self.id, self.revision.stored, self.pinned, self.uses)

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
    pods = Pods(snapshot.population, are_all=all(kind != "Pod" for *_, kind in snapshot.unseen))
    return [_Draft(revision, snapshot, pods) for revision in snapshot.deployed]


def _audit(snapshot: Snapshot, mixed: list[Mixed], answered: Sequence[tuple[_Draft, Answer]]) -> Audit:
    return Audit(
        context=snapshot.context,
        releases=[_finished(draft, snapshot, mixed, answer) for draft, answer in answered],
        mixed=mixed,
        unread=(*snapshot.unread, *(draft.unreadable for draft, _ in answered if draft.unreadable)),
        unanswered=tuple(dict.fromkeys(each for _, answer in answered for each in answer.unanswered)),
    )


def _finished(draft: _Draft, snapshot: Snapshot, mixed: list[Mixed], answer: Answer) -> Release:
    revision, record = draft.revision, draft.record
    findings = [*draft.findings, *(AuditFinding(DRIFT, line) for line in (*draft.seen.wrong, *answer.gone))]
    allowed = record.allowed if record else ()
    unpinned = sorted(image for image in draft.uses if split(image)[2] is None)
    findings += [
        AuditFinding(UNPINNED, f"{named(image)} has no digest" + (" (allowed)" if image in allowed else ""))
        for image in unpinned
    ]
    mine = {f"{pod['metadata'].get('namespace')}/{pod['metadata']['name']}" for pod in draft.pods}
    findings += [
        AuditFinding(MIXED, f"{m.image} runs as {len(m.pods)} digests: {', '.join(sorted(m.pods))}")
        for m in mixed
        if any(mine & set(some) for some in m.pods.values())
    ]
    for each in answer.moved or ():
        is_gone = any(each.was in line for line in answer.gone)  # then nothing can be tagged
        untagged = "" if is_gone or each.was in answer.still_tagged else _untagged(revision, snapshot.context)
        findings.append(AuditFinding(MOVED, each.text + untagged))
    unknown = (*draft.seen.settling, *draft.seen.staying, *draft.seen.silent, *answer.silent)
    findings += [AuditFinding(UNKNOWN, line) for line in unknown]
    latest = snapshot.revisions[draft.key][-1]
    images, kept = _images(record, revision) if record else ({}, ())
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
        images=images | dict.fromkeys(unpinned, "")
        if record
        else {image: split(image)[2] or "" for image in sorted(draft.uses)},
        containers=draft.seen.right,
        findings=findings,
        notes=(*([later] if latest is not revision else []), *draft.seen.notes),
        moved=answer.moved,
        details=answer.details,
        kept=kept,
    )


def _images(record: Record, revision: RevisionInfo) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """The digest of each recorded reference, and further ones that only Jobs keep."""
    pairs = sorted({(image.reference, image.digest) for image in record.images})
    old = revision.stored.digests_of_jobs() if len(dict(pairs)) < len(pairs) else set()
    images = dict(sorted(pairs, key=lambda pair: pair[1] not in old))
    return dict(sorted(images.items())), tuple(pair for pair in pairs if images[pair[0]] != pair[1])


def _untagged(revision: RevisionInfo, context: str) -> str:
    keep = helm_command(f"pin keep {revision.stored.release}", namespace=revision.namespace, context=context)
    return f"; no tag is known to hold the recorded digest, {keep} gives it one"


def without_records(snapshot: Snapshot) -> list[Release]:
    """The releases of a context whose stored revisions cannot be listed, by the annotations of live objects."""
    by_release: dict[tuple[str, str], list[Object]] = defaultdict(list)
    for item in snapshot.population:
        annotations = item["metadata"].get("annotations") or {}
        if RELEASE_NAME in annotations:
            by_release[annotations.get(RELEASE_NAMESPACE, ""), annotations[RELEASE_NAME]].append(item)
    out = []
    for (namespace, name), items in sorted(by_release.items()):
        kept = idle(items)
        running = [item for item in items if item["metadata"].get("uid") not in kept]
        images = {image: split(image)[2] or "" for item in running for image in slots(item).values()}
        charts = {(item["metadata"].get("labels") or {}).get("helm.sh/chart", "") for item in items} - {""}
        findings = [AuditFinding(UNKNOWN, "its stored revisions cannot be listed: only live objects were looked at")]
        findings += [
            AuditFinding(UNPINNED, f"{named(image)} has no digest") for image, digest in images.items() if not digest
        ]
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
