"""helm pin diff: what an upgrade or a rollback would change, shown by the helm-diff plugin."""

from __future__ import annotations

from helmpin import env
from helmpin.arguments import Given, dry_run, is_on, with_switch, words
from helmpin.errors import UsageError
from helmpin.plan.prepare import prepare
from helmpin.request import Request, refuse_registry_flags


def run(request: Request) -> int:
    """Run helm-diff; the exit status is its own."""
    which, *rest = request.positionals
    if which == "rollback":  # both revisions are stored, with their digests
        refuse_registry_flags(request, "on diff rollback")
        return request.helm.show(["diff", "rollback", *rest, *words(request.flags), *_colour()])
    if which != "upgrade" or len(rest) != 2:
        raise UsageError(
            "helm pin diff takes upgrade RELEASE CHART, or rollback RELEASE REVISION",
            why=f"got: {' '.join(request.positionals)}",
        )
    release, chart = rest
    flags = request.flags
    if is_on(flags, "--allow-unreleased"):  # helm-diff's other name of helm's flag
        flags = with_switch(flags, "--install")
    command = "upgrade" if _asks_cluster(flags) else "template"
    with prepare(request._replace(flags=flags), release, chart, command=command) as prepared:
        plan = prepared.plan
        plan.refuse(mutable=request.settings.refuses_mutable)
        from helmpin.plan.notes import say_lock, say_without_image

        say_lock(plan)
        say_without_image(plan)
        arguments = [release, str(plan.chart.archive()), *prepared.arguments, *_colour()]
        return request.helm.show(["diff", "upgrade", *arguments])


def _colour() -> list[str]:
    """helm-diff's flag for the colours that helm-pin was asked for; its own flag is no longer on the command line."""
    return {"always": ["--color"], "never": ["--no-color"]}.get(env.colours(), [])


def _asks_cluster(flags: list[Given]) -> bool:
    """Whether helm-diff asks the cluster."""
    return dry_run(flags) != "client"
