"""Linting every chart of a command, several at once, and what people read while it runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from helmpin import output, parallel
from helmpin.chart.stage import Chart, ChartSource, stage
from helmpin.errors import HelmFailed, HelmPinError, HelmStopped, UsageError
from helmpin.lint.chart_settings import with_settings_of
from helmpin.lint.charts import NotAChart, Skipped, check_is_chart, ci_values, name_of, set_name
from helmpin.lint.failure import failure_location
from helmpin.lint.finding import Finding, Linted, Report
from helmpin.lint.merge import merged
from helmpin.lint.rendering import Inputs, Rendering
from helmpin.lock.source import LockReading
from helmpin.private import Folder
from helmpin.render.values import read_values
from helmpin.request import Request


def gather(charts: Sequence[str], request: Request) -> Report:
    """Lint every chart. Raises UsageError, and HelmFailed if there is no chart at all."""
    with Folder() as folder:
        values = read_values(request.flags, request.helm, folder)
        lock = LockReading(request.settings, request.helm).result()
        linted = tuple(_at_once(charts, Inputs(request, values, lock)))
    if all(not each.is_chart for each in linted) and not all(map(os.path.isfile, charts)):
        raise HelmFailed(
            "there is no chart to lint", where=list(charts), hint="name directories with a Chart.yaml, or archives"
        )
    return Report(linted)


def _at_once(charts: Sequence[str], inputs: Inputs) -> Iterator[Linted]:
    """The charts, linted in parallel, in their order. Each is reported as soon as all before it are done."""
    _ = inputs.request.helm.version  # asked once, not by each thread
    with output.Progress("charts", len(charts)) as progress:

        def one(chart: str) -> Linted:
            try:
                return _lint(chart, inputs)
            finally:
                progress.step()

        for linted in parallel.each(one, charts, (os.cpu_count() or 1) + 1):
            _report_chart(linted, progress)
            yield linted


def _report_chart(linted: Linted, progress: output.Progress) -> None:
    """Report how one chart was linted, without its findings."""
    chart = output.one_line(linted.chart)
    if linted.skipped or linted.notes or linted.error:
        progress.close()
    for line in linted.notes:
        output.inform(line)
    if linted.skipped:
        output.inform(f"Skipped {chart}: {linted.skipped}")
    if linted.error:
        output.say(f"Error: {chart}: {linted.error.message()}")


def _lint(given: str, inputs: Inputs) -> Linted:
    """The result for one chart, as the command line has it. Raises UsageError."""
    request = inputs.request
    chart = name_of(given, request)
    try:
        check_is_chart(chart)
        with stage(ChartSource.of(given, request.flags), request.helm) as staged:
            if staged.metadata.get("type") == "library":
                raise Skipped("a library chart renders nothing by itself")
            own = inputs._replace(request=with_settings_of(chart, request))
            try:
                return _lint_staged(chart, staged, own)
            except HelmFailed as error:
                return Linted(chart, error=error, error_at=failure_location(error, chart, staged))
    except Skipped as why:
        return Linted(chart, skipped=str(why), is_chart=not isinstance(why, NotAChart))
    except UsageError:
        raise
    except HelmPinError as error:
        return Linted(chart, error=error, error_at=failure_location(error, chart, None))


def _lint_staged(chart: str, staged: Chart, inputs: Inputs) -> Linted:
    """The findings of a chart with its defaults, and with each of its ci values files. Raises HelmFailed if it does not render with
    one of these files, or with nothing at all."""
    sets: dict[str, list[Finding] | HelmFailed] = {}
    for ci in (None, *ci_values(chart)):
        try:
            sets[set_name(ci)] = Rendering(chart, staged, inputs, ci).findings()
        except HelmStopped:
            raise
        except HelmFailed as error:
            sets[set_name(ci)] = error
    return merged(chart, sets)
