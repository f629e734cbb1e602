"""Reading stored revisions through helm, whatever storage driver holds them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from helmpin.errors import HelmFailed, HelmPinError, VerificationFailed
from helmpin.helm import Helm, Running
from helmpin.image.reference import split
from helmpin.pin import digestset
from helmpin.pin.digestset import ANNOTATION, DigestSet

if TYPE_CHECKING:
    from helmpin.pin.render import Document, ImageUse

_PARTS = (
    "{{ .Release.Version }} {{ .Release.Info.Status }}",
    f'{{{{ index .Release.Chart.Metadata.Annotations "{ANNOTATION}" }}}}',
    "{{ .Release.Manifest }}",
    "{{ range .Release.Hooks }}\n---\n# Source: {{ .Path }}\n{{ .Manifest }}\n{{ end }}",
    "",
)
"""What is read of a revision, in the language of `helm get all --template`, which has no functions beyond Go's own."""


class Stored(NamedTuple):
    """One stored revision."""

    release: str
    revision: int
    status: str
    record_text: str
    """The annotation; '' when helm-pin did not make the revision."""
    manifest: str
    hooks: str

    def record(self) -> DigestSet | None:
        """The digest record, or None when there is none. Raises VerificationFailed when it is not valid."""
        return (
            digestset.parse(self.record_text, f"release {self.release}, revision {self.revision}")
            if self.record_text
            else None
        )

    def uses(self) -> list[ImageUse]:
        """Every image use of the stored manifest and hooks. Raises HelmFailed when they are not YAML."""
        from helmpin.pin.render import parse

        documents = (*parse(self.manifest).documents, *parse(self.hooks).documents)
        return [use for document in documents for use in _uses(document)]


@lru_cache(maxsize=1024)
def _uses(document: Document) -> tuple[ImageUse, ...]:
    """The image uses of one document. Kept, since the revisions of a release have most of their documents in common."""
    from helmpin.pin.render import document_images

    return tuple(document_images(document))


class Reading:
    """Reading one revision has been started; `result()` waits for it."""

    def __init__(self, helm: Helm, release: str, revision: int | None = None) -> None:
        self._release, self._revision = release, revision
        at = ["--revision", str(revision)] if revision else []
        self._between = f"\n=== {os.urandom(16).hex()} ===\n"  # no manifest can hold it
        self._running: Running = helm.start(["get", "all", release, *at, "--template", self._between.join(_PARTS)])

    def result(self) -> Stored:
        """Raises HelmFailed."""
        try:
            out = self._running.output()
        except HelmFailed as error:
            tell(error, self._release, self._revision)
            raise
        head, record, manifest, hooks, *_ = out.split(self._between)
        revision, _, status = head.strip().partition(" ")
        text = "" if record.strip() in ("", "<no value>") else record.strip()
        return Stored(self._release, int(revision), status, text, manifest, hooks)


def tell(error: HelmFailed, release: str, revision: int | None = None) -> None:
    """Add to helm's words about a stored release which one was asked for, and what to do."""
    from helmpin.kubectl import advice

    namespace, driver = os.environ.get("HELM_NAMESPACE") or "default", os.environ.get("HELM_DRIVER")
    which = f"release {release}" + (f", revision {revision}" if revision else "")
    error.where = [f"{which}, namespace {namespace}" + (f", HELM_DRIVER={driver}" if driver else "")]
    if "not found" in error.why:
        error.what = f"there is no {f'revision {revision} of ' if revision else ''}release {release}"
        revisions = f"helm pin history {release} lists its revisions, " if revision else ""
        error.todo = f"{revisions}helm list --all-namespaces lists releases with their namespaces"
    else:
        error.todo = advice(error.why, namespace)


def read(helm: Helm, release: str, revision: int | None = None) -> Stored:
    """One revision, or the latest. Raises HelmFailed."""
    return Reading(helm, release, revision).result()


def images_of(revisions: Iterable[Stored]) -> dict[str, str]:
    """The images of revisions, each with the last that has it: `as revision 2 (failed) says`."""
    found: dict[str, str] = {}
    for stored in sorted(revisions, key=lambda s: s.revision):
        with suppress(HelmPinError):  # a manifest that is no YAML
            found |= {use.image: f"as revision {stored.revision} ({stored.status}) says" for use in stored.uses()}
    return found


def disagreements(record: DigestSet, stored: Stored, uses: Sequence[ImageUse] | None = None) -> list[str]:
    """Where the images of a stored revision are not what the record says: one line for each, empty when all agree.

    uses: those of the revision, where they have been read already.
    """
    uses = stored.uses() if uses is None else uses
    digests = {(split(image.image)[0], image.digest) for image in record.images}
    known = {image.digest for image in record.images}
    found = []
    for use in uses:
        name, _, digest = split(use.image)
        if use.image in record.allowed:
            continue
        if digest is None:
            found.append(f"{use.place()}: {use.image} has no digest")
        elif (name, digest) not in digests:
            why = "is recorded for another repository" if digest in known else "is not in the record"
            found.append(f"{use.place()}: {use.image} {why}")
    used = {split(use.image)[2] for use in uses}
    found += [
        f"{image.reference}: its recorded digest {image.digest} is used nowhere"
        for image in record.images
        # --also pins images outside pod specs, in any text
        if image.digest not in used and f"@{image.digest}" not in stored.manifest + stored.hooks
    ]
    return found


def check(stored: Stored, expected: DigestSet | None = None) -> DigestSet:
    """The record of a stored revision, proved to be that of its manifest and hooks (and to be the one expected).

    Raises VerificationFailed, saying what differs.
    """
    where = f"release {stored.release}, revision {stored.revision}"
    record = stored.record()
    if record is None:
        raise VerificationFailed(
            "the revision has no digest record",
            where=where,
            why="helm-pin did not deploy it",
            todo="deploy with helm pin upgrade",
        )
    problems = disagreements(record, stored)
    if expected is not None and record.to_json() != expected.to_json():
        problems.insert(
            0, f"the stored record (set {record.set_id}) is not the one that was deployed (set {expected.set_id})"
        )
    if problems:
        raise VerificationFailed(
            "the stored release is not what its record says",
            where=where,
            why="\n".join(problems[:20]),
            todo=f"see helm get manifest {stored.release} --revision {stored.revision}",
        )
    return record
