"""helm pin config: which settings are in force, and where each comes from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from helmpin import config, output, structured
from helmpin.config.settings import Exemption
from helmpin.errors import HelmFailed
from helmpin.request import Request, chart_of_request


def run(request: Request) -> int:
    """Print the settings, or the schema of the settings file."""
    if request.options["schema"]:
        from helmpin.settings_schema import schema

        print(output.as_json(schema()))
        return 0
    chart = chart_of_request(request)
    _refuse_missing(chart)
    found = config.in_force(request.options, chart=chart)
    form = request.options["output"]
    if form != "table":
        rows = [{"name": name, "value": value, "from": where} for name, value, where in found]
        structured.show({"file": request.settings.file or None, "settings": rows}, form)
        return 0
    output.write(f"settings file: {request.settings.file or 'none'}")
    output.write("")
    shown = [(name, text, where) for name, value, where in found for text in _rows(name, value)]
    output.write(output.table(["SETTING", "VALUE", "FROM"], shown))
    return 0


def _refuse_missing(chart: str) -> None:
    """Raise HelmFailed for a chart that is not there: another settings file than the one that it stands for would be shown."""
    if chart and "://" not in chart and not os.path.exists(chart):  # noqa: PTH110 (Path has errors for some names)
        raise HelmFailed(
            "chart not found",
            where=chart,
            why="there is no such file or directory, so there is no place to look for its settings file",
            hint="name the chart's folder or archive; for a chart from a repository leave it out",
        )


def _rows(name: str, value: Any) -> Sequence[str]:
    """The value for people: an element of a list on each row."""
    if isinstance(value, (list, tuple)):
        return [_exemption(each) if name == "allow-unpinned" else _shown(each) for each in value] or ["-"]
    return ["-" if value is None else _shown(value)]


def _exemption(value: Any) -> str:
    if not isinstance(value, dict):
        return _shown(value)
    exemption = Exemption(str(value["image"]), str(value["reason"]), str(value["until"]), "")
    return exemption.shown + (": over" if exemption.is_over() else "")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_shown(item)}" for name, item in value.items()) + "}"
    return str(value)
