"""Names of releases that helm makes up, and helm-pin like it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helmpin.arguments import Given
from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from helmpin.release.release_name import name_release
from scripts.devtools.binaries import binary


@pytest.fixture
def charts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory, with a chart called `my.chart-1.2` and archives of it."""
    folder = tmp_path / "my.chart-1.2"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: app\nversion: 1.2.3\n")
    (folder / "templates" / "x.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
    monkeypatch.chdir(tmp_path)
    Helm(str(binary("helm4"))).run(["package", str(folder)])
    (tmp_path / "web-app-1.2.3.tar.gz").write_bytes((tmp_path / "app-1.2.3.tgz").read_bytes())


@pytest.mark.usefixtures("charts")
@pytest.mark.parametrize(
    "chart", ["my.chart-1.2", "./my.chart-1.2/", "./my.chart-1.2/.", "app-1.2.3.tgz", "./web-app-1.2.3.tar.gz"]
)
def test_a_name_from_the_chart(chart: str) -> None:
    """Helm 4 says the name without a cluster."""
    helm = Helm(str(binary("helm4")))
    made = json.loads(helm.run(["install", "--generate-name", chart, "--dry-run=client", "--output=json"]))["name"]
    ours, _, _ = name_release([chart], [Given("--generate-name", None, ("--generate-name",))], helm)
    assert ours.rpartition("-")[0] == made.rpartition("-")[0]


@pytest.mark.parametrize("which", ["helm-old", "helm3", "helm4"])
def test_a_name_from_a_pattern(which: str) -> None:
    def name(pattern: str) -> str:
        flag = Given("--name-template", pattern, ("--name-template", pattern))
        return name_release(["chart"], [flag], Helm(str(binary(which))))[0]

    assert name("web-{{ add 1 2 }}") == "web-3"
    with pytest.raises(HelmFailed):
        name("{{ nothing }}")
