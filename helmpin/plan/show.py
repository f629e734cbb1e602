"""A plan for people, as data, and in the forms that other tools read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from helmpin import output, structured
from helmpin.errors import Refused, VerificationFailed
from helmpin.image.find import dotted
from helmpin.image.hints import named
from helmpin.image.listing import print_images
from helmpin.image.outside_pods import OPERATORS
from helmpin.image.reference import split
from helmpin.image.uses import ImageUse
from helmpin.named_tuple import NamedTuple
from helmpin.plan.deployed import MOVED, SAME, UNKNOWN, Change, Deployed
from helmpin.plan.images import ImagePlan
from helmpin.plan.outputs import values_file
from helmpin.plan.plan import Plan
from helmpin.plan.table import summary
from helmpin.registry import RegistryError
from helmpin.registry.details import Details, as_data
from helmpin.registry.details import lines as lines_of
from helmpin.release.changes import UNPINNED


class More(NamedTuple):
    """What registries say about images beyond their digests, by image as written. They are asked only on request."""

    details: Mapping[str, Details | RegistryError] = MappingProxyType({})
    """With --verbose."""
    versions: Mapping[str, str | RegistryError] = MappingProxyType({})
    """With --suggest, for images whose tag can move."""


NOTHING_MORE = More()


def table(plan: Plan, deployed: Deployed | None, more: More, *, verbose: bool) -> str:
    """The plan for people. deployed: what it is compared with, if the cluster was asked. verbose: with what was tried."""
    blocks = [summary(plan, [_short(change) for change in deployed.changes] if deployed else None)]
    if deployed and deployed.removed:
        gone = [f"  {change.reference}   {output.short(change.digest)}" for change in deployed.removed]
        blocks.append("\n".join([f"In revision {deployed.revision}, and not in the chart any more:", *gone]))
    if outside := plan.outside():
        lines = dict.fromkeys(f"  {use.image}   {use.place()}" for use in outside)
        blocks.append("\n".join(["Outside pod specs, not pinned (--also PATTERN pins them):", *lines]))
    if known := plan.for_operators():
        lines = dict.fromkeys(f"  {found.use.image}   {found.use.place()}" for found in known if not found.is_listed)
        listed = len({found.use.image for found in known if found.is_listed})
        also = f"pins {listed} of these{', and' if lines else '.'}" if listed else "pins outside pod specs"
        blocks.append("\n".join([f"--also {OPERATORS} {also}{':' if lines else ''}", *lines]))
    if urls := plan.outside_as_urls():
        lines = dict.fromkeys(f"  {use.image}   {use.place()}" for use in urls)
        blocks.append("\n".join(["Outside pod specs, as URLs, which helm-pin does not pin:", *lines]))
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
    plan: Plan, deployed: Deployed | None = None, more: More = NOTHING_MORE, reuse: str | None = ""
) -> dict[str, Any]:
    """The plan as data. deployed: what it is compared with; None if the cluster was not asked. reuse: as Prepared has it."""
    changes = deployed.changes if deployed else (None,) * len(plan.images)
    return {
        "release": plan.release,
        "namespace": plan.namespace,
        "chart": {"name": plan.chart.name, "version": plan.chart.version},
        "set": [*([reuse] if reuse else []), *plan.set_arguments],
        "complete": reuse is not None
        and not plan.beyond_values()
        and not plan.without_image
        and not any(i.why_unpinned for i in plan.images),
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
        "operators": [
            {"image": u.image, "source": u.source, "kind": u.kind, "name": u.name, "place": u.elsewhere}
            for u in (found.use for found in plan.for_operators())
        ],
        "unpinned": [
            {"image": i.image, "reason": why.text, "kind": why.kind} for i in plan.images if (why := i.why_unpinned)
        ],
        "withoutImage": [{**_use_data(use), "fault": fault} for use, fault in plan.without_image],
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
        "pinned": None if image.why_unpinned else image.pinned,
        "mutable": bool(image.mutable),
        "reason": image.mutable or (image.problem.text if image.problem else None),
        "via": image.via or None,
        "strategy": image.strategy or None,
        "values": list(image.values),
        "keptFor": image.kept_for or None,
        "source": image.source or None,
        "notes": list(image.notes),
        "uses": [_use_data(use) for use in image.uses],
    }


def _use_data(use: ImageUse) -> dict[str, str]:
    return {
        "source": use.source,
        "kind": use.kind,
        "name": use.name,
        "container": use.container,
        "path": dotted(use.path),
    }


def reasons(plan: Plan, more: More = NOTHING_MORE) -> str:
    """For people: what each image is, where it is used, and which candidates were rejected."""
    blocks = []
    for planned in plan.images:
        about = [f"  {line}" for line in lines_of(more.details.get(planned.image))]
        lines = [
            named(planned.image),
            *about,
            *(f"  used by {use.place()}" for use in planned.uses),
            *(f"  rejected {note}" for note in planned.notes),
        ]
        if planned.via == "template" and not planned.notes:
            lines.append(f"  {plan.why_template(planned)}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + f"\n\n{output.count(plan.renders, 'render')}"


def print_for_others(plan: Plan, form: str, *, partial: bool, names: bool, values_only: bool) -> None:
    """Print what another tool reads (`values`, `kustomize` or `images`): complete, or in part with `partial`.

    names: whether to name the images in a values file. values_only: whether values were searched for wherever a template would do.
    Raises Refused.
    """
    if form == "images":
        images = [(i.image if i.problem else str(i.reference), "" if i.problem else i.digest) for i in plan.images]
        print_images(images)
    elif form == "kustomize":
        from helmpin.plan import kustomize

        entries, refused = kustomize.entries(plan.images, plan.rendered.plain.documents)
        _check_complete(refused, plan, "a kustomization", ", ".join(refused), partial=partial)
        print(structured.as_yaml({"images": [entry.as_data() for entry in entries]}))
    else:
        beyond = _beyond_values(plan)
        _check_complete(
            beyond,
            plan,
            "a values file",
            listed_beyond(plan, beyond),
            partial=partial,
            hint=_what_may_help(plan, values_only=values_only),
        )
        print(structured.as_yaml(values_file(plan, named=names)))


def listed_beyond(plan: Plan, missing: Collection[str]) -> str:
    """Images that values do not pin, for people: first those that they pin nowhere."""
    somewhere = {image.image for image in plan.beyond_values() if image.values} & {*missing}
    nowhere = ", ".join(image for image in missing if image not in somewhere)
    rest = ", ".join(image for image in missing if image in somewhere)
    return f"{nowhere}{', nor ' if nowhere else ''}{rest} everywhere" if rest else nowhere


def _what_may_help(plan: Plan, *, values_only: bool) -> str:
    """What may still bring every image into a values file: the start of a hint, or ''."""
    hint = "write the digests into your own lists; or " if plan.images_in_user_lists() else ""
    if any(not image.kept_for for image in plan.beyond_values()) and not values_only:
        hint = f"try --values-only, which searches further for values; or {hint}"
    return hint


def _beyond_values(plan: Plan) -> dict[str, str]:
    """The images that a values file does not pin, and why."""
    lists = "it stands in a list of your own values, which a values file could only repeat"
    return {
        **{i.image: _why_beyond(i) for i in plan.beyond_values()},
        **{i.image: lists for i in plan.images_in_user_lists()},
    }


def _why_beyond(image: ImagePlan) -> str:
    if image.kept_for:
        return f"{image.kept_for} keeps the digest that it ran with, which helm pin upgrade writes into its template"
    if image.nulled:
        return image.nulled
    return f"the template writes it, and no value carries its digest{' everywhere' if image.values else ''}"


def _check_complete(
    missing: Mapping[str, str], plan: Plan, what: str, listed: str, *, partial: bool, hint: str = ""
) -> None:
    """Raise Refused if an output cannot hold every image, unless --partial was given. listed: the missing ones, for people. hint:
    what else may help."""
    if not missing:
        return
    if partial:
        output.say(f"Incomplete: {what} does not carry {listed}.")
        return
    kept = any(image.kept_for and image.image in missing for image in plan.images)  # a manifest would change the Job
    manifest = "" if kept else ", or print the manifest with helm pin template"
    raise Refused(
        f"{len(missing)} of {len(plan.images)} images cannot be pinned by {what}",
        why="\n".join(f"{image}: {why}" for image, why in missing.items()),
        hint=f"{hint}deploy with helm pin upgrade{manifest}; --partial prints what it can",
    )


def refuse_changes(plan: Plan, deployed: Deployed, *, failed: int = 0) -> None:
    """Raise VerificationFailed if an upgrade would change an image. failed: the latest revision, if it has failed: its images may
    run, whatever was deployed before."""
    if not deployed.differing and failed:
        what, where = "an upgrade may change images", f"revision {failed} of release {plan.release}"
        raise VerificationFailed(what, where=where, why="it has failed, and what it has changed may run")
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
    """For people: `same`, `new`, what is deployed, or `-`."""
    if change.kind != MOVED:
        return "-" if change.kind == UNKNOWN else change.kind
    return f"moved from {f'{change.was}@' if change.was else ''}{output.short(change.digest)}"
