"""Values that reach the end of an image, found by asking helm what they do.

Templates read values in ways that their text does not show: through an argument, `index` or `printf`, or as a part of a tag. So one
render gives a mark of its own to each value that may reach an image which only its template pins so far. The mark that comes out at
the end of the image says which value can carry the digest, and what stands before it says in which form. A further render proves
it.

A tag that several images share may win over the tag of each: one mark comes out in all of them. So further renders leave such a tag
empty, and perhaps the one that wins then. Once each image has a mark of its own, all these values together pin them.

At last, marks have the form of digests: they show keys for digests that stand in another map than the image's name, and shared tags
from which the templates of the other images cut the digest off.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache, cached_property, partial

from helmpin.chart.setargs import Setting, ValuePath, lookup
from helmpin.image.reference import pinned_form, split
from helmpin.image.uses import UseKey
from helmpin.named_tuple import NamedTuple
from helmpin.plan import render_failure
from helmpin.plan.anchors import anchors, in_scope
from helmpin.plan.attempt import NOTHING, Attempt, Facts
from helmpin.plan.read_beside import is_place
from helmpin.plan.tried import Tried
from helmpin.plan.value_index import ValueIndex, inside, is_seen, is_template, scope_of
from helmpin.plan.value_keys import DIGEST_KEY, REPOSITORY_KEY, SUFFIX_KEY, TAG_KEY, TAGS_KEY, last_key, stem
from helmpin.render.diff import Comparison
from helmpin.render.differences import Difference, readable
from helmpin.shapes import text_of

MOST_MARKS = 60
"""The most values with a mark in one render: a wrong one may keep a chart from rendering."""
MOST_SHARING = 500
"""The most where images share a tag: to leave it empty helps only if each of them has its own."""
MOST_LEVELS = 3
"""The most renders that look for tags that win over others: with none empty, without the first, without the second too."""
MOST_REPEATS = 3
"""The most renders with the same marks, without those with which the chart does not render."""
MOST_PROOFS = 3
"""The most renders after those with marks."""
INSTEAD = frozenset({"custom", "full", "override", "overwrite", "ref", "reference", "unified"})
"""What is left of keys, as stem() gives it, that take a tag or a reference in place of another one."""
OPEN_KEY = re.compile(
    r"(?:.*(?:tag|image)|(?:.*(?:image|tag|docker|app|git|build|release))?[_-]?"
    r"(?:ver|version|label|commit|revision|ref|reference|build|number|override|overwrite|suffix|variant|flavou?r))",
    re.IGNORECASE,
)
"""The keys that may take a tag or a reference where the values have none."""


_MARK = re.compile(r"mark\d+z")


class Probed(NamedTuple):
    """An image use that needs a value, and what is known about it."""

    fact: Facts
    reads: Collection[ValuePath]
    """The values that its template reads by their whole path, itself or in the named templates that it uses."""
    alone: Collection[ValuePath]
    """Those that a named template prints alone, in place of an image's parts."""
    keys: Collection[str]
    """The keys that the templates of its chart read, whatever the map."""
    cuts_digests: bool
    """Whether these may cut a digest off a tag."""

    @property
    def image(self) -> str:
        """The image as its template prints it."""
        return self.fact.origin.image

    @property
    def scope(self) -> tuple[str, ...]:
        """The names of the subcharts down to that of its template."""
        return self.fact.scope

    def has_read(self, path: ValuePath) -> bool:
        """Whether its template reads a path, by the whole of it."""
        return inside(path, self.scope) in self.reads

    def sees(self, path: ValuePath) -> bool:
        """Whether the templates of its chart can read a path."""
        return is_seen(path, self.scope)


class _Mark(NamedTuple):
    """A value with a mark at its end."""

    path: ValuePath
    text: str
    """The value without the mark."""
    mark: str
    value: str
    """The value with the mark: `1.2-mark7z`, or in the form of a digest, `1.2@sha256:…`."""


class _Probe(NamedTuple):
    """One render with marks."""

    marks: list[_Mark]
    emptied: tuple[ValuePath, ...] = ()
    """The tags that it leaves empty."""
    sharing: bool = False
    """Whether it looks for tags that images share."""
    by_digest: bool = False
    """Whether its marks have the form of digests."""

    @property
    def settings(self) -> tuple[Setting, ...]:
        """What it sets."""
        return (*(Setting(each.path, each.value) for each in self.marks), *(Setting(path, "") for path in self.emptied))


class _Read(NamedTuple):
    """What a template reads that may carry a digest."""

    open: list[ValuePath]
    """Values that are empty or missing, and may take a tag or a reference."""
    whole: set[ValuePath]
    """Those of them that take a reference, since a template prints them alone, whatever their key."""
    digests: list[ValuePath]
    """Values that are empty or missing, and may take a digest."""
    tags: list[ValuePath]
    """Tags."""
    instead: list[str]
    """Keys of any map that take a tag or a reference in place of another one."""


def _read(each: Probed, values: ValueIndex) -> _Read:
    own = [chain for chain in each.reads if chain[0] != "global"]
    inner = {chain[:i] for chain in own for i in range(1, len(chain))}
    paths = [chain if chain[0] == "global" else (*each.scope, *chain) for chain in each.reads]
    leaves = [(*each.scope, *chain) for chain in own if chain not in inner]
    alone = {(*each.scope, *chain) for chain in each.alone}
    whole = {path for path in leaves if path in alone and _is_empty(path, values)}
    return _Read(
        open=[path for path in leaves if path in whole or _is_open(path, values)],
        whole=whole,
        digests=[path for path in leaves if DIGEST_KEY.search(last_key(path)) and _is_empty(path, values)],
        tags=[path for path in paths if _is_tag(path, values)],
        instead=[key for key in each.keys if stem(key) in INSTEAD],
    )


def _is_open(path: ValuePath, values: ValueIndex) -> bool:
    """Whether a value is empty or missing, and may take a tag or a reference."""
    return _may_hold_a_tag(path) and _is_empty(path, values)


def _is_empty(path: ValuePath, values: ValueIndex) -> bool:
    """Whether a value is empty or missing, and may be set."""
    return lookup(values.tree, path) in (None, "") and is_place(path, values)


def _is_tag(path: ValuePath, values: ValueIndex) -> bool:
    """Whether a value is a tag by its key."""
    held = lookup(values.tree, path)
    is_text = isinstance(held, (str, int, float)) and not isinstance(held, bool)
    return is_text and held != "" and bool(TAG_KEY.search(last_key(path)))


@cache
def _takes_whole(key: str) -> bool:
    """Whether a key may take a whole reference."""
    return bool(re.search("image|ref|over", key, re.IGNORECASE)) and not re.search("tag|version", key, re.IGNORECASE)


class ValueProbe:
    """Mutable; it does no I/O. `next` gives an attempt, `learn` takes its result."""

    def __init__(self, result: Attempt, probed: Iterable[Probed], values: ValueIndex, tried: Tried) -> None:
        """result: that of the first search. tried: what that has rejected."""
        self.result = result
        self._probed = {each.fact.use.key: each for each in probed}
        self._values, self._tried = values, tried
        self._names_beside = cache(partial(_names_beside, values=values))
        self._by_source: dict[str, _Read] = {}
        """Filled as it is needed."""
        self._pins: dict[UseKey, tuple[Setting, ...]] = {}
        """What to set for each use, as far as a render has shown it: first what carries its digest."""
        self._shared: tuple[ValuePath, ...] = ()
        """The values that the last render showed in several images."""
        self._names: Mapping[ValuePath, str] = {}
        """The names of images that have marks: without a tag, a name may take the whole reference."""
        self._guesses: set[ValuePath] = set()
        """The places that hold nothing of an image."""
        self._refused: set[ValuePath] = set()
        """The places that get no mark, since the chart does not render with one, or may not."""
        self._shows_marks = False
        self._proofs = 0
        """How many renders are left to prove that."""
        self._probes = self._to_probe()
        self._probe = _Probe([])
        """The one that was given last."""

    def _to_probe(self) -> Iterator[_Probe]:
        """Marks at all places; if the chart shows none, at the values that hold something; then without the tags that images share;
        and at last in the form of digests."""
        holding, others = self._places(_holding), self._places(self._others)
        self._guesses = others.keys() - holding.keys()
        yield from self._repeated({**holding, **others}, MOST_MARKS, _Probe([]))
        least = self._marks(holding)
        if {mark.path for mark in least} != {mark.path for mark in self._probe.marks} and not self._shows_marks:
            yield _Probe(least)
        if self._may_share():
            yield from self._without_shared()
        if digests := self._places(self._by_digest, again=True):
            yield from self._repeated(digests, MOST_MARKS, _Probe([], by_digest=True))

    def _without_shared(self) -> Iterator[_Probe]:
        """Marks where images share a tag, and then without this."""
        places = self._places(_holding, again=True) | self._places(self._others, again=True)
        names = {path: text for path, text in self._places(_naming, again=True).items() if path not in places}
        emptied: tuple[ValuePath, ...] = ()
        for _ in range(MOST_LEVELS):
            self._names = names if emptied else {}
            yield from self._repeated(places | self._names, MOST_SHARING, _Probe([], emptied, sharing=True))
            places = {path: text for path, text in places.items() if path not in self._shared}
            emptied += tuple(path for path in self._shared if self._values.can_set(Setting(path, "")))
            if not self._shared:
                return

    def _repeated(self, places: Mapping[ValuePath, str], most: int, blank: _Probe) -> Iterator[_Probe]:
        """A probe with at most so many marks, and again without those that made its render fail. blank: the probe, without
        its marks."""
        for _ in range(MOST_REPEATS):
            refused = len(self._refused)
            yield blank._replace(marks=self._marks(places, most, by_digest=blank.by_digest))
            if len(self._refused) == refused:
                return

    def next(self) -> Attempt | None:
        """What to try next; None when nothing is left."""
        if self._pins and self._proofs:
            self._proofs -= 1
            return _with(self.result, self._pins)
        self._pins = {}
        probe = next((probe for probe in self._probes if probe.marks), None)
        if probe is None:
            return None
        self._probe = probe
        return NOTHING._replace(settings=probe.settings)

    def learn(self, attempt: Attempt, result: Comparison | str) -> None:
        """Take the result of an attempt: the comparison of the renders, or helm's message if the chart did not render."""
        if self._pins:
            self._prove(attempt, result)
            return
        self._shared = ()
        if isinstance(result, str):
            named, guesses = self._named(result), {mark.path for mark in self._probe.marks} & self._guesses
            self._refused |= named & guesses or guesses or named  # what a message names may be a map, too
            return
        gives = (result.images.get(each.fact.use.key, "") for each in self._left())
        self._shows_marks = self._shows_marks or any(map(_MARK.search, gives))
        if self._probe.sharing:
            self._shared = self._in_several(result)
        if not self._shared and (found := self._reached(result)):
            self._pins, self._proofs = found, MOST_PROOFS

    def _named(self, why: str) -> set[ValuePath]:
        """The values with marks that helm's message names."""
        scopes = {each.scope for each in self._probed.values()}
        marks = self._probe.marks
        return {each.path for each in marks if render_failure.names_value(why, Setting(each.path, ""), scopes)}

    def _left(self) -> list[Probed]:
        """The uses that only their templates pin."""
        return [each for key, each in self._probed.items() if key in self.result.by_template]

    def _places(
        self, places: Callable[[Probed, ValueIndex], Iterator[tuple[ValuePath, str]]], *, again: bool = False
    ) -> dict[ValuePath, str]:
        """The values that may get a mark, with the text to put before it. again: also what was rejected on its own."""
        found: dict[ValuePath, str] = {}
        for each in self._left():
            for path, text in places(each, self._values):
                if (
                    found.get(path) != text
                    and not self._tried.spills(each.fact.use.key, path)
                    and self._may_reach(each, path)
                    and (again or self._tried.allows(each.fact.use.key, Setting(path, f"{text}@{each.fact.digest}")))
                ):
                    found[path] = text
        return found

    def _may_reach(self, each: Probed, path: ValuePath) -> bool:
        """Whether a value may reach an image: its template reads it, or the names of images beside it, if there are any, are in the
        image."""
        is_read = each.has_read(path) and all(path != setting.path for setting in self.result.settings)
        named_like = (is_template(name) or name in each.image for name in self._names_beside(path))
        return each.sees(path) and (is_read or all(named_like))

    def _others(self, each: Probed, values: ValueIndex) -> Iterator[tuple[ValuePath, str]]:
        """What may take the image's tag or a reference to it, with the text to put there: values that are empty or missing, if
        their key may take one; and tags that do not show in the image, if its template reads them or they stand beside its name
        (`latest` may stand for the version of the chart). Beside a name the usual keys have been tried."""
        tag, named, read = split(each.image)[1] or "latest", _named(each, values), self._read(each)
        instead, ends = ((*above, key) for above in named for key in read.instead), {*_ends(each.image)}
        for path in dict.fromkeys([*self._open, *read.open, *(path for path in instead if _is_open(path, values))]):
            key = last_key(path)
            if SUFFIX_KEY.match(key) and path[:-1] not in named:  # a suffix of something else
                continue
            whole = _tagged(each.image) if path in read.whole or _takes_whole(key) else tag
            yield path, "" if SUFFIX_KEY.search(key) else whole
        beside = ((*above, key) for above in named for key in lookup(values.tree, above) or ())
        for path in dict.fromkeys([*read.tags, *(path for path in beside if _is_tag(path, values))]):
            if text_of(lookup(values.tree, path)) not in ends:
                yield path, tag
        for path in values.templates:
            above = (inside(path[:depth], each.scope) for depth in range(len(each.scope) + 1, len(path) + 1))
            held = text_of(lookup(values.tree, path)).strip()
            ends_so = each.image.endswith(held.rpartition("}}")[2])
            if ends_so and not _is_tag(path, values) and any(chain in each.reads for chain in above):
                yield path, held

    def _by_digest(self, each: Probed, values: ValueIndex) -> Iterator[tuple[ValuePath, str]]:
        """The values that may take a digest alone, or after a tag that several images share, if they may cut it off."""
        for path in self._read(each).digests:
            if self._tried.allows(each.fact.use.key, Setting(path, each.fact.digest)):
                yield path, ""
        if each.cuts_digests:
            yield from ((path, text) for path, text in _holding(each, values) if len(self._sharing[path]) > 1)

    @cached_property
    def _sharing(self) -> Mapping[ValuePath, set[str]]:
        """The digests of the images that each value with the end of one may reach."""
        digests: dict[ValuePath, set[str]] = defaultdict(set)
        for each in self._left():
            for path, _ in _holding(each, self._values):
                if self._may_reach(each, path):
                    digests[path].add(each.fact.digest)
        return digests

    @cached_property
    def _open(self) -> list[ValuePath]:
        """The empty values that may take a tag or a reference; of global ones, which may win over others, those after a tag."""
        here = (path for path in self._values.at("") if path[0] != "global" or SUFFIX_KEY.match(last_key(path)))
        return [path for path in here if _is_open(path, self._values)]

    def _read(self, each: Probed) -> _Read:
        """What the template of a use reads."""
        source = each.fact.origin.source
        if source not in self._by_source:
            self._by_source[source] = _read(each, self._values)
        return self._by_source[source]

    def _may_share(self) -> bool:
        """Whether a value may be the tag of several images: it holds the end of each, or their templates read it."""
        first: dict[ValuePath, str] = {}
        for each in self._left():
            paths = [*(path for path, _ in _holding(each, self._values)), *self._read(each).tags]
            mine = filter(partial(self._may_reach, each), paths)
            if any(first.setdefault(path, each.fact.digest) != each.fact.digest for path in mine):
                return True
        return False

    def _in_several(self, result: Comparison) -> tuple[ValuePath, ...]:
        """The values whose marks came out in images that get different digests."""
        digests: dict[ValuePath, set[str]] = defaultdict(set)
        paths = {each.mark: each.path for each in self._probe.marks}
        for each in self._left():
            for mark in _MARK.findall(result.images.get(each.fact.use.key, "")):
                if mark in paths:
                    digests[paths[mark]].add(each.fact.digest)
        return tuple(path for path, wanted in digests.items() if len(wanted) > 1 and path not in self._names)

    def _marks(
        self, places: Mapping[ValuePath, str], most: int = MOST_MARKS, *, by_digest: bool = False
    ) -> list[_Mark]:
        """A mark for each place that can be set. None is the start of another."""
        make = _digest_mark if by_digest else _mark
        marks = [make(path, text, number) for number, (path, text) in enumerate(places.items())]
        left = (mark for mark in marks if mark.path not in self._refused)
        return [mark for mark in left if self._values.can_set(Setting(mark.path, mark.value))][:most]

    def _reached(self, result: Comparison) -> dict[UseKey, tuple[Setting, ...]]:
        """What to set for each use that has a mark at its end, and has not been rejected before; with a tag emptied it may work."""
        found: dict[UseKey, tuple[Setting, ...]] = {}
        emptied = tuple(Setting(path, "") for path in self._probe.emptied)
        for each in self._left():
            fact = each.fact
            gives = result.images.get(fact.use.key, "")
            for mark in self._probe.marks:
                may = mark.mark in gives and not self._tried.spills(fact.use.key, mark.path)
                value = self._carrying_digest(fact, mark, gives) if may else ""
                carrier = Setting(mark.path, value)
                apart = emptied or self._probe.by_digest  # from what it was rejected with
                if value and (apart or self._tried.allows(fact.use.key, carrier)):
                    found[fact.use.key] = (carrier, *emptied)
        values: dict[ValuePath, set[str]] = defaultdict(set)
        for path, value in (*self.result.settings, *(setting for some in found.values() for setting in some)):
            values[path].add(value)
        return {key: some for key, some in found.items() if all(len(values[setting.path]) == 1 for setting in some)}

    def _carrying_digest(self, fact: Facts, mark: _Mark, gives: str) -> str:
        """What to set where a mark stands so that the image gets its digest; '' if it does not stand at the image's end. gives: the
        image with the mark."""
        wanted = _tagged(fact.use.image)
        if self._probe.by_digest:
            return _in_place_of_digest_mark(fact, mark, gives)
        if is_template(mark.text):
            before = gives.removesuffix(f"-{mark.mark}")
            for each in self._probe.marks:  # what it prints may have marks too
                before = before.replace(f"-{each.mark}", "")
            return f"{mark.text}@{fact.digest}" if before == wanted and gives.endswith(mark.mark) else ""
        before = self._without_guesses(self._without_names(gives.removesuffix(mark.value)))
        ends = gives.endswith(mark.value) and wanted.startswith(before)
        return f"{wanted.removeprefix(before)}@{fact.digest}" if ends else ""

    def _without_names(self, text: str) -> str:
        """A text without the marks of names."""
        for each in self._probe.marks:
            text = text.replace(f"-{each.mark}", "") if each.path in self._names else text
        return text

    def _without_guesses(self, text: str) -> str:
        """A text with what the values hold in place of marks that were guessed for other images."""
        for each in self._probe.marks:
            if each.path in self._guesses and each.mark in text:
                text = text.replace(each.value, text_of(lookup(self._values.tree, each.path)))
        return text

    def _prove(self, attempt: Attempt, result: Comparison | str) -> None:
        """Take what is right, or leave out what is wrong."""
        if isinstance(result, str):
            self._pins = {}
            return
        if not result.failing and not result.collateral:
            self.result, self._pins = attempt, {}
            return
        shown = " ".join(readable(difference.after) for difference in result.collateral)
        wrong = {
            carrier.path
            for key, (carrier, *_) in self._pins.items()
            if key in result.failing or self._probed[key].fact.digest[7:19] in shown
        }
        for key, (carrier, *_) in self._pins.items():
            fact = self._probed[key].fact
            if carrier.path in wrong and carrier.value in shown.replace(pinned_form(fact.use.image, fact.digest), ""):
                self._tried.add_spilling(key, carrier.path)
        self._tried.add({key: some[:1] for key, some in self._pins.items() if some[0].path in wrong}, result.failing)
        wrong = wrong or self._in_subcharts_of(result.collateral)
        self._pins = {key: some for key, some in self._pins.items() if wrong and some[0].path not in wrong}

    def _in_subcharts_of(self, collateral: Iterable[Difference]) -> set[ValuePath]:
        """The values in the subcharts that print something else: to set any there may be why (search.py, _leave_subcharts)."""
        scopes = {scope_of(difference.leaf[0]) for difference in collateral} - {()}
        carriers = {carrier.path for carrier, *_ in self._pins.values()}
        return {path for path in carriers if any(path[: len(scope)] == scope for scope in scopes)}


def _mark(path: ValuePath, text: str, number: int) -> _Mark:
    mark = f"mark{number}z"
    return _Mark(path, text, mark, f"{text}-{mark}")


def _digest_mark(path: ValuePath, text: str, number: int) -> _Mark:
    """A mark in the form of a digest: alone for a value that takes one, else after a tag or a reference."""
    mark = f"{number:064x}"
    return _Mark(path, text, mark, f"{text}@sha256:{mark}" if text else f"sha256:{mark}")


def _in_place_of_digest_mark(fact: Facts, mark: _Mark, gives: str) -> str:
    """What to set where a mark in the form of a digest stands; '' if the image has another name or end."""
    marked, bare = f"sha256:{mark.mark}", fact.digest.partition(":")[2]
    before, _, after = gives.partition("@")
    forms = {marked: fact.digest, f"sha256:{marked}": bare}  # some templates write the `sha256:` themselves
    wanted = _tagged(fact.use.image)
    is_wanted = before in (fact.use.image, wanted, split(wanted)[0])
    return mark.value.replace(marked, forms[after]) if is_wanted and after in forms else ""


def _tagged(image: str) -> str:
    """An image with its tag, or with the one that it stands for without any."""
    return image if split(image)[1] else f"{image}:latest"


def _holding(each: Probed, values: ValueIndex) -> Iterator[tuple[ValuePath, str]]:
    """The values that hold the end of an image, with the text to put there; a number counts only under a key for a tag or a part of
    one."""
    for end in _ends(each.image):
        for path in values.at(end):
            held = lookup(values.tree, path)
            if (isinstance(held, str) or OPEN_KEY.fullmatch(last_key(path))) and not is_template(held):
                yield path, text_of(held).strip()


def _naming(each: Probed, values: ValueIndex) -> Iterator[tuple[ValuePath, str]]:
    """The values that hold the name of an image, with the text to put there."""
    for path, whole in in_scope(list(anchors(each.image, values)), each.scope):
        if not whole and isinstance(held := lookup(values.tree, path), str) and not is_template(held):
            yield path, held.strip()


def _ends(image: str) -> Iterator[str]:
    """The ends of an image that a value may hold: the whole of it, without its first parts, and the last parts of its tag. One
    character is no end: it stands everywhere."""
    name, tag, _ = split(image)
    yield image
    yield from (image[part.end() :] for part in re.finditer("/", name))
    if tag:
        yield tag
        parts = [place for part in re.finditer(r"[-._+]|^v(?=\d)", tag) for place in (part.start(), part.end())]
        yield from (tag[place:] for place in parts if len(tag) - place > 1)


def _may_hold_a_tag(path: ValuePath) -> bool:
    """Whether a key, or that of its map, may hold a tag or a reference."""
    return bool(OPEN_KEY.fullmatch(last_key(path)) or TAGS_KEY.search(last_key(path[:-1])))


def _named(each: Probed, values: ValueIndex) -> dict[ValuePath, None]:
    """The maps that name the image."""
    found = in_scope(list(anchors(each.image, values)), each.scope)
    return dict.fromkeys(path[:-1] for path, _ in found if isinstance(lookup(values.tree, path[:-1]), dict))


def _names_beside(path: ValuePath, values: ValueIndex) -> list[str]:
    """The names of images beside a path."""
    beside = lookup(values.tree, path[:-1])
    named = [v for k, v in beside.items() if REPOSITORY_KEY.search(k)] if isinstance(beside, dict) else []
    return [text_of(name) for name in named if text_of(name) and not isinstance(name, (dict, list))]


def _with(result: Attempt, pins: Mapping[UseKey, tuple[Setting, ...]]) -> Attempt:
    """The result with these values in place of template pins."""
    return result.with_values({key: (_strategy(*settings), settings) for key, settings in pins.items()})


def _strategy(carrier: Setting, *emptied: Setting) -> str:
    name = "reference" if ":" in carrier.value.partition("@")[0] else "tag@digest"
    return f"{name}, shared tag emptied" if emptied else name
