"""The fault matrix: what a broken or hostile registry does, and the one message that it costs each image."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import socket
import threading
import time
import tracemalloc
from base64 import b64decode
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from helmpin.image.reference import Reference
from helmpin.registry import RegistryError, RegistrySettings, describe, resolve
from helmpin.registry.keychain import ConfigFile
from helmpin.registry.requester import MAX_TRIES
from helmpin.registry.session import Session
from tests.support import registry_servers
from tests.support.asking import NOTHING, digest_of, error_of, keychain, said
from tests.support.hostile import Hostile, Request, reset, response, serve
from tests.support.registry_servers import OCI_INDEX, OCI_MANIFEST, sha256

CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(b"{}"), "size": 2}
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": CONFIG, "layers": []}).encode()
DIGEST, OTHER = sha256(MANIFEST), sha256(b"other")
SECRET, TOKEN = "s3cr3t-passw0rd", "t0ken-of-the-server"
QUICK = RegistrySettings(timeout=3)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Second tries come sooner, so that the matrix takes seconds."""
    monkeypatch.setattr("helmpin.registry.requester.pauses", lambda: itertools.repeat(0.02))


def good(request: Request, **headers: str) -> bytes:
    """What a proper registry says."""
    return response(
        "200 OK", MANIFEST, request.method, **{"Content_Type": OCI_MANIFEST, "Docker_Content_Digest": DIGEST, **headers}
    )


def answering(*first: bytes | None) -> Callable[[Request, socket.socket], bytes | None]:
    """Answers with these, one after the other, and then properly."""
    left = list(first)
    return lambda request, _: left.pop(0) if left else good(request)


def once(request: Request, *, body: bytes = MANIFEST, **headers: str) -> bytes:
    """A HEAD that does not tell, so that a GET follows with this body."""
    if request.method == "HEAD":
        return response("200 OK")
    return response("200 OK", body, **{"Content_Type": OCI_MANIFEST, **headers})


def fails(
    answer: Callable[[Request, socket.socket], bytes | None], settings: RegistrySettings = QUICK, what: str = ":v1"
) -> RegistryError:
    """The error for team/app on a server that answers so; it comes within the time that the settings give."""
    with serve(answer) as hostile:
        begun = time.monotonic()
        error = error_of(f"{hostile.host}/team/app{what}", settings)
        assert time.monotonic() - begun < settings.timeout + 1
        assert error.registry == hostile.host and error.reference.repository == "team/app"
        assert hostile.host in str(error) and error.hint, "it names the registry, and says what to try"
        return error


class TestNoConnection:
    def test_a_name_that_is_not_known(self) -> None:
        error = error_of("registry.invalid/team/app:v1", RegistrySettings(timeout=10))
        assert (error.kind, error.status) == ("unreachable", None)
        assert "registry.invalid" in str(error) and "DNS" in error.reason

    def test_refused(self) -> None:
        host = f"127.0.0.1:{registry_servers.free_port()}"
        begun = time.monotonic()
        error = error_of(f"{host}/team/app:v1")
        assert time.monotonic() - begun < 5
        assert error.kind == "unreachable" and "connection refused" in error.reason and "running" in error.hint

    def test_a_port_that_cannot_be(self) -> None:
        error = error_of("127.0.0.1:99999/team/app:v1", QUICK)
        assert error.kind == "unreachable" and "99999" in str(error)

    def test_one_that_is_down_costs_one_error_each_and_holds_up_nobody(self) -> None:
        down = f"127.0.0.1:{registry_servers.free_port()}"
        with serve(lambda request, _: good(request)) as fine:
            wanted = [Reference.parse(f"{host}/team/app{i}:v1") for i in range(100) for host in (down, fine.host)]
            begun = time.monotonic()
            answers = resolve(wanted, RegistrySettings(), NOTHING)
            took = time.monotonic() - begun
        errors = {reference: answer for reference, answer in answers.items() if isinstance(answer, RegistryError)}
        assert {reference.registry for reference in errors} == {down} and len(errors) == 100
        assert {error.kind for error in errors.values()} == {"unreachable"}
        assert all(error.reference == reference for reference, error in errors.items())
        assert took < 5

    def test_one_that_takes_no_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As behind a firewall that drops packets: its queue is full, and the system lets nobody wait in it."""
        monkeypatch.setattr("helmpin.registry.transport.CONNECT_TIMEOUT", 1.0)
        with socket.socket() as full, ExitStack() as stack:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for _ in range(4):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            host = f"127.0.0.1:{full.getsockname()[1]}"
            begun = time.monotonic()
            answers = resolve([Reference.parse(f"{host}/app{i}:v1") for i in range(50)], RegistrySettings(), NOTHING)
            took = time.monotonic() - begun
        errors = [answer for answer in answers.values() if isinstance(answer, RegistryError)]
        assert len(errors) == 50 and {error.kind for error in errors} == {"timeout"} and took < 4
        assert host in errors[0].reason and "connection" in errors[0].reason and "firewall" in errors[0].hint

    def test_one_that_hangs_holds_up_nobody(self) -> None:
        def silent(*_: object) -> None:
            time.sleep(30)

        with serve(silent) as hanging, serve(lambda request, _: good(request)) as fine:
            wanted = [
                Reference.parse(f"{host}/team/app{i}:v1") for i in range(50) for host in (hanging.host, fine.host)
            ]
            begun = time.monotonic()
            answers = resolve(wanted, RegistrySettings(timeout=6), NOTHING)  # enough for 50 on a busy machine
            took = time.monotonic() - begun
        assert took < 9
        kinds = {(reference.registry, getattr(answer, "kind", "resolved")) for reference, answer in answers.items()}
        assert kinds == {(hanging.host, "timeout"), (fine.host, "resolved")}


class TestBrokenConnection:
    def test_reset_in_the_middle_of_the_body(self) -> None:
        def answer(request: Request, peer: socket.socket) -> bytes | None:
            if request.method == "HEAD":
                return response("200 OK")
            peer.sendall(response("200 OK", MANIFEST, Content_Type=OCI_MANIFEST)[:-40])
            return reset(peer)

        error = fails(answer)
        assert error.kind == "unreachable" and "failed" in error.reason

    def test_a_body_that_is_cut_off(self) -> None:
        def answer(request: Request, peer: socket.socket) -> bytes | None:
            if request.method == "HEAD":
                return response("200 OK")
            peer.sendall(response("200 OK", MANIFEST, Content_Type=OCI_MANIFEST)[:-40])
            return None

        error = fails(answer)
        assert error.kind == "unreachable" and "cut off" in error.reason

    def test_reset_once(self) -> None:
        resets = [True]

        def answer(request: Request, peer: socket.socket) -> bytes | None:
            return reset(peer) if resets and resets.pop() else good(request)

        with serve(answer) as hostile:
            assert digest_of(f"{hostile.host}/team/app:v1") == DIGEST
            assert len(hostile.requests) == 2

    def test_silent_once(self) -> None:
        silent = [True]

        def answer(request: Request, _: socket.socket) -> bytes:
            if silent and silent.pop():
                time.sleep(2)
            return good(request)

        with serve(answer) as hostile:
            assert digest_of(f"{hostile.host}/team/app:v1", RegistrySettings(timeout=3)) == DIGEST
            assert len(hostile.requests) == 2

    def test_closed_without_a_word(self) -> None:
        error = fails(lambda *_: None)
        assert error.kind == "unreachable" and "closed" in error.reason

    @pytest.mark.parametrize(
        "junk",
        [b"SSH-2.0-OpenSSH_9.9\r\n", b"\0" * 100, b"HTTP/1.1 xyz\r\n\r\n", b"HTTP/1.1 " + b"9" * 5000 + b"\r\n\r\n"],
        ids=["ssh", "zeros", "no status", "a long status"],
    )
    def test_what_is_not_http(self, junk: bytes) -> None:
        def answer(_: Request, peer: socket.socket) -> None:
            peer.sendall(junk)

        error = fails(answer)
        assert error.kind in ("unreachable", "bad-answer") and junk[:8].decode("latin1") not in said(error)

    @pytest.mark.parametrize("lines", [100_000, 1], ids=["many headers", "a long header"])
    def test_headers_without_end(self, lines: int) -> None:
        head = b"HTTP/1.1 200 OK\r\n" + (b"A: b\r\n" * lines if lines > 1 else b"A: " + b"b" * 10_000_000) + b"\r\n"
        assert fails(lambda *_: head).kind in ("unreachable", "bad-answer")


class TestStatus:
    def test_429_then_success(self) -> None:
        with serve(answering(response("429 Too Many Requests", Retry_After="1"))) as hostile:
            begun = time.monotonic()
            assert digest_of(f"{hostile.host}/team/app:v1") == DIGEST
            assert time.monotonic() - begun >= 1, "Retry-After is kept"

    def test_429_for_ever(self) -> None:
        error = fails(lambda *_: response("429 Too Many Requests"))
        assert (error.kind, error.status) == ("rate-limited", 429) and "--registry-mirror" in error.hint

    def test_429_for_longer_than_there_is_time(self) -> None:
        begun = time.monotonic()
        error = fails(lambda *_: response("429 Too Many Requests", Retry_After="3600"))
        assert time.monotonic() - begun < 1 and "3600 s" in error.reason

    @pytest.mark.parametrize("hangs_from", [0.5, 0.8])
    def test_a_limit_is_the_reason_until_the_time_is_up(
        self, monkeypatch: pytest.MonkeyPatch, hangs_from: float
    ) -> None:
        """Also for those that wait for their turn, those that have waited too long for the next try, and those still asked."""
        monkeypatch.setattr("helmpin.registry.requester.pauses", lambda: itertools.repeat(0.3))
        monkeypatch.setattr("helmpin.registry.requester.MAX_LIMITED", 1000)
        begun = time.monotonic()

        def answer(request: Request, _: socket.socket) -> bytes:
            if time.monotonic() - begun > hangs_from:
                time.sleep(1)
            return response("429 Too Many Requests", method=request.method)

        with serve(answer) as hostile:
            wanted = [Reference.parse(f"{hostile.host}/team/app{i}:v1") for i in range(40)]
            answers = resolve(wanted, RegistrySettings(timeout=1, max_per_host=8), NOTHING)
        reasons = {answer.reason for answer in answers.values() if isinstance(answer, RegistryError)}
        assert len(answers) == 40 and reasons == {"rate limited (HTTP 429)"}

    def test_nobody_waits_for_a_try_that_comes_too_late(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The time that a server asks for is stretched, perhaps past the deadline."""
        monkeypatch.setattr("helmpin.registry.requester.spread", lambda seconds: seconds * 2)
        begun = time.monotonic()
        error = fails(lambda *_: response("429 Too Many Requests", Retry_After="1"), RegistrySettings(timeout=1.5))
        assert time.monotonic() - begun < 1 and error.reason == "rate limited (HTTP 429); retry after 1 s"

    def test_a_server_error_is_the_reason_when_the_next_try_hangs(self) -> None:
        def answer(request: Request, _: socket.socket) -> bytes:
            if len(hostile.requests) > 1:
                hostile.stopping.wait(5)
            return response("503 Busy", method=request.method)

        with serve(answer) as hostile:
            error = error_of(f"{hostile.host}/team/app:v1", RegistrySettings(timeout=2))
            assert len(hostile.requests) == 2
        assert (error.kind, error.status) == ("unreachable", 503)

    @pytest.mark.parametrize(("status", "all_wait"), [("429 Too Many Requests", True), ("503 Busy", False)])
    def test_whom_retry_after_delays(self, status: str, all_wait: bool) -> None:
        """A limit is that of the host; other images may well be served while one is not."""
        refused, first = threading.Event(), [True]

        def answer(request: Request, peer: socket.socket) -> bytes:
            if first and first.pop():
                peer.sendall(response(status, method=request.method, Retry_After="1"))
                time.sleep(0.1)  # until it has been read
                refused.set()
                return b""
            return good(request)

        with serve(answer) as hostile, Session(QUICK, NOTHING) as session:
            one, two = (Reference.parse(f"{hostile.host}/team/app:{tag}") for tag in ("one", "two"))
            asking = threading.Thread(target=session.resolve, args=([one],))
            asking.start()
            assert refused.wait(3)
            begun = time.monotonic()
            assert not isinstance(session.resolve([two])[two], RegistryError)
            assert (time.monotonic() - begun > 0.5) is all_wait
            asking.join()

    def test_5xx_then_success(self) -> None:
        with serve(answering(response("500 Oh"), response("502 Bad Gateway"), response("503 Busy"))) as hostile:
            assert digest_of(f"{hostile.host}/team/app:v1") == DIGEST

    def test_500_for_ever_and_for_many(self) -> None:
        with serve(lambda *_: response("500 Oh")) as hostile:
            begun = time.monotonic()
            answers = resolve(
                [Reference.parse(f"{hostile.host}/team/app{i}:v1") for i in range(200)], RegistrySettings(), NOTHING
            )
            took = time.monotonic() - begun
        assert {answer.status for answer in answers.values() if isinstance(answer, RegistryError)} == {500} and len(
            answers
        ) == 200
        assert took < 15

    @pytest.mark.parametrize("status", ["101 Switching Protocols", "206 Partial", "300 Choices", "999 What"])
    def test_an_odd_status(self, status: str) -> None:
        assert fails(lambda *_: response(status)).kind in ("bad-answer", "unreachable", "timeout")


class TestBody:
    def test_one_that_comes_byte_by_byte(self) -> None:
        def answer(request: Request, peer: socket.socket) -> bytes | None:
            if request.method == "HEAD":
                return response("200 OK")
            peer.sendall(
                f"HTTP/1.1 200 OK\r\nContent-Type: {OCI_MANIFEST}\r\nContent-Length: {len(MANIFEST)}\r\n\r\n".encode()
            )
            return _drip(peer, MANIFEST)

        assert fails(answer, RegistrySettings(timeout=1.5)).kind == "timeout"

    def test_headers_that_come_byte_by_byte(self) -> None:
        def answer(_: Request, peer: socket.socket) -> None:
            _drip(peer, b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000)

        assert fails(answer, RegistrySettings(timeout=1.5)).kind == "timeout"

    def test_interim_answers_for_ever(self) -> None:
        def answer(_: Request, peer: socket.socket) -> None:
            while True:
                peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

        assert fails(answer, RegistrySettings(timeout=1.5)).kind == "timeout"

    def test_one_without_end(self) -> None:
        def answer(request: Request, peer: socket.socket) -> None:
            peer.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {OCI_MANIFEST}\r\nConnection: close\r\n\r\n".encode())
            while request.method == "GET":
                peer.sendall(b" " * 65536)

        error = fails(answer)
        assert error.kind == "bad-answer" and "4194304" in error.reason

    def test_chunks_without_end(self) -> None:
        def answer(request: Request, peer: socket.socket) -> bytes:
            if request.method == "HEAD":
                return response("200 OK")
            peer.sendall(
                f"HTTP/1.1 200 OK\r\nContent-Type: {OCI_MANIFEST}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
            )
            while True:
                peer.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")

        error = fails(answer)
        assert error.kind == "bad-answer" and "4194304" in error.reason

    def test_one_that_is_announced_too_long(self) -> None:
        error = fails(lambda *_: response("200 OK", b"", Content_Type=OCI_MANIFEST, Content_Length="99999999999"))
        assert error.kind == "bad-answer" and "99999999999" in error.reason

    @pytest.mark.parametrize("length", ["abc", "-5", "9" * 5000, "3, 4", "0x10"], ids=lambda length: length[:5])
    def test_one_whose_length_cannot_be_understood(self, length: str) -> None:
        """It has come at once, so nothing is said of a timeout, and the server is asked a few times only."""
        with serve(
            lambda *_: response("200 OK", MANIFEST, Content_Type=OCI_MANIFEST, Content_Length=length)
        ) as hostile:
            begun = time.monotonic()
            error = error_of(f"{hostile.host}/team/app:v1", RegistrySettings(timeout=20))
            assert time.monotonic() - begun < 5
        assert error.kind == "bad-answer" and "Content-Length" in error.reason
        assert len(hostile.requests) <= 2 * MAX_TRIES

    def test_one_whose_length_cannot_be_understood_once(self) -> None:
        bad = response("200 OK", MANIFEST, Content_Type=OCI_MANIFEST, Content_Length="abc")
        with serve(answering(response("200 OK"), bad)) as hostile:
            begun = time.monotonic()
            assert digest_of(f"{hostile.host}/team/app:v1", RegistrySettings(timeout=20)) == DIGEST
            assert time.monotonic() - begun < 5
        assert len(hostile.requests) == 3

    def test_a_bomb(self) -> None:
        packed = gzip.compress(b" " * 1_000_000, 9) * 1000  # members follow one another: a gigabyte
        tracemalloc.start()
        try:
            error = fails(
                lambda request, _: once(request, body=packed, Content_Encoding="gzip"), RegistrySettings(timeout=10)
            )
            assert tracemalloc.get_traced_memory()[1] < 64_000_000
        finally:
            tracemalloc.stop()
        assert error.kind == "bad-answer"

    def test_bad_compression(self) -> None:
        assert fails(lambda request, _: once(request, body=b"\x1f\x8bjunk", Content_Encoding="gzip")).kind in (
            "bad-answer",
            "unreachable",
        )

    @pytest.mark.parametrize("body", [MANIFEST, b"{}"])
    def test_a_digest_of_another_algorithm(self, body: bytes) -> None:
        """Whether or not it is that of the manifest."""
        stated = f"sha512:{hashlib.sha512(body).hexdigest()}"
        error = fails(lambda request, _: once(request, body=MANIFEST, Docker_Content_Digest=stated))
        assert error.kind == "bad-answer" and stated in error.reason
        assert ("not at a sha256 digest" in error.reason) is (body == MANIFEST)

    def test_json_that_is_cut_off(self) -> None:
        error = fails(lambda request, _: once(request, body=MANIFEST[:-30]))
        assert error.kind == "bad-answer" and "JSON" in error.reason

    def test_an_index_within_itself(self) -> None:
        def answer(request: Request, _: socket.socket) -> bytes:
            child = {
                "mediaType": OCI_INDEX,
                "digest": OTHER,
                "size": 1,
                "platform": {"os": "linux", "architecture": "amd64"},
            }
            body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child]}).encode()
            return response("200 OK", body, request.method, Content_Type=OCI_INDEX)

        with serve(answer) as hostile:
            reference = Reference.parse(f"{hostile.host}/team/app:v1")
            found = describe([reference], QUICK, NOTHING, configs=True)[reference]
        assert isinstance(found, RegistryError) and found.kind == "bad-answer", (
            "its child does not hash to what it is named"
        )


class TestWrongAnswer:
    def test_other_bytes_than_asked_for(self) -> None:
        error = fails(lambda request, _: once(request), what=f"@{OTHER}")
        assert error.kind == "bad-answer" and DIGEST in error.reason and OTHER in error.reason

    def test_another_digest_than_asked_for(self) -> None:
        error = fails(lambda request, _: good(request), what=f"@{OTHER}")
        assert error.kind == "bad-answer" and OTHER in error.reason

    def test_a_digest_header_that_the_bytes_belie(self) -> None:
        error = fails(lambda request, _: once(request, Docker_Content_Digest=OTHER))
        assert error.kind == "bad-answer" and DIGEST in error.reason

    def test_the_wrong_type(self) -> None:
        kind = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
        error = fails(lambda request, _: response("200 OK", b"<html>", request.method, Content_Type=kind))
        assert error.kind == "bad-answer" and kind in error.reason

    def test_a_type_that_the_document_belies(self) -> None:
        error = fails(lambda request, _: once(request, Content_Type=OCI_INDEX))
        assert error.kind == "bad-answer" and OCI_INDEX in error.reason and OCI_MANIFEST in error.reason

    @pytest.mark.parametrize("kind", ["application/vnd.docker.distribution.manifest.v1+prettyjws", "application/json"])
    def test_schema_1(self, kind: str) -> None:
        body = json.dumps({"schemaVersion": 1, "name": "team/app", "fsLayers": []}).encode()
        error = fails(lambda request, _: response("200 OK", body, request.method, Content_Type=kind))
        assert error.kind == "bad-answer" and "schema 1" in error.reason and "push" in error.hint

    def test_words_meant_for_the_terminal(self) -> None:
        body = json.dumps(
            {"errors": [{"code": "X", "message": "\x1b[2J\x1b]0;owned\x07\r\n" + "a" * 100_000}]}
        ).encode()
        error = fails(lambda request, _: response("403 Forbidden", body, request.method))
        assert "\x1b" not in str(error) and "\r" not in str(error) and "\n" not in str(error) and len(str(error)) < 1000


def _drip(peer: socket.socket, content: bytes) -> None:
    for byte in content:
        peer.sendall(bytes([byte]))
        time.sleep(0.05)


class TestRedirects:
    def test_followed(self) -> None:
        with (
            serve(lambda request, _: good(request)) as there,
            serve(lambda request, _: response("307 Go", Location=f"http://{there.host}{request.target}")) as here,
        ):
            assert digest_of(f"{here.host}/team/app:v1") == DIGEST

    def test_a_loop(self) -> None:
        error = fails(lambda request, _: response("302 Found", Location=request.target))
        assert error.kind == "bad-answer" and "more than 5 redirects" in error.reason

    @pytest.mark.parametrize("target", ["file:///etc/passwd", "https://[::1"])
    def test_to_what_is_no_url(self, target: str) -> None:
        assert fails(lambda *_: response("302 Found", Location=target)).kind == "bad-answer"

    @pytest.mark.parametrize(
        ("there", "why"),
        [
            (b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", "forbidden (redirected to HOST: HTTP 403)"),
            (response("200 OK", b"<html>", Content_Type="text/html"), "redirected to HOST: "),
            (b"", "redirected to HOST: connection to HOST failed"),
        ],
    )
    def test_where_to_is_said_without_what_is_signed(self, there: bytes, why: str) -> None:
        with serve(lambda *_: there or None) as elsewhere:
            error = fails(lambda *_: response("307 Go", Location=f"http://{elsewhere.host}/x?sig={TOKEN}"))
        assert why.replace("HOST", elsewhere.host) in error.reason and TOKEN not in said(error)

    def test_no_credentials_arrive_at_another_host(self, tmp_path: Path) -> None:
        with serve(lambda request, _: good(request)) as thief:

            def answer(request: Request, _: socket.socket) -> bytes:
                if "authorization" not in request.headers:
                    return response("401 No", WWW_Authenticate='Basic realm="x"')
                return response("307 Go", Location=f"http://{thief.host}/elsewhere")

            with serve(answer) as hostile:
                assert (
                    digest_of(
                        f"{hostile.host}/team/app:v1", keychain=keychain(tmp_path, {hostile.host: ("alice", SECRET)})
                    )
                    == DIGEST
                )
                assert "authorization" in hostile.requests[-1].headers
        assert thief.requests and _seen(thief) == []

    def test_another_host_that_wants_credentials_gets_none(self, tmp_path: Path) -> None:
        with serve(lambda *_: response("401 No", WWW_Authenticate='Basic realm="x"')) as thief:

            def answer(request: Request, _: socket.socket) -> bytes:
                if "authorization" not in request.headers:
                    return response("401 No", WWW_Authenticate='Basic realm="x"')
                return response("307 Go", Location=f"http://{thief.host}/elsewhere")

            with serve(answer) as hostile:
                logins = {hostile.host: ("alice", SECRET), thief.host: ("alice", SECRET)}
                error = error_of(f"{hostile.host}/team/app:v1", QUICK, keychain(tmp_path, logins))
        assert error.kind == "unauthorized" and SECRET not in said(error)
        assert f"and credentials are never sent there (redirected to {thief.host}: HTTP 401)" in error.reason
        assert thief.requests and _seen(thief) == []

    def test_no_token_arrives_at_another_host(self, tmp_path: Path) -> None:
        with serve(lambda request, _: good(request)) as thief, _token_server() as tokens:

            def answer(request: Request, _: socket.socket) -> bytes:
                if "authorization" not in request.headers:
                    return response("401 No", WWW_Authenticate=f'Bearer realm="http://{tokens.host}/token",service="x"')
                return response("307 Go", Location=f"http://{thief.host}/elsewhere")

            with serve(answer) as hostile:
                assert (
                    digest_of(
                        f"{hostile.host}/team/app:v1", keychain=keychain(tmp_path, {hostile.host: ("alice", SECRET)})
                    )
                    == DIGEST
                )
        assert thief.requests and _seen(thief) == []


def _seen(hostile: Hostile) -> list[Request]:
    """The requests that carried a credential of any form."""
    return [
        r
        for r in hostile.requests
        if "authorization" in r.headers
        or SECRET in f"{r.headers}{r.body!r}{r.target}"
        or TOKEN in f"{r.headers}{r.target}"
    ]


def _token_server(body: bytes = json.dumps({"token": TOKEN}).encode(), status: str = "200 OK"):  # type: ignore[no-untyped-def]
    return serve(lambda *_: response(status, body))


LOGINS: list[dict[str, str]] = [{"auth": registry_servers.basic("alice", SECRET)[6:]}, {"identitytoken": SECRET}]


class TestChallenges:
    def test_401_for_ever_with_basic(self, tmp_path: Path) -> None:
        with serve(lambda *_: response("401 No", WWW_Authenticate='Basic realm="x"')) as hostile:
            error = error_of(
                f"{hostile.host}/team/app:v1", QUICK, keychain(tmp_path, {hostile.host: ("alice", SECRET)})
            )
            assert len(hostile.requests) <= 4
        assert (error.kind, error.status) == ("unauthorized", 401) and SECRET not in said(error)

    def test_401_for_ever_with_bearer(self) -> None:
        with (
            _token_server() as tokens,
            serve(
                lambda *_: response("401 No", WWW_Authenticate=f'Bearer realm="http://{tokens.host}/token"')
            ) as hostile,
        ):
            error = error_of(f"{hostile.host}/team/app:v1", QUICK)
            assert len(hostile.requests) + len(tokens.requests) <= 8
        assert (error.kind, error.status) == ("unauthorized", 401) and TOKEN not in said(error)

    @pytest.mark.parametrize(
        "header", ['Bearer realm="/token"', 'Bearer realm="ftp://x/"', "\x01", "é", "Basic " * 5000]
    )
    def test_a_malformed_challenge(self, header: str, tmp_path: Path) -> None:
        def answer(*_: object) -> bytes:
            return response("401 No", WWW_Authenticate=header)

        with serve(answer) as hostile:
            error = error_of(
                f"{hostile.host}/team/app:v1", QUICK, keychain(tmp_path, {hostile.host: ("alice", SECRET)})
            )
        assert error.kind in ("unauthorized", "bad-answer") and SECRET not in said(error)

    @pytest.mark.parametrize("headers", [{}, {"WWW_Authenticate": "Negotiate"}, {"WWW_Authenticate": "Bearer x=y"}])
    def test_a_401_that_does_not_say_what_it_wants(self, headers: dict[str, str], tmp_path: Path) -> None:
        """Logging in once more would not help: credentials are there."""
        with serve(lambda *_: response("401 No", **headers)) as hostile:
            chain = keychain(tmp_path, {hostile.host: ("alice", SECRET)})
            error = error_of(f"{hostile.host}/team/app:v1", QUICK, chain)
            assert _seen(hostile) == []
        assert (error.kind, error.status) == ("unauthorized", 401)
        assert "team/app" in error.reason and "WWW-Authenticate" in error.reason and "login" not in error.hint

    @pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 Other", "307 Go", "308 Go"])
    @pytest.mark.parametrize("entry", LOGINS)
    def test_a_token_server_that_redirects_to_itself_gets_the_login_again(
        self, entry: dict[str, str], status: str
    ) -> None:
        """Where it asks for a GET instead of a POST, the login comes by GET from the start."""

        def issue(request: Request, _: socket.socket) -> bytes:
            if not request.target.startswith("/new"):
                return response(status, Location="/new?signed=here")
            shown = b64decode(request.headers.get("authorization", "").removeprefix("Basic ")) + request.body
            right = SECRET.encode() in shown
            return response("200 OK" if right else "401 No", json.dumps({"token": TOKEN}).encode())

        def answer(request: Request, _: socket.socket) -> bytes:
            if request.headers.get("authorization") == f"Bearer {TOKEN}":
                return good(request)
            return response("401 No", WWW_Authenticate=f'Bearer realm="http://{tokens.host}/token"')

        with serve(issue) as tokens, serve(answer) as server:
            config = ConfigFile("test", json.dumps({"auths": {server.host: entry}}))
            assert digest_of(f"{server.host}/team/app:v1", QUICK, config) == DIGEST

    @pytest.mark.parametrize("entry", LOGINS)
    def test_a_token_server_that_redirects_leads_no_credentials_away(self, entry: dict[str, str]) -> None:
        with (
            serve(lambda *_: response("401 No")) as thief,
            serve(lambda *_: response("307 Go", Location=f"http://{thief.host}/token?sig={TOKEN}")) as tokens,
        ):
            challenge = f'Bearer realm="http://{tokens.host}/token"'
            with serve(lambda *_: response("401 No", WWW_Authenticate=challenge)) as hostile:
                config = json.dumps({"auths": {hostile.host: entry}})
                error = error_of(f"{hostile.host}/team/app:v1", QUICK, ConfigFile("test", config))
            assert not [r for r in thief.requests if "authorization" in r.headers or r.body]
            assert len(thief.requests) == ("auth" in entry), "what is in a body goes nowhere"
        assert f"token server {tokens.host}" in error.reason and thief.host in error.reason
        assert "redirect" in error.hint or "token server" in error.hint
        assert SECRET not in said(error) and TOKEN not in said(error)

    @pytest.mark.parametrize(
        ("target", "why"),
        [
            ("http://192.0.2.1/token", "the redirect target http://192.0.2.1 is unencrypted"),
            ("/token?again", "more than 5 redirects"),
            (
                f"ftp://me:{SECRET}@127.0.0.1/x?sig={TOKEN}",
                "the redirect target 'ftp://***@127.0.0.1/x' is not a valid",
            ),
        ],
    )
    def test_a_token_server_that_redirects_astray(self, target: str, why: str) -> None:
        with serve(lambda *_: response("302 Found", Location=target)) as tokens:
            challenge = f'Bearer realm="http://{tokens.host}/token"'
            error = fails(lambda *_: response("401 No", WWW_Authenticate=challenge))
        assert error.kind == "bad-answer" and error.reason.startswith(f"token server {tokens.host}: {why}")
        assert SECRET not in said(error) and TOKEN not in said(error)

    def test_a_token_server_that_is_down_is_called_one(self) -> None:
        down = f"127.0.0.1:{registry_servers.free_port()}"
        challenge = f'Bearer realm="http://{down}/token"'
        error = fails(lambda *_: response("401 No", WWW_Authenticate=challenge))
        assert error.reason.startswith(f"token server {down}: cannot connect to {down}")

    def test_a_token_server_in_the_clear_gets_nothing(self, tmp_path: Path) -> None:
        """Nothing is asked at http://elsewhere, whose address no packet reaches anyway (RFC 5737)."""
        with serve(lambda *_: response("401 No", WWW_Authenticate='Bearer realm="http://192.0.2.1/token"')) as hostile:
            error = error_of(
                f"{hostile.host}/team/app:v1", QUICK, keychain(tmp_path, {hostile.host: ("alice", SECRET)})
            )
        assert error.kind == "bad-answer" and "http://192.0.2.1" in error.reason and "unencrypted" in error.reason

    @pytest.mark.parametrize(
        "body",
        [b"", b"7", b'{"token": 7}', b'{"token": "a\\r\\nX-Evil: 1"}', b'{"token": "\xc3\xa9"}', b"[" * 99_999],
    )
    def test_a_token_that_is_none(self, body: bytes) -> None:
        with (
            _token_server(body) as tokens,
            serve(
                lambda *_: response("401 No", WWW_Authenticate=f'Bearer realm="http://{tokens.host}/token"')
            ) as hostile,
        ):
            error = error_of(f"{hostile.host}/team/app:v1", QUICK)
            assert not [r for r in hostile.requests if "x-evil" in r.headers]
        assert error.kind == "bad-answer" and "token" in error.reason

    @pytest.mark.parametrize("lifetime", ["-1", "1e400", '"soon"', '"300"', "true"])
    def test_an_odd_lifetime(self, lifetime: str) -> None:
        def answer(request: Request, _: socket.socket) -> bytes:
            if request.headers.get("authorization") == f"Bearer {TOKEN}":
                return good(request)
            return response("401 No", WWW_Authenticate=f'Bearer realm="http://{tokens.host}/token"')

        with (
            _token_server(f'{{"token": "{TOKEN}", "expires_in": {lifetime}}}'.encode()) as tokens,
            serve(answer) as hostile,
        ):
            assert digest_of(f"{hostile.host}/team/app:v1", QUICK) == DIGEST

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            ("401 No", "unauthorized"),
            ("403 No", "unauthorized"),
            ("404 No", "bad-answer"),
            ("500 Oh", "unreachable"),
            ("429 No", "rate-limited"),
        ],
    )
    def test_a_token_server_that_refuses(self, status: str, kind: str, tmp_path: Path) -> None:
        with (
            _token_server(b"{}", status) as tokens,
            serve(
                lambda *_: response("401 No", WWW_Authenticate=f'Bearer realm="http://{tokens.host}/token"')
            ) as hostile,
        ):
            error = error_of(
                f"{hostile.host}/team/app:v1", QUICK, keychain(tmp_path, {hostile.host: ("alice", SECRET)})
            )
        assert error.kind == kind and tokens.host in error.reason and SECRET not in said(error)

    def test_a_server_that_says_back_what_it_was_sent(self, tmp_path: Path) -> None:
        def answer(request: Request, _: socket.socket) -> bytes:
            if "authorization" not in request.headers:
                return response("401 No", WWW_Authenticate='Basic realm="x"')
            echo = json.dumps(
                {"errors": [{"code": "DENIED", "message": f"{request.headers['authorization']} alice {SECRET}"}]}
            ).encode()
            return response("403 Forbidden", echo, request.method)

        with serve(answer) as hostile:
            error = error_of(
                f"{hostile.host}/team/app:v1", QUICK, keychain(tmp_path, {hostile.host: ("alice", SECRET)})
            )
        assert (
            error.kind == "forbidden"
            and SECRET not in said(error)
            and registry_servers.basic("alice", SECRET)[6:] not in said(error)
        )
