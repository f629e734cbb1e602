"""Responses other than 200: what each means, in the words that a user sees."""

from __future__ import annotations

import json
import time
from email.utils import formatdate

import pytest

from helmpin.image.reference import Reference
from helmpin.registry.errors import Failure, Kind
from helmpin.registry.http_errors import error_document, hint, refusal, retry_after
from helmpin.registry.transport import Answer

DIGEST = "sha256:" + "0a" * 32
BASIC = ['Basic realm="x"']


def answer(status: int, code: str = "", challenges: list[str] = BASIC, **headers: str) -> Answer:
    body = json.dumps({"errors": [{"code": code, "message": f"the words of {code}"}]}).encode() if code else b"<html>"
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, challenges, body, "GET")


@pytest.mark.parametrize(
    ("given", "reference", "sources", "kind", "reason"),
    [
        (answer(404), "v1", "", "not-found", "tag v1 not found in team/app (HTTP 404)"),
        (answer(404), DIGEST, "", "not-found", f"manifest {DIGEST} not found in team/app (HTTP 404)"),
        (
            answer(404, "NAME_UNKNOWN"),
            "v1",
            "",
            "not-found",
            "repository team/app not found (HTTP 404: the words of NAME_UNKNOWN)",
        ),
        (
            answer(401),
            "v1",
            "",
            "unauthorized",
            "authentication required for team/app, and no credentials found (HTTP 401)",
        ),
        (
            answer(401),
            "v1",
            "a file",
            "unauthorized",
            "the credentials from a file were rejected for team/app (HTTP 401)",
        ),
        (
            answer(401, challenges=["Negotiate"]),
            "v1",
            "a file",
            "unauthorized",
            "authentication required for team/app, but no usable WWW-Authenticate header was sent (HTTP 401)",
        ),
        (
            answer(403, "DENIED"),
            "v1",
            "",
            "forbidden",
            "access to team/app is forbidden (HTTP 403: the words of DENIED)",
        ),
        (answer(429), "v1", "", "rate-limited", "rate limited (HTTP 429)"),
        (answer(429, Retry_After="30"), "v1", "", "rate-limited", "rate limited (HTTP 429); retry after 30 s"),
        (answer(503), "v1", "", "unreachable", "server error: HTTP 503 for team/app"),
        (
            answer(400, "MANIFEST_BLOB_UNKNOWN"),
            "v1",
            "",
            "not-found",
            "a part of v1 is gone from team/app (HTTP 400: the words of MANIFEST_BLOB_UNKNOWN)",
        ),
        (answer(418), "v1", "", "bad-answer", "unexpected response: HTTP 418 for team/app"),
    ],
)
def test_refusal(given: Answer, reference: str, sources: str, kind: Kind, reason: str) -> None:
    failure = refusal(given, "team/app", reference, sources)
    assert (failure.kind, failure.status, failure.reason) == (kind, given.status, reason)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("unauthorized", "docker login ghcr.io"),
        ("forbidden", "docker login ghcr.io"),
        ("not-found", "ghcr.io/team/app:v1"),
        ("rate-limited", "--registry-mirror ghcr.io=URL"),
        ("bad-answer", "which server answers"),
    ],
)
def test_the_way_out(kind: Kind, text: str) -> None:
    assert text in hint(Failure(kind, "x"), "ghcr.io", Reference.parse("ghcr.io/team/app:v1"))
    assert hint(Failure(kind, "x", "its own"), "ghcr.io", Reference.parse("ghcr.io/team/app:v1")) == "its own"


def test_docker_hub_is_where_docker_login_goes() -> None:
    assert "`docker login`" in hint(Failure("unauthorized", "x"), "docker.io", Reference.parse("nginx"))
    for given in ("--registry-username", "HELM_PIN_REGISTRY_USERNAME"):
        rejected = Failure("unauthorized", f"the credentials from {given} were rejected for library/nginx (HTTP 401)")
        assert hint(rejected, "docker.io", Reference.parse("nginx")).startswith(f"correct {given} or its password; ")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0),
        ("7", 7),
        (" 30 ", 30),
        ("-5", 0),
        ("soon", 0),
        ("٣", 0),
        ("9" * 400, 0),
        ("Mon, 99 Foo 99999 99:99:99 GMT", 0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
    ],
)
def test_retry_after(header: str, seconds: float) -> None:
    assert retry_after(answer(429, Retry_After=header)) == seconds


def test_retry_after_a_date() -> None:
    assert 100 < retry_after(answer(429, Retry_After=formatdate(time.time() + 120, usegmt=True))) <= 120


@pytest.mark.parametrize(
    ("body", "stated"),
    [
        (
            b'{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known"}]}',
            ("NAME_UNKNOWN", "repository name not known"),
        ),
        (b'{"errors":[{"code":"DENIED"}]}', ("DENIED", "DENIED")),
        (b'{"errors":[{"message":"\\u001b[31m"}]}', ("", "?[31m")),
        (b'{"errors":[{"code":7,"message":[]}]}', ("", "")),
        (b'{"errors":[]}', ("", "")),
        (b'{"errors":[7]}', ("", "")),
        (b'{"errors":{}}', ("", "")),
        (b"[]", ("", "")),
        (b"<html>", ("", "")),
        (b"[" * 100_000, ("", "")),
        (b"\xff", ("", "")),
        (b"", ("", "")),
    ],
)
def test_error_document(body: bytes, stated: tuple[str, str]) -> None:
    assert error_document(body) == stated
