"""The values files that a chart is rendered with, and what they hold."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from helmpin import kube_yaml
from helmpin.chart.setargs import ValuePath, lookup
from helmpin.chart.stage import Chart
from helmpin.errors import HelmFailed
from helmpin.lint.finding import inside, path_here
from helmpin.named_tuple import NamedTuple
from helmpin.render.values import ValuesInput, values_flag
from helmpin.shapes import text_of


class ValuesFile(NamedTuple):
    """A values file."""

    name: str
    """As the user names it."""
    text: str
    prefix: ValuePath = ()
    """The path of the chart, for a subchart's values.yaml."""
    writable: bool = True
    """Whether it is a file that can be changed."""
    is_file: bool = True
    """Whether it is one at all, perhaps in an archive: not standard input, a pipe or a URL."""
    own: bool = False
    """Whether it is a values.yaml of the chart or a subchart."""

    def inner(self, path: ValuePath) -> ValuePath | None:
        """The path of a value within this file; None if it cannot be there. Globals can be in any chart's file."""
        if path[: len(self.prefix)] == self.prefix:
            return path[len(self.prefix) :]
        return path if path[:1] == ("global",) else None

    @property
    def documents(self) -> list[Any]:
        """Its YAML documents: Helm 3 reads the first, Helm 4 merges them. None for what is not YAML."""
        return _documents(self.text)

    def is_unclear(self, inner: ValuePath) -> bool:
        """Whether a later document may give the value at a path too, so that the first one does not decide it."""
        return any(isinstance(each, dict) and inner[:1] and inner[0] in each for each in self.documents[1:])

    def held(self, inner: ValuePath) -> Any:
        """The value at a path in the first document; None if there is none."""
        return lookup(next(iter(self.documents), None), inner)

    def held_text(self, inner: ValuePath) -> str:
        """The text of the value at a path; '' for none."""
        return text_of(self.held(inner))


@lru_cache(64)
def _documents(text: str) -> list[Any]:
    try:
        return kube_yaml.read_all(text, what="not YAML", where="")
    except HelmFailed:  # helm accepts some files that kube_yaml refuses
        return []


def values_files(chart: str, staged: Chart, values: ValuesInput, ci: Path | None) -> list[ValuesFile]:
    """Every values file that a chart is rendered with; those that win come first."""
    given = [(copy, source) for copy, source in values.originals if values_flag(copy) in values.arguments]
    return [
        *(_given(copy, source) for copy, source in reversed(given)),
        *([read(str(ci))] if ci else []),
        *own_values_files(chart, staged),
    ]


def _given(copy: str, source: str) -> ValuesFile:
    is_file = Path(source).is_file()
    name = "standard input" if source in ("-", "/dev/stdin") else path_here(source)
    return ValuesFile(name=name, text=_text(copy), writable=is_file, is_file=is_file)


def read(source: str) -> ValuesFile:
    """A values file of the user's."""
    return ValuesFile(path_here(source), _text(source))


def _text(path: str) -> str:
    return Path(path).read_bytes().decode(errors="surrogateescape")


def own_values_files(chart: str, staged: Chart) -> list[ValuesFile]:
    """The values files of a chart and its subcharts; those that win come first. chart: as the user names it."""
    is_folder = Path(chart.strip()).is_dir()
    return [
        ValuesFile(inside(chart, path), text, prefix, writable=is_folder and ".tgz/" not in path, own=True)
        for path, prefix, text in staged.values_files()
    ]
