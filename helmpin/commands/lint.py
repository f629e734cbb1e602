"""helm pin lint: image tags that can move, for CI. Renders each chart once and asks no registry."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from helmpin import __version__, output
from helmpin.arguments import Given, is_on, words
from helmpin.chart.stage import SOURCE_FLAGS, ChartSource, stage
from helmpin.cli import Request
from helmpin.errors import HelmFailed, HelmPinError, UsageError
from helmpin.image import mutable
from helmpin.image.hints import filled_in, number_hint
from helmpin.image.reference import InvalidReference, Reference, split
from helmpin.pin.images import is_allowed
from helmpin.pin.render import ImageUse, parse

RULE = "mutable-tag"
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


class Finding(NamedTuple):
    """One use of an image whose tag can move."""

    chart: str
    use: ImageUse
    reason: str

    @property
    def file(self) -> str:
        """The template's path from the working directory, as far as the chart's path shows it."""
        return f"{self.chart.rstrip('/')}/{self.use.source.partition('/')[2]}" if self.use.source else self.chart

    @property
    def text(self) -> str:
        """What was found, in one sentence."""
        return f"{self.use.image} in {self.use.kind}/{self.use.name}: {self.reason}"


class Report(NamedTuple):
    """What was found in all charts."""

    findings: list[Finding]
    failed: dict[str, HelmPinError]
    """Why a chart could not be linted."""
    linted: int
    skipped: int


class Skipped(Exception):
    """Why there is nothing to lint."""


class NotAChart(Skipped):
    """Why it is not a chart at all."""


def run(request: Request) -> int:
    """Report the findings of all charts; 3 when there are any, else 1 when a chart could not be linted."""
    report = lint(request)
    form = request.options["output"]
    if form == "json":
        print(output.as_json([as_data(finding) for finding in report.findings]))
    elif form == "sarif":
        print(output.as_json(sarif(report)))
    elif form == "github":
        for line in workflow_commands(report):
            print(line)
    else:
        for f in report.findings:
            output.write(output.one_line(f"{f.file}: {f.use.kind}/{f.use.name}: {f.use.image}: {f.reason}"))
        output.say(summary(report))
    return 3 if report.findings else 1 if report.failed else 0


def lint(request: Request) -> Report:
    """Lint every chart. Raises UsageError, and HelmFailed when there is not one chart."""
    if useless := next((flag.name for flag in request.flags if flag.name in WITHOUT_EFFECT), None):
        raise UsageError(f"{useless} has no effect on lint", todo="leave it out")
    charts = list(dict.fromkeys(request.positionals))
    findings: list[Finding] = []
    failed: dict[str, HelmPinError] = {}
    skipped: list[Skipped] = []
    with _read_once([f for f in request.flags if f.name not in SOURCE_FLAGS | {"--dependency-update"}]) as rest:
        for chart in charts:
            try:
                findings += _lint_one(chart, request, rest)
            except Skipped as why:
                skipped.append(why)
                output.say(f"Skipped {output.one_line(chart)}: {why}")
            except UsageError:
                raise
            except HelmPinError as error:
                failed[chart] = error
                output.say(f"Error: {output.one_line(chart)}: {error.message()}")
    if all(isinstance(why, NotAChart) for why in skipped) and len(skipped) == len(charts):
        raise HelmFailed(
            "there is no chart to lint", where=charts, todo="name directories with a Chart.yaml, or archives"
        )
    return Report(findings, failed, len(charts) - len(skipped) - len(failed), len(skipped))


def _lint_one(chart: str, request: Request, rest: Sequence[str]) -> list[Finding]:
    """The findings of one chart. Raises Skipped, or HelmFailed when it does not render."""
    source = ChartSource(
        chart,
        tuple(words(f for f in request.flags if f.name in SOURCE_FLAGS)),
        is_on(request.flags, "--dependency-update"),
    )
    if not any(flag.name == "--repo" for flag in request.flags):
        _check_is_chart(Path(chart.strip()))
    with stage(source, request.helm) as staged:
        if staged.metadata.get("type") == "library":
            raise Skipped("a library chart renders nothing by itself")
        render = parse(request.helm.run(["template", "lint", str(staged.archive()), *rest]))
    return [Finding(chart, use, why) for use in render.images() if (why := _reason(use.image, request))]


def _check_is_chart(path: Path) -> None:
    """Raises NotAChart for a local file or folder that is not a chart: `charts/*` may match some."""
    if path.is_dir():
        if not (path / "Chart.yaml").exists():
            raise NotAChart("there is no Chart.yaml in it")
    elif path.is_file() and os.access(path, os.R_OK):
        with path.open("rb") as file:
            if file.read(2) != b"\x1f\x8b":  # gzip (RFC 1952)
                raise NotAChart("it is not a chart")


def _reason(image: str, request: Request) -> str | None:
    if is_allowed(image, request.settings.allow_unpinned):
        return None
    if why := filled_in(image):
        return f"not an image yet: {why}"
    try:
        digest = Reference.parse(image).digest
    except InvalidReference as error:
        hint = number_hint(image)
        return f"not an image reference: {error}" + (f" ({hint})" if hint else "")
    return mutable.reason(split(image)[1], digest, request.settings.mutable_tags)


def summary(report: Report) -> str:
    parts = [f"{_count(len(report.findings), 'image')} with a tag that can move in {_count(report.linted, 'chart')}"]
    parts += [f"{_count(len(report.failed), 'chart')} could not be linted"] if report.failed else []
    parts += [f"{report.skipped} skipped"] if report.skipped else []
    return "; ".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


@contextmanager
def _read_once(flags: Sequence[Given]) -> Iterator[list[str]]:
    """helm's flags as words. Values from standard input or a pipe can be read only once, so they are copied to private files
    for all renders; the files are removed when the block ends. Raises HelmFailed."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="helm-pin-lint-") as folder:
        copies: dict[str, str] = {}

        def copy(path: str) -> str:
            if not _can_be_read_once(path.strip()):
                return path
            if path.strip() not in copies:
                file = Path(folder, str(len(copies)))
                file.touch(mode=0o600)
                file.write_bytes(_read(path.strip()))
                copies[path.strip()] = str(file)
            return copies[path.strip()]

        yield [word for flag in flags for word in _with_copies(flag, copy)]


def _can_be_read_once(path: str) -> bool:
    """Whether a second helm could not read `path` again, or a child without our file descriptors could not read it at all."""
    if path == "-" or path.startswith(("/dev/", "/proc/")):
        return True
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  a URL is not a path
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _read(path: str) -> bytes:
    try:
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as file:
            return file.read()
    except OSError as error:
        raise HelmFailed("the values cannot be read", where=path, why=error.strerror or str(error)) from None


def _with_copies(flag: Given, copy: Callable[[str], str]) -> Sequence[str]:
    """A flag's words, with each source that can be read only once replaced by its copy."""
    value = flag.value or ""
    if flag.name == "--values":
        import csv
        import io

        paths = next(csv.reader([value]), [])  # as pflag's StringSlice reads it
        if (copies := [copy(path) for path in paths]) != paths:
            line = io.StringIO()
            csv.writer(line, lineterminator="").writerow(copies)
            return [f"--values={line.getvalue()}"]
    elif flag.name == "--set-file":
        settings = [setting.partition("=") for setting in value.split(",")]
        copied = ",".join(f"{key}{equals}{copy(path) if equals else path}" for key, equals, path in settings)
        if copied != value:
            return [f"--set-file={copied}"]
    return flag.words


def as_data(f: Finding) -> dict[str, Any]:
    return {
        "chart": f.chart,
        "file": f.file,
        "image": f.use.image,
        "reason": f.reason,
        "kind": f.use.kind,
        "name": f.use.name,
        "container": f.use.container,
        "path": ".".join(map(str, f.use.path)),
    }


def workflow_commands(report: Report) -> Iterator[str]:
    """Workflow commands (GitHub's documentation, Workflow commands; actions/toolkit, command.ts)."""
    for finding in report.findings:
        yield _annotation(finding.file, "mutable image tag", finding.text)
    for chart, error in report.failed.items():
        yield _annotation(chart, "chart not linted", error.message())


def _annotation(file: str, title: str, message: str) -> str:
    return f"::error file={_property(file)},title={_property(title)}::{_escaped(message)}"


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def _escaped(text: str) -> str:
    return output.one_line(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))


def sarif(report: Report) -> dict[str, Any]:
    """SARIF 2.1.0 (OASIS, section 3): one rule, a result for each finding, a notification for each chart that failed."""
    rule = {
        "id": RULE,
        "shortDescription": {"text": "An image tag that can move"},
        "help": {
            "text": "The same chart runs different containers on different days. Pin it: helm pin upgrade, or set a digest."
        },
    }
    results = [
        {"ruleId": RULE, "level": "error", "message": {"text": f.text}, "locations": [_location(f.file, startLine=1)]}
        for f in report.findings
    ]
    notifications = [
        {"level": "error", "message": {"text": error.message()}, "locations": [_location(chart)]}
        for chart, error in report.failed.items()
    ]
    driver = {"name": "helm-pin", "version": __version__, "rules": [rule]}
    invocation = {"executionSuccessful": not report.failed, "toolExecutionNotifications": notifications}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "invocations": [invocation], "results": results}],
    }


def _location(file: str, **region: int) -> dict[str, Any]:
    from urllib.parse import quote

    uri = quote(os.fsencode(file), safe="/:" if "://" in file else "/")
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, **({"region": region} if region else {})}}
