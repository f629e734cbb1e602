"""How the planned images differ from the deployed ones."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from helmpin.image.reference import Reference
from helmpin.plan.deployed import Change, compared
from helmpin.plan.images import ImagePlan, Problem
from helmpin.release.changes import UNPINNED

A, B = (f"sha256:{letter * 64}" for letter in "ab")
WEB = "quay.io/t/web:1"


def image(name: str, digest: str, problem: Problem | None = None) -> ImagePlan:
    return ImagePlan(
        image=name,
        reference=Reference.parse(name),
        digest=digest,
        media_type="",
        mutable=None,
        via="values",
        strategy="",
        values=(),
        uses=(),
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
    assert compared(before, [image(name, A)])[0] == (change,)


def test_two_tags_of_one_repository() -> None:
    before = {WEB: {A}, "quay.io/t/web:2": {B}}
    found, gone = compared(before, [image(WEB, A), image("quay.io/t/web:3", B)])
    assert [change.kind for change in found] == ["same", "new"]
    assert gone == (Change("removed", "quay.io/t/web:2", B),)


def test_an_image_that_was_let_through() -> None:
    let = image(WEB, "", Problem("allowed", "allowed"))
    assert compared({WEB: {UNPINNED}}, [let])[0] == (Change("same", WEB, UNPINNED),)
    assert compared({WEB: {A}}, [let])[0] == (Change("moved", WEB, A),)


def test_what_is_no_more() -> None:
    found, gone = compared({WEB: {A}, "quay.io/t/old:1": {B}}, [image(WEB, A)])
    assert found == (Change("same", WEB, A),)
    assert gone == (Change("removed", "quay.io/t/old:1", B),)
    assert compared({"quay.io/t/web": {A}}, [image(WEB, A)])[1] == ()
