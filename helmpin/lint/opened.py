"""The charts that --fix changes, with the values files that each is rendered with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from helmpin import output
from helmpin.arguments import Given, words
from helmpin.chart.stage import Chart, ChartSource, stage
from helmpin.errors import HelmFailed, HelmPinError, UsageError
from helmpin.lint.finding import inside
from helmpin.lint.values_files import ValuesFile, own_values_files, read
from helmpin.named_tuple import NamedTuple
from helmpin.output import for_helm, mask_urls
from helmpin.render.merged_values import MergedValues
from helmpin.render.values import VALUE_FLAGS, ValuesInput, sources

if TYPE_CHECKING:
    from helmpin.request import Request

BY_FLAGS = "--set"
"""The name that stands for all flags with single values in the list of values files."""


class Target(NamedTuple):
    """A chart to fix."""

    chart: str
    """As the user names it."""
    request: Request
    """With the settings for this chart."""
    ci: Sequence[Path]
    """The values files of its ci folder."""


class Opened(NamedTuple):
    """A target with its files."""

    target: Target
    staged: Chart
    by_flags: ValuesFile
    """The values that --set and similar flags give."""

    def files(self, ci: Path | None) -> list[ValuesFile]:
        """The values that the chart is rendered with; those that win come first."""
        given = [read(source) for source in reversed(_sources(self.target.request.flags))]
        given += [read(str(ci))] if ci else []
        own = own_values_files(self.target.chart, self.staged)
        if not any(not file.prefix for file in own):
            own.insert(0, ValuesFile(inside(self.target.chart, "values.yaml"), "", own=True))
        return [self.by_flags, *given, *(file for file in own if file.writable)]


def opened(targets: Sequence[Target], stack: ExitStack) -> list[Opened]:
    """The charts that are folders, with their files. Reports those that cannot be fixed. Raises UsageError."""
    if not targets:
        return []
    shared = targets[0].request  # the flags are the same for all
    if unwritable := [source for source in _sources(shared.flags) if not Path(source).is_file()]:
        raise UsageError(
            f"--fix cannot write to {unwritable[0]}",
            why="there is no file of that name",
            hint="name files of values, or leave --fix out",
        )
    by_flags = ValuesFile(BY_FLAGS, for_helm(_set(shared)), writable=False)
    found: list[Opened] = []
    for target in targets:
        chart, request, _ = target
        if (Path(chart.strip()) / "Chart.yaml").exists():
            source = ChartSource.of(chart, request.flags)
            try:
                found.append(Opened(target, stack.enter_context(stage(source, request.helm)), by_flags))
            except HelmPinError as error:
                output.say(f"Not fixed: {output.one_line(chart)}: {why_not_fixed(error)}")
        elif Path(chart).is_file() and chart.endswith(".tgz"):
            output.say(f"Not fixed: {output.one_line(chart)}: it is packed")
        elif not Path(chart.strip()).exists():
            output.say(f"Not fixed: {output.one_line(mask_urls(chart))}: it is not on this machine")
    return found


def why_not_fixed(error: HelmPinError) -> str:
    """Why a chart is not fixed. Helm's own message is left to lint, which reports it for the same chart."""
    return output.one_line(error.what) if isinstance(error, HelmFailed) else error.message()


def _set(request: Request) -> Mapping[str, object]:
    """The values that --set and similar flags give, as Helm reads them. Raises HelmFailed."""
    flags = words(flag for flag in request.flags if flag.name in VALUE_FLAGS - {"--values"})
    return MergedValues(request.helm, ValuesInput(tuple(flags))).result() if flags else {}


def _sources(flags: Iterable[Given]) -> list[str]:
    return [source for flag in flags if flag.name == "--values" for source in sources(flag)]
