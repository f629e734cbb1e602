"""Writing digests, or versions, into the values files of charts.

A value is written only if it pins its own image, and no other, in every chart that reads the file. Renders of copies show that
first: of each chart as it is linted, with its own values alone, with fewer of the given files, and of its subcharts by themselves.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from helmpin import lifeline, output
from helmpin.arguments import Given
from helmpin.errors import HelmPinError, UsageError
from helmpin.image.hints import named
from helmpin.lint.accept import accepted, agreed, texts_with
from helmpin.lint.charts import set_name
from helmpin.lint.digests import digests
from helmpin.lint.edit import CannotEdit
from helmpin.lint.failure import template_path
from helmpin.lint.finding import Finding, Linted, inside, path_here
from helmpin.lint.opened import Opened, Target, opened, why_not_fixed
from helmpin.lint.rules import REGISTRY
from helmpin.lint.trial import Pins, Trials, rendered_images
from helmpin.lint.usage import usages
from helmpin.lint.versions import check_has_version, version
from helmpin.lint.wanted import Wanted
from helmpin.plan.images import ImagePlan
from helmpin.plan.prepare import prepare
from helmpin.render.values import values_flag
from helmpin.save import save

NOT_WRITTEN = "no file was written"
"""What is reported if --fix is stopped, until it writes."""


def fix(targets: Sequence[Target]) -> None:
    """Write the digests of images that can move into the values files of charts, and report what was written and what was not.

    Raises UsageError before anything is written.
    """
    with ExitStack() as stack:
        charts = opened(targets, stack)
        wanted: list[Wanted] = []
        pins: Pins = {}
        tasks = [(one, ci) for one in charts for ci in (None, *one.target.ci)]
        with output.Progress("sets of values to pin", len(tasks)) as progress:
            say = _Misses(progress)
            for one, ci in tasks:
                wanted += _digests(one, ci, pins, say)
                progress.step()
        _write(wanted, pins, charts, stack)


def fix_versions(targets: Sequence[Target], linted: Sequence[Linted]) -> None:
    """Write the versions of the findings in place of their tags, and report what was written and what was not.

    linted: the charts with the versions of their findings. Raises UsageError before anything is written.
    """
    findings = {each.chart: each.findings for each in linted}
    pins = {finding.use.image: finding.version for each in linted for finding in each.findings if finding.version}
    with ExitStack() as stack:
        charts = opened(targets, stack)
        by_name = {one.target.chart: one for one in charts}
        wanted: list[Wanted] = []
        say = _Misses()
        for chart, found in findings.items():
            for finding in (each for each in found if each.rule != REGISTRY and each.use.image):
                where = f"{finding.at.file}:{finding.at.line}: {finding.image}"
                try:
                    wanted += _versions(finding, by_name.get(chart))
                except CannotEdit as why_not:
                    say(output.one_line(f"{where}: {why_not}"))
        _write(wanted, pins, charts, stack)


class _Misses:
    """Reports what is not fixed, each line once, since every set of values may have the same result. Mutable."""

    def __init__(self, progress: output.Progress | None = None) -> None:
        """progress: makes room for the lines."""
        self._reported: set[str] = set()
        self._progress = progress

    def __call__(self, text: str) -> None:
        if text not in self._reported:
            self._reported.add(text)
            if self._progress:
                self._progress.close()
            output.say(f"Not fixed: {text}")


def _digests(one: Opened, ci: Path | None, pins: Pins, say: _Misses) -> Iterator[Wanted]:
    """What pins a chart with one set of values; its digests are added to `pins`. A chart that does not render is left to lint."""
    if one.staged.metadata.get("type") == "library":  # it renders nothing by itself
        return
    request = one.target.request
    request = request._replace(settings=request.settings._replace(exemptions=()))  # lint reports those that it uses
    if ci is not None:
        flag = values_flag(ci.absolute())
        request = request._replace(flags=[Given("--values", flag.removeprefix("--values="), (flag,)), *request.flags])
    try:
        with prepare(
            request, "lint", one.target.chart, command="template", values_only=True, will_install=False
        ) as prepared:
            plan = prepared.plan
    except UsageError:
        raise
    except HelmPinError as error:
        say(f"{output.one_line(one.target.chart)}: {why_not_fixed(error)}")
        return
    pins.update({image.image: image.digest for image in plan.images if image.digest and not image.problem})
    templates = one.staged.template_files()

    def left_out(image: ImagePlan, why: str) -> None:
        path = template_path(image.uses[0].source, one.staged, templates)
        place = inside(one.target.chart, path) if path else one.target.chart
        say(f"{output.one_line(f'{place}: {named(image.image)}')}: {why}")

    yield from digests(plan, one.files(ci), left_out)


def _versions(finding: Finding, one: Opened | None) -> Iterator[Wanted]:
    """What writes the version of a finding, for each set of values that shows it. Raises CannotEdit."""
    check_has_version(finding)
    if one is None:
        raise CannotEdit("its values are not in a file that can be changed")
    for ci in (None, *one.target.ci):
        if set_name(ci) in finding.values:
            yield version(finding, one.files(ci))


def _write(wanted: Iterable[Wanted], pins: Pins, charts: Sequence[Opened], stack: ExitStack) -> None:
    """Write what changes no other image, and keep every other byte of the files. Reports what was written and what was not. Raises
    OperationFailed."""
    left = agreed(wanted, _say_not_fixed)
    if not left:
        return
    files = {each.path: each.file for each in left}
    images = partial(rendered_images, charts[0].target.request.helm)
    trials = Trials(images, list(usages(charts, files, stack)), pins, {each.decides for each in left if each.decides})
    kept = accepted(left, trials.wrong, _say_not_fixed)
    texts = texts_with(kept, _say_not_fixed)
    changed = {file.name: texts[path] for path, file in files.items() if path in texts and texts[path] != file.text}
    lifeline.if_stopped(f"these files may have been written: {', '.join(changed)}" if changed else NOT_WRITTEN)
    save("values", changed)
    _report_changes(changed, kept)


def _say_not_fixed(text: str) -> None:
    output.say(output.one_line(f"Not fixed: {text}"))


def _report_changes(changed: Mapping[str, str], kept: Iterable[Wanted]) -> None:
    """Report which files were changed, and what the user should know of the values in them."""
    for name in changed:
        file = path_here(os.path.realpath(name))
        linked = "" if file == path_here(name) else f", which is a link to {file}: what else reads that has changed too"
        output.inform(output.one_line(f"Fixed {name}{linked}"))
    for note in dict.fromkeys(f"{one}: {one.note}" for one in kept if one.note and one.file.name in changed):
        output.inform(output.one_line(f"Note: {note}"))
