"""`lint CHART --repo URL` where a folder beside it has the chart's name. Helm 4 takes the repository's chart, Helm 3 the folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.file_server import Server
from tests.support.workstation import Workstation

HERE = "# my own\nimage: nginx:1.25\n"
POD = """apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers: [{name: web, image: {{ .Values.image }}}]
"""


@pytest.fixture
def url(installed: Workstation, tmp_path: Path) -> Iterator[str]:
    """A repository with the chart `web`, whose folder in tmp_path has other values, a values file for tests, and settings."""
    chart, served = tmp_path / "web", tmp_path / "served"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 1.0.0\n")
    (chart / "values.yaml").write_text("image: nginx:1.27\n")
    (chart / "templates" / "pod.yaml").write_text(POD)
    installed.helm("package", str(chart), "-d", str(served))
    installed.helm("repo", "index", str(served))
    (chart / "values.yaml").write_text(HERE)
    (chart / "ci").mkdir()
    (chart / "ci" / "a-values.yaml").write_text("image: of-ci:latest\n")
    (chart / ".helm-pin.yaml").write_text('allow-unpinned: ["*1.2*"]\n')
    server = Server(served)
    yield server.url
    server.close()


@pytest.mark.parametrize("chart", ["web", "./web"])
def test_only_the_chart_that_helm_takes_is_judged(installed: Workstation, url: str, tmp_path: Path, chart: str) -> None:
    done = installed.pin("lint", chart, "--repo", url, cwd=tmp_path)
    found = done.stdout + done.stderr
    if not installed.helm4:
        assert "of-ci:latest" in found
        assert "nginx:1.27" not in found
    elif chart == "web":
        assert f"{url}/web/values.yaml:1: Pod/web: nginx:1.27" in found
        assert "of-ci" not in found
        assert "allow-unpinned" not in found
        assert done.status == 3
    else:  # no chart of the repository has that name
        assert done.status == 1
        assert "of-ci" not in found


@pytest.mark.parametrize("values", [(), ("-f", "more.yaml")])
def test_fix_leaves_a_folder_alone_that_helm_does_not_take(
    installed: Workstation, url: str, tmp_path: Path, values: tuple[str, ...]
) -> None:
    (tmp_path / "more.yaml").write_text("image: nginx:1.26\n")
    shutil.copytree(tmp_path / "web", tmp_path / "before")
    done = installed.pin("lint", "web", "--repo", url, "--fix", *values, cwd=tmp_path)
    if installed.helm4:
        assert f"Not fixed: {url}/web: it is in a repository" in done.stderr
        assert (tmp_path / "more.yaml").read_text() == "image: nginx:1.26\n"
        assert (tmp_path / "web" / "values.yaml").read_text() == HERE
    else:
        assert "it is in a repository" not in done.stderr


def test_a_folder_has_no_say_about_a_chart_of_the_same_name(installed: Workstation, url: str, tmp_path: Path) -> None:
    done = installed.pin("plan", "x", "web", "--repo", url, "--no-cluster", "--debug", cwd=tmp_path)
    file = f"settings file: {'none' if installed.helm4 else 'web/.helm-pin.yaml'}"
    assert file in done.stderr.replace(f"{tmp_path}/", "")
