"""helm pin install: as upgrade, for a new release."""

from __future__ import annotations

from helmpin import lifeline
from helmpin.cli import Request
from helmpin.plan.deploy import deploy, is_dry_run
from helmpin.plan.prepare import prepare
from helmpin.release.outcome import Baseline
from helmpin.release.release_name import name_release


def run(request: Request) -> int:
    """Install the release with every image by digest."""
    lifeline.if_stopped("nothing was deployed")
    release, chart, flags = name_release(request.positionals, request.flags, request.helm)
    baseline = None if is_dry_run(flags) else Baseline(request.helm, release)
    with prepare(request._replace(flags=flags), release, chart, command="install") as prepared:
        refuse_mutable = request.settings.mutable == "refuse"
        return deploy(request.helm, prepared, refuse_mutable=refuse_mutable, baseline=baseline)
