"""From a request to a staged chart that pins every image: what upgrade, install, plan and template share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol

from helmpin.arguments import Given, is_on, words
from helmpin.pin.values import REUSE_FLAGS, VALUE_FLAGS, Values, value_arguments

if TYPE_CHECKING:
    from helmpin.config import Settings
    from helmpin.helm import Helm
    from helmpin.pin.plan import Plan


class Asked(Protocol):
    """What is needed of the command line's Request."""

    @property
    def flags(self) -> list[Given]: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def helm(self) -> Helm: ...


@contextmanager
def prepare(asked: Asked, release: str, chart: str, *, deploys: str = "") -> Iterator[Plan]:
    """Stage the chart, find its images, resolve and pin them; the staged chart lives as long as the block.

    deploys: `upgrade` or `install` when the plan will be deployed (then values are reused as helm would, and the record is
    written), '' for plan and template.
    Raises HelmPinError; images that cannot be pinned are in the plan, for the caller to refuse.
    """
    helm, settings = asked.helm, asked.settings
    with ExitStack() as stack:
        given = value_arguments(asked.flags, stack)
        values = Values(helm, release, asked.flags, given, deploys)
        # helm reads the release now, while Python reads the rest of helm-pin
        from helmpin.chart.stage import SOURCE_FLAGS, ChartSource, stage
        from helmpin.image.elsewhere import Also
        from helmpin.pin.plan import make_plan
        from helmpin.pin.rendering import Renderer
        from helmpin.registry import warm_up

        source = ChartSource(
            chart,
            tuple(words(f for f in asked.flags if f.name in SOURCE_FLAGS)),
            is_on(asked.flags, "--dependency-update"),
        )
        used = SOURCE_FLAGS | VALUE_FLAGS | REUSE_FLAGS | {"--dependency-update"}
        rest = [f for f in asked.flags if f.name not in used]
        staged = stack.enter_context(stage(source, helm))
        renderer = Renderer(helm, staged, release, rest, deploys, values, Also(settings.also))
        renderer.start()
        warm_up(settings.registry, *(["subprocess_tee"] if deploys else []))
        yield make_plan(renderer.first(), staged, renderer, values, settings, release, rest)
