"""Handing a plan to helm, and reading back what it stored, for upgrade and install alike."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from helmpin import lifeline, output
from helmpin.arguments import dry_run
from helmpin.chart import OWN_FOLDER
from helmpin.errors import HelmFailed, VerificationFailed
from helmpin.helm import Helm
from helmpin.next_command import helm_command
from helmpin.plan.prepare import Prepared
from helmpin.plan.table import summary
from helmpin.release import outcome
from helmpin.release.outcome import Baseline, HistoryRow
from helmpin.release.reading import read_revision
from helmpin.release.revision import Revision, checked_record

if TYPE_CHECKING:
    from helmpin.plan.plan import Plan
    from helmpin.release.previous import Previous

GUARD = f"{OWN_FOLDER}revision.yaml"
"""The template that checks the revision that the plan was made for."""


def deploy(helm: Helm, prepared: Prepared, *, refuse_mutable: bool, baseline: Baseline | None = None) -> int:
    """Run `helm upgrade` or `helm install` with the chart of the plan and the digests, then read the release back.

    baseline: the latest revision before planning, if the plan does not know it. Raises Refused and RegistryUnavailable before helm
    runs, HelmFailed if the release has moved meanwhile or helm fails, and VerificationFailed if the stored release is not what was
    planned.
    """
    plan, deploys = prepared.plan, dry_run(prepared.flags) == "none"
    plan.refuse(mutable=refuse_mutable)
    plan.refuse_without_image()
    output.inform(summary(plan))
    from helmpin.plan.notes import say_outside

    say_outside(plan)
    before = baseline.latest() if baseline else _row(prepared.previous)
    guard = {GUARD: outcome.guard(before, prepared.command[0])} if deploys else {}
    arguments = prepared.deployment(plan.chart.with_files(guard))
    done = helm.deploy(arguments)
    outcome.stop_if_asked(helm, plan.release, before, done)
    if done.status:
        raise outcome.failure(helm, arguments, before, done.status, plan.record.to_json() if deploys else "")
    if deploys:
        _read_back(helm, plan, before.revision + 1)
    else:
        output.inform("Dry run: nothing was deployed.")
    return 0


def _row(previous: Previous | None) -> HistoryRow:
    return HistoryRow(previous.last, previous.status, "") if previous else outcome.NO_RELEASE


def _read_back(helm: Helm, plan: Plan, number: int) -> None:
    """Read the revision that helm made (`number`, unless somebody else deployed too), and compare it with the plan."""
    deployed = f"Revision {number} is deployed, not verified"

    def later() -> str:
        return f"{helm_command(f'pin verify {plan.release}')} verifies it"

    lifeline.if_stopped(lambda: f"{deployed}; {later()}")
    try:
        stored, latest = _made(helm, plan, number)
    except HelmFailed as error:
        raise HelmFailed(f"{deployed}: {error.what}", where=error.where, why=error.why, hint=later()) from None
    record = checked_record(stored, plan.record)
    images = output.count(record.size, "image")
    output.inform(
        f"Revision {stored.revision}: {images} pinned by digest (set {record.set_id}), confirmed by reading the release back"
        f"{record.let_through or '.'}"
    )
    if latest.revision != stored.revision:
        output.say(f"Note: revision {latest.revision} ({latest.status}) was made by somebody else since then.")


def _made(helm: Helm, plan: Plan, number: int) -> tuple[Revision, Revision]:
    """The revision with this plan's record, and the latest one. Raises HelmFailed, VerificationFailed."""
    text = plan.record.to_json()
    with suppress(HelmFailed):  # removed by --history-max
        stored = read_revision(helm, plan.release, number)  # to find the latest, helm reads them all
        if stored.record_text == text and stored.status != "superseded":
            return stored, stored
    latest = read_revision(helm, plan.release)
    if latest.record_text == text or latest.revision == number:
        return latest, latest
    for each in range(number, latest.revision):
        with suppress(HelmFailed):  # removed by --history-max
            stored = read_revision(helm, plan.release, each)
            if stored.record_text == text:
                return stored, latest
    raise VerificationFailed(
        f"the revision that this command made is not in the history of release {plan.release}",
        why=f"the latest is revision {latest.revision} ({latest.status}), made by somebody else",
        hint=f"{helm_command(f'pin history {plan.release}')} shows the revisions",
    )
