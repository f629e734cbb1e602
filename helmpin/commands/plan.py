"""helm pin plan: what would be pinned and how, changing nothing."""

from __future__ import annotations

from typing import Any

from helmpin import output
from helmpin.cli import Request
from helmpin.pin.decisions import Decision, pinned
from helmpin.pin.deploy import summary
from helmpin.pin.plan import Plan
from helmpin.pin.prepare import prepare


def run(request: Request) -> int:
    """Print the plan; the exit status is what an upgrade would end with."""
    *release, chart = request.positionals
    with prepare(request, release[0] if release else "", chart) as plan:
        form = request.options["output"]
        if form == "table":
            print(summary(plan))
            if outside := plan.render.elsewhere():
                print("\nOutside pod specs, not pinned (--also PATTERN pins them):")
                print("\n".join(dict.fromkeys(f"  {use.image}   {use.place()}" for use in outside)))
            if request.options["verbose"]:
                print("\n" + reasons(plan))
        elif form == "values":
            print(output.as_yaml(plan.values_file()))
        else:
            output.show(describe(plan), form)
        if request.settings.mutable == "refuse":
            plan.refuse_mutable()
        plan.refuse_problems()
    return 0


def describe(plan: Plan) -> dict[str, Any]:
    """The plan as data."""
    return {
        "release": plan.release,
        "namespace": plan.namespace,
        "chart": {"name": plan.staged.name, "version": plan.staged.version},
        "set": plan.set_arguments,
        "renders": plan.renders,
        "images": [image(d) for d in plan.decisions],
        "elsewhere": [
            {"image": u.image, "source": u.source, "kind": u.kind, "name": u.name, "place": u.elsewhere}
            for u in plan.render.elsewhere()
        ],
        "unpinned": [{"image": d.image, "reason": d.problem, "kind": d.kind} for d in plan.decisions if d.problem],
    }


def image(d: Decision) -> dict[str, Any]:
    """One image of the plan as data."""
    return {
        "reference": str(d.reference) if d.reference else None,
        "image": d.image,
        "digest": d.digest or None,
        "pinned": None if d.problem else pinned(d),
        "mutable": bool(d.mutable),
        "reason": d.mutable or d.problem or None,
        "via": d.via or None,
        "strategy": d.strategy or None,
        "values": list(d.values),
        "notes": list(d.notes),
        "uses": [
            {
                "source": u.source,
                "kind": u.kind,
                "name": u.name,
                "container": u.container,
                "path": ".".join(map(str, u.path)),
            }
            for u in d.uses
        ],
    }


def reasons(plan: Plan) -> str:
    """For people: where each image is used, and what was tried and not taken."""
    blocks = []
    for d in plan.decisions:
        lines = [d.image, *(f"  used by {use.place()}" for use in d.uses), *(f"  not {note}" for note in d.notes)]
        if d.via == "template" and not d.notes:
            lines.append("  no value holds it: the template writes it")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + f"\n\n{plan.renders} renders"
