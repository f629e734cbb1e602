"""Where in a chart's values an image's digest can go, most likely first. Nothing here is trusted: a render proves it.

An *anchor* is a leaf whose value is the image's repository (or its last parts), or the whole reference. Sibling
keys hold the rest: a digest key, a tag. Leaves are found by value; the names of keys only decide the order.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any

from helmpin.chart.setargs import Setting, ValuePath, lookup, reaches
from helmpin.image.reference import pinned_form, split
from helmpin.named_tuple import NamedTuple
from helmpin.plan.spelled_out import EACH
from helmpin.plan.template_scan import TemplateScan
from helmpin.plan.value_index import ValueIndex, inside, is_seen, is_template
from helmpin.plan.value_keys import (
    DIGEST_KEY,
    IMAGE_KEY,
    NAME_KEY,
    REGISTRY_KEY,
    REPOSITORY_KEY,
    SUFFIX_KEY,
    TAG_KEY,
    WHOLE_KEY,
    last_key,
    stem,
)
from helmpin.shapes import text_of

MOST_IN_TEMPLATE = 2
"""How many paths to try that are read in the same named template as the image's name; each wrong guess costs one render."""
MOST_UNNAMED, MOST_OTHERS = 10, 10
"""How many image maps without a name to try, and how many that name the image with another tag, where one has its own."""
MOST_ON_LINES = 20
"""How many to try that are read on the same line: perhaps one for each template that prints the image."""
MOST_ELEMENTS = 20
"""How many elements of a list or a map to set at once."""
NULLED = "your values set it to null, and Helm would forget that"
"""Why a value is left alone."""

Misfit = tuple[int, bool]
"""How little values are about an image: how many characters of its name they do not hold (`redis` may be a part of `team/redis`),
and how many a registry beside them has that is not the image's; and whether the tag there is another one."""


class Candidate(NamedTuple):
    """One way to pin an image: the values to set, and the name of the strategy."""

    strategy: str
    settings: tuple[Setting, ...]
    by_tag_only: bool = False
    """Whether only a tag matches, with no image name beside it. It yields to a candidate that has one."""
    is_spare: bool = False
    """Whether it may pin uses that the other candidates do not: only the text suggests an image there, not the key; or several
    values are read beside the image's name."""
    misfit: Misfit = (0, False)
    """How little the values there are about the image."""


class Anchor(NamedTuple):
    """A leaf that names an image: its path, and whether it holds the whole reference."""

    path: ValuePath
    whole: bool


class _Sought(NamedTuple):
    """An image to find values for."""

    image: str
    digest: str
    scope: tuple[str, ...]
    """The path of subchart names whose template uses it; () for the chart itself."""
    values: ValueIndex
    scan: TemplateScan
    """Of the templates of that chart."""

    @property
    def tag(self) -> str:
        """Its tag; '' if it has none."""
        return split(self.image)[1] or ""

    @property
    def words(self) -> set[str]:
        """Those of its name, in lower case."""
        return set(re.split(r"[^a-z0-9]+", split(self.image)[0].lower()))

    def sees(self, path: ValuePath) -> bool:
        """Whether a path is among the values of its chart."""
        return path[: len(self.scope)] == self.scope

    def chain(self, path: ValuePath) -> ValuePath:
        """A path as the templates of its chart read it."""
        return path[len(self.scope) :]

    def tagged(self, path: ValuePath, tag: str = "", *, by_tag_only: bool = False, is_spare: bool = False) -> Candidate:
        """The candidate to put the tag (or another form of it) with the digest at a path."""
        setting = Setting(path, f"{tag or self.tag or 'latest'}@{self.digest}")
        return Candidate("tag@digest", (setting,), by_tag_only, is_spare)

    def digests(self, path: ValuePath) -> Iterator[Candidate]:
        """The candidates to put the digest alone at a path."""
        for form in self.scan.forms(last_key(path), self.digest):
            yield Candidate("digest key", (Setting(path, form),))

    def whole(self, path: ValuePath, *, is_spare: bool = False) -> Candidate:
        """The candidate to pin the whole reference that stands at a path, or to put it there."""
        held = text_of(lookup(self.values.tree, path)).strip() or self.image
        # what a template prints has the tag, wherever in it that is
        pinned = f"{held}@{self.digest}" if self.tag and is_template(held) else pinned_form(held, self.digest)
        return Candidate("reference", (Setting(path, pinned),), is_spare=is_spare)


def candidates(
    image: str,
    digest: str,
    scope: tuple[str, ...],
    values: ValueIndex,
    scan: TemplateScan,
    names: Collection[str] = (),
) -> list[list[Candidate]]:
    """For each anchor of `image` in scope, the candidates to pin it there, most likely first.

    scope: the path of subchart names whose template uses the image (() for the chart itself). names: of the containers and
    objects that use it.
    """
    sought = _Sought(image=image, digest=digest, scope=scope, values=values, scan=scan)
    ranked = _by_likelihood(sought)
    of_components = [*_tags_of_components(sought, names), *_of_components(sought, names)]
    ranked = [[*ranked[0], *of_components], *ranked[1:]] if ranked else [of_components]
    allowed = [[c for c in options if all(map(values.can_set, c.settings))] for options in ranked]
    return [options for options in allowed if options]


def nulled(image: str, digest: str, scope: tuple[str, ...], values: ValueIndex, scan: TemplateScan) -> list[Candidate]:
    """What may pin an image, but for a null of the user at its path."""
    if not values.has_nulls:
        return []
    sought = _Sought(image=image, digest=digest, scope=scope, values=values, scan=scan)
    every = (candidate for options in _by_likelihood(sought) for candidate in options)
    return [c for c in every if any(values.is_nulled(setting.path) for setting in c.settings)]


def _by_likelihood(sought: _Sought) -> list[list[Candidate]]:
    """As `candidates`, whether or not --set can write them.

    Every anchor that matches exactly has its own list, because each may feed other uses of the image; so has, where none does,
    every one without another tag. The first list goes on with what else may pin it: first the keys that the values have, and empty
    or missing ones that templates read for this image alone (_alone), then others that they read beside the name, maps without a
    name, anchors that match less, and texts that need not be an image.
    """
    every = list(anchors(sought.image, sought.values))
    every = every or [anchor for anchor in _names_at_another_registry(sought) if _holds_tag(sought, anchor)]
    found = list(dict.fromkeys(in_scope(every, sought.scope)))
    if own := [anchor for anchor in found if _is_strong(anchor) and _holds_tag(sought, anchor)]:
        found = [*own, *islice((anchor for anchor in found if anchor not in own), MOST_OTHERS)]
    by_anchor = {
        anchor: [c._replace(misfit=_misfit(sought, anchor)) for c in _ranked(sought, anchor)] for anchor in found
    }
    by_anchor = {anchor: options for anchor, options in by_anchor.items() if options}
    strong = [anchor for anchor in by_anchor if _is_strong(anchor)] or [*by_anchor]
    weak = [anchor for anchor in by_anchor if anchor not in strong]
    exact = [anchor for anchor in strong if _holds_tag(sought, anchor)]
    likely = exact or [anchor for anchor in strong if not _Map(sought, anchor).has_another_tag] or strong
    unnamed = [] if exact else list(_unnamed(sought))
    beside = list(_beside(sought, [anchor.path for anchor in found]))
    spare, by_tag = list(_spare(sought, weak)), list(_by_tag(sought))
    moved = list(_at_another_registry(sought))
    if not strong:
        return [_distinct([*spare, *beside, *by_tag, *unnamed, *moved])]
    first, *others = likely
    mine = [each for each in by_anchor[first] if not each.by_tag_only]
    known = [each for each in mine if all(_has(sought.values, setting.path) for setting in each.settings)]
    alone = _alone(sought, mine, beside)
    # one of these may still feed what the others leave: another value may win over its tag
    less = [each._replace(is_spare=True) for anchor in strong if anchor not in likely for each in by_anchor[anchor]]
    elsewhere = [candidate for candidate in by_tag if not _is_named(sought, candidate.settings[0].path)]
    options = _distinct([*known, *alone, *beside, *by_anchor[first], *unnamed, *less, *spare, *elsewhere, *moved])
    return [options, *(by_anchor[anchor] for anchor in others)]


def _alone(sought: _Sought, mine: Iterable[Candidate], beside: Iterable[Candidate]) -> list[Candidate]:
    """The candidates at keys without a value that templates read beside the name or in its map, unless more lines read them than a
    tag that is set beside the name: components that are off may share it. mine: the candidates in the name's map."""
    beside = list(beside)
    is_set = {each: any(lookup(sought.values.tree, s.path) for s in each.settings) for each in beside}
    readers = [_readers(sought, each) for each in beside if is_set[each]]
    fewest = min(filter(None, readers), default=0)
    read = [each for each in mine if _readers(sought, each)]
    unset = [each for each in beside if not is_set[each]]
    return [each for each in (*unset, *read) if not fewest or _readers(sought, each) <= fewest]


def _readers(sought: _Sought, candidate: Candidate) -> int:
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


def _spare(sought: _Sought, weak: list[Anchor]) -> Iterator[Candidate]:
    """Candidates at whole references whose key does not name an image; first those that a template prints as one. A bare word,
    which could be any text, counts only if a template does, and so does an empty text whose path names the image."""
    paths = [anchor.path for anchor in weak if anchor.whole]
    bare = [path for path in _bare(sought) if path not in paths and sought.scan.is_image(sought.chain(path))]
    for path in [*bare, *sorted(paths, key=lambda p: not sought.scan.is_image(sought.chain(p)))]:
        yield sought.whole(path, is_spare=True)
    last = split(sought.image)[0].rpartition("/")[2]
    for path in filter(sought.sees, sought.values.empty(last.lower())):  # overrides.web: ""
        chain, key = sought.chain(path), last_key(path)
        if last in chain and not TAG_KEY.search(key) and (WHOLE_KEY.search(key) or sought.scan.is_image(chain)):
            yield sought.whole(path, is_spare=True)


def _names_at_another_registry(sought: _Sought) -> Iterator[Anchor]:
    """The leaves that hold the image's repository at another registry, which a template may replace, or take away."""
    for part in _suffixes(split(sought.image)[0]):
        for path in sought.values.behind_host(part):
            yield Anchor(path, not sought.tag)


def _at_another_registry(sought: _Sought) -> Iterator[Candidate]:
    """Candidates at whole references to the same image at another registry, which a template may replace, or take away."""
    paths = [path for part in _suffixes(sought.image) for path in sought.values.behind_host(part)]
    for anchor in in_scope([Anchor(path, True) for path in dict.fromkeys(paths)], sought.scope):
        yield sought.whole(anchor.path, is_spare=True)


def _forms(tag: str) -> list[str]:
    """The forms of a tag that a value may need where it is empty: a template may write the `v` of a version before it."""
    return [tag, tag[1:]] if re.match(r"v\d", tag) else [tag]


def _bare(sought: _Sought) -> list[ValuePath]:
    """The leaves in scope that hold the name of an image without a tag as a bare word."""
    name = split(sought.image)[0].rpartition("/")[2]
    found = [] if sought.tag else [Anchor(path, True) for path in sought.values.at(name)]
    return [anchor.path for anchor in in_scope(found, sought.scope)]


def _is_strong(anchor: Anchor) -> bool:
    """Whether the key, or that of its map, says that it holds an image."""
    return bool(REPOSITORY_KEY.search(last_key(anchor.path)) or IMAGE_KEY.search(last_key(anchor.path[:-1])))


def _holds_tag(sought: _Sought, anchor: Anchor) -> bool:
    """Whether the anchor's map holds exactly the image's tag, and nothing that templates add to it."""
    beside = lookup(sought.values.tree, anchor.path[:-1])
    texts = {key: text_of(value) for key, value in beside.items()} if isinstance(beside, dict) else {}
    more = [key for key, text in texts.items() if SUFFIX_KEY.search(key) and not sought.tag.endswith(text)]
    if any(sought.scan.is_beside_tag(sought.chain((*anchor.path[:-1], key))) for key in more):
        return False
    return (anchor.whole and bool(sought.tag)) or sought.tag in texts.values()


def _misfit(sought: _Sought, anchor: Anchor) -> Misfit:
    """How little an anchor, and what stands beside it, is about the image."""
    beside = lookup(sought.values.tree, anchor.path[:-1])
    texts = {key: text_of(value).rstrip("/") for key, value in beside.items()} if isinstance(beside, dict) else {}
    held = text_of(lookup(sought.values.tree, anchor.path)).strip()
    before = (sought.image if anchor.whole else split(sought.image)[0]).removesuffix(held).rstrip("/")
    unnamed = 0 if before in texts.values() else len(before)
    registries = [text for key, text in texts.items() if text and REGISTRY_KEY.search(key)]
    others = sum(len(text) for text in registries if not f"{before}/".startswith(f"{text}/"))
    own = stem(anchor.path[-1]) if isinstance(anchor.path[-1], str) else ""
    tags = [text for key, text in texts.items() if TAG_KEY.search(key) and _is_its_tag(key, own)]
    return unnamed + others, not anchor.whole and sought.tag not in tags


def _is_its_tag(key: str, own: str) -> bool:
    """Whether a tag key belongs to the name beside it: `initTag` does not belong to `repository`. own: the stem of the name's
    key."""
    return stem(key) == own or (not own and key.lower().startswith("tag"))


def anchors(image: str, values: ValueIndex) -> Iterator[Anchor]:
    """The leaves that hold the image's whole reference or its repository, with or without the leading parts."""
    name, tag, _ = split(image)
    if tag:
        for part in _suffixes(image):
            for path in values.at(part):
                yield Anchor(path, True)
    for part in _suffixes(name):
        for path in values.at(part):
            if "/" in part or NAME_KEY.search(last_key(path)):
                yield Anchor(path, not tag)


def in_scope(found: list[Anchor], scope: tuple[str, ...]) -> list[Anchor]:
    """The anchors that the templates of `scope` can read: the innermost chart's own, else an outer chart's, else any."""
    for depth in range(len(scope), 0, -1):
        if near := [a for a in found if a.path[:depth] == scope[:depth]]:
            return near
    return found


class _Map:
    """The map around an anchor: which of its keys can carry this image's digest or tag."""

    def __init__(self, sought: _Sought, anchor: Anchor) -> None:
        self._tree, tag = sought.values.tree, sought.tag
        self.parent = anchor.path[:-1]
        beside = lookup(self._tree, self.parent)
        key, own = anchor.path[-1], stem(anchor.path[-1])
        mine = {k: v for k, v in beside.items() if k != key and stem(k) == own} if isinstance(beside, dict) else {}
        tagged = {k: v for k, v in mine.items() if TAG_KEY.search(k) and _scalar(v)}
        self.digest_keys = [k for k, v in mine.items() if DIGEST_KEY.search(k) and not isinstance(v, (dict, list))]
        self.tag_keys = sorted(
            (k for k, v in tagged.items() if _may_hold(v, tag)),
            key=lambda k: (text_of(tagged[k]) != tag, "tag" not in k.lower()),
        )
        if tag and not own and isinstance(beside, dict):  # tagForArm, if the whole map is about one image
            more = (k for k, v in beside.items() if k not in mine and text_of(v) == tag)
            self.tag_keys += [k for k in more if k.lower().startswith("tag")]
        held = tagged.values()
        self.has_another_tag = any(map(text_of, held)) and not any(_may_hold(value, tag) for value in held)
        """Whether the tag here is set, and cannot be the image's."""
        self.is_another = not tag and any(map(text_of, tagged.values()))
        """Whether this is not the wanted image, which has no tag: a tag is set here."""
        read = sought.scan.after(self.parent, key) if _is_strong(anchor) else []
        self.read = [k for k in read if stem(k) == own and k not in mine]
        """Keys that the templates read, although the values do not have them."""

    def tags(self, key: str, tag: str) -> list[str]:
        """The forms of the tag for a tag key, most likely first: without the prefix that the template adds."""
        held = text_of(lookup(self._tree, self.at(key)))
        if not held:
            return _forms(tag or "latest")
        return [held, tag] if tag != held and tag.endswith(held) else [tag or "latest"]

    def at(self, key: str) -> ValuePath:
        """The path of a key."""
        return (*self.parent, key)


def _with(candidate: Candidate, emptied: Setting) -> Candidate:
    """A candidate for a digest that empties a tag, too."""
    return Candidate("digest key, tag emptied", (*candidate.settings, emptied))


def _ranked(sought: _Sought, anchor: Anchor) -> Iterator[Candidate]:
    """The candidates to pin an image at one anchor, most likely first."""
    beside = _Map(sought, anchor)
    if beside.is_another:
        return
    for k in beside.digest_keys:
        alone = list(sought.digests(beside.at(k)))
        emptied = [Setting(beside.at(t), "") for t in beside.tag_keys[:1]]
        yield from [*alone, *(_with(candidate, setting) for candidate in alone for setting in emptied)]
    if anchor.whole:
        yield sought.whole(anchor.path)
    for k in beside.tag_keys[:2]:
        yield from (sought.tagged(beside.at(k), tag) for tag in beside.tags(k, sought.tag))
    if not anchor.whole and not beside.tag_keys:
        if sought.scan.may_be_whole(sought.chain(anchor.path)):
            yield Candidate("reference", (Setting(anchor.path, pinned_form(sought.image, sought.digest)),))
        for k in filter(TAG_KEY.search, beside.read):
            yield from (sought.tagged(beside.at(k), tag) for tag in beside.tags(k, sought.tag))
        for path in _shared_tags(sought, beside.parent):
            yield sought.tagged(path, by_tag_only=True)
    if not beside.digest_keys:
        for k in filter(DIGEST_KEY.search, beside.read):
            yield from sought.digests(beside.at(k))


def _beside(sought: _Sought, named: list[ValuePath]) -> Iterator[Candidate]:
    """Candidates at values that the templates read beside the image's name: a tag, a digest, or a whole reference. named: the
    paths that hold the name."""
    near = {sought.chain(path) for path in named if sought.sees(path)}
    names = dict.fromkeys([*_suffixes(split(sought.image)[0]), *_suffixes(sought.image)])
    starts = [sought.tag[: separator.end()] for separator in re.finditer("[-._]|^v", sought.tag)]
    names |= dict.fromkeys(f"{name}:{start}" for name in _suffixes(split(sought.image)[0]) for start in starts)
    on_lines, in_templates = sought.scan.beside([*near, *names])
    further = [chain for chain in in_templates if chain not in on_lines]
    for chains, most in ((on_lines, MOST_ON_LINES), (further, MOST_IN_TEMPLATE)):
        tree = sought.values.tree
        places = {
            chain: _elements(tree, chain if chain[0] == "global" else (*sought.scope, *chain)) for chain in chains
        }
        first = sorted(
            places, key=lambda chain: sought.tag not in {text_of(lookup(tree, path)) for path in places[chain]}
        )
        found = (
            _carried_by_all(sought, [path for path in places[chain] if path not in named], chain) for chain in first
        )
        for some in islice(filter(None, found), most):
            yield from (candidate._replace(is_spare=True) for candidate in some)


def _elements(tree: Any, path: ValuePath) -> list[ValuePath]:
    """The paths that a path stands for: those of each element that `range` goes through (EACH)."""
    if EACH not in path:
        return [path]
    at = path.index(EACH)
    held = lookup(tree, path[:at])
    keys: Iterable[str | int] = held if isinstance(held, dict) else range(len(held)) if isinstance(held, list) else ()
    return [each for key in keys for each in _elements(tree, (*path[:at], key, *path[at + 1 :]))]


def _carried_by_all(sought: _Sought, paths: list[ValuePath], chain: ValuePath) -> list[Candidate]:
    """Candidates at all of these paths at once, where they can carry the image; none if there are too many. chain: as templates
    read them."""
    if len(paths) > MOST_ELEMENTS:
        return []
    ranked = [found for path in paths if (found := list(_carried(sought, path, chain)))]
    together = zip(*ranked, strict=False)
    return [some[0]._replace(settings=tuple(s for each in some for s in each.settings)) for some in together]


def _carried(sought: _Sought, path: ValuePath, chain: ValuePath) -> Iterator[Candidate]:
    """Candidates at a path that is empty or holds the image's tag: its key says what it holds, or an `image:` line prints it alone.
    chain: the path as templates read it."""
    key, held = last_key(path), lookup(sought.values.tree, path)
    if not is_place(path, sought.values) or isinstance(held, (dict, list, bool)):
        return
    if sought.tag and text_of(held) == sought.tag:
        yield sought.tagged(path)
    elif text_of(held):
        return
    elif sought.scan.is_whole_image(chain) or (IMAGE_KEY.search(key) and sought.scan.stands_alone(chain)):
        yield sought.whole(path)
    elif DIGEST_KEY.search(key):
        yield from sought.digests(path)
    elif TAG_KEY.search(key):
        yield from (sought.tagged(path, tag) for tag in _forms(sought.tag or "latest"))


def _has(values: ValueIndex, path: ValuePath) -> bool:
    """Whether the values have that key, even if it is null."""
    beside = lookup(values.tree, path[:-1])
    return not isinstance(beside, dict) or path[-1] in beside


def is_place(path: ValuePath, values: ValueIndex) -> bool:
    """Whether every parent of `path` is a map, a list with that element, or absent, so that setting it destroys nothing."""
    return reaches(path) and all(_may_have(values.tree, path[:i], path[i]) for i in range(1, len(path)))


def _may_have(tree: Any, path: ValuePath, key: str | int) -> bool:
    """Whether a key can be set in the node at a path. A null element of a list is no map that is absent."""
    node = lookup(tree, path)
    if isinstance(node, list):
        return isinstance(key, int) and key < len(node)
    return isinstance(node, dict) or (node is None and not isinstance(path[-1], int))


def _by_tag(sought: _Sought) -> Iterator[Candidate]:
    """If no leaf names the image: leaves that hold its tag, those first whose path shares a word with its name."""
    if not sought.tag:
        return
    for path in islice(filter(sought.sees, sought.values.tags(sought.tag, sought.words)), 2):
        yield sought.tagged(path, by_tag_only=True, is_spare=True)


def _is_named(sought: _Sought, path: ValuePath) -> bool:
    """Whether a key beside a path names an image, so that the tag there is that image's."""
    beside = lookup(sought.values.tree, path[:-1])
    return isinstance(beside, dict) and any(
        REPOSITORY_KEY.search(key) and text_of(held) for key, held in beside.items()
    )


def by_any_key(image: str, digest: str, scope: tuple[str, ...], values: ValueIndex) -> list[Candidate]:
    """Candidates at every value that holds the image's tag, or its name if it has no tag, whatever the key: for a search that can
    afford more renders."""
    sought = _Sought(image=image, digest=digest, scope=scope, values=values, scan=TemplateScan(()))
    found = [sought.tagged(path) for path in holding(image, scope, values)] if sought.tag else []
    found += [sought.whole(path) for path in _bare(sought)]
    return [candidate for candidate in found if all(map(values.can_set, candidate.settings))]


def holding(image: str, scope: tuple[str, ...], values: ValueIndex) -> list[ValuePath]:
    """The values that hold the tag of an image, or its name if it has no tag, whatever their keys."""
    name, tag, _ = split(image)
    paths = [path for text in ([tag] if tag else _suffixes(name)) for path in values.at(text)]
    return [path for path in paths if is_seen(path, scope)]


def _unnamed(sought: _Sought) -> Iterator[Candidate]:
    """Candidates in image maps without a name, which the template fills in."""
    seen = ((path, beside) for path, beside in sought.values.unnamed(sought.words) if sought.sees(path))
    for path, beside in islice(seen, MOST_UNNAMED):
        empty = [k for k in dict.fromkeys([*beside, *sought.scan.after(path)]) if not beside.get(k)]
        keys = [k for k in empty if not isinstance(beside.get(k), (dict, list))]
        for k in filter(DIGEST_KEY.fullmatch, keys):
            yield from sought.digests((*path, k))
        for k in filter(TAG_KEY.fullmatch, keys):
            yield sought.tagged((*path, k), is_spare=True)


def _of_components(sought: _Sought, names: Collection[str]) -> Iterator[Candidate]:
    """Candidates in the map of a component (named like the container or object): if its siblings have an image map of their own,
    it can have one too, and templates prefer that to a common setting."""
    for path, beside in sought.values.maps(names):
        if sought.sees(path):
            siblings = (lookup(sought.values.tree, path[:-1]) or {}).values()
            for key in sought.scan.image_maps:
                if not beside.get(key) and any(isinstance(s, dict) and isinstance(s.get(key), dict) for s in siblings):
                    yield sought.tagged((*path, key, "tag"))


def _tags_of_components(sought: _Sought, names: Collection[str]) -> Iterator[Candidate]:
    """Candidates for a tag that templates read in the map of a component, which is named like the image, the container or the
    object, and has none."""
    last = split(sought.image)[0].rpartition("/")[2].lower()
    for path, beside in sought.values.maps((last, *names)):
        keys = sought.scan.of_map(sought.chain(path)) if sought.sees(path) else ()
        for key in filter(TAG_KEY.search, sorted(keys)):
            if beside.get(key) is None:
                yield sought.tagged((*path, key), is_spare=True)


def _shared_tags(sought: _Sought, parent: ValuePath) -> list[ValuePath]:
    """Tags in outer maps that the map at `parent` may use: nearest first, then global ones."""
    near = sought.values.tags_above(sought.tag, parent)
    return sorted(near, key=lambda p: (p[0] == "global", -len(p)))[:2]


def _scalar(value: Any) -> bool:
    return not isinstance(value, (dict, list, bool))


def _may_hold(value: Any, tag: str) -> bool:
    """Whether a tag key with this value may be that of an image with this tag ('' for none)."""
    if is_template(value):
        return bool(tag)
    text = text_of(value)
    return not text or (bool(tag) and (tag.startswith(text) or tag.endswith(text)))


def _suffixes(name: str) -> Iterator[str]:
    """`a/b/c`, `b/c`, `c`."""
    yield name
    while "/" in name:
        name = name.split("/", 1)[1]
        yield name
