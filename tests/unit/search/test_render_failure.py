"""What Helm's message about a failed render names."""

from __future__ import annotations

import pytest

from helmpin.chart.setargs import Setting
from helmpin.search.render_failure import names_value, reason, scopes_of

SAID = "execution error at (app/charts/db/templates/x.yaml:1:3): `image.tag` is no longer supported"
FAILED = 'template: app/charts/db/templates/x.yaml:3:4: at <semverCompare ">=1.2" .Values.image.tag>: error calling it'


def setting(path: str) -> Setting:
    return Setting(tuple(path.split(".")), "x")


@pytest.mark.parametrize(
    ("why", "is_reason"),
    [
        ("first\nlast\n\n", "last"),
        ("", "helm failed"),
        ("a" * 150 + "b" * 150, f"{'a' * 100}…{'b' * 99}"),
    ],
)
def test_the_reason_is_the_last_line_with_its_place_and_its_error(why: str, is_reason: str) -> None:
    assert reason(why) == is_reason


def test_the_reason_for_a_value_is_the_error_that_names_it() -> None:
    why = "app:\n- at '/image/tag': no\n- at '/side/image': too long\n"
    assert reason(why, [setting("image.tag")]) == "- at '/image/tag': no"
    assert reason(why, [setting("other"), setting("side.image")]) == "- at '/side/image': too long"
    assert reason(why, [setting("other")]) == "- at '/side/image': too long"


def test_the_charts_of_the_templates() -> None:
    assert scopes_of(FAILED) == [("db",)]
    assert scopes_of("app/templates/a.yaml: app/charts/db/charts/c/templates/_b.tpl: no") == [(), ("db", "c")]
    assert scopes_of("values don't meet the specifications of the schema") == [()]


@pytest.mark.parametrize(
    ("why", "path", "is_named"),
    [
        (FAILED, "db.image.tag", True),
        (FAILED, "image.tag", False),
        (FAILED, "db.image", False),
        (FAILED.replace(".image.tag>", ".image.tags>"), "db.image.tag", False),
        (FAILED.replace("image.tag", "global.tag"), "global.tag", True),
        (SAID, "db.image.tag", True),
        (SAID, "image.tag", False),
        (SAID, "db.image.tags", False),
        (SAID.replace("image.tag", "tag"), "db.tag", False),
        ("app:\n- image.tag: Does not match pattern", "image.tag", True),
        ("app:\n- at '/image/tag': does not match pattern", "image.tag", True),
        ("app:\n- at '/image/tag': does not match pattern", "image.tags", False),
        ("app:\n- at '/image': validation failed\n  - at '/image/tag': no", "image.digest", False),
        ("app:\n- at '': additional properties 'digest' not allowed", "digest", True),
        ("app:\n- (root): Additional property digest is not allowed", "digest", True),
        ("app:\n- (root): Additional property digests is not allowed", "digest", False),
        ("db:\n- at '/image/tag': no", "db.image.tag", True),
        ("db:\n- at '/image/tag': no", "image.tag", False),
        ("alias:\n- at '/image/tag': no", "image.tag", True),
    ],
)
def test_a_value_that_a_message_names(why: str, path: str, is_named: bool) -> None:
    assert names_value(why, setting(path), {(), ("db",)}) is is_named
