"""helm pin config: which settings are in force, and where each comes from."""

from __future__ import annotations

from typing import Any

from helmpin import config, output, structured
from helmpin.request import Request, chart_of_request


def run(request: Request) -> int:
    """Print the settings, or the schema of the settings file."""
    if request.options["schema"]:
        from helmpin.settings_schema import schema

        print(output.as_json(schema()))
        return 0
    found = config.in_force(request.options, chart=chart_of_request(request))
    form = request.options["output"]
    if form != "table":
        rows = [{"name": name, "value": value, "from": where} for name, value, where in found]
        structured.show({"file": request.settings.file or None, "settings": rows}, form)
        return 0
    output.write(f"settings file: {request.settings.file or 'none'}")
    if found:
        output.write("")
        output.write(
            output.table(["SETTING", "VALUE", "FROM"], [(name, _shown(value), where) for name, value, where in found])
        )
    return 0


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_shown(item)}" for name, item in value.items()) + "}"
    return str(value)
