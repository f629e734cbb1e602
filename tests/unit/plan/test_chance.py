"""Renders with other random results."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from helmpin.errors import HelmFailed, HelmPinError, HelmStopped, Refused
from helmpin.plan.chance import OtherRender, refuse_chance
from helmpin.render.output import Render, parse
from tests.support.renders import pod


def render(*images: str) -> Render:
    return parse("".join(f"---\n# Source: app/templates/p{n}.yaml\n{pod(image)}" for n, image in enumerate(images)))


def judged(again: Render | HelmPinError, *allowed: str) -> None:
    """Judge a render of web:1 where a second one gives this."""

    def second(*_: Any, **__: Any) -> Render:
        if isinstance(again, HelmPinError):
            raise again
        return again

    chart = SimpleNamespace(repeated=list)
    rendered: Any = SimpleNamespace(origin=render("web:1"), renderer=SimpleNamespace(render=second), chart=chart)
    refuse_chance(rendered, [OtherRender(cast("Any", chart), cast("Any", None))], allowed)


def test_the_same_images_whatever_the_results() -> None:
    judged(render("web:1"))


@pytest.mark.parametrize("images", [("web:2",), ("web:1", "box:1"), ()])
def test_other_images_are_refused(images: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match="the chart chooses images by chance"):
        judged(render(*images))
    if "box:1" in images:
        judged(render(*images), "box:*")


def test_a_render_that_fails_by_chance_does_no_harm() -> None:
    judged(HelmFailed("helm template failed"))


def test_a_render_that_was_stopped_stops_the_command() -> None:
    with pytest.raises(HelmStopped):
        judged(HelmStopped("helm was killed"))
