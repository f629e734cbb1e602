"""The names that a values file has beside its digests."""

from __future__ import annotations

from typing import Any

import pytest

from helmpin.chart.setargs import Setting
from helmpin.plan.images import ImagePlan
from helmpin.plan.names import beside, missing_tags
from tests.support.renders import digest

A = digest("a")


def plan(image: str, *values: str) -> ImagePlan:
    return ImagePlan(
        image=image,
        reference=None,
        digest=A,
        media_type="",
        mutable=None,
        via="values",
        strategy="digest key",
        values=values,
        uses=(),
        notes=(),
        problem=None,
        set_by=(),
        followers=(),
        by_values_alone=True,
    )


def test_what_stands_beside_a_digest() -> None:
    values = {"web": {"registry": "example.com", "repository": "web", "tag": 1.25, "digest": "", "port": 80}}
    found = beside([Setting(("web", "digest"), A)], values)
    assert found == [
        (("web", "registry"), "example.com"),
        (("web", "repository"), "web"),
        (("web", "tag"), 1.25),
    ]


@pytest.mark.parametrize(
    ("path", "values"),
    [
        (("web", "tag"), {"web": {"tag": "1"}}),  # it is set itself
        (("web", "digest"), {"web": {"repository": "", "tag": None, "version": ["1"]}}),
        (("rows", 0, "digest"), {"rows": [{"repository": "web"}]}),
        (("digest",), {"repository": "web"}),  # all of the values are no image
        (("web", "digest"), {"web": "web:1"}),
        (("other", "digest"), {"web": {"repository": "web"}}),
    ],
)
def test_what_is_left_out(path: tuple[Any, ...], values: dict[str, Any]) -> None:
    assert beside([Setting(path, A)], values) == []


def test_a_name_is_given_once() -> None:
    settings = [Setting(("web", "digest"), A), Setting(("web", "sha"), A)]
    assert beside(settings, {"web": {"repository": "web"}}) == [(("web", "repository"), "web")]


VALUES = {"web": {"repository": "web", "tag": "", "digest": ""}, "db": {"repository": "db"}}


def test_a_tag_that_the_template_makes_up() -> None:
    settings = [Setting(("web", "digest"), A), Setting(("db", "digest"), A)]
    images = [plan("web:1.2.3", "web.digest"), plan("db", "db.digest")]
    assert missing_tags(settings, VALUES, images) == [
        Setting(("web", "tag"), "1.2.3"),
        Setting(("db", "tag"), "latest"),
    ]


@pytest.mark.parametrize(
    ("values", "settings", "images"),
    [
        ({"web": {"repository": "web", "tag": "1"}}, [("web", "digest")], [plan("web:1", "web.digest")]),
        ({"web": {"repository": "web", "version": "1"}}, [("web", "digest")], [plan("web:1", "web.digest")]),
        ({"web": {"tag": ""}}, [("web", "digest")], [plan("web:1", "web.digest")]),
        (VALUES, [("web", "digest"), ("web", "tag")], [plan("web:1", "web.digest")]),
        (VALUES, [("web", "digest")], [plan("web:1", "web.digest"), plan("web:2", "web.digest")]),
        (VALUES, [("web", "digest")], [plan("web:1", "other.digest")]),
    ],
)
def test_no_tag_is_missing(values: dict[str, Any], settings: list[Any], images: list[ImagePlan]) -> None:
    assert missing_tags([Setting(path, A) for path in settings], values, images) == []
