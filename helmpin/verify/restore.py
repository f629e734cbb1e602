"""What `rollback --verify` proves: about the target before anything is changed, and about the new revision and the cluster
after."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress

from helmpin import gate, output
from helmpin.config.settings import Settings
from helmpin.errors import HelmFailed, HelmPinError, Refused, VerificationFailed
from helmpin.image.reference import Reference
from helmpin.kubectl import Kubectl
from helmpin.next_command import helm_command, kubectl_command
from helmpin.release import revisions
from helmpin.release.outcome import HistoryRow
from helmpin.release.record import Record
from helmpin.release.revision import Revision, checked_record, has_run
from helmpin.release.revisions import made_by_somebody_else, not_verified
from helmpin.verify import children
from helmpin.verify.check import FAILED, OK, Check
from helmpin.verify.live import OtherJob, live_check, other_jobs, pods_check, read_live
from helmpin.verify.registries import Missing, Registries, askable, at_registry, refuse_missing, registries_for
from helmpin.verify.wait import wait


def preflight(target: Revision, kubectl: Kubectl, settings: Settings) -> Record:
    """The target's record, checked against its manifest and the registry; and that the cluster can be compared with it.

    Raises VerificationFailed, RegistryUnavailable and HelmFailed.
    """
    record = checked(target)
    if not kubectl.available():
        raise HelmFailed(
            "kubectl not found",
            why="--verify compares with the live cluster, which is read with kubectl, and there is none on PATH",
            hint="install kubectl (https://kubernetes.io/docs/tasks/tools/), or roll back without --verify",
        )
    registries = registries_for(settings, target, kubectl)
    references = askable(record, target)
    (missing,) = at_registry([references], registries)
    if missing.gone or missing.silent:
        refuse_missing(missing, target.where, _way_out(target, kubectl, registries) if missing.gone else "")
    lines, silent = children.gone(record, target, registries, kubectl)
    if lines:
        platforms = output.count(len(lines), "platform")
        raise VerificationFailed(
            f"{platforms} {'is' if len(lines) == 1 else 'are'} gone from the registry",
            where=target.where,
            why="\n".join(lines),
            hint=_way_out(target, kubectl, registries),
        )
    refuse_missing(Missing(gone=[], silent=silent), target.where, "")
    _ask_gate(target, references, record, settings)
    live = read_live(target, kubectl)
    if live.unread or live.unknown_kinds:
        raise HelmFailed(
            "the objects that --verify compares cannot be read",
            where=target.where,
            why="\n".join((*live.unread, *live.unknown_kinds)),
            hint="roll back with an account that may read them, or without --verify"
            if live.unread
            else "install these CustomResourceDefinitions first; without them helm's rollback fails part-way",
        )
    _refuse_other_jobs(other_jobs(live, kubectl), target)
    return record


def _refuse_other_jobs(jobs: Sequence[OtherJob], target: Revision) -> None:
    """Raise HelmFailed if there are Jobs that helm cannot change back."""
    if not jobs:
        return
    delete = "; ".join(kubectl_command(f"delete job {shlex.quote(job.name)}", namespace=job.namespace) for job in jobs)
    raise HelmFailed(
        f"{output.count(len(jobs), 'Job')} in the way: helm cannot change the pod template of a Job, and its rollback would fail "
        "part-way",
        where=target.where,
        why="\n".join(line for job in jobs for line in job.differences),
        hint=f"{delete}; then roll back, which creates and runs the deleted Jobs again",
    )


def _ask_gate(target: Revision, references: Sequence[Reference], record: Record, settings: Settings) -> None:
    """Raise Refused if a required command rejects an image; report the recorded commands that are not run again."""
    refused = gate.ask(settings.gate, map(str, references))
    if refused:
        raise Refused(
            f"{output.count(len(refused), 'image')} refused by a required command",
            where=target.where,
            why="\n".join(f"{image}: {why}" for image, why in refused.items()),
            hint="fix what the command reports, or roll back to a revision whose images it accepts",
        )
    if forgotten := [command for command in record.required if command not in settings.gate.shown]:
        output.say(
            f"Not run now, although revision {target.revision} was deployed with it: --require {'; --require '.join(forgotten)}"
        )


def checked(target: Revision) -> Record:
    """The target's record, checked against its manifest. Raises VerificationFailed."""
    try:
        return checked_record(target)
    except VerificationFailed as error:
        history = helm_command(f"pin history {target.release}")
        hint = (
            f"roll back to another revision that {history} shows with a digest set, or add --allow-unverified to continue "
            "without proof"
        )
        raise VerificationFailed(error.what, where=error.where, why=error.why, hint=hint) from None


def _way_out(target: Revision, kubectl: Kubectl, registries: Registries) -> str:
    """The nearest revision that can be restored, if there is one: of earlier ones, or else of later ones but the last."""
    found = revisions.read_all(kubectl.helm, target.release).found
    last = max((each.stored.revision for each in found), default=0)
    ran = [each.stored for each in found if has_run(each.status, each.description)]
    earlier = [each for each in reversed(ran) if each.revision < target.revision]
    usable: list[tuple[Revision, Record, list[Reference]]] = []
    for stored in [*earlier, *(each for each in ran if target.revision < each.revision < last)]:
        with suppress(HelmPinError):
            usable.append((stored, record := checked_record(stored), askable(record, stored)))
    for (stored, record, _), lacks in zip(usable, at_registry([each for *_, each in usable], registries), strict=True):
        if lacks.gone or lacks.silent:
            continue
        if not children.gone(record, stored, registries, kubectl)[0]:
            back = helm_command(f"pin rollback {target.release} {stored.revision} --verify")
            return f"revision {stored.revision} can be restored: {back}"
    return "push the image again, or deploy another version: no other revision can be restored"


def check_stored(now: Revision, record: Record, number: int) -> None:
    """Raise VerificationFailed if the new revision differs from the target."""
    try:
        checked_record(now, record)
    except VerificationFailed as error:
        what = f"Revision {now.revision} is deployed, but is not what revision {number} was: {error.what}"
        raise VerificationFailed(what, where=error.where, why=error.why, hint=error.hint) from None


def compare_with_cluster(
    now: Revision, kubectl: Kubectl, settings: Settings, later: Sequence[HistoryRow], deadline: float | None
) -> dict[str, int]:
    """Check the cluster and report each check. Returns those that succeeded, each with how many objects or containers matched.

    later: what somebody else has deployed since. deadline: until when to wait for pods (time.monotonic()), None not to check them.
    Raises VerificationFailed if the cluster does not match the new revision, HelmFailed if it cannot be read, or if a later
    revision explains the difference.
    """
    try:
        results = [live_check(read_live(now, kubectl), kubectl)]
        if deadline is not None:
            registries, limit = registries_for(settings, now, kubectl), deadline
            results.append(wait(lambda: pods_check(read_live(now, kubectl), kubectl, registries), limit))
    except HelmFailed as error:
        raise not_verified(now.release, now.revision, error) from None
    if any(check.verdict != OK for check in results) and not later:
        with suppress(HelmFailed):
            later = [row for row in revisions.history(kubectl.helm, now.release) if row.revision > now.revision]
    for check in results:
        tell = output.inform if check.verdict == OK else output.say
        tell(f"{check.name}: {check.verdict}, {check.summary}")
        _refuse(check, now, later)
        for detail in check.details:
            if detail not in check.staying:  # reported while waiting
                output.say(f"  {detail}")
    return {check.name: check.matched for check in results if check.verdict == OK}


def _refuse(check: Check, now: Revision, later: Sequence[HistoryRow]) -> None:
    """Raise VerificationFailed or HelmFailed for a check that failed, could not be made, or was not ready in time."""

    def again() -> str:
        return f"{helm_command(f'pin verify {now.release}')} checks again"

    why = "\n".join((*check.details, *check.unread))
    if (check.verdict == FAILED or check.may_change) and later:
        raise HelmFailed(
            f"Revision {now.revision} is deployed, verified in record and manifest; then {made_by_somebody_else(later)}",
            where=now.where,
            why=f"the {check.name} are not those of revision {now.revision} any more:\n{why}",
            hint=f"{helm_command(f'pin history {now.release}')} shows what changed; {again()}",
        )
    if check.verdict == FAILED:
        what = f"Revision {now.revision} is deployed, but the {check.name} do not match it"
        raise VerificationFailed(what, where=now.where, why=why, hint=f"correct what differs; {again()}")
    if check.unread:
        unread = HelmFailed(f"the {check.name} cannot be read", where=now.where, why=why)
        raise not_verified(now.release, now.revision, unread)
    if check.may_change:
        what = f"Revision {now.revision} is deployed, but its {check.name} were not ready before --timeout"
        raise VerificationFailed(what, where=now.where, why=why, hint=again())
