"""Comparing two renders: images become themselves at their digest, whole references follow, and nothing else differs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helmpin.image.manifest import ImageUse
from helmpin.image.outside_pods import ExtraImageRules
from helmpin.render.diff import NAMING, Comparison, compare, dotted, is_pin, noise
from helmpin.render.output import Render, parse
from tests.support.renders import POD, digest, document, pod

DIGEST, OTHER = digest("a"), digest("b")
WEB = "example.com/team/web:1.2.3"


def compared(before: str, after: str, digests: Mapping[str, str] | None = None, **more: Any) -> Comparison:
    """The comparison of two renders whose images are to have these digests (WEB alone, at DIGEST)."""
    plain = parse(before, more.pop("also", None))
    wanted = {
        use.key: d for use in plain.images() if (d := ({WEB: DIGEST} if digests is None else digests).get(use.image))
    }
    return compare(plain, parse(after, plain.also), wanted, **more)


def changes(before: str, after: str, digests: Mapping[str, str] | None = None) -> list[tuple[Any, Any, Any]]:
    """(path of the leaf, before, after) of what a pin must not change, and did."""
    return [(d.leaf[3], d.before, d.after) for d in compared(before, after, digests).collateral]


def pinned(text: str, image: str = WEB, at: str = DIGEST) -> str:
    """The render with the image pinned wherever it stands."""
    return text.replace(image, f"{image}@{at}")


# -- the image itself ---------------------------------------------------------------------------------------------------


def use(image: str, policy: str = "") -> ImageUse:
    return ImageUse(image, POD, 0, 0, "Pod", "web", ("spec", "containers", 0, "image"), "web", policy)


@pytest.mark.parametrize(
    ("before", "after", "right"),
    [
        ("web:1", f"web:1@{DIGEST}", True),
        ("web:1", f"web@{DIGEST}", True),
        ("web", f"web:latest@{DIGEST}", True),
        ("web:latest", f"web:latest@{DIGEST}", True),
        ("web:1", "web:1", False),
        ("web:1", f"web:1@{OTHER}", False),
        ("web:1", f"web:2@{DIGEST}", False),
        ("web:1", f"other:1@{DIGEST}", False),
        ("web", f"web:2@{DIGEST}", False),
        ("web:1", f"docker.io/library/web:1@{DIGEST}", False),
        ("localhost:5000/web:1", f"localhost:5000/web@{DIGEST}", True),
        ("localhost:5000/web", f"localhost/web:latest@{DIGEST}", False),
        ("web:1", "", False),
        ("web:1", f"web:1@{DIGEST} ", False),
    ],
)
def test_is_pin(before: str, after: str, right: bool) -> None:
    assert is_pin(use(before), after, DIGEST) is right


@pytest.mark.parametrize("image", ["web", "web:latest", "localhost:5000/web"])
@pytest.mark.parametrize("policy", ["", "IfNotPresent"])
def test_a_tag_may_be_dropped_only_where_no_default_pull_policy_depends_on_it(image: str, policy: str) -> None:
    """Kubernetes always pulls `latest` unless told otherwise; it pulls `web@sha256:…` if it is not there."""
    name = image.removesuffix(":latest")
    assert is_pin(use(image, policy), f"{name}@{DIGEST}", DIGEST) is bool(policy)


@pytest.mark.parametrize("form", [f"{WEB}@{DIGEST}", f"example.com/team/web@{DIGEST}"])
def test_a_pin_is_no_change(form: str) -> None:
    found = compared(pod(WEB), pod(form))
    assert (found.collateral, found.failing, found.followers) == ([], frozenset(), ())
    assert list(found.images.values()) == [form]


@pytest.mark.parametrize(
    "after",
    [WEB, f"{WEB}@{OTHER}", f"example.com/team/other:1.2.3@{DIGEST}", f"not-{WEB}@{DIGEST}", "''"],
    ids=["as it was", "another digest", "another image", "a longer name", "nothing"],
)
def test_a_use_that_is_not_at_its_digest_fails(after: str) -> None:
    found = compared(pod(WEB), pod(after))
    assert [key[3] for key in found.failing] == [("spec", "containers", 0, "image")]
    assert found.collateral == []


def test_a_use_that_is_gone_fails() -> None:
    found = compared(pod(WEB), pod(WEB).replace("image:", "no:"))
    assert len(found.failing) == 1 and len(found.collateral) == 2


def test_an_image_that_nobody_asked_to_pin_must_stay() -> None:
    assert changes(pod("not-" + WEB), pod(f"not-{WEB}@{DIGEST}"), {WEB: DIGEST}) == [
        (("spec", "containers", 0, "image"), f"not-{WEB}", f"not-{WEB}@{DIGEST}")
    ]


def test_one_image_in_the_place_of_another() -> None:
    """Both have the same digest, as two names of one image have."""
    digests = {"example.com/a:1": DIGEST, "example.com/b:1": DIGEST}
    assert len(compared(pod("example.com/a:1"), pod(f"example.com/b:1@{DIGEST}"), digests).failing) == 1


def test_one_digest_under_two_tags() -> None:
    """1.4.2 and 1.4 of one image: each goes back to its own."""
    a, b = pod("x.io/a:1.4"), pod("x.io/a:1.4.2", source="app/templates/b.yaml")
    digests = {"x.io/a:1.4": DIGEST, "x.io/a:1.4.2": DIGEST}
    right = pod(f"x.io/a:1.4@{DIGEST}") + pod(f"x.io/a:1.4.2@{DIGEST}", source="app/templates/b.yaml")
    swapped = pod(f"x.io/a:1.4.2@{DIGEST}") + pod(f"x.io/a:1.4@{DIGEST}", source="app/templates/b.yaml")
    assert compared(a + b, right, digests).failing == frozenset()
    assert len(compared(a + b, swapped, digests).failing) == 2


# -- followers ----------------------------------------------------------------------------------------------------------

ENV = "      env: [{{name: SELF, value: '{}'}}]\n"


def with_value(text: str, image: str = WEB) -> str:
    return pod(image, extra=ENV.format(text))


@pytest.mark.parametrize("text", ["{}", "--image={}", "see {}, please", "a {} b {}", "[{}]", '"{}"', "x={},y"])
def test_a_whole_reference_follows_its_image(text: str) -> None:
    before, after = (with_value(text.replace("{}", image), image) for image in (WEB, f"{WEB}@{DIGEST}"))
    found = compared(before, after)
    assert (found.collateral, found.failing) == ([], frozenset())
    (follower,) = found.followers
    assert [str(reference) for reference in follower.references] == [f"{WEB}@{DIGEST}"]
    assert follower.place() == "Pod/web spec.containers.0.env.0.value"


@pytest.mark.parametrize(
    ("image", "reference", "follows"),
    [
        ("nginx:1", "docker.io/library/nginx:1", True),
        ("docker.io/nginx:1", "nginx:1", True),
        ("nginx", "nginx:latest", True),
        ("nginx:1", "example.com/nginx:1", False),
        ("nginx:1", "mirror/nginx:1", False),
        ("example.com/nginx:1", "nginx:1", False),
        ("nginx:1", "nginx:2", False),
        ("nginx:1", "nginx", False),
        ("nginx", "nginx", False),
        ("nginx:1", "nginx:1-alpine", False),
        ("x.io/a/nginx:1", "x.io/b/nginx:1", False),
    ],
)
def test_only_the_same_normalised_reference_with_a_tag_follows(image: str, reference: str, follows: bool) -> None:
    """A bare word may mean anything; another registry's image of the name is another image."""
    at = f"{image}:latest@{DIGEST}" if ":" not in image else f"{image}@{DIGEST}"
    found = compared(with_value(reference, image), with_value(f"{reference}@{DIGEST}", at), {image: DIGEST})
    assert found.failing == frozenset()
    assert (len(found.followers), len(found.collateral)) == ((1, 0) if follows else (0, 1))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (WEB, f"{WEB}@{OTHER}"),
        (WEB, f"{WEB}@{DIGEST} more"),
        (f"{WEB} less", f"{WEB}@{DIGEST}"),
        (WEB, f"example.com/team/web@{DIGEST}"),
        (WEB, f"{WEB}@{DIGEST}@{DIGEST}"),
        (WEB, f"{WEB}@{DIGEST}0"),
        (WEB, DIGEST),
        ("1.2.3", f"1.2.3@{DIGEST}"),
        (f"{WEB}@{OTHER}", f"{WEB}@{DIGEST}"),
        (f"{WEB}@{OTHER}", WEB),
        (f"{WEB} {WEB}@{OTHER}", f"{WEB}@{OTHER} {WEB}@{DIGEST}"),
        (f"a {WEB}", f"b {WEB}@{DIGEST}"),
        (f"{WEB}", f"x{WEB}@{DIGEST}"),
        (f"{WEB} x.io/b:1", f"{WEB}@{DIGEST} x.io/b:1@{OTHER}"),
    ],
)
def test_what_follows_in_part_does_not_follow(before: str, after: str) -> None:
    found = compared(with_value(before), with_value(after, f"{WEB}@{DIGEST}"))
    assert found.followers == () and len(found.collateral) == 1


def test_what_had_a_digest_of_its_own_keeps_it_beside_what_follows() -> None:
    own = f"x.io/own:1@{OTHER}"
    found = compared(with_value(f"{own} {WEB}"), with_value(f"{own} {WEB}@{DIGEST}", f"{WEB}@{DIGEST}"))
    assert found.collateral == [] and len(found.followers) == 1


@pytest.mark.parametrize("key", sorted(NAMING))
def test_nothing_that_names_or_selects_follows(key: str) -> None:
    for node in (f"{{{key}: '%s'}}", f"{{{key}: {{x: '%s'}}}}", f"{{x: [{{{key}: ['%s']}}]}}"):
        extra = document(f"kind: Thing\nspec: {node}\n", "app/templates/b.yaml")
        found = compared(pod(WEB) + extra % WEB, pod(f"{WEB}@{DIGEST}") + extra % f"{WEB}@{DIGEST}")
        assert found.followers == () and len(found.collateral) == 1


@pytest.mark.parametrize(
    "item",
    ["metadata: {name: '%s'}", "metadata: {labels: {version: '%s'}}", "metadata: {annotations: {image: '%s'}}"],
)
def test_no_metadata_follows(item: str) -> None:
    extra = document(f"kind: ConfigMap\n{item}\n", "app/templates/b.yaml")
    assert compared(pod(WEB) + extra % WEB, pinned(pod(WEB) + extra % WEB)).followers == ()
    assert len(compared(pod(WEB) + extra % WEB, pinned(pod(WEB) + extra % WEB)).collateral) == 1


@pytest.mark.parametrize("item", ["data: {image: '%s'}", "spec: {image: '%s'}", "spec: {args: ['%s']}", "'%s': x"])
def test_leaves_follow_and_keys_do_not(item: str) -> None:
    extra = document(f"kind: Thing\nmetadata: {{name: t}}\n{item}\n", "app/templates/b.yaml")
    found = compared(pod(WEB) + extra % WEB, pinned(pod(WEB) + extra % WEB))
    is_leaf = not item.startswith("'")
    assert len(found.followers) == is_leaf
    assert (found.collateral == []) is is_leaf


def test_followers_name_their_object_in_a_list() -> None:
    items = (
        "kind: List\nitems:\n- {kind: A, metadata: {name: a}}\n- {kind: B, metadata: {name: b}, spec: {run: '%s'}}\n"
    )
    extra = document(items, "app/templates/b.yaml")
    (follower,) = compared(pod(WEB) + extra % WEB, pinned(pod(WEB) + extra % WEB)).followers
    assert follower.place() == "B/b spec.run"


def test_a_follower_of_two_images_has_both() -> None:
    other = "example.com/side:1"
    both = pod(WEB) + pod(other, source="app/templates/b.yaml") + document(f"data: {{x: '{WEB} {other}'}}\n", "c")
    found = compared(both, pinned(pinned(both), other, OTHER), {WEB: DIGEST, other: OTHER})
    assert found.collateral == []
    assert {r.digest for f in found.followers for r in f.references} == {DIGEST, OTHER}


def test_a_reference_at_two_digests_follows_either() -> None:
    """A Job keeps the digest that it ran with; elsewhere the same image has moved on."""
    job = pod(WEB, source="app/templates/job.yaml")
    plain = parse(pod(WEB) + job + document(f"data: {{x: '{WEB}'}}\n", "c"))
    wanted = dict(zip((each.key for each in plain.images()), (DIGEST, OTHER), strict=True))
    after = pinned(pod(WEB)) + pinned(job, at=OTHER)
    for at in (DIGEST, OTHER):
        found = compare(plain, parse(after + document(f"data: {{x: '{WEB}@{at}'}}\n", "c")), wanted)
        assert (found.failing, found.collateral, len(found.followers)) == (frozenset(), [], 1)


# -- anything else ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("'1'", "1", ("1", 1)),
        ("true", "1", (True, 1)),
        ("1", "1.0", (1, 1.0)),
        ("x", "''", ("x", "")),
        ("x", "null", ("x", None)),
        ("[a]", "[a, b]", (None, "b")),
        ("{a: b}", "{}", ("b", None)),
        ("{a: null}", "{}", (None, None)),
        ("[]", "{}", ([], {})),
    ],
)
def test_any_other_leaf_is_a_change(before: str, after: str, found: tuple[Any, Any]) -> None:
    assert [pair for _, *pair in changes(pod(WEB, label=before), pod(WEB, label=after))] == [list(found)]


def test_documents_that_come_or_go_are_changes() -> None:
    other = pod(WEB, source="app/templates/other.yaml")
    assert changes(pod(WEB), pod(WEB) + other)
    assert changes(pod(WEB) + other, pod(WEB))
    assert [d.leaf[3] for d in compared(pod(WEB), pinned(pod(WEB)) + other).collateral] == [()]


def test_what_differs_in_one_document_hides_nothing_of_another() -> None:
    """Neither leaves nor lines: each template's differences are known at once."""
    other = pod(WEB, source="app/templates/other.yaml")
    before = pod(WEB, label="one") + other + "# a comment\n"
    after = pinned(pod(WEB, label="two") + other) + "# another\n"
    assert [d.leaf[0] for d in compared(before, after).collateral] == [POD, "app/templates/other.yaml"]


def test_a_difference_is_shown_with_its_place() -> None:
    (difference,) = compared(pod(WEB, label="one"), pinned(pod(WEB, label="two"))).collateral
    assert str(difference) == f"{POD}: metadata.labels.l: 'one' would become 'two'"
    (long,) = compared(pod(WEB, label="x" * 200), pinned(pod(WEB, label="z"))).collateral
    assert len(str(long)) < 200 and "…" in str(long)
    (nowhere,) = compared("kind: One\na: 1\n", "kind: One\na: 2\n").collateral
    assert str(nowhere) == "a: 1 would become 2"


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("{a: 'v=1 pw=hunter2'}", "{a: 'v=1@x pw=hunter2'}", "a: '…1…' would become '…1@x…'"),
        ("{a: 'redis://:hunter2@db/1.2'}", "{a: 'redis://:hunter2@db/1.3'}", "a: '…1.2' would become '…1.3'"),
        ("{a: hunter2}", "{}", "a: a text would become nothing"),
        ("{a: {pw: hunter2}}", "{a: 1}", "a: a map would become 1"),
        ("{a: [hunter2]}", "{a: other}", "a: a list would become a text"),
        ("{a: 1} # hunter2 v1", "{a: 1} # hunter2 v2", "line 1: '…v1' would become '…v2'"),
        ("{kind: Secret, data: {a: aHVudGVyMg==}}", "{kind: Secret, data: {a: b}}", "data.a would change"),
        ("{kind: Secret} # hunter2", "{kind: Secret} # hunter3", "line 1 would change"),
    ],
)
def test_a_difference_shows_no_secret_that_stands_beside_it(before: str, after: str, shown: str) -> None:
    """It is in the notes of a plan and in errors, and so in the log of a pipeline."""
    (difference,) = compared(before, after).collateral
    assert str(difference) == shown


def test_documents_that_come_or_go_are_not_shown() -> None:
    """The end of a Secret may be its last value."""
    one, secret = "---\nkind: One\n", "---\nkind: Secret\nstringData: {a: hunter2}\n"
    (difference,) = compared(one, one + secret).collateral
    assert str(difference).endswith(" would change")


def test_dotted() -> None:
    assert dotted(("spec", "containers", 0, "image")) == "spec.containers.0.image"


WORDS = st.sampled_from(["nginx", "web", "1.2.3", WEB, f"{WEB}@{DIGEST}", "x", "sha256", DIGEST, "true", "7"])
TREES = st.recursive(
    WORDS | st.integers() | st.none(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["name", "data", "x", "image"]), below),
    max_leaves=8,
)


@given(TREES, TREES)
def test_whatever_differs_is_listed_as_a_follower_or_as_a_change(one: Any, other: Any) -> None:
    a, b = (document(json.dumps({"kind": "Thing", "spec": tree}), "b.yaml") for tree in (one, other))
    found = compared(pod(WEB) + a, pinned(pod(WEB)) + b)
    assert bool(found.collateral or found.followers) == (json.dumps(one) != json.dumps(other))
    if found.followers and not found.collateral:
        assert a.replace(f"@{DIGEST}", "") == b.replace(f"@{DIGEST}", "")


# -- checksums ----------------------------------------------------------------------------------------------------------

HASH = "0123456789abcdef" * 4
DEPLOYMENT = """\
kind: Deployment
metadata: {{annotations: {{checksum/own: '{own}'}}}}
spec:
  template:
    metadata: {{annotations: {{checksum/config: '{checksum}', other: '{other}'}}, labels: {{checksum/label: '{label}'}}}}
    spec: {{containers: [{{name: a, image: b}}]}}
"""
KEPT = {"own": "1", "checksum": HASH, "other": "1", "label": "1"}


def deployment(**changed: str) -> str:
    return document(DEPLOYMENT.format(**{**KEPT, **changed}))


@pytest.mark.parametrize("after", [HASH.replace("0", "1"), "QUJD+/w==", "3dd9cc87", "x" * 128, "a-b_c"])
def test_a_pod_templates_own_checksum_may_change(after: str) -> None:
    assert changes(deployment(), deployment(checksum=after)) == []


@pytest.mark.parametrize("after", ["", "two words", f"{WEB}@{DIGEST}", DIGEST, "x" * 129, "a\\nb", "a.b"])
def test_it_must_look_like_a_hash(after: str) -> None:
    assert len(changes(deployment(), deployment(checksum=after.replace("\\n", "\n\n")))) == 1


@pytest.mark.parametrize("where", ["own", "other", "label"])
def test_no_other_annotation_or_label_may(where: str) -> None:
    assert len(changes(deployment(), deployment(**{where: HASH}))) == 1


@pytest.mark.parametrize(
    "item",
    [
        "kind: Pod\nmetadata: {annotations: {checksum/config: %s}}\n",
        "kind: Pod\nmetadata: {annotations: {checksum/config: %s}}\nspec: {volumes: []}\n",
        "kind: Pod\nmetadata: {annotations: {checksum/config: %s}}\nspec: text\n",
        "metadata: {annotations: {checksum/config: {x: %s}}}\nspec: {containers: []}\n",
        "annotations: {checksum/config: %s}\nspec: {containers: []}\n",
        "checksum/config: %s\n",
    ],
)
def test_what_is_no_pod_template_has_none(item: str) -> None:
    assert len(changes(document(item % "one"), document(item % "two"))) == 1


def test_a_bare_pod_and_one_in_a_custom_resource_have_one() -> None:
    spec = "metadata: {annotations: {checksum/config: %s}}\nspec: {initContainers: []}\n"
    inside = "kind: Thing\nspec:\n  any:\n    - " + spec.replace("\n", "\n      ").rstrip() + "\n"
    for text in (document(f"kind: Pod\n{spec}"), document(inside)):
        assert changes(text % "one", text % "two") == []


def test_a_checksum_that_becomes_a_number_is_a_change() -> None:
    assert len(changes(deployment(), deployment().replace(f"'{HASH}'", "7"))) == 1


# -- randomness ---------------------------------------------------------------------------------------------------------


def random(before: str, after: str, *, second: str | None = None, other: str | None = None) -> list[Any]:
    """The changes of a secret's value, whose second evaluation gives `second`, and which another plain render has as `other`."""
    text = "kind: Secret\ndata: {{p: {}}}\n"
    plain = parse(pod(WEB) + document(text.format(before), "s"))
    wanted = {use.key: DIGEST for use in plain.images()}
    pins = parse(pinned(pod(WEB)) + document(text.format(after), "s"))
    if second is not None:
        pins = pins._replace(second_pass={"s": text.format(second)})
    seen = {("s", 0, 0, ("data", "p")): other} if other is not None else {}
    return compare(plain, pins, wanted, seen).collateral


def test_what_two_evaluations_of_one_render_have_differently_is_random() -> None:
    assert random("k3yA", "p2zB", second="q9xC") == []
    assert len(random("k3yA", "p2zB")) == 1
    assert len(random("k3yA", "p2zB", second="p2zB")) == 1, "both evaluations agree"


def test_what_another_plain_render_has_differently_is_random() -> None:
    assert random("k3yA", "p2zB", other="q9xC") == []
    assert len(random("k3yA", "p2zB", other="k3yA")) == 1, "it agrees with this one"


def test_what_varies_in_other_ways_in_one_render_and_between_two_is_random() -> None:
    """A text that is random, and holds the time, which two evaluations of one render seldom have differently."""
    assert random("at 1 k3yA", "at 2 p2zB", second="at 2 q9xC", other="at 3 r8wD") == []
    assert len(random("at 1 k3yA", "on 2 p2zB", second="on 2 q9xC", other="at 3 r8wD")) == 1


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
    assert (random(before, after, second=second) == []) is excused
    assert (random(after, before, other=second) == []) is excused, "the same the other way round"


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
    assert len(random("k3yA", after, second="q9xC")) == 1
    assert len(random("k3yA", after, other="q9xC")) == 1


def test_a_digest_that_stood_there_before_is_no_matter() -> None:
    assert random(f"k3yA-{DIGEST}", f"p2zB-{DIGEST}", second=f"q9xC-{DIGEST}") == []


def test_a_random_key_is_random_and_what_it_holds_shows_no_digest() -> None:
    text = "kind: Thing\nspec: {{k{}: {{image: '{}'}}}}\n"
    source = "app/templates/t.yaml"
    for image, changed in ((WEB, 0), (f"{WEB}@{DIGEST}", 1)):
        plain = parse(pod(WEB) + document(text.format(1, WEB), source))
        pins = parse(pinned(pod(WEB)) + document(text.format(2, image), source))
        found = compare(
            plain,
            pins._replace(second_pass={source: text.format(3, image)}),
            {use.key: DIGEST for use in plain.images()},
            noise(plain, parse(pod(WEB) + document(text.format(4, WEB), source))),
        )
        assert [d.leaf[3] for d in found.collateral] == [("spec", "k2")] * changed


LISTED = "kind: ConfigMap\ndata:\n  all: {}\n  of:\n    - {}\n    - {}\n  {}: 1\n  {}: 1\n"


def listed(*keys: str, extra: str = "", second: tuple[str, ...] | None = None) -> list[Any]:
    """The changes of an object that lists two keys, if a template that may list them in any order printed it."""
    plain = parse(pod(WEB) + document(LISTED.format("-".join(KEYS), *KEYS, *KEYS), "s"))
    pins = parse(pinned(pod(WEB)) + document(LISTED.format("-".join(keys) + extra, *keys, *keys), "s"))
    if second is not None:
        pins = pins._replace(second_pass={"s": LISTED.format("-".join(second), *second, *second)})
    return compare(plain, pins, {use.key: DIGEST for use in plain.images()}).collateral


KEYS = ("tag", "repository")


def test_what_lists_a_map_in_any_order_may_change_the_order() -> None:
    """Also if both evaluations of the render have the other order."""
    other = KEYS[::-1]
    assert listed(*other, second=other) == []
    assert len(listed(*other)) == 3, "no template lists a map in any order"


@pytest.mark.parametrize("extra", ["-tag", "x", "-", f"-{DIGEST}", "_"])
def test_another_order_with_other_words_is_a_change(extra: str) -> None:
    other = KEYS[::-1]
    assert len(listed(*other, extra=extra, second=other)) == 3


@pytest.mark.parametrize(("key", "changed"), [("web-1", 2), (f"web@{DIGEST}", 2), ("web-1.25-web", 2), ("1.25-web", 0)])
def test_a_key_that_comes_for_another_is_no_order(key: str, changed: int) -> None:
    plain, pins = (parse(document(f"kind: ConfigMap\ndata: {{{k}: x}}\n", "s")) for k in ("web-1.25", key))
    assert len(compare(plain, pins._replace(second_pass={"s": pins.documents[0].text}), {}).collateral) == changed


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
    """Whether or not the second evaluation, or another plain render, has them in the same order."""
    plain, pins = parse(objects("abc")), parse(objects(order, f"t/{{}}:1@{DIGEST}", end="  \n\n"))
    wanted = {use.key: DIGEST for use in plain.images()}
    for second in ("abc", "cab"):
        varied = pins._replace(second_pass={POD: objects(second, f"t/{{}}:1@{DIGEST}")})
        for seen in ({}, noise(plain, parse(objects(second)))):
            found = compare(plain, varied, wanted, seen)
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
    found = compare(plain, pins._replace(second_pass={POD: pins.documents[0].text}), wanted)
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
        found = compare(plain, pins._replace(second_pass={POD: ""}), wanted)
        assert (len(found.failing), bool(found.collateral)) == (failing, bool(failing))
    assert compare(plain, parse(text("ba", f"@{DIGEST}")), wanted).collateral, "no template lists a map in any order"


def test_lines_in_another_order_are_no_change_either() -> None:
    """The leaves are equal then."""
    plain, pins = (parse(document(f"kind: ConfigMap\ndata: {{}}\n# {a}\n# {b}\n", "s")) for a, b in ("xy", "yx"))
    assert len(compare(plain, pins, {}).collateral) == 2
    assert compare(plain, pins._replace(second_pass={"s": pins.documents[0].text}), {}).collateral == []


def test_random_types() -> None:
    assert random("k3yA", "7", second="p2zB") == []
    assert random("[k3yA]", "[p2zB]", second="[q9xC]") == []


def test_names_do_not_matter_for_matching() -> None:
    """Documents are matched by file and order, so a random name is one difference."""
    renamed = parse(pod(WEB).replace("name: web,", "name: web-x7f2,"))
    assert noise(parse(pod(WEB)), renamed) == {(POD, 0, 0, ("metadata", "name")): "web-x7f2"}


def documents_of_a_file(secret: str, config: str, order: str) -> list[str]:
    texts = {"s": f"kind: Secret\ndata: {{p: {secret}}}\n", "c": f"kind: ConfigMap\ndata: {{p: {config}}}\n"}
    return [texts[kind] for kind in order]


def test_the_second_evaluation_is_matched_though_helm_sorts_the_documents() -> None:
    source = "app/templates/all.yaml"
    before, after = (
        parse("".join(document(text, source) for text in documents_of_a_file(secret, config, "cs")))
        for secret, config in (("r1", "k"), ("r2", "changed"))
    )
    second = {source: "---\n".join(documents_of_a_file("r3", "changed", "sc"))}
    assert [(d.before, d.after) for d in compare(before, after._replace(second_pass=second), {}).collateral] == [
        ("k", "changed")
    ]


def test_a_second_evaluation_of_another_shape_excuses_nothing() -> None:
    source = "app/templates/all.yaml"
    before, after = (parse(document(f"kind: Secret\ndata: {{p: {x}}}\n", source)) for x in ("r1", "r2"))
    second = {source: "kind: Secret\ndata: {p: r3}\n---\nkind: Secret\n"}
    assert len(compare(before, after._replace(second_pass=second), {}).collateral) == 1


def this_year() -> int:
    return time.gmtime().tm_year


@pytest.mark.parametrize(
    ("before", "after", "excused"),
    [
        ("'{now}'", "'{later}'", True),
        ("{now}", "{later}", True),
        ("'{now}000'", "'{later}123'", True),
        ("'{year}-01-02T03:04:05Z'", "'{year}-01-02T03:04:06Z'", True),
        ("'{year}0102030405'", "'{year}0102030406'", True),
        ("'1500000000'", "'1500000001'", False),
        ("'{now}'", "'{now}0'", False),
        ("'{year}-01-02'", "'{year}-01-02T00'", False),
        ("'1999-01-02'", "'1999-01-03'", False),
        ("'{now}'", "'{now} @{digest}'", False),
    ],
)
def test_the_time_is_random(before: str, after: str, excused: bool) -> None:
    now = int(time.time())
    words = {"now": now, "later": now + 1, "year": this_year(), "digest": DIGEST}
    assert (random(before.format(**words), after.format(**words)) == []) is excused


def test_without_a_second_evaluation_nothing_but_time_is_excused() -> None:
    before, after = parse(document("a: one\n")), parse(document("a: two\n"))
    assert len(compare(before, after._replace(second_pass={}), {}).collateral) == 1
    assert len(compare(before, Render(after.text, after.documents, None), {}).collateral) == 1


# -- images that are a part of a text -------------------------------------------------------------------------------------

ARGUMENT = document("kind: Thing\nmetadata: {{name: t}}\nspec: {{args: ['{}']}}\n")
TWO = f"--a={WEB} --b=example.com/side:1 --again={WEB}"


def test_images_in_a_text_are_pinned_each_in_its_place() -> None:
    also = ExtraImageRules(["Thing/*"])
    digests = {WEB: DIGEST, "example.com/side:1": OTHER}
    after = TWO.replace(WEB, f"{WEB}@{DIGEST}").replace("side:1", f"side:1@{OTHER}")
    found = compared(ARGUMENT.format(TWO), ARGUMENT.format(after), digests, also=also)
    assert (found.failing, found.collateral, found.followers) == (frozenset(), [], ())
    assert sorted(found.images.values()) == [f"example.com/side:1@{OTHER}", *[f"{WEB}@{DIGEST}"] * 2]
    part = compared(ARGUMENT.format(TWO), ARGUMENT.format(TWO.replace(WEB, f"{WEB}@{DIGEST}", 1)), digests, also=also)
    assert len(part.failing) == 2 and part.collateral == []
    for text in (TWO.removeprefix("--a="), f"{WEB} {WEB}", f"{WEB} {WEB} {WEB}"):
        after = text.replace(WEB, f"{WEB}@{DIGEST}").replace("side:1", f"side:1@{OTHER}")
        found = compared(ARGUMENT.format(text), ARGUMENT.format(after), digests, also=also)
        assert (found.failing, found.collateral, found.followers) == (frozenset(), [], ())


@pytest.mark.parametrize("after", [f"--a={WEB}@{DIGEST}", f"--a={WEB}@{DIGEST} --b={WEB}@{DIGEST}", "nothing"])
def test_an_image_that_is_lost_in_a_text_is_a_change_and_fails(after: str) -> None:
    found = compared(ARGUMENT.format(TWO), ARGUMENT.format(after), also=ExtraImageRules(["Thing/*"]))
    assert len(found.collateral) == 1 and found.failing


@pytest.mark.parametrize("after", [f"--a={WEB}@{DIGEST} more", f"more --a={WEB}@{DIGEST}"])
def test_the_text_around_them_stays(after: str) -> None:
    found = compared(ARGUMENT.format(f"--a={WEB}"), ARGUMENT.format(after), also=ExtraImageRules(["Thing/*"]))
    assert len(found.collateral) == 1


# -- the text around the leaves -------------------------------------------------------------------------------------------

COMMENTED = "# {}\nkind: Pod\nspec:\n  containers: [{{image: {}}}]  # {}\n"


def commented(image: str, first: str = "", last: str = "") -> str:
    return document(COMMENTED.format(first, image, last))


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        (commented(WEB, "tag 1.2.3"), commented(f"{WEB}@{DIGEST}", f"tag 1.2.3@{DIGEST}"), 1),
        (commented(WEB, last="1.2.3"), commented(f"{WEB}@{DIGEST}", last=f"1.2.3@{DIGEST}"), 4),
        (commented(WEB), commented(f"'{WEB}@{DIGEST}'"), 4),
        (commented(WEB), commented(f"{WEB}@{DIGEST}") + "# more\n", 5),
    ],
    ids=["first line", "end of line", "quotes", "a line more"],
)
def test_comments_and_style_stay(before: str, after: str, line: int) -> None:
    found = compared(before, after)
    assert (len(found.collateral), found.failing) == (1, frozenset())
    assert f"line {line}: " in str(found.collateral[0])


def test_a_document_of_which_only_a_comment_changes() -> None:
    text = document("# {}\nkind: ConfigMap\n", "c")
    found = compared(pod(WEB) + text.format("1.2.3"), pinned(pod(WEB)) + text.format(f"1.2.3@{DIGEST}"))
    assert len(found.collateral) == 1


@pytest.mark.parametrize("after", ["{b: x, a: 1}", "{a: 1,  b: x}", "{a: 1, b: 'x'}", "{a: 1, b: x} # y"])
def test_the_order_of_keys_and_the_way_of_writing_stay(after: str) -> None:
    text = "kind: Thing\nspec: {}\n"
    assert len(changes(document(text.replace("{}", "{a: 1, b: x}")), document(text.replace("{}", after)))) == 1


def test_a_comment_does_not_follow_as_a_leaf_beside_it_does() -> None:
    assert compared(commented(WEB, WEB), commented(f"{WEB}@{DIGEST}", f"{WEB}@{DIGEST}")).collateral


def test_a_comment_that_has_the_pinned_reference_already_is_no_change() -> None:
    note = f"was {WEB}@{DIGEST}"
    assert compared(commented(WEB, note), commented(f"{WEB}@{DIGEST}", note)).collateral == []
    assert compared(commented(WEB, note), commented(f"{WEB}@{DIGEST}", f"{note} {WEB}@{DIGEST}")).collateral


@pytest.mark.parametrize(("first", "last", "line"), [(True, False, "line 1"), (False, True, "line 4")])
def test_a_digest_where_no_leaf_stands_is_shown_with_its_line(first: bool, last: bool, line: str) -> None:
    both = f"{WEB}@{DIGEST}"
    (found,) = compared(commented(WEB), commented(f"{WEB}@{DIGEST}", both * first, both * last)).collateral
    assert (found.leaf[3], found.before, found.after) == ((line,), "", f"{both}, where no leaf stands")


def test_a_longer_reference_in_a_comment_does_not_change_with_the_leaf() -> None:
    longer = f"mirror.example.org/{WEB}"
    assert compared(commented(WEB, longer), commented(f"{WEB}@{DIGEST}", f"{longer}@{DIGEST}")).collateral
    assert compared(commented(WEB, longer), commented(f"{WEB}@{DIGEST}", longer)).collateral == []


def test_a_reference_on_a_line_of_its_own_follows_an_image_that_lost_its_tag() -> None:
    text = "kind: Pod\nspec: {{containers: [{{image: '{}'}}]}}\ndata: |\n  {}\n"
    short = "example.com/team/web"
    found = compared(document(text.format(WEB, WEB)), document(text.format(f"{short}@{DIGEST}", f"{WEB}@{DIGEST}")))
    assert (found.collateral, found.failing, len(found.followers)) == ([], frozenset(), 1)


@pytest.mark.parametrize("value", ["{}", "'{}'", "- {}", "[{}, {}]"])
@pytest.mark.parametrize("made", [("101", "202", "303"), ("k3yA", "p2zB", "q9xC")])
def test_random_values_change_the_text_as_they_change(value: str, made: tuple[str, str, str]) -> None:
    text = "kind: Secret\n# of the chart\ndata:\n  p: " + value.replace("- ", "\n  - ") + "\n"
    plain, pins, other = (parse(document(text.replace("{}", each), "s")) for each in made)
    assert compare(plain, pins._replace(second_pass={"s": other.documents[0].text}), {}).collateral == []
    assert compare(plain, pins, {}, noise(plain, other)).collateral == []


def test_a_random_text_that_begins_as_another_one_does() -> None:
    text = "kind: Secret\ndata: {{p: {}, q: {}}}\n"
    plain, pins = (parse(document(text.format(*made), "s")) for made in (("uvw", "xyz1"), ("abc", "abcd")))
    assert compare(plain, pins._replace(second_pass={"s": text.format("mno", "pqrs")}), {}).collateral == []


def test_random_keys_change_the_text_as_they_change() -> None:
    """One evaluation says which keys may come, and another plain render which may go."""
    plain, pins, second, other = (parse(document(f"kind: Secret\ndata: {{k{i}: x}}\n", "s")) for i in range(4))
    pins = pins._replace(second_pass={"s": second.documents[0].text})
    assert compare(plain, pins, {}, noise(plain, other)).collateral == []


@pytest.mark.parametrize(("shown", "changed"), [("", 0), (f"@{DIGEST}", 1)])
def test_a_random_comment_is_random_unless_it_shows_a_digest(shown: str, changed: int) -> None:
    text = "# made by {}\nkind: ConfigMap\n"
    plain = parse(pod(WEB) + document(text.format("k3yA"), "c"))
    pins = parse(pinned(pod(WEB)) + document(text.format(f"p2zB{shown}"), "c"))
    wanted = {use.key: DIGEST for use in plain.images()}
    assert len(compare(plain, pins, wanted).collateral) == 1
    pins = pins._replace(second_pass={"c": text.format(f"q9xC{shown}")})
    assert len(compare(plain, pins, wanted).collateral) == changed


@pytest.mark.parametrize("after", ["{}", "'{}'"])
def test_an_alias_may_become_the_pinned_image(after: str) -> None:
    text = "kind: Pod\nmetadata: {{annotations: {{x: &image {}}}}}\nspec:\n  containers:\n    - {{image: {}}}\n"
    found = compared(document(text.format(WEB, "*image")), document(text.format(WEB, after.format(f"{WEB}@{DIGEST}"))))
    assert (len(found.collateral), found.failing) == ("'" in after, frozenset())


def test_a_text_that_is_written_otherwise_than_it_reads_is_left_to_its_leaves() -> None:
    before = document(f'kind: Pod\nspec:\n  containers: [{{image: "{WEB}"}}]\n  args: "a\\tb"\n')
    after = pinned(before).replace("a\\tb", "a\\tc")
    assert [d.before for d in compared(before, after).collateral] == ["a\tb"]
