"""Which files of a chart may hold nothing: helm-pin stages what helm renders, and refuses what helm refuses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from helmpin.chart.stage import ChartSource, stage
from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from scripts.devtools.binaries import binary

HELMS = ["helm-old", "helm3", "helm4"]
NOTHING = ["", "# a comment\n", "---\n", "~\n", "{}\n", "dependencies:\n", "--- # a\n...\n"]
NAMES = ["requirements.yaml", "Chart.lock", "requirements.lock", "values.yaml"]


def made(folder: Path, names: Sequence[str], text: str) -> Path:
    """A chart with a subchart, whose files of these names hold a text."""
    chart = folder / "chart"
    for path, own in ((chart, "dependencies: [{name: sub, version: 1.0.0}]\n"), (chart / "charts" / "sub", "")):
        (path / "templates").mkdir(parents=True)
        (path / "Chart.yaml").write_text(f"apiVersion: v2\nname: {path.name}\nversion: 1.0.0\n{own}")
        (path / "templates" / "x.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
    if "requirements.yaml" in names:
        (chart / "Chart.yaml").write_text("apiVersion: v1\nname: chart\nversion: 1.0.0\n")
    for name in names:
        (chart / name).write_text(text)
    return chart


@pytest.mark.parametrize("text", NOTHING)
def test_what_helm_takes_for_nothing_is_staged(text: str, tmp_path: Path) -> None:
    """By each Helm, and what is staged too."""
    chart = made(tmp_path, NAMES, text)
    for helm in (Helm(str(binary(which))) for which in HELMS):
        assert helm.run(["template", str(chart)])
        with stage(ChartSource(str(chart)), helm) as staged:
            staged.source_to_paths("chart/charts/sub/templates/x.yaml")
            assert helm.run(["template", str(staged.archive())])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *((name, "a: [\n") for name in NAMES),
        ("requirements.yaml", "[]\n"),
        ("Chart.lock", "text\n"),
        ("requirements.lock", "3\n"),
        ("values.yaml", "[]\n"),
    ],
)
def test_what_helm_refuses_is_refused(name: str, text: str, tmp_path: Path) -> None:
    """By each Helm; what could be staged, by helm when it renders."""
    chart = made(tmp_path, [name], text)

    def staged_and_rendered(helm: Helm) -> None:
        with stage(ChartSource(str(chart)), helm) as staged:
            staged.source_to_paths("chart/charts/sub/templates/x.yaml")
            helm.run(["template", str(staged.archive())])

    for helm in (Helm(str(binary(which))) for which in HELMS):
        with pytest.raises(HelmFailed):
            helm.run(["template", str(chart)])
        with pytest.raises(HelmFailed):
            staged_and_rendered(helm)
