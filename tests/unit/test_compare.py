"""Comparing two renders: only image references may differ."""

from __future__ import annotations

from typing import Any

import pytest

from helmpin.pin.compare import compare, is_pin, noise, random_leaves
from helmpin.pin.render import Render, parse

DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
WEB = "example.com/team/web:1.2.3"


def pod(image: str, *, label: str = "x", extra: str = "", source: str = "app/templates/pod.yaml") -> str:
    return (
        f"---\n# Source: {source}\napiVersion: v1\nkind: Pod\nmetadata: {{name: web, labels: {{l: {label}}}}}\n"
        f"spec:\n  containers:\n    - name: web\n      image: {image}\n{extra}"
    )


def changes(before: str, after: str, digests: dict[str, str] | None = None) -> list[tuple[Any, Any, Any]]:
    """(path of the leaf, before, after) of the differences that are no image reference."""
    found = compare(parse(before), parse(after), {WEB: DIGEST} if digests is None else digests).collateral
    return [(d.leaf[3], d.before, d.after) for d in found]


@pytest.mark.parametrize(
    ("before", "after", "right"),
    [
        ("web:1", f"web:1@{DIGEST}", True),
        ("web:1", f"web@{DIGEST}", True),
        ("web", f"web@{DIGEST}", True),
        ("web", f"web:latest@{DIGEST}", True),
        ("web:1", "web:1", False),
        ("web:1", f"web:1@{OTHER}", False),
        ("web:1", f"web:2@{DIGEST}", False),
        ("web:1", f"other:1@{DIGEST}", False),
        ("web", f"web:2@{DIGEST}", False),
        ("localhost:5000/web", f"localhost:5000/web@{DIGEST}", True),
        ("localhost:5000/web", f"localhost/web@{DIGEST}", False),
    ],
)
def test_is_pin(before: str, after: str, right: bool) -> None:
    assert is_pin(before, after, DIGEST) is right


@pytest.mark.parametrize("form", [f"{WEB}@{DIGEST}", f"example.com/team/web@{DIGEST}"])
def test_a_pin_is_no_change(form: str) -> None:
    comparison = compare(parse(pod(WEB)), parse(pod(form)), {WEB: DIGEST})
    assert comparison.collateral == []
    assert list(comparison.images.values()) == [form]


def test_what_follows_an_image_is_no_change() -> None:
    env = "      env: [{name: SELF, value: 'see %s, please'}]\n"
    assert changes(pod(WEB, extra=env % WEB), pod(f"{WEB}@{DIGEST}", extra=env % f"{WEB}@{DIGEST}")) == []


@pytest.mark.parametrize(
    "after",
    [f"{WEB}@{OTHER}", f"example.com/team/other:1.2.3@{DIGEST}", f"not-{WEB}@{DIGEST}"],
    ids=["another digest", "another image", "a longer name"],
)
def test_a_wrong_image_is_a_change(after: str) -> None:
    assert changes(pod(WEB), pod(after)) == [(("spec", "containers", 0, "image"), WEB, after)]


def test_an_image_whose_name_ends_like_another() -> None:
    """It has that other's digest, and nobody asked for it."""
    assert len(changes(pod(f"not-{WEB}"), pod(f"not-{WEB}@{DIGEST}"))) == 1


def test_one_image_in_the_place_of_another() -> None:
    """Both have the same digest, as two names of one image have."""
    digests = {"example.com/a:1": DIGEST, "example.com/b:1": DIGEST}
    before, after = pod("example.com/a:1"), pod(f"example.com/b:1@{DIGEST}")
    assert len(changes(before, after, digests)) == 1


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("'1'", "1", ("1", 1)),
        ("true", "1", (True, 1)),
        ("x", "''", ("x", "")),
        ("x", "null", ("x", None)),
        ("[a]", "[a, b]", (None, "b")),
        ("{a: b}", "{}", ("b", None)),
        ("[]", "{}", ([], {})),
    ],
)
def test_any_other_leaf_is_a_change(before: str, after: str, found: tuple[Any, Any]) -> None:
    assert [pair for _, *pair in changes(pod(WEB, label=before), pod(WEB, label=after))] == [list(found)]


def test_documents_that_come_or_go_are_changes() -> None:
    other = pod(WEB, source="app/templates/other.yaml")
    assert changes(pod(WEB), pod(WEB) + other)
    assert changes(pod(WEB) + other, pod(WEB))


def test_a_checksum_may_change_and_only_that() -> None:
    annotated = "metadata:\n  annotations:\n    checksum/config: {}\n    other: {}\n"
    text = f"---\n# Source: app/templates/x.yaml\nkind: Pod\n{annotated}"
    assert changes(text.format(1, 1), text.format(2, 1)) == []
    assert [path for path, *_ in changes(text.format(1, 1), text.format(2, 2))] == [
        ("metadata", "annotations", "other")
    ]


def test_names_do_not_matter_for_matching() -> None:
    """Documents are matched by file and order, so a random name is one difference."""
    assert noise(parse(pod(WEB)), parse(pod(WEB).replace("name: web,", "name: web-x7f2,"))) == {
        ("app/templates/pod.yaml", 0, 0, ("metadata", "name"))
    }


def test_random_leaves_are_those_that_differ_between_two_evaluations() -> None:
    once = parse(pod(WEB, label="r4nd0m"))
    again = pod(WEB, label="0th3r").split("pod.yaml\n")[1]
    assert random_leaves(once._replace(again={"app/templates/pod.yaml": again})) == {
        ("app/templates/pod.yaml", 0, 0, ("metadata", "labels", "l"))
    }


def test_random_leaves_when_helm_ordered_the_documents_by_kind() -> None:
    source = "app/templates/all.yaml"
    head = f"---\n# Source: {source}\n"
    secret = "kind: Secret\ndata: {{p: {}}}\n"
    config = "kind: ConfigMap\ndata: {{p: {}}}\n"
    render = parse(head + config.format(1) + head + secret.format(1))._replace(
        again={source: secret.format(2) + "---\n" + config.format(1)}
    )
    kinds = [render.documents[order].text.split("\n")[0] for _, order, _, _ in random_leaves(render)]
    assert kinds == ["kind: Secret"]


def test_a_second_evaluation_of_another_shape_tells_nothing() -> None:
    assert (
        random_leaves(Render("", parse(pod(WEB)).documents, None, {"app/templates/pod.yaml": "kind: Job\n"})) == set()
    )
