"""One result for what the defaults of a chart and its ci values show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from helmpin.errors import HelmFailed
from helmpin.lint.finding import Exempt, Finding, Location
from helmpin.lint.merge import merged
from helmpin.lint.rules import REGISTRY
from tests.support.findings import finding, use

WEB, DB = finding("web:latest"), finding("db:latest")
BIG, SMALL = "ci/big-values.yaml", "ci/small-values.yaml"


def found(sets: Mapping[str, Sequence[Finding] | HelmFailed]) -> list[tuple[str, tuple[str, ...], int]]:
    return [(each.image, each.values, each.twin) for each in merged("app", sets).findings]


def test_a_finding_of_several_sets_is_one() -> None:
    assert found({"": [WEB, DB], BIG: [WEB], SMALL: [DB, WEB]}) == [
        ("web:latest", ("", BIG, SMALL), 0),
        ("db:latest", ("", SMALL), 0),
    ]


def test_what_only_ci_values_show() -> None:
    assert found({"": [], BIG: [WEB], SMALL: []}) == [("web:latest", (BIG,), 0)]
    assert merged("app", {"": [], BIG: []}).findings == ()


def test_the_name_of_an_object_may_depend_on_the_values() -> None:
    assert len(found({"": [WEB], BIG: [WEB._replace(use=WEB.use._replace(name="big-web", order=3))]})) == 1


@pytest.mark.parametrize(
    "other",
    [
        WEB._replace(at=Location("app/x", 2)),
        WEB._replace(rule=REGISTRY),
        WEB._replace(use=WEB.use._replace(kind="Job")),
        WEB._replace(use=WEB.use._replace(source="app/templates/other.yaml")),
        WEB._replace(use=WEB.use._replace(path=("spec",))),
        finding("web:main"),
    ],
)
def test_findings_that_are_not_the_same(other: Finding) -> None:
    assert [each.values for each in merged("app", {"": [WEB], BIG: [other]}).findings] == [("",), (BIG,)]


def test_twins_of_one_template_are_counted_in_each_set() -> None:
    """A range prints two objects with one value; more replicas print a third one."""
    twins = [finding("web:latest", use=use("web:latest", name=f"web-{n}")) for n in range(3)]
    assert found({"": twins[:2], BIG: twins}) == [
        ("web:latest", ("", BIG), 0),
        ("web:latest", ("", BIG), 0),
        ("web:latest", (BIG,), 0),
    ]
    alike = [finding("web:latest", at=Location("app/x", n)) for n in (1, 2)]
    assert found({"": [WEB, WEB], BIG: alike}) == [
        ("web:latest", ("", BIG), 0),
        ("web:latest", ("",), 1),
        ("web:latest", (BIG,), 2),
    ]


def test_exempt_findings_are_apart() -> None:
    exempt = DB._replace(exemption=Exempt("db:*", "db:*"))
    result = merged("app", {"": [exempt, WEB]})
    assert [[each.image for each in some] for some in (result.findings, result.exempt)] == [
        ["web:latest"],
        ["db:latest"],
    ]


FAILED = HelmFailed("helm template failed", why="needs a tag", hint="give one")


def test_a_chart_that_needs_its_ci_values() -> None:
    result = merged("a\nb", {"": FAILED, BIG: [WEB]})
    assert [each.values for each in result.findings] == [(BIG,)]
    assert result.notes == (r"a\nb does not render with its defaults; linted with its ci values only",)
    assert merged("app", {"": [], BIG: [WEB]}).notes == ()


@pytest.mark.parametrize("defaults", [[WEB], FAILED])
def test_ci_values_that_fail_fail_the_chart(defaults: list[Finding] | HelmFailed) -> None:
    other = HelmFailed("another", why="x")
    with pytest.raises(HelmFailed) as raised:
        merged("app", {"": defaults, BIG: FAILED, SMALL: other})
    error = raised.value
    assert (error.what, error.where, error.why, error.hint) == (
        "helm template failed",
        [BIG],
        "needs a tag",
        "give one",
    )


def test_a_chart_without_ci_values_that_fails() -> None:
    with pytest.raises(HelmFailed) as raised:
        merged("app", {"": FAILED})
    assert raised.value is FAILED
