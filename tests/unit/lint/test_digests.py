"""The values that pin a chart's images, and what is said of images that no value pins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helmpin.chart.setargs import Setting, dotted_key
from helmpin.lint.digests import digests
from helmpin.lint.values_files import ValuesFile
from helmpin.lint.wanted import note_on_digest, note_on_tag
from helmpin.plan.images import ImagePlan, Problem
from tests.support import plans
from tests.support.plans import A

WEB = "team/web:latest"
TAG = Setting(("image", "tag"), f"latest@{A}")
VALUES = {"image": {"repository": "team/web", "tag": "latest"}}
NOTES: dict[str, Callable[[str], str]] = {"tag": note_on_tag, "digest": note_on_digest, "": lambda _: ""}
OWN = ValuesFile("own", "image:\n  repository: team/web\n  tag: latest\n")


def image(name: str = WEB, **changes: Any) -> ImagePlan:
    """An image that can move, pinned by image.tag."""
    return plans.image(name, **{"mutable": "latest can move", "values": ("image.tag",), **changes})


def wanted(
    folder: Path,
    *images: ImagePlan,
    settings: tuple[Setting, ...] = (TAG,),
    files: tuple[ValuesFile, ...] = (OWN,),
    values: Any = VALUES,
    template: str = "image: {{ .Values.image }}\n",
) -> tuple[list[tuple[str, list[str], str]], list[str]]:
    """What is written: file, keys and note; and what is said."""
    plan = plans.plan(folder, *images, settings=settings)
    made = plans.rendered(plans.chart(folder, web=template), "", values=values)
    said: list[str] = []
    found = digests(plan._replace(rendered=made), files, lambda image, why: said.append(f"{image.image}: {why}"))
    return [(w.file.name, [dotted_key(s.path) for s in w.settings], w.note) for w in found], said


def test_an_image_that_values_pin(tmp_path: Path) -> None:
    assert wanted(tmp_path, image()) == ([("own", ["image.tag"], "")], [])


def test_an_image_that_cannot_move_is_left(tmp_path: Path) -> None:
    assert wanted(tmp_path, image("team/web:1.2.3", mutable=None)) == ([], [])


def test_an_image_that_may_stay_is_left_without_a_word(tmp_path: Path) -> None:
    assert wanted(tmp_path, image(problem=Problem("allowed by x", "allowed"))) == ([], [])


@pytest.mark.parametrize("kind", ["registry", "gate", "refused"])
def test_an_image_with_a_problem_is_named(kind: Any, tmp_path: Path) -> None:
    assert wanted(tmp_path, image(problem=Problem("it did not answer", kind))) == ([], [f"{WEB}: it did not answer"])


@pytest.mark.parametrize(
    ("changes", "template", "said"),
    [
        ({}, "image: team/web:latest\n", "no value carries its digest: it is hard-coded in a template"),
        (
            {},
            "image: {{ default `team/web:latest` .x }}\n",
            "no value carries its digest: it is hard-coded in a template",
        ),
        ({}, "", "no value carries its digest: no value holds its tag or its repository"),
        ({"notes": ("x: a\nb", "y")}, "", "no value carries its digest: x: a; y"),
    ],
)
def test_an_image_that_no_value_pins(changes: dict[str, Any], template: str, said: str, tmp_path: Path) -> None:
    plan = image(values=(), via="template", by_values_alone=False, **changes)
    assert wanted(tmp_path, plan, template=template) == ([], [f"{WEB}: {said}"])


@pytest.mark.parametrize(
    ("text", "is_in_it"),
    [
        ("kind: Pod\nspec:\n  containers:\n  - image: team/web:latest\n", True),
        (WEB, False),
        (f"see other/{WEB}", False),
        (f"see {WEB}-slim", False),
    ],
)
def test_an_image_in_a_longer_text_of_a_value(text: str, is_in_it: bool, tmp_path: Path) -> None:
    plan = image(values=(), via="template", by_values_alone=False)
    why = "a value holds it in a longer text" if is_in_it else "no value holds its tag or its repository"
    said = [f"{WEB}: no value carries its digest: {why}"]
    assert wanted(tmp_path, plan, template="{{ tpl .Values.pod . }}", values={"pod": text}) == ([], said)


def test_an_image_that_values_pin_in_some_places(tmp_path: Path) -> None:
    plan = image(by_values_alone=False)
    assert wanted(tmp_path, plan, template=f"image: {WEB}\n") == (
        [("own", ["image.tag"], "")],
        [f"{WEB}: no value carries its digest everywhere: it is hard-coded in a template"],
    )


def test_what_is_emptied_beside_a_reference_belongs_to_it(tmp_path: Path) -> None:
    settings = (
        Setting(("a", "image"), f"{WEB}@{A}"),
        Setting(("a", "tag"), ""),
        Setting(("b", "image"), f"{WEB}@{A}"),
        Setting(("c", "tag"), ""),
    )
    plan = image(values=("a.image", "b.image"))
    files = (ValuesFile("own", "a: {image: team/web, tag: latest}\nb: {image: team/web:latest}\n"),)
    values = {"a": {"image": "team/web", "tag": "latest"}, "b": {"image": WEB}}
    assert wanted(tmp_path, plan, settings=settings, files=files, values=values) == (
        [("own", ["a.image", "a.tag"], ""), ("own", ["b.image"], "")],
        [],
    )


def test_a_value_that_a_flag_gives_is_named_and_the_others_are_written(tmp_path: Path) -> None:
    other = Setting(("other", "tag"), f"latest@{A}")
    files = (ValuesFile("--set", '{"image": {"tag": "latest"}}', writable=False), OWN)
    plan = image(values=("image.tag", "other.tag"))
    values = {**VALUES, "other": {"tag": "latest"}}
    assert wanted(tmp_path, plan, settings=(TAG, other), files=files, values=values) == (
        [("own", ["other.tag"], "")],
        [f"{WEB}: --set gives a part of it, and --fix writes what files give"],
    )


@pytest.mark.parametrize(
    ("name", "values", "noted"),
    [
        ("team/web:1.1", {"tag": 1.1}, ""),
        ("team/web:8", {"tag": 8.0}, ""),
        (WEB, {"image": {"tag": ""}}, "tag"),
        (WEB, {}, "tag"),
        (WEB, {"image": {"tag": ""}, "sidecar": {"image": "team/side:latest"}, "global": {"tag": "latest"}}, "tag"),
        (WEB, {"image": {"tag": "latest"}}, ""),
        ("team/web:v1", {"image": "team/web:v1"}, ""),
        (WEB, {"image": "team/web-latest"}, "tag"),
        ("team/web:v12-alpine", {"version": "v12"}, ""),
        ("team/web:v1-alpine", {"version": "v1"}, ""),
        ("team/web:v12-alpine", {"replicas": 1}, "digest"),
        ("team/web", {}, ""),
    ],
)
def test_a_tag_that_no_value_holds_is_noted(name: str, values: Any, noted: str, tmp_path: Path) -> None:
    """It comes from appVersion or from the template: that changes nothing any more, or nothing but the tag."""
    ((_, _, note),), _ = wanted(tmp_path, image(name), values=values)
    assert note == NOTES[noted](name)


DIGEST = Setting(("image", "digest"), A)


@pytest.mark.parametrize(
    ("values", "text", "beside", "noted"),
    [
        ({"image": {"repository": "team/web", "tag": "", "digest": ""}}, "{}\n", "tag", "tag"),
        ({"image": {"repository": "web", "digest": ""}}, "image: {tag: null, digest: ''}\n", "tag", "tag"),
        ({"image": {"name": "web", "imageVersion": "", "digest": ""}}, "{}\n", "imageVersion", "tag"),
        ({"image": {"repository": "team/web", "digest": ""}}, "image: {digest: ''}\n", "", "digest"),
        ({"image": {"repository": "team/web", "tag": "latest"}}, "image: {tag: latest}\n", "", ""),
        ({"image": {"repository": "team/db", "tag": "", "digest": ""}}, "{}\n", "", "digest"),
        ({"image": {"repository": "team/web", "schemaVersion": "", "digest": ""}}, "{}\n", "", "digest"),
        ({"image": {"tag": "latest"}, "tag": ""}, "image: {tag: latest}\ntag:\n", "", ""),
    ],
)
def test_an_empty_tag_is_written_with_the_digest_beside_it(
    values: Any, text: str, beside: str, noted: str, tmp_path: Path
) -> None:
    """The tag would follow the chart's appVersion, and the digest would stay."""
    plan = image(values=("image.digest",))
    files = (ValuesFile("own", text),)
    found = wanted(tmp_path, plan, settings=(DIGEST,), files=files, values=values)
    written = ["image.digest", *([f"image.{beside}"] if beside else [])]
    assert found == ([("own", written, NOTES[noted](WEB))], [])


@pytest.mark.parametrize("tag", ["256", "a", "aa"])
def test_a_tag_that_also_stands_in_the_digest(tag: str, tmp_path: Path) -> None:
    name = f"team/web:{tag}"
    files, values = (ValuesFile("own", "{}\n"),), {"image": {"repository": "team/web", "tag": "", "digest": ""}}
    plan = image(name, values=("image.digest",))
    found = wanted(tmp_path, plan, settings=(DIGEST,), files=files, values=values)
    assert found == ([("own", ["image.digest", "image.tag"], note_on_tag(name))], [])


def test_a_tag_that_images_share_is_left_to_the_user(tmp_path: Path) -> None:
    """To empty it changes the other images too."""
    settings = (TAG, Setting(("shared", "tag"), ""))
    assert wanted(tmp_path, image(emptied=("shared.tag",)), settings=settings) == (
        [],
        [
            f"{WEB}: its tag comes from shared.tag, which other images use too: empty it, and give each image its own tag"
        ],
    )
    beside = (TAG, Setting(("image", "version"), ""))
    assert wanted(tmp_path, image(emptied=("image.version",)), settings=beside)[1] == []
