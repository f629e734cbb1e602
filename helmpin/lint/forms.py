"""How lint reports to programs: JSON, SARIF, GitHub's workflow commands, GitLab's code quality, JUnit."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from helmpin import __version__, output
from helmpin.lint.finding import Finding, Linted, Location, Report
from helmpin.lint.rules import RULES, Rule


def as_data(f: Finding) -> dict[str, Any]:
    """One finding, for JSON."""
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
        "kind": f.use.kind,
        "name": f.use.name,
        "container": f.use.container,
        "path": ".".join(map(str, f.use.path)),
        "template": f.use.source or None,
        "values": [name for name in f.values if name],
        "fingerprint": f.fingerprint,
    }


def file_of(at: Location) -> tuple[str, int]:
    """A file that exists, and a line in it. For a file in a packed subchart, that is the archive."""
    packed, separator, _ = at.file.partition(".tgz/")
    return (f"{packed}.tgz", 1) if separator else (at.file, at.line)


def workflow_commands(report: Report) -> Iterator[str]:
    """Workflow commands (GitHub's documentation, Workflow commands; actions/toolkit, command.ts)."""
    for finding in report.findings:
        yield _annotation(*file_of(finding.at), finding.rule.title, finding.text)
    for chart, error in report.failed:
        yield _annotation(chart, 0, "chart not linted", error.message())


def _annotation(file: str, line: int, title: str, message: str) -> str:
    at = f"file={_property(file)}" + (f",line={line}" if line else "")
    return f"::error {at},title={_property(title)}::{_escaped(message)}"


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def _escaped(text: str) -> str:
    return output.one_line(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))


def sarif(report: Report) -> dict[str, Any]:
    """SARIF 2.1.0 (OASIS, section 3): the rules, a result for each finding, a suppressed one for each that is exempt, and a
    notification for each chart that failed. Of the fingerprints GitHub reads primaryLocationLineHash alone."""
    notifications = [
        {"level": "error", "message": {"text": error.message()}, "locations": [_location(Location(chart, 0))]}
        for chart, error in report.failed
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
                "results": [_result(f) for f in (*report.findings, *report.exempt)],
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


def _result(f: Finding) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": f.rule.id,
        "ruleIndex": RULES.index(f.rule),
        "level": "error",
        "message": {"text": f.text},
        "locations": [_location(f.at)],
        "partialFingerprints": {"mutableImageTag/v1": f.fingerprint, "primaryLocationLineHash": f.fingerprint},
    }
    if f.exemption:
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": f.exemption}]
    return result


def _location(at: Location) -> dict[str, Any]:
    from urllib.parse import quote

    file, line = file_of(at)
    uri = quote(os.fsencode(file), safe="/:" if "://" in file else "/")
    region: dict[str, int] = {"startLine": line} if line else {}
    if at.column and file == at.file:
        region |= {"startColumn": at.column}
        region |= {"endColumn": at.end_column} if at.end_column else {}
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, **({"region": region} if region else {})}}


def code_quality(report: Report) -> list[dict[str, Any]]:
    """GitLab's code quality report (docs.gitlab.com, Code Quality report format)."""
    found = [
        _issue(finding.text, finding.rule.id, finding.fingerprint, "major", *file_of(finding.at))
        for finding in report.findings
    ]
    for chart, error in report.failed:
        fingerprint = hashlib.sha256(f"chart-not-linted\0{chart}".encode(errors="surrogateescape")).hexdigest()
        found.append(_issue(error.message(), "chart-not-linted", fingerprint, "critical", chart, 1))
    return found


def _issue(text: str, check: str, fingerprint: str, severity: str, file: str, line: int) -> dict[str, Any]:
    return {
        "description": text,
        "check_name": check,
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
        name = f"{f.use.kind}/{f.use.name} {'.'.join(map(str, f.use.path))}: {f.use.image}"
        yield case(name, f"<failure message={_attribute(f.why)} type={_attribute(f.rule.id)}>{_text(where)}</failure>")
    for f in chart.exempt:
        yield case(f"{f.use.kind}/{f.use.name}: {f.use.image}", f"<skipped message={_attribute(f.exemption)}/>")
    if not (chart.error or chart.skipped or chart.findings or chart.exempt):
        yield case("every image tag is fixed")


def _attribute(text: str) -> str:
    return quoteattr(output.one_line(text))


def _text(text: str) -> str:
    return escape(output.printable(text))
