"""Which files of a chart may hold nothing: helm-pin stages what helm renders, and refuses what helm refuses."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from helmpin.chart.stage import ChartSource, stage
from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from scripts.devtools.binaries import binary

NOTHING = ["", "# a comment\n", "---\n", "~\n", "{}\n", "dependencies:\n", "--- # a\n...\n"]
SOMETHING_ELSE = ["[]\n", "text\n", "3\n", "a: [\n"]


@pytest.mark.parametrize("name", ["requirements.yaml", "Chart.lock", "requirements.lock", "values.yaml"])
@pytest.mark.parametrize("text", [*NOTHING, *SOMETHING_ELSE])
@pytest.mark.parametrize("which", ["helm-old", "helm3", "helm4"])
def test_helm_and_helm_pin_accept_the_same(which: str, name: str, text: str, tmp_path: Path) -> None:
    chart = tmp_path / "chart"
    for folder, own in ((chart, "dependencies: [{name: sub, version: 1.0.0}]\n"), (chart / "charts" / "sub", "")):
        (folder / "templates").mkdir(parents=True)
        (folder / "Chart.yaml").write_text(f"apiVersion: v2\nname: {folder.name}\nversion: 1.0.0\n{own}")
        (folder / "templates" / "x.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
    if name == "requirements.yaml":
        (chart / "Chart.yaml").write_text("apiVersion: v1\nname: chart\nversion: 1.0.0\n")
    (chart / name).write_text(text)
    helm = Helm(str(binary(which)))
    accepted = subprocess.run([helm.binary, "template", chart], capture_output=True).returncode == 0
    assert accepted is (text in NOTHING)
    try:
        with stage(ChartSource(str(chart)), helm) as staged:
            staged.source_to_paths("chart/charts/sub/templates/x.yaml")
            assert helm.run(["template", str(staged.archive())])
    except HelmFailed:
        assert not accepted
    else:
        assert accepted
