"""helm pin install: like upgrade, for a new release."""

from __future__ import annotations

from helmpin import lifeline
from helmpin.arguments import dry_run, is_on
from helmpin.errors import HelmFailed
from helmpin.next_command import helm_command
from helmpin.plan.deploy import deploy
from helmpin.plan.prepare import prepare
from helmpin.release.outcome import NO_RELEASE, Baseline
from helmpin.release.release_name import name_release
from helmpin.request import Request


def run(request: Request) -> int:
    """Install the release with every image by digest."""
    lifeline.nothing_yet("nothing was deployed")
    release, chart, flags = name_release(request.positionals, request.flags, request.helm)
    baseline = None if dry_run(flags) != "none" else Baseline(request.helm, release)

    def may_deploy(_: object) -> None:
        before = baseline.latest() if baseline else NO_RELEASE
        replaces = is_on(flags, "--replace") and before.status in ("uninstalled", "failed")
        if before.revision and not replaces:  # pkg/action/install.go, availableName
            raise HelmFailed(
                "cannot reuse a name that is still in use",
                where=f"release {release}",
                why=f"revision {before.revision} is {before.status}",
                hint=_way_out(release, before.status),
            )

    with prepare(request._replace(flags=flags), release, chart, command="install", may_deploy=may_deploy) as prepared:
        refuse_mutable = request.settings.refuses_mutable
        return deploy(request.helm, prepared, refuse_mutable=refuse_mutable, baseline=baseline)


def _way_out(release: str, status: str) -> str:
    """What to do about a release that is there. status: that of its latest revision."""
    if status == "pending-install":
        return f"if no other helm is at work on it, {helm_command(f'uninstall {release}')} removes it; or choose another name"
    if status.startswith("pending-"):
        shows = helm_command(f"pin history {release}")
        return f"if no other helm is at work on it, roll it back: {shows} shows the revisions; or choose another name"
    if status == "uninstalled":
        return "add --replace, use helm pin upgrade --install, or choose another name"
    return "choose another name, or use helm pin upgrade to deploy another revision"
