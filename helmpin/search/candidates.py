"""Where in a chart's values an image's digest can go, most likely first. Nothing here is trusted: a render proves it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice

from helmpin.chart.setargs import Setting, ValuePath, lookup
from helmpin.chart.value_keys import DIGEST_KEY, TAG_KEY, WHOLE_KEY, last_key
from helmpin.image.reference import split
from helmpin.search.anchors import (
    Anchor,
    anchors,
    bare_names,
    holding,
    holds_tag,
    in_scope,
    is_strong,
    misfit,
    names_at_another_registry,
    suffixes,
)
from helmpin.search.at_anchor import MapAround, at_anchor
from helmpin.search.candidate import Candidate, Sought, is_of_component
from helmpin.search.read_beside import read_beside
from helmpin.search.value_index import ValueIndex, inside
from helmpin.templates.scan import TemplateScan

MOST_UNNAMED, MOST_OTHERS = 10, 10
"""How many image maps without a name to try, and how many that name the image with another tag, where one has its own."""
NULLED = "your values set it to null, and Helm would forget that"
"""Why a value is left alone."""


def candidates(
    image: str,
    digest: str,
    scope: tuple[str, ...],
    values: ValueIndex,
    scan: TemplateScan,
    names: Collection[str] = (),
    uses: int = 1,
) -> list[list[Candidate]]:
    """For each anchor of `image` in scope, the candidates to pin it there, most likely first.

    scope: the path of subchart names whose template uses the image (() for the chart itself). names: of the containers and
    objects that use it. uses: how many they are.
    """
    sought = Sought(image=image, digest=digest, scope=scope, values=values, scan=scan, uses=uses)
    ranked = _by_likelihood(sought, names)
    own, of_components = list(_tags_of_components(sought, names)), list(_of_components(sought, names))
    first, others = (ranked[0], ranked[1:]) if ranked else ([], [])
    ranked = [[*_of_its_own(sought, own, first), *first, *own, *of_components], *others]
    allowed = [[c for c in options if all(map(values.can_set, c.settings))] for options in ranked]
    return [options for options in allowed if options]


def nulled(image: str, digest: str, scope: tuple[str, ...], values: ValueIndex, scan: TemplateScan) -> list[Candidate]:
    """What may pin an image, but for a null of the user at its path."""
    if not values.has_nulls:
        return []
    sought = Sought(image=image, digest=digest, scope=scope, values=values, scan=scan)
    every = (candidate for options in _by_likelihood(sought) for candidate in options)
    return [c for c in every if any(values.is_nulled(setting.path) for setting in c.settings)]


def _of_its_own(sought: Sought, own: Iterable[Candidate], others: Sequence[Candidate]) -> list[Candidate]:
    """Those tags of components that come before the other candidates: where the first of these is beside no image's name and no
    fewer lines read it, components that are off may share it."""
    if not others or any(sought.values.is_named(setting.path) for setting in others[0].settings):
        return []
    return [each for each in own if _readers(sought, each) <= _readers(sought, others[0])]


def _by_likelihood(sought: Sought, names: Collection[str] = ()) -> list[list[Candidate]]:
    """As `candidates`, whether or not --set can write them.

    Every anchor that matches exactly has its own list, because each may feed other uses of the image; so has, where none does,
    every one without another tag. The first list goes on with what else may pin it: first the keys that the values have, and empty
    or missing ones that templates read for this image alone (_alone), then others that they read beside the name, maps without a
    name, anchors that match less, and texts that need not be an image.
    """
    every = list(anchors(sought.image, sought.values))
    every = every or [anchor for anchor in names_at_another_registry(sought) if holds_tag(sought, anchor)]
    found = list(dict.fromkeys(in_scope(every, sought.scope)))
    if own := [anchor for anchor in found if is_strong(anchor) and holds_tag(sought, anchor)]:
        found = [*own, *islice((anchor for anchor in found if anchor not in own), MOST_OTHERS)]
    by_anchor = {
        anchor: [c._replace(misfit=misfit(sought, anchor)) for c in at_anchor(sought, anchor)] for anchor in found
    }
    by_anchor = {anchor: options for anchor, options in by_anchor.items() if options}
    strong = [anchor for anchor in by_anchor if is_strong(anchor)] or [*by_anchor]
    weak = [anchor for anchor in by_anchor if anchor not in strong]
    exact = [anchor for anchor in strong if holds_tag(sought, anchor)]
    likely = exact or [anchor for anchor in strong if not MapAround(sought, anchor).has_another_tag] or strong
    unnamed = [] if exact else list(_unnamed(sought))
    beside = list(read_beside(sought, [anchor.path for anchor in found]))
    spare, by_tag = list(_spare(sought, weak)), list(_by_tag(sought))
    moved = list(_at_another_registry(sought))
    if not strong:
        return [_distinct([*spare, *beside, *by_tag, *unnamed, *moved])]
    first, *others = likely
    mine = [each for each in by_anchor[first] if not each.by_tag_only]
    known = [each for each in mine if all(_has(sought.values, setting.path) for setting in each.settings)]
    alone = sorted(_alone(sought, mine, beside), key=lambda each: not is_of_component(each, names))
    # one of these may still feed what the others leave: another value may win over its tag
    less = [each._replace(is_spare=True) for anchor in strong if anchor not in likely for each in by_anchor[anchor]]
    elsewhere = [candidate for candidate in by_tag if not sought.values.is_named(candidate.settings[0].path)]
    digests = _digests_of_its_own(sought, known[:1], alone)
    options = _distinct(
        [*digests, *known, *alone, *beside, *by_anchor[first], *unnamed, *less, *spare, *elsewhere, *moved]
    )
    return [options, *(by_anchor[anchor] for anchor in others)]


def _alone(sought: Sought, mine: Iterable[Candidate], beside: Iterable[Candidate]) -> list[Candidate]:
    """The candidates at keys without a value that templates read beside the name or in its map, unless more lines read them than a
    tag that is set beside the name: components that are off may share it. mine: the candidates in the name's map."""
    beside = list(beside)
    is_set = {each: any(lookup(sought.values.tree, s.path) for s in each.settings) for each in beside}
    readers = [_readers(sought, each) for each in beside if is_set[each]]
    fewest = min(filter(None, readers), default=0)
    read = [each for each in mine if _readers(sought, each)]
    unset = [each for each in beside if not is_set[each]]
    return [each for each in (*unset, *read) if not fewest or _readers(sought, each) <= fewest]


def _digests_of_its_own(sought: Sought, known: Sequence[Candidate], alone: Iterable[Candidate]) -> list[Candidate]:
    """The candidates at digest keys without a value that come before the first known one: those read on a line with it, where more
    lines read that one than containers run the image, perhaps for another image."""
    for first in known:
        if _readers(sought, first) <= sought.uses:
            return []
        beside, _ = sought.scan.beside([sought.chain(setting.path) for setting in first.settings])
        return [
            each
            for each in alone
            if each.strategy == "digest key"
            and all(sought.chain(setting.path) in beside for setting in each.settings)
            and _readers(sought, each) < _readers(sought, first)
        ]
    return []


def _readers(sought: Sought, candidate: Candidate) -> int:
    """How many lines read the values of a candidate by their whole path; 0 if none reads one of them."""
    chains = [inside(setting.path, sought.scope) for setting in candidate.settings]
    counts = [sought.scan.readers(chain) if chain else 0 for chain in chains]
    return max(counts) if all(counts) else 0


def _distinct(options: Iterable[Candidate]) -> list[Candidate]:
    """The candidates without those that set the same as an earlier one."""
    found: dict[tuple[Setting, ...], Candidate] = {}
    for candidate in options:
        if found.setdefault(candidate.settings, candidate).is_spare and not candidate.is_spare:
            found[candidate.settings] = candidate  # in the place of the earlier one
    return list(found.values())


def _spare(sought: Sought, weak: list[Anchor]) -> Iterator[Candidate]:
    """Candidates at whole references whose key does not name an image; first those that a template prints as one. A bare word,
    which could be any text, counts only if a template does, and so does an empty text whose path names the image."""
    paths = [anchor.path for anchor in weak if anchor.whole]
    bare = [path for path in bare_names(sought) if path not in paths and sought.scan.is_image(sought.chain(path))]
    for path in [*bare, *sorted(paths, key=lambda p: not sought.scan.is_image(sought.chain(p)))]:
        yield sought.whole(path, is_spare=True)
    last = split(sought.image)[0].rpartition("/")[2]
    for path in filter(sought.sees, sought.values.empty(last.lower())):  # overrides.web: ""
        chain, key = sought.chain(path), last_key(path)
        if last in chain and not TAG_KEY.search(key) and (WHOLE_KEY.search(key) or sought.scan.is_image(chain)):
            yield sought.whole(path, is_spare=True)


def _at_another_registry(sought: Sought) -> Iterator[Candidate]:
    """Candidates at whole references to the same image at another registry, which a template may replace, or take away."""
    paths = [path for part in suffixes(sought.image) for path in sought.values.behind_host(part)]
    for anchor in in_scope([Anchor(path, True) for path in dict.fromkeys(paths)], sought.scope):
        yield sought.whole(anchor.path, is_spare=True)


def _has(values: ValueIndex, path: ValuePath) -> bool:
    """Whether the values have that key, even if it is null."""
    beside = lookup(values.tree, path[:-1])
    return not isinstance(beside, dict) or path[-1] in beside


def _by_tag(sought: Sought) -> Iterator[Candidate]:
    """If no leaf names the image: leaves that hold its tag, those first whose path shares a word with its name. Before them, all at
    once where components have such a leaf each, and none of them is off."""
    if not sought.tag:
        return
    alike = (paths for paths in sought.values.tags_of_components(sought.tag) if all(map(sought.sees, paths)))
    if paths := max((some for some in alike if len(some) <= sought.uses), key=len, default=()):
        settings = tuple(setting for path in paths for setting in sought.tagged(path).settings)
        yield Candidate("tag@digest", settings, by_tag_only=True, is_spare=True)
    for path in islice(filter(sought.sees, sought.values.tags(sought.tag, sought.words)), 2):
        yield sought.tagged(path, by_tag_only=True, is_spare=True)


def by_any_key(image: str, digest: str, scope: tuple[str, ...], values: ValueIndex) -> list[Candidate]:
    """Candidates at every value that holds the image's tag, or its name if it has no tag, whatever the key: for a search that can
    afford more renders."""
    sought = Sought(image=image, digest=digest, scope=scope, values=values, scan=TemplateScan(()))
    found = [sought.tagged(path) for path in holding(image, scope, values)] if sought.tag else []
    found += [sought.whole(path) for path in bare_names(sought)]
    return [candidate for candidate in found if all(map(values.can_set, candidate.settings))]


def _unnamed(sought: Sought) -> Iterator[Candidate]:
    """Candidates in image maps without a name, which the template fills in: first those that hold the tag, and none that holds
    another."""
    found = sought.values.unnamed(sought.words, sought.tag)
    seen = ((path, beside) for path, beside in found if sought.sees(path))
    for path, beside in islice(seen, MOST_UNNAMED):
        empty = [k for k in dict.fromkeys([*beside, *sought.scan.after(path)]) if not beside.get(k)]
        keys = [k for k in empty if not isinstance(beside.get(k), (dict, list))]
        for k in filter(DIGEST_KEY.fullmatch, keys):
            yield from (candidate._replace(is_spare=True) for candidate in sought.digests((*path, k)))
        for k in filter(TAG_KEY.fullmatch, keys):
            yield sought.tagged((*path, k), is_spare=True)


def _of_components(sought: Sought, names: Collection[str]) -> Iterator[Candidate]:
    """Candidates in the map of a component (named like the container or object): if its siblings have an image map of their own,
    it can have one too, and templates prefer that to a common setting."""
    for path, beside in sought.values.maps(names):
        if sought.sees(path):
            siblings = (lookup(sought.values.tree, path[:-1]) or {}).values()
            for key in sought.scan.image_maps:
                if not beside.get(key) and any(isinstance(s, dict) and isinstance(s.get(key), dict) for s in siblings):
                    yield sought.tagged((*path, key, "tag"))


def _tags_of_components(sought: Sought, names: Collection[str]) -> Iterator[Candidate]:
    """Candidates for a tag that templates read in the map of a component, which is named like the image, the container or the
    object, and has none."""
    last = split(sought.image)[0].rpartition("/")[2].lower()
    for path, beside in sought.values.maps((last, *names)):
        keys = sought.scan.of_map(sought.chain(path)) if sought.sees(path) else ()
        for key in filter(TAG_KEY.search, sorted(keys)):
            if beside.get(key) is None:
                yield sought.tagged((*path, key), is_spare=True)
