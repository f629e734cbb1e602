"""What a chart makes at random excuses a difference, as far as no digest shows in it."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha384
from typing import Any

import pytest

from helmpin.render.diff import compare, noise
from helmpin.render.output import Render, parse
from tests.support.comparisons import DIGEST, WEB, pinned
from tests.support.renders import POD, document, pod


def random(before: str, after: str, *, other: str | None = None) -> list[Any]:
    """The changes of a secret's value, which another plain render has as `other`."""
    text = "kind: Secret\ndata: {{p: {}}}\n"
    plain = parse(pod(WEB) + document(text.format(before), "s"))
    wanted = {use.key: DIGEST for use in plain.images()}
    pins = parse(pinned(pod(WEB)) + document(text.format(after), "s"))
    seen = {} if other is None else noise(plain, parse(pod(WEB) + document(text.format(other), "s")))
    return compare(plain, pins, wanted, seen).collateral


def test_what_another_plain_render_has_differently_is_random() -> None:
    assert random("k3yA", "p2zB", other="q9xC") == []
    assert len(random("k3yA", "p2zB")) == 1
    assert len(random("k3yA", "p2zB", other="k3yA")) == 1, "it agrees with this one"


@pytest.mark.parametrize(
    ("before", "after"), [("{user: u, p: k3yA}", "{user: u}"), ("{user: u}", "{user: u, p: k3yA}")]
)
def test_a_random_value_does_not_come_or_go(before: str, after: str) -> None:
    text = "kind: Secret\ndata: {}\n"
    plain, pins = (parse(document(text.format(value), "s")) for value in (before, after))
    other = parse(document(text.format(before.replace("k3yA", "q9xC")), "s"))
    assert len(compare(plain, pins, {}, noise(plain, other)).collateral) == 1


@pytest.mark.parametrize(
    ("before", "after", "second", "excused"),
    [
        ("https://a.example.com/cb/k3yA", "https://a.example.com/cb/p2zB", "https://a.example.com/cb/q9xC", True),
        (
            "https://dev.example.com/cb/k3yA",
            "https://prod.example.com/cb/p2zB",
            "https://prod.example.com/cb/q9xC",
            False,
        ),
        ("/data/dev/k3yA", "/data/prod/p2zB", "/data/prod/q9xC", False),
        ("k3/A+", "p2/B+", "p2/C+", True),
    ],
)
def test_the_words_of_an_address_stay_beside_a_random_one(before: str, after: str, second: str, excused: bool) -> None:
    assert (random(after, before, other=second) == []) is excused
    twice = [b64encode(b64encode(text.encode())).decode() for text in (before, after, second)]
    assert (random(twice[1], twice[0], other=twice[2]) == []) is excused


@pytest.mark.parametrize(
    ("start", "excused"), [("-----BEGIN CERTIFICATE-----", True), ("password", False), ("-----END KEY-----", False)]
)
def test_a_line_that_is_fixed_is_encoded_data_only_in_pem(start: str, excused: bool) -> None:
    one, two, other = (
        json.dumps(f"{start}\nrequireDigest={is_strict}00000\nk3y{n}") for n, is_strict in enumerate("011")
    )
    assert (random(two, one, other=other) == []) is excused


def certificate(seed: str, *more: str) -> str:
    """Encoded data as in PEM, with some more lines."""
    lines = [b64encode(sha384(f"{seed}{n}".encode()).digest()).decode() for n in range(7)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, *more, "-----END CERTIFICATE-----", ""])


@pytest.mark.parametrize(("beside", "excused"), [("web:0", True), ("web:1", False)])
def test_a_certificate_may_have_a_line_more_or_less(beside: str, excused: bool) -> None:
    """Its length varies by a byte or two. The text beside it stays, as ever."""
    texts = (f"web:0\n{certificate('a')}", f"{beside}\n{certificate('c', 'k3yA')}", f"web:0\n{certificate('b')}")
    one, other, two = (b64encode(text.encode()).decode() for text in texts)
    assert (random(one, other, other=two) == []) is excused


@pytest.mark.parametrize(
    ("before", "after", "second", "excused"),
    [
        ("web:1-k3yA", "web:1-p2zB", "web:1-q9xC", True),
        ("web:1-k3yA", "web:2-p2zB", "web:2-q9xC", False),
        ("k3yA:web:1", "p2zB:web:2", "q9xC:web:2", False),
        ("k3yA:web", "p2zB:web", "q9xC:web", True),
        ("k3yA-web", "p2zB:web", "q9xC:web", False),
        ("k3yA", "p2zB-more", "q9xC-more", False),
        ("web-k3yA", "p2zB", "q9xC", False),
    ],
)
def test_the_fixed_part_of_a_random_text_stays(before: str, after: str, second: str, excused: bool) -> None:
    assert (random(after, before, other=second) == []) is excused


@pytest.mark.parametrize(
    "after",
    [
        f"k3yA-{WEB}@{DIGEST}",
        f"k3yA{DIGEST[7:]}",
        f"'{DIGEST[7:14]}'",
        "'sha256'",
        "k3yA@",
        f"[{WEB}@{DIGEST}]",
        f"{{image: {WEB}@{DIGEST}}}",
        f"[{{deep: ['{DIGEST[7:]}']}}]",
        f"{{{DIGEST[7:20]}: x}}",
    ],
)
def test_no_digest_is_excused(after: str) -> None:
    assert len(random("k3yA", after, other="q9xC")) == 1


@pytest.mark.parametrize(
    ("before", "after"), [("k3y-1.2", "p2z-1.2@"), ("k3yA", "k3yA@"), ("k3yA\\nweb", "p2zB\\nweb@")]
)
def test_a_digest_that_was_cut_off_leaves_an_at_sign(before: str, after: str) -> None:
    second = before.replace("k3y", "q9x")
    assert len(random(f'"{before}"', f'"{after}"', other=f'"{second}"')) == 1


@pytest.mark.parametrize(
    ("before", "after", "second", "excused"),
    [
        ("k3-yA", "p2zB", "q9x_C", True),
        ("k3-yA fix", "p2zB fix", "q9x_C fix", True),
        ("k3-yA fix", "p2zB fox", "q9x_C fix", False),
        ("fix k3-yA", "fox p2zB", "fix q9x_C", False),
        ("k3\\nyA", "p2zB", "q9xC", True),
        ("k3\\nyA fix", "p2zB fox", "q9xC fix", False),
        ("k3/yA/fix/a", "p2/zB/fox/b", "q9/xC/fix/c", False),
        ("k3.yA.fix", "p2.zB.fox", "q9.xC.fix", False),
    ],
)
def test_random_separators_and_lines(before: str, after: str, second: str, excused: bool) -> None:
    texts = (f'"{text}"' for text in (before, after, second))
    assert (random(next(texts), next(texts), other=next(texts)) == []) is excused


@pytest.mark.parametrize(
    ("before", "after", "second"),
    [
        ('"k3\\\\yA"', "p%2zB", "q9~xC"),
        ("p%2zB", '"k3\\"yA"', "q9~xC"),
        ("025056", "31847", "11847"),
        ("31847", "025056", "11847"),
    ],
)
def test_a_random_text_that_is_written_otherwise_than_it_reads(before: str, after: str, second: str) -> None:
    """Escaped, or an octal number: it stands nowhere in the document."""
    assert random(before, after, other=second) == []


@pytest.mark.parametrize("more", [64, 72, 96])
def test_a_random_text_that_has_grown_as_by_a_digest_holds_one(more: int) -> None:
    """However it is encoded: in base64, encrypted, in another order."""
    before, after = "k" * 60, "p" * (60 + more)
    assert len(random(before, after, other="s" * 60)) == 1
    assert random(before, after, other="s" * (60 + more)) == [], "it has any length"
    assert random(before, "p" * 68, other="q" * 64) == []
    assert random(after, before, other="q" * 60) == [], "it has shrunk"


def test_a_digest_that_stood_there_before_is_no_matter() -> None:
    assert random(f"k3yA-{DIGEST}", f"p2zB-{DIGEST}", other=f"q9xC-{DIGEST}") == []


def test_random_types() -> None:
    assert random("k3yA", "7", other="p2zB") == []
    assert random("[k3yA]", "[p2zB]", other="[q9xC]") == []


def test_names_do_not_matter_for_matching() -> None:
    """Documents are matched by file and order, so a random name is one difference."""
    renamed = parse(pod(WEB).replace("name: web,", "name: web-x7f2,"))
    assert noise(parse(pod(WEB)), renamed) == {(POD, 0, 0, ("metadata", "name")): "web-x7f2"}


def test_without_another_render_nothing_is_excused() -> None:
    before, after = parse(document("a: one\n")), parse(document("a: two\n"))
    assert len(compare(before, Render(after.text, after.documents, None), {}).collateral) == 1


@pytest.mark.parametrize("value", ["{}", "'{}'", "- {}", "[{}, {}]"])
@pytest.mark.parametrize("made", [("101", "202", "303"), ("k3yA", "p2zB", "q9xC")])
def test_random_values_change_the_text_as_they_change(value: str, made: tuple[str, str, str]) -> None:
    text = "kind: Secret\n# of the chart\ndata:\n  p: " + value.replace("- ", "\n  - ") + "\n"
    plain, pins, other = (parse(document(text.replace("{}", each), "s")) for each in made)
    assert compare(plain, pins, {}, noise(plain, other)).collateral == []


def test_a_random_text_that_begins_as_another_one_does() -> None:
    text = "kind: Secret\ndata: {{p: {}, q: {}}}\n"
    texts = (text.format(*made) for made in (("uvw", "xyz1"), ("abc", "abcd"), ("mno", "pqrs")))
    plain, pins, other = (parse(document(each, "s")) for each in texts)
    assert compare(plain, pins, {}, noise(plain, other)).collateral == []


@pytest.mark.parametrize(("shown", "changed"), [("", 0), (f"@{DIGEST}", 1)])
def test_a_random_comment_is_random_unless_it_shows_a_digest(shown: str, changed: int) -> None:
    text = "# made by {}\nkind: ConfigMap\n"
    plain = parse(pod(WEB) + document(text.format("k3yA"), "c"))
    pins = parse(pinned(pod(WEB)) + document(text.format(f"p2zB{shown}"), "c"))
    wanted = {use.key: DIGEST for use in plain.images()}
    assert len(compare(plain, pins, wanted).collateral) == 1
    other = parse(pod(WEB) + document(text.format("q9xC"), "c"))
    assert len(compare(plain, pins, wanted, noise(plain, other)).collateral) == changed


@pytest.mark.parametrize(
    ("text", "excused"),
    [
        ("token: {random}\nimage: {fixed}\nsalt: {random}\n", False),
        ("token: {random}\nimage: web\nsalt: {random}\n", True),
        ("{random}-{fixed}-{random}", False),
        ("{random}-3-{random}", True),
        ("{random}+{fixed}", True),
        ("-----BEGIN-----\nMIIBszCCAVqgAwIBAgIU{fixed}\n{random}\n-----END-----\n", True),
        ("-----BEGIN-----\nMIIBszCCAVqgAwIBAgIU\n{random}\n-----{fixed}-----\n", False),
    ],
)
@pytest.mark.parametrize("encoded", [False, True])
def test_what_two_renders_have_in_common_stays(text: str, excused: bool, encoded: bool) -> None:
    """In each line and between words, encoded or not; where random characters may be separators, only at the ends."""
    texts = [text.format(random=made, fixed=fixed) for made, fixed in (("k3yA", "1"), ("p2zB", "22"), ("q9xC", "22"))]
    after, before, other = (f"'{b64encode(each.encode()).decode()}'" if encoded else json.dumps(each) for each in texts)
    assert (random(before, after, other=other) == []) is excused
