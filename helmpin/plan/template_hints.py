"""What the text of a chart's templates shows about values and randomness. It needs no render, so it is read while helm makes the
first one."""

from __future__ import annotations

from collections.abc import Mapping

from helmpin.plan.template_scan import TemplateScan
from helmpin.render.nondeterminism import may_be_random


class TemplateHints:
    """The templates of a chart and its subcharts, with what their text shows."""

    def __init__(self, files: Mapping[str, str]) -> None:
        """files: the text of each template by its path, as Chart.template_files() gives it."""
        self.files = files
        self.random = frozenset(may_be_random(files))
        """The paths of the templates whose output may differ from render to render."""
        self._scans: dict[str, TemplateScan] = {}
        self.scan("")

    def scan(self, folder: str) -> TemplateScan:
        """The scan of the templates of the chart in `folder`: '' for the chart itself, `charts/db/` for a subchart. Made once."""
        if folder not in self._scans:
            own = [text for name, text in self.files.items() if name.startswith(f"{folder}templates/")]
            library = [
                text
                for name, text in self.files.items()
                if name.startswith(f"{folder}charts/") and name.rpartition("/")[2].startswith("_")
            ]
            self._scans[folder] = TemplateScan(own, library)
        return self._scans[folder]
