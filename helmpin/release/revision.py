"""A stored revision, and comparing it with its record."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from helmpin.errors import HelmFailed, HelmPinError, VerificationFailed, why_invalid
from helmpin.image.reference import Reference, split
from helmpin.named_tuple import NamedTuple
from helmpin.next_command import helm_command
from helmpin.release import record_checks
from helmpin.release.record import Record, parse

if TYPE_CHECKING:
    from helmpin.image.documents import Document
    from helmpin.image.outside_pods import ExtraImageRules
    from helmpin.image.uses import ImageUse

RAN = ("deployed", "superseded", "uninstalled")
"""The statuses of revisions whose deployment succeeded; see has_run(). An uninstalled one counts: helm no longer stores whether it
did."""
_FAILED = re.compile(r'(?:Release|Upgrade|Rollback) ".*?" failed: ')
"""How helm's description of a failed deployment begins (pkg/action, failRelease)."""
LARGEST = 32 << 20
"""The largest release, in bytes: more than forty times what a Secret can hold compressed (1 MiB, base64 twice). A small forged
Secret must not exhaust the memory of its readers."""
UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)
"""The exceptions that reading invalid data raises: a list in place of a map, half of a surrogate pair, …"""


def has_run(status: str, description: str) -> bool:
    """Whether the deployment of a revision succeeded. A failed one becomes superseded when the next one comes and none is deployed
    (pkg/action/upgrade.go, originalRelease); its description stays."""
    return status in RAN and not _FAILED.match(description)


class Revision(NamedTuple):
    """One stored revision; or a manifest without a release, with the name of its file and revision 0."""

    release: str
    revision: int
    status: str
    record_text: str
    """The annotation; '' if helm-pin did not make the revision."""
    manifest: str
    hooks: str
    problem: str = ""
    """Why the revision cannot be read; then only its labels are known."""

    @property
    def where(self) -> str:
        """For messages: `release web, revision 3`; `manifest web.yaml`."""
        return f"release {self.release}, revision {self.revision}" if self.revision else f"manifest {self.release}"

    @property
    def owner(self) -> str:
        """For messages about live objects: what they are compared with."""
        from helmpin.cluster.workloads import RELEASE

        return RELEASE if self.revision else "the manifest"

    def record(self) -> Record | None:
        """The record, or None if there is none. Raises VerificationFailed if it is invalid, HelmFailed if the revision cannot be
        read."""
        with self._reading("record"):
            if not self.record_text:
                return None
            if len(self.record_text) > record_checks.LONGEST:
                raise _invalid(
                    self, f"it has {len(self.record_text):,} characters, more than {record_checks.LONGEST:,}"
                )
            try:
                record = parse(self.record_text, self.where)
            except VerificationFailed as error:
                if written_by := record_checks.newer(self.record_text):
                    hint = f"use the helm-pin that wrote it ({written_by}), or a later one"
                    raise VerificationFailed(error.what, where=self.where, why=error.why, hint=hint) from None
                raise
            if problems := record_checks.problems(record):
                raise _invalid(self, "\n".join(problems[:20]))
            return record

    def known_record(self) -> Record | None:
        """The record, or else one made from the manifest; None if there is neither. Raises HelmPinError."""
        return self.record() or record_checks.from_manifest(self.uses())

    def uses(self, also: ExtraImageRules | None = None) -> list[ImageUse]:
        """Every image use of the stored manifest and hooks; also: those outside pod specs that count. Raises HelmFailed if they
        cannot be read."""
        from helmpin.image.documents import read

        with self._reading("manifest"):
            documents = (*read(self.manifest), *read(self.hooks))
            return [use for document in documents for use in _uses(document, also)]

    def objects(self) -> list[dict[str, Any]]:
        """The objects of the stored manifest that run images. Raises HelmFailed when they cannot be read."""
        from helmpin.cluster.workloads import with_images

        with self._reading("manifest"):
            return with_images(self.manifest)

    def with_digests(self) -> list[Any]:
        """The objects of the stored manifest and hooks that hold digests. Raises HelmFailed when they cannot be read."""
        from helmpin.image.documents import read

        with self._reading("manifest"):
            documents = (*read(self.manifest), *read(self.hooks))
            return [item for document in documents if "@sha" in document.text for item in document.objects()]

    def digests_of_jobs(self) -> set[str]:
        """The digests that only Jobs have: they may be older than what the rest of the release runs. Not those of hooks, which each
        deployment makes anew. Raises HelmFailed."""
        kinds: dict[str, set[str]] = {}
        for use in self.uses():
            kinds.setdefault(split(use.image)[2] or "", set()).add("" if use.hook else use.kind)
        return {digest for digest, some in kinds.items() if some == {"Job"}}

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        if self.problem:
            raise HelmFailed("the stored release cannot be read", where=self.where, why=self.problem)
        try:
            yield
        except VerificationFailed:
            raise
        except HelmPinError as error:
            where = [self.where, *error.where]
            raise HelmFailed(f"the stored {what} cannot be read", where=where, why=error.why) from None
        except UNREADABLE as error:
            raise HelmFailed(f"the stored {what} cannot be read", where=self.where, why=why_invalid(error)) from None


def of_manifest(name: str, text: str) -> Revision:
    """A manifest that something other than helm applies, to be verified like a stored revision. Hooks are kept apart, since they
    may be gone after they have run.

    Raises HelmFailed if it is not YAML.
    """
    from helmpin.image.documents import documents, is_hook

    manifest, hooks = "", ""
    for document, own in documents(text):
        if is_hook(document):
            hooks += own
        else:
            manifest += own
    return Revision(release=name, revision=0, status="", record_text="", manifest=manifest, hooks=hooks)


def _invalid(stored: Revision, why: str) -> VerificationFailed:
    anew = helm_command(f"pin upgrade {stored.release} CHART --reset-values")
    hint = f"it cannot be used for verification; {anew} writes a new one"
    return VerificationFailed("the digest record is not valid", where=stored.where, why=why, hint=hint)


@lru_cache(maxsize=1024)
def _uses(document: Document, also: ExtraImageRules | None) -> tuple[ImageUse, ...]:
    """The image uses of one document. Cached, because the revisions of a release share most of their documents."""
    from helmpin.image.uses import document_images

    return tuple(document_images(document, also))


def images_of(revisions: Iterable[Revision]) -> dict[str, str]:
    """The images of these revisions, each with the last one that has it, for people: `as revision 2 (failed) says`."""
    found: dict[str, str] = {}
    for stored in sorted(revisions, key=lambda s: s.revision):
        with suppress(HelmPinError):  # a manifest that cannot be read
            found |= {use.image: f"as revision {stored.revision} ({stored.status}) says" for use in stored.uses()}
    return found


def disagreements(record: Record, stored: Revision, uses: Sequence[ImageUse] | None = None) -> list[str]:
    """Where the images of a stored revision differ from its record, one line each; empty if all agree.

    An image agrees if its whole reference, including the tag, is recorded with its digest.

    uses: those of the revision, if they have been read already. Raises HelmFailed if they cannot be read.
    """
    uses = stored.uses() if uses is None else uses
    found = [*_not_recorded(record, uses), *_not_used(record, stored, uses)]
    if any(image.followers for image in record.images):
        found += record_checks.follower_problems(record, stored.with_digests())
    return found


def _not_recorded(record: Record, uses: Iterable[ImageUse]) -> Iterator[str]:
    """The uses whose image the record does not have, a line each."""
    recorded: dict[str, list[str]] = {}
    for image in record.images:
        recorded.setdefault(image.digest, []).append(image.reference)
    for use in uses:
        digest = split(use.image)[2]
        if use.image in record.allowed:
            continue
        if digest is None:
            yield f"{use.place()}: {use.image} has no digest"
        elif not record_checks.is_recorded(use.image, recorded.get(digest, [])):
            others = ", ".join(recorded.get(digest, []))
            why = f": its digest is recorded for {others}" if others else " is not in the record"
            yield f"{use.place()}: {use.image}{why}"


def _not_used(record: Record, stored: Revision, uses: Sequence[ImageUse]) -> Iterator[str]:
    """The recorded images that the revision does not have, a line each."""
    manifest = stored.manifest + stored.hooks
    named = record_checks.hosts([use.image for use in uses], manifest)
    used = {split(use.image)[2] for use in uses}
    for image in record.images:
        registry = Reference.parse(image.reference).registry
        # --also pins images outside pod specs, in any string
        if image.digest not in used and f"@{image.digest}" not in manifest:
            yield f"{image.reference}: its recorded digest {image.digest} is not used"
        elif registry not in named:
            yield f"{image.reference}: no image of the release is at {registry}"


def checked_record(stored: Revision, expected: Record | None = None) -> Record:
    """The record of a stored revision, after a comparison with its manifest and hooks, and with the expected record.

    Raises VerificationFailed with the differences, and HelmFailed if the revision cannot be read.
    """
    record = stored.record()
    if record is None:
        raise VerificationFailed(
            "the revision has no digest record",
            where=stored.where,
            why="helm-pin did not deploy it",
            hint="deploy with helm pin upgrade",
        )
    problems = disagreements(record, stored)
    if expected is not None and record.to_json() != expected.to_json():
        theirs, ours = (f"set {r.set_id}, written by {r.tool} at {r.created}" for r in (record, expected))
        problems.insert(0, f"the stored record ({theirs}) is not the one that was deployed ({ours})")
    if problems:
        raise VerificationFailed(
            "the stored release does not match its record",
            where=stored.where,
            why="\n".join(problems[:20]),
            hint=f"see {helm_command(f'get manifest {stored.release} --revision {stored.revision}')}",
        )
    return record
