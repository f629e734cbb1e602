"""Which of several images may set a value."""

from __future__ import annotations

import pytest

from helmpin.chart.setargs import Setting
from helmpin.search.candidate import Candidate
from helmpin.search.contests import contests, losing
from helmpin.search.group import Group
from tests.support.renders import digest

TAG = ("image", "tag")


def group(
    name: str, *, misfit: int = 0, by_tag_only: bool = False, proven: bool = False, own_tag: bool = False
) -> Group:
    """One that wants its digest in image.tag. own_tag: whether its tag stands at another value, too."""
    at = digest(name)
    candidate = Candidate("tag@digest", (Setting(TAG, f"1@{at}"),), by_tag_only, misfit=(misfit, False))
    own = Candidate("tag@digest", (Setting(("web", "tag"), f"1@{at}"),), by_tag_only=True)
    made = Group(f"t/{name}:1", at, (), [[candidate, *([own] if own_tag else [])]])
    made.proven = proven
    return made


def winners(*groups: Group) -> set[str]:
    """Which of them win: the first letters of their digests."""
    (contest,) = contests(groups, lambda _: ()).values()
    assert [bool(losing(each, {TAG: contest})) for each in groups] == [
        contest.winners != {each.settings()[0].value} for each in groups
    ]
    return {value.partition("sha256:")[2][0] for value in contest.winners}


@pytest.mark.parametrize(
    ("first", "second", "won"),
    [
        (group("a", proven=True), group("b"), {"a"}),
        (group("a", by_tag_only=True), group("b"), {"b"}),
        (group("a", by_tag_only=True, proven=True), group("b"), {"a"}),
        (group("a", misfit=5), group("b", misfit=2), {"b"}),
        (group("a", proven=True, misfit=5), group("b", proven=True, misfit=2), {"b"}),
        (group("a", own_tag=True), group("b"), {"b"}),
        (group("a", own_tag=True), group("b", misfit=2), {"a"}),
        (group("a", own_tag=True), group("b", own_tag=True), {"a", "b"}),
        (group("a", proven=True), group("b", proven=True), {"a", "b"}),
    ],
    ids=[
        "proven",
        "named",
        "proven without a name",
        "fits better",
        "both proven, and one fits better",
        "the other's tag stands elsewhere",
        "fits better, though its tag stands elsewhere",
        "both tags stand elsewhere",
        "nothing decides",
    ],
)
def test_who_wins(first: Group, second: Group, won: set[str]) -> None:
    assert winners(first, second) == winners(second, first) == won


def test_one_value_is_no_contest() -> None:
    assert contests([group("a"), group("a")], lambda _: ()) == {}
