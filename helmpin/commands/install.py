"""helm pin install: as upgrade, for a new release."""

from __future__ import annotations

from helmpin.cli import Request
from helmpin.pin.deploy import deploy
from helmpin.pin.naming import name_release
from helmpin.pin.prepare import prepare


def run(request: Request) -> int:
    """Install the release with every image by digest."""
    release, chart, flags = name_release(request.positionals, request.flags, request.helm)
    with prepare(request._replace(flags=flags), release, chart, command="install") as prepared:
        return deploy(request.helm, prepared, refuse_mutable=request.settings.mutable == "refuse")
