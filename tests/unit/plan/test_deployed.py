"""How the planned images differ from the deployed ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from helmpin.errors import HelmFailed
from helmpin.image.outside_pods import ExtraImageRules
from helmpin.image.reference import Reference
from helmpin.image.uses import ImageUse
from helmpin.plan import deployed as under_test
from helmpin.plan.deployed import Change, Deployed, DeployedImages, DeployedReading, compared
from helmpin.plan.images import ImagePlan, Problem
from helmpin.release.changes import UNPINNED, digests
from helmpin.release.previous import Previous
from helmpin.release.record import Image, Record
from helmpin.release.revision import Revision
from tests.support.renders import document, pod

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
def test_how_one_image_compares_with_what_is_deployed(
    before: Mapping[str, set[str]], name: str, change: Change
) -> None:
    assert compared(DeployedImages(before), [image(name, A)])[0] == (change,)


def test_two_tags_of_one_repository() -> None:
    before = {WEB: {A}, "quay.io/t/web:2": {B}}
    found, gone = compared(DeployedImages(before), [image(WEB, A), image("quay.io/t/web:3", B)])
    assert [change.kind for change in found] == ["same", "new"]
    assert gone == (Change("removed", "quay.io/t/web:2", B),)


@pytest.mark.parametrize("kind", ["refused", "gate"])
def test_an_image_that_is_refused_at_the_digest_that_is_deployed(kind: str) -> None:
    refused = image(WEB, A, Problem("no platform", kind))
    changes, removed = compared(DeployedImages({WEB: {A}}), [refused])
    assert (changes, removed) == ((Change("same", WEB, A),), ())


@pytest.mark.parametrize("deployed", [A, UNPINNED])
def test_it_is_unknown_how_an_image_without_a_digest_differs(deployed: str) -> None:
    lost = image(WEB, "", Problem("no such tag", "registry"))
    changes, removed = compared(DeployedImages({WEB: {deployed}}), [lost])
    assert (changes, removed) == ((Change("unknown", WEB, deployed),), ())
    assert Deployed(1, changes, removed).differing == 1
    assert compared(DeployedImages(), [lost])[0] == (Change("new"),)


def test_an_image_that_was_let_through() -> None:
    let = image(WEB, "", Problem("allowed", "allowed"))
    assert compared(DeployedImages({WEB: {UNPINNED}}), [let])[0] == (Change("same", WEB, UNPINNED),)
    assert compared(DeployedImages({WEB: {A}}), [let])[0] == (Change("moved", WEB, A),)


@pytest.mark.parametrize("name", ["nginx", "nginx:1.2", f"nginx@{A}", f"nginx:1.2@{A}", "auto", "Not A Reference", ""])
def test_an_image_that_was_let_through_and_is_again_stays_the_same(name: str) -> None:
    """It is not resolved, so the plan has no reference of it; and what its template has is what is deployed."""
    let = image("x", "", Problem("allowed", "allowed"))._replace(image=name, reference=None)
    (change,), gone = compared(DeployedImages(digests([name], None)), [let])
    assert change.kind == "same" and gone == ()


def test_how_many_differ() -> None:
    found = Deployed(4, (Change("same"), Change("moved"), Change("new"), Change("same")), (Change("removed"),))
    assert found.differing == 3
    assert Deployed(None, (Change("same"),), ()).differing == 0


@pytest.mark.parametrize(
    ("before", "names", "changes"),
    [
        ({"quay.io/t/web:0": {A, B}}, [WEB], [Change("moved", "quay.io/t/web:0", A, "0")]),
        ({WEB: {B, C}}, [WEB], [Change("moved", WEB, B)]),
        ({WEB: {B}, "quay.io/t/web:0": {C}}, [WEB], [Change("moved", WEB, B)]),
        ({WEB: {B}}, [WEB, "quay.io/t/web:2"], [Change("moved", WEB, B), Change("new")]),
        ({"quay.io/t/web:0": {B}, "quay.io/t/web:9": {C}}, [WEB], [Change("new")]),
        ({"quay.io/t/web:0": {B}}, ["quay.io/t/web:2", WEB], [Change("new"), Change("new")]),
        ({"quay.io/t/web": {B}}, [WEB], [Change("moved", "quay.io/t/web", B)]),
    ],
    ids=[
        "another tag at two digests",
        "two other digests",
        "the same reference before another tag",
        "the same reference and a new tag",
        "two tags that are gone",
        "two tags that are new",
        "no tag",
    ],
)
def test_what_an_image_was_where_no_use_of_it_was_there(
    before: Mapping[str, set[str]], names: Sequence[str], changes: Sequence[Change]
) -> None:
    assert compared(DeployedImages(before), [image(name, A) for name in names])[0] == tuple(changes)


def test_what_is_planned_no_more_is_rather_what_an_image_was() -> None:
    """A Job keeps one of the two digests that were deployed, so the other one moved."""
    job, web = image(WEB, A), image(WEB, C)
    assert compared(DeployedImages({WEB: {A, B}}), [web, job])[0] == (Change("moved", WEB, B), Change("same", WEB, A))


def test_what_is_no_more() -> None:
    found, gone = compared(DeployedImages({WEB: {A}, "quay.io/t/old:1": {B}}), [image(WEB, A)])
    assert found == (Change("same", WEB, A),)
    assert gone == (Change("removed", "quay.io/t/old:1", B),)
    assert compared(DeployedImages({"quay.io/t/web": {A}}), [image(WEB, A)])[1] == ()


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
        found, gone = compared(DeployedImages(digests({use.image for use in old}, None), old), planned)
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
            (
                [f"a {ONE}@{A}", f"b {TWO}@{B}"],
                [f"b {ONE}@{A}", f"a {TWO}@{B}"],
                [Change("moved", TWO, B, TWO), Change("moved", ONE, A, ONE)],
                [],
            ),
            (
                [f"a {APP}@{A}", f"b {APP}:1@{A}"],
                [f"a {APP}@{C}", f"b {APP}:1@{A}"],
                [Change("moved", APP, A), Change("same", f"{APP}:1", A)],
                [],
            ),
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
            "two containers swap their images and their order",
            "one reference without a tag, and one with it",
        ],
    )
    def test_a_change(
        self, before: Sequence[str], after: Sequence[str], found: Sequence[Change], gone: Sequence[Change]
    ) -> None:
        assert self.compared(before, after) == ([*found], [*gone])

    def test_uses_outside_pods_are_known_by_their_whole_path(self) -> None:
        """An element of a list is another place, for it has no name."""
        uses = [
            ImageUse(f"{name}@{at}", "web/a.yaml", 0, 0, "Fleet", "web", ("spec", "images", n), "")
            for n, (name, at) in enumerate([(ONE, A), (TWO, B)])
        ]
        swapped = [uses[0]._replace(image=uses[1].image), uses[1]._replace(image=uses[0].image)]
        planned = [
            image(use.image.partition("@")[0], use.image.partition("@")[2], uses=[use])._replace(
                reference=Reference.parse(use.image)
            )
            for use in swapped
        ]
        found, gone = compared(DeployedImages(digests({use.image for use in uses}, None), uses), planned)
        assert found == (Change("moved", ONE, A, ONE), Change("moved", TWO, B, TWO)) and gone == ()

    def test_places_of_any_shape(self) -> None:
        paths: list[tuple[Any, ...]] = [("spec", 0, "image"), ("spec", "a", "image")]
        uses = [ImageUse(f"{ONE}@{A}", "web/a.yaml", 0, 0, "Fleet", "web", path, "") for path in paths]
        planned = [image(ONE, A, uses=uses)]
        assert compared(DeployedImages({ONE: {A}}, uses[::-1]), planned) == ((Change("same", ONE, A),), ())

    def test_one_digest_in_two_repositories_whose_templates_leave_the_tag_out(self) -> None:
        """The record has the tags."""
        deployed = {"quay.io/t/app:1": {A}, "quay.io/t/one:1": {A}}
        old = self.uses("a quay.io/t/one@" + A)
        now = image(TWO, B, uses=self.uses(f"a {TWO}@{B}"))
        assert compared(DeployedImages(deployed, old), [now])[0] == (Change("new"),)
        there = DeployedImages({**deployed, TWO: {B}}, old)
        assert compared(there, [now])[0] == (Change("moved", "quay.io/t/one:1", A, "quay.io/t/one:1"),)

    def test_a_recorded_tag_beside_an_image_that_somebody_has_put_there_without_one(self) -> None:
        deployed = DeployedImages({APP: {B}, f"{APP}:1": {A}}, self.uses(f"a {APP}@{A}", f"b {APP}@{B}"))
        now = image(f"{APP}:2", C, uses=self.uses(f"a {APP}:2@{C}"))
        assert compared(deployed, [now])[0] == (Change("moved", f"{APP}:1", A, "1"),)

    def test_equal_places_pair_in_the_order_of_the_templates(self) -> None:
        def listed(*names: str) -> list[ImageUse]:
            return [
                use._replace(source=f"web/{n}.yaml", nth=0, path=("spec", "containers", 0, "image"))
                for n, use in enumerate(self.uses(*names))
            ]

        old, new = listed(f"a {ONE}@{A}", f"a {TWO}@{B}"), listed(f"a {TWO}@{B}", f"a {ONE}@{A}")
        anywhere = [use._replace(source=f"other/{use.source}") for use in old]
        for before in (anywhere, anywhere[::-1]):
            planned = [
                image(use.image.partition("@")[0], use.image.partition("@")[2], uses=[use])._replace(
                    reference=Reference.parse(use.image)
                )
                for use in new
            ]
            found, _ = compared(DeployedImages(digests({use.image for use in before}, None), before), planned)
            assert found == (Change("moved", ONE, A, ONE), Change("moved", TWO, B, TWO))

    def test_a_template_that_leaves_the_tag_out(self) -> None:
        deployed = DeployedImages({"quay.io/t/app:1": {A}}, self.uses(f"a {APP}@{A}"))
        for name in (APP, f"{APP}:1"):
            now = image(name, A, uses=self.uses(f"a {name}"))
            now = now._replace(reference=Reference.parse(name if ":" in name else f"{name}@{A}"))
            assert compared(deployed, [now]) == ((Change("same", name, A),), ())


class TestReading:
    """Which revision is read, and what is made of it. What helm prints of one is in tests/e2e."""

    PREVIOUS = Previous(5, 4, "failed", {}, ())

    @staticmethod
    def stored(number: int, text: str = "") -> Revision:
        return Revision("web", number, "deployed", text, pod(f"{WEB}@{A}"), "")

    def reading(
        self, monkeypatch: pytest.MonkeyPatch, revisions: Mapping[int | None, Revision]
    ) -> tuple[DeployedReading, list[int | None]]:
        """A reading where these revisions are stored, by number; None for the latest. And the numbers that were asked for."""
        asked: list[int | None] = []

        class Reading:
            def __init__(self, _: object, release: str, revision: int | None = None) -> None:
                assert release == "web"
                asked.append(revision)
                self._revision = revision

            def result(self) -> Revision:
                if self._revision not in revisions:
                    raise HelmFailed("there is no such revision")
                return revisions[self._revision]

        monkeypatch.setattr(under_test, "Reading", Reading)
        return DeployedReading(cast("Any", None), "web"), asked

    @pytest.mark.parametrize(
        "previous",
        [
            None,
            PREVIOUS._replace(status="uninstalled"),
            PREVIOUS._replace(last=1, revision=1, status="failed"),
            PREVIOUS._replace(last=1, revision=1, status="pending-install"),
        ],
    )
    def test_nothing_is_deployed(self, monkeypatch: pytest.MonkeyPatch, previous: Previous | None) -> None:
        reading, asked = self.reading(monkeypatch, {})
        assert reading.result(previous, [image(WEB, A)]) == Deployed(None, (Change("new"),), ())
        assert asked == [None], "no more than what was begun"

    @pytest.mark.parametrize(("latest", "asked"), [(stored(4), [None]), (stored(5), [None, 4]), (None, [None, 4])])
    def test_the_revision_that_was_planned_for(
        self, monkeypatch: pytest.MonkeyPatch, latest: Revision | None, asked: list[int | None]
    ) -> None:
        """The latest one may have failed, or be gone."""
        own = self.stored(4)._replace(manifest=pod(f"{WEB}@{B}"))
        known: dict[int | None, Revision] = {4: own}
        if latest:
            known[None] = own if latest.revision == 4 else latest
        reading, numbers = self.reading(monkeypatch, known)
        assert reading.result(self.PREVIOUS, [image(WEB, A)]) == Deployed(4, (Change("moved", WEB, B),), ())
        assert numbers == asked

    def test_the_record_knows_the_tag_that_a_template_leaves_out(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        record = Record("x", "2026-01-01T00:00:00Z", (Image(WEB, WEB, B, "", "values"),))
        own = self.stored(4, record.to_json())._replace(manifest=pod(f"quay.io/t/web@{B}"))
        reading, _ = self.reading(monkeypatch, {None: own})
        assert reading.result(self.PREVIOUS, [image("quay.io/t/web:2", A)]).changes == (Change("moved", WEB, B, "1"),)
        assert capsys.readouterr().err == ""

    def test_a_record_that_cannot_be_used_is_told_and_the_manifest_counts(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        reading, _ = self.reading(monkeypatch, {None: self.stored(4, "{")})
        assert reading.result(self.PREVIOUS, [image(WEB, A)]).changes == (Change("same", WEB, A),)
        assert "What is deployed is read from the manifest of revision 4: " in capsys.readouterr().err

    def test_images_outside_pods_count_where_they_are_planned(self, monkeypatch: pytest.MonkeyPatch) -> None:
        own = self.stored(4)._replace(manifest=document(f"kind: Fleet\nspec: {{image: '{WEB}@{A}'}}\n"))
        for also, gone in ((None, ()), (ExtraImageRules(("Fleet/*",)), (Change("removed", WEB, A),))):
            reading, _ = self.reading(monkeypatch, {None: own})
            assert reading.result(self.PREVIOUS, [], also) == Deployed(4, (), gone)
