"""Where a chart fails, whatever its messages name."""

from __future__ import annotations

from pathlib import Path

import pytest

from helmpin.chart.stage import ChartSource, stage
from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from helmpin.lint.failure import failure_location
from helmpin.lint.finding import Location


@pytest.mark.parametrize("name", ["a" * 5000, "../other.yaml", "/etc/hostname", "gone.yaml", "a\0b"])
def test_a_message_that_names_no_file_of_the_chart(name: str, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").touch()
    (tmp_path / "web").mkdir()
    (tmp_path / "web/Chart.yaml").touch()
    error = HelmFailed("helm template failed", where=name, why=f"cannot load {name}: line 3")
    assert failure_location(error, f"{tmp_path}/web", None) == Location(f"{tmp_path}/web/Chart.yaml")


@pytest.mark.parametrize("name", ["a" * 5000, "../other.yaml", "/etc/hostname", "web/templates/none.yaml:7"])
def test_a_message_that_names_another_file_too(name: str, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").touch()
    (tmp_path / "web/templates").mkdir(parents=True)
    (tmp_path / "web/templates/0.yaml").touch()
    (tmp_path / "web/Chart.yaml").write_text("name: web\nversion: 1.0.0\n")
    why = f"execution error at (web/templates/0.yaml:1:3): cannot load {name}: {name}"
    with stage(ChartSource(f"{tmp_path}/web"), Helm("never-run")) as staged:
        found = failure_location(HelmFailed("helm template failed", why=why), f"{tmp_path}/web", staged)
    assert found == Location(f"{tmp_path}/web/templates/0.yaml", 1)


def test_a_chart_that_is_no_folder() -> None:
    assert failure_location(HelmFailed("no"), "oci://host/web", None) == Location("oci://host/web")
