"""One chart, rendered with one set of values: the image uses that break a rule, and where each is set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from helmpin.arguments import words
from helmpin.chart.setargs import dotted_key
from helmpin.chart.stage import Chart
from helmpin.errors import HelmFailed
from helmpin.image.uses import ImageUse, UseKey, without_image
from helmpin.lint.finding import Finding, Location
from helmpin.lint.judge import judge, judge_missing
from helmpin.lint.locate import locate, value_location
from helmpin.lint.rules import NOT_A_REFERENCE
from helmpin.lint.values_files import ValuesFile, values_files
from helmpin.lock import Lock
from helmpin.named_tuple import NamedTuple
from helmpin.output import for_helm
from helmpin.plan.value_hints import at_fault, read_on_lines
from helmpin.private import Folder, write
from helmpin.render.output import Render, parse
from helmpin.render.probe import PROBE, PROBE_TEXT
from helmpin.render.renderer import POST_RENDERER
from helmpin.render.values import ValuesInput, other_flags, values_flag
from helmpin.request import Request


class Inputs(NamedTuple):
    """What a chart is rendered with and judged by, beside its own files."""

    request: Request
    """With the settings for this chart."""
    values: ValuesInput
    lock: Lock | None


class Rendering(NamedTuple):
    """One chart with one set of values."""

    chart: str
    """As the user names it."""
    staged: Chart
    inputs: Inputs
    ci: Path | None
    """The file of the chart's ci folder; None for the chart's defaults."""

    def findings(self) -> list[Finding]:
        """The image uses that break a rule, exempt or not. Raises HelmFailed if the chart does not render."""
        render = self._with_values()
        settings, lock = self.inputs.request.settings, self.inputs.lock
        values = render.values or {}
        found = [
            (use, broken)
            for use in render.images()
            for broken in judge(use.image, settings, lock, values, read_on_lines(self.staged, [use], use.image))
        ]
        missing = {use: judge_missing(settings, fault) for use, fault in without_image(render.documents)}
        found += missing.items()
        if not found:
            return []
        names: dict[UseKey, str] = {}

        def marked(chart: Chart, values: Mapping[str, Any]) -> Render:
            again = self._marked(chart, values)
            names.update((use.key, use.name) for use in again.images())
            return again

        uses = list(dict.fromkeys(use for use, _ in found))
        files = values_files(self.chart, self.staged, self.inputs.values, self.ci)
        name = self.chart.rstrip("/")
        places = locate(uses, self.staged, render.values, files, marked, name)
        invalid = {use.key for use, broken in found if broken.rule == NOT_A_REFERENCE}
        places |= {
            use.key: _at_fault(use, places[use.key], values, files)
            for use in uses
            if use.key in invalid & places.keys()
        }
        return [
            Finding(
                chart=self.chart,
                use=use,
                reason=broken.why,
                at=places.get(use.key) or Location(name),
                exemption=broken.exemption,
                rule=broken.rule,
                is_named=names.get(use.key, use.name) == use.name,
                is_text=use not in missing,
            )
            for use, broken in found
        ]

    def _with_values(self) -> Render:
        """The render that is judged, with helm's computed values unless a post-renderer may change how they are printed."""
        flags = {flag.name for flag in self.inputs.request.flags}
        if not flags.isdisjoint(POST_RENDERER):
            return self._render(self.staged)
        shown = ("--show-only", PROBE) if "--show-only" in flags else ()
        return self._render(self.staged.with_files({PROBE: PROBE_TEXT}), shown)

    def _marked(self, chart: Chart, values: Mapping[str, Any]) -> Render:
        """A render with these values over those of all files, which a schema may refuse."""
        if not values:
            return self._render(chart)
        with Folder() as folder:
            write(folder / "marks.json", for_helm(values))
            return self._render(chart, (values_flag(folder / "marks.json"), "--skip-schema-validation"))

    def _render(self, chart: Chart, more: Sequence[str] = ()) -> Render:
        request, values = self.inputs.request, self.inputs.values
        rest = words(other_flags(request.flags))
        ci = [values_flag(self.ci.absolute())] if self.ci else []
        try:
            given = [*ci, *values.arguments, *more]
            return parse(request.helm.run(["template", "lint", str(chart.archive()), *given, *rest]))
        except HelmFailed as error:
            raise values.in_users_words(error) from None


def _at_fault(use: ImageUse, at: Location, values: Mapping[str, Any], files: Sequence[ValuesFile]) -> Location:
    """Where the fault of an invalid image is: at the value beside the one at `at` that has it, if that is known."""
    beside = at.value.rpartition(".")[0]
    paths = [path for path in at_fault(use.image, values) if at.value and dotted_key(path[:-1]) == beside]
    return next(filter(None, (value_location(path, values, files) for path in paths)), at)
