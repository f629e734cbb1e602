"""What many images cost a registry: connections, threads, and patience when it asks for some."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from helmpin.image.reference import Reference
from helmpin.registry import RegistryError, RegistrySettings, Resolved, resolve
from tests.support.asking import NOTHING
from tests.support.hostile import Request, response, serve
from tests.support.registry_servers import OCI_INDEX, sha256

DIGEST = sha256(b"")


def found(request: Request, _: object = None) -> bytes:
    """What a proper registry says."""
    return response("200 OK", b"", request.method, Content_Type=OCI_INDEX, Docker_Content_Digest=DIGEST)


@pytest.mark.parametrize("most", [4, 64])
def test_connections_are_kept_and_few(most: int) -> None:
    """Each image takes 10 ms there, so that all that may run at once does."""
    threads: list[int] = []

    def answer(request: Request, _: socket.socket) -> bytes:
        threads.append(sum(thread.name == "registry" for thread in threading.enumerate()))
        time.sleep(0.01)
        return found(request)

    with serve(answer) as server:
        wanted = [Reference.parse(f"{server.host}/app{i}:v1") for i in range(300)]
        answers = resolve(wanted, RegistrySettings(max_per_host=most), NOTHING)
        assert set(answers.values()) == {Resolved(DIGEST, OCI_INDEX)}
        assert len(server.requests) == 300
        assert 1 < server.connections <= most
    assert 1 < max(threads) <= most


def test_retry_after_is_for_all_that_goes_to_that_host() -> None:
    """Whatever is under way when the registry asks for a second of peace still arrives; after it, nothing does."""
    told: list[float] = []
    came: list[float] = []
    lock = threading.Lock()

    def answer(request: Request, _: socket.socket) -> bytes:
        with lock:
            came.append(time.monotonic())
            if len(came) == 40:
                told.append(time.monotonic())
                return response("429 Too Many Requests", Retry_After="1")
        return found(request)

    with serve(answer) as server:
        wanted = [Reference.parse(f"{server.host}/app{i}:v1") for i in range(300)]
        answers = resolve(wanted, RegistrySettings(max_per_host=8), NOTHING)
        assert not [error for error in answers.values() if isinstance(error, RegistryError)]
        assert len(server.requests) == 301
    after = [moment - told[0] for moment in came if moment > told[0]]
    assert [moment for moment in after if 0.5 < moment < 1] == []
    assert len([moment for moment in after if moment <= 0.5]) < 100, "the rest came later"
