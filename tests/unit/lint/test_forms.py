"""How lint reports: every form stays valid, and does no harm, whatever a chart holds."""

from __future__ import annotations

import json
import re
from typing import NamedTuple
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from helmpin import output
from helmpin.config.settings import Exemption
from helmpin.errors import HelmFailed
from helmpin.image.hints import named
from helmpin.image.uses import ImageUse
from helmpin.lint import forms
from helmpin.lint.finding import Exempt, Finding, Linted, Location, Report
from helmpin.lint.rules import REGISTRY
from helmpin.lint.show import show, summary
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


def finding(
    image: str = "app:latest", name: str = "web", file: str = "templates/x.yaml", line: int = 7, value: str = ""
) -> Finding:
    use = ImageUse(image, "app/templates/x.yaml", 0, 0, "Pod", name, ("spec", 0), "c")
    return Finding("charts/app", use, "moves", Location(f"charts/app/{file}", line, 3, 9, value), ("",))


def report(*findings: Finding, **failed: HelmFailed) -> Report:
    return Report((Linted("charts/app", findings), *(Linted(name, error=error) for name, error in failed.items())))


def exempt() -> Report:
    until = Exemption("app:*", "the vendor's", "2999-12-31", ".helm-pin.yaml, entry 1")
    return Report(
        (
            Linted(
                "charts/app",
                exempt=(finding()._replace(exemption=Exempt(until.image, until.shown, until.reason, until.until)),),
            ),
        )
    )


@settings(deadline=None)
@given(TEXT, TEXT, TEXT)
def test_annotations_are_one_command_each(image: str, name: str, source: str) -> None:
    lines = list(forms.workflow_commands(report(finding(image, name, source), x=HelmFailed(image, why=name))))
    assert len(lines) == 2
    for line in lines:
        command = read(line)
        assert command.name == "error" and set(command.properties) <= {"file", "line", "col", "title"}
        harmless(line.removeprefix("::error "), lines=False)


@settings(deadline=None)
@given(PLAIN, PLAIN)
def test_an_annotation_says_what_was_found(image: str, source: str) -> None:
    """Exactly, where nothing needs to be made visible."""
    assume(image and not re.match(r"\s*::", image))
    assume(".tgz/" not in source)
    (line,) = forms.workflow_commands(report(finding(image, file=source, value="image.tag")))
    command = read(line)
    assert command.data == f"{named(image)} in Pod/web, container c: moves (image.tag)"
    place = {"file": f"charts/app/{source}", "line": "7", "col": "3"}
    assert command.properties == {**place, "title": "mutable image tag"}


def test_an_annotation_for_a_chart_that_failed() -> None:
    error = HelmFailed("helm template failed", why="a: b, 1%\nc")
    failed = Linted("charts/app", error=error, error_at=Location("charts/app/Chart.yaml"))
    (line,) = forms.workflow_commands(Report((failed,)))
    assert line == (
        "::error file=charts/app/Chart.yaml,line=1,title=chart not linted::helm template failed%0A  why   a: b, 1%25%0A        c"
    )


def test_every_form_says_which_version_it_is_today() -> None:
    found = report(finding(value="image.tag")._replace(version="1.2.3"))
    (line,), (entry,) = forms.workflow_commands(found), forms.as_data(found)
    assert read(line).data.endswith(": moves; today it is 1.2.3 (image.tag)") and entry["suggestion"] == "1.2.3"


def test_an_annotation_names_the_rule() -> None:
    (line,) = forms.workflow_commands(report(finding()._replace(rule=REGISTRY)))
    assert read(line).properties["title"] == "registry not allowed"


def test_every_form_has_what_was_found_and_then_what_failed() -> None:
    failed = Linted("charts/no", error=HelmFailed("give a tag"), error_at=Location("charts/no/templates/0.yaml", 4))
    both = Report((failed, Linted("charts/app", (finding(),))))
    files, rules = ["charts/app/templates/x.yaml", "charts/no/templates/0.yaml"], ["mutable-tag", "not-linted"]
    commands = list(map(read, forms.workflow_commands(both)))
    assert [command.properties["file"] for command in commands] == files and "give a tag" in commands[1].data
    (run,) = forms.sarif(both)["runs"]
    assert [result["ruleId"] for result in run["results"]] == rules
    assert [run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] for result in run["results"]] == rules
    assert len(run["invocations"][0]["toolExecutionNotifications"]) == 1
    assert [issue["location"]["path"] for issue in forms.code_quality(both)] == files
    found = forms.as_data(both)
    assert [(each["file"], each["rule"]) for each in found] == list(zip(files, rules, strict=True))
    assert found[0].keys() == found[1].keys()


@settings(deadline=None)
@given(TEXT, TEXT)
def test_json_and_sarif_are_valid(image: str, file: str) -> None:
    found = finding(image, file=file)
    sarif = forms.sarif(report(found, **{file: HelmFailed(image)}))
    text = output.as_json([*forms.as_data(report(found)), sarif, forms.code_quality(report(found))])
    assert json.loads(text)[0]["image"] == image
    harmless(text)
    (run,) = sarif["runs"]
    uri = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.isascii() and not set(uri) & set(' "<>\\^`{|}:#?[]') and unquote(uri) == f"charts/app/{file}"
    assert run["invocations"][0]["executionSuccessful"] is False


@settings(deadline=None)
@given(TEXT, TEXT, TEXT)
@example("app\ufffe", "web\uffff", "")
def test_junit_is_xml(image: str, name: str, file: str) -> None:
    text = "\n".join(forms.junit(report(finding(image, name, file), **{file: HelmFailed(image, why=name)})))
    suites = ET.fromstring(text)
    assert (suites.get("tests"), suites.get("failures"), suites.get("errors")) == ("2", "1", "1")
    harmless(text)


def test_junit_has_a_case_for_what_is_in_order() -> None:
    clean = Report((Linted("a"), Linted("b", skipped="a library chart"), *exempt().charts))
    suites = ET.fromstring("\n".join(forms.junit(clean)))
    assert [(suite.get("name"), suite.get("skipped")) for suite in suites] == [
        ("a", "0"),
        ("b", "1"),
        ("charts/app", "1"),
    ]
    assert suites.get("tests") == "3" and suites[0][0].get("name") == "every image tag is fixed"


def test_a_sarif_result() -> None:
    """What GitHub's code scanning requires, and sections 3.27 to 3.30 of SARIF."""
    (run,) = forms.sarif(report(finding(value="image.tag")))["runs"]
    rules = run["tool"]["driver"]["rules"]
    for rule in rules:
        assert rule["shortDescription"]["text"] and rule["fullDescription"]["text"] and rule["help"]["markdown"]
    (result,) = run["results"]
    assert result["message"]["text"] == "app:latest in Pod/web, container c: moves (image.tag)"
    assert (result["ruleId"], result["ruleIndex"], result["level"]) == (rules[0]["id"], 0, "error")
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 7, "startColumn": 3, "endColumn": 9}
    assert list(result["partialFingerprints"]) == ["mutableImageTag/v1", "primaryLocationLineHash"]


def test_an_exemption_is_a_suppression() -> None:
    (result,) = forms.sarif(exempt())["runs"][0]["results"]
    assert result["suppressions"] == [
        {"kind": "external", "status": "accepted", "justification": "app:* (until 2999-12-31: the vendor's)"}
    ]
    assert forms.code_quality(exempt()) == forms.as_data(exempt()) == []
    (entry,) = forms.as_data(exempt(), shows_exempt=True)
    assert entry["exemption"] == {"image": "app:*", "reason": "the vendor's", "until": "2999-12-31"}
    (issue,) = forms.code_quality(exempt(), shows_exempt=True)
    (notice,) = map(read, forms.workflow_commands(exempt()))
    assert (issue["severity"], notice.name, notice.properties["title"]) == (
        "info",
        "notice",
        "exempt: mutable image tag",
    )
    assert issue["description"] == notice.data == f"{finding().text}; exempt by app:* (until 2999-12-31: the vendor's)"


def test_a_fingerprint_outlives_lines_and_tags() -> None:
    before, after = finding("app:latest"), finding("app:main", line=30, value="image", file="values.yaml")
    moved = after._replace(use=after.use._replace(source="app/templates/y.yaml", order=3, path=("spec", 4)))
    assert before.fingerprint == moved.fingerprint
    others = [finding("other:latest"), finding(name="other"), before._replace(rule=REGISTRY), before._replace(twin=1)]
    assert len({each.fingerprint for each in (before, *others)}) == 5


def test_a_packed_subchart_is_shown_as_the_file_that_exists() -> None:
    (issue,) = forms.code_quality(report(finding(file="charts/db-1.tgz/values.yaml")))
    assert issue["location"] == {"path": "charts/app/charts/db-1.tgz", "lines": {"begin": 1}}
    assert set(issue) == {"description", "check_name", "fingerprint", "severity", "location"}


def test_a_packed_subchart_is_named_with_its_file_and_value() -> None:
    found = report(finding(file="charts/db-1.tgz/values.yaml", value="db.image.tag"))
    text = "app:latest in Pod/web, container c: moves (db.image.tag), at charts/app/charts/db-1.tgz/values.yaml:7"
    (issue,), (line,) = forms.code_quality(found), forms.workflow_commands(found)
    (result,) = forms.sarif(found)["runs"][0]["results"]
    assert issue["description"] == read(line).data == result["message"]["text"] == text
    assert "col" not in read(line).properties


def test_a_name_that_is_not_utf8() -> None:
    found = finding(file="templates/\udcff.yaml")
    (line,) = forms.workflow_commands(report(found))
    assert line.isascii() and r"\udcff" in line
    (result,) = forms.sarif(report(found))["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "charts/app/templates/%FF.yaml"}


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (Report((Linted("a"),)), "0 images with a tag that can move in 1 chart"),
        (
            Report((Linted("a", (finding(),)), Linted("b"), *[Linted(c, skipped="x") for c in "cde"])),
            "1 image with a tag that can move in 2 charts; 3 skipped",
        ),
        (
            Report(tuple(Linted(name, error=HelmFailed("x")) for name in "ab")),
            "0 images with a tag that can move in 0 charts; 2 charts could not be linted",
        ),
        (exempt(), "0 images with a tag that can move in 1 chart; 1 exempt"),
    ],
)
def test_the_summary(report: Report, text: str) -> None:
    assert summary(report) == text


@pytest.mark.parametrize("form", ["text", "json", "sarif", "github", "gitlab", "junit"])
def test_no_report_shows_the_login_of_a_url(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A chart and a values file may be named by one."""
    url = "https://me:secret@example.com/app.tgz"
    found = finding()._replace(chart=url, at=Location(f"{url}/values.yaml"))
    failed = Linted(f"{url}?2", error=HelmFailed("helm pull failed", where=url))
    show(Report((Linted(url, (found,), (found,)), failed)).without_logins(), form)
    out, err = capsys.readouterr()
    assert "secret" not in out + err and ("example.com/app.tgz" in out or form in ("sarif", "gitlab"))
