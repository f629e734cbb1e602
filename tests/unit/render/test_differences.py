"""What differs besides leaves, and how a difference is shown."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from helmpin.render.differences import dotted, readable
from tests.support.comparisons import DIGEST, WEB, changes, compared, pinned
from tests.support.renders import POD, document, pod

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


@pytest.mark.parametrize("after", ["{}", "'{}'"])
def test_an_alias_may_become_the_pinned_image(after: str) -> None:
    text = "kind: Pod\nmetadata: {{annotations: {{x: &image {}}}}}\nspec:\n  containers:\n    - {{image: {}}}\n"
    found = compared(document(text.format(WEB, "*image")), document(text.format(WEB, after.format(f"{WEB}@{DIGEST}"))))
    assert (len(found.collateral), found.failing) == ("'" in after, frozenset())


def test_a_text_that_is_written_otherwise_than_it_reads_is_left_to_its_leaves() -> None:
    before = document(f'kind: Pod\nspec:\n  containers: [{{image: "{WEB}"}}]\n  args: "a\\tb"\n')
    after = pinned(before).replace("a\\tb", "a\\tc")
    assert [d.before for d in compared(before, after).collateral] == ["a\tb"]


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
        ("{a: 'v=1 pw=hunter2'}", "{a: 'v=1@x pw=hunter2'}", "a: '…' would become '…@x…'"),
        ("{a: 'redis://:hunter2@db/1.2'}", "{a: 'redis://:hunter2@db/1.3'}", "a: '…2' would become '…3'"),
        ("{a: hunter2-1.2}", "{a: hunter2-1.2@x}", "a: '…' would become '…@x'"),
        ("{a: 1.2.hunter2}", "{a: 1.2@x.hunter2}", "a: '…' would become '…@x…'"),
        ("{a: x}", "{a: xy}", "a: '…' would become '…y'"),
        ("{a: ''}", "{a: z}", "a: '' would become 'z'"),
        ("{a: hunter2}", "{}", "a: a text would become nothing"),
        ("{a: {pw: hunter2}}", "{a: 1}", "a: a map would become 1"),
        ("{a: [hunter2]}", "{a: other}", "a: a list would become a text"),
        ("{a: 1} # hunter2 v1", "{a: 1} # hunter2 v2", "line 1: '…1' would become '…2'"),
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


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (b64encode(b"password: x, image: y").decode(), "password: x, image: y"),
        (b64encode(b"\xff" * 20).decode(), "\ufffd"),
        ("example.com/web", ""),
        ("c2hvcnQ=", ""),
        ("A" * 17, ""),
        (7, ""),
        (["QUFBQUFBQUFBQUFBQUFBQQ=="], ""),
    ],
)
def test_what_a_text_encodes_is_readable_too(value: Any, encoded: str) -> None:
    text = value if isinstance(value, str) else repr(value)
    shown = readable(value)
    assert shown == text if not encoded else shown.startswith(f"{text}\n") and encoded in shown
