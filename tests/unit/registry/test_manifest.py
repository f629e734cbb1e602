"""Manifests: what is read, and every way in which one is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helmpin.registry import manifest
from helmpin.registry.errors import Failure
from helmpin.registry.manifest import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, IndexedManifest, Manifest

A, B, C = ("sha256:" + letter * 64 for letter in "abc")
IMAGE = {"schemaVersion": 2, "config": {"digest": C, "size": 1}, "layers": []}
INDEX = {
    "schemaVersion": 2,
    "manifests": [
        {"digest": A, "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
        {"digest": B, "platform": {"os": "unknown", "architecture": "unknown"}},
        {"digest": C},
    ],
}


def read(document: Any, content_type: str) -> Manifest:
    return manifest.read(document if isinstance(document, bytes) else json.dumps(document).encode(), content_type)


@pytest.mark.parametrize("kind", [OCI_MANIFEST, DOCKER_MANIFEST])
@pytest.mark.parametrize("served", ["{}", "{}; charset=utf-8", " {}"])
def test_image(kind: str, served: str) -> None:
    assert read({**IMAGE, "mediaType": kind}, served.format(kind)) == (kind, (), C)
    assert read(IMAGE, served.format(kind)) == (kind, (), C)


@pytest.mark.parametrize("kind", [OCI_INDEX, DOCKER_LIST])
def test_index(kind: str) -> None:
    children = (IndexedManifest("linux/arm64/v8", A), IndexedManifest("unknown/unknown", B), IndexedManifest("", C))
    assert read({**INDEX, "mediaType": kind}, kind.upper()) == (kind, children, None)


@pytest.mark.parametrize("served", ["", "application/json", "text/plain; charset=utf-8", "application/octet-stream"])
def test_a_server_that_knows_no_types(served: str) -> None:
    assert read({**IMAGE, "mediaType": DOCKER_MANIFEST}, served).media_type == DOCKER_MANIFEST
    assert read(IMAGE, served).media_type == OCI_MANIFEST
    assert read(INDEX, served).media_type == OCI_INDEX


@pytest.mark.parametrize(
    ("document", "served", "reason"),
    [
        (b"", OCI_MANIFEST, "not valid JSON, or is truncated"),
        (json.dumps(IMAGE).encode()[:-7], OCI_MANIFEST, "not valid JSON, or is truncated"),
        (b"\xff\xfe\xff", OCI_MANIFEST, "not valid JSON, or is truncated"),
        (b"[" * 1_000_000, OCI_MANIFEST, "not valid JSON, or is truncated"),
        (b'{"schemaVersion":' + b"9" * 100_000 + b"}", OCI_MANIFEST, "not valid JSON, or is truncated"),
        ([], OCI_MANIFEST, "not a JSON object"),
        ("text", OCI_MANIFEST, "not a JSON object"),
        (IMAGE, "text/html", "expected an image manifest, got 'text/html'"),
        (IMAGE, "application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1"),
        ({"schemaVersion": 1}, "", "schema 1"),
        ({**IMAGE, "mediaType": "application/vnd.oci.empty.v1+json"}, "", "of type 'application/vnd.oci.empty"),
        ({**IMAGE, "mediaType": 7}, OCI_MANIFEST, "of type int"),
        ({**IMAGE, "mediaType": OCI_INDEX}, OCI_MANIFEST, f"served as {OCI_MANIFEST}, but the document is of type"),
        ({**IMAGE, **INDEX}, OCI_INDEX, "both an index and an image manifest"),
        ({**IMAGE, "manifests": []}, OCI_MANIFEST, "both an index and an image manifest"),
        ({}, OCI_INDEX, "no list of manifests"),
        ({"manifests": {}}, OCI_INDEX, "no list of manifests"),
        ({"manifests": [7]}, OCI_INDEX, "no valid digest in manifests"),
        ({"manifests": [{"digest": A[:-1]}]}, OCI_INDEX, "no valid digest in manifests"),
        ({}, OCI_MANIFEST, "no valid digest in config"),
        ({"config": {"digest": ["x"]}}, OCI_MANIFEST, "no valid digest in config"),
    ],
)
def test_refused(document: Any, served: str, reason: str) -> None:
    with pytest.raises(Failure) as caught:
        read(document, served)
    assert caught.value.kind == "bad-answer"
    assert reason in caught.value.reason
    assert caught.value.hint


def test_an_index_within_an_index() -> None:
    children: list[Any] = [{"digest": A, "mediaType": kind} for kind in (OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, ["x"])]
    assert [child.is_index for child in read({"manifests": children}, OCI_INDEX).children] == [True, True, False, False]


def test_a_platform_that_is_junk_is_no_platform() -> None:
    children: list[Any] = [{"digest": A, "platform": junk} for junk in (7, [], {"os": 7, "architecture": None}, None)]
    assert read({"manifests": children}, OCI_INDEX).children == (IndexedManifest("", A),) * 4
