"""Which rules an image breaks, and what exempts it."""

from __future__ import annotations

import pytest

from helmpin.config.settings import Exemption, Settings
from helmpin.image.reference import Reference
from helmpin.lint.judge import judge
from helmpin.lint.rules import MUTABLE_TAG, NOT_A_REFERENCE, NOT_IN_LOCK, REGISTRY
from helmpin.lock import Lock
from tests.support.findings import SETTINGS
from tests.support.renders import digest

A, B = digest("a"), digest("b")
LOCK = Lock({Reference.parse("team/web:latest"): A}, "lock", "the.lock")
ALLOWED = SETTINGS._replace(allowed_registries=("docker.io",), allowed_registries_from="the file")


def exemption(image: str, *, is_over: bool = False) -> Exemption:
    return Exemption(image=image, reason="the vendor's", until="2001-01-01" if is_over else "2999-12-31", where="x")


def test_the_value_that_is_empty_is_named() -> None:
    values = {"w": {"repository": "", "tag": "1.2.3"}, "db": {"repository": "t/db", "tag": "1"}}
    (found,) = judge(":1.2.3", SETTINGS, None, values)
    assert found.why.endswith("the repository is empty: set w.repository")


def judged(image: str, settings: Settings = SETTINGS, lock: Lock | None = None) -> list[tuple[str, str, str]]:
    """The rule, why, and what exempts it."""
    found = judge(image, settings, lock)
    return [(each.rule.id, each.why, each.exemption.text if each.exemption else "") for each in found]


@pytest.mark.parametrize(
    ("image", "settings", "lock", "rules"),
    [
        ("team/web:1.2.3", SETTINGS, None, []),
        (f"team/web:latest@{A}", SETTINGS, None, []),
        ("team/web:latest", SETTINGS, None, [MUTABLE_TAG]),
        ("team/web", SETTINGS, None, [MUTABLE_TAG]),
        ("", SETTINGS, None, [NOT_A_REFERENCE]),
        ("team/web:", SETTINGS, None, [NOT_A_REFERENCE]),
        ("team/Web:1.2.3", SETTINGS, None, [NOT_A_REFERENCE]),
        ("auto", SETTINGS, None, [NOT_A_REFERENCE]),
        ("{{workflow.x}}", SETTINGS, None, [NOT_A_REFERENCE]),
        ("team/web:1.2.3", ALLOWED, None, []),
        ("ghcr.io/team/web:1.2.3", ALLOWED, None, [REGISTRY]),
        ("ghcr.io/team/web:latest", ALLOWED, None, [REGISTRY, MUTABLE_TAG]),
        ("ghcr.io/{{x}}:latest", ALLOWED, None, [NOT_A_REFERENCE]),
        ("auto", ALLOWED, None, [NOT_A_REFERENCE]),
        ("team/web:latest", SETTINGS, LOCK, []),
        ("docker.io/team/web", SETTINGS, LOCK, []),
        ("team/web:main", SETTINGS, LOCK, [MUTABLE_TAG]),
        ("team/web:main", SETTINGS, LOCK._replace(only=True), [NOT_IN_LOCK]),
        ("team/web:1.2.3", SETTINGS, LOCK._replace(only=True), [NOT_IN_LOCK]),
        (f"team/web:latest@{B}", SETTINGS, LOCK._replace(only=True), [NOT_IN_LOCK]),
        ("team/web:", SETTINGS, LOCK._replace(only=True), [NOT_A_REFERENCE]),
        ("ghcr.io/team/web:main", ALLOWED, LOCK._replace(only=True), [REGISTRY, NOT_IN_LOCK]),
    ],
)
def test_which_rules_are_broken(image: str, settings: Settings, lock: Lock | None, rules: list[object]) -> None:
    assert [each.rule for each in judge(image, settings, lock)] == rules
    assert all(each.why and not each.exemption for each in judge(image, settings, lock))


WEB = "team/web:latest"
EXEMPT = "team/web:* (until 2999-12-31: the vendor's)"


@pytest.mark.parametrize(
    ("exemptions", "globs", "by"),
    [
        ([exemption("team/web:*")], (), EXEMPT),
        ([exemption("team/*", is_over=True), exemption("team/web:*")], (), EXEMPT),
        ([exemption("team/web:*"), exemption("team/*")], ("*",), EXEMPT),
        ([exemption("team/db:*")], ("x", "team/*"), "allow-unpinned 'team/*'"),
        ([exemption("team/web:*", is_over=True)], ("team/web:latest",), "allow-unpinned 'team/web:latest'"),
    ],
)
def test_what_exempts(exemptions: list[Exemption], globs: tuple[str, ...], by: str) -> None:
    settings = SETTINGS._replace(exemptions=tuple(exemptions), allow_unpinned=globs)
    ((rule, why, exempt),) = judged(WEB, settings)
    assert (rule, exempt) == (MUTABLE_TAG.id, by)
    assert (rule, why, "") == judged(WEB)[0], "the reason stays the same"


@pytest.mark.parametrize(
    ("exemptions", "globs", "more"),
    [
        ([exemption("team/web:*", is_over=True)], (), " (its exemption ended on 2001-01-01: the vendor's)"),
        ([exemption("team/web")], (), " (the exemption of team/web matches no tag: write team/web:*)"),
        ([exemption("team/web", is_over=True)], (), " (the exemption of team/web matches no tag: write team/web:*)"),
        ([], ("*/web",), " (allow-unpinned */web matches no tag: write */web:*)"),
        ([exemption("team/web")], ("team/web",), " (the exemption of team/web matches no tag: write team/web:*)"),
        ([], ("te am/web", "team/web"), " (allow-unpinned team/web matches no tag: write team/web:*)"),
        ([exemption("other")], ("other:*",), ""),
    ],
)
def test_what_seems_to_exempt_and_does_not(exemptions: list[Exemption], globs: tuple[str, ...], more: str) -> None:
    settings = SETTINGS._replace(exemptions=tuple(exemptions), allow_unpinned=globs)
    ((rule, why, _),) = judged(WEB)
    assert judged(WEB, settings) == [(rule, why + more, "")]


def test_no_exemption_is_from_an_allowed_registry() -> None:
    settings = ALLOWED._replace(exemptions=(exemption("*"),))
    assert [(rule, bool(by)) for rule, _, by in judged("ghcr.io/team/web:latest", settings)] == [
        (REGISTRY.id, False),
        (MUTABLE_TAG.id, True),
    ]


def test_a_placeholder_may_be_exempt() -> None:
    assert judged("auto", SETTINGS._replace(allow_unpinned=("auto",)))[0][2] == "allow-unpinned 'auto'"
