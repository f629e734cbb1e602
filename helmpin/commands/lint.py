"""helm pin lint: image tags that can move, for CI. Asks no registry, except for --fix and --suggest."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from helmpin import config, output, policy
from helmpin.arguments import is_on, words
from helmpin.chart.stage import SOURCE_FLAGS, Chart, ChartSource, stage
from helmpin.config.file import CONFIG
from helmpin.config.file import FILE as SETTINGS
from helmpin.config.file import find as find_settings_file
from helmpin.config.settings import Settings
from helmpin.config.sources import LOGIN
from helmpin.env import ENVIRON
from helmpin.errors import HelmFailed, HelmPinError, UsageError
from helmpin.image.hints import filled_in, invalid_hint
from helmpin.image.manifest import ImageUse
from helmpin.image.reference import InvalidReference, Reference, split
from helmpin.lint import forms
from helmpin.lint.failure import failure_location
from helmpin.lint.finding import Exempt, Finding, Linted, Location, Report, path_here
from helmpin.lint.locate import ValuesFile, locate, own_values_files
from helmpin.lint.rules import MUTABLE_TAG, NOT_A_REFERENCE, NOT_IN_LOCK, REGISTRY, RULES, Rule
from helmpin.lock import Lock
from helmpin.lock_source import LockReading
from helmpin.output import for_helm
from helmpin.plan.images import is_allowed
from helmpin.private import Folder, write
from helmpin.render.diff import Key
from helmpin.render.output import Render, parse
from helmpin.render.probe import PROBE, PROBE_TEXT
from helmpin.render.renderer import POST_RENDERER
from helmpin.render.values import VALUE_FLAGS, ValuesInput, read_values, values_flag
from helmpin.request import Request, refuse_registry_flags

if TYPE_CHECKING:
    from collections.abc import Sequence

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


class Skipped(Exception):
    """There is nothing to lint; the message says why."""


class NotAChart(Skipped):
    """It is not a chart at all."""


class _Task(NamedTuple):
    """What all charts of one command share."""

    request: Request
    values: ValuesInput
    lock: Lock | None
    folder: Path


def run(request: Request) -> int:
    """Report the findings of all charts. Returns 3 if there are any, unless --no-fail was given, else 1 if a chart could not be
    linted."""
    if useless := next((flag.name for flag in request.flags if flag.name in WITHOUT_EFFECT), None):
        raise UsageError(f"{useless} has no effect on lint", hint="leave it out")
    if request.options["suggest"] and request.settings.locked:
        raise UsageError("--suggest asks registries, and --locked does not", hint="leave one out")
    if not request.positionals:
        request = request._replace(positionals=[_chart_here()])
    _say_allowances(request)
    fixes, suggests = request.options["fix"], request.options["suggest"]
    if fixes:
        from helmpin.lint.fix import Target, fix, fix_versions

        targets = [
            Target(
                chart, request._replace(settings=settings_of(chart, request)), [path for _, path in _ci_values(chart)]
            )
            for chart in _charts(request)
        ]
    if fixes and not suggests:
        fix(targets)
    elif not suggests:
        refuse_registry_flags(request, "without --fix or --suggest")
    report = lint(request)
    if suggests:
        from helmpin.lint.suggest import suggested

        report = suggested(report, request.settings.registry)
    if suggests and fixes:
        fix_versions(targets, report.charts)
        report = lint(request)
    status = 3 if report.findings and not request.options["no-fail"] else 1 if report.failed else 0
    try:
        show(report.without_logins(), request.options["output"], shows_exempt=request.options["show-exempt"])
    except BrokenPipeError:  # that something was found counts more than who reads it
        if not status:
            raise
    return status


def _chart_here() -> str:
    """The chart in the working directory, as helm lint takes it. Raises UsageError."""
    if not Path("Chart.yaml").is_file():
        raise UsageError(
            "no chart is named", why="the working directory has no Chart.yaml", hint="helm pin lint CHART…"
        )
    return os.curdir


def show(report: Report, form: str, *, shows_exempt: bool = False) -> None:
    """Print a report on standard output, and what is exempt and the totals for people on standard error. shows_exempt: with what is
    exempt in every form, not only in those whose readers expect it."""
    if form == "json":
        print(output.as_json(forms.as_data(report, shows_exempt=shows_exempt)))
    elif form == "sarif":
        print(output.as_json(forms.sarif(report)))
    elif form == "gitlab":
        print(output.as_json(forms.code_quality(report, shows_exempt=shows_exempt)))
    elif form in ("github", "junit"):
        for line in forms.workflow_commands(report) if form == "github" else forms.junit(report):
            print(line)
    else:
        times = Counter(map(_line, report.findings))
        for f in report.findings:
            output.write(_line(f, f.container if times[_line(f)] > 1 else ""))
    for f in report.exempt:
        output.inform(
            output.one_line(f"Exempt: {f.at.file}:{f.at.line}: {f.image}, by {f.exemption and f.exemption.text}")
        )
    if form == "text":
        output.inform(summary(report))


def _line(f: Finding, container: str = "") -> str:
    """A finding for people. container: which one of its object, if that is not obvious."""
    which = f", {container}" if container else ""
    found = f"{f.use.kind}/{f.use.name}{which}: {f.image}: {f.why}{f.by_value}{_under(f)}"
    return output.one_line(f"{f.at.file}:{f.at.line}: {found}")


def _under(finding: Finding) -> str:
    """The values files with which a finding appears, if it does not with the chart's defaults."""
    return "" if "" in finding.values or not finding.values else f", with {', '.join(finding.values)}"


def lint(request: Request) -> Report:
    """Lint every chart, several at once. Raises UsageError, and HelmFailed if there is no chart at all."""
    charts = _charts(request)
    with Folder() as folder:
        values = read_values(request.flags, request.helm, folder)
        lock = LockReading(request.settings, request.helm).result()
        task = _Task(request, values, lock, folder)
        linted = list(_at_once(charts, task))
    if all(not each.is_chart for each in linted) and not all(map(os.path.isfile, charts)):
        raise HelmFailed(
            "there is no chart to lint", where=charts, hint="name directories with a Chart.yaml, or archives"
        )
    return Report(tuple(linted))


def _charts(request: Request) -> list[str]:
    """The charts that are named, without duplicates. A file in a chart stands for the chart (pre-commit names files), and a
    settings file for all charts below it."""
    named = map(_chart_of, request.positionals)
    return list(dict.fromkeys(chart for name in named for chart in _charts_below(name)))


def _charts_below(name: str) -> list[str]:
    """The charts for which a settings file is meant, without their subcharts; anything else stands for itself."""
    if Path(name).name != SETTINGS or not Path(name).is_file():
        return [name]
    found = []
    for folder, folders, files in os.walk(Path(name).parent):
        is_chart = "Chart.yaml" in files
        found += [os.path.normpath(folder)] if is_chart else []
        folders[:] = [] if is_chart else sorted(each for each in folders if not each.startswith("."))
    return found or [name]


def _chart_of(name: str) -> str:
    name = path_here(name)
    path = Path(name)
    if not path.is_file() or path.suffix in (".tgz", ".gz"):
        return name
    charts = [folder for folder in path.parents if (folder / "Chart.yaml").is_file()]
    above = [folder for folder in path.absolute().parents if (folder / "Chart.yaml").is_file()]
    return str(charts[-1]) if charts else os.path.relpath(above[0]) if above else name


def _at_once(charts: Sequence[str], task: _Task) -> Iterator[Linted]:
    """The charts, linted in parallel, in their order. Each is reported as soon as all before it are done."""
    from concurrent.futures import ThreadPoolExecutor

    _ = task.request.helm.version  # asked once, not by each thread
    executor = ThreadPoolExecutor(max_workers=min(len(charts), (os.cpu_count() or 1) + 1))
    with output.Progress("charts", len(charts)) as progress:

        def one(chart: str) -> Linted:
            try:
                return _lint_one(chart, task)
            finally:
                progress.step()

        try:
            for linted in executor.map(one, charts):
                _tell(linted, progress)
                yield linted
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


def _tell(linted: Linted, progress: output.Progress) -> None:
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


def _lint_one(chart: str, task: _Task) -> Linted:
    """The result for one chart. Raises UsageError."""
    request = task.request
    try:
        if not any(flag.name == "--repo" for flag in request.flags):
            _check_is_chart(Path(chart.strip()))
        source = ChartSource(
            chart,
            tuple(words(f for f in request.flags if f.name in SOURCE_FLAGS)),
            is_on(request.flags, "--dependency-update"),
        )
        with stage(source, request.helm) as staged:
            if staged.metadata.get("type") == "library":
                raise Skipped("a library chart renders nothing by itself")
            its = task._replace(request=request._replace(settings=settings_of(chart, request)))
            try:
                return _lint_staged(chart, staged, its)
            except HelmFailed as error:
                return Linted(chart, error=error, error_at=failure_location(error, chart, staged))
    except Skipped as why:
        return Linted(chart, skipped=str(why), is_chart=not isinstance(why, NotAChart))
    except UsageError:
        raise
    except HelmPinError as error:
        return Linted(chart, error=error, error_at=failure_location(error, chart, None))


def _say_allowances(request: Request) -> None:
    """Report what the settings files of several charts make less strict, each line once, before anything else is done. Raises
    UsageError."""
    reported = set(request.settings.notes)
    for chart in _charts(request):
        try:
            _check_is_chart(Path(chart.strip()))
        except NotAChart:
            continue
        for note in settings_of(chart, request).notes:
            if note not in reported:
                reported.add(note)
                output.say(output.one_line(note))


def settings_of(chart: str, request: Request) -> Settings:
    """The settings for one of several charts, which may have a file of its own. Raises UsageError."""
    if request.options.get("config") or ENVIRON.get(CONFIG):
        return request.settings
    found = find_settings_file(chart)
    if found is None or str(found) == request.settings.file:
        return request.settings
    options = {name: value for name, value in request.options.items() if name != LOGIN}
    return config.read(options, chart=chart)._replace(registry=request.settings.registry)


def _lint_staged(chart: str, staged: Chart, task: _Task) -> Linted:
    """The findings of a chart with its defaults, and with each of its ci values files. Raises HelmFailed if it does not render with
    one of these files, or with nothing at all."""
    found: dict[Any, Finding] = {}
    failed: dict[str, HelmFailed] = {}
    sets: list[tuple[str, Path | None]] = [("", None), *_ci_values(chart)]
    for name, path in sets:
        try:
            uses = _Rendering(chart, staged, task, name, path).findings()
        except HelmFailed as error:
            failed[name] = error
            continue
        seen = Counter[Any]()
        for finding in uses:
            place = (
                finding.at,
                finding.rule,
                finding.use.image,
                finding.use.source,
                finding.use.kind,
                finding.use.path,
            )
            seen[place] += 1
            same = (place, seen[place])  # the name of the object is no part of it: ci values may change that
            before = found.get(same)
            names = (*(before.values if before else ()), name)
            found[same] = (before or finding)._replace(values=names)
    if ci := next((name for name in failed if name), None):
        raise HelmFailed(failed[ci].what, where=[ci], why=failed[ci].why, hint=failed[ci].hint)
    if len(failed) == len(sets):
        raise failed[""]
    notes = (
        [f"{output.one_line(chart)} does not render with its defaults alone; linted with its ci values"]
        if failed
        else []
    )
    alike = Counter[Any]()
    every: list[Finding] = []
    for finding in found.values():
        every.append(finding._replace(twin=alike[finding.subject]))
        alike[finding.subject] += 1
    findings = [finding for finding in every if not finding.exemption]
    exempt = [finding for finding in every if finding.exemption]
    return Linted(chart, tuple(findings), tuple(exempt), notes=tuple(notes))


def _ci_values(chart: str) -> list[tuple[str, Path]]:
    """The values files that chart-testing renders a chart with: `ci/*-values.yaml` (github.com/helm/chart-testing)."""
    folder = Path(chart.strip()) / "ci"
    return [(f"ci/{path.name}", path) for path in sorted(folder.glob("*-values.yaml")) if path.is_file()]


class _Rendering(NamedTuple):
    """One chart with one set of values."""

    chart: str
    staged: Chart
    task: _Task
    name: str
    """The file in the chart's ci folder; '' for the defaults."""
    path: Path | None

    def findings(self) -> list[Finding]:
        """The image uses that break a rule, exempt or not. Raises HelmFailed if the chart does not render."""
        flags = self.task.request.flags
        is_post_rendered = any(flag.name in POST_RENDERER for flag in flags)
        probed = self.staged if is_post_rendered else self.staged.with_files({PROBE: PROBE_TEXT})
        shown = ("--show-only", PROBE) if any(flag.name == "--show-only" for flag in flags) else ()
        render = self._render(probed, () if is_post_rendered else shown)
        found = [(use, *reason) for use in render.images() for reason in _reasons(use.image, self.task)]
        if not found:
            return []
        name = self.chart.rstrip("/")
        others: dict[Key, str] = {}

        def marked(chart: Chart, values: Mapping[str, Any]) -> Render:
            again = self._marked(chart, values)
            others.update((use.key, use.name) for use in again.images())
            return again

        uses = list(dict.fromkeys(use for use, *_ in found))
        places = locate(uses, self.staged, render.values, self._files(), marked, name)
        return [
            Finding(
                self.chart,
                use,
                reason,
                _named(places, use, name),
                exemption=exemption,
                rule=rule,
                is_named=others.get(use.key, use.name) == use.name,
            )
            for use, rule, reason, exemption in found
        ]

    def _marked(self, chart: Chart, values: Mapping[str, Any]) -> Render:
        """A render with these values over those of all files."""
        if not values:
            return self._render(chart, ())
        with Folder() as folder:
            write(folder / "marks.json", for_helm(values))
            return self._render(chart, (values_flag(folder / "marks.json"),))

    def _render(self, chart: Chart, more: Sequence[str]) -> Render:
        flags, values = self.task.request.flags, self.task.values
        used = SOURCE_FLAGS | VALUE_FLAGS | {"--dependency-update"}
        rest = words(f for f in flags if f.name not in used)
        ci = [values_flag(self.path.absolute())] if self.path else []
        try:
            given = [*ci, *values.arguments, *more]
            return parse(self.task.request.helm.run(["template", "lint", str(chart.archive()), *given, *rest]))
        except HelmFailed as error:
            raise HelmFailed(error.what, why=values.in_users_words(error.why)) from None

    def _files(self) -> list[ValuesFile]:
        return values_files(self.chart, self.staged, self.task.values, self.path)


def values_files(chart: str, staged: Chart, values: ValuesInput, ci: Path | None) -> list[ValuesFile]:
    """Every values file that a chart is rendered with; those that win come first."""
    given = [(copy, source) for copy, source in values.originals if values_flag(copy) in values.arguments]
    files = [
        ValuesFile(_shown(source), _text(Path(copy)), writable=Path(source).is_file(), is_file=Path(source).is_file())
        for copy, source in reversed(given)
    ]
    files += [ValuesFile(str(ci), _text(ci))] if ci else []
    return [*files, *own_values_files(chart, staged)]


def _shown(source: str) -> str:
    return "standard input" if source in ("-", "/dev/stdin") else path_here(source)


def _text(path: Path) -> str:
    return path.read_bytes().decode(errors="surrogateescape")


def _named(places: Mapping[Key, Location], use: ImageUse, name: str) -> Location:
    return places.get(use.key) or Location(name)


def _check_is_chart(path: Path) -> None:
    """Raise NotAChart for a local file or folder that is not a chart: `charts/*` may match some."""
    if path.is_dir():
        if not (path / "Chart.yaml").exists():
            raise NotAChart("there is no Chart.yaml in it")
    elif path.is_file() and os.access(path, os.R_OK):
        with path.open("rb") as file:
            if file.read(2) != b"\x1f\x8b":  # gzip (RFC 1952)
                raise NotAChart("it is not a chart")


def _reasons(image: str, task: _Task) -> Iterator[tuple[Rule, str, Exempt | None]]:
    """Each rule that an image breaks, why, and what exempts it (None if nothing does)."""
    if not filled_in(image) and (refusal := policy.registry_refusal(image, task.request.settings)):
        yield REGISTRY, refusal.text, None
    rule, why = _trouble(image, task)
    if why:
        yield _unless_exempt(image, rule, why, task.request.settings)


def _unless_exempt(image: str, rule: Rule, why: str, settings: Settings) -> tuple[Rule, str, Exempt | None]:
    """A reason with what exempts from it, or with the exemptions that do not apply."""
    exemptions = [each for each in settings.exemptions if is_allowed(image, [each.image])]
    valid = [each for each in exemptions if not each.is_over()]
    if valid:
        each = valid[0]
        return rule, why, Exempt(each.image, each.shown, each.reason, each.until)
    if glob := next((glob for glob in settings.allow_unpinned if is_allowed(image, [glob])), ""):
        return rule, why, Exempt(glob, f"allow-unpinned {glob!r}")
    if not exemptions:
        globs = [f"the exemption of {each.image}" for each in settings.exemptions if _is_named(image, each.image)]
        globs += [f"allow-unpinned {glob}" for glob in settings.allow_unpinned if _is_named(image, glob)]
        why += f" ({globs[0]} matches no tag: write {globs[0].rpartition(' ')[2]}:*)" if globs else ""
    else:
        over = exemptions[0]
        why += f" (its exemption ended on {over.until}: {over.reason})"
    return rule, why, None


def _is_named(image: str, glob: str) -> bool:
    """Whether a glob matches an image's name, without its tag."""
    return is_allowed(split(image)[0], [glob])


def _trouble(image: str, task: _Task) -> tuple[Rule, str]:
    """Which rule an image breaks, and why; '' if it breaks none."""
    if why := filled_in(image):
        return NOT_A_REFERENCE, f"not an image yet: {why}"
    try:
        reference = Reference.parse(image)
    except InvalidReference as error:
        hint = invalid_hint(image)
        return NOT_A_REFERENCE, f"not an image reference: {error}" + (f"; {hint}" if hint else "")
    if task.lock and (refusal := task.lock.refusal(reference)):
        return NOT_IN_LOCK, refusal.why
    if task.lock and task.lock.knows(reference):
        return MUTABLE_TAG, ""
    return MUTABLE_TAG, policy.mutable_reason(image, task.request.settings) or ""


def summary(report: Report) -> str:
    """For people: how many images were found, in how many charts."""
    times = Counter(finding.rule for finding in report.findings)
    found = [f"{output.count(times[rule], 'image')} {rule.with_it}" for rule in RULES if times[rule]]
    found = found or [f"0 images {MUTABLE_TAG.with_it}"]
    parts = [f"{', '.join(found)} in {output.count(report.linted, 'chart')}"]
    parts += [f"{len(report.exempt)} exempt"] if report.exempt else []
    parts += [f"{output.count(len(report.failed), 'chart')} could not be linted"] if report.failed else []
    parts += [f"{report.skipped} skipped"] if report.skipped else []
    return "; ".join(parts)
