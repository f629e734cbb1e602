"""Servers whose answer to HEAD is of no use: every one of them gives the digest that GET gives."""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from helmpin.image.reference import Reference
from helmpin.registry import RegistrySettings, Resolved, resolve
from tests.support.asking import NOTHING, digest_of, error_of, keychain, said
from tests.support.hostile import Request, reset, response, serve
from tests.support.registry_servers import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, sha256

CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(b"{}"), "size": 2}
ONE = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": CONFIG, "layers": []}).encode()
AMD64 = {
    "mediaType": OCI_MANIFEST,
    "digest": sha256(ONE),
    "size": len(ONE),
    "platform": {"os": "linux", "architecture": "amd64"},
}
INDEX = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [AMD64]}).encode()
DIGEST = sha256(INDEX)
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
QUICK = RegistrySettings(timeout=5)
Answer = Callable[[Request, socket.socket], "bytes | None"]


def index(request: Request, **headers: str) -> bytes:
    """The index, as a proper registry serves it."""
    fields = {"Content_Type": OCI_INDEX, "Docker_Content_Digest": DIGEST, **headers}
    return response("200 OK", INDEX, request.method, **fields)


def head(answer: Answer) -> Answer:
    """A server whose HEAD is answered so, and whose GET properly."""
    return lambda request, peer: answer(request, peer) if request.method == "HEAD" else index(request)


def status(line: str, **headers: str) -> Answer:
    """A HEAD that is refused."""
    return head(lambda *_: response(line, **headers))


def found(**headers: str) -> Answer:
    """A HEAD that goes well and has these headers."""
    return head(lambda *_: response("200 OK", INDEX, "HEAD", **headers))


def silent(_: Request, peer: socket.socket) -> None:
    """A server that takes its time, until the client goes."""
    peer.recv(1)


@pytest.mark.parametrize(
    "answer",
    [
        *(
            pytest.param(status(line), id=line)
            for line in (
                "400 Bad Request",
                "401 Unauthorized",
                "403 Forbidden",
                "404 Not Found",
                "405 Method Not Allowed",
                "406 Not Acceptable",
                "410 Gone",
                "418 Teapot",
                "500 Oh",
                "501 Not Implemented",
                "502 Bad Gateway",
                "503 Service Unavailable",
                "504 Gateway Timeout",
                "505 No",
                "204 No Content",
                "301 Moved",
            )
        ),
        pytest.param(status("503 Busy", Retry_After="1"), id="503 with Retry-After"),
        pytest.param(status("503 Busy", Retry_After="3600"), id="503 with a Retry-After past the deadline"),
        pytest.param(status("401 No", WWW_Authenticate=""), id="401 with an empty challenge"),
        pytest.param(status("401 No", WWW_Authenticate="Bearer"), id="401 with half a challenge"),
        pytest.param(status("401 No", WWW_Authenticate='Basic realm="x"'), id="401 with a challenge for nobody"),
        pytest.param(status("302 Found", Location="/login"), id="a redirect to a loop"),
        pytest.param(status("302 Found", Location="http://192.0.2.1/login"), id="a redirect into the clear"),
        pytest.param(head(lambda *_: None), id="hangs up"),
        pytest.param(head(lambda _, peer: reset(peer)), id="resets"),
        pytest.param(head(lambda *_: b"SSH-2.0-OpenSSH_9.9\r\n"), id="not HTTP"),
        pytest.param(found(), id="no headers"),
        pytest.param(found(Content_Type=OCI_INDEX), id="no digest"),
        pytest.param(found(Docker_Content_Digest=DIGEST), id="no type"),
        pytest.param(found(Content_Type=OCI_INDEX, Docker_Content_Digest=DIGEST[:-1]), id="a digest too short"),
        pytest.param(found(Content_Type=OCI_INDEX, Docker_Content_Digest=DIGEST + "0"), id="a digest too long"),
        pytest.param(found(Content_Type=OCI_INDEX, Docker_Content_Digest=f"W/{DIGEST}"), id="a digest like an ETag"),
        pytest.param(found(Content_Type=OCI_INDEX, Docker_Content_Digest="md5:" + "0" * 32), id="another algorithm"),
        pytest.param(found(Content_Type=OCI_INDEX, Docker_Content_Digest="é" * 64), id="a digest that is not ASCII"),
        pytest.param(found(Content_Type=OCI_INDEX, Docker_Content_Digest=f"{DIGEST}\x00"), id="a digest and more"),
        *(
            pytest.param(found(Content_Type=kind, Docker_Content_Digest=DIGEST), id=kind)
            for kind in ("application/json", "application/json; charset=utf-8", "text/html", "text/plain", "x")
        ),
        *(
            pytest.param(found(Content_Type=kind, Docker_Content_Digest=sha256(ONE)), id=kind)
            for kind in (SCHEMA_1, OCI_MANIFEST, DOCKER_MANIFEST)
        ),
    ],
)
def test_get_has_the_last_word(answer: Answer) -> None:
    with serve(answer) as server:
        begun = time.monotonic()
        assert resolve([reference := Reference.parse(f"{server.host}/team/app:v1")], QUICK, NOTHING) == {
            reference: Resolved(DIGEST, OCI_INDEX)
        }
        assert time.monotonic() - begun < 3
        manifests = [request.method for request in server.requests if "/manifests/" in request.target]
    assert manifests == ["HEAD", "GET"]


@pytest.mark.parametrize("headers", [{}, {"Content_Type": OCI_INDEX, "Docker_Content_Digest": DIGEST}])
def test_a_head_that_is_answered_with_a_body(headers: dict[str, str]) -> None:
    """It stands in the way of the next answer on that connection."""
    with serve(head(lambda *_: response("200 OK", INDEX, **headers))) as server:
        wanted = [Reference.parse(f"{server.host}/team/app{i}:v1") for i in range(30)]
        answers = resolve(wanted, RegistrySettings(max_per_host=2), NOTHING)
    assert set(answers.values()) == {Resolved(DIGEST, OCI_INDEX)}


def test_a_head_that_is_never_answered() -> None:
    with serve(head(silent)) as server:
        settings = RegistrySettings(timeout=2)
        answers = resolve([Reference.parse(f"{server.host}/team/app{i}:v1") for i in range(10)], settings, NOTHING)
    assert set(answers.values()) == {Resolved(DIGEST, OCI_INDEX)}


def test_many_images_where_head_never_works() -> None:
    with serve(status("503 Service Unavailable")) as server:
        wanted = [Reference.parse(f"{server.host}/team/app{i}:v1") for i in range(100)]
        begun = time.monotonic()
        answers = resolve(wanted, RegistrySettings(), NOTHING)
        took = time.monotonic() - begun
        assert len(server.requests) == 200
    assert set(answers.values()) == {Resolved(DIGEST, OCI_INDEX)}
    assert took < 5


@pytest.mark.parametrize("kind", [OCI_INDEX, DOCKER_LIST])
def test_an_index_needs_no_get(kind: str) -> None:
    with serve(lambda request, _: index(request, Content_Type=kind)) as server:
        assert digest_of(f"{server.host}/team/app:v1", QUICK) == DIGEST
        assert [request.method for request in server.requests] == ["HEAD"]


class TestOnePlatform:
    """HEAD says that a tag is a manifest for one platform."""

    def one(self, request: Request, **headers: str) -> bytes:
        fields = {"Content_Type": OCI_MANIFEST, "Docker_Content_Digest": sha256(ONE), **headers}
        return response("200 OK", ONE, request.method, **fields)

    def test_that_is_true(self) -> None:
        with serve(lambda request, _: self.one(request)) as server:
            assert digest_of(f"{server.host}/team/app:v1", QUICK) == sha256(ONE)
            assert [request.method for request in server.requests] == ["HEAD", "GET"]

    def test_nothing_follows_from_it_for_the_next_tag(self) -> None:
        """A GET may count as a pull, or be limited, where this answer does not show it: so each tag is asked by HEAD first."""

        def answer(request: Request, _: socket.socket) -> bytes:
            return self.one(request) if "/one/" in request.target else index(request)

        with serve(answer) as server:
            wanted = [Reference.parse(f"{server.host}/{name}:v1") for name in ("one", "team/app", "team/web")]
            resolve(wanted, RegistrySettings(max_per_host=1), NOTHING)
            assert [request.method for request in server.requests] == ["HEAD", "GET", "HEAD", "HEAD"]

    def test_one_tag_that_is_missing_says_nothing_of_the_others(self) -> None:
        def answer(request: Request, _: socket.socket) -> bytes:
            return response("404 No", method=request.method) if "/none/" in request.target else index(request)

        with serve(answer) as server:
            wanted = [Reference.parse(f"{server.host}/{name}:v1") for name in ("none", "team/app", "team/web")]
            answers = resolve(wanted, RegistrySettings(max_per_host=1), NOTHING)
            assert [request.method for request in server.requests if "/team/" in request.target] == ["HEAD"] * 2
        assert [isinstance(answer, Resolved) for answer in answers.values()] == [False, True, True]

    @pytest.mark.parametrize("order", list(itertools.permutations(["index", "one", "lies", "no-head"])), ids="-".join)
    def test_a_tag_has_the_digest_that_it_has_alone(self, order: Sequence[str]) -> None:
        """Whatever was asked before it at the same server."""

        def answer(request: Request, _: socket.socket) -> bytes:
            kind, is_head = request.target.split("/")[2], request.method == "HEAD"
            if kind == "no-head" and is_head:
                return response("404 Not Found", method=request.method)
            return self.one(request) if kind == "one" or (kind == "lies" and is_head) else index(request)

        with serve(answer) as server:
            wanted = [Reference.parse(f"{server.host}/{kind}:v1") for kind in order]
            answers = resolve(wanted, RegistrySettings(max_per_host=1), NOTHING)
            alone = {wish: resolve([wish], QUICK, NOTHING)[wish] for wish in wanted}
        digests = [sha256(ONE) if kind == "one" else DIGEST for kind in order]
        assert [answer.digest for answer in answers.values() if isinstance(answer, Resolved)] == digests
        assert answers == alone

    def test_by_its_digest_it_can_be_nothing_else(self) -> None:
        with serve(lambda request, _: self.one(request)) as server:
            assert digest_of(f"{server.host}/team/app@{sha256(ONE)}", QUICK) == sha256(ONE)
            assert [request.method for request in server.requests] == ["HEAD"]

    def test_another_digest_than_asked_for(self) -> None:
        with serve(head(lambda request, _: self.one(request))) as server:
            assert digest_of(f"{server.host}/team/app@{DIGEST}", QUICK) == DIGEST

    def test_docker_hub_counts_a_get_as_a_pull_and_heeds_accept(self) -> None:
        limits = {"RateLimit_Limit": "100;w=21600", "Docker_RateLimit_Source": "192.0.2.7"}
        with serve(lambda request, _: self.one(request, **limits)) as server:
            assert digest_of(f"{server.host}/team/app:v1", QUICK) == sha256(ONE)
            assert [request.method for request in server.requests] == ["HEAD"]

    def test_docker_hub_is_asked_by_head_after_a_get_too(self) -> None:
        """One HEAD that fails makes no pulls of the tags that follow."""

        def answer(request: Request, _: socket.socket) -> bytes:
            if "/first/" in request.target and request.method == "HEAD":
                return response("503 Busy", method="HEAD")
            return self.one(request, Docker_RateLimit_Source="192.0.2.7")

        with serve(answer) as server:
            wanted = [Reference.parse(f"{server.host}/{name}:v1") for name in ("first", "second", "third")]
            resolve(wanted, RegistrySettings(max_per_host=1), NOTHING)
            assert [request.method for request in server.requests] == ["HEAD", "GET", "HEAD", "HEAD"]


@pytest.mark.parametrize("known", ["application/json", "*/*"])
def test_a_server_that_knows_only_json(known: str) -> None:
    def answer(request: Request, _: socket.socket) -> bytes:
        kinds = [part.partition(";")[0].strip() for part in request.headers["accept"].split(",")]
        if not {known, "*/*"} & set(kinds):
            return response("406 Not Acceptable", method=request.method)
        assert kinds[-1] == "*/*", "what is known goes first"
        return index(request, Content_Type="application/json")

    with serve(answer) as server:
        assert digest_of(f"{server.host}/team/app:v1", QUICK) == DIGEST


@pytest.mark.parametrize("kind", ["binary/octet-stream", "application/octet-stream", "text/plain", ""])
def test_files_in_a_bucket(kind: str) -> None:
    """Static hosting has no types of its own, and no digest header."""
    with serve(lambda request, _: response("200 OK", INDEX, request.method, Content_Type=kind)) as server:
        assert digest_of(f"{server.host}/team/app:v1", QUICK) == DIGEST


def test_a_redirect_that_is_good_for_get_alone() -> None:
    """As to a bucket: a signed URL holds for one method."""

    def answer(request: Request, _: socket.socket) -> bytes:
        if request.target.startswith("/v2/"):
            return response("307 Go", method=request.method, Location=f"/signed{request.target}")
        return index(request) if request.method == "GET" else response("403 Forbidden", method="HEAD")

    with serve(answer) as server:
        assert digest_of(f"{server.host}/team/app:v1", QUICK) == DIGEST


class TestRefusal:
    """The reason is what GET says: HEAD has no body."""

    @pytest.mark.parametrize("line", ["401 No", "403 Forbidden", "404 Not Found", "418 Teapot", "503 Busy"])
    def test_the_registry_s_own_words(self, line: str) -> None:
        body = json.dumps({"errors": [{"code": "DENIED", "message": "the licence has expired"}]}).encode()
        with serve(lambda request, _: response(line, body, request.method)) as server:
            error = error_of(f"{server.host}/team/app:v1", QUICK)
        assert error.status == int(line[:3]) and "the licence has expired" in error.reason

    def test_a_password_that_is_refused_is_shown_no_further(self, tmp_path: Path) -> None:
        with serve(lambda *_: response("401 No", WWW_Authenticate='Basic realm="x"')) as server:
            chain = keychain(tmp_path, {server.host: ("alice", "wr0ng-passw0rd")})
            error = error_of(f"{server.host}/team/app:v1", QUICK, chain)
            assert sum("authorization" in request.headers for request in server.requests) == 1
        assert error.kind == "unauthorized" and "wr0ng-passw0rd" not in said(error)

    def test_a_limit_is_not_strained(self) -> None:
        with serve(lambda *_: response("429 Too Many Requests", Retry_After="60")) as server:
            assert error_of(f"{server.host}/team/app:v1", QUICK).kind == "rate-limited"
            assert [request.method for request in server.requests] == ["HEAD"]


class TestTokens:
    """HEAD refuses whoever comes, GET takes the token."""

    @pytest.mark.parametrize("realm", ["/token?tenant=blue,green", "/token?", "/a,b/token"])
    @pytest.mark.parametrize("service", [',service="s"', ""])
    def test_realms(self, realm: str, service: str) -> None:
        asked: list[str] = []

        def answer(request: Request, _: socket.socket) -> bytes:
            if "/token" in request.target.partition("?")[0]:
                asked.append(request.target)
                return response("200 OK", b'{"access_token": "t", "expires_in": "300"}')
            if request.headers.get("authorization") == "Bearer t" and request.method == "GET":
                return index(request)
            challenge = f'Bearer realm="http://{server.host}{realm}"{service}'
            return response("401 No", method=request.method, WWW_Authenticate=challenge)

        with serve(answer) as server:
            assert digest_of(f"{server.host}/team/app:v1", QUICK) == DIGEST
        path, _, query = realm.partition("?")
        assert len(asked) == 1 and asked[0].startswith(f"{path}?{query}") and ("service=s" in asked[0]) is bool(service)
