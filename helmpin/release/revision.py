"""Reading stored revisions through helm, whatever storage driver holds them, and comparing them with their records."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from helmpin import env
from helmpin.errors import HelmFailed, HelmPinError, VerificationFailed, why_invalid
from helmpin.helm import Helm, HelmProcess
from helmpin.image.reference import Reference, split
from helmpin.next_command import helm_command
from helmpin.release import record_checks
from helmpin.release.record import ANNOTATION, Record, parse

if TYPE_CHECKING:
    from helmpin.image.manifest import Document, ImageUse
    from helmpin.image.outside_pods import ExtraImageRules
    from helmpin.release.storage import Damaged

LARGEST = 32 << 20
"""The largest release, in bytes: more than forty times what a Secret can hold compressed (1 MiB, base64 twice). A small forged
Secret must not exhaust the memory of its readers."""
UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)
"""The exceptions that reading invalid data raises: a list in place of a map, half of a surrogate pair, …"""
_DAMAGED = re.compile(r"^panic: |nil pointer evaluating|^no revision for release", re.MULTILINE)
"""helm's messages about a stored release that lacks a part (from its own code and from _PARTS), and about a release without a
single readable revision (pkg/storage/storage.go, Last)."""
_PARTS = (
    "{{ .Release.Version }} {{ .Release.Info.Status }}",
    f'{{{{ index .Release.Chart.Metadata.Annotations "{ANNOTATION}" }}}}',
    "{{ .Release.Manifest }}",
    "{{ range .Release.Hooks }}\n---\n# Source: {{ .Path }}\n{{ .Manifest }}\n{{ end }}",
    "",
)
"""What to read of a revision, as templates for `helm get all --template`, which has only Go's own functions."""


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
        """For messages about live objects: what says how they should be."""
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

    def uses(self, also: ExtraImageRules | None = None) -> list[ImageUse]:
        """Every image use of the stored manifest and hooks; also: those outside pod specs that count. Raises HelmFailed if they
        cannot be read."""
        from helmpin.image.manifest import read

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
        from helmpin.image.manifest import read

        with self._reading("manifest"):
            documents = (*read(self.manifest), *read(self.hooks))
            return [item for document in documents if "@sha" in document.text for item in document.objects()]

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
    from helmpin.image.manifest import documents, is_hook

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
    from helmpin.image.manifest import document_images

    return tuple(document_images(document, also))


class Reading:
    """One revision. The constructor starts to read it; `result()` waits."""

    def __init__(self, helm: Helm, release: str, revision: int | None = None, flags: Sequence[str] = ()) -> None:
        """flags: helm flags for a release outside this command's own namespace or cluster."""
        self._helm, self._release, self._revision, self._flags = helm, release, revision, flags
        at = [*(["--revision", str(revision)] if revision else []), *flags]
        self._between = f"\n=== {os.urandom(16).hex()} ===\n"  # no manifest can hold it
        self._running: HelmProcess = helm.start(["get", "all", release, *at, "--template", self._between.join(_PARTS)])

    def result(self) -> Revision:
        """Raises HelmFailed."""
        try:
            out = self._running.output()
        except HelmFailed as error:
            raise explained(error, self._release, self._revision, self._flags, helm=self._helm) from None
        head, record, manifest, hooks, *_ = out.split(self._between)
        revision, _, status = head.strip().partition(" ")
        text = "" if record.strip() in ("", "<no value>") else record.strip()
        problem = f"it has more than {LARGEST >> 20} MiB" if len(out) > LARGEST else ""
        return Revision(
            release=self._release,
            revision=int(revision),
            status=status,
            record_text=text,
            manifest=manifest,
            hooks=hooks,
            problem=problem,
        )


def explained(
    error: HelmFailed,
    release: str,
    revision: int | None = None,
    flags: Sequence[str] = (),
    *,
    outcome: str = "",
    helm: Helm | None = None,
) -> HelmFailed:
    """Helm's error about a stored release, with its name and place, and what to do. outcome: added to the first line, such as
    `; nothing was deployed`. helm: to look for damaged revisions, if they may be the cause."""
    from helmpin.kubectl import advice

    named = dict(flag.removeprefix("--").partition("=")[::2] for flag in flags)
    namespace = named.get("namespace") or env.namespace()
    driver = env.storage_driver()
    which = f"release {release}" + (f", revision {revision}" if revision else "")
    which += f", context {named['kube-context']}" if "kube-context" in named else ""
    where = f"{which}, namespace {namespace}" + (f", HELM_DRIVER={driver}" if driver else "")
    is_damaged = _DAMAGED.search(error.why)
    if (is_damaged or ("not found" in error.why and not revision)) and (
        found := _damaged(helm, release, named) if helm else []
    ):
        from helmpin.release.storage import way_out

        what, hint = f"release {release} cannot be read{outcome}", way_out(found)
        return HelmFailed(what, where=where, why="\n".join([*(each.why for each in found), error.why]), hint=hint)
    if is_damaged:
        what = f"release {release} cannot be read{outcome}"
        hint = "a stored revision lacks a part that helm needs: restore it from a backup, or delete that revision"
    elif "not found" in error.why:
        what = f"there is no {f'revision {revision} of ' if revision else ''}release {release}{outcome}"
        context = named.get("kube-context", "")
        history = helm_command(f"pin history {release}", namespace=named.get("namespace", ""), context=context)
        releases = helm_command("list --all-namespaces", namespace=None, context=context)
        hint = (
            f"{history} lists its revisions, " if revision else ""
        ) + f"{releases} lists releases with their namespaces"
    elif not error.what.startswith("helm "):  # it says what is wrong with the name
        what, hint = error.what, error.hint
    else:
        what, hint = f"release {release} cannot be read{outcome}", advice(error.why, namespace)
    return HelmFailed(what, where=where, why=error.why, hint=hint)


def _damaged(helm: Helm, release: str, named: Mapping[str, str]) -> list[Damaged]:
    from helmpin.kubectl import Kubectl
    from helmpin.release import storage

    context, namespace = named.get("kube-context", ""), named.get("namespace", "")
    return [d for d in storage.damaged(Kubectl(helm, context=context, namespace=namespace), release) if d.name]


def read_revision(helm: Helm, release: str, revision: int | None = None) -> Revision:
    """One revision, or the latest. Raises HelmFailed."""
    return Reading(helm, release, revision).result()


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
    recorded: dict[str, list[str]] = {}
    for image in record.images:
        recorded.setdefault(image.digest, []).append(image.reference)
    found = []
    for use in uses:
        digest = split(use.image)[2]
        if use.image in record.allowed:
            continue
        if digest is None:
            found.append(f"{use.place()}: {use.image} has no digest")
        elif not record_checks.is_recorded(use.image, recorded.get(digest, [])):
            others = ", ".join(recorded.get(digest, []))
            why = f": its digest is recorded for {others}" if others else " is not in the record"
            found.append(f"{use.place()}: {use.image}{why}")
    manifest = stored.manifest + stored.hooks
    named = record_checks.hosts([use.image for use in uses], manifest)
    used = {split(use.image)[2] for use in uses}
    for image in record.images:
        registry = Reference.parse(image.reference).registry
        # --also pins images outside pod specs, in any string
        if image.digest not in used and f"@{image.digest}" not in manifest:
            found.append(f"{image.reference}: its recorded digest {image.digest} is not used")
        elif registry not in named:
            found.append(f"{image.reference}: no image of the release is at {registry}")
    if any(image.followers for image in record.images):
        found += record_checks.follower_problems(record, stored.with_digests())
    return found


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
