"""The table of images, as people read it."""

from __future__ import annotations

from pathlib import Path

from helmpin.plan.images import Problem
from helmpin.plan.table import summary
from tests.support.plans import A, image, plan
from tests.support.renders import digest


def test_the_table_of_images(tmp_path: Path) -> None:
    made = plan(
        tmp_path,
        image("quay.io/t/web:1", strategy="tag@digest", values=("image.tag", "other.tag")),
        image("quay.io/t/job:2", strategy="staged template", kept_for="Job/migrate"),
        image("quay.io/t/none", strategy="reference"),
        image(f"quay.io/t/own@{A}", via="chart", strategy="already pinned"),
        image("quay.io/t/bad:3", Problem("no such tag\nmore of it", "registry")),
    )
    head, *rows = [line.split(maxsplit=3) for line in summary(made).splitlines()]
    short = digest("a")[:19]
    assert head == ["IMAGE", "TAG", "DIGEST", "HOW"]
    assert [(name, tag, how) for name, tag, _, how in rows] == [
        ("quay.io/t/web", "1", "tag@digest: image.tag, other.tag"),
        ("quay.io/t/job", "2", "staged template; kept for Job/migrate, whose pod template cannot change"),
        ("quay.io/t/none", "(latest)", "reference"),
        ("quay.io/t/own", "-", "already pinned"),
        ("quay.io/t/bad", "3", "no such tag"),
    ]
    assert [text.startswith(short) for _, _, text, _ in rows] == [True] * 4 + [False] and rows[-1][2] == "-"


def test_an_image_of_white_space_is_seen(tmp_path: Path) -> None:
    made = plan(tmp_path, image("a:1", Problem("placeholder", "refused"))._replace(image=" ", reference=None))
    assert summary(made).splitlines()[1].split(maxsplit=2)[0] == '"'


def test_the_table_beside_what_is_deployed(tmp_path: Path) -> None:
    made = plan(tmp_path, image("a:1", strategy="reference"), image("b:1", strategy="reference"))
    head, *rows = [line.split() for line in summary(made, ["new", "same"]).splitlines()]
    assert head == ["IMAGE", "TAG", "DIGEST", "DEPLOYED", "HOW"]
    assert [row[-2:] for row in rows] == [["new", "reference"], ["same", "reference"]]


def test_a_chart_without_images(tmp_path: Path) -> None:
    assert summary(plan(tmp_path)) == "No pod of the chart has an image." == summary(plan(tmp_path), [])
