"""What a plan is made from: the chart as plain helm would deploy it, with the values that it was rendered with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from helmpin.chart.setargs import Setting
    from helmpin.chart.stage import Chart
    from helmpin.render.output import Render
    from helmpin.render.renderer import Renderer


class Rendered(NamedTuple):
    """The chart as plain helm would deploy it."""

    chart: Chart
    """Without anything of helm-pin's."""
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
