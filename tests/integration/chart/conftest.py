"""Real helms, each with a home of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from helmpin.helm import Helm
from scripts.devtools.binaries import binary
from tests.support.charts import MakeChart


@pytest.fixture(params=["helm3", "helm4"])
def helm(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Helm:
    """A helm that knows no repository and no plugin."""
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith("HELM_")]:
        monkeypatch.delenv(name)
    for name in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"HELM_{name}_HOME", str(home / name.lower()))
    return Helm(str(binary(request.param)))


@pytest.fixture
def make_chart(helm: Helm, tmp_path: Path) -> MakeChart:
    """Makes charts with `helm create`."""
    return MakeChart(helm, tmp_path / "charts")
