"""References are read as the libraries read them that docker, containerd and crane are made of."""

from __future__ import annotations

import ipaddress
import random
import re
from collections import Counter

from helmpin.image.reference import InvalidReference, Reference
from tests.support.budget import LONG
from tests.support.reference_oracle import Parsed, read_by_go

SHA256, SHA512 = "sha256:" + "0a" * 32, "sha512:" + "0a" * 64


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


def any_text(rng: random.Random) -> str:
    """A text of any characters that Go has, or only of those that the grammar is made of and a few others."""
    top = rng.choice((0x80, 0x3000, 0x110000))
    any_characters = "".join(chr(rng.randrange(top)) for _ in range(rng.randrange(20)))
    few = "".join(rng.choices(ALPHABET, k=min(rng.randrange(41), rng.randrange(41))))
    return rng.choice((re.sub("[\ud800-\udfff]", "", any_characters), few))


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


def check_against_distribution(text: str, mine: Parsed, theirs: Parsed) -> str:
    """Assert that we read a text as distribution does; returns what kind of text it was."""
    why = stricter(theirs)
    if why:
        assert mine.error, (text, theirs, why)
        return "stricter"
    assert bool(mine.error) == bool(theirs.error), (text, mine, theirs)
    if mine.error:
        return "refused"
    assert mine == theirs, text
    return "taken"


def check_against_containerregistry(text: str, mine: Parsed, theirs: Parsed, distribution: Parsed) -> str:
    """Assert that we read a text as go-containerregistry does, or differ where the grammar does; returns the kind."""
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


def test_the_same_reading_as_distribution_and_containerregistry() -> None:
    """Of texts that nearly are references, and of any others but URLs, which all refuse, we with a reason of our own."""
    rng, many = random.Random(5), 60_000 if LONG else 24_000
    made = [made_up(rng) for _ in range(many)] + [any_text(rng) for _ in range(many // 10)]
    texts = [text for text in dict.fromkeys(made) if "://" not in text]
    kinds: Counter[tuple[str, str]] = Counter()
    for text, (distribution, containerregistry) in zip(texts, read_by_go(texts), strict=True):
        mine = ours(text)
        kinds["distribution", check_against_distribution(text, mine, distribution)] += 1
        kind = check_against_containerregistry(text, mine, containerregistry, distribution)
        kinds["containerregistry", kind] += 1
    assert len(texts) > 20_000
    assert all(kinds["distribution", kind] > 100 for kind in ("taken", "refused", "stricter")), kinds
    assert all(kinds["containerregistry", kind] > 100 for kind in ("taken", "refused", "laxer", "stricter")), kinds
