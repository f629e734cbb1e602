"""How lint reports: every form stays valid, and does no harm, whatever a chart holds."""

from __future__ import annotations

import json
from typing import NamedTuple
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helmpin.commands import lint
from helmpin.errors import HelmFailed
from helmpin.image.manifest import ImageUse
from tests.unit.test_output import HOSTILE, NASTY, harmless

TEXT = NASTY | st.sampled_from(["a%0Ab", "100%", "a,b=c::d", "a:b,c", HOSTILE])
PLAIN = st.text(st.sampled_from("ab%:,=;\n\r]/.é😀%0A25D"), max_size=20)


class Command(NamedTuple):
    """A workflow command as a runner reads it."""

    name: str
    properties: dict[str, str]
    data: str


def read(line: str) -> Command:
    """As GitHub's runner does (ActionCommand.cs, TryParseV2)."""
    assert "\n" not in line and "\r" not in line
    information, separator, data = line.removeprefix("::").partition("::")
    assert line.startswith("::") and separator
    name, _, properties = information.partition(" ")
    pairs = [pair.partition("=") for pair in properties.split(",") if pair]
    return Command(name, {k: unescaped(v, ":,") for k, _, v in pairs}, unescaped(data))


def unescaped(text: str, also: str = "") -> str:
    for character in ("\r", "\n", *also, "%"):
        text = text.replace(f"%{ord(character):02X}", character)
    return text


def finding(image: str = "app:latest", name: str = "web", source: str = "app/templates/x.yaml") -> lint.Finding:
    return lint.Finding("charts/app", ImageUse(image, source, 0, 0, "Pod", name, ("spec", 0), "c"), "moves")


def report(*findings: lint.Finding, **failed: HelmFailed) -> lint.Report:
    return lint.Report(list(findings), dict(failed), 1, 0)


@settings(deadline=None)
@given(TEXT, TEXT, TEXT)
def test_annotations_are_one_command_each(image: str, name: str, source: str) -> None:
    lines = list(lint.workflow_commands(report(finding(image, name, f"app/{source}"), x=HelmFailed(image, why=name))))
    assert len(lines) == 2
    for line in lines:
        command = read(line)
        assert command.name == "error" and set(command.properties) <= {"file", "title"}
        harmless(line.removeprefix("::error "), lines=False)


@settings(deadline=None)
@given(PLAIN, PLAIN)
def test_an_annotation_says_what_was_found(image: str, source: str) -> None:
    """Exactly, where nothing needs to be made visible."""
    (line,) = lint.workflow_commands(report(finding(image, source=f"app/{source}")))
    command = read(line)
    assert command.data == f"{image} in Pod/web: moves"
    assert command.properties == {"file": f"charts/app/{source}", "title": "mutable image tag"}


def test_an_annotation_for_a_chart_that_failed() -> None:
    (line,) = lint.workflow_commands(report(**{"charts/app": HelmFailed("helm template failed", why="a: b, 1%\nc")}))
    assert line == (
        "::error file=charts/app,title=chart not linted::helm template failed%0A  why   a: b, 1%25%0A        c"
    )


@settings(deadline=None)
@given(TEXT, TEXT)
def test_json_and_sarif_are_valid(image: str, source: str) -> None:
    found = finding(image, source=f"app/{source}")
    sarif = lint.sarif(report(found, **{source: HelmFailed(image)}))
    text = lint.output.as_json([lint.as_data(found), sarif])
    assert json.loads(text)[0]["image"] == image
    harmless(text)
    (run,) = sarif["runs"]
    uri = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.isascii() and not set(uri) & set(' "<>\\^`{|}:#?[]') and unquote(uri) == f"charts/app/{source}"
    assert run["invocations"][0]["executionSuccessful"] is False


def test_a_name_that_is_not_utf8() -> None:
    found = finding(source="app/templates/\udcff.yaml")
    (line,) = lint.workflow_commands(report(found))
    assert line.isascii() and r"\udcff" in line
    assert lint.sarif(report(found))["runs"][0]["results"][0]["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "charts/app/templates/%FF.yaml"},
        "region": {"startLine": 1},
    }


@pytest.mark.parametrize(
    ("report", "summary"),
    [
        (lint.Report([], {}, 1, 0), "0 images with a tag that can move in 1 chart"),
        (lint.Report([finding()], {}, 2, 3), "1 image with a tag that can move in 2 charts; 3 skipped"),
        (
            lint.Report([], {"a": HelmFailed("x"), "b": HelmFailed("x")}, 0, 0),
            "0 images with a tag that can move in 0 charts; 2 charts could not be linted",
        ),
    ],
)
def test_the_summary(report: lint.Report, summary: str) -> None:
    assert lint.summary(report) == summary
