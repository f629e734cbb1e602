"""helm pin upgrade: pin every image of the chart, deploy, read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helmpin import lifeline
from helmpin.arguments import is_on
from helmpin.errors import HelmFailed
from helmpin.next_command import helm_command
from helmpin.plan.deploy import deploy
from helmpin.plan.prepare import prepare
from helmpin.request import Request

if TYPE_CHECKING:
    from helmpin.release.previous import Previous


def run(request: Request) -> int:
    """Upgrade the release with every image by digest."""
    release, chart = request.positionals
    lifeline.nothing_yet("nothing was deployed")

    def may_deploy(previous: Previous | None) -> None:
        if is_on(request.flags, "--install") or not (previous is None or previous.installs_anew):
            return
        lists = helm_command("list --all-namespaces", namespace=None)
        if previous:
            why = f"it was uninstalled, and its history kept: revision {previous.last} is uninstalled"
            history = helm_command(f"pin history {release}")
            hint = f"add --install to install it again, or go back to a revision: {history}"
        else:
            why = "helm upgrade needs an existing release, and the namespace has none with this name"
            hint = f"add --install for a new release, or check the name and the namespace: {lists}"
        what = f"{release!r} has no deployed releases"
        raise HelmFailed(what, where=f"release {release}", why=why, hint=hint)

    with prepare(request, release, chart, command="upgrade", may_deploy=may_deploy) as prepared:
        return deploy(request.helm, prepared, refuse_mutable=request.settings.refuses_mutable)
