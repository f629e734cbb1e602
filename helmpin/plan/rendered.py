"""What a plan is made from: the chart as plain helm would deploy it, with the values that it was rendered with."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from helmpin.errors import HelmFailed, HelmStopped
from helmpin.named_tuple import NamedTuple
from helmpin.render.probe import PROBE

if TYPE_CHECKING:
    from helmpin.chart.setargs import Setting
    from helmpin.chart.stage import Chart
    from helmpin.helm import HelmProcess
    from helmpin.render.output import Render
    from helmpin.render.renderer import Renderer

LACKS_KIND = re.compile(r"no matches for kind|ensure CRDs are installed")
"""Helm's messages about an object whose kind the cluster does not have."""


class Rendered(NamedTuple):
    """The chart as plain helm would deploy it."""

    chart: Chart
    """Without anything of helm-pin's."""
    compared: Chart
    """The same with fixed results in place of random ones (render/repeatable.py). What is compared is made from it."""
    is_fixed: bool
    """Whether its templates make nothing at random any more, as far as their text shows; not if helm fails with fixed results."""
    plain: Render
    """As plain helm would deploy it, after the user's post-renderer, if there is one."""
    origin: Render
    """As the templates print it, before a post-renderer; with helm's computed values."""
    renderer: Renderer
    """The renderer that made `plain`."""
    pinning: Callable[[Sequence[Setting]], Renderer]
    """The renderer to use if these values are set."""
    given: Mapping[str, Any]
    """The values that the user gives now."""
    kept: Mapping[str, Any]
    """The user's values that the release will keep: `given`, and the reused ones."""


def render_with_probe(
    chart: Chart,
    compared: Chart,
    probe: str,
    renderer: Renderer,
    begun: HelmProcess | None,
    given: Mapping[str, Any],
    kept: Mapping[str, Any],
) -> Rendered:
    """Render a chart, with its post-renderer if there is one. Raises HelmFailed.

    compared: as Rendered has it; if helm fails, the chart itself is rendered, since it may succeed, and otherwise helm's message
    has the chart's own words. probe: the text of the probe. begun: the render of `compared` with it, if it has been started. given,
    kept: as Rendered has them.
    """
    try:
        origin = _origin(compared.with_files({PROBE: probe}), renderer, begun)
        plain = renderer.render(compared) if renderer.post_renderer else origin
    except HelmStopped:
        raise
    except HelmFailed:
        if compared is chart:
            raise
        return render_with_probe(chart, chart, probe, renderer, None, given, kept)._replace(is_fixed=False)
    return Rendered(
        chart=chart,
        compared=compared,
        is_fixed=True,
        plain=plain,
        origin=origin,
        renderer=renderer,
        pinning=lambda _: renderer,
        given=given,
        kept=kept,
    )


def _origin(probed: Chart, renderer: Renderer, begun: HelmProcess | None) -> Render:
    """What the templates print, with helm's values. Raises HelmFailed."""
    try:
        origin = renderer.render(probed, post_render=False, begun=begun)
    except HelmFailed as error:
        if not (renderer.post_renderer and renderer.asks_cluster and LACKS_KIND.search(error.why)):
            raise
        origin = renderer.render(probed)  # the post-renderer may take out what the cluster lacks
    if origin.values is None:
        raise HelmFailed(
            "cannot read the chart's values",
            why="the chart or the post-renderer dropped or renamed the ConfigMap with which helm-pin reads them",
            hint="have the post-renderer pass objects unchanged that it does not know, such as ConfigMap/helm-pin-values",
        )
    return origin
