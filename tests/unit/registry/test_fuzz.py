"""Whatever is sent, the parsers accept or refuse it, in time, and in printable words.

The inputs are mutations of real ones, from a fixed seed: 60,000, or a million with HELM_PIN_TEST_LONG=1. Hypothesis adds
what nobody thought of, and shrinks.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from helmpin.image.reference import InvalidReference, Reference, split, valid_digest
from helmpin.registry import challenge, manifest
from helmpin.registry.endpoints import check_target, is_inside
from helmpin.registry.errors import Failure
from helmpin.registry.http_errors import error_document
from helmpin.registry.types import RegistrySettings
from tests.support.budget import LONG, examples

T = TypeVar("T", str, bytes)
P = ParamSpec("P")
R = TypeVar("R")
E = TypeVar("E", bound=Exception)
BATCH = 10_000
SLOWEST_BATCH = 10.0
"""Seconds of this thread's processor; a batch takes about 0.1."""

DIGEST = "sha256:" + "0a" * 32
REFERENCES = [
    "nginx",
    "nginx:1.25",
    "docker.io/library/nginx:latest",
    "ghcr.io/acme/app:v1.2.3-rc.1_x@" + DIGEST,
    "localhost:5000/a/b/c",
    "[2001:db8::1]:5000/a__b/c--d:T",
    "127.0.0.1:5000/x@sha512:" + "0a" * 64,
    "quay.io/" + "a/" * 100 + "b",
    "%!s(<nil>)/{{ .Values.image }}:",
]
CHALLENGES = [
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull"',
    'Basic realm="Registry Realm"',
    'Negotiate dG9rZW4=, Digest realm="x", qop="auth,auth-int", nonce=abc, Basic realm=x',
    r'Bearer realm="https://ghcr.io/token\"\\",error="insufficient_scope" , Scope = a:b:pull',
    "Bearer realm=https://x.example/t?a=b&c=d,service=é",
]
IMAGE = {
    "schemaVersion": 2,
    "mediaType": manifest.OCI_MANIFEST,
    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": DIGEST, "size": 7},
    "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": DIGEST, "size": 1}],
}
INDEX = {
    "schemaVersion": 2,
    "mediaType": manifest.DOCKER_LIST,
    "manifests": [{"digest": DIGEST, "size": 1, "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}}],
}
ERRORS = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown", "detail": {"Tag": "v1"}}]}
MANIFESTS = [json.dumps(document).encode() for document in (IMAGE, INDEX, ERRORS, {"schemaVersion": 1, "name": "x"})]
TYPES = [
    *sorted(manifest.KNOWN),
    *sorted(manifest.GENERIC),
    *sorted(manifest.SCHEMA_1),
    "text/html",
    ";;",
    "application/json; q=1",
]


def mutations(rng: random.Random, seeds: list[T], pieces: list[T]) -> Iterator[T]:
    """Endless mutations of `seeds`: parts cut out, doubled, taken from another seed, and `pieces` put in."""
    pool = list(seeds)
    choose, number = rng.choice, rng.random
    while True:
        text = choose(pool)
        for _ in range(1 + int(number() * 3)):
            at = int(number() * (len(text) + 1))
            end = at + int(number() * 8)
            dice = number()
            if dice < 0.4:
                text = text[:at] + choose(pieces) + text[end if dice < 0.2 else at :]
            elif dice < 0.6:
                text = text[:at] + text[end:]
            elif dice < 0.8:
                text = text[:end] + text[at:]
            else:
                text = text[:at] + choose(seeds)[at:]
        if len(text) < 400 and number() < 0.05:  # what came of it is mutated further
            pool[len(seeds) + int(number() * 200) if len(pool) > len(seeds) + 200 else len(pool) :] = [text]
        yield text


def feed(check: Callable[[T], bool], inputs: Iterator[T], count: int) -> None:
    """Give `count` inputs to a check, which says whether it took one; both must happen, and no batch may take long."""
    taken = 0
    for _ in range(count // BATCH):
        started = time.thread_time()
        for _ in range(BATCH):
            taken += check(next(inputs))
        assert time.thread_time() - started < SLOWEST_BATCH
    assert count * 0.01 < taken < count * 0.99, f"{taken} of {count} were taken: the inputs are one-sided"


def _or_refusal(refusal: type[E], read: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | E:
    """What a reader gives, or the one exception that it may raise."""
    try:
        return read(*args, **kwargs)
    except refusal as error:
        return error


def reads_reference(text: str) -> bool:
    name, tag, digest = split(text)
    assert len(name) + len(tag or "") + len(digest or "") <= len(text)
    reference = _or_refusal(InvalidReference, Reference.parse, text)
    if isinstance(reference, InvalidReference):
        assert 0 < len(str(reference)) < 300
        return False
    assert 0 < len(reference.repository) <= 255
    assert reference.digest is None or valid_digest(reference.digest)
    assert reference.tag or reference.digest
    return True


def reads_challenge(text: str) -> bool:
    found = challenge.parse([text])
    assert len(found) <= len(text) + 1
    chosen = challenge.choose(found)
    if chosen is None or chosen.scheme == "basic":
        return bool(chosen)
    by = "https://registry.example/v2/"
    realm = _or_refusal(Failure, check_target, chosen.parameters["realm"], by, RegistrySettings(), "the token server")
    if isinstance(realm, Failure):
        assert realm.kind == "bad-answer"
        return False
    host = realm.partition("://")[2].partition("/")[0]
    assert realm.startswith("https://")
    assert not is_inside(host)
    return True


def reads_manifest(body: bytes, content_type: str) -> bool:
    code, message = error_document(body)
    assert (code + message).isprintable()
    read = _or_refusal(Failure, manifest.read, body, content_type)
    if isinstance(read, Failure):
        assert read.kind == "bad-answer"
        assert read.reason.isprintable()
        assert read.hint
        return False
    assert read.media_type in manifest.KNOWN
    assert bool(read.config) is (read.media_type in manifest.MANIFESTS)
    assert all(valid_digest(child.digest) for child in read.children)
    return True


def test_references() -> None:
    pieces = [
        "/",
        ":",
        "@",
        ".",
        "-",
        "_",
        "__",
        "[",
        "]",
        "::1",
        "A",
        "é",
        "\n",
        " ",
        "localhost",
        "index.docker.io",
        "://",
        DIGEST,
    ]
    feed(reads_reference, mutations(random.Random(51), REFERENCES, pieces), 500_000 if LONG else 20_000)


def test_challenges() -> None:
    pieces = [
        '"',
        "\\",
        ",",
        "=",
        " ",
        "Bearer ",
        "Basic",
        "realm=",
        'realm="',
        "http://169.254.169.254/",
        "https://[::1]/",
        "\x00",
        "é",
    ]
    feed(reads_challenge, mutations(random.Random(52), CHALLENGES, pieces), 300_000 if LONG else 20_000)


def test_manifests() -> None:
    pieces = [
        b'"',
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b"null",
        b"1e999",
        b"-0",
        b'"manifests":[]',
        b'"config":{}',
        b"\xff",
        b"\\u0000",
        b"[" * 50,
    ]
    rng = random.Random(53)
    feed(
        lambda body: reads_manifest(body, rng.choice(TYPES)),
        mutations(rng, MANIFESTS, pieces),
        250_000 if LONG else 20_000,
    )


@settings(max_examples=examples(1000 if LONG else 100), deadline=None)
@given(st.text(max_size=300))
def test_any_reference(text: str) -> None:
    reads_reference(text)


@settings(max_examples=examples(1000 if LONG else 100), deadline=None)
@given(
    st.one_of(
        st.text(max_size=300),
        st.lists(st.sampled_from(["Bearer ", "realm=", '"', ",", "\\", "x", "https://h/"])).map("".join),
    )
)
def test_any_challenge(text: str) -> None:
    reads_challenge(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20) | st.sampled_from([DIGEST, *TYPES]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "schemaVersion",
                    "mediaType",
                    "config",
                    "digest",
                    "manifests",
                    "layers",
                    "platform",
                    "os",
                    "architecture",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@settings(max_examples=examples(1000 if LONG else 100), deadline=None)
@given(
    st.one_of(st.binary(max_size=300), JSON.map(lambda document: json.dumps(document).encode())),
    st.sampled_from(TYPES) | st.text(max_size=40),
)
def test_any_manifest(body: bytes, content_type: str) -> None:
    reads_manifest(body, content_type)


def test_long_challenges_take_linear_time() -> None:
    for piece in ('"', "\\", ",", "=", "a=", 'a="', 'a="b\\', "a ", "Bearer ", ' x="y",', "[", "/"):
        started = time.thread_time()
        reads_challenge(piece * (1_000_000 // len(piece)))
        reads_challenge("Bearer " + piece * (1_000_000 // len(piece)))
        assert time.thread_time() - started < 2, piece


def test_large_manifests_take_linear_time() -> None:
    for piece in (b"[", b'{"a":', b'"', b"1", b'{"manifests":[', b" ", b"\xff"):
        started = time.thread_time()
        reads_manifest(piece * (4 * 1024 * 1024 // len(piece)), manifest.OCI_INDEX)
        assert time.thread_time() - started < 5, piece
