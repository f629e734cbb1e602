"""helm pin upgrade: pin every image of the chart, deploy, read back."""

from __future__ import annotations

from helmpin import lifeline
from helmpin.cli import Request
from helmpin.plan.deploy import deploy
from helmpin.plan.prepare import prepare


def run(request: Request) -> int:
    """Upgrade the release with every image by digest."""
    release, chart = request.positionals
    lifeline.if_stopped("nothing was deployed")
    with prepare(request, release, chart, command="upgrade") as prepared:
        return deploy(request.helm, prepared, refuse_mutable=request.settings.mutable == "refuse")
