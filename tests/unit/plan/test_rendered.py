"""The plain render, with the values that the probe prints. What helm prints is the test's word."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from helmpin.errors import HelmFailed
from helmpin.plan.rendered import Rendered, render_with_probe
from helmpin.render.probe import HOOK_TEXT, PROBE
from tests.support.plans import Ask, Renderer, chart
from tests.support.renders import pod, probe

VALUES = {"tag": "1"}
LACKS = 'no matches for kind "Widget" in version "example.com/v1"'
THROUGH = ["--post-renderer", "./edit"]


def made(folder: Path, renderer: Renderer) -> Rendered:
    """The render of a chart without templates of its own."""
    plain = chart(folder)
    return render_with_probe(plain, plain, HOOK_TEXT, cast("Any", renderer), None, {"a": 1}, {"a": 2})


def says(ask: Ask) -> str:
    """What helm prints of a chart, whose pod the post-renderer changes."""
    if PROBE in ask.files:
        return pod("web:1") + probe(PROBE, {"values": VALUES})
    return pod("web:2")


def images(render: Any) -> list[str]:
    return [use.image for use in render.images()]


def test_one_render_gives_the_objects_and_the_values(tmp_path: Path) -> None:
    renderer = Renderer(says)
    found = made(tmp_path, renderer)
    assert found.plain is found.origin
    assert (images(found.plain), found.origin.values) == (["web:1"], VALUES)
    assert (found.given, found.kept) == ({"a": 1}, {"a": 2})
    assert PROBE not in found.chart.template_files()
    assert found.pinning(()) is found.renderer
    assert len(renderer.asked) == 1


def test_a_post_renderer_gets_the_chart_without_the_probe(tmp_path: Path) -> None:
    renderer = Renderer(says, THROUGH)
    found = made(tmp_path, renderer)
    assert (images(found.origin), images(found.plain)) == (["web:1"], ["web:2"])
    assert [(PROBE in ask.files, ask.post_render) for ask in renderer.asked] == [(True, False), (False, True)]


def test_a_chart_that_drops_the_probe_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HelmFailed, match="cannot read the chart's values"):
        made(tmp_path, Renderer(lambda _: pod("web:1")))


@pytest.mark.parametrize("why", [LACKS, "resource mapping not found: ensure CRDs are installed first"])
def test_a_kind_that_the_cluster_lacks_may_be_replaced_by_the_post_renderer(tmp_path: Path, why: str) -> None:
    def text(ask: Ask) -> str:
        if not ask.post_render:
            raise HelmFailed("helm failed", why=why)
        return pod("web:2") + (probe(PROBE, {"values": VALUES}) if PROBE in ask.files else "")

    found = made(tmp_path, Renderer(text, THROUGH, dry_run="server"))
    assert (images(found.plain), found.origin.values) == (["web:2"], VALUES)


@pytest.mark.parametrize(
    ("why", "post_renderer", "dry_run"),
    [(LACKS, [], "server"), (LACKS, THROUGH, ""), ("parse error", THROUGH, "server")],
)
def test_any_other_failure_is_helms(tmp_path: Path, why: str, post_renderer: list[str], dry_run: str) -> None:
    def fails(_: Ask) -> str:
        raise HelmFailed("helm failed", why=why)

    renderer = Renderer(fails, post_renderer, dry_run=dry_run)
    with pytest.raises(HelmFailed) as caught:
        made(tmp_path, renderer)
    assert caught.value.why == why
    assert len(renderer.asked) == 1
