"""How lint reports to programs: JSON, SARIF, GitHub's workflow commands, GitLab's code quality, JUnit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from helmpin import __version__, output
from helmpin.image.find import dotted
from helmpin.lint.finding import Failed, Finding, Linted, Location, Report
from helmpin.lint.rules import NOT_LINTED, RULES, Rule


def as_data(report: Report, *, shows_exempt: bool = False) -> list[dict[str, Any]]:
    """The findings, and an entry for each chart that failed, for JSON. shows_exempt: what is exempt too."""
    found = [*report.findings, *(report.exempt if shows_exempt else [])]
    return [*map(_finding, found), *map(_failure, report.failed)]


def _finding(f: Finding) -> dict[str, Any]:
    exemption = f.exemption and {
        "image": f.exemption.image,
        "reason": f.exemption.reason or None,
        "until": f.exemption.until or None,
    }
    return {
        "chart": f.chart,
        "file": f.at.file,
        "line": f.at.line,
        "column": f.at.column or None,
        "value": f.at.value or None,
        "image": f.use.image,
        "rule": f.rule.id,
        "reason": f.reason,
        **({"suggestion": f.version} if f.version else {}),
        **({"exemption": exemption} if exemption else {}),
        "kind": f.use.kind,
        "name": f.use.name,
        "container": f.use.container,
        "path": dotted(f.use.path),
        "template": f.use.source or None,
        "values": [name for name in f.values if name],
        "fingerprint": f.fingerprint,
    }


def _failure(failed: Failed) -> dict[str, Any]:
    known = {
        "chart": failed.chart,
        "file": failed.at.file,
        "line": failed.at.line,
        "rule": NOT_LINTED.id,
        "reason": failed.error.message(),
        "values": [],
        "fingerprint": failed.fingerprint,
    }
    unknown = ("column", "value", "image", "kind", "name", "container", "path", "template")
    return {**known, **dict.fromkeys(unknown)}


def file_of(at: Location) -> tuple[str, int]:
    """A file that exists, and a line in it: for a file in a packed subchart the archive, for standard input the template."""
    if at.instead:
        file, line = at.instead
        return file_of(Location(file, line))
    packed, separator, _ = at.file.partition(".tgz/")
    return (f"{packed}.tgz", 1) if separator else (at.file, at.line)


def _column(at: Location) -> int:
    """The column in `file_of`; 0 if it is not known."""
    return at.column if file_of(at)[0] == at.file else 0


def _message(f: Finding) -> str:
    """What was found, and its place, if that is in no file that a report can name."""
    return f.text if file_of(f.at)[0] == f.at.file else f"{f.text}, at {f.at.file}:{f.at.line}"


def workflow_commands(report: Report) -> Iterator[str]:
    """Workflow commands (GitHub's documentation, Workflow commands; actions/toolkit, command.ts)."""
    for finding in report.findings:
        yield _annotation("error", finding.at, finding.rule.title, _message(finding))
    for failed in report.failed:
        yield _annotation("error", failed.at, NOT_LINTED.title, failed.error.message())
    for finding in report.exempt:
        yield _annotation("notice", finding.at, f"exempt: {finding.rule.title}", _message(finding))


def _annotation(level: str, at: Location, title: str, message: str) -> str:
    file, line = file_of(at)
    column = f",col={_column(at)}" if _column(at) else ""
    return f"::{level} file={_property(file)},line={line}{column},title={_property(title)}::{_escaped(message)}"


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def _escaped(text: str) -> str:
    return output.one_line(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))


def sarif(report: Report) -> dict[str, Any]:
    """SARIF 2.1.0 (OASIS, section 3): the rules, a result for each finding, a suppressed one for each that is exempt, and a
    notification and a result for each chart that failed. Of the fingerprints GitHub reads primaryLocationLineHash alone."""
    notifications = [
        {"level": "error", "message": {"text": failed.error.message()}, "locations": [_location(failed.at)]}
        for failed in report.failed
    ]
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {"name": "helm-pin", "semanticVersion": __version__, "rules": list(map(_rule, RULES))}
                },
                "columnKind": "unicodeCodePoints",
                "invocations": [
                    {"executionSuccessful": not report.failed, "toolExecutionNotifications": notifications}
                ],
                "results": [
                    *(_result(f.rule, _message(f), f.at, f.fingerprint) for f in report.findings),
                    *(_suppressed(f) for f in report.exempt),
                    *(_result(NOT_LINTED, f.error.message(), f.at, f.fingerprint) for f in report.failed),
                ],
            }
        ],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": rule.name,
        "shortDescription": {"text": rule.title.capitalize()},
        "fullDescription": {"text": rule.text},
        "help": {"text": rule.help, "markdown": rule.help},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["security", "supply-chain", "kubernetes"], "precision": "high"},
    }


def _result(rule: Rule, text: str, at: Location, fingerprint: str) -> dict[str, Any]:
    return {
        "ruleId": rule.id,
        "ruleIndex": RULES.index(rule),
        "level": "error",
        "message": {"text": text},
        "locations": [_location(at)],
        "partialFingerprints": {"mutableImageTag/v1": fingerprint, "primaryLocationLineHash": fingerprint},
    }


def _suppressed(f: Finding) -> dict[str, Any]:
    why = {"justification": f.exemption.text} if f.exemption else {}
    suppression = {"kind": "external", "status": "accepted", **why}
    return {**_result(f.rule, _message(f), f.at, f.fingerprint), "suppressions": [suppression]}


def _location(at: Location) -> dict[str, Any]:
    from urllib.parse import quote

    file, line = file_of(at)
    uri = quote(os.fsencode(file), safe="/:" if "://" in file else "/")
    region = {"startLine": line}
    if _column(at):
        region |= {"startColumn": at.column}
        region |= {"endColumn": at.end_column} if at.end_column else {}
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}


def code_quality(report: Report, *, shows_exempt: bool = False) -> list[dict[str, Any]]:
    """GitLab's code quality report (docs.gitlab.com, Code Quality report format). shows_exempt: with what is exempt, as info."""
    exempt = report.exempt if shows_exempt else []
    return [
        *(_issue(_message(f), f.rule, f.fingerprint, "major", f.at) for f in report.findings),
        *(_issue(f.error.message(), NOT_LINTED, f.fingerprint, "critical", f.at) for f in report.failed),
        *(_issue(_message(f), f.rule, f.fingerprint, "info", f.at) for f in exempt),
    ]


def _issue(text: str, rule: Rule, fingerprint: str, severity: str, at: Location) -> dict[str, Any]:
    file, line = file_of(at)
    return {
        "description": text,
        "check_name": rule.id,
        "fingerprint": fingerprint,
        "severity": severity,
        "location": {"path": os.path.normpath(file), "lines": {"begin": line}},
    }


def junit(report: Report) -> Iterator[str]:
    """JUnit's XML, line by line: a suite for each chart, with a failed case for each finding, or one that passes."""
    cases = {chart.chart: list(_cases(chart)) for chart in report.charts}
    failures, errors = len(report.findings), len(report.failed)
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    total = sum(map(len, cases.values()))
    yield f'<testsuites name="helm-pin" tests="{total}" failures="{failures}" errors="{errors}">'
    for chart in report.charts:
        skipped = len(chart.exempt) + bool(chart.skipped)
        counts = f'failures="{len(chart.findings)}" errors="{int(bool(chart.error))}" skipped="{skipped}"'
        yield f'  <testsuite name={_attribute(chart.chart)} tests="{len(cases[chart.chart])}" {counts}>'
        yield from cases[chart.chart]
        yield "  </testsuite>"
    yield "</testsuites>"


def _cases(chart: Linted) -> Iterator[str]:
    def case(name: str, inner: str = "") -> str:
        head = f"    <testcase classname={_attribute(chart.chart)} name={_attribute(name)}"
        return f"{head}>{inner}</testcase>" if inner else f"{head}/>"

    if chart.error:
        yield case("renders", f"<error message={_attribute(chart.error.what)}>{_text(chart.error.message())}</error>")
    elif chart.skipped:
        yield case("renders", f"<skipped message={_attribute(chart.skipped)}/>")
    for f in chart.findings:
        where = f"{f.at.file}:{f.at.line}"
        name = f"{f.use.kind}/{f.use.name} {dotted(f.use.path)}: {f.image}"
        yield case(
            name,
            f"<failure message={_attribute(f.why + f.by_value)} type={_attribute(f.rule.id)}>{_text(where)}</failure>",
        )
    for f in chart.exempt:
        why = f.exemption.text if f.exemption else ""
        yield case(f"{f.use.kind}/{f.use.name}: {f.image}", f"<skipped message={_attribute(why)}/>")
    if not (chart.error or chart.skipped or chart.findings or chart.exempt):
        yield case("every image tag is fixed")


def _attribute(text: str) -> str:
    return quoteattr(output.one_line(text))


def _text(text: str) -> str:
    return escape(output.printable(text))
