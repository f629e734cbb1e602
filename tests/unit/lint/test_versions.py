"""The value that holds a full version in place of a tag."""

from __future__ import annotations

import pytest

from helmpin.chart.setargs import ValuePath, dotted_key
from helmpin.lint.edit import CannotEdit
from helmpin.lint.finding import Finding, Location
from helmpin.lint.values_files import ValuesFile
from helmpin.lint.versions import check_has_version, version
from tests.support.findings import finding

TAG = ("image", "tag")
NOTE = "from now on this value sets the tag of team/web:latest, not the chart's appVersion or what else set it before"


def found(image: str, inner: ValuePath, value: str = "", file: str = "v") -> Finding:
    """A finding whose tag is set at a path of a file. value: as --set names it, if that is not the same."""
    at = Location(file, 1, value=value or dotted_key(inner), path=inner)
    return finding(image, at, version="1.2.3")


@pytest.mark.parametrize(
    ("image", "text", "path", "written", "value"),
    [
        ("team/web:latest", "image:\n  tag: latest\n", TAG, TAG, "1.2.3"),
        ("team/web:latest", 'image:\r\n  tag: "latest"  # moves\r\n', TAG, TAG, "1.2.3"),
        ("team/web:latest", "image:\n  tag: |\n    latest\n", TAG, TAG, "1.2.3"),
        ("team/web:latest", "image: >\n  team/web:latest\n", ("image",), ("image",), "team/web:1.2.3"),
        ("team/web:latest", "t: &t latest\nimage: {tag: *t}\n", TAG, TAG, "1.2.3"),
        ("team/web:1", "image: {tag: 1}\n", TAG, TAG, "1.2.3"),
        ("team/web:1.1", "image: {tag: 1.10}\n", TAG, TAG, "1.2.3"),
        ("team/web:latest", "image: team/web:latest\n", ("image",), ("image",), "team/web:1.2.3"),
        (
            "r.example:5000/web:latest",
            "image: r.example:5000/web:latest\n",
            ("image",),
            ("image",),
            "r.example:5000/web:1.2.3",
        ),
        ("web:web", "image: web:web\n", ("image",), ("image",), "web:1.2.3"),
        ("team/web:latest", "l:\n- image: team/web:latest\n", ("l", 0, "image"), ("l", 0, "image"), "team/web:1.2.3"),
        ("team/web", "image: team/web\n", ("image",), ("image",), "team/web:1.2.3"),
        ("docker.io/team/web", "image: team/web\n", ("image",), ("image",), "team/web:1.2.3"),
        ("team/web", "image: {repository: team/web, tag: }\n", ("image", "repository"), TAG, "1.2.3"),
        (
            "team/web",
            "image: {repository: team/web, pull: }\n",
            ("image", "repository"),
            ("image", "repository"),
            "team/web:1.2.3",
        ),
        ("team/web", "image: {repository: team/web, tag: ''}\n", TAG, TAG, "1.2.3"),
    ],
)
def test_what_is_written(image: str, text: str, path: ValuePath, written: ValuePath, value: str) -> None:
    wanted = version(found(image, path), [ValuesFile("v", text)])
    assert [(setting.path, setting.value) for setting in wanted.settings] == [(written, value)]
    assert (wanted.file.name, wanted.note) == ("v", "")


def test_a_tag_that_the_chart_sets_by_itself() -> None:
    """From then on appVersion does not matter, and the user should know."""
    wanted = version(found("team/web:latest", TAG), [ValuesFile("v", "image: {tag: ''}\n")])
    assert wanted.settings[0].value == "1.2.3" and wanted.note == NOTE


@pytest.mark.parametrize(
    "text", ["image: {tag: late}\n", "image: {tag: '{{ .Values.x }}'}\n", "image: {tag: la-test}\n"]
)
def test_a_part_of_a_tag(text: str) -> None:
    with pytest.raises(CannotEdit, match=r"^image\.tag is only a part of its tag$"):
        version(found("team/web:latest", TAG), [ValuesFile("v", text)])


def test_a_part_of_a_name() -> None:
    with pytest.raises(CannotEdit, match="is only a part"):
        version(found("team/web-x", ("image",)), [ValuesFile("v", "image: team/web\n")])


@pytest.mark.parametrize(
    ("inner", "value", "written"),
    [
        (TAG, "db.image.tag", TAG),
        (("global", "tag"), "global.tag", ("global", "tag")),
        (("global", "tag"), "db.global.tag", ("global", "tag")),
    ],
)
def test_a_value_of_a_subchart(inner: ValuePath, value: str, written: ValuePath) -> None:
    files = [
        ValuesFile("own", "db: {enabled: true}\n"),
        ValuesFile("sub", "image: {tag: latest}\nglobal: {tag: latest}\n", ("db",)),
    ]
    wanted = version(found("team/web:latest", inner, value, "sub"), files)
    assert (wanted.file.name, wanted.settings[0].path) == ("sub", written)


def test_a_value_of_a_subchart_that_the_chart_above_gives() -> None:
    files = [ValuesFile("own", "db: {image: {tag: latest}}\n"), ValuesFile("sub", "image: {tag: main}\n", ("db",))]
    path = ("db", *TAG)
    wanted = version(found("team/web:latest", path, file="own"), files)
    assert (wanted.file.name, wanted.settings[0].path) == ("own", path)


@pytest.mark.parametrize("files", [[], [ValuesFile("v", "image: {tag: latest}\n", writable=False)]])
def test_a_file_that_cannot_be_changed(files: list[ValuesFile]) -> None:
    with pytest.raises(CannotEdit, match=r"^its values are not in a file that can be changed$"):
        version(found("team/web:latest", TAG), files)


def test_a_part_that_a_flag_gives() -> None:
    """The version is that of an image which the file alone does not have."""
    files = [
        ValuesFile("--set", '{"image": {"repository": "team/web"}}', writable=False),
        ValuesFile("v", "image: {repository: team/other, tag: latest}\n"),
    ]
    with pytest.raises(CannotEdit, match=r"^--set gives a part of it, and --fix writes what files give$"):
        version(found("team/web:latest", TAG), files)


def test_no_version_or_no_value() -> None:
    whole = found("team/web:latest", TAG)
    check_has_version(whole)
    for lacking, why in (
        (whole._replace(version=""), "no version with the digest of its tag is known"),
        (whole._replace(version="", no_version="it did not answer"), "it did not answer"),
        (whole._replace(at=Location("t.yaml", 3)), "no value in a file sets its tag"),
    ):
        with pytest.raises(CannotEdit, match=f"^{why}$"):
            check_has_version(lacking)
