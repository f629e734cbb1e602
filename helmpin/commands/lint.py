"""helm pin lint: image tags that can move, for CI. Asks no registry, except for --fix and --suggest."""

from __future__ import annotations

from collections.abc import Sequence

from helmpin import lifeline, output
from helmpin.errors import UsageError
from helmpin.lint.chart_settings import say_allowances, with_settings_of
from helmpin.lint.charts import charts_of, ci_values, from_repository, name_of
from helmpin.lint.finding import Report
from helmpin.lint.gather import gather
from helmpin.lint.show import show
from helmpin.request import Request, refuse_dry_run, refuse_registry_flags, refuse_suggest_when_locked

WITHOUT_EFFECT = frozenset(
    {
        "--atomic",
        "--create-namespace",
        "--description",
        "--disable-openapi-validation",
        "--force",
        "--force-conflicts",
        "--force-replace",
        "--generate-name",
        "--hide-notes",
        "--labels",
        "--name-template",
        "--output-dir",
        "--release-name",
        "--render-subchart-notes",
        "--replace",
        "--rollback-on-failure",
        "--server-side",
        "--take-ownership",
        "--timeout",
        "--wait",
        "--wait-for-jobs",
    }
)
"""Flags of helm template that do not change what a chart renders, or that write it somewhere else."""


def run(request: Request) -> int:
    """Report the findings of all charts. Returns 3 if there are any, unless --no-fail was given, else 1 if a chart could not be
    linted."""
    _refuse_flags(request)
    charts = charts_of(request)
    say_allowances([name_of(chart, request) for chart in charts], request)
    report = _fixed(charts, request) if request.options["fix"] else _found(charts, request)
    status = 3 if report.findings and not request.options["no-fail"] else 1 if report.failed else 0
    try:
        show(report.without_logins(), request.options["output"], shows_exempt=request.options["show-exempt"])
    except BrokenPipeError:  # that something was found counts more than who reads it
        if not status:
            raise
    return status


def _refuse_flags(request: Request) -> None:
    """Raise UsageError for flags that do nothing, or that contradict one another."""
    if useless := next((flag.name for flag in request.flags if flag.name in WITHOUT_EFFECT), None):
        raise UsageError(f"{useless} has no effect on lint", hint="leave it out")
    if request.options["fix"]:
        refuse_dry_run(request, "leave out --fix: then lint reports, and writes nothing")
    refuse_suggest_when_locked(request)


def _found(charts: Sequence[str], request: Request) -> Report:
    """What is found, with --suggest the versions too."""
    if not request.options["suggest"]:
        refuse_registry_flags(request, "without --fix or --suggest")
        return gather(charts, request)
    from helmpin.lint.suggest import suggested

    return suggested(gather(charts, request), request.settings)


def _fixed(charts: Sequence[str], request: Request) -> Report:
    """What is found after digests were written into values files, or with --suggest versions."""
    from helmpin.lint.fix import NOT_WRITTEN, fix, fix_versions
    from helmpin.lint.opened import Target

    lifeline.if_stopped(NOT_WRITTEN)
    local = [chart for chart in charts if not from_repository(chart, request)]
    for chart in charts:
        if chart not in local:
            output.say(f"Not fixed: {output.one_line(name_of(chart, request))}: it is in a repository")
    targets = [Target(chart, with_settings_of(chart, request), ci_values(chart)) for chart in local]
    if request.options["suggest"]:
        fix_versions(targets, _found(charts, request).charts)
    else:
        fix(targets)
    return gather(charts, request)
