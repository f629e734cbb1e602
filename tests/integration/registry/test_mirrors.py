"""Mirrors by containerd's convention, and a pull-through cache."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from helmpin.image.reference import Reference
from helmpin.registry import RegistryError, RegistrySettings, resolve
from tests.support import registry_servers
from tests.support.asking import NOTHING, digest_of, error_of, keychain
from tests.support.hostile import Hostile, Request, response, serve
from tests.support.registry_servers import HTPASSWD, OCI_INDEX, PASSWORD, USER, Server, basic, sha256

INDEX = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode()
DIGEST = sha256(INDEX)


def good(request: Request, _: object = None) -> bytes:
    return response("200 OK", INDEX, request.method, Content_Type=OCI_INDEX, Docker_Content_Digest=DIGEST)


@pytest.fixture
def mirror() -> Iterator[Hostile]:
    """A server that shows how it is asked."""
    with serve(good) as server:
        yield server


def through(*mirrors: tuple[str, str], timeout: float = 5) -> RegistrySettings:
    return RegistrySettings(mirrors=mirrors, timeout=timeout)


def test_the_same_path_with_ns(mirror: Hostile) -> None:
    assert digest_of("nginx:1.27", through(("docker.io", f"http://{mirror.host}"))) == DIGEST
    assert [r.target for r in mirror.requests] == ["/v2/library/nginx/manifests/1.27?ns=docker.io"]


@pytest.mark.parametrize("first", ["down", "404", "500", "401", "junk"])
def test_several_in_order(mirror: Hostile, first: str) -> None:
    answers = {
        "404": response("404 Not Found"),
        "500": response("500 Oh"),
        "401": response("401 No", WWW_Authenticate='Basic realm="x"'),
        "junk": response("200 OK", b"<html>", Content_Type="text/html"),
    }
    with serve(lambda *_: answers.get(first)) as broken:
        host = f"127.0.0.1:{registry_servers.free_port()}" if first == "down" else broken.host
        settings = through(("docker.io", f"http://{host}"), ("docker.io", f"http://{mirror.host}"), timeout=15)
        assert digest_of("nginx:1", settings) == DIGEST


@pytest.mark.parametrize("first", ["silent", "dripping"])
def test_one_that_hangs_leaves_time_for_the_next(mirror: Hostile, first: str) -> None:
    def answer(request: Request, peer: socket.socket) -> bytes | None:
        if first == "dripping" and request.method == "HEAD":
            return response("200 OK")
        if first == "dripping":
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(200):
            time.sleep(0.05)
            if first == "dripping":
                peer.sendall(b" ")
        return None

    with serve(answer) as hanging:
        mirrors = (("docker.io", f"http://{hanging.host}"), ("docker.io", f"http://{mirror.host}"))
        answers = resolve([Reference.parse(f"app{i}:1") for i in range(30)], through(*mirrors, timeout=6), NOTHING)
    assert [getattr(answer, "digest", str(answer)) for answer in answers.values()] == [DIGEST] * 30


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with registry_servers.distribution(tmp_path_factory.mktemp("origin")) as server:
        server.push_image("team/app", "v1")
        yield server


def test_the_origin_is_asked_only_when_that_is_said(origin: Server) -> None:
    gone = f"http://127.0.0.1:{registry_servers.free_port()}"
    alone, back = through((origin.host, gone)), through((origin.host, gone), (origin.host, "origin"))
    name = f"{origin.host}/team/app:v1"

    error = error_of(name, alone)

    assert error.kind == "unreachable" and gone.partition("//")[2] in error.reason and error.registry == origin.host
    assert digest_of(name, back)


def test_the_origin_of_each_when_the_mirror_is_for_all(origin: Server, mirror: Hostile) -> None:
    with serve(lambda *_: response("404 Not Found")) as empty:
        settings = through(("*", f"http://{empty.host}"), ("*", "origin"))
        references = [Reference.parse(f"{origin.host}/team/app:v1"), Reference.parse(f"{mirror.host}/team/app:v1")]
        answers = resolve(references, settings, NOTHING)
    assert not [answer for answer in answers.values() if isinstance(answer, RegistryError)]
    assert "ns=" not in mirror.requests[0].target


def test_an_error_names_every_server_that_was_asked(origin: Server) -> None:
    with serve(lambda *_: response("404 Not Found")) as empty:
        error = error_of(
            f"{origin.host}/team/none:v1", through((origin.host, f"http://{empty.host}"), (origin.host, "origin"))
        )
    assert error.kind == "not-found" and empty.host in error.reason and origin.host in str(error)


def test_its_own_credentials(tmp_path: Path) -> None:
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "x", "path": str(tmp_path / "htpasswd")}}
    with registry_servers.distribution(tmp_path, auth=auth, headers={"Authorization": basic(USER, PASSWORD)}) as served:
        digest, _ = served.push_image("library/nginx", "1")
        settings = through(("docker.io", f"http://{served.host}"))
        assert digest_of("nginx:1", settings, keychain(tmp_path, {served.host: (USER, PASSWORD)})) == digest

        error = error_of("nginx:1", settings, keychain(tmp_path, {"https://index.docker.io/v1/": (USER, PASSWORD)}))
        assert error.kind == "unauthorized" and served.host in f"{error.reason} {error.hint}", (
            "Docker Hub's are not for it"
        )


@pytest.mark.parametrize("program", ["registry", "docker-registry"])
def test_a_pull_through_cache(tmp_path: Path, origin: Server, program: str) -> None:
    name = f"{origin.host}/team/app:v1"
    with registry_servers.distribution(tmp_path, program, proxy=f"http://{origin.host}") as cache:
        assert digest_of(name, through((origin.host, f"http://{cache.host}"))) == digest_of(name)
        assert cache.log and '"HEAD /v2/team/app/manifests/v1?ns=' in cache.log.read_text()
