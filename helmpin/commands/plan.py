"""helm pin plan: what would be pinned and how, changing nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from helmpin import output, structured
from helmpin.arguments import Given
from helmpin.errors import Refused, UsageError, VerificationFailed
from helmpin.image.listing import print_images
from helmpin.image.reference import split
from helmpin.plan.credentials import keychain_of
from helmpin.plan.deploy import summary
from helmpin.plan.deployed import MOVED, SAME, Change, Deployed, DeployedReading
from helmpin.plan.images import ImagePlan
from helmpin.plan.plain_render import REUSE
from helmpin.plan.plan import Plan
from helmpin.plan.prepare import Prepared, prepare, say_lock
from helmpin.registry import RegistryError
from helmpin.registry.details import Details, as_data
from helmpin.registry.details import lines as lines_of
from helmpin.release.changes import UNPINNED
from helmpin.release.reused_values import config_without_digests
from helmpin.render.diff import dotted
from helmpin.render.values import REUSE_FLAGS, VALUE_FLAGS
from helmpin.request import Request

FOR_OTHERS = ("values", "kustomize", "images")
"""Output for other tools, which is complete or refused."""


class More(NamedTuple):
    """What registries say about images beyond their digests, by image as written. They are asked only on request."""

    details: Mapping[str, Details | RegistryError] = MappingProxyType({})
    """With --verbose."""
    versions: Mapping[str, str | RegistryError] = MappingProxyType({})
    """With --suggest, for images whose tag can move."""


NOTHING = More()


def run(request: Request) -> int:
    """Print the plan. The exit status is that of an upgrade, or 4 with --check if an upgrade would change an image."""
    *release, chart = request.positionals
    form, check = request.options["output"], request.options["check"]
    command = _command(request, release)
    reading = None
    if command == "upgrade" and (check or form not in FOR_OTHERS):
        reading = DeployedReading(request.helm, release[0])
    if command == "upgrade" and not any(flag.name == "--install" for flag in request.flags):
        request = request._replace(flags=[*request.flags, Given("--install", None, ("--install",))])
    leaves_out = command == "upgrade" and form in ("values", "kustomize") and not _gives_values(request)
    if leaves_out:
        request = request._replace(flags=[*request.flags, Given("--reset-values", None, ("--reset-values",))])
    options = {"needs_cluster": check, "values_only": request.options["values-only"]}
    with prepare(request, release[0] if release else "", chart, command=command, **options) as prepared:
        plan, previous = prepared.plan, prepared.previous
        asked = reading is not None and prepared.command[0] == "upgrade"
        deployed = reading.result(previous, plan.images, plan.render.also) if reading and asked else None
        say_lock(plan)
        if leaves_out and previous and config_without_digests(previous):
            output.say(
                f"The values of revision {previous.revision} are left out: helm reuses none if a file gives values. To keep them, "
                f"give {REUSE} both here and to helm."
            )
        _print(request, prepared, deployed)
        _refuse(request, plan)
        if check and deployed:
            _check(plan, deployed)
    return 0


def _command(request: Request, release: Sequence[str]) -> str:
    """The helm command to plan for. Raises UsageError."""
    if request.options["suggest"] and request.settings.locked:
        raise UsageError("--suggest asks registries, and --locked does not", hint="leave one out")
    if release and not request.options["no-cluster"]:
        return "upgrade"
    if request.options["check"]:
        raise UsageError("--check compares with a release in the cluster", hint="name it, without --no-cluster")
    if release:
        output.say("Planned without the cluster, as a new release (--no-cluster).")
    return "template"


def _print(request: Request, prepared: Prepared, deployed: Deployed | None) -> None:
    """Print the plan in the form that was asked for. Raises Refused for one that cannot be complete."""
    plan, form = prepared.plan, request.options["output"]
    if form in FOR_OTHERS:
        _refuse(request, plan)
        _print_for_others(plan, request)
    elif form == "table":
        output.write(_table(plan, deployed, _more(request, plan), verbose=request.options["verbose"]))
        if request.options["verbose"]:
            output.write(f"settings file: {request.settings.file or 'none'}")
    else:
        structured.show(describe(plan, deployed, _more(request, plan), prepared.reuse), form)
        if prepared.reuse is None:
            output.say(
                "Incomplete: no flag makes helm reuse the values without earlier digests; helm pin upgrade does it."
            )
        if beyond := plan.beyond_values():
            output.say(
                f"Incomplete: no value carries {', '.join(i.image for i in beyond)}; helm pin upgrade pins them."
            )


def _gives_values(request: Request) -> bool:
    """Whether a flag says which values to use: then helm reuses no others by itself (pkg/action/upgrade.go, reuseValues)."""
    return any(flag.name in VALUE_FLAGS | REUSE_FLAGS for flag in request.flags)


def _more(request: Request, plan: Plan) -> More:
    """What registries say beyond the digests, as far as it was requested."""
    verbose, settings = request.options["verbose"] and not request.settings.locked, request.settings
    if not (verbose or request.options["suggest"]):
        return NOTHING
    from helmpin.registry import details_of, suggest

    keychain = keychain_of(plan.rendered, settings)
    pinned = {i.image: i.reference._replace(digest=i.digest) for i in plan.images if i.reference and i.digest}
    details = details_of(pinned.values(), settings.registry, keychain) if verbose else {}
    moving = (
        [pinned[i.image] for i in plan.images if i.mutable and i.image in pinned] if request.options["suggest"] else []
    )
    versions = suggest(moving, settings.registry, keychain) if moving else {}
    return More(
        {image: details[reference] for image, reference in pinned.items() if reference in details},
        {image: versions[reference] for image, reference in pinned.items() if reference in versions},
    )


def _check(plan: Plan, deployed: Deployed) -> None:
    """Raise VerificationFailed if an upgrade would change an image."""
    if not deployed.differing:
        return
    pairs = zip(plan.images, deployed.changes, strict=True)
    lines = [f"{image.image}: {_short(change)}" for image, change in pairs if change.kind != SAME]
    lines += [f"{change.reference}: removed" for change in deployed.removed]
    place = (
        f"revision {deployed.revision} of release {plan.release}" if deployed.revision else "nothing that is deployed"
    )
    images = output.count(deployed.differing, "image")
    raise VerificationFailed(f"an upgrade would change {images}", where=place, why="\n".join(lines))


def _short(change: Change) -> str:
    """For people: `same`, `new`, or what is deployed."""
    if change.kind != MOVED:
        return change.kind
    return f"moved from {f'{change.was}@' if change.was else ''}{output.short(change.digest)}"


def _refuse(request: Request, plan: Plan) -> None:
    if request.settings.mutable == "refuse":
        plan.refuse_mutable()
    plan.refuse_problems(shows_tries=request.options["verbose"] and request.options["output"] not in FOR_OTHERS)


def _print_for_others(plan: Plan, request: Request) -> None:
    """Print what another tool reads: complete, or refused, or in part where a part is enough."""
    form, partial = request.options["output"], request.options["partial"]
    if form == "images":
        images = [(i.image if i.problem else str(i.reference), "" if i.problem else i.digest) for i in plan.images]
        print_images(images)
    elif form == "kustomize":
        from helmpin.plan import kustomize

        entries, refused = kustomize.entries(plan.images, plan.rendered.plain.documents)
        _check_complete(refused, plan, "a kustomization", partial=partial)
        print(structured.as_yaml({"images": [entry.as_data() for entry in entries]}))
    else:
        _check_complete(
            _beyond_values(plan), plan, "a values file", partial=partial, hint=_what_may_help(plan, request)
        )
        print(structured.as_yaml(plan.values_file(named=request.options["names"])))


def _what_may_help(plan: Plan, request: Request) -> str:
    """What may still bring every image into a values file: the start of a hint, or ''."""
    hint = "write the digests into your own lists; or " if plan.lists_of_the_user() else ""
    if any(not image.kept_for for image in plan.beyond_values()) and not request.options["values-only"]:
        hint = f"try --values-only, which searches further for values; or {hint}"
    return hint


def _beyond_values(plan: Plan) -> dict[str, str]:
    """The images that a values file does not pin, and why."""
    lists = "it stands in a list of your own values, which a values file could only repeat"
    return {
        **{i.image: _why_beyond(i) for i in plan.beyond_values()},
        **{i.image: lists for i in plan.lists_of_the_user()},
    }


def _why_beyond(image: ImagePlan) -> str:
    if image.kept_for:
        return f"{image.kept_for} keeps the digest that it ran with, which helm pin upgrade writes into its template"
    return "the template writes it, and no value carries its digest"


def _check_complete(missing: Mapping[str, str], plan: Plan, what: str, *, partial: bool, hint: str = "") -> None:
    """Raise Refused if an output cannot hold every image, unless --partial was given. hint: what else may help."""
    if not missing:
        return
    if partial:
        output.say(f"Incomplete: {what} does not carry {', '.join(missing)}.")
        return
    raise Refused(
        f"{len(missing)} of {len(plan.images)} images cannot be pinned by {what}",
        why="\n".join(f"{image}: {why}" for image, why in missing.items()),
        hint=f"{hint}deploy with helm pin upgrade, or print the manifest with helm pin template; --partial prints what it can",
    )


def _table(plan: Plan, deployed: Deployed | None, more: More, *, verbose: bool) -> str:
    blocks = [summary(plan, [_short(change) for change in deployed.changes] if deployed else None)]
    if deployed and deployed.removed:
        gone = [f"  {change.reference}   {output.short(change.digest)}" for change in deployed.removed]
        blocks.append("\n".join([f"In revision {deployed.revision}, and not in the chart any more:", *gone]))
    if outside := plan.render.elsewhere():
        lines = dict.fromkeys(f"  {use.image}   {use.place()}" for use in outside)
        blocks.append("\n".join(["Outside pod specs, not pinned (--also PATTERN pins them):", *lines]))
    if plan.followers:
        lines = dict.fromkeys(f"  {reference}   {f.place()}" for f in plan.followers for reference in f.references)
        blocks.append("\n".join(["Followers, the same references elsewhere, which get the same digests:", *lines]))
    if more.versions:
        lines = dict.fromkeys(f"  {image}   {_version(image, found)}" for image, found in more.versions.items())
        blocks.append("\n".join(["Versions that have the same digest today:", *lines]))
    if verbose:
        blocks.append(reasons(plan, more))
    return "\n\n".join(blocks)


def _version(image: str, found: str | RegistryError) -> str:
    """For people: the image with that tag."""
    if isinstance(found, RegistryError):
        return f"not known: {found}"
    return f"{split(image)[0]}:{found}" if found else "none was found among its tags"


def describe(
    plan: Plan, deployed: Deployed | None = None, more: More = NOTHING, reuse: str | None = ""
) -> dict[str, Any]:
    """The plan as data. deployed: what it is compared with; None if the cluster was not asked. reuse: as Prepared has it."""
    changes = deployed.changes if deployed else (None,) * len(plan.images)
    return {
        "release": plan.release,
        "namespace": plan.namespace,
        "chart": {"name": plan.chart.name, "version": plan.chart.version},
        "set": [*([reuse] if reuse else []), *plan.set_arguments],
        "complete": reuse is not None and not plan.beyond_values() and not any(i.problem for i in plan.images),
        "renders": plan.renders,
        "cluster": deployed is not None,
        "deployedRevision": deployed.revision if deployed else None,
        "images": [
            {**image_data(i), "deployed": _change(change), **_from_registries(i.image, more)}
            for i, change in zip(plan.images, changes, strict=True)
        ],
        "removed": [_change(change) for change in deployed.removed] if deployed else [],
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


def _from_registries(image: str, more: More) -> dict[str, Any]:
    found = more.versions.get(image)
    return {
        **({"details": as_data(more.details[image])} if image in more.details else {}),
        **({"suggestion": found if isinstance(found, str) and found else None} if image in more.versions else {}),
    }


def _change(change: Change | None) -> dict[str, Any] | None:
    if change is None:
        return None
    digest = None if change.digest in ("", UNPINNED) else change.digest
    return {"change": change.kind, "reference": change.reference or None, "digest": digest}


def image_data(image: ImagePlan) -> dict[str, Any]:
    """One image of the plan as data."""
    return {
        "reference": str(image.reference) if image.reference else None,
        "image": image.image,
        "digest": image.digest or None,
        "pinned": None if image.problem else image.pinned,
        "mutable": bool(image.mutable),
        "reason": image.mutable or (image.problem.text if image.problem else None),
        "via": image.via or None,
        "strategy": image.strategy or None,
        "values": list(image.values),
        "keptFor": image.kept_for or None,
        "source": image.source or None,
        "notes": list(image.notes),
        "uses": [
            {
                "source": use.source,
                "kind": use.kind,
                "name": use.name,
                "container": use.container,
                "path": ".".join(map(str, use.path)),
            }
            for use in image.uses
        ],
    }


def reasons(plan: Plan, more: More = NOTHING) -> str:
    """For people: what each image is, where it is used, and which candidates were rejected."""
    blocks = []
    for planned in plan.images:
        about = [f"  {line}" for line in lines_of(more.details.get(planned.image))]
        lines = [
            planned.image,
            *about,
            *(f"  used by {use.place()}" for use in planned.uses),
            *(f"  rejected {note}" for note in planned.notes),
        ]
        if planned.via == "template" and not planned.notes:
            lines.append(f"  {plan.why_template(planned)}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + f"\n\n{plan.renders} renders"
