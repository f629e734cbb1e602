"""A plan as the images of a kustomization. What kustomize itself makes of them: tests/integration/test_shapes.py."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from helmpin.image.documents import Document
from helmpin.image.uses import ImageUse, document_images
from helmpin.plan.images import ImagePlan, Problem
from helmpin.plan.kustomize import Entry, entries
from tests.support.renders import digest

A, B = digest("a"), digest("b")
SOURCE = "app/templates/web.yaml"


def pod(*images: str, kind: str = "Pod", annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    containers = [{"name": f"c{i}", "image": image} for i, image in enumerate(images)]
    metadata = {"name": "web", **({"annotations": annotations} if annotations else {})}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": {"containers": containers, **spec}}


POLICY = {
    **pod(kind="Policy", rules=[{"pattern": {"spec": {"containers": [{"image": "web:1"}]}}}]),
    "apiVersion": "kyverno.io/v1",
}


def documents(*objects: dict[str, Any]) -> list[Document]:
    return [Document(SOURCE, order, yaml.safe_dump(each)) for order, each in enumerate(objects)]


def plans(found: list[Document], digests: dict[str, str], **changes: Any) -> list[ImagePlan]:
    """A plan that pins each image of the documents that has a digest here."""
    uses: dict[str, list[ImageUse]] = {}
    for use in (use for document in found for use in document_images(document)):
        uses.setdefault(use.image, []).append(use)
    return [
        ImagePlan(
            image=image,
            reference=None,
            digest=digests.get(image, ""),
            media_type="",
            mutable=None,
            via="values",
            strategy="",
            values=(),
            uses=tuple(each),
            notes=(),
            problem=None,
            set_by=(),
            followers=(),
            by_values_alone=True,
        )._replace(**changes)
        for image, each in uses.items()
    ]


def test_an_entry_for_each_name() -> None:
    found = documents(pod("example.com/web:1", "db"), pod("example.com/web:1"))
    images, refused = entries(plans(found, {"example.com/web:1": A, "db": B}), found)
    assert [entry.as_data() for entry in images] == [
        {"name": "db", "newTag": "latest", "digest": B},
        {"name": "example.com/web", "newTag": "1", "digest": A},
    ]
    assert refused == {}


def test_two_tags_of_one_name() -> None:
    found = documents(pod("web:1", "web:2", "db:1"))
    images, refused = entries(plans(found, {"web:1": A, "web:2": B, "db:1": A}), found)
    assert [entry.name for entry in images] == ["db"]
    assert sorted(refused) == ["web:1", "web:2"]
    assert "an entry has one tag and one digest for web" in refused["web:1"]


def test_what_the_chart_pins_needs_no_entry() -> None:
    found = documents(pod("web:1"))
    assert entries(plans(found, {"web:1": A}, via="chart"), found) == ([], {})


def test_what_the_chart_pins_beside_a_tag() -> None:
    found = documents(pod("web:1", f"web:1@{B}"))
    tagged, by_chart = plans(found, {"web:1": A, f"web:1@{B}": B})
    images, refused = entries([tagged, by_chart._replace(via="chart")], found)
    assert images == [] and list(refused) == ["web:1"]
    assert refused["web:1"].startswith("an entry has one tag and one digest for web: ")


@pytest.mark.parametrize("change", [{"digest": ""}, {"problem": Problem("allowed", "allowed")}])
def test_what_has_no_digest_gets_no_entry(change: dict[str, Any]) -> None:
    found = documents(pod("web:1"))
    assert entries(plans(found, {"web:1": A}, **change), found) == ([], {})


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        ([pod("web:1", annotations={"helm.sh/hook": "pre-install"})], "a hook"),
        ([pod("db:1", volumes=[{"name": "v", "image": {"reference": "web:1"}}])], "only in lists of containers"),
        ([pod("db:1", ephemeralContainers=[{"name": "e", "image": "web:1"}])], "only in lists of containers"),
        ([pod("we.b:1", f"we-b:1@{B}")], f"kustomize would change we-b:1@{B} at Pod/web spec.containers.1.image"),
        ([pod("we.b+:1")], "a regular expression"),
        ([pod("we.b:1"), pod("we-b:1", kind="Other")], "kustomize would change we-b:1 at Other/web"),
        (
            [pod("web:1"), pod("web:7", kind="Other")],
            "kustomize would change web:7 at Other/web spec.containers.0.image",
        ),
        (
            [pod("web:1"), POLICY],
            "kustomize would change web:1 at Policy/web spec.rules.0.pattern.spec.containers.0.image",
        ),
    ],
)
def test_what_a_kustomization_cannot_say(objects: list[dict[str, Any]], why: str) -> None:
    found = documents(*objects)
    images = plans(found, {"web:1": A, "we.b:1": A, "we.b+:1": A})
    wanted = [image.image for image in images if image.digest]
    made, refused = entries(images, found)
    assert made == []
    assert list(refused) == wanted
    assert why in refused[wanted[0]]


def test_a_definition_of_custom_resources_is_none_of_its_business() -> None:
    found = documents(pod("web:1"), pod("web:7", kind="CustomResourceDefinition"))
    images, refused = entries(plans(found, {"web:1": A}), found)
    assert ([entry.name for entry in images], refused) == (["web"], {})


@pytest.mark.parametrize(
    ("name", "image", "matches"),
    [
        ("web", "web", True),
        ("web", "web:1", True),
        ("web", f"web:1@{A}", True),
        ("web", "team/web:1", False),
        ("web", "web-x:1", False),
        ("a.b", "axb", True),
        ("a(b", "a(b", False),
    ],
)
def test_what_an_entry_matches(name: str, image: str, matches: bool) -> None:
    assert Entry(name, "1", A).matches(image) is matches


def test_images_of_both_lists_are_reached() -> None:
    found = documents(pod("example.com/web:1", initContainers=[{"name": "i", "image": "example.com/init:1"}]))
    images, refused = entries(plans(found, {"example.com/web:1": A, "example.com/init:1": B}), found)
    assert [entry.name for entry in images] == ["example.com/init", "example.com/web"] and refused == {}


@pytest.mark.parametrize(("source", "where"), [(SOURCE, f", in {SOURCE}"), ("", "")])
def test_an_image_elsewhere_is_refused_with_its_place(source: str, where: str) -> None:
    volume = {"name": "v", "image": {"reference": "example.com/data:1"}}
    found = [each._replace(source=source) for each in documents(pod("example.com/web:1", volumes=[volume]))]
    _, refused = entries(plans(found, {"example.com/web:1": A, "example.com/data:1": B}), found)
    assert refused == {
        "example.com/data:1": f"Pod/web spec.volumes.0.image.reference{where}: "
        "kustomize changes images only in lists of containers and initContainers"
    }


def test_two_tags_of_one_name_are_refused_with_their_digests() -> None:
    found = documents(pod("example.com/web:1", "example.com/web:2"))
    _, refused = entries(plans(found, {"example.com/web:1": A, "example.com/web:2": B}), found)
    several = f"1@sha256:{'a' * 12}, 2@sha256:{'b' * 12}"
    assert set(refused.values()) == {f"an entry has one tag and one digest for example.com/web: {several}"}


@pytest.mark.parametrize("odd", [{"a": {"image": "x:1"}}, ["x:1", {"image": 1}, {"image": ["x:1"]}, None], "x:1", None])
def test_lists_of_another_shape_hold_no_images(odd: Any) -> None:
    found = documents(pod("example.com/web:1"), {"kind": "Thing", "metadata": {"name": "t"}, "containers": odd})
    images, refused = entries(plans(found[:1], {"example.com/web:1": A}), found)
    assert [entry.name for entry in images] == ["example.com/web"] and refused == {}
