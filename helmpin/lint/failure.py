"""Where the reason stands why a chart could not be linted."""

from __future__ import annotations

import re
from pathlib import Path

from helmpin.chart.stage import Chart
from helmpin.errors import HelmPinError, Refused
from helmpin.lint.finding import Location, inside

_TEMPLATE = re.compile(r"([^\s:()\"'<>]+/templates/[^\s:()\"'<>]+)(?::(\d+))?")
"""As text/template and helm name a place: `template: web/templates/x.yaml:3:5: …`, `YAML parse error on web/templates/x.yaml`"""

_LOADED = re.compile(r"cannot load (\S+):")
_LINE = re.compile(r"\bline (\d+)")


def failure_location(error: HelmPinError, chart: str, staged: Chart | None) -> Location:
    """The template and line that helm names last, the innermost one; else another file of the chart that it names; else its
    Chart.yaml, or what the user named, if that is no folder. chart: as the user names it."""
    found = [match for match in _TEMPLATE.finditer(error.why) if staged and _path(match[1], staged)]
    if staged and (match := next((m for m in reversed(found) if m[2]), next(reversed(found), None))):
        return Location(inside(chart, _path(match[1], staged)), int(match[2] or 1))
    folder = Path(chart.strip())
    named = [*error.where, *_LOADED.findall(error.why)]
    if file := next((name for name in named if not Path(name).is_absolute() and (folder / name).is_file()), ""):
        line = _LINE.search(error.why)
        return Location(inside(chart, file), int(line[1]) if line else 1)
    return Location(inside(chart, "Chart.yaml") if (folder / "Chart.yaml").is_file() else chart)


def _path(source: str, staged: Chart) -> str:
    """The path in a chart of what helm names; '' if there is none."""
    try:
        known = staged.source_to_paths(source)
    except Refused:
        return ""
    return next((path for path in known if path in staged.template_files()), "")
