"""Value paths that several images want to set: no value can carry two digests.

If two images want the same path, the one that is named beside it gets it; if both are, or neither is, the one whose templates read
it; if both do, the one whose name or most of whose name is there; then the one whose tag stands at no other value; if nothing
decides, neither gets it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping

from helmpin.chart.setargs import ValuePath
from helmpin.named_tuple import NamedTuple
from helmpin.search.candidate import Candidate, Misfit
from helmpin.search.group import Group

FOR_ANOTHER = "another image needs the same value with another digest"
"""Why a value is not set, for people."""


class Contest(NamedTuple):
    """A path for which several values are wanted."""

    winners: set[str]
    """The one that may be set there; if there are several, none may."""
    is_anothers: bool = False
    """Whether the map around the path is known to be the winner's, so that the others must not set anything in it."""


def contests(groups: Iterable[Group], reads: Callable[[str], Collection[ValuePath]]) -> dict[ValuePath, Contest]:
    """The contest for each path that the current candidates of these groups set to several values. reads: as Search has it."""
    wanted: dict[ValuePath, dict[str, list[Group]]] = defaultdict(lambda: defaultdict(list))
    named: dict[ValuePath, dict[str, Misfit]] = defaultdict(dict)
    for group in groups:
        for candidate in group.current():
            for setting in candidate.settings:
                wanted[setting.path][setting.value].append(group)
                if not (candidate.by_tag_only or candidate.is_spare):
                    least = named[setting.path].get(setting.value, candidate.misfit)
                    named[setting.path][setting.value] = min(least, candidate.misfit)
    return {path: _contest(path, some, named[path], reads) for path, some in wanted.items() if len(some) > 1}


def losing(group: Group, contested: Mapping[ValuePath, Contest]) -> set[Candidate]:
    """The current candidates of a group that set a path to what may not be set there."""
    return {
        candidate
        for candidate in group.current()
        if any(s.path in contested and contested[s.path].winners != {s.value} for s in candidate.settings)
    }


def in_anothers_map(some: Iterable[Candidate], contested: Mapping[ValuePath, Contest]) -> set[Candidate]:
    """Those of some losing candidates that set anything in a map which is another image's."""
    return {c for c in some if any(s.path in contested and contested[s.path].is_anothers for s in c.settings)}


def _contest(
    path: ValuePath,
    groups: Mapping[str, list[Group]],
    named: Mapping[str, Misfit],
    reads: Callable[[str], Collection[ValuePath]],
) -> Contest:
    """The values that may be set at a path: the one that a render has proven there; or those with an image name beside them; if
    there are several, or none, only those wanted by templates that read the path or its map; of these, those that fit best. An
    image whose whole name stands elsewhere yields where a part of it does, and at last one whose tag stands elsewhere. groups: by
    what they want. named: how little the path is about each."""
    proven = {value for value, some in groups.items() if any(group.proven for group in some)}
    if len(proven) == 1:
        return Contest(proven)
    reading = {
        value
        for value in named or groups
        for group in groups[value]
        if any(group.is_read(path, reads(use.source)) for use in group.uses)
    }
    if not named:
        return _of_whose_tag_is_not_elsewhere(path, reading, groups)
    left = (reading if len(named) > 1 else set()) or named.keys()
    left = {v for v in left if _is_whole(named[v]) or not all(map(_is_named_as_a_whole, groups[v]))} or left
    best = {value for value in left if named[value] == min(named[each] for each in left)}
    if len(best) == 1:
        return Contest(best, is_anothers=len(named) > 1)
    return _of_whose_tag_is_not_elsewhere(path, best, groups)


def _of_whose_tag_is_not_elsewhere(path: ValuePath, values: set[str], groups: Mapping[str, list[Group]]) -> Contest:
    """Of several values that are wanted at a path, those of images whose tag no other value holds: common defaults, which some
    images follow and others override. All of them where that does not tell them apart."""
    left = {value for value in values if not any(_has_own_tag(group, path) for group in groups[value])}
    is_decided = len(values) > 1 and len(left) == 1
    return Contest(left if len(values) > 1 and left else values, is_anothers=is_decided)


def _has_own_tag(group: Group, path: ValuePath) -> bool:
    """Whether the tag of an image stands at another value that may pin it."""
    return any(c.by_tag_only and all(s.path != path for s in c.settings) for options in group.ranked for c in options)


def _is_whole(misfit: Misfit) -> bool:
    """Whether the whole name of an image stands at a value, and no other registry beside it."""
    return misfit[0] == 0


def _is_named_as_a_whole(group: Group) -> bool:
    """Whether one of the values that a group sets holds the whole name of its image."""
    return any(_is_whole(c.misfit) and not (c.by_tag_only or c.is_spare) for c in group.current())
