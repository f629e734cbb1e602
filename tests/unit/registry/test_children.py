"""The images that nodes pull of an index."""

from __future__ import annotations

from helmpin.image.reference import Reference
from helmpin.registry.children import Child, children_of
from helmpin.registry.errors import RegistryError
from helmpin.registry.manifest import OCI_INDEX, OCI_MANIFEST
from helmpin.registry.types import Described, Platform
from tests.support.renders import digest

A, B, C = map(digest, "abc")
WEB = Reference.parse(f"example.com/web:1@{A}")
AMD, ARM = "linux/amd64", "linux/arm64"


def listed(*platforms: str, media_type: str = OCI_INDEX) -> Described:
    """What a registry says of an image whose manifests, for these platforms, are B and C."""
    return Described(A, media_type, tuple(map(Platform, platforms, (B, C), (None, None))))


def child(platform: str, of: str) -> Child:
    return Child(WEB, platform, WEB._replace(tag=None, digest=of))


def test_one_for_each_wanted_platform() -> None:
    assert children_of({WEB: listed(AMD, ARM)}, {WEB: {ARM, AMD}}) == [child(AMD, B), child(ARM, C)]


def test_the_first_of_two_for_a_platform() -> None:
    assert children_of({WEB: listed(AMD, AMD)}, {WEB: {AMD}}) == [child(AMD, B)]


def test_nothing_without_an_index_or_for_another_platform() -> None:
    assert children_of({WEB: listed(AMD, media_type=OCI_MANIFEST)}, {WEB: {AMD}}) == []
    assert children_of({WEB: RegistryError(WEB, "unreachable", "no answer")}, {WEB: {AMD}}) == []
    assert children_of({WEB: listed(ARM)}, {WEB: {AMD}}) == []
    assert children_of({WEB: listed(AMD)}, {}) == []
