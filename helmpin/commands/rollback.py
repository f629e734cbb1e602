"""helm pin rollback: check the target first, roll back, read back."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence

from helmpin import env, lifeline, output
from helmpin.arguments import Given, dry_run, is_on, last, whole_number, words
from helmpin.cluster_advice import advice
from helmpin.config.sources import go_seconds
from helmpin.errors import HelmFailed, HelmPinError, NoRelease, UsageError, VerificationFailed
from helmpin.helm import hide_secrets
from helmpin.kubectl import Kubectl
from helmpin.named_tuple import NamedTuple
from helmpin.next_command import helm_command
from helmpin.release import damaged, outcome, revisions
from helmpin.release.outcome import NO_RELEASE, History, HistoryRow
from helmpin.release.reading import read_revision
from helmpin.release.record import Record
from helmpin.release.revision import Revision, checked_record
from helmpin.release.revisions import made_by_somebody_else, not_verified
from helmpin.request import Request, own_words, refuse_registry_flags
from helmpin.verify import restore
from helmpin.verify.live import live_check, pods_check, read_live

HELM_TIMEOUT = "5m0s"
"""helm rollback's own default of --timeout."""


def run(request: Request) -> int:
    """Roll back; with --verify prove before and after that the release has the recorded digests."""
    lifeline.nothing_yet("nothing was changed")
    if not request.options["verify"]:
        if request.options["allow-unverified"]:
            raise UsageError("--allow-unverified requires --verify", hint="add --verify, or leave it out")
        if request.settings.gate.commands:
            raise UsageError(
                "--require requires --verify", hint="add --verify, or leave it out (and HELM_PIN_REQUIRE unset)"
            )
        refuse_registry_flags(request, "without --verify")
        return _roll_back(request)
    name = request.positionals[0]
    timeout = go_seconds(last(request.flags, "--timeout") or HELM_TIMEOUT, "--timeout")
    kubectl = Kubectl(request.helm)
    before = revisions.history(request.helm, name)
    damaged.refuse_hidden(kubectl, name, before[-1].revision)
    number = _target(request, before)
    _refuse_what_never_ran(request, before, number)
    _refuse_what_was_left(request, before, number)
    target = read_revision(request.helm, name, number)
    record = _preflight(request, target, kubectl)
    revisions.refuse_moved(name, before[-1], History(request.helm, name, 1).latest())
    deadline = time.monotonic() + timeout
    _helm(request, before, number)
    if dry_run(request.flags) != "none":
        output.inform("Dry run: nothing was changed.")
        return 0
    now, later = _read_back(request, before, number)
    if record is None:
        output.say(
            f"Revision {now.revision} restores revision {number}, which has no usable record: the result is not verified."
        )
        return 0
    restore.check_stored(now, record, number)
    until = deadline if _waits(request.flags) else None
    matched = restore.compare_with_cluster(now, kubectl, request.settings, later, until)
    _say_who_came_later(later)
    does = "runs" if matched.get("pods") else "restores"
    verified = ", ".join(("record", "manifest", *matched))
    output.inform(
        f"Revision {now.revision} {does} set {record.set_id}: verified in {verified}{record.let_through or '.'}"
    )
    return 0


def _preflight(request: Request, target: Revision, kubectl: Kubectl) -> Record | None:
    """The target's record, checked; None if it has no usable record and that is allowed."""
    if request.options["allow-unverified"]:
        try:
            checked_record(target)
        except VerificationFailed as error:
            output.say(f"Warning: {error.what}: {error.why}")
            return None
    record = restore.preflight(target, kubectl, request.settings)
    images = output.count(record.size, "image")
    output.inform(
        f"Revision {target.revision}: {images}, set {record.set_id}; the registry has every digest{record.let_through or '.'}"
    )
    return record


def _roll_back(request: Request) -> int:
    """Roll back as helm does, then say what the record of the new revision shows."""
    name = request.positionals[0]
    try:
        before = revisions.history(request.helm, name)
    except HelmFailed:  # helm says why
        _helm(request, [], 0)
        output.say(f"Not verified: the history could not be read. {helm_command(f'pin verify {name}')} verifies it.")
        return 0
    number = _target(request, before)
    if not _names_revision(request) and (why := revisions.never_ran(before, number)):
        ran = revisions.last_that_ran(before)
        back = helm_command(f"pin rollback {name} {ran}")
        output.say(f"Note: {why}" + (f"; the last that ran is {ran}: {back}" if ran else "") + ".")
    elif left := _left_before(request, before, number):
        output.say(f"Note: {left.why}; {left.hint}.")
    _helm(request, before, number)
    if dry_run(request.flags) == "none":
        _say_what_was_restored(request, before, number)
    return 0


def _say_what_was_restored(request: Request, before: Sequence[HistoryRow], number: int) -> None:
    try:
        now, later = _read_back(request, before, number)
    except HelmFailed as error:
        output.say(f"{error.what}: {error.why}. {error.hint}.")
        return
    try:
        record = checked_record(now)
    except HelmPinError as error:
        why = (error.why or "no reason given").splitlines()[0]
        output.say(
            f"Revision {now.revision} is deployed, not verified: {error.what} ({why}). With --verify this rollback would have "
            "been refused."
        )
    else:
        output.inform(
            f"Revision {now.revision} has the digests of set {record.set_id} in its manifest. Registry and cluster were not "
            "checked; --verify checks them."
        )
    _say_who_came_later(later)


def _names_revision(request: Request) -> bool:
    """Whether the command line names the revision. None, or 0, stands for the one before the last (pkg/action/rollback.go)."""
    name, *rest = request.positionals
    number = whole_number(rest[0], 0) if rest else 0
    if number is None:
        raise UsageError(
            "REVISION is a number", why=f"it is {rest[0]!r}", hint=f"{helm_command(f'pin history {name}')} lists them"
        )
    return number > 0


def _target(request: Request, rows: Sequence[HistoryRow]) -> int:
    """The revision to go back to. Raises HelmFailed if that is the one before the last, and it does not exist."""
    if _names_revision(request):
        return int(request.positionals[1])
    name, number = request.positionals[0], rows[-1].revision - 1
    if number in [row.revision for row in rows]:
        return number
    was_uninstalled = rows[-1].status == "uninstalled"  # with --keep-history: it ran until then
    ran = rows[-1].revision if was_uninstalled else revisions.last_that_ran(rows)
    raise HelmFailed(
        f"release {name} has no revision to roll back to"
        if len(rows) == 1
        else f"revision {number} of release {name}, the one before the last, is not in its history",
        why="it has only one" if number == 0 else f"its history has {revisions.listed(rows)}",
        hint=f"{helm_command(f'pin rollback {name} {ran}')} goes back to the last revision that ran"
        if ran
        else f"{helm_command(f'pin verify {name}')} shows what runs",
    )


class _Left(NamedTuple):
    """A revision that an unfinished rollback was to leave: why it is not meant, and what to do."""

    why: str
    hint: str


def _left_before(request: Request, rows: Sequence[HistoryRow], number: int) -> _Left | None:
    """For a revision that the command line does not name: whether an unfinished rollback was to leave it."""
    if _names_revision(request) or not revisions.ends_in_unfinished_rollback(rows):
        return None
    to = rows[-1].rolls_back_to
    name, verify = request.positionals[0], " --verify" if request.options["verify"] else ""
    again = helm_command(f"pin rollback {name} {to or 'REVISION'}{verify}")
    why = f"revision {rows[-1].revision} is a rollback that has not ended well, and it was to leave revision {number}"
    shows = "" if to else f"; {helm_command(f'pin history {name}')} shows the revisions"
    return _Left(why, f"name the revision to go to: {again}{shows}")


def _refuse_what_was_left(request: Request, rows: Sequence[HistoryRow], number: int) -> None:
    """Raise VerificationFailed for a revision that an unfinished rollback was to leave, unless the command line names it."""
    if left := _left_before(request, rows, number):
        where = f"release {request.positionals[0]}, revision {number}"
        what = "the last rollback was to leave the revision before it"
        raise VerificationFailed(what, where=where, why=left.why, hint=left.hint)


def _refuse_what_never_ran(request: Request, rows: Sequence[HistoryRow], number: int) -> None:
    """Raise VerificationFailed for a target that never ran, unless the command line names it."""
    name, why = request.positionals[0], revisions.never_ran(rows, number)
    if rows[-1].status.startswith("pending-"):
        output.say(f"Note: revision {rows[-1].revision} is {rows[-1].status}: somebody may be deploying right now.")
    if why and _names_revision(request):
        output.say(f"Note: {why}.")
    elif why:
        ran = revisions.last_that_ran(rows)
        back, anyway = (helm_command(f"pin rollback {name} {each} --verify") for each in (ran, number))
        instead = f"{back} goes back to the last revision that ran; " if ran else ""
        raise VerificationFailed(
            "the revision before the last never ran",
            where=f"release {name}, revision {number}",
            why=why,
            hint=f"{instead}{anyway} goes to revision {number} anyway",
        )


def _helm(request: Request, before: Sequence[HistoryRow], number: int) -> None:
    """Run helm rollback. Raises HelmFailed, with the state in which the failure leaves the release."""
    name = request.positionals[0]
    positionals = [name, str(number)] if number else request.positionals
    done = request.helm.deploy(["rollback", *positionals, *words(request.flags)])
    outcome.stop_if_asked(request.helm, name, before[-1] if before else NO_RELEASE, done)
    if not done.status:
        return
    state, description = _state(request, before, number)
    lost = damaged.hidden(Kubectl(request.helm), name, before[-1].revision) if before and state else []
    hint = (
        outcome.after_pending(request.helm, name)
        or f"{helm_command(f'pin history {name}')} shows where to go from here"
    )
    if not state:
        hint = f"{helm_command('list --all-namespaces', namespace=None)} lists releases with their namespaces"
    elif not before:
        hint = advice("\n".join(state), env.given_namespace())
    elif names := damaged.way_out(lost, before[-1].revision):
        state, hint = [each.why for each in lost], names
    elif "conflict with" in description and "--force-conflicts" in request.helm.flags("rollback"):
        again = hide_secrets(
            ["rollback", *positionals, *own_words(request), *words(request.flags), "--force-conflicts"]
        )
        command = helm_command(f"pin {shlex.join(again)}")
        hint = f"another field manager owns fields that helm must restore; this takes them over: {command}"
    raise HelmFailed(
        "helm rollback failed; see its output above",
        where=f"release {' to revision '.join(positionals)}",
        why="\n".join(state),
        hint=hint,
    )


def _state(request: Request, before: Sequence[HistoryRow], number: int) -> tuple[list[str], str]:
    """After a failed rollback: the state of the release, its objects and their pods, and helm's description of the revision that
    it made. No lines when there is no release."""
    name = request.positionals[0]
    try:
        rows = revisions.history(request.helm, name)
    except NoRelease:
        return [], ""
    except HelmFailed as error:
        return [f"the state cannot be read: {error.why}"], ""
    lines = [f"revision {rows[-1].revision} is {rows[-1].status}"]
    mine, _ = _made_by_helm(request, rows, before, number)
    theirs = [row for row in rows if before and row.revision > before[-1].revision and row != mine]
    if theirs:
        lines.append(made_by_somebody_else(theirs))
    try:
        now, kubectl = read_revision(request.helm, name, rows[-1].revision), Kubectl(request.helm)
        live = read_live(now, kubectl)
        for check in (live_check(live, kubectl), pods_check(live, kubectl, None)):
            lines += [f"{check.name}: {check.verdict}, {check.summary}", *(f"  {d}" for d in check.details[:10])]
    except HelmPinError as error:
        lines.append(f"what runs cannot be read: {error.what}: {error.why}")
    return lines, mine.description if mine else ""


def _made_by_helm(
    request: Request, rows: Sequence[HistoryRow], before: Sequence[HistoryRow], number: int
) -> tuple[HistoryRow | None, Sequence[HistoryRow]]:
    """The revision that helm rollback made, and those after it, by helm's descriptions (pkg/action/rollback.go)."""
    name = request.positionals[0]
    description = last(request.flags, "--description") or f"Rollback to {number}"
    failed = (f'Rollback "{name}" failed', f'Release "{name}" failed')
    return revisions.made_since(rows, before[-1].revision if before else 0, description, failed)


def _read_back(request: Request, before: Sequence[HistoryRow], number: int) -> tuple[Revision, Sequence[HistoryRow]]:
    """The revision that helm has just made, and the later ones. Raises HelmFailed, which begins with what is known."""
    name, known = request.positionals[0], before[-1].revision + 1

    def check() -> str:
        return helm_command(f"pin verify {name}")

    lifeline.if_stopped(lambda: f"Revision {known} is deployed, not verified; {check()} verifies it")
    try:
        mine, later = _made_by_helm(request, revisions.history(request.helm, name), before, number)
        if mine:
            known = mine.revision
            return read_revision(request.helm, name, known), later
    except HelmFailed as error:
        raise not_verified(name, known, error) from None
    raise HelmFailed(
        f"helm rolled back release {name}; the revision that it made is not in the history any more",
        why="somebody else has deployed since",
        hint=f"{helm_command(f'pin history {name}')} shows the revisions, {check()} checks what is deployed",
    )


def _waits(flags: Sequence[Given]) -> bool:
    """Whether to wait for pods: Helm 4's --wait=hookOnly waits for hooks only."""
    return is_on(flags, "--wait") and last(flags, "--wait") != "hookOnly"


def _say_who_came_later(later: Sequence[HistoryRow]) -> None:
    if later:
        output.say(f"Note: after this rollback {made_by_somebody_else(later)}.")
