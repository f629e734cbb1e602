"""Images that a chart chooses by chance: with other random results it has others, so a plan would not hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress

from helmpin.chart.stage import Chart
from helmpin.errors import HelmFailed, HelmStopped, Refused
from helmpin.helm import HelmProcess
from helmpin.named_tuple import NamedTuple
from helmpin.plan.rendered import Rendered
from helmpin.policy import is_allowed
from helmpin.render.output import Render
from helmpin.render.repeatable import others
from helmpin.templates.hints import TemplateHints

AGAIN = 3
"""How many more renders are made where no other results are to be had."""


class OtherRender(NamedTuple):
    """A render with other random results, which has begun."""

    chart: Chart
    process: HelmProcess


def start_others(rendered: Rendered, hints: TemplateHints) -> list[OtherRender]:
    """Start the renders with other random results, if these may reach images: if a template uses a result, and prints images or may
    change what others see. hints: for the templates."""
    if rendered.compared is rendered.chart or not (hints.share_results or _print_images(rendered, hints.using_results)):
        return []
    return [OtherRender(chart, rendered.renderer.start(chart)) for chart in others(rendered.compared)]


def start_again(rendered: Rendered, random: AbstractSet[str]) -> list[OtherRender]:
    """Start more plain renders, if images come from sources that are `random`: no fixed results are to be had for these."""
    if random.isdisjoint(use.source for use in rendered.origin.images()):
        return []
    return [OtherRender(rendered.compared, rendered.renderer.start(rendered.compared)) for _ in range(AGAIN)]


@contextmanager
def ended(begun: Sequence[OtherRender]) -> Iterator[Sequence[OtherRender]]:
    """Renders that have begun. At the end of the block, those that still run are stopped."""
    try:
        yield begun
    finally:
        for other in begun:
            other.process.stop(grace=0)


def refuse_chance(rendered: Rendered, begun: Sequence[OtherRender], allowed: Collection[str]) -> None:
    """Raise Refused if another render has other images, or more of them. allowed: globs of those that may be unpinned."""
    before = _uses(rendered.origin, allowed)
    for other in begun:
        try:
            again = rendered.renderer.render(other.chart, post_render=False, begun=other.process)
        except HelmStopped:
            raise
        except HelmFailed:  # it fails by chance, which does no harm
            continue
        if before != (after := _uses(again, allowed)):
            raise Refused(
                "the chart chooses images by chance",
                where=sorted({source for source, *_ in (before - after) + (after - before)}),
                why=f"with some random results it has {_images(rendered.origin)}\nwith others it has {_images(again)}",
                hint=_way_out(rendered.chart),
            )


def _way_out(chart: Chart) -> str:
    """What to do about images that change from render to render."""
    if twice := "; ".join(", ".join(charts) for _, charts in chart.repeated()):
        return f"these subcharts have one name, and Helm takes now one, now another: keep one of {twice}"
    return "have the template choose them by a value, or sort what it lists with keys or values (sortAlpha)"


def _print_images(rendered: Rendered, paths: AbstractSet[str]) -> bool:
    """Whether one of these templates prints an image."""
    for source in {use.source for use in rendered.origin.images()}:
        with suppress(Refused):  # only a template printed the `# Source:` line
            if not paths.isdisjoint(rendered.chart.source_to_paths(source)):
                return True
    return False


def _uses(render: Render, allowed: Collection[str]) -> Counter[tuple[str, ...]]:
    """What a render runs, whatever the names of objects and containers."""
    uses = (use for use in render.images() if not is_allowed(use.image, allowed))
    return Counter((use.source, use.kind, use.image) for use in uses)


def _images(render: Render) -> str:
    images = Counter(use.image for use in render.images())
    return ", ".join(image if n == 1 else f"{image} ({n} times)" for image, n in images.items()) or "none"
