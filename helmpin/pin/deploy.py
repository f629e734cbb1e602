"""Handing a plan to helm, and reading back what it stored: upgrade and install differ in a word."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from helmpin import output
from helmpin.arguments import words
from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from helmpin.image.reference import split
from helmpin.pin import release

if TYPE_CHECKING:
    from helmpin.pin.plan import Plan


def deploy(helm: Helm, plan: Plan, command: str, *, refuse_mutable: bool) -> int:
    """Run `helm upgrade` or `helm install` with the staged chart and the digests, then read the release back.

    Raises Refused and RegistryUnavailable before helm runs, HelmFailed when helm does not succeed, VerificationFailed when the
    stored release is not what was meant.
    """
    if refuse_mutable:
        plan.refuse_mutable()
    plan.refuse_problems()
    output.say(summary(plan))
    reset = ["--reset-values"] if command == "upgrade" else []
    arguments = [
        command,
        plan.release,
        str(plan.staged.path),
        *words(plan.flags),
        *reset,
        *plan.value_arguments,
        *plan.set_arguments,
    ]
    done = helm.watch(arguments)
    if done.status:
        raise HelmFailed(
            f"helm {command} failed; its own words are above",
            todo=f"helm history {plan.release} shows what state the release is in",
        )
    if _is_dry_run(plan):
        output.say("Dry run: nothing was deployed.")
        return 0
    sys.stdout.flush()
    stored = release.read(helm, plan.release)
    record = release.check(stored, plan.record)
    count = f"{len(record.images)} image{'s' if len(record.images) != 1 else ''}"
    output.say(f"Revision {stored.revision} runs {count} by digest, set {record.set_id}: read back from the release.")
    return 0


def _is_dry_run(plan: Plan) -> bool:
    given = [flag for flag in plan.flags if flag.name == "--dry-run"]
    return bool(given) and given[-1].value not in ("none", "false")


def summary(plan: Plan) -> str:
    """The table of what is pinned, for people."""
    rows = []
    for d in plan.decisions:
        name, tag, _ = split(d.image)
        how = d.problem or (f"{d.strategy}: {', '.join(d.values)}" if d.values else d.strategy)
        rows.append((name, tag or ("-" if d.via == "chart" else "(latest)"), output.short(d.digest) or "-", how))
    return output.table(("IMAGE", "TAG", "DIGEST", "HOW"), rows) if rows else "The chart uses no images."
