"""Four implementations of the protocol, asked for every kind of manifest."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from helmpin.image.reference import Reference
from helmpin.registry import Described, RegistryError, RegistrySettings, describe, details_of, resolve
from helmpin.registry.details import Details
from tests.support import registry_servers
from tests.support.asking import NOTHING, digest_of, error_of
from tests.support.registry_servers import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Server

SETTINGS = RegistrySettings()
PLATFORMS = {"linux/amd64": "a", "linux/arm64": "b"}


SERVERS = {
    "distribution 3": registry_servers.distribution,
    "docker-registry 2.8": partial(registry_servers.distribution, program="docker-registry"),
    "go-containerregistry": registry_servers.crane_registry,
    "ociregistry": registry_servers.oci_server,
}


@pytest.fixture(scope="module", params=SERVERS)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with SERVERS[request.param](tmp_path_factory.mktemp("served")) as registry:
        yield registry


def test_manifest(served: Server) -> None:
    for docker, media_type in ((False, OCI_MANIFEST), (True, DOCKER_MANIFEST)):
        digest, config = served.push_image("team/app", "v1", docker=docker)
        by_tag = Reference.parse(f"{served.host}/team/app:v1")
        by_digest = Reference.parse(f"{served.host}/team/app@{digest}")
        both = Reference.parse(f"{served.host}/team/app:v1@{digest}")

        answers = resolve([by_tag, by_digest, both], SETTINGS, NOTHING)
        found = describe([by_tag], SETTINGS, NOTHING)[by_tag]

        assert answers == dict.fromkeys([by_tag, by_digest, both], (digest, media_type))
        assert isinstance(found, Described) and found.digest == digest
        assert [(p.manifest_digest, p.config_digest) for p in found.platforms] == [(digest, config)]


def test_index(served: Server) -> None:
    for docker, media_type in ((False, OCI_INDEX), (True, DOCKER_LIST)):
        digest, built = served.push_index("team/multi", "v2", PLATFORMS, docker=docker)
        reference = Reference.parse(f"{served.host}/team/multi:v2")

        assert resolve([reference], SETTINGS, NOTHING) == {reference: (digest, media_type)}
        quick = describe([reference], SETTINGS, NOTHING)[reference]
        whole = describe([reference], SETTINGS, NOTHING, configs=True)[reference]

        assert quick == (digest, media_type, tuple((name, one, None) for name, (one, _) in built.items()))
        assert whole == (digest, media_type, tuple((name, one, config) for name, (one, config) in built.items()))


def test_an_index_within_an_index(served: Server) -> None:
    """OCI allows it, and runtimes follow it."""
    inner, built = served.push_index("team/nested", "inner", PLATFORMS)
    other, _ = served.push_image("team/nested", "other", platform="linux/s390x")
    own = {"mediaType": OCI_MANIFEST, "size": 1, "digest": other, "platform": {"os": "linux", "architecture": "s390x"}}
    children = [own, {"mediaType": OCI_INDEX, "size": 1, "digest": inner}]
    outer = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}
    digest = served.push_manifest("team/nested", "outer", outer, OCI_INDEX)
    reference = Reference.parse(f"{served.host}/team/nested:outer")

    found = describe([reference], SETTINGS, NOTHING)[reference]
    assert isinstance(found, Described) and found.digest == digest
    assert [(platform.platform, platform.manifest_digest) for platform in found.platforms] == [
        ("linux/s390x", other),
        *((name, one) for name, (one, _) in built.items()),
    ]
    about = details_of([reference], SETTINGS, NOTHING)[reference]
    assert isinstance(about, Details) and about.platforms == ("linux/s390x", *built)


def test_what_is_not_there(served: Server) -> None:
    served.push_image("team/app", "v1")
    tag, repository = error_of(f"{served.host}/team/app:v9"), error_of(f"{served.host}/team/none:v1")

    assert (tag.kind, tag.status) == (repository.kind, repository.status) == ("not-found", 404)
    assert served.host in str(tag) and "v9" in str(tag) and "team/app" in str(tag)
    assert "team/none" in str(repository)


def test_a_digest_that_is_deleted(served: Server) -> None:
    digest, _ = served.push_image("team/gone", "v1")
    assert digest_of(f"{served.host}/team/gone@{digest}") == digest

    served.request("DELETE", f"/v2/team/gone/manifests/{digest}")

    error = error_of(f"{served.host}/team/gone@{digest}")
    assert error.kind == "not-found" and digest in error.reason


def test_a_tag_that_moves(served: Server) -> None:
    first, _ = served.push_image("team/moving", "latest", salt="one")
    assert digest_of(f"{served.host}/team/moving") == first
    second, _ = served.push_image("team/moving", "latest", salt="two")
    assert digest_of(f"{served.host}/team/moving") == second != first
    assert digest_of(f"{served.host}/team/moving:latest@{first}") == first


def test_by_ipv6(tmp_path: Path) -> None:
    with registry_servers.distribution(tmp_path, address="::1") as served:
        digest, _ = served.push_image("team/app", "v1")
        assert digest_of(f"{served.host}/team/app:v1") == digest


def test_each_distinct_reference_once(tmp_path: Path) -> None:
    with registry_servers.distribution(tmp_path) as served:
        digests = {
            f"{served.host}/many/app{i % 7}:v{i}": served.push_image(f"many/app{i % 7}", f"v{i}")[0] for i in range(40)
        }
        assert served.log
        before = served.log.read_text().count('"HEAD ')

        answers = resolve([Reference.parse(name) for name in [*digests, *digests]], SETTINGS, NOTHING)

        assert {
            str(reference): answer.digest
            for reference, answer in answers.items()
            if not isinstance(answer, RegistryError)
        } == digests
        assert served.log.read_text().count('"HEAD ') - before == len(digests)
