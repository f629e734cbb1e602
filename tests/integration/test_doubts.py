"""A container that reports another digest than its own, judged by what a real registry says of both."""

from __future__ import annotations

import pytest

from helmpin.cluster.workloads import Doubt, Seen
from helmpin.registry import RegistrySettings
from helmpin.verify.doubts import resolve_doubts
from helmpin.verify.registries import Registries
from tests.support.registry_servers import OCI_MANIFEST, Server, free_port

ASK = Registries(RegistrySettings(timeout=5))
PLATFORMS = {"linux/amd64": "a", "linux/arm64": "b"}


def judged(image: str, *reported: str, registries: Registries | None = ASK) -> Seen:
    seen = Seen()
    seen.doubts = [Doubt("Pod/web app", image, image_id) for image_id in reported]
    resolve_doubts([seen], registries)
    assert seen.doubts == []
    return seen


class TestOfAnIndex:
    @pytest.fixture
    def image(self, registry: Server, unique: str) -> str:
        return f"{registry.host}/{unique}:latest@{registry.push_index(unique, 'latest', PLATFORMS)[0]}"

    def test_its_manifests_and_their_configurations(self, registry: Server, unique: str, image: str) -> None:
        _, built = registry.push_index(unique, "latest", PLATFORMS)
        name = f"{registry.host}/{unique}"
        for manifest, configuration in built.values():
            ids = [f"{name}@{manifest}", f"docker-pullable://{name}@{manifest}", manifest]
            ids += [configuration, f"docker://{configuration}", configuration.partition(":")[2]]
            seen = judged(image, *ids)
            assert (seen.right, seen.wrong, seen.silent) == (6, [], [])

    def test_a_foreign_one(self, registry: Server, unique: str, image: str) -> None:
        other, config = registry.push_image(unique, "other", salt="other")
        seen = judged(image, f"{registry.host}/{unique}@{other}", config)
        assert (seen.right, len(seen.wrong)) == (0, 2)
        assert other in seen.wrong[0]
        assert image.partition("@")[2] in seen.wrong[0]


def test_the_registry_of_the_name_that_a_node_reports_does_not_answer(registry: Server, unique: str) -> None:
    """As a mirror that only the nodes can reach."""
    digest, _ = registry.push_image(unique, "latest")
    other = f"sha256:{'0' * 64}"
    seen = judged(f"{registry.host}/{unique}:latest@{digest}", f"127.0.0.1:{free_port()}/mirror/{unique}@{other}")
    assert (seen.right, seen.wrong, len(seen.silent)) == (0, [], 1)
    assert other in seen.silent[0]


def test_another_name_of_the_same_image(registry: Server, unique: str) -> None:
    """A node keeps one image under many names: here the same configuration and layers under another manifest."""
    digest, config = registry.push_image(f"{unique}/mine", "latest", salt="same")
    assert registry.push_image(f"{unique}/its", "latest", salt="same")[1] == config
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 1, "digest": config},
        "layers": [],
        "annotations": {"another": "manifest"},
    }
    its = registry.push_manifest(f"{unique}/its", "annotated", manifest, OCI_MANIFEST)
    assert its != digest
    image = f"{registry.host}/{unique}/mine:latest@{digest}"
    seen = judged(image, f"{registry.host}/{unique}/its@{its}")
    assert (seen.right, seen.wrong) == (1, [])


def test_nobody_is_asked() -> None:
    seen = judged(f"example.com/app:1@sha256:{'a' * 64}", f"sha256:{'b' * 64}", registries=None)
    assert (seen.right, seen.wrong) == (0, [])
    assert "no registry was asked" in seen.silent[0]


def test_a_registry_that_does_not_answer() -> None:
    seen = judged(f"127.0.0.1:{free_port()}/app:1@sha256:{'a' * 64}", f"sha256:{'b' * 64}")
    assert (seen.right, seen.wrong) == (0, [])
    assert "is unknown" in seen.silent[0]
