"""The settings of each of several charts, which may have a settings file of its own."""

from __future__ import annotations

from collections.abc import Iterable

from helmpin import config, output
from helmpin.config.file import find, is_named
from helmpin.config.settings import Settings
from helmpin.config.sources import LOGIN
from helmpin.env import ENVIRON
from helmpin.lint.charts import NotAChart, check_is_chart
from helmpin.request import Request


def with_settings_of(chart: str, request: Request) -> Request:
    """The request with the settings for one of its charts. Raises UsageError."""
    return request._replace(settings=_settings_of(chart, request))


def _settings_of(chart: str, request: Request) -> Settings:
    if is_named(request.options, ENVIRON):
        return request.settings
    found = find(chart)
    if found is None or str(found) == request.settings.file:
        return request.settings
    options = {name: value for name, value in request.options.items() if name != LOGIN}
    own = config.read(options, chart=chart)
    return own._replace(registry=request.settings.registry._replace(timeout=own.registry.timeout))


def say_allowances(charts: Iterable[str], request: Request) -> None:
    """Report what the settings files of several charts make less strict, each line once. Raises UsageError."""
    reported = set(request.settings.notes)
    for chart in charts:
        try:
            check_is_chart(chart)
        except NotAChart:
            continue
        for note in _settings_of(chart, request).notes:
            if note not in reported:
                reported.add(note)
                output.say(output.one_line(note))
