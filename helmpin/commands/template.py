"""helm pin template: the manifest with every image pinned, on standard output."""

from __future__ import annotations

import sys

from helmpin.arguments import words
from helmpin.plan.notes import say_outside, say_without_image
from helmpin.plan.outputs import manifest
from helmpin.plan.prepare import prepare
from helmpin.request import Request, release_and_chart

PRINTS = frozenset({"--show-only", "--output-dir", "--skip-tests", "--no-hooks", "--release-name"})
"""helm template's flags about what is printed, not what is rendered."""
CHECKS = frozenset({"--validate", "--dry-run"})
"""helm template's flags that have it ask the cluster."""


def run(request: Request) -> int:
    """Print the pinned manifest."""
    release, chart = release_and_chart(request)
    printing = words(f for f in request.flags if f.name in PRINTS)
    cluster_flags = words(f for f in request.flags if f.name in CHECKS)
    request = request._replace(flags=[f for f in request.flags if f.name not in PRINTS | CHECKS])
    with prepare(
        request, release, chart, command="template", cluster_flags=cluster_flags, will_install=False
    ) as prepared:
        plan = prepared.plan
        plan.refuse(mutable=request.settings.refuses_mutable)
        say_outside(plan)
        say_without_image(plan)
        probed = plan.render.values is not None  # a chart without images was rendered only once, with the probe
        is_real = plan.compared is plan.chart and not probed
        allowed = request.settings.allow_unpinned
        text = plan.render.text if is_real and not printing else manifest(plan, printing, allowed)
        sys.stdout.write(text)
    return 0
