"""helm pin rollback: check the target first, roll back, read back."""

from __future__ import annotations

from helmpin import output
from helmpin.arguments import is_on, last, words
from helmpin.cli import Request
from helmpin.errors import HelmFailed, HelmPinError, UsageError, VerificationFailed
from helmpin.kubectl import Kubectl
from helmpin.pin import release, storage, verify
from helmpin.pin.digestset import DigestSet
from helmpin.pin.release import Stored
from helmpin.pin.settle import wait_for_pods


def run(request: Request) -> int:
    """Roll back; with --verify prove before and after that the recorded digests are what runs."""
    name = request.positionals[0]
    target = _target(request)
    record = _preflight(request, target) if request.options["verify"] else None
    arguments = ["rollback", name, str(target.revision), *words(request.flags)]
    done = request.helm.watch(arguments)
    if done.status:
        raise HelmFailed(
            "helm rollback failed; its own words are above",
            where=f"release {name}, to revision {target.revision}",
            why=_state(request, name),
            todo=f"helm pin verify {name} shows what runs now",
        )
    if is_on(request.flags, "--dry-run") or (last(request.flags, "--dry-run") or "none") not in ("none", "false"):
        output.say("Dry run: nothing was changed.")
        return 0
    now = release.read(request.helm, name)
    if not request.options["verify"]:
        output.say(_unvouched(now))
        return 0
    if record is None:
        output.say(
            f"Revision {now.revision} restores revision {target.revision}, which has no usable record: not vouched for."
        )
        return 0
    release.check(now, record)
    _compare_with_cluster(request, now, record)
    return 0


def _target(request: Request) -> Stored:
    """The revision to go back to: none, or 0, is the one before the last, as helm reads it (pkg/action/rollback.go)."""
    name, *rest = request.positionals
    if rest and not rest[0].isdigit():
        raise UsageError("REVISION is a number", why=f"it is {rest[0]!r}", todo=f"helm pin history {name} lists them")
    wanted = int(rest[0]) if rest else 0
    if not wanted:
        wanted = release.read(request.helm, name).revision - 1
    if wanted < 1:
        raise HelmFailed(
            f"release {name} has no revision to roll back to",
            why="it has only one revision",
            todo=f"helm pin history {name}",
        )
    return release.read(request.helm, name, wanted)


def _preflight(request: Request, target: Stored) -> DigestSet | None:
    """The target's record, proved against its manifest and at the registry; None when it has none and that is allowed.

    Raises VerificationFailed and RegistryUnavailable before anything is touched.
    """
    where = f"release {target.release}, revision {target.revision}"
    try:
        record = release.check(target)
    except VerificationFailed as error:
        if request.options["allow-unverified"]:
            output.say(f"Warning: {error.what}: {error.why}")
            return None
        error.todo = "roll back to a revision that helm pin history shows with a digest set, or say --allow-unverified"
        raise
    missing = verify.at_registry(record, request.settings.registry)
    if missing.gone or missing.silent:
        verify.refuse_missing(missing, where, _way_out(request, target) if missing.gone else "")
    output.say(
        f"Revision {target.revision}: {len(record.images)} images, set {record.set_id}; the registry has every digest."
    )
    return record


def _way_out(request: Request, target: Stored) -> str:
    """The nearest earlier revision that can be restored, if there is one."""
    for revision in reversed(storage.revisions(request.helm, target.release, 256)):
        if revision.stored.revision >= target.revision or revision.status in (
            "failed",
            "pending-install",
            "pending-upgrade",
        ):
            continue
        try:
            record = release.check(revision.stored)
        except HelmPinError:
            continue
        missing = verify.at_registry(record, request.settings.registry)
        if not (missing.gone or missing.silent):
            number = revision.stored.revision
            return f"helm pin rollback {target.release} {number} --verify: revision {number} can be restored"
    return "push the image again, or deploy another version: no earlier revision can be restored"


def _compare_with_cluster(request: Request, now: Stored, record: DigestSet) -> None:
    kubectl = Kubectl(request.helm)
    live = verify.live_objects(now, kubectl)
    checks = [verify.live_check(live)]
    if is_on(request.flags, "--wait") or (last(request.flags, "--wait") or "") not in ("", "false"):
        checks.append(
            wait_for_pods(live, record, kubectl, request.settings.registry, last(request.flags, "--timeout") or "5m0s")
        )
    for check in checks:
        if check.verdict == verify.FAILED:
            raise VerificationFailed(
                f"rolled back, but the {check.name} are not what revision {now.revision} records",
                where=f"release {now.release}, revision {now.revision}",
                why="\n".join(check.details),
                todo=f"helm pin verify {now.release} checks again",
            )
        output.say(f"{check.name}: {check.verdict}, {check.summary}")
    output.say(f"Revision {now.revision} runs the digests of set {record.set_id}: verified.")


def _state(request: Request, name: str) -> str:
    """After a failed rollback: what state the release and its objects are in, from the cluster."""
    try:
        now = release.read(request.helm, name)
        live = verify.live_check(verify.live_objects(now, Kubectl(request.helm)))
    except HelmPinError as error:
        return f"the state cannot be read: {error.what}"
    return "\n".join(
        (f"revision {now.revision} is {now.status}", f"{live.name}: {live.verdict}, {live.summary}", *live.details)
    )


def _unvouched(now: Stored) -> str:
    """What cannot be vouched for after a rollback without --verify."""
    try:
        record = release.check(now)
    except VerificationFailed as error:
        why = error.why.splitlines()[0]
        return f"Revision {now.revision}: {error.what} ({why}). Not vouched for; --verify refuses such a rollback."
    kept = f"Revision {now.revision} has the digests of set {record.set_id} in its manifest."
    return f"{kept} Not checked: the registry, the cluster (--verify does)."
