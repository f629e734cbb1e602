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

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache, cached_property, partial

from helmpin.chart.setargs import Setting, ValuePath, dotted_key, lookup
from helmpin.chart.value_keys import SUFFIX_KEY, last_key
from helmpin.image.reference import pinned_form, split
from helmpin.image.uses import UseKey
from helmpin.named_tuple import NamedTuple
from helmpin.render.diff import Comparison
from helmpin.render.differences import Difference, readable
from helmpin.search import render_failure
from helmpin.search.attempt import NO_PINS, Attempt, Facts
from helmpin.search.blame_unpinned import gives
from helmpin.search.contests import FOR_ANOTHER
from helmpin.search.probe_marks import MARK, Mark, digest_mark_at, in_place_of_digest_mark, mark_at, tagged
from helmpin.search.probe_places import (
    Probed,
    Reads,
    ends_of,
    holding,
    is_open,
    is_tag,
    maps_naming,
    names_beside,
    naming,
    reads_of,
    takes_whole,
)
from helmpin.search.tried import Tried
from helmpin.search.value_index import ValueIndex, inside, is_template, scope_of
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


class _Probe(NamedTuple):
    """One render with marks."""

    marks: list[Mark]
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


class ValueProbe:
    """Mutable; it does no I/O. `next` gives an attempt, `learn` takes its result."""

    def __init__(self, result: Attempt, probed: Iterable[Probed], values: ValueIndex, tried: Tried) -> None:
        """result: that of the first search. tried: what that has rejected."""
        self.result = result
        self._probed = {each.fact.use.key: each for each in probed}
        self._values, self._tried = values, tried
        self._names_beside = cache(partial(names_beside, values=values))
        self._by_source: dict[str, Reads] = {}
        """Filled as it is needed."""
        self._pins: dict[UseKey, tuple[Setting, ...]] = {}
        """What to set for each use, as far as a render has shown it: first what carries its digest."""
        self._notes: dict[UseKey, dict[str, None]] = defaultdict(dict)
        """Why values that reach a use do not pin it, for people."""
        self._shared: tuple[ValuePath, ...] = ()
        """The values that the last render showed in several images."""
        self._names: Mapping[ValuePath, str] = {}
        """The names of images that have marks: without a tag, a name may take the whole reference."""
        self._guesses: set[ValuePath] = set()
        """The places that hold nothing of an image."""
        self._refused: set[ValuePath] = set()
        """The places that get no mark, since the chart does not render with one, or may not."""
        self._results: dict[tuple[Setting, ...], Comparison | str] = {}
        """What the renders with marks gave, by what they set."""
        self._shows_marks = False
        self._proofs = 0
        """How many renders are left to prove that."""
        self._probes = self._to_probe()
        self._probe = _Probe([])
        """The one that was given last."""

    def _to_probe(self) -> Iterator[_Probe]:
        """Marks at all places; if the chart shows none, at the values that hold something; then without the tags that images share;
        and at last in the form of digests."""
        held, others = self._places(holding), self._places(self._others)
        self._guesses = others.keys() - held.keys()
        yield from self._repeated({**held, **others}, MOST_MARKS, _Probe([]))
        least = self._marks(held)
        if {mark.path for mark in least} != {mark.path for mark in self._probe.marks} and not self._shows_marks:
            yield _Probe(least)
        if self._may_share():
            yield from self._without_shared()
        if digests := self._places(self._by_digest, again=True):
            yield from self._repeated(digests, MOST_MARKS, _Probe([], by_digest=True))

    def _without_shared(self) -> Iterator[_Probe]:
        """Marks where images share a tag, and then without this."""
        places = self._places(holding, again=True) | self._places(self._others, again=True)
        names = {path: text for path, text in self._places(naming, again=True).items() if path not in places}
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
        for probe in self._probes:
            self._probe, attempt = probe, NO_PINS._replace(settings=probe.settings)
            if probe.settings not in self._results:
                if probe.marks:
                    return attempt
            else:  # the same marks, for another question
                self.learn(attempt, self._results[probe.settings])
                if self._pins:
                    return self.next()
        return None

    def learn(self, attempt: Attempt, result: Comparison | str) -> None:
        """Take the result of an attempt: the comparison of the renders, or helm's message if the chart did not render."""
        if self._pins:
            self._prove(attempt, result)
            return
        self._results[attempt.settings] = result
        self._shared = ()
        if isinstance(result, str):
            named, guesses = self._named_values(result), {mark.path for mark in self._probe.marks} & self._guesses
            self._refused |= named & guesses or guesses or named  # what a message names may be a map, too
            return
        gives = (result.images.get(each.fact.use.key, "") for each in self._left())
        self._shows_marks = self._shows_marks or any(map(MARK.search, gives))
        if self._probe.sharing:
            self._shared = self._in_several(result)
        found = {} if self._shared else self._reached(result)
        self._refused |= self._crowding(result, found)
        if found:
            self._pins, self._proofs = found, MOST_PROOFS

    def noted(self, attempt: Attempt) -> Attempt:
        """The attempt, with a note for each use that has none, and is left to its template although values reach it: why they do
        not pin it."""
        notes = {key: tuple(some) for key, some in self._notes.items() if key in attempt.by_template}
        return attempt._replace(notes={**notes, **{key: some for key, some in attempt.notes.items() if some}})

    def _crowding(self, result: Comparison, found: Collection[UseKey]) -> set[ValuePath]:
        """The places that hold nothing, and whose marks came out after another one, in uses that are not in `found`: a suffix that
        is empty may stay so."""
        paths = {mark.token: mark.path for mark in self._probe.marks}
        images = (result.images.get(each.fact.use.key, "") for each in self._left() if each.fact.use.key not in found)
        shown = [[paths[mark] for mark in MARK.findall(image) if mark in paths] for image in images]
        shown = [[path for path in some if path not in self._names] for some in shown]
        return {some[-1] for some in shown if len(some) > 1 and some[-1] in self._guesses}

    def _named_values(self, why: str) -> set[ValuePath]:
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
        tag, named, read = split(each.image)[1] or "latest", maps_naming(each, values), self._reads(each)
        instead, ends = ((*above, key) for above in named for key in read.instead), {*ends_of(each.image)}
        for path in dict.fromkeys([*self._open, *read.open, *(path for path in instead if is_open(path, values))]):
            key = last_key(path)
            if SUFFIX_KEY.match(key) and path[:-1] not in named:  # a suffix of something else
                continue
            whole = tagged(each.image) if path in read.whole or takes_whole(key) else tag
            yield path, "" if SUFFIX_KEY.search(key) else whole
        beside = ((*above, key) for above in named for key in lookup(values.tree, above) or ())
        for path in dict.fromkeys([*read.tags, *(path for path in beside if is_tag(path, values))]):
            if text_of(lookup(values.tree, path)) not in ends:
                yield path, tag
        for path in values.templates:
            above = (inside(path[:depth], each.scope) for depth in range(len(each.scope) + 1, len(path) + 1))
            held = text_of(lookup(values.tree, path)).strip()
            ends_so = each.image.endswith(held.rpartition("}}")[2])
            if ends_so and not is_tag(path, values) and any(chain in each.reads for chain in above):
                yield path, held

    def _by_digest(self, each: Probed, values: ValueIndex) -> Iterator[tuple[ValuePath, str]]:
        """The values that may take a digest alone, or after a tag that several images share, if they may cut it off."""
        for path in self._reads(each).digests:
            if self._tried.allows(each.fact.use.key, Setting(path, each.fact.digest)):
                yield path, ""
        if each.cuts_digests:
            yield from ((path, text) for path, text in holding(each, values) if len(self._sharing[path]) > 1)

    @cached_property
    def _sharing(self) -> Mapping[ValuePath, set[str]]:
        """The digests of the images that each value with the end of one may reach."""
        digests: dict[ValuePath, set[str]] = defaultdict(set)
        for each in self._left():
            for path, _ in holding(each, self._values):
                if self._may_reach(each, path):
                    digests[path].add(each.fact.digest)
        return digests

    @cached_property
    def _open(self) -> list[ValuePath]:
        """The empty values that may take a tag or a reference; of global ones, which may win over others, those after a tag."""
        here = (path for path in self._values.at("") if path[0] != "global" or SUFFIX_KEY.match(last_key(path)))
        return [path for path in here if is_open(path, self._values)]

    def _reads(self, each: Probed) -> Reads:
        """What the template of a use reads."""
        source = each.fact.origin.source
        if source not in self._by_source:
            self._by_source[source] = reads_of(each, self._values)
        return self._by_source[source]

    def _may_share(self) -> bool:
        """Whether a value may be the tag of several images: it holds the end of each, or their templates read it."""
        first: dict[ValuePath, str] = {}
        for each in self._left():
            paths = [*(path for path, _ in holding(each, self._values)), *self._reads(each).tags]
            mine = filter(partial(self._may_reach, each), paths)
            if any(first.setdefault(path, each.fact.digest) != each.fact.digest for path in mine):
                return True
        return False

    def _in_several(self, result: Comparison) -> tuple[ValuePath, ...]:
        """The values whose marks came out in images that get different digests."""
        digests: dict[ValuePath, set[str]] = defaultdict(set)
        paths = {each.token: each.path for each in self._probe.marks}
        for each in self._left():
            for mark in MARK.findall(result.images.get(each.fact.use.key, "")):
                if mark in paths:
                    digests[paths[mark]].add(each.fact.digest)
        shared = tuple(path for path, wanted in digests.items() if len(wanted) > 1 and path not in self._names)
        for each in self._left():
            for mark in MARK.findall(result.images.get(each.fact.use.key, "")):
                if paths.get(mark) in shared:
                    self._note(each.fact.use.key, Setting(paths[mark], ""), FOR_ANOTHER)
        return shared

    def _note(self, key: UseKey, carrier: Setting, why: str) -> None:
        self._notes[key][f"{_strategy(carrier)} at {dotted_key(carrier.path)}: {why}"] = None

    def _marks(self, places: Mapping[ValuePath, str], most: int = MOST_MARKS, *, by_digest: bool = False) -> list[Mark]:
        """A mark for each place that can be set. None is the start of another."""
        make = digest_mark_at if by_digest else mark_at
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
                may = mark.token in gives and not self._tried.spills(fact.use.key, mark.path)
                value = self._carrying_digest(fact, mark, gives) if may else ""
                carrier = Setting(mark.path, value)
                apart = emptied or self._probe.by_digest  # from what it was rejected with
                if value and (apart or self._tried.allows(fact.use.key, carrier)):
                    found[fact.use.key] = (carrier, *emptied)
        values: dict[ValuePath, set[str]] = defaultdict(set)
        for path, value in (*self.result.settings, *(setting for some in found.values() for setting in some)):
            values[path].add(value)
        fitting = {key: some for key, some in found.items() if all(len(values[setting.path]) == 1 for setting in some)}
        for key in found.keys() - fitting.keys():
            self._note(key, found[key][0], FOR_ANOTHER)
        return fitting

    def _carrying_digest(self, fact: Facts, mark: Mark, gives: str) -> str:
        """What to set where a mark stands so that the image gets its digest; '' if it does not stand at the image's end. gives: the
        image with the mark."""
        wanted = tagged(fact.use.image)
        if self._probe.by_digest:
            return in_place_of_digest_mark(fact, mark, gives)
        if is_template(mark.text):
            before = gives.removesuffix(f"-{mark.token}")
            for each in self._probe.marks:  # what it prints may have marks too
                before = before.replace(f"-{each.token}", "")
            return f"{mark.text}@{fact.digest}" if before == wanted and gives.endswith(mark.token) else ""
        if not gives.endswith(mark.value):
            return ""
        before = self._without_names(gives.removesuffix(mark.value))
        if MARK.search(before) and mark.path not in self._guesses and mark.text and wanted.endswith(mark.text):
            return f"{mark.text}@{fact.digest}"  # what the other mark stands for cannot be told
        before = self._without_guesses(before)
        return f"{wanted.removeprefix(before)}@{fact.digest}" if wanted.startswith(before) else ""

    def _without_names(self, text: str) -> str:
        """A text without the marks of names."""
        for each in self._probe.marks:
            text = text.replace(f"-{each.token}", "") if each.path in self._names else text
        return text

    def _without_guesses(self, text: str) -> str:
        """A text with what the values hold in place of marks that were guessed for other images."""
        for each in self._probe.marks:
            if each.path in self._guesses and each.token in text:
                text = text.replace(each.value, text_of(lookup(self._values.tree, each.path)))
        return text

    def _prove(self, attempt: Attempt, result: Comparison | str) -> None:
        """Take what is right, or leave out what is wrong."""
        if isinstance(result, str):
            for key, (carrier, *_) in self._pins.items():
                self._note(key, carrier, "the chart does not render with it")
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
        left = {key: some for key, some in self._pins.items() if wrong and some[0].path not in wrong}
        for key in self._pins.keys() - left.keys():
            self._note(key, self._pins[key][0], self._why_wrong(key, result))
        self._pins = left

    def _why_wrong(self, key: UseKey, result: Comparison) -> str:
        """Why a value that may carry the digest of a use was left out, for people."""
        if key in result.failing:
            return gives(self._probed[key].fact.use, result)
        images = (result.images.get(other, "") for other in result.failing)
        elsewhere = next((image for image in images if self._probed[key].fact.digest in image), "")
        return f"gives {elsewhere!r} elsewhere" if elsewhere else "\n".join(map(str, result.collateral[:3]))

    def _in_subcharts_of(self, collateral: Iterable[Difference]) -> set[ValuePath]:
        """The values in the subcharts that print something else: to set any there may be why (search.py, _leave_subcharts)."""
        scopes = {scope_of(difference.leaf[0]) for difference in collateral} - {()}
        carriers = {carrier.path for carrier, *_ in self._pins.values()}
        return {path for path in carriers if any(path[: len(scope)] == scope for scope in scopes)}


def _with(result: Attempt, pins: Mapping[UseKey, tuple[Setting, ...]]) -> Attempt:
    """The result with these values in place of template pins."""
    return result.with_values({key: (_strategy(*settings), settings) for key, settings in pins.items()})


def _strategy(carrier: Setting, *emptied: Setting) -> str:
    before, at, _ = carrier.value.rpartition("@")
    name = "digest key" if carrier.value and not at else "reference" if ":" in before else "tag@digest"
    return f"{name}, shared tag emptied" if emptied else name
