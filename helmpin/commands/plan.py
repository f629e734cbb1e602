"""helm pin plan: what would be pinned and how, changing nothing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from helmpin import output, structured
from helmpin.arguments import is_on, with_switch
from helmpin.errors import Refused, UsageError
from helmpin.next_command import helm_command
from helmpin.plan.plain_render import REUSE
from helmpin.plan.prepare import Prepared, prepare
from helmpin.release.undo import config_without_digests
from helmpin.render.coalesce import holds_null
from helmpin.render.values import REUSE_FLAGS
from helmpin.request import Request, refuse_suggest_when_locked, release_and_chart

if TYPE_CHECKING:  # what shows a plan is imported when there is one, so that helm starts sooner
    from helmpin.plan import show
    from helmpin.plan.deployed import Deployed
    from helmpin.plan.plan import Plan
    from helmpin.release.previous import Previous

FOR_OTHERS = ("values", "kustomize", "images")
"""Output for other tools, which is complete or refused."""
_NO_FLAG = (
    "no flag makes helm reuse the values and take out earlier digests, keep these nulls, or change an image in a list"
)


def run(request: Request) -> int:
    """Print the plan. The exit status is that of an upgrade, or 4 with --check if an upgrade would change an image. A container
    without an image, which an upgrade refuses, is reported, unless the output is for other tools."""
    release, chart = release_and_chart(request)
    form, check = request.options["output"], request.options["check"]
    command = _command(request, release)
    reading = None
    if command == "upgrade" and (check or form not in FOR_OTHERS):
        from helmpin.plan.deployed import DeployedReading

        reading = DeployedReading(request.helm, release)
    if command == "upgrade":
        request = request._replace(flags=with_switch(request.flags, "--install"))
    reuses = any(is_on(request.flags, flag) for flag in REUSE_FLAGS)
    leaves_out = command == "upgrade" and form in ("values", "kustomize") and not reuses
    if leaves_out:
        request = request._replace(flags=with_switch(request.flags, "--reset-values"))
    options = {"needs_cluster": check, "values_only": request.options["values-only"]}
    with prepare(request, release, chart, command=command, **options) as prepared:
        plan, previous = prepared.plan, prepared.previous
        asked = reading is not None and prepared.command[0] == "upgrade"
        deployed = reading.result(previous, plan.images, plan.render.also) if reading and asked else None
        from helmpin.plan.notes import say_default_lists, say_lock, say_without_image

        say_lock(plan)
        say_without_image(plan)
        if form not in ("kustomize", "images"):  # which set nothing
            say_default_lists(plan)
        if leaves_out and not plan.rendered.given and previous and config_without_digests(previous):
            output.say(
                f"The values of revision {previous.revision} are left out: helm reuses none if a file gives values. To keep them, "
                f"give {REUSE} both here and to helm."
            )
        if form == "values" and reuses and prepared.reuse == "--reset-values" and holds_null(plan.rendered.given):
            output.say(
                "Give helm --reset-values with this file: of reused values, a null would remove helm-pin's digest alone."
            )
        failed = _say_status(previous, release) if previous else 0
        _print(request, prepared, deployed)
        _refuse(request, plan)
        if check and deployed:
            from helmpin.plan.show import refuse_changes

            refuse_changes(plan, deployed, failed=failed)
    return 0


def _say_status(previous: Previous, release: str) -> int:
    """Report a latest revision that is pending, or that failed when it was deployed. Returns the number of one that failed; 0 for
    none."""
    if previous.status.startswith("pending-"):
        output.say(
            f"Revision {previous.last} is {previous.status}: helm upgrades the release when that has ended or is rolled back."
        )
    if previous.status != "failed" or not previous.has_run:
        return 0
    output.say(
        f"Revision {previous.last} failed. This plan compares with revision {previous.revision}, and what runs may be as "
        f"the failed one says; to see it: {helm_command(f'pin verify {release}')}"
    )
    return previous.last


def _command(request: Request, release: str) -> str:
    """The helm command to plan for. Raises UsageError."""
    refuse_suggest_when_locked(request)
    for name, forms in (("names", ("values",)), ("partial", ("values", "kustomize"))):
        if request.options[name] and request.options["output"] not in forms:
            raise UsageError(
                f"--{name} has no effect without -o {' or '.join(forms)}", hint="leave it out, or add that"
            )
    form = request.options["output"]
    for name in ("verbose", "suggest"):
        if request.options[name] and form in FOR_OTHERS:
            raise UsageError(f"--{name} has no effect with -o {form}", hint="leave one out")
    if release and not request.options["no-cluster"]:
        return "upgrade"
    if request.options["check"]:
        todo = [] if release else ["name the release"]
        todo += ["leave out --no-cluster"] if request.options["no-cluster"] else []
        raise UsageError("--check compares with a release in the cluster", hint=", and ".join(todo))
    if release:
        output.say("Planned without the cluster, as a new release (--no-cluster).")
    return "template"


def _print(request: Request, prepared: Prepared, deployed: Deployed | None) -> None:
    """Print the plan in the form that was asked for. Raises Refused for one that cannot be complete."""
    from helmpin.plan import show

    plan, form = prepared.plan, request.options["output"]
    if form in FOR_OTHERS:
        _refuse(request, plan)
        plan.refuse_without_image()
        if form == "values" and prepared.reuse is None:
            _refuse_reuse(partial=request.options["partial"])
        if through := ", ".join(image.image for image in plan.images if image.is_let_through):
            output.say(f"Without a digest, because it is allowed: {through}.")
        options = {name: request.options[name] for name in ("partial", "names")}
        show.print_for_others(plan, form, values_only=request.options["values-only"], **options)
    elif form == "table":
        output.write(show.table(plan, deployed, _more(request, plan), verbose=request.options["verbose"]))
        if request.options["verbose"]:
            output.write(f"settings file: {request.settings.file or 'none'}")
    else:
        structured.show(show.describe(plan, deployed, _more(request, plan), prepared.reuse), form)
        if prepared.reuse is None:
            output.say(f"Incomplete: {_NO_FLAG}; helm pin upgrade does it.")
        if beyond := plan.beyond_values():
            is_refused = any(image.why_unpinned and not image.is_let_through for image in plan.images)
            way = "" if is_refused else f"; helm pin upgrade pins {'it' if len(beyond) == 1 else 'them'}"
            images = show.listed_beyond(plan, [image.image for image in beyond])
            output.say(f"Incomplete: no value carries {images}{way}.")


def _refuse_reuse(*, partial: bool) -> None:
    """Report that plain helm would reuse other values. Raises Refused, unless --partial was given."""
    if partial:
        output.say(f"Incomplete: {_NO_FLAG}.")
        return
    raise Refused(
        "a values file is not enough here",
        why=_NO_FLAG,
        hint="deploy with helm pin upgrade, or give all values both here and to helm; --partial prints what it can",
    )


def _more(request: Request, plan: Plan) -> show.More:
    """What registries say beyond the digests, as far as it was requested."""
    from helmpin.plan import show

    verbose, settings = request.options["verbose"] and not request.settings.locked, request.settings
    if not (verbose or request.options["suggest"]):
        return show.NOTHING_MORE
    from helmpin.plan.credentials import keychain_of
    from helmpin.policy import is_fixed
    from helmpin.registry import details_of, suggest

    keychain = keychain_of(plan.rendered, settings)
    pinned = {i.image: i.reference._replace(digest=i.digest) for i in plan.images if i.reference and i.digest}
    details = details_of(pinned.values(), settings.registry, keychain) if verbose else {}
    moving = (
        [pinned[i.image] for i in plan.images if i.mutable and i.image in pinned] if request.options["suggest"] else []
    )
    versions = suggest(moving, settings.registry, keychain, may_write=partial(is_fixed, settings)) if moving else {}
    return show.More(
        {image: details[reference] for image, reference in pinned.items() if reference in details},
        {image: versions[reference] for image, reference in pinned.items() if reference in versions},
    )


def _refuse(request: Request, plan: Plan) -> None:
    shows_tries = request.options["verbose"]
    plan.refuse(mutable=request.settings.refuses_mutable, shows_tries=shows_tries)
