"""How the planned images differ from the deployed ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from helmpin.image.manifest import ImageUse
from helmpin.image.reference import Reference
from helmpin.plan.deployed import Before, Change, compared
from helmpin.plan.images import ImagePlan, Problem
from helmpin.release.changes import UNPINNED, digests

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
APP, ONE, TWO = "quay.io/t/app", "quay.io/t/one:1", "quay.io/t/two:1"
WEB = "quay.io/t/web:1"


def image(name: str, digest: str, problem: Problem | None = None, uses: Sequence[ImageUse] = ()) -> ImagePlan:
    return ImagePlan(
        image=name,
        reference=Reference.parse(name),
        digest=digest,
        media_type="",
        mutable=None,
        via="values",
        strategy="",
        values=(),
        uses=tuple(uses),
        notes=(),
        problem=problem,
        set_by=(),
        followers=(),
        by_values_alone=True,
    )


CASES: dict[str, tuple[Mapping[str, set[str]], str, Change]] = {
    "nothing is deployed": ({}, WEB, Change("new")),
    "the same": ({WEB: {A}}, WEB, Change("same", WEB, A)),
    "another digest": ({WEB: {B}}, WEB, Change("moved", WEB, B)),
    "another tag": ({"quay.io/t/web:0": {B}}, WEB, Change("moved", "quay.io/t/web:0", B, "0")),
    "another tag of the same digest": ({"quay.io/t/web:0": {A}}, WEB, Change("moved", "quay.io/t/web:0", A, "0")),
    "no digest": ({WEB: {UNPINNED}}, WEB, Change("moved", WEB, UNPINNED)),
    "a manifest that leaves the tag out": ({"quay.io/t/web": {A}}, WEB, Change("same", WEB, A)),
    "one of two digests, for a Job keeps the other": ({WEB: {A, B}}, WEB, Change("same", WEB, A)),
    "the image of another registry": ({"ghcr.io/t/web:1": {A}}, WEB, Change("new")),
}


@pytest.mark.parametrize(("before", "name", "change"), CASES.values(), ids=CASES)
def test_an_image(before: Mapping[str, set[str]], name: str, change: Change) -> None:
    assert compared(Before(before), [image(name, A)])[0] == (change,)


def test_two_tags_of_one_repository() -> None:
    before = {WEB: {A}, "quay.io/t/web:2": {B}}
    found, gone = compared(Before(before), [image(WEB, A), image("quay.io/t/web:3", B)])
    assert [change.kind for change in found] == ["same", "new"]
    assert gone == (Change("removed", "quay.io/t/web:2", B),)


def test_an_image_that_was_let_through() -> None:
    let = image(WEB, "", Problem("allowed", "allowed"))
    assert compared(Before({WEB: {UNPINNED}}), [let])[0] == (Change("same", WEB, UNPINNED),)
    assert compared(Before({WEB: {A}}), [let])[0] == (Change("moved", WEB, A),)


def test_what_is_no_more() -> None:
    found, gone = compared(Before({WEB: {A}, "quay.io/t/old:1": {B}}), [image(WEB, A)])
    assert found == (Change("same", WEB, A),)
    assert gone == (Change("removed", "quay.io/t/old:1", B),)
    assert compared(Before({"quay.io/t/web": {A}}), [image(WEB, A)])[1] == ()


class TestContainers:
    """Each container of a Deployment, before and after, as `CONTAINER IMAGE` or `OBJECT/CONTAINER IMAGE`."""

    @staticmethod
    def uses(*lines: str) -> list[ImageUse]:
        found = []
        for n, line in enumerate(lines):
            place, written = line.split()
            name, _, container = place.rpartition("/")
            path = ("spec", "containers", n, "image")
            found.append(ImageUse(written, "web/a.yaml", 0, 0, "Deployment", name or "web", path, container))
        return found

    def compared(self, before: Sequence[str], after: Sequence[str]) -> tuple[list[Change], list[Change]]:
        old = self.uses(*before)
        new: dict[str, list[ImageUse]] = {}
        for use in self.uses(*after):
            new.setdefault(use.image, []).append(use)
        planned = [
            image(name.partition("@")[0], name.partition("@")[2])._replace(
                reference=Reference.parse(name), uses=tuple(uses)
            )
            for name, uses in new.items()
        ]
        found, gone = compared(Before(digests({use.image for use in old}, None), old), planned)
        return [*found], [*gone]

    @pytest.mark.parametrize(
        ("before", "after", "found", "gone"),
        [
            (
                [f"a {ONE}@{A}", f"b {TWO}@{B}", f"c {TWO}@{B}"],
                [f"a {ONE}@{A}", f"b {ONE}@{A}", f"c {TWO}@{B}"],
                [Change("moved", TWO, B, TWO), Change("same", TWO, B)],
                [],
            ),
            (
                [f"a {ONE}@{A}", f"b {TWO}@{B}"],
                [f"a {TWO}@{B}", f"b {ONE}@{A}"],
                [Change("moved", ONE, A, ONE), Change("moved", TWO, B, TWO)],
                [],
            ),
            (
                [f"a {APP}@{A}", f"b {APP}@{B}"],
                [f"a {APP}@{A}", f"b {APP}@{A}"],
                [Change("moved", APP, B)],
                [],
            ),
            (
                [f"a {APP}@{A}", f"b {APP}@{B}"],
                [f"a {APP}@{A}", f"b {APP}@{B}"],
                [Change("same", APP, A), Change("same", APP, B)],
                [],
            ),
            (
                [f"a {APP}@{A}", f"b {APP}@{B}"],
                [f"a {APP}@{C}", f"b {APP}@{B}"],
                [Change("moved", APP, A), Change("same", APP, B)],
                [],
            ),
            ([f"a {APP}@{A}", f"b {APP}@{B}"], [f"a {APP}@{A}"], [Change("same", APP, A)], [Change("removed", APP, B)]),
            (
                [f"a {ONE}@{A}", f"b {TWO}@{B}"],
                [f"b {TWO}@{B}", f"a {ONE}@{A}"],
                [Change("same", TWO, B), Change("same", ONE, A)],
                [],
            ),
            (
                [f"web-x1/a {ONE}@{A}", f"web-x1/b {TWO}@{B}"],
                [f"web-y2/a {ONE}@{A}", f"web-y2/b {ONE}@{A}"],
                [Change("moved", TWO, B, TWO)],
                [],
            ),
            ([f"a {ONE}@{A}"], [f"a {ONE}@{A}", f"new {ONE}@{A}"], [Change("same", ONE, A)], []),
            ([f"a {ONE}@{A}"], [f"a {TWO}@{B}"], [Change("new")], [Change("removed", ONE, A)]),
        ],
        ids=[
            "a container takes the image of another",
            "two containers swap their images",
            "one of two images without a tag",
            "two images without a tag",
            "one of two images without a tag moves on",
            "one of two images without a tag goes",
            "the order does not count",
            "a random name does not count",
            "a new container of an image that is there",
            "an image of another repository",
        ],
    )
    def test_a_change(
        self, before: Sequence[str], after: Sequence[str], found: Sequence[Change], gone: Sequence[Change]
    ) -> None:
        assert self.compared(before, after) == ([*found], [*gone])

    def test_a_template_that_leaves_the_tag_out(self) -> None:
        deployed = Before({"quay.io/t/app:1": {A}}, self.uses(f"a {APP}@{A}"))
        for name in (APP, f"{APP}:1"):
            now = image(name, A, uses=self.uses(f"a {name}"))
            now = now._replace(reference=Reference.parse(name if ":" in name else f"{name}@{A}"))
            assert compared(deployed, [now]) == ((Change("same", name, A),), ())
