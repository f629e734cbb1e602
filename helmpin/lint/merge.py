"""What was found in a chart with its defaults and with each of its ci values files, as one result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from helmpin import output
from helmpin.errors import HelmFailed
from helmpin.lint.finding import Finding, Linted


def merged(chart: str, sets: Mapping[str, Sequence[Finding] | HelmFailed]) -> Linted:
    """One result for a chart. sets: what was found with each set of values, by its name, or why the chart does not render with it.

    Raises HelmFailed if the chart does not render with one of its ci values files, or with its defaults and it has no such file.
    """
    failed = {name: found for name, found in sets.items() if isinstance(found, HelmFailed)}
    if ci := next(filter(None, failed), None):
        raise HelmFailed(failed[ci].what, where=[ci], why=failed[ci].why, hint=failed[ci].hint)
    if len(failed) == len(sets):
        raise failed[""]
    shown = output.one_line(chart)
    notes = [f"{shown} does not render with its defaults; linted with its ci values only"] if failed else []
    found = {name: each for name, each in sets.items() if not isinstance(each, HelmFailed)}
    every = _counted(_with_sets(found))
    return Linted(
        chart,
        findings=tuple(each for each in every if not each.exemption),
        exempt=tuple(each for each in every if each.exemption),
        notes=tuple(notes),
    )


def _with_sets(sets: Mapping[str, Sequence[Finding]]) -> Iterable[Finding]:
    """Each finding once, with the names of all sets of values that show it."""
    found: dict[Any, Finding] = {}
    for name, findings in sets.items():
        seen = Counter[Any]()
        for each in findings:
            use = each.use  # the name of the object does not count: ci values may change that
            place = (each.at, each.rule, use.image, use.source, use.kind, use.path)
            seen[place] += 1
            first = found.setdefault((place, seen[place]), each._replace(values=()))
            found[place, seen[place]] = first._replace(values=(*first.values, name))
    return found.values()


def _counted(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, each with the number of those before it that have the same subject."""
    alike = Counter[Any]()
    counted = []
    for each in findings:
        counted.append(each._replace(twin=alike[each.subject]))
        alike[each.subject] += 1
    return counted
