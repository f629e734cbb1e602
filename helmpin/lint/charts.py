"""Which charts a command line means, and the values files that a chart brings for its tests."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from helmpin.arguments import last
from helmpin.chart.stage import prefers_repository
from helmpin.config.file import FILE as SETTINGS
from helmpin.errors import UsageError
from helmpin.files import reason
from helmpin.lint.finding import path_here
from helmpin.request import Request


class Skipped(Exception):
    """There is nothing to lint; the message says why."""


class NotAChart(Skipped):
    """It is not a chart at all."""


def chart_here() -> str:
    """The chart in the working directory, as helm lint takes it. Raises UsageError."""
    if not Path("Chart.yaml").is_file():
        raise UsageError(
            "no chart is named", why="the working directory has no Chart.yaml", hint="helm pin lint CHART…"
        )
    return os.curdir


def charts_of(request: Request) -> list[str]:
    """The charts that a command line names, without duplicates; without any, the one in the working directory. Raises
    UsageError."""
    named = request.positionals or [chart_here()]
    if prefers_repository(last(request.flags, "--repo"), request.helm):
        return list(dict.fromkeys(named))
    return local_charts(named)


def local_charts(names: Iterable[str]) -> list[str]:
    """The charts that paths stand for, without duplicates. A file in a chart stands for the chart (pre-commit names files), and a
    settings file for all charts below it."""
    return list(dict.fromkeys(chart for name in map(_chart_of, names) for chart in _charts_below(name)))


def _chart_of(name: str) -> str:
    name = path_here(name)
    path = Path(name)
    if not path.is_file() or path.suffix in (".tgz", ".gz"):
        return name
    charts = [folder for folder in path.parents if (folder / "Chart.yaml").is_file()]
    above = [folder for folder in path.absolute().parents if (folder / "Chart.yaml").is_file()]
    return str(charts[-1]) if charts else os.path.relpath(above[0]) if above else name


def _charts_below(name: str) -> list[str]:
    """The charts for which a settings file is meant, without their subcharts; anything else stands for itself."""
    if Path(name).name != SETTINGS or not Path(name).is_file():
        return [name]
    found = []
    for folder, folders, files in os.walk(Path(name).parent):
        is_chart = "Chart.yaml" in files
        found += [os.path.normpath(folder)] if is_chart else []
        folders[:] = [] if is_chart else sorted(each for each in folders if not each.startswith("."))
    return found or [name]


def from_repository(chart: str, request: Request) -> bool:
    """Whether helm takes a chart from the repository that the command line names (--repo), not from a local path."""
    repository = last(request.flags, "--repo")
    is_local = os.path.exists(chart) and not prefers_repository(repository, request.helm)  # noqa: PTH110
    return bool(repository) and not is_local


def name_of(chart: str, request: Request) -> str:
    """A chart for reports: its path, or a URL below that of the repository, which is no path here."""
    repository = last(request.flags, "--repo") or ""
    return f"{repository.rstrip('/')}/{chart}" if from_repository(chart, request) else chart


def check_is_chart(chart: str) -> None:
    """Raise NotAChart for a local file or folder that is not a chart: `charts/*` may match some. A file with an archive's name is
    meant as a chart, whatever it holds."""
    path = Path(chart.strip())
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return  # helm may know it
    except OSError as error:  # as for a name that is too long
        raise NotAChart(reason(error)) from None
    if path.is_dir():
        if not (path / "Chart.yaml").exists():
            raise NotAChart("there is no Chart.yaml in it")
    elif path.name.endswith((".tgz", ".tar.gz")) and path.is_file():
        return
    elif path.is_file() and os.access(path, os.R_OK):
        with path.open("rb") as file:
            if file.read(2) != b"\x1f\x8b":  # gzip (RFC 1952)
                raise NotAChart("it is not a chart")
    elif path.exists() and not path.is_file() and path.parts[:2] != ("/", "dev"):  # <(…) is in /dev/fd
        raise NotAChart("it is no file")


def ci_values(chart: str) -> list[Path]:
    """The values files that chart-testing renders a chart with: `ci/*-values.yaml` (github.com/helm/chart-testing)."""
    folder = Path(chart.strip()) / "ci"
    return [path for path in sorted(folder.glob("*-values.yaml")) if path.is_file()]


def set_name(ci: Path | None) -> str:
    """How reports name a set of values: by its file in the chart's ci folder; '' for the chart's defaults."""
    return f"ci/{ci.name}" if ci else ""
