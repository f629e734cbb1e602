"""The file and line that explain why a chart could not be linted."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePath

from helmpin.chart.stage import Chart
from helmpin.errors import HelmPinError, Refused
from helmpin.lint.finding import Location, inside

_WORD = re.compile(r"[^\s()\"'<>]+")
"""As text/template and helm name a place: `template: web/templates/x.yaml:3:5: …`, `YAML parse error on web/templates/x.yaml`"""

_LOADED = re.compile(r"cannot load (\S+):")
_LINE = re.compile(r"\bline (\d{1,9})\b")


def failure_location(error: HelmPinError, chart: str, staged: Chart | None) -> Location:
    """The template and line that helm names last, the innermost one; else another file of the chart that it names; else its
    Chart.yaml, or what the user named, if that is no folder. chart: as the user names it."""
    places = list(_places(error.why, staged)) if staged else []
    if places:
        path, line = next((place for place in reversed(places) if place[1]), places[-1])
        return Location(inside(chart, path), line or 1)
    folder = Path(chart.strip())
    named = [*error.where, *_LOADED.findall(error.why)]
    if file := next((name for name in named if _is_in(folder, name)), ""):
        named_line = _LINE.search(error.why)
        return Location(inside(chart, file), int(named_line[1]) if named_line else 1)
    return Location(inside(chart, "Chart.yaml") if (folder / "Chart.yaml").is_file() else chart)


def _places(message: str, staged: Chart) -> Iterator[tuple[str, int]]:
    """The templates that a message names, and lines in them; 0 if it names none."""
    templates = staged.template_files()
    for word in _WORD.findall(message):
        source, _, rest = word.partition(":")
        if "/templates/" in source and (path := template_path(source, staged, templates)):
            digits = rest.partition(":")[0]
            yield path, int(digits) if digits.isdecimal() and len(digits) < 10 else 0


def _is_in(folder: Path, name: str) -> bool:
    """Whether a folder has a file, whose name may be anything."""
    path = PurePath(name)
    is_below = not path.is_absolute() and os.pardir not in path.parts
    return is_below and os.path.isfile(folder / name)  # noqa: PTH113  Path has errors for a name that is too long


def template_path(source: str, staged: Chart, templates: Collection[str]) -> str:
    """The path in a chart of what helm names; '' if there is none."""
    try:
        known = staged.source_to_paths(source)
    except Refused:
        return ""
    return next((path for path in known if path in templates), "")
