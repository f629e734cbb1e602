"""The user's values as helm merges them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helmpin.errors import HelmFailed
from helmpin.helm import Helm, HelmProcess
from helmpin.private import Folder
from helmpin.render.helm_probe import one_template_chart
from helmpin.render.probe import PROBE_TEXT
from helmpin.render.values import ValuesInput


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
