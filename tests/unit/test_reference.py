"""References: the grammar, its reasons, and the same reading as the libraries that docker, containerd and crane are
made of."""

from __future__ import annotations

import ipaddress
import random
import re
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helmpin.image.reference import InvalidReference, Reference, split, valid_digest
from tests.support.reference_oracle import Oracle, Parsed, oracle

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


# -- the same reading as the Go libraries ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def go() -> Iterator[Oracle]:
    with oracle() as running:
        yield running


REGISTRIES = [
    "",
    "docker.io/",
    "index.docker.io/",
    "ghcr.io/",
    "localhost/",
    "localhost:5000/",
    "a:1/",
    "127.0.0.1:80/",
    "[::1]/",
    "[fe80::1]:5000/",
]
REGISTRIES += [
    "Upper.io/",
    "Upper/",
    "a_b.io/",
    "-a.io/",
    "a-.io/",
    "a..b/",
    "x.y:/",
    "x.y:z/",
    "[::1/",
    "[::g]/",
    "é.io/",
    "a.io:99999999/",
    "[::1]:/",
]
PARTS = [
    "a",
    "library",
    "nginx",
    "a.b",
    "a_b",
    "a__b",
    "a-b",
    "a---b",
    "a___b",
    "a..b",
    "A",
    "-a",
    "a-",
    "",
    "é",
    "0",
    "a._b",
    "x" * 200,
    "0a" * 32,
]
TAGS = [
    "",
    ":1",
    ":latest",
    ":V1.2_3-x",
    ":",
    ":-a",
    ":.a",
    ":_",
    ":a:b",
    ":" + "t" * 128,
    ":" + "t" * 129,
    ":é",
    ": ",
    ":1+2",
]
DIGESTS = [
    "",
    "@" + SHA256,
    "@" + SHA512,
    "@",
    "@sha256:abc",
    "@sha384:" + "a" * 96,
    "@" + SHA256.upper(),
    "@md5:" + "0" * 32,
    "@@" + SHA256,
    "@sha256:" + "g" * 64,
]
ALPHABET = "aZ0.:/_-@[]+ é\n%\\\x00"


def made_up(rng: random.Random) -> str:
    """A text that is, or nearly is, a reference."""

    def one(choices: list[str], good: int) -> str:  # the first `good` are right
        return rng.choice(choices[:good] if rng.random() < 0.8 else choices)

    path = "/".join(one(PARTS, 8) for _ in range(rng.choice((1, 1, 1, 2, 2, 3))))
    text = one(REGISTRIES, 10) + path + one(TAGS, 4) + one(DIGESTS, 3)
    for _ in range(rng.choice((0, 0, 0, 0, 1, 2))):
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice((rng.choice(ALPHABET), "")) + text[at + rng.choice((0, 1)) :]
    return text


def ours(text: str) -> Parsed:
    try:
        reference = Reference.parse(text)
    except InvalidReference as error:
        return Parsed(str(error) or "refused", "", "", "", "")
    return Parsed("", reference.registry, reference.repository, reference.tag or "", reference.digest or "")


def stricter(theirs: Parsed) -> str | None:
    """Why we refuse what distribution takes: the two differences that there are, both on purpose."""
    if not theirs.error and not theirs.registry:
        return "a registry that is no host name is taken for a part of the repository, which no client could ask for"
    if theirs.digest.startswith("sha384:"):
        return "sha384 is not an algorithm that OCI registers"
    return None


def check_against_distribution(text: str, theirs: Parsed) -> str:
    """Assert that we read a text as distribution does; returns what kind of text it was."""
    mine = ours(text)
    why = stricter(theirs)
    if why:
        assert mine.error, (text, theirs, why)
        return "stricter"
    assert bool(mine.error) == bool(theirs.error), (text, mine, theirs)
    if mine.error:
        return "refused"
    assert mine == theirs, text
    return "taken"


def check_against_containerregistry(text: str, theirs: Parsed, distribution: Parsed) -> str:
    """Assert that we read a text as go-containerregistry does, or differ where the grammar does; returns the kind."""
    mine = ours(text)
    if not mine.error and not theirs.error:
        registry = "docker.io" if theirs.registry == "index.docker.io" else theirs.registry
        repository = (
            theirs.repository if "/" in theirs.repository or registry != "docker.io" else f"library/{theirs.repository}"
        )
        assert (mine.registry, mine.repository, mine.digest) == (registry, repository, theirs.digest), text
        assert theirs.tag == ("" if mine.digest else mine.tag), text  # it drops a tag beside a digest
        return "taken"
    if mine.error and theirs.error:
        return "refused"
    if (
        mine.error
    ):  # laxer: only the characters of a repository, only the first's of a tag are looked at, any URL's host will do
        assert distribution.error or stricter(distribution), (text, mine, theirs)
        return "laxer"
    first = text.partition("/")[0]
    capital = first.lower() != first and not set(".:") & set(first)  # it knows no registry by a capital letter
    assert capital or not address(mine.registry), (text, mine, theirs)  # and checks what is in brackets
    return "stricter"


def address(registry: str) -> bool:
    """Whether what stands in brackets is an IPv6 address; the grammar only wants hexadecimal digits and colons."""
    try:
        return not registry.startswith("[") or bool(ipaddress.IPv6Address(registry[1:].partition("]")[0]))
    except ValueError:
        return False


def test_the_same_reading_as_distribution_and_containerregistry(go: Oracle) -> None:
    rng = random.Random(5)
    texts = list(dict.fromkeys(made_up(rng) for _ in range(60_000)))[:40_000]
    kinds: Counter[str] = Counter()
    for text, (distribution, containerregistry) in zip(texts, go.ask(texts), strict=True):
        kinds["distribution", check_against_distribution(text, distribution)] += 1  # type: ignore[index]
        kinds["containerregistry", check_against_containerregistry(text, containerregistry, distribution)] += 1  # type: ignore[index]
    assert len(texts) > 20_000
    assert all(kinds["distribution", kind] > 100 for kind in ("taken", "refused", "stricter")), kinds  # type: ignore[index]
    assert all(kinds["containerregistry", kind] > 100 for kind in ("taken", "refused", "laxer", "stricter")), kinds  # type: ignore[index]


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(max_size=80), st.text(ALPHABET, max_size=40), st.builds(made_up, st.randoms(use_true_random=False))
    )
)
def test_any_text_is_read_as_distribution_reads_it(go: Oracle, text: str) -> None:
    if re.search("[\ud800-\udfff]", text) or "://" in text:
        return  # no text of Go's; a URL is refused by both, by us with another reason
    ((distribution, containerregistry),) = go.ask([text])
    check_against_distribution(text, distribution)
    check_against_containerregistry(text, containerregistry, distribution)


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=200))
def test_parse_is_stable(text: str) -> None:
    name, tag, digest = split(text)
    assert name + ("" if tag is None else f":{tag}") + ("" if digest is None else f"@{digest}") == text
    try:
        once = Reference.parse(text)
    except InvalidReference:
        return
    assert Reference.parse(str(once)) == once


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
        assert len(ours(text).error) < 300
    assert time.thread_time() - started < 5
