"""Charts of a few files, in memory."""

from __future__ import annotations

from pathlib import Path

from helmpin.chart.archive import Budget, File
from helmpin.chart.stage import Chart
from helmpin.chart.tree import Tree

METADATA = "apiVersion: v2\nname: app\nversion: 1.0.0\n"


def small_chart(folder: Path, **files: str | bytes) -> Chart:
    """A chart of these files, with `__` for `/` and `_` for `.` in a name. folder: for its archives."""
    named = {name.replace("__", "/").replace("_", "."): text for name, text in files.items()}
    texts = {"Chart.yaml": METADATA, **named}
    data = {name: File(text if isinstance(text, bytes) else text.encode(), 0) for name, text in texts.items()}
    return Chart(Tree(data, Budget("app")), folder)
