"""Handing a plan to helm, and reading back what it stored: upgrade and install differ in a word."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from helmpin import output
from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from helmpin.image.reference import split
from helmpin.pin import release
from helmpin.pin.prepare import Prepared, say_outside

if TYPE_CHECKING:
    from helmpin.pin.plan import Plan


def deploy(helm: Helm, prepared: Prepared, *, refuse_mutable: bool) -> int:
    """Run `helm upgrade` or `helm install` with the chart of the plan and the digests, then read the release back.

    Raises Refused and RegistryUnavailable before helm runs, HelmFailed when helm does not succeed, VerificationFailed when the
    stored release is not what was meant.
    """
    plan, command = prepared.plan, prepared.deployment[0]
    if refuse_mutable:
        plan.refuse_mutable(outcome="; nothing was deployed")
    plan.refuse_problems(outcome="; nothing was deployed")
    output.say(summary(plan))
    say_outside(plan)
    done = helm.watch(prepared.deployment)
    if done.status:
        raise HelmFailed(
            f"helm {command} failed; see its output above",
            todo=f"helm history {plan.release} shows what state the release is in",
        )
    if _is_dry_run(prepared):
        output.say("Dry run: nothing was deployed.")
        return 0
    sys.stdout.flush()
    stored = release.read(helm, plan.release)
    record = release.check(stored, plan.record)
    count = f"{len(record.images)} image{'s' if len(record.images) != 1 else ''}"
    output.say(
        f"Revision {stored.revision}: {count} pinned by digest (set {record.set_id}), confirmed by reading the release back."
    )
    return 0


def _is_dry_run(prepared: Prepared) -> bool:
    given = [flag for flag in prepared.flags if flag.name == "--dry-run"]
    return bool(given) and given[-1].value not in ("none", "false")


def summary(plan: Plan) -> str:
    """The table of what is pinned, for people."""
    rows = []
    for i in plan.images:
        name, tag, _ = split(i.image)
        how = i.problem.text if i.problem else f"{i.strategy}: {', '.join(i.values)}" if i.values else i.strategy
        kept = f"; kept for {i.kept_for}, whose pod template cannot change" if i.kept_for else ""
        rows.append((name, tag or ("-" if i.via == "chart" else "(latest)"), output.short(i.digest) or "-", how + kept))
    return output.table(("IMAGE", "TAG", "DIGEST", "HOW"), rows) if rows else "The chart uses no images."
