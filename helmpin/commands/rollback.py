"""helm pin rollback: check the target first, roll back, read back."""

from __future__ import annotations

import time
from collections.abc import Sequence

from helmpin import output
from helmpin.arguments import Given, is_on, last, words
from helmpin.cli import Request
from helmpin.config import seconds
from helmpin.errors import HelmFailed, HelmPinError, UsageError, VerificationFailed
from helmpin.kubectl import Kubectl
from helmpin.pin import release, settle, storage, verify
from helmpin.pin.digestset import DigestSet
from helmpin.pin.release import Stored

HELM_TIMEOUT = "5m0s"
"""helm rollback's own default of --timeout."""


def run(request: Request) -> int:
    """Roll back; with --verify prove before and after that the recorded digests are what runs."""
    if not request.options["verify"]:
        return _roll_back(request)
    deadline = time.monotonic() + seconds(last(request.flags, "--timeout") or HELM_TIMEOUT, "--timeout")
    target = _target(request)
    kubectl = Kubectl(request.helm)
    record = _preflight(request, target, kubectl)
    _helm(request, [target.release, str(target.revision)])
    if is_dry_run(request.flags):
        output.say("Dry run: nothing was changed.")
        return 0
    now = release.read(request.helm, target.release)
    if record is None:
        output.say(
            f"Revision {now.revision} restores revision {target.revision}, which has no usable record: not vouched for."
        )
        return 0
    release.check(now, record)
    _compare_with_cluster(request, now, record, kubectl, deadline)
    return 0


def _roll_back(request: Request) -> int:
    """Roll back as helm does, then say what that can be vouched for."""
    _helm(request, request.positionals)
    if is_dry_run(request.flags):
        return 0
    now = release.read(request.helm, request.positionals[0])
    try:
        record = release.check(now)
    except VerificationFailed as error:
        why = error.why.splitlines()[0]
        output.say(f"Revision {now.revision}: {error.what} ({why}). Not vouched for; --verify refuses such a rollback.")
    else:
        output.say(
            f"Revision {now.revision} has the digests of set {record.set_id} in its manifest. Not checked: the registry, "
            "the cluster (--verify does)."
        )
    return 0


def _helm(request: Request, positionals: Sequence[str]) -> None:
    name = request.positionals[0]
    done = request.helm.watch(["rollback", *positionals, *words(request.flags)])
    if done.status:
        raise HelmFailed(
            "helm rollback failed; its own words are above",
            where=f"release {' to revision '.join(positionals)}",
            why=_state(request, name),
            todo=f"helm pin verify {name} shows what runs now, helm pin history {name} where to go from here",
        )


def _state(request: Request, name: str) -> str:
    """After a failed rollback: what state the release, its objects and their pods are in, from the cluster."""
    try:
        now = release.read(request.helm, name)
        lines = [f"revision {now.revision} is {now.status}"]
        if Kubectl.available():
            kubectl = Kubectl(request.helm)
            live = verify.read_live(now, kubectl)
            for check in (verify.live_check(live, kubectl), verify.pods_check(live, kubectl, None)):
                lines += [f"{check.name}: {check.verdict}, {check.summary}", *(f"  {d}" for d in check.details[:10])]
    except HelmPinError as error:
        return f"the state cannot be read: {error.what}"
    return "\n".join(lines)


def is_dry_run(flags: Sequence[Given]) -> bool:
    """Whether helm changes nothing: --dry-run is a switch in Helm 3 and takes none, client or server in Helm 4."""
    return is_on(flags, "--dry-run") and last(flags, "--dry-run") != "none"


def _waits(flags: Sequence[Given]) -> bool:
    """Whether pods are waited for: Helm 4's --wait=hookOnly waits for hooks only."""
    return is_on(flags, "--wait") and last(flags, "--wait") != "hookOnly"


def _target(request: Request) -> Stored:
    """The revision to go back to: none, or 0, is the one before the last, as helm reads it (pkg/action/rollback.go)."""
    name, *rest = request.positionals
    if rest and not (rest[0].isascii() and rest[0].isdigit()):
        raise UsageError("REVISION is a number", why=f"it is {rest[0]!r}", todo=f"helm pin history {name} lists them")
    wanted = int(rest[0]) if rest else 0
    if not wanted:
        latest = release.read(request.helm, name).revision
        wanted = latest - 1
        if not wanted:
            raise HelmFailed(f"release {name} has no revision to roll back to", why="it has only one")
    try:
        return release.read(request.helm, name, wanted)
    except HelmFailed as error:
        error.todo = error.todo or f"helm pin history {name} lists the revisions that there are"
        raise


def _preflight(request: Request, target: Stored, kubectl: Kubectl) -> DigestSet | None:
    """The target's record, proved against its manifest and at the registry; None when it has none and that is allowed.

    Raises VerificationFailed, RegistryUnavailable and HelmFailed before anything is touched.
    """
    where = f"release {target.release}, revision {target.revision}"
    try:
        record = release.check(target)
    except VerificationFailed as error:
        if request.options["allow-unverified"]:
            output.say(f"Warning: {error.what}: {error.why}")
            return None
        error.todo = (
            f"roll back to a revision that helm pin history {target.release} shows with a digest set, or add "
            "--allow-unverified to go on without proof"
        )
        raise
    registries = verify.registries(request.settings, target, kubectl)
    (missing,) = verify.at_registry([record], registries)
    if missing.gone or missing.silent:
        verify.refuse_missing(missing, where, _way_out(request, target, registries) if missing.gone else "")
    if unread := verify.read_live(target, kubectl).unread:
        raise HelmFailed(
            "the cluster does not show the objects that --verify is to compare; nothing was changed",
            where=where,
            why="\n".join(unread),
            todo="roll back with an account that may read them, or without --verify",
        )
    images = verify.count(len(record.images), "image")
    output.say(f"Revision {target.revision}: {images}, set {record.set_id}; the registry has every digest.")
    return record


def _way_out(request: Request, target: Stored, registries: verify.Registries) -> str:
    """The nearest earlier revision that can be restored, if there is one."""
    usable = []
    for revision in storage.revisions(request.helm, target.release, 256).found:
        stored = revision.stored
        if stored.revision < target.revision and stored.status in ("superseded", "deployed"):
            try:
                usable.append((stored.revision, release.check(stored)))
            except HelmPinError:
                continue
    found = verify.at_registry([record for _, record in usable], registries)
    whole = [number for (number, _), missing in zip(usable, found, strict=True) if not (missing.gone or missing.silent)]
    if not whole:
        return "push the image again, or deploy another version: no earlier revision can be restored"
    return f"helm pin rollback {target.release} {whole[-1]} --verify: revision {whole[-1]} can be restored"


def _compare_with_cluster(request: Request, now: Stored, record: DigestSet, kubectl: Kubectl, deadline: float) -> None:
    checks = [verify.live_check(verify.read_live(now, kubectl), kubectl)]
    if _waits(request.flags):
        registries = verify.registries(request.settings, now, kubectl)
        checks.append(
            settle.wait(lambda: verify.pods_check(verify.read_live(now, kubectl), kubectl, registries), deadline)
        )
    where = f"release {now.release}, revision {now.revision}"
    todo = f"helm pin verify {now.release} checks again"
    for check in checks:
        output.say(f"{check.name}: {check.verdict}, {check.summary}")
        why = "\n".join((*check.details, *check.unread))
        if check.verdict == verify.FAILED:
            what = f"rolled back, but the {check.name} are not what revision {now.revision} records"
            raise VerificationFailed(what, where=where, why=why, todo=todo)
        if check.unread:
            raise HelmFailed(
                f"rolled back, but the {check.name} could not be read back", where=where, why=why, todo=todo
            )
        if check.settles:
            raise VerificationFailed(
                f"rolled back, but the {check.name} are not there in time", where=where, why=why, todo=todo
            )
        for detail in check.details:
            output.say(f"  {detail}")
    proved = " and ".join(check.name for check in checks if check.verdict == verify.OK)
    output.say(f"Revision {now.revision} runs set {record.set_id}: verified in record, manifest and {proved}.")
