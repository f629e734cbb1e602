"""helm pin lint: image tags that can move, for CI. Renders each chart once and asks no registry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from helmpin import __version__, output
from helmpin.arguments import is_on, words
from helmpin.chart.stage import SOURCE_FLAGS, ChartSource, stage
from helmpin.cli import Request, refuse_registry_flags
from helmpin.errors import HelmFailed, HelmPinError, UsageError
from helmpin.image import mutable
from helmpin.image.hints import filled_in, number_hint
from helmpin.image.manifest import ImageUse
from helmpin.image.reference import InvalidReference, Reference, split
from helmpin.lock import Lock
from helmpin.lock_source import LockReading
from helmpin.plan.images import is_allowed
from helmpin.render.output import parse
from helmpin.render.values import VALUE_FLAGS, ValuesInput, read_values

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
    version: str = ""
    """The tag with a full version that has the same digest today, with --suggest."""

    @property
    def file(self) -> str:
        """The template's path from the working directory, as far as the chart's path shows it."""
        return f"{self.chart.rstrip('/')}/{self.use.source.partition('/')[2]}" if self.use.source else self.chart

    @property
    def text(self) -> str:
        """What was found, in one sentence."""
        return f"{self.use.image} in {self.use.kind}/{self.use.name}: {self.why}"

    @property
    def why(self) -> str:
        """The reason, and what to write instead, if that is known."""
        return f"{self.reason}; today it is {self.version}" if self.version else self.reason


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
    if not request.options["suggest"]:
        refuse_registry_flags(request, "without --suggest")
    elif request.settings.locked:
        raise UsageError("--suggest asks registries, and --locked does not", hint="leave one out")
    report = lint(request)
    if request.options["suggest"]:
        report = report._replace(findings=suggested(report.findings, request))
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
            output.write(output.one_line(f"{f.file}: {f.use.kind}/{f.use.name}: {f.use.image}: {f.why}"))
        output.say(summary(report))
    return 3 if report.findings else 1 if report.failed else 0


def lint(request: Request) -> Report:
    """Lint every chart. Raises UsageError, and HelmFailed when there is not one chart."""
    from tempfile import TemporaryDirectory

    if useless := next((flag.name for flag in request.flags if flag.name in WITHOUT_EFFECT), None):
        raise UsageError(f"{useless} has no effect on lint", hint="leave it out")
    charts = list(dict.fromkeys(request.positionals))
    findings: list[Finding] = []
    failed: dict[str, HelmPinError] = {}
    skipped: list[Skipped] = []
    with TemporaryDirectory(prefix="helm-pin-lint-") as folder:
        values = read_values(request.flags, request.helm, Path(folder))
        lock = LockReading(request.settings, request.helm).result()
        for chart in charts:
            try:
                findings += _lint_one(chart, request, values, lock)
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
            "there is no chart to lint", where=charts, hint="name directories with a Chart.yaml, or archives"
        )
    return Report(findings, failed, len(charts) - len(skipped) - len(failed), len(skipped))


def suggested(findings: list[Finding], request: Request) -> list[Finding]:
    """The findings with what to write instead, as far as registries know it. What they do not answer is reported."""
    from helmpin.registry import RegistryError, Resolved, resolve, suggest

    references: dict[str, Reference] = {}
    for finding in findings:
        with suppress(InvalidReference):
            references[finding.use.image] = Reference.parse(finding.use.image)
    answers = resolve(references.values(), request.settings.registry)
    now = {r: r._replace(digest=a.digest) for r, a in answers.items() if isinstance(a, Resolved) and not r.digest}
    versions = suggest(now.values(), request.settings.registry) if now else {}
    for error in (*answers.values(), *versions.values()):
        if isinstance(error, RegistryError):
            output.say(f"No suggestion for {error.reference}: {error}")
    found = {reference: versions[pinned] for reference, pinned in now.items()}
    known = {image: found.get(reference) for image, reference in references.items()}
    return [f._replace(version=v) if isinstance(v := known.get(f.use.image), str) else f for f in findings]


def _lint_one(chart: str, request: Request, values: ValuesInput, lock: Lock | None) -> list[Finding]:
    """The findings of one chart. Raises Skipped, or HelmFailed when it does not render."""
    source = ChartSource(
        chart,
        tuple(words(f for f in request.flags if f.name in SOURCE_FLAGS)),
        is_on(request.flags, "--dependency-update"),
    )
    if not any(flag.name == "--repo" for flag in request.flags):
        _check_is_chart(Path(chart.strip()))
    used = SOURCE_FLAGS | VALUE_FLAGS | {"--dependency-update"}
    rest = words(f for f in request.flags if f.name not in used)
    with stage(source, request.helm) as staged:
        if staged.metadata.get("type") == "library":
            raise Skipped("a library chart renders nothing by itself")
        try:
            text = request.helm.run(["template", "lint", str(staged.archive()), *values.arguments, *rest])
        except HelmFailed as error:
            raise HelmFailed(error.what, why=values.in_users_words(error.why)) from None
    render = parse(text)
    return [Finding(chart, use, why) for use in render.images() if (why := _reason(use.image, request, lock))]


def _check_is_chart(path: Path) -> None:
    """Raises NotAChart for a local file or folder that is not a chart: `charts/*` may match some."""
    if path.is_dir():
        if not (path / "Chart.yaml").exists():
            raise NotAChart("there is no Chart.yaml in it")
    elif path.is_file() and os.access(path, os.R_OK):
        with path.open("rb") as file:
            if file.read(2) != b"\x1f\x8b":  # gzip (RFC 1952)
                raise NotAChart("it is not a chart")


def _reason(image: str, request: Request, lock: Lock | None) -> str | None:
    if is_allowed(image, request.settings.allow_unpinned):
        return None
    if why := filled_in(image):
        return f"not an image yet: {why}"
    try:
        reference = Reference.parse(image)
    except InvalidReference as error:
        hint = number_hint(image)
        return f"not an image reference: {error}" + (f" ({hint})" if hint else "")
    if lock and (refusal := lock.refusal(reference)):
        return refusal.why
    if lock and lock.knows(reference):
        return None
    return mutable.reason(split(image)[1], reference.digest, request.settings.mutable_tags)


def summary(report: Report) -> str:
    parts = [f"{_count(len(report.findings), 'image')} with a tag that can move in {_count(report.linted, 'chart')}"]
    parts += [f"{_count(len(report.failed), 'chart')} could not be linted"] if report.failed else []
    parts += [f"{report.skipped} skipped"] if report.skipped else []
    return "; ".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def as_data(f: Finding) -> dict[str, Any]:
    return {
        "chart": f.chart,
        "file": f.file,
        "image": f.use.image,
        "reason": f.reason,
        **({"suggestion": f.version} if f.version else {}),
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
