"""Where a lock comes from (a file, or the record of a release), and the digests of references through it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from helmpin.arguments import whole_number
from helmpin.env import ENVIRON
from helmpin.errors import HelmFailed, Refused, UsageError, VerificationFailed
from helmpin.files import cannot_read, check_is_file
from helmpin.image.reference import Reference, split
from helmpin.lock import PIPED, Lock, NotLocked
from helmpin.next_command import helm_command

if TYPE_CHECKING:
    from helmpin.config.settings import Settings
    from helmpin.helm import Helm
    from helmpin.registry import RegistryError, RegistrySettings, Resolved
    from helmpin.registry.keychain import Keychain
    from helmpin.release.reading import Reading
    from helmpin.release.record import Record
    from helmpin.release.revision import Revision

DEFAULT_FILE = "helm-pin.lock.yaml"
RELEASE = "release:"
ANOTHER_SERVER = ("HELM_KUBEAPISERVER", "HELM_KUBETOKEN", "HELM_KUBECAFILE", "HELM_KUBETLS_SERVER_NAME")
"""What helm prefers over a context (pkg/cli/environment.go)."""


class LockReading:
    """The lock of a command. The constructor starts to read a release; `result()` waits for it."""

    def __init__(self, settings: Settings, helm: Helm, writing: Callable[[str], str] | None = None) -> None:
        """writing: how to write a lock file of this name, if the chart is known. Raises UsageError."""
        name = settings.lock or (DEFAULT_FILE if settings.locked else "")
        self._only = settings.locked
        self._release = _ReleaseLock(name, helm) if name.startswith(RELEASE) else None
        self._file = read_file(name, writing) if name and not self._release else None

    def result(self) -> Lock | None:
        """The lock, or None when there is none. Raises HelmFailed, and VerificationFailed for the record of a release."""
        lock = self._release.result() if self._release else self._file
        return lock._replace(only=self._only) if lock else None


def read_file(name: str, writing: Callable[[str], str] | None = None) -> Lock:
    """Read a lock file. writing: as LockReading has it. Raises UsageError."""
    check_is_file("a lock", name)
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        if not isinstance(error, FileNotFoundError):
            raise cannot_read("the lock file", name, error) from None
        command = f"pin lock RELEASE CHART --file {shlex.quote(name)}"
        hint = writing(name) if writing else f"write it: {helm_command(command)}"
        raise UsageError(f"there is no lock file {name}", hint=hint) from None
    from helmpin.lock.parse import parse_lock
    from helmpin.save import is_stream

    lock = parse_lock(text, name)
    return lock._replace(name=PIPED) if is_stream(name) else lock


def release_name(text: str) -> tuple[str, str, str, int | None]:
    """(context, namespace, release, revision) of `release:[CONTEXT/]NAMESPACE/NAME[@REVISION]`. The context may contain slashes, as
    some clouds' contexts do. Raises UsageError."""
    *context, namespace, last = text.removeprefix("release:").rsplit("/", 2) if text.count("/") else ("", "")
    name, at, revision = last.partition("@")
    is_wrong = bool(at) and whole_number(revision) is None
    if not (namespace and name) or "" in context or is_wrong or name.startswith("-"):  # helm takes that for a flag
        raise UsageError(
            "a lock from a release is release:[CONTEXT/]NAMESPACE/NAME[@REVISION]",
            where=f"--lock {text}",
            why=f"{revision[:200]!a} is not the number of a revision" if is_wrong else "",
            hint="for example release:staging/web, or release:staging-cluster/web/web@12",
        )
    return (context[0] if context else ""), namespace, name, int(revision) if at else None


class _ReleaseLock:
    """The digests that a release runs. The constructor starts to read it."""

    def __init__(self, text: str, helm: Helm) -> None:
        self._context, self._namespace, self._name, self._revision = release_name(text)
        self._helm = helm
        over = [name for name in ANOTHER_SERVER if ENVIRON.get(name)] if self._context else []
        if over:
            raise UsageError(
                f"the lock's context {self._context} conflicts with helm's --kube-… flags",
                where=f"--lock {text}",
                why=f"{', '.join(over)} (helm's --kube-… flags) apply to every context, so another cluster would be read",
                hint="select the cluster to deploy to by a context, too: --kube-context",
            )
        self._reading = self._read(self._revision)

    def _read(self, revision: int | None) -> Reading:
        from helmpin.release.reading import Reading

        return Reading(self._helm, self._name, revision, self._flags)

    @property
    def _flags(self) -> list[str]:
        context = [f"--kube-context={self._context}"] if self._context else []
        return [f"--namespace={self._namespace}", *context]

    def result(self) -> Lock:
        """Raises HelmFailed (Unreadable for a latest revision), VerificationFailed if the release does not match its record."""
        from helmpin.release.revision import checked_record

        stored = self._reading.result()
        if self._revision is None and stored.status != "deployed":
            stored = self._read(self._deployed()).result()
        name = f"{RELEASE}{self._place(stored.revision)}"
        try:
            return of_release(checked_record(stored), stored, name)
        except (VerificationFailed, HelmFailed) as error:
            raise type(error)(error.what, where=f"--lock {name}", why=error.why, hint=self._other_revision()) from None

    def _place(self, revision: int | str) -> str:
        return "/".join(filter(None, [self._context, self._namespace, f"{self._name}@{revision}"]))

    def _deployed(self) -> int:
        import json

        rows = json.loads(self._helm.run(["history", self._name, *self._flags, "-o", "json"]))
        deployed = [int(row["revision"]) for row in rows if row.get("status") == "deployed"]
        if not deployed:
            from helmpin.kubectl import Kubectl
            from helmpin.release.damaged import refuse_hidden

            latest = max((int(row["revision"]) for row in rows), default=0)
            refuse_hidden(Kubectl(self._helm, context=self._context, namespace=self._namespace), self._name, latest)
            raise Refused(
                f"release {self._name} in namespace {self._namespace} has no deployed revision to take digests from",
                hint=self._other_revision(),
            )
        return max(deployed)

    def _other_revision(self) -> str:
        """What to do if a revision cannot be a lock."""
        history = helm_command(f"pin history {self._name}", namespace=self._namespace, context=self._context)
        return (
            f"name another revision: --lock {RELEASE}{self._place('REVISION')}; {history} lists them; or deploy it with helm pin "
            "upgrade first"
        )


def of_release(record: Record, stored: Revision, name: str) -> Lock:
    """The record of a release as a lock. A digest that only a Job keeps does not count as the release's, but is known."""
    of_jobs = stored.digests_of_jobs()
    found: dict[Reference, dict[str, str]] = {}
    for image in record.images:
        reference = Reference.parse(image.reference)
        if split(image.reference)[1] is None:  # the chart itself pins it: no `latest`, which may be another image
            reference = reference._replace(tag=None, digest=image.digest)
        found.setdefault(reference, {})[image.digest] = image.media_type
    digests: dict[Reference, str] = {}
    media_types: dict[Reference, str] = {}
    conflicts: dict[Reference, str] = {}
    kept: dict[Reference, frozenset[str]] = {}
    for reference, several in found.items():
        likely = {digest: kind for digest, kind in several.items() if digest not in of_jobs} or several
        if len(likely) > 1:
            conflicts[reference] = f"several digests for it: {', '.join(sorted(likely))}"
        else:
            [(digests[reference], media_types[reference])] = likely.items()
            if older := several.keys() - likely.keys():
                kept[reference] = frozenset(older)

    def hint() -> str:
        return "deploy it there first, or take the digests from a lock file (helm pin lock) that has it"

    return Lock(
        digests=digests,
        kind="release",
        name=name,
        platforms={},
        conflicts=conflicts,
        kept=kept,
        media_types=media_types,
        hint=hint,
    )


def resolve(
    lock: Lock | None, references: Iterable[Reference], settings: RegistrySettings, keychain: Keychain | None
) -> dict[Reference, Resolved | RegistryError | NotLocked]:
    """The digest of each reference: from the lock if it has one, else from the registry, unless all must come from the lock."""
    from helmpin import registry
    from helmpin.registry import Resolved

    wanted = list(references)
    if lock is None:
        return {**registry.resolve(wanted, settings, keychain)}
    found: dict[Reference, Resolved | RegistryError | NotLocked] = {}
    for reference in wanted:
        refusal = lock.refusal(reference)
        if refusal and not _is_for_another_use(lock, reference, wanted):
            found[reference] = _of_chart(lock, reference, refusal)
        elif reference.digest and lock.only:
            found[reference] = Resolved(reference.digest, "")
        elif digest := lock.digests.get(reference):
            found[reference] = Resolved(digest, lock.media_types.get(reference, ""))
    found |= _of_platforms(lock, [r for r in wanted if r not in found and r in lock.platforms], settings, keychain)
    left = [r for r in wanted if r not in found]
    answers = {r: lock.answers[r] for r in left if r in lock.answers}
    return {**registry.resolve([r for r in left if r not in answers], settings, keychain), **answers, **found}


def _is_for_another_use(lock: Lock, reference: Reference, wanted: Collection[Reference]) -> bool:
    """Whether the chart itself pins an image, and the lock has its tag for another use of it, which the chart does not pin."""
    bare = reference._replace(digest=None)
    return reference.digest is not None and bare in wanted and bare in lock.digests and bare not in lock.conflicts


def _of_chart(lock: Lock, reference: Reference, refusal: NotLocked) -> NotLocked:
    """The refusal, with another hint if the chart itself pins another digest: no command changes a line that others may need."""
    bare = reference._replace(digest=None)
    if not reference.digest or bare in lock.conflicts or lock.kind != "lock":
        return refusal
    hint = (
        f"the chart pins the image, so it needs no line: remove that of {bare} from {lock.name}, write the chart's digest there, "
        "or have the chart pin what the lock has"
    )
    return refusal._replace(hint=hint)


def _of_platforms(
    lock: Lock, references: Iterable[Reference], settings: RegistrySettings, keychain: Keychain | None
) -> dict[Reference, Resolved | RegistryError | NotLocked]:
    """The index of each reference, if it holds the platforms' digests in the lock."""
    from helmpin import registry
    from helmpin.registry import RegistryError, Resolved

    found: dict[Reference, Resolved | RegistryError | NotLocked] = {}
    for reference, answer in registry.describe(references, settings, keychain).items():
        if isinstance(answer, RegistryError):
            found[reference] = answer
            continue
        held = {platform.manifest_digest for platform in answer.platforms}
        missing = {name: digest for name, digest in lock.platforms[reference].items() if digest not in held}
        why = f"the registry's {answer.digest} does not hold {', '.join(f'{d} ({n})' for n, d in missing.items())}"
        found[reference] = (
            NotLocked(f"{why}, which {lock.name} has: the tag has moved", "write the lock again")
            if missing
            else Resolved(answer.digest, answer.media_type)
        )
    return found
