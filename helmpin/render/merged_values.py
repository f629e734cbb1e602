"""The user's values as helm merges them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from helmpin.chart.setargs import ValuePath
from helmpin.errors import HelmFailed
from helmpin.helm import Helm, HelmProcess
from helmpin.private import Folder
from helmpin.render.helm_probe import one_template_chart
from helmpin.render.probe import PROBE_TEXT
from helmpin.render.values import ValuesInput

_WHOLE_NUMBERS = """\
{{- define "numbers" }}
{{- $path := .path }}
{{- if kindIs "map" .value }}
{{- range $key, $value := .value }}{{ template "numbers" dict "path" (append $path $key) "value" $value }}{{ end }}
{{- else if kindIs "slice" .value }}
{{- range $i, $value := .value }}{{ template "numbers" dict "path" (append $path $i) "value" $value }}{{ end }}
{{- else if kindIs "int64" .value }}
- {{ list $path .value | toJson }}
{{- end }}
{{- end }}
numbers:
{{- template "numbers" dict "path" list "value" .Values }}
"""
"""A template that prints each whole number of the values, which only --set gives, with its path, on a line."""


class MergedValues:
    """The user's value flags, merged by helm. The constructor starts helm; `result()` waits for it. Mutable."""

    def __init__(self, helm: Helm, given: ValuesInput) -> None:
        self._folder, self._given = Folder(), given
        self._running: HelmProcess = helm.start(
            ["template", "probe", one_template_chart(self._folder.path, PROBE_TEXT), *given.arguments]
        )
        self._values: Mapping[str, Any] | None = None

    def result(self) -> Mapping[str, Any]:
        """The values that the user gives, nulls included, as helm merges them. Raises HelmFailed."""
        if self._values is None:
            from helmpin.render.output import parse

            with self._folder:
                try:
                    self._values = parse(self._running.output()).values or {}
                except HelmFailed as error:
                    raise self._given.in_users_words(error) from None
        return self._values


@lru_cache(maxsize=1)
def whole_numbers(helm: Helm, given: ValuesInput) -> tuple[tuple[ValuePath, int], ...]:
    """The whole numbers among the values that the user gives, with their paths: for Helm int64, as only --set gives
    (pkg/strvals), and not float64, as in a values file. Raises HelmFailed."""
    with Folder() as folder:
        chart = one_template_chart(folder, _WHOLE_NUMBERS)
        printed = helm.run(["template", "probe", chart, *given.arguments])
    return tuple(_read(printed))


def _read(printed: str) -> Iterator[tuple[ValuePath, int]]:
    for line in printed.splitlines():
        if line.startswith("- "):
            path, number = json.loads(line[2:])
            yield tuple(path), number
