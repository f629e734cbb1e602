"""When candidates that were dropped because of a difference are given back: the render without them still has it."""

from __future__ import annotations

from helmpin.chart.setargs import Setting, ValuePath
from helmpin.render.differences import Leaf
from helmpin.search.candidate import Candidate
from helmpin.search.group import Group
from helmpin.search.suspicions import Effect, Suspicion, Suspicions
from tests.support.renders import digest

A = digest("a")
LABEL: Leaf = ("app/templates/pod.yaml", 0, 0, ("metadata", "labels", "version"))
NAME: Leaf = ("app/templates/pod.yaml", 0, 0, ("metadata", "name"))
TAG: ValuePath = ("image", "tag")
OTHER: ValuePath = ("image", "digest")
CHANGED, RENAMED = (LABEL, "1@sha256"), (NAME, "web-1-sha256")


def group(*paths: ValuePath) -> Group:
    return Group("t/web:1", A, (), [[Candidate("tag@digest", (Setting(path, A),))] for path in paths])


def suspicion(suspect: Group, *effects: Effect, paths: tuple[ValuePath, ...] = (TAG,)) -> Suspicion:
    return Suspicion(
        group=suspect, ranked=suspect.ranked, paths=frozenset(paths), effects=frozenset(effects), note="a note"
    )


def test_what_is_still_there_without_the_values_was_not_their_doing() -> None:
    suspicions, suspect = Suspicions(), group(TAG)
    suspicions.add(held := suspicion(suspect, CHANGED))
    assert suspicions.unfounded({CHANGED, RENAMED}, ()) == [held]
    assert suspicions.are_cleared({TAG}, LABEL)
    assert not suspicions.are_cleared({TAG}, NAME)


def test_what_went_with_the_values_was_their_doing() -> None:
    suspicions = Suspicions()
    suspicions.add(suspicion(group(TAG), CHANGED))
    assert suspicions.unfounded(set(), ()) == []
    assert not suspicions.are_cleared({TAG}, LABEL)


def test_another_text_at_the_same_place_clears_nobody() -> None:
    suspicions = Suspicions()
    suspicions.add(suspicion(group(TAG), CHANGED))
    assert suspicions.unfounded({(LABEL, "1")}, ()) == []


def test_of_several_differences_all_must_still_be_there() -> None:
    suspicions = Suspicions()
    suspicions.add(suspicion(group(TAG), CHANGED, RENAMED))
    assert suspicions.unfounded({CHANGED}, ()) == []


def test_an_image_that_had_values_left_may_have_caused_it_with_those() -> None:
    suspicions, suspect = Suspicions(), group(TAG, OTHER)
    suspicions.add(suspicion(suspect, CHANGED))
    assert suspicions.unfounded({CHANGED}, [suspect]) == []


def test_a_suspicion_lasts_for_one_render() -> None:
    suspicions = Suspicions()
    suspicions.add(suspicion(group(TAG), CHANGED))
    assert suspicions.unfounded(set(), ()) == []
    assert suspicions.unfounded({CHANGED}, ()) == []


def test_nothing_is_given_back_twice() -> None:
    """Or else a search would go round in a circle."""
    suspicions, suspect = Suspicions(), group(TAG)
    for found in ([suspicion(suspect, CHANGED)], []):
        suspicions.add(suspicion(suspect, CHANGED))
        assert suspicions.unfounded({CHANGED}, ()) == found


def test_paths_that_are_cleared_yield_to_those_that_are_not() -> None:
    suspicions = Suspicions()
    assert suspicions.without_cleared({TAG, OTHER}, LABEL) == {TAG, OTHER}
    suspicions.add(suspicion(group(TAG), CHANGED))
    suspicions.unfounded({CHANGED}, ())
    assert suspicions.without_cleared({TAG, OTHER}, LABEL) == {OTHER}
    assert suspicions.without_cleared({TAG}, LABEL) == {TAG}, "all, where none is left"
    assert suspicions.without_cleared({TAG, OTHER}, NAME) == {TAG, OTHER}
