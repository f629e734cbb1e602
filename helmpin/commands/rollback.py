"""helm pin rollback: check the target first, roll back, read back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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
    name = request.positionals[0]
    if not request.options["verify"]:
        if request.options["allow-unverified"]:
            raise UsageError("--allow-unverified is of no use without --verify", todo="add --verify, or leave it out")
        return _roll_back(request)
    deadline = time.monotonic() + seconds(last(request.flags, "--timeout") or HELM_TIMEOUT, "--timeout")
    kubectl = Kubectl(request.helm)
    with _stopped("nothing was changed"):
        target = _target(request)
        record = _preflight(request, target, kubectl)
    _helm(request, [name, str(target.revision)])
    if is_dry_run(request.flags):
        output.say("Dry run: nothing was changed.")
        return 0
    with _stopped(f"helm rolled back, and that is not verified yet; helm pin verify {name} does"):
        now = _now(request)
        if record is None:
            output.say(
                f"Revision {now.revision} restores revision {target.revision}, which has no usable record: not vouched for."
            )
            return 0
        release.check(now, record)
        _compare_with_cluster(request, now, record, kubectl, deadline)
    return 0


@contextmanager
def _stopped(state: str) -> Iterator[None]:
    """Say what state things are in when somebody stops helm-pin meanwhile."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        output.progress("")
        output.say(f"Stopped: {state}.")
        raise


def _roll_back(request: Request) -> int:
    """Roll back as helm does, then say what that can be vouched for."""
    _helm(request, request.positionals)
    if is_dry_run(request.flags):
        return 0
    now = _now(request)
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


def _now(request: Request) -> Stored:
    """The revision that helm made."""
    try:
        return release.read(request.helm, request.positionals[0])
    except HelmFailed as error:
        error.what = f"helm rolled back, but {error.what}"
        raise


def _helm(request: Request, positionals: Sequence[str]) -> None:
    name = request.positionals[0]
    with _stopped(
        f"helm was rolling back; helm history {name} shows what state the release is in, helm pin verify {name} what runs"
    ):
        done = request.helm.watch(["rollback", *positionals, *words(request.flags)])
        if not done.status:
            return
        state = _state(request, name)
    raise HelmFailed(
        "helm rollback failed; its own words are above",
        where=f"release {' to revision '.join(positionals)}",
        why="\n".join(state),
        todo=_way_on(request, name, done.stderr)
        if state
        else "helm list --all-namespaces lists releases with their namespaces",
    )


def _way_on(request: Request, name: str, said: str) -> str:
    """What to do after a failed rollback, by helm's words."""
    if "conflict with" in said and "--force-conflicts" in request.helm.flags("rollback"):
        return (
            "somebody else has set what helm is to restore, and helm leaves it to them: if it is to be taken back, "
            "add --force-conflicts"
        )
    return f"helm pin history {name} shows where to go from here"


def _state(request: Request, name: str) -> list[str]:
    """After a failed rollback: what state the release, its objects and their pods are in, from the cluster; nothing when there is
    no release."""
    try:
        now = release.read(request.helm, name)
    except HelmFailed as error:
        return [] if "not found" in error.why else [f"the state cannot be read: {error.why}"]
    lines = [f"revision {now.revision} is {now.status}"]
    try:
        kubectl = Kubectl(request.helm)
        live = verify.read_live(now, kubectl)
        for check in (verify.live_check(live, kubectl), verify.pods_check(live, kubectl, None)):
            lines += [f"{check.name}: {check.verdict}, {check.summary}", *(f"  {d}" for d in check.details[:10])]
    except HelmPinError as error:
        lines.append(f"what runs cannot be read: {error.what}: {error.why}")
    return lines


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
            raise HelmFailed(
                f"release {name} has no revision to roll back to",
                why="it has only one",
                todo=f"helm pin verify {name} tells what runs",
            )
    return release.read(request.helm, name, wanted)


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
    if not kubectl.available():
        raise HelmFailed(
            "kubectl not found; nothing was changed",
            why="--verify compares with the live cluster, which is read with kubectl, and there is none on PATH",
            todo="install kubectl (https://kubernetes.io/docs/tasks/tools/), or roll back without --verify",
        )
    registries = verify.registries(request.settings, target, kubectl)
    (missing,) = verify.at_registry([record], registries)
    if missing.gone or missing.silent:
        verify.refuse_missing(missing, where, _way_out(request, target, registries) if missing.gone else "")
    live = verify.read_live(target, kubectl)
    if live.unread or live.unknown_kinds:
        raise HelmFailed(
            "the cluster does not show the objects that --verify is to compare; nothing was changed",
            where=where,
            why="\n".join((*live.unread, *live.unknown_kinds)),
            todo="roll back with an account that may read them, or without --verify"
            if live.unread
            else "install the definitions of these kinds first: helm's own rollback fails without them, half way",
        )
    images = verify.count(len(record.images), "image")
    if target.status not in ("deployed", "superseded"):
        output.say(f"Note: revision {target.revision} is {target.status}: its deployment did not end well.")
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
