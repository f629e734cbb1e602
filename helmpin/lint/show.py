"""Printing a report, in any form, and what only people read: its lines, what is exempt and the totals."""

from __future__ import annotations

from collections import Counter

from helmpin import output
from helmpin.lint import forms
from helmpin.lint.finding import Finding, Report
from helmpin.lint.rules import MUTABLE_TAG, RULES


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
        # of a glob alone, a note says which file sets it
        tell = output.say if f.exemption and f.exemption.reason else output.inform
        tell(output.one_line(f"Exempt: {f.at.file}:{f.at.line}: {f.image}, by {f.exemption and f.exemption.text}"))
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
