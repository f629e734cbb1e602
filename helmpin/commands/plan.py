"""helm pin plan: what would be pinned and how, changing nothing."""

from __future__ import annotations

from typing import Any

from helmpin import output
from helmpin.arguments import Given
from helmpin.cli import Request
from helmpin.errors import Refused
from helmpin.plan.deploy import summary
from helmpin.plan.images import ImagePlan
from helmpin.plan.plan import Plan
from helmpin.plan.prepare import prepare, say_lock
from helmpin.render.diff import dotted


def run(request: Request) -> int:
    """Print the plan; the exit status is what an upgrade would end with."""
    *release, chart = request.positionals
    form = request.options["output"]
    command = "upgrade" if release and not request.options["no-cluster"] else "template"
    if command == "upgrade" and not any(flag.name == "--install" for flag in request.flags):
        request = request._replace(flags=[*request.flags, Given("--install", None, ("--install",))])
    with prepare(request, release[0] if release else "", chart, command=command, needs_cluster=False) as prepared:
        plan = prepared.plan
        say_lock(plan)
        if form == "values":
            _check_values(plan, partial=request.options["partial"])
            print(output.as_yaml(plan.values_file()))
        elif form == "table":
            output.write(_table(plan, verbose=request.options["verbose"]))
        else:
            output.show(describe(plan), form)
            if beyond := plan.beyond_values():
                output.say(
                    f"Incomplete: no value carries {', '.join(i.image for i in beyond)}; helm pin upgrade pins them."
                )
        if request.settings.mutable == "refuse":
            plan.refuse_mutable()
        plan.refuse_problems()
    return 0


def _check_values(plan: Plan, *, partial: bool) -> None:
    """Raise Refused where a values file cannot hold every image, unless a part is enough."""
    listed = plan.lists_of_the_user()
    missing = list(dict.fromkeys([*(i.image for i in plan.beyond_values()), *(i.image for i in listed)]))
    if not missing:
        return
    if partial:
        output.say(f"Incomplete: no values file carries {', '.join(missing)}.")
        return
    lines = [f"{i.image}: the template writes it, no value carries its digest" for i in plan.beyond_values()]
    lines += [
        f"{i.image}: it stands in a list of your own values, which a values file could only repeat" for i in listed
    ]
    raise Refused(
        f"{len(missing)} of {len(plan.images)} images cannot be pinned by a values file",
        why="\n".join(lines),
        todo="deploy with helm pin upgrade, or print the manifest with helm pin template; --partial prints what values can carry",
    )


def _table(plan: Plan, *, verbose: bool) -> str:
    blocks = [summary(plan)]
    if outside := plan.render.elsewhere():
        lines = dict.fromkeys(f"  {use.image}   {use.place()}" for use in outside)
        blocks.append("\n".join(["Outside pod specs, not pinned (--also PATTERN pins them):", *lines]))
    if plan.followers:
        lines = dict.fromkeys(f"  {reference}   {f.place()}" for f in plan.followers for reference in f.references)
        blocks.append("\n".join(["Followers, the same references elsewhere, which get the same digests:", *lines]))
    if verbose:
        blocks.append(reasons(plan))
    return "\n\n".join(blocks)


def describe(plan: Plan) -> dict[str, Any]:
    """The plan as data."""
    return {
        "release": plan.release,
        "namespace": plan.namespace,
        "chart": {"name": plan.chart.name, "version": plan.chart.version},
        "set": plan.set_arguments,
        "complete": not plan.beyond_values() and not any(i.problem for i in plan.images),
        "renders": plan.renders,
        "images": [image(i) for i in plan.images],
        "followers": [
            {
                "reference": str(reference._replace(digest=None)),
                "digest": reference.digest,
                "source": f.leaf[0],
                "kind": f.kind,
                "name": f.name,
                "path": dotted(f.leaf[3]),
            }
            for f in plan.followers
            for reference in f.references
        ],
        "elsewhere": [
            {"image": u.image, "source": u.source, "kind": u.kind, "name": u.name, "place": u.elsewhere}
            for u in plan.render.elsewhere()
        ],
        "unpinned": [
            {"image": i.image, "reason": i.problem.text, "kind": i.problem.kind} for i in plan.images if i.problem
        ],
    }


def image(d: ImagePlan) -> dict[str, Any]:
    """One image of the plan as data."""
    return {
        "reference": str(d.reference) if d.reference else None,
        "image": d.image,
        "digest": d.digest or None,
        "pinned": None if d.problem else d.pinned,
        "mutable": bool(d.mutable),
        "reason": d.mutable or (d.problem.text if d.problem else None),
        "via": d.via or None,
        "strategy": d.strategy or None,
        "values": list(d.values),
        "keptFor": d.kept_for or None,
        "source": d.source or None,
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
    for d in plan.images:
        lines = [d.image, *(f"  used by {use.place()}" for use in d.uses), *(f"  rejected {note}" for note in d.notes)]
        if d.via == "template" and not d.notes:
            lines.append("  hard-coded in the template")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + f"\n\n{plan.renders} renders"
