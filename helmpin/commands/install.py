"""helm pin install: as upgrade, for a new release."""

from __future__ import annotations

from helmpin import lifeline
from helmpin.cli import Request
from helmpin.pin.deploy import deploy, is_dry_run
from helmpin.pin.naming import name_release
from helmpin.pin.outcome import Baseline
from helmpin.pin.prepare import prepare


def run(request: Request) -> int:
    """Install the release with every image by digest."""
    lifeline.if_stopped("nothing was deployed")
    release, chart, flags = name_release(request.positionals, request.flags, request.helm)
    baseline = None if is_dry_run(flags) else Baseline(request.helm, release)
    with prepare(request._replace(flags=flags), release, chart, command="install") as prepared:
        refuse_mutable = request.settings.mutable == "refuse"
        return deploy(request.helm, prepared, refuse_mutable=refuse_mutable, baseline=baseline)
