"""The table of images with which a plan is shown to people."""

from __future__ import annotations

from collections.abc import Sequence

from helmpin import output
from helmpin.image.hints import named
from helmpin.image.reference import split
from helmpin.plan.plan import Plan


def summary(plan: Plan, deployed: Sequence[str] | None = None) -> str:
    """The table of images, for people. deployed: how each compares with what is deployed."""
    rows = []
    for n, i in enumerate(plan.images):
        name, tag, _ = split(i.image)
        how = (
            i.problem.text.splitlines()[0]
            if i.problem
            else f"{i.strategy}: {', '.join(i.values)}"
            if i.values
            else i.strategy
        )
        kept = f"; kept for {i.kept_for}, whose pod template cannot change" if i.kept_for else ""
        beside = () if deployed is None else (deployed[n],)
        tag = tag or ("-" if i.via == "chart" or i.reference is None else "(latest)")
        rows.append((named(name), tag, output.short(i.digest) or "-", *beside, how + kept))
    headers = ("IMAGE", "TAG", "DIGEST", *(() if deployed is None else ("DEPLOYED",)), "HOW")
    return output.table(headers, rows) if rows else "No pod of the chart has an image."
