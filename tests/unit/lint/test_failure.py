"""Where a chart fails, whatever its messages name."""

from __future__ import annotations

from pathlib import Path

import pytest

from helmpin.errors import HelmFailed
from helmpin.lint.failure import failure_location
from helmpin.lint.finding import Location


@pytest.mark.parametrize("name", ["a" * 5000, "../other.yaml", "/etc/hostname", "gone.yaml", "a\0b"])
def test_a_message_that_names_no_file_of_the_chart(name: str, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").touch()
    (tmp_path / "web").mkdir()
    (tmp_path / "web/Chart.yaml").touch()
    error = HelmFailed("helm template failed", where=name, why=f"cannot load {name}: line 3")
    assert failure_location(error, f"{tmp_path}/web", None) == Location(f"{tmp_path}/web/Chart.yaml")


def test_a_chart_that_is_no_folder() -> None:
    assert failure_location(HelmFailed("no"), "oci://host/web", None) == Location("oci://host/web")
