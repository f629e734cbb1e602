"""The search's small parts; the search itself is shown on tests/charts, with real helms."""

from __future__ import annotations

import pytest

from helmpin.chart.setargs import Setting
from helmpin.plan.search import _mentions_path, _read_by, pinned_form, scope_of

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("source", "scope"),
    [
        ("app/templates/x.yaml", ()),
        ("app/charts/db/templates/x.yaml", ("db",)),
        ("app/charts/db/charts/common/templates/tests/x.yaml", ("db", "common")),
        ("charts/templates/x.yaml", ()),
        ("", ()),
    ],
)
def test_scope_of(source: str, scope: tuple[str, ...]) -> None:
    assert scope_of(source) == scope


@pytest.mark.parametrize("image", ["web", "web:1", "localhost:5000/web", "localhost:5000/web:1"])
def test_pinned_form(image: str) -> None:
    assert pinned_form(image, DIGEST) == f"{image}@{DIGEST}"


SCHEMA = "values don't meet the specifications of the schema(s) in the following chart(s):\napp:\n- {}\n"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("image.tag: Does not match pattern '^[0-9.]+$'", True),
        ("at '/image/tag': 'x' does not match pattern", True),
        ("at '/image': additional properties 'tag' not allowed", True),
        ("image: Additional property tag is not allowed", True),
        ("at '/other/tag': does not match pattern", False),
        ("other.tag: Does not match pattern", False),
    ],
)
def test_what_a_schema_names(line: str, named: bool) -> None:
    assert _mentions_path(SCHEMA.format(line), Setting(("image", "tag"), "x")) is named


TEMPLATE = 'template: app/templates/pod.yaml:8:19: executing "app/templates/pod.yaml" at <semverCompare ">=1.2" {}>: error calling'


@pytest.mark.parametrize(
    ("read", "path", "scope", "named"),
    [
        (".Values.image.tag", ("image", "tag"), (), True),
        ("$.Values.image.tag", ("image", "tag"), (), True),
        (".Values.image.tag", ("db", "image", "tag"), ("db",), True),
        (".Values.image.tag", ("db", "image", "tag"), (), False),
        (".Values.global.tag", ("global", "tag"), ("db",), True),
        (".Values.image.tags", ("image", "tag"), (), False),
        (".Values.image.tag.suffix", ("image", "tag"), (), False),
        (".Values.other.tag", ("image", "tag"), (), False),
        ("(.tag)", ("image", "tag"), (), False),
    ],
)
def test_what_a_template_error_shows(read: str, path: tuple[str, ...], scope: tuple[str, ...], named: bool) -> None:
    assert _read_by(TEMPLATE.format(read), Setting(path, "x"), scope) is named
