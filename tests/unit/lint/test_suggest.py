"""The version that a finding gets, and of what registries are asked."""

from __future__ import annotations

from typing import Any

import pytest

from helmpin.errors import HelmFailed
from helmpin.image.reference import Reference
from helmpin.lint.finding import Finding, Linted, Report
from helmpin.lint.rules import NOT_A_REFERENCE, NOT_IN_LOCK, REGISTRY
from helmpin.lint.suggest import suggested, with_versions
from helmpin.registry import RegistryError
from tests.support.findings import SETTINGS, finding

WEB, DB = finding("web:latest"), finding("r.example/db:main")


def of(*findings: Finding, **versions: Any) -> list[tuple[str, str]]:
    """The version of each finding, and why there is none."""
    by_image = {"web:latest": "", "r.example/db:main": "", **versions}
    report = with_versions(Report((Linted("app", findings),)), by_image)
    return [(each.version, each.no_version) for each in report.findings]


def test_each_finding_gets_the_version_of_its_image() -> None:
    versions = {"web:latest": "1.2.3", "r.example/db:main": "4.5.6"}
    assert of(WEB, DB, WEB._replace(rule=NOT_IN_LOCK), finding("x"), **versions) == [
        ("1.2.3", ""),
        ("4.5.6", ""),
        ("1.2.3", ""),
        ("", ""),
    ]


def test_a_version_does_not_help_against_the_registry() -> None:
    assert of(WEB._replace(rule=REGISTRY), **{"web:latest": "1.2.3"}) == [("", "")]


def test_why_there_is_no_version() -> None:
    error = RegistryError(Reference.parse("r.example/db:main"), "unreachable", "no answer")
    assert of(DB, DB._replace(rule=REGISTRY), **{"r.example/db:main": error}) == [
        ("", "r.example: no answer"),
        ("", ""),
    ]


def test_nothing_else_changes() -> None:
    charts = (Linted("a", (WEB,), (DB,)), Linted("b", error=HelmFailed("no")), Linted("c", skipped="a library"))
    report = with_versions(Report(charts), {"web:latest": "1.2.3", "r.example/db:main": "4.5.6"})
    assert report.charts == (charts[0]._replace(findings=(WEB._replace(version="1.2.3"),)), *charts[1:])


@pytest.mark.parametrize("image", ["", "Web:latest", "{{x}}", "auto:"])
def test_of_what_is_no_reference_no_registry_is_asked(image: str, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report((Linted("app", (finding(image, rule=NOT_A_REFERENCE), WEB._replace(rule=REGISTRY))),))
    assert suggested(report, SETTINGS) == report
    assert capsys.readouterr() == ("", "")
