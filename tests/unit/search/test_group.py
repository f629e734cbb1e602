"""Which candidates are left for a group of uses, after each way in which one can fail."""

from __future__ import annotations

import pytest

from helmpin.chart.setargs import Setting
from helmpin.search.candidate import Candidate
from helmpin.search.group import Group
from tests.support.renders import digest

A = digest("a")


def candidate(strategy: str, *paths: str, is_spare: bool = False) -> Candidate:
    return Candidate(strategy, tuple(Setting(tuple(path.split(".")), A) for path in paths), is_spare=is_spare)


KEY = candidate("digest key", "image.digest")
TAG = candidate("tag with digest", "image.tag")
NAME = candidate("repository with digest", "image.repository", "image.tag")
OTHER = candidate("tag with digest", "other.tag")
SPARE = candidate("whole reference", "sidecar", is_spare=True)


@pytest.fixture
def group() -> Group:
    """Two anchors."""
    return Group("t/web:1", A, (), [[KEY, TAG, NAME], [OTHER, SPARE]])


def test_the_best_of_each_anchor_is_current(group: Group) -> None:
    assert group.current() == [KEY, OTHER]
    assert group.settings() == [*KEY.settings, *OTHER.settings]


def test_the_next_ones_come_all_at_once_or_where_one_is_banned(group: Group) -> None:
    group.advance({KEY})
    assert group.current() == [TAG, OTHER]
    group.advance(set())
    assert group.current() == [NAME, SPARE]
    group.advance(set())
    assert group.current() == [], "an anchor goes with its last candidate"


def test_spare_candidates_are_at_paths_that_are_not_set(group: Group) -> None:
    assert group.spare() == [SPARE]
    group.advance({OTHER})
    assert group.spare() == []


def test_an_anchor_is_dropped_and_the_last_one_keeps_what_is_in_other_maps(group: Group) -> None:
    group.drop_anchors([KEY])
    assert group.ranked == [[OTHER, SPARE]]
    group.drop_anchors([OTHER])
    assert group.ranked == [[SPARE]]
    group.drop_anchors([SPARE])
    assert group.ranked == [[SPARE]], "there is nothing else"
    group.drop_anchors([])
    assert group.ranked == [[SPARE]]


AGAIN = candidate("digest key without algorithm", "image.digest")
BOTH = candidate("digest key, tag emptied", "image.digest", "image.tag")


@pytest.mark.parametrize(
    ("images", "left"),
    [
        pytest.param(["t/web:1"], [BOTH, TAG], id="no digest: no form of it at these paths"),
        pytest.param([f"t/web:1@{A}@{A}"], [AGAIN, BOTH, TAG], id="in a wrong form: the next form"),
        pytest.param(["t/web:1", f"t/web:1@{A}@{A}"], [AGAIN, BOTH, TAG], id="in one of several"),
        pytest.param([f"t/web@{A}"], [TAG], id="the tag is lost: nothing at these paths"),
    ],
)
def test_what_was_rendered_tells_what_is_tried_next(images: list[str], left: list[Candidate]) -> None:
    group = Group("t/web:1", A, (), [[KEY, AGAIN, BOTH, TAG], [OTHER, SPARE]])
    group.fail(images)
    assert group.ranked[0] == left


@pytest.mark.parametrize(
    ("prefix", "tag", "value"),
    [
        ("release-", "release-3.1", "3.1"),
        ("v", "v3.1", "3.1"),
        ("release-", "release-release-3.1", "release-3.1"),
        ("b-", "release-3.1", None),
        ("", "release-3.1", None),
    ],
)
def test_what_the_template_writes_before_a_value_is_left_out_of_it(prefix: str, tag: str, value: str | None) -> None:
    def tagged(tag: str) -> Candidate:
        return Candidate("tag@digest", (Setting(("image", "digest"), ""), Setting(("image", "tag"), f"{tag}@{A}")))

    group = Group(f"t/web:{tag}", A, (), [[tagged(tag), OTHER]])
    group.fail([f"t/web:{prefix}{tag}@{A}"])
    assert group.ranked == [[*([tagged(value)] if value else []), OTHER]]
    changes = group.changes
    group.fail([f"t/web:{tag}@{A}"] if value else ["t/web:1"])
    assert group.changes > changes, "each failure changes it, so the search ends"


def test_another_form_at_the_same_paths_is_tried_only_where_the_digest_appeared() -> None:
    again = candidate("digest key without algorithm", "image.digest")
    for image, left in (
        (f"t/web:1@x{A}", [[again, TAG]]),
        ("t/web:1", [[TAG]]),
        (f"web:1@{A}", [[TAG]]),  # at another name, whatever its form
    ):
        group = Group("t/web:1", A, (), [[KEY, again, TAG]])
        group.fail([image])
        assert group.ranked == left


def test_paths_with_a_side_effect_are_left(group: Group) -> None:
    group.advance({KEY})
    group.leave_paths()
    assert group.ranked == [[SPARE]], "the name uses the tag's path too"


def test_of_the_current_paths_only_those_that_did_it_are_left(group: Group) -> None:
    group.leave_paths([("other", "tag")])
    assert group.ranked == [[KEY, TAG, NAME], [SPARE]]


def test_where_none_of_the_paths_is_current_all_are_left(group: Group) -> None:
    group.leave_paths([("none",)])
    assert group.ranked == [[TAG, NAME], [SPARE]]


def test_what_was_proven_is_not_once_candidates_change(group: Group) -> None:
    group.proven = True
    group.advance({KEY})
    assert not group.proven
