"""Every way in which the values files to change are used: with all the given values, with fewer, and by a subchart alone."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from helmpin.arguments import Given, words
from helmpin.chart.stage import Chart, ChartSource, stage
from helmpin.chart.tree import scalar
from helmpin.lint.opened import Opened
from helmpin.named_tuple import NamedTuple
from helmpin.output import for_helm
from helmpin.render.values import VALUE_FLAGS, other_flags, sources

_READS_VERSION = re.compile(r"(?i:appVersion)|\.Version\b")
_NUMBER = re.compile(r"(?<!\d)\d{1,18}(?!\d)", re.ASCII)
_LAST_NUMBER = re.compile(rf"{_NUMBER.pattern}(?=\D*$)", re.ASCII)

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
    is_next: bool = False
    """Whether the chart has other versions, as its next release will: no digest may stay beside a tag that follows them."""

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
            sets = given_values(request.flags, ci)
            for given in sets:
                yield Usage(chart=one.staged, name=_name(chart, given), own=own, given=given, flags=flags)
            for following in _next_releases(one.staged) if _reads_version(one.staged, sets[0]) else ():
                name = _name(chart, sets[0], "the next appVersion")
                yield Usage(chart=following, name=name, own=own, given=sets[0], flags=flags, is_next=True)
        for path in own.values():
            inner = path.removesuffix("values.yaml")
            if inner and any(file in files for file, name in own.items() if name.startswith(inner)):
                staged = stack.enter_context(stage(ChartSource(str(folder / inner)), request.helm))
                below = {file: name.removeprefix(inner) for file, name in own.items() if name.startswith(inner)}
                yield Usage(chart=staged, name=f"{folder / inner} by itself", own=below, given=(), flags=flags)


def _name(chart: str, given: GivenValues, *more: str) -> str:
    """For messages: `web with ci.yaml, --set`."""
    parts = [*map(_named, given), *more]
    return f"{chart} with {', '.join(parts)}" if parts else chart


def _reads_version(chart: Chart, given: GivenValues) -> bool:
    """Whether a template, or a text of the values that may be one, names a version of the chart."""
    texts = [*chart.template_files().values(), *(text for _, _, text in chart.values_files())]
    texts += [each.read_text(errors="replace") for each in given if isinstance(each, Path)]
    return any(map(_READS_VERSION.search, texts))


def _next_releases(chart: Chart) -> Iterator[Chart]:
    """The chart with the versions that its next releases may have, every appVersion and its own version: all their numbers are
    higher, or the last one. The versions of subcharts stay, because the chart may require them."""
    for number in (_NUMBER, _LAST_NUMBER):
        files = {}
        for path, metadata in chart.all_metadata().items():
            keys = ("version", "appVersion") if path == "Chart.yaml" else ("appVersion",)
            raised = {key: _raised(scalar(metadata[key]), number) for key in keys if metadata.get(key)}
            files[path] = for_helm({**metadata, **raised})
        yield chart.with_files(files)


def _raised(version: str, number: re.Pattern[str]) -> str:
    raised = number.sub(lambda match: str(int(match[0]) + 1), version)
    return raised if raised != version else f"{version}1"


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
