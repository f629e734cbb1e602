"""What a chart makes at random excuses a difference, as far as no digest shows in it."""

from __future__ import annotations

import json
import time
from base64 import b64encode
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
    ("plain", "fixed", "changed"),
    [
        ("{k-k3yA: x}", "", []),
        ("{k-k3yA: x}", ", more: y", ["k-p2zB", "more"]),
        ("{k-k3yA: x, less: y}", "", ["less", "k-p2zB"]),
        ("{k-k3yA: x, same: y}", ", same: y", []),
    ],
)
def test_beside_a_random_key_no_other_one_comes_or_goes(plain: str, fixed: str, changed: list[str]) -> None:
    text = "kind: Secret\ndata: {}\n"
    texts = (plain, f"{{k-p2zB: x{fixed}}}", plain.replace("k3yA", "q9xC"))
    one, pins, other = (parse(document(text.format(each), "s")) for each in texts)
    found = compare(one, pins, {}, noise(one, other)).collateral
    assert [difference.leaf[3][-1] for difference in found] == changed


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


def test_a_digest_that_was_cut_off_leaves_an_at_sign() -> None:
    assert len(random("k3y-1.2", "p2z-1.2@", other="q9x-1.2")) == 1


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


def test_texts_in_another_order_grow_and_shrink_alike() -> None:
    text = "kind: Secret\ndata: {{a: {}, b: {}}}\n"
    short, long = "k3yA", "p2zB" * 20
    plain, pins = (parse(document(text.format(*each), "s")) for each in ((short, long), (long, short)))
    assert compare(plain, pins, {}, noise(plain, pins)).collateral == []


def test_a_digest_that_stood_there_before_is_no_matter() -> None:
    assert random(f"k3yA-{DIGEST}", f"p2zB-{DIGEST}", other=f"q9xC-{DIGEST}") == []


def test_a_random_key_is_random_and_what_it_holds_shows_no_digest() -> None:
    text = "kind: Thing\nspec: {{k{}: {{image: '{}'}}}}\n"
    source = "app/templates/t.yaml"
    for image, changed in ((WEB, 0), (f"{WEB}@{DIGEST}", 1)):
        plain = parse(pod(WEB) + document(text.format(1, WEB), source))
        pins = parse(pinned(pod(WEB)) + document(text.format(2, image), source))
        found = compare(
            plain,
            pins,
            {use.key: DIGEST for use in plain.images()},
            noise(plain, parse(pod(WEB) + document(text.format(4, WEB), source))),
        )
        assert [d.leaf[3] for d in found.collateral] == [("spec", "k2")] * changed


LISTED = "kind: ConfigMap\ndata:\n  all: {}\n  of:\n    - {}\n    - {}\n  {}: 1\n  {}: 1\n"


def listed(*keys: str, extra: str = "", in_any_order: bool = True) -> list[Any]:
    """The changes of an object that lists two keys, if a template that may list them in any order printed it."""
    plain = parse(pod(WEB) + document(LISTED.format("-".join(KEYS), *KEYS, *KEYS), "s"))
    pins = parse(pinned(pod(WEB)) + document(LISTED.format("-".join(keys) + extra, *keys, *keys), "s"))
    if in_any_order:
        pins = pins._replace(random={"s"}, in_any_order={"s"})
    return compare(plain, pins, {use.key: DIGEST for use in plain.images()}).collateral


KEYS = ("tag", "repository")


def test_what_lists_a_map_in_any_order_may_change_the_order() -> None:
    other = KEYS[::-1]
    assert listed(*other) == []
    assert len(listed(*other, in_any_order=False)) == 3, "no template lists a map in any order"


def test_another_order_is_one_whatever_part_of_it_another_plain_render_shows() -> None:
    plain, pins, other, unlike = (
        parse(document(f"kind: ConfigMap\ndata: {{list: [{', '.join(order)}]}}\n", "s"))
        for order in ("wxz", "xzw", "xwz", "qxz")
    )
    varied = pins._replace(random={"s"}, in_any_order={"s"})
    assert compare(plain, varied, {}, noise(plain, other)).collateral == []
    assert compare(unlike, varied, {}).collateral, "another word"


SWAPPED = "kind: Pod\nspec: {{hostNetwork: {0}, hostPID: {1}, list: [{{env: [{2}, {3}]}}, {{args: [{4}]}}]}}\n"


@pytest.mark.parametrize(
    ("words", "listed", "changed"),
    [
        (("false", "true", "x", "z", "b"), True, 2),
        (("true", "false", "z", "x", "b"), True, 0),
        (("true", "false", "z", "x", "b"), False, 2),
        (("true", "false", "b", "z", "x"), True, 2),
    ],
)
def test_only_what_a_list_holds_may_change_places(words: tuple[str, ...], listed: bool, changed: int) -> None:
    """And only where a template lists a map in any order; another kind of randomness in it is no reason."""
    plain, pins = (parse(document(SWAPPED.format(*some), "s")) for some in (("true", "false", "x", "z", "b"), words))
    varied = pins._replace(random={"s"}, in_any_order={"s"} if listed else ())
    assert len(compare(plain, varied, {}).collateral) == changed


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("spec: {{initContainers: [{{name: {}}}, {{name: {}}}]}}", 2),
        ("spec: {{initContainers: [{{name: x, env: [{}, {}]}}]}}", 0),
        ("spec: {{containers: [{{name: {}}}, {{name: {}}}]}}", 0),
        ("metadata: {{labels: {{of: {}-{}}}}}", 1),
        ("metadata: {{name: {}-{}}}", 1),
        ("data: {{of: {}-{}}}", 0),
    ],
)
def test_init_containers_names_and_labels_have_an_order(text: str, changed: int) -> None:
    """Also in a template that lists a map in any order, unless another plain render shows it there."""
    plain, pins = (parse(document(f"kind: Pod\n{text.format(*each)}\n", "s")) for each in ("ab", "ba"))
    varied = pins._replace(random={"s"}, in_any_order={"s"})
    for other, left in ((plain, changed), (pins, 0)):
        assert len(compare(plain, varied, {}, noise(plain, other)).collateral) == left


@pytest.mark.parametrize("extra", ["-tag", "x", "-", f"-{DIGEST}", "_"])
def test_another_order_with_other_words_is_a_change(extra: str) -> None:
    other = KEYS[::-1]
    assert len(listed(*other, extra=extra)) == 3


@pytest.mark.parametrize(("key", "changed"), [("web-1", 2), (f"web@{DIGEST}", 2), ("web-1.25-web", 2), ("1.25-web", 0)])
def test_a_key_that_comes_for_another_is_no_order(key: str, changed: int) -> None:
    plain, pins = (parse(document(f"kind: ConfigMap\ndata: {{{k}: x}}\n", "s")) for k in ("web-1.25", key))
    assert len(compare(plain, pins._replace(random={"s"}, in_any_order={"s"}), {}).collateral) == changed


def objects(order: str, image: str = "t/{}:1", end: str = "") -> str:
    """Pods with these names in this order. The first one has an argument, and white space after it."""
    more = {order[0]: end}
    args = {"a": ", args: [x]"}
    return "".join(
        document(
            f"kind: Pod\nmetadata: {{name: {n}}}\nspec: {{containers: [{{image: '{image.format(n)}'{args.get(n, '')}}}]}}\n"
            + more.get(n, ""),
            POD,
        )
        for n in order
    )


@pytest.mark.parametrize(
    ("order", "changed"), [("abc", False), ("bca", False), ("cba", False), ("abd", True), ("ab", True), ("abca", True)]
)
def test_objects_in_another_order_are_found_by_their_names(order: str, changed: bool) -> None:
    """Whether or not another plain render has them in the same order."""
    plain, pins = parse(objects("abc")), parse(objects(order, f"t/{{}}:1@{DIGEST}", end="  \n\n"))
    wanted = {use.key: DIGEST for use in plain.images()}
    for seen in ({}, *(noise(plain, parse(objects(other))) for other in ("abc", "cab"))):
        found = compare(plain, pins._replace(random={POD}), wanted, seen)
        assert bool(found.collateral or found.failing) is changed
    if order == "cba":
        assert compare(plain, pins, wanted).collateral, "no template lists a map in any order"


def containers(order: str, *pinned: str) -> str:
    """A pod with the containers a and b in this order; a has an environment."""
    more = {"a": ", env: [{name: X, value: y}]", "b": ""}
    listed = (f"{{name: {n}, image: 't/{n}:1{f'@{DIGEST}' if n in pinned else ''}'{more[n]}}}" for n in order)
    return document(f"kind: Pod\nspec: {{containers: [{', '.join(listed)}]}}\n", POD)


@pytest.mark.parametrize(
    ("order", "pinned", "failing"),
    [("ab", "ab", ""), ("ba", "ab", ""), ("ba", "a", "b"), ("ba", "", "ab"), ("aa", "a", "b")],
)
def test_containers_in_another_order_are_found_by_their_names(order: str, pinned: str, failing: str) -> None:
    plain, pins = parse(containers("ab")), parse(containers(order, *pinned))
    wanted = {use.key: DIGEST for use in plain.images()}
    found = compare(plain, pins._replace(random={POD}, in_any_order={POD}), wanted)
    assert "".join(use.container for use in plain.images() if use.key in found.failing) == failing
    assert bool(found.collateral) is (order == "aa")
    if order == "ba":
        assert compare(plain, pins, wanted).collateral, "no template lists a map in any order"


def test_documents_in_another_order_are_found_by_their_names() -> None:
    def text(order: str, digest: str = "") -> str:
        return "".join(pod(f"t/{n}:1{digest}").replace("name: web", f"name: {n}") for n in order)

    plain = parse(text("ab"))
    wanted = {use.key: DIGEST for use in plain.images()}
    for order, failing in (("ab", 0), ("ba", 0), ("ac", 1)):
        pins = parse(text(order, f"@{DIGEST}"))
        found = compare(plain, pins._replace(random={POD}), wanted)
        assert (len(found.failing), bool(found.collateral)) == (failing, bool(failing))
    assert compare(plain, parse(text("ba", f"@{DIGEST}")), wanted).collateral, "no template lists a map in any order"


def test_a_null_that_comes_is_a_change_where_any_order_is_none() -> None:
    for before, after, changed in (("{a: 1}", "{a: 1, b: null}", 1), ("{a: 1, b: null}", "{a: 1}", 1)):
        plain, pins = (parse(document(f"kind: ConfigMap\ndata: {data}\n", "s")) for data in (before, after))
        found = compare(plain, pins._replace(random={"s"}, in_any_order={"s"}), {})
        assert len(found.collateral) == changed


def test_lines_in_another_order_are_no_change_either() -> None:
    """The leaves are equal then."""
    plain, pins = (parse(document(f"kind: ConfigMap\ndata: {{}}\n# {a}\n# {b}\n", "s")) for a, b in ("xy", "yx"))
    assert len(compare(plain, pins, {}).collateral) == 2
    assert compare(plain, pins._replace(random={"s"}, in_any_order={"s"}), {}).collateral == []


def test_random_types() -> None:
    assert random("k3yA", "7", other="p2zB") == []
    assert random("[k3yA]", "[p2zB]", other="[q9xC]") == []


def test_names_do_not_matter_for_matching() -> None:
    """Documents are matched by file and order, so a random name is one difference."""
    renamed = parse(pod(WEB).replace("name: web,", "name: web-x7f2,"))
    assert noise(parse(pod(WEB)), renamed) == {(POD, 0, 0, ("metadata", "name")): "web-x7f2"}


def this_year() -> int:
    return time.gmtime().tm_year


@pytest.mark.parametrize(
    ("before", "after", "excused"),
    [
        ("'{now}'", "'{later}'", True),
        ("{now}", "{later}", True),
        ("'{now}000'", "'{later}123'", True),
        ("'{date}T03:04:05Z'", "'{date}T03:04:06Z'", True),
        ("'{compact}030405'", "'{compact}030406'", True),
        ("'1500000000'", "'1500000001'", False),
        ("'{now}'", "'{now}0'", False),
        ("'{date}'", "'{date}T00'", False),
        ("'{date}_030405.1'", "'{date}_030406'", True),
        ("'03:04:05 m=+0.01'", "'03:04:06 m=+0.02'", True),
        ("Sat Jan  2 03:04:05 {year}", "Sat Jan  2 03:04:06 {year}", True),
        ("web-{year}.11.0-1951011819", "web-{year}.11.0-3903662090", False),
        ("'{year}-3'", "'{year}-75'", False),
        ("'3 at 03:04:05'", "'75 at 03:04:06'", False),
        ("'1999-01-02'", "'1999-01-03'", False),
        ("'{year}-13-02'", "'{date}'", False),
        ("'{year}-13-02T03:04:05Z'", "'{year}-13-03T03:04:06Z'", False),
        ("'{year}1302030405'", "'{year}1303030406'", False),
        ("'{now}'", "'{now} @{digest}'", False),
    ],
)
def test_the_time_is_random(before: str, after: str, excused: bool) -> None:
    now = int(time.time())
    words = {
        "now": now,
        "later": now + 1,
        "year": this_year(),
        "date": time.strftime("%Y-%m-%d", time.gmtime(now)),
        "compact": time.strftime("%Y%m%d", time.gmtime(now)),
        "digest": DIGEST,
    }
    assert (random(before.format(**words), after.format(**words)) == []) is excused


def test_without_another_render_nothing_but_time_is_excused() -> None:
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


def test_random_keys_change_the_text_as_they_change() -> None:
    plain, pins, other = (parse(document(f"kind: Secret\ndata: {{k{i}: x}}\n", "s")) for i in range(3))
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


def test_the_time_is_excused_only_where_a_template_may_print_it() -> None:
    text = "kind: ConfigMap\ndata: {{at: '{}'}}\n"
    plain, pins = (parse(document(text.format(at), "s")) for at in ("03:04:05", "13:14:15"))
    for sources, changed in ((None, 0), ({"s"}, 0), ({"t"}, 1), ((), 1)):
        assert len(compare(plain, pins._replace(random=sources), {}).collateral) == changed
    assert noise(plain, pins) == {("s", 0, 0, ("data", "at")): "13:14:15"}, "another plain render shows it"


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
