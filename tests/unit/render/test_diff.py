"""Comparing two renders: images become themselves at their digest, whole references follow, and nothing else differs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helmpin.image.outside_pods import ExtraImageRules
from helmpin.image.uses import ImageUse
from helmpin.render.diff import NAMING, compare, is_pin
from helmpin.render.differences import ABSENT
from helmpin.render.output import parse
from tests.support.comparisons import DIGEST, OTHER, WEB, changes, compared, pinned
from tests.support.renders import POD, document, pod

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


def with_value(text: str, image: str = WEB) -> str:
    container = f"{{name: web, image: {image}, env: [{{name: SELF, value: '{text}'}}]}}"
    spec = f"{{template: {{spec: {{containers: [{container}]}}}}}}"
    return document(f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec: {spec}\n", POD)


@pytest.mark.parametrize(
    "text",
    ["{}", "--image={}", "see {}, please", "a {} b {}", "[{}]", '"{}"', "x={},y", "({})", "<{}>;", "{}|", "{{}}"],
)
def test_a_whole_reference_follows_its_image(text: str) -> None:
    before, after = (with_value(text.replace("{}", image), image) for image in (WEB, f"{WEB}@{DIGEST}"))
    found = compared(before, after)
    assert (found.collateral, found.failing) == ([], frozenset())
    (follower,) = found.followers
    assert [str(reference) for reference in follower.references] == [f"{WEB}@{DIGEST}"]
    assert follower.place() == "Deployment/web spec.template.spec.containers.0.env.0.value"


@pytest.mark.parametrize(
    ("pushed", "text"),
    [
        (True, "apiVersion: shipwright.io/v1beta1\nkind: Build\nspec: {output: {image: {}}}\n"),
        (False, "apiVersion: shipwright.io/v1beta1\nkind: Build\nspec: {builder: {image: {}}}\n"),
        (True, "apiVersion: v1\nkind: ConfigMap\ndata: {x: '/kaniko/executor --destination={}'}\n"),
        (True, "apiVersion: v1\nkind: ConfigMap\ndata: {x: 'FROM {}; docker push {}'}\n"),
        (True, "apiVersion: v1\nkind: ConfigMap\ndata:\n  x: |\n    docker build \\\n      --pull \\\n      -t {} .\n"),
        (False, "apiVersion: v1\nkind: ConfigMap\ndata:\n  x: |\n    docker build .\n    docker run -t {}\n"),
        (True, "apiVersion: batch/v1\nkind: Any\nspec: {args: [--destination, {}]}\n"),
        (True, "apiVersion: batch/v1\nkind: Any\nspec: {env: [{name: PUSH_IMAGE, value: {}}]}\n"),
        (False, "apiVersion: batch/v1\nkind: Any\nspec: {env: [{name: AGENT_IMAGE, value: {}}]}\n"),
        (False, "apiVersion: batch/v1\nkind: Any\nspec: {args: [--image, {}]}\n"),
    ],
)
def test_nothing_is_pushed_to_a_digest(pushed: bool, text: str) -> None:
    other = document(text.replace("{}", WEB))
    found = compared(pod(WEB) + other, pinned(pod(WEB) + other))
    assert (len(found.followers), len(found.collateral)) == ((0, 1) if pushed else (1, 0))


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


PARTS = [
    "{}*",
    "{}+b5",
    "{}%2Fx",
    "{}~1",
    "{}?a=b",
    "{}#a",
    "{}[0-9]",
    "{}{a,b}",
    "{}$x",
    "*{}",
    "^{}$",
    "~{}",
    "%2F{}",
]


@pytest.mark.parametrize("text", PARTS)
def test_a_reference_in_a_pattern_a_version_or_an_address_does_not_follow(text: str) -> None:
    found = compared(
        with_value(text.replace("{}", WEB)), with_value(text.replace("{}", f"{WEB}@{DIGEST}"), f"{WEB}@{DIGEST}")
    )
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


@pytest.mark.parametrize(
    ("item", "follows"),
    [
        ("apiVersion: v1\nkind: ConfigMap\ndata: {x: 'IMAGE'}\n", True),
        ("apiVersion: v1\nkind: ConfigMap\nimmutable: false\ndata: {x: 'IMAGE'}\n", True),
        ("apiVersion: v1\nkind: ConfigMap\nimmutable: true\ndata: {x: 'IMAGE'}\n", False),
        ("apiVersion: v1\nkind: Secret\nimmutable: true\nstringData: {x: 'IMAGE'}\n", False),
        (
            "apiVersion: v1\nkind: ConfigMap\nimmutable: true\nmetadata: {annotations: {helm.sh/hook: test}}\ndata: {x: 'IMAGE'}\n",
            True,
        ),
        ("apiVersion: apps/v1\nkind: Deployment\nimmutable: true\nspec: {x: 'IMAGE'}\n", True),
    ],
)
def test_nothing_follows_in_what_is_immutable(item: str, follows: bool) -> None:
    before, after = (pod(image) + document(item.replace("IMAGE", image), "f") for image in (WEB, f"{WEB}@{DIGEST}"))
    found = compared(before, after)
    assert (len(found.followers), len(found.collateral)) == ((1, 0) if follows else (0, 1))


def test_an_item_of_a_list_that_is_only_a_text() -> None:
    text = pod(WEB) + document(f"apiVersion: v1\nkind: List\nitems:\n- {WEB}\n", "f")
    found = compared(text, pinned(text))
    assert (found.failing, found.collateral, len(found.followers)) == (frozenset(), [], 1)


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
        ("[a]", "[a, b]", (ABSENT, "b")),
        ("{a: b}", "{}", ("b", ABSENT)),
        ("{a: null}", "{}", (None, ABSENT)),
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


@pytest.mark.parametrize("after", [HASH.replace("0", "1"), "QUJD+/w==", "3dd9cc87", "x" * 128, "a-b_c3"])
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
        assert changes(text % "hash-1", text % "hash-2") == []


def test_a_word_that_is_too_short_for_a_hash_is_none() -> None:
    for word in ("true", "false", "none", "x"):
        assert len(changes(deployment(), deployment(checksum=word))) == 1


def test_a_checksum_that_becomes_a_number_is_a_change() -> None:
    assert len(changes(deployment(), deployment().replace(f"'{HASH}'", "7"))) == 1


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
