"""References: the grammar and its reasons. tests/integration/test_reference_oracle.py compares it with Go's libraries."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helmpin.image.reference import InvalidReference, Reference, split, valid_digest
from tests.support.budget import examples

SHA256, SHA512 = "sha256:" + "0a" * 32, "sha512:" + "0a" * 64


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.25", "docker.io/library/nginx:1.25"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx:latest"),
        ("bitnami/redis", "docker.io/bitnami/redis:latest"),
        ("ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1"),
        ("localhost/x", "localhost/x:latest"),
        ("localhost:5000", "docker.io/library/localhost:5000"),
        ("localhost:5000/x", "localhost:5000/x:latest"),
        ("127.0.0.1:5000/a:b", "127.0.0.1:5000/a:b"),
        ("[::1]:5000/x/y:1", "[::1]:5000/x/y:1"),
        ("[2001:db8::1]/x", "[2001:db8::1]/x:latest"),
        ("Harbor/app", "Harbor/app:latest"),
        (f"nginx@{SHA256}", f"docker.io/library/nginx@{SHA256}"),
        (f"nginx:1@{SHA512}", f"docker.io/library/nginx:1@{SHA512}"),
        ("a__b/c.d/e---f:_x", "docker.io/a__b/c.d/e---f:_x"),
    ],
)
def test_normalised(text: str, normalised: str) -> None:
    assert str(Reference.parse(text)) == normalised
    assert Reference.parse(normalised) == Reference.parse(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        ("https://ghcr.io/a/b", "it is a URL; leave out https://"),
        ("ghcr.io/Acme/app", "repository must be lowercase"),
        ("ghcr.io/a b", "repository cannot contain ' '"),
        ("ghcr.io/a\nb", "repository cannot contain '\\n'"),
        ("ghcr.io/é", "repository cannot contain '\\xe9'"),
        ("ghcr.io/", "there is no repository"),
        (":v1", "there is no repository"),
        ("ghcr.io/a//b", "repository part '' must not be empty"),
        (
            "ghcr.io/a/-b",
            "repository part '-b' must begin and end with a letter or digit, with . or _ or __ or dashes between",
        ),
        (
            "ghcr.io/a..b",
            "repository part 'a..b' must begin and end with a letter or digit, with . or _ or __ or dashes between",
        ),
        ("ghcr.io/" + "a" * 256, "repository has 256 characters, more than 255"),
        ("under_score.io/x", "registry 'under_score.io' is not a host name or address with an optional port"),
        ("ghcr.io:port/x", "registry 'ghcr.io:port' is not a host name or address with an optional port"),
        ("::1/x", "registry '::1' is not a host name or address with an optional port"),
        ("nginx:", "there is no tag after the colon"),
        ("nginx:-1", "tag cannot begin with -"),
        ("nginx:1:2", "tag cannot contain ':'"),
        ("nginx:1+2", "tag cannot contain '+'"),
        ("nginx:" + "1" * 129, "tag has 129 characters, more than 128"),
        ("nginx@", "there is no digest after the @"),
        ("nginx@abc", "digest 'abc' is not of the form sha256:…"),
        ("nginx@sha256:abc", "digest of sha256 needs 64 hexadecimal digits, not 3"),
        ("nginx@" + SHA256.upper().replace("SHA", "sha"), "digest must be lowercase hexadecimal"),
        ("nginx@md5:" + "0" * 32, "digest algorithm 'md5' is not supported: sha256 and sha512 are"),
        ("0a" * 32, "64 hexadecimal digits are an image ID, not a repository"),
    ],
)
def test_refused_with_the_exact_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        Reference.parse(text)
    assert str(caught.value) == reason
    assert caught.value.text == text


def test_parts() -> None:
    reference = Reference.parse("ghcr.io/acme/app:1")
    assert tuple(reference) == ("ghcr.io", "acme/app", "1", None)
    assert (reference.name, reference.identifier) == ("ghcr.io/acme/app", "1")
    pinned = reference.with_digest(SHA256)
    assert (str(pinned), pinned.identifier) == (f"ghcr.io/acme/app:1@{SHA256}", SHA256)
    with pytest.raises(InvalidReference, match="lowercase hexadecimal"):
        reference.with_digest("sha256:" + "0A" * 32)


def test_the_limits_themselves_are_allowed() -> None:
    text = "ghcr.io/" + "a" * 255 + ":" + "1" * 128
    assert str(Reference.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("nginx", ("nginx", None, None)),
        ("localhost:5000/x", ("localhost:5000/x", None, None)),
        ("localhost:5000/x:1@sha256:ab", ("localhost:5000/x", "1", "sha256:ab")),
        ("x:", ("x", "", None)),
        ("x@", ("x", None, "")),
        ("", ("", None, None)),
        ("%!s(<nil>):1", ("%!s(<nil>)", "1", None)),
    ],
)
def test_split_as_written(text: str, parts: tuple[str, str | None, str | None]) -> None:
    assert split(text) == parts


def test_valid_digest() -> None:
    assert valid_digest(SHA256)
    assert valid_digest(SHA512)
    for wrong in (
        "",
        "sha256:",
        SHA256[:-1],
        SHA256 + "0",
        SHA256.upper(),
        "sha512:" + "0" * 64,
        SHA256 + "\n",
        "md5:" + "0" * 32,
        "0a" * 32,
    ):
        assert not valid_digest(wrong), wrong


@settings(max_examples=examples(500), deadline=None)
@given(st.text(max_size=200))
def test_parse_is_stable(text: str) -> None:
    name, tag, digest = split(text)
    assert name + ("" if tag is None else f":{tag}") + ("" if digest is None else f"@{digest}") == text
    try:
        once = Reference.parse(text)
    except InvalidReference:
        return
    assert Reference.parse(str(once)) == once


def reason(text: str) -> str:
    """Why a text is no reference; '' when it is one."""
    try:
        Reference.parse(text)
    except InvalidReference as error:
        return str(error)
    return ""


@pytest.mark.parametrize("piece", ["a", "-", "a.", "a/", "a-", ".", ":", "@", "[", "a_", "A", "é", "/", "0"])
def test_long_texts_take_linear_time(piece: str) -> None:
    started = time.thread_time()
    for text in (
        piece * 200_000,
        "ghcr.io/" + piece * 200_000 + "!",
        "x:" + piece * 200_000,
        "x@sha256:" + piece * 200_000,
        piece * 200_000 + "/x",
    ):
        split(text)
        assert len(reason(text)) < 300
    assert time.thread_time() - started < 5
