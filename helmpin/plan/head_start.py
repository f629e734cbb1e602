"""A head start for the render that confirms a plan: it runs beside the plain render instead of after it.

While no tag moves, a chart's first attempt is the same as last time. So helm's cache keeps what that attempt changes in the chart,
and the strings that it sets, and its render is begun with them. The plan takes it only if it arrives at the very same chart and
command itself; otherwise the render is ended unread. Nothing that is kept can change what a plan finds, or give helm another flag
than --set-string.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from helmpin import env
from helmpin.cache import folder, read, write
from helmpin.errors import HelmPinError
from helmpin.named_tuple import NamedTuple
from helmpin.release.record import now

if TYPE_CHECKING:
    from helmpin.chart.stage import Chart
    from helmpin.helm import HelmProcess
    from helmpin.render.renderer import Renderer

MOST_KEPT = 64
"""How many attempts are kept."""
STRING = "--set-string"
_CREATED = "{created}"
"""What stands for the time of the plan in what is kept."""


class First(NamedTuple):
    """The first attempt of a plan."""

    files: Mapping[str, str]
    """The text of each file that it changes in the chart, by path."""
    strings: Sequence[str]
    """What it sets, as --set-string takes it."""

    @property
    def arguments(self) -> list[str]:
        """helm's arguments."""
        return [word for text in self.strings for word in (STRING, text)]


class HeadStart:
    """The render of a first attempt, begun before the plan arrives at it. Mutable."""

    def __init__(self, renderer: Renderer, chart: Chart) -> None:
        """Begin it, if an attempt is kept. renderer: has no post-renderer. chart: what attempts are made from."""
        self.created = now()
        """When the record is made, which is in the attempt."""
        self._renderer, self._chart = renderer, chart
        self._key = _key(renderer, chart)
        self._file = folder() / f"attempt-{self._key % MOST_KEPT}.json"
        self._kept = self._read()
        self._process = self._begin(self._kept) if self._kept else None

    def take(self, renderer: Renderer, chart: Chart, arguments: Sequence[str]) -> HelmProcess | None:
        """The render of this first attempt, if it was begun. It belongs to the caller then."""
        first = First(chart.changes_from(self._chart), list(arguments[1::2]))
        # a map or list that is set whole, by another flag (setargs.py), may have any value of the user's in it
        may_be_kept = renderer == self._renderer and list(arguments) == first.arguments
        if may_be_kept and first == self._kept:
            process, self._process = self._process, None
            return process
        self.stop()
        if may_be_kept:
            self._keep(first)
        return None

    def stop(self) -> None:
        """End the render, if it was begun and nobody took it."""
        if self._process:
            self._process.stop(grace=0)
        self._process = None

    def _begin(self, first: First) -> HelmProcess | None:
        try:
            chart = self._chart.with_files(first.files)
            return self._renderer.helm.start(self._renderer.arguments(chart, first.arguments))
        except (
            HelmPinError,
            OSError,
            ValueError,
        ):  # not what was kept here; or the plan will say so, if it makes this attempt
            return None

    def _read(self) -> First | None:
        try:
            kept = json.loads(read(self._file))
            if kept["key"] != self._key:
                return None
            files = {str(path): str(text).replace(_CREATED, self.created) for path, text in kept["files"].items()}
            return First(files, [str(text) for text in kept["strings"]])
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return None

    def _keep(self, first: First) -> None:
        files = {path: text.replace(self.created, _CREATED) for path, text in first.files.items()}
        write(self._file, json.dumps({"key": self._key, "files": files, "strings": first.strings}))


def _key(renderer: Renderer, chart: Chart) -> int:
    """A checksum of the command, the user's values and Chart.yaml. Of the values it has one byte: that tells most others apart, and
    tells nobody a value."""
    copies = [copy for copy, _ in renderer.values.originals]
    given = json.dumps([word for word in renderer.values.arguments if not any(copy in word for copy in copies)])
    values = zlib.crc32(given.encode(errors="surrogateescape"))
    for copy in copies:
        values = zlib.crc32(Path(copy).read_bytes(), values)
    command = json.dumps([renderer.helm.binary, env.namespace(), *renderer.command, *renderer.flags, values % 256])
    return zlib.crc32(f"{command}{chart.text('Chart.yaml')}".encode(errors="surrogateescape"))
