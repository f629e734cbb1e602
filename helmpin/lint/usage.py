"""Every way in which changing values files are used: a chart with all that is given, with less of it, and a subchart by itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from helmpin.arguments import Given, words
from helmpin.chart.stage import Chart, ChartSource, stage
from helmpin.lint.opened import Opened
from helmpin.render.values import VALUE_FLAGS, other_flags, sources

GivenValues = tuple[Path | tuple[str, ...], ...]
"""Values files (resolved paths), and the words of other flags for values."""


class Usage(NamedTuple):
    """One way in which values files are used together."""

    chart: Chart
    name: str
    """As messages name it."""
    own: Mapping[Path, str]
    """The chart's own values files on the disk (resolved paths), and their paths in the chart."""
    given: GivenValues
    """What is given on top of them."""
    flags: tuple[str, ...]
    """helm's other flags."""

    def reads(self, file: Path) -> bool:
        """Whether it uses a file."""
        return file in self.own or file in self.given


def usages(opened: Sequence[Opened], files: Collection[Path], stack: ExitStack) -> Iterator[Usage]:
    """Every way in which charts use these files (resolved paths)."""
    for one in opened:
        chart, request, cis = one.target
        folder = Path(chart.strip())
        own = {(folder / path).resolve(): path for path, _, _ in one.staged.values_files() if ".tgz/" not in path}
        own[(folder / "values.yaml").resolve()] = "values.yaml"
        flags = tuple(words(other_flags(request.flags)))
        for ci in (None, *cis):
            for given in given_values(request.flags, ci):
                name = " with ".join([chart, *([", ".join(map(_named, given))] if given else [])])
                yield Usage(chart=one.staged, name=name, own=own, given=given, flags=flags)
        for path in own.values():
            inner = path.removesuffix("values.yaml")
            if inner and any(file in files for file, name in own.items() if name.startswith(inner)):
                staged = stack.enter_context(stage(ChartSource(str(folder / inner)), request.helm))
                below = {file: name.removeprefix(inner) for file, name in own.items() if name.startswith(inner)}
                yield Usage(chart=staged, name=f"{folder / inner} by itself", own=below, given=(), flags=flags)


def given_values(flags: Iterable[Given], ci: Path | None) -> list[GivenValues]:
    """The sets of given values to try: all of them, and the first files without the later ones."""
    whole: list[Path | tuple[str, ...]] = [ci.resolve()] if ci else []
    files = list(whole)
    fewer = [tuple(files)]
    for flag in flags:
        if flag.name == "--values":
            for source in sources(flag):
                files.append(Path(source).resolve())
                whole.append(Path(source).resolve())
                fewer.append(tuple(files))
        elif flag.name in VALUE_FLAGS:
            whole.append(flag.words)
    return list(dict.fromkeys([tuple(whole), *fewer]))


def _named(given: Path | tuple[str, ...]) -> str:
    return given.name if isinstance(given, Path) else "--set"
