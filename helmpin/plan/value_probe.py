"""Values that reach the end of an image, found by asking helm what they do.

Templates read values in ways that their text does not show: through an argument, `index` or `printf`, or as a part of a tag. So one
render gives a mark of its own to each value that may reach an image which only its template pins so far. The mark that comes out at
the end of the image says which value can carry the digest, and what stands before it says in which form. A further render proves
it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from helmpin.chart.setargs import Setting, ValuePath, lookup
from helmpin.image.manifest import UseKey
from helmpin.image.reference import split
from helmpin.plan.candidates import anchors, in_scope, is_place
from helmpin.plan.search import Attempt, Facts
from helmpin.plan.tried import Tried
from helmpin.plan.value_index import ValueIndex, is_template, scope_of, text_of
from helmpin.plan.value_keys import REPOSITORY_KEY, TAG_KEY, TAGS_KEY, last_key, stem
from helmpin.render.diff import Comparison
from helmpin.render.differences import readable

MOST_MARKS = 60
"""The most values with a mark in one render."""
MOST_PROOFS = 3
"""The most renders after those with marks."""
INSTEAD = frozenset({"custom", "full", "override", "overwrite", "ref", "reference", "unified"})
"""What is left of keys, as stem() gives it, that take a tag or a reference in place of another one."""
SUFFIX_KEY = re.compile(r"(suffix|variant|flavou?r)$", re.IGNORECASE)
"""The keys that may add something to a tag."""
OPEN_KEY = re.compile(
    r"(?:.*(?:tag|image)|(?:.*(?:image|tag|docker|app|git|build|release))?[_-]?"
    r"(?:ver|version|label|commit|revision|ref|reference|build|number|override|overwrite|suffix|variant|flavou?r))",
    re.IGNORECASE,
)
"""The keys that may take a tag or a reference where the values have none."""


class Probed(NamedTuple):
    """An image use whose values are sought, and what is known about it."""

    fact: Facts
    reads: Collection[ValuePath]
    """The values that its template reads by their whole path, itself or in the named templates that it uses."""
    keys: Collection[str]
    """The keys that the templates of its chart read, of whatever map."""

    @property
    def image(self) -> str:
        """The image as its template prints it."""
        return self.fact.origin.image

    @property
    def scope(self) -> tuple[str, ...]:
        """The names of the subcharts down to that of its template."""
        return scope_of(self.fact.origin.source)

    def sees(self, path: ValuePath) -> bool:
        """Whether the templates of its chart can read a path."""
        return path[: len(self.scope)] == self.scope or path[0] == "global"


class _Mark(NamedTuple):
    """A value with a mark at its end."""

    path: ValuePath
    text: str
    """The value without the mark."""
    mark: str


class ValueProbe:
    """Mutable; it does no I/O. `next` gives an attempt, `learn` takes its result."""

    def __init__(self, result: Attempt, probed: Iterable[Probed], values: ValueIndex, tried: Tried) -> None:
        """result: that of the first search. tried: what that has tried in vain."""
        self.result = result
        probed = list(probed)
        self._facts = {each.fact.use.key: each.fact for each in probed}
        holding, others = (
            {
                path: text
                for each in probed
                for path, text in places(each, values)
                if tried.allows(each.fact.use.key, Setting(path, f"{text}@{each.fact.digest}"))
                and each.sees(path)
                and not _is_anothers(each, path, values)
            }
            for places in (_holding, _others)
        )
        self._probes = [_marks(some, values) for some in ({**holding, **others}, holding if others else {})]
        """The marks of each render to try: all, and if the chart does not render with them, or shows none, those at values that
        hold something."""
        self._pins: dict[UseKey, Setting] = {}
        """What to set for each use, as far as a render has shown it."""
        self._proofs = MOST_PROOFS

    def next(self) -> Attempt | None:
        """What to try next; None when nothing is left."""
        if self._pins:
            self._probes = []
            self._proofs -= 1
            return _with(self.result, self._pins) if self._proofs >= 0 else None
        self._probes = [marks for marks in self._probes if marks]
        if not self._probes:
            return None
        marked = tuple(Setting(path, f"{text}-{mark}") for path, text, mark in self._probes[0])
        return Attempt(settings=marked, by_template=frozenset(), strategies={}, failed={}, notes={})

    def learn(self, attempt: Attempt, result: Comparison | str) -> None:
        """Take the result of an attempt: the comparison of the renders, or helm's message if the chart did not render."""
        if self._pins:
            self._prove(attempt, result)
            return
        marks = self._probes.pop(0)
        self._pins = {} if isinstance(result, str) else self._reached(result, marks)

    def _reached(self, result: Comparison, marks: list[_Mark]) -> dict[UseKey, Setting]:
        """What to set for each use that has a mark at its end."""
        found: dict[UseKey, Setting] = {}
        for key, fact in self._facts.items():
            gives, wanted = result.images.get(key, ""), _tagged(fact.use.image)
            for path, text, mark in marks:
                before = gives.removesuffix(f"{text}-{mark}")
                if before != gives and wanted.startswith(before):
                    found[key] = Setting(path, f"{wanted.removeprefix(before)}@{fact.digest}")
        values: dict[ValuePath, set[str]] = defaultdict(set)
        for path, value in (*self.result.settings, *found.values()):
            values[path].add(value)
        return {key: setting for key, setting in found.items() if len(values[setting.path]) == 1}

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
            setting.path
            for key, setting in self._pins.items()
            if key in result.failing or self._facts[key].digest[7:19] in shown
        }
        self._pins = {key: setting for key, setting in self._pins.items() if wrong and setting.path not in wrong}


def _tagged(image: str) -> str:
    """An image with its tag, or with the one that it stands for without any."""
    return image if split(image)[1] else f"{image}:latest"


def _holding(each: Probed, values: ValueIndex) -> Iterator[tuple[ValuePath, str]]:
    """The values that hold the end of an image, with the text to put there; a number counts only under a key for a tag."""
    for end in _ends(each.image):
        for path in values.at(end):
            held = lookup(values.tree, path)
            if (isinstance(held, str) or TAG_KEY.search(last_key(path))) and not is_template(held):
                yield path, text_of(held).strip()


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


def _others(each: Probed, values: ValueIndex) -> Iterator[tuple[ValuePath, str]]:
    yield from _empty(each, values)
    yield from _unused(each, values)


def _unused(each: Probed, values: ValueIndex) -> Iterator[tuple[ValuePath, str]]:
    """The tags that its template reads and that do not show in the image, with the text to put there: `latest` may stand for the
    version of the chart, and any other tag be taken as it is."""
    tag = split(each.image)[1] or "latest"
    for chain in each.reads:
        path = chain if chain[0] == "global" else (*each.scope, *chain)
        held = lookup(values.tree, path)
        if TAG_KEY.search(last_key(path)) and isinstance(held, str) and held and held not in each.image:
            yield path, tag


def _empty(each: Probed, values: ValueIndex) -> Iterator[tuple[ValuePath, str]]:
    """The values that are empty or missing, and whose key may take a tag or a reference, with the text to put there. Beside a name
    the usual keys have been tried."""
    read = [chain for chain in each.reads if chain[0] != "global"]
    inner = {chain[:i] for chain in read for i in range(1, len(chain))}
    named = {anchor.path[:-1] for anchor in in_scope(list(anchors(each.image, values)), each.scope)}
    paths = [
        *(path for path in values.at("") if path[0] != "global"),
        *((*each.scope, *chain) for chain in read if chain not in inner),
        *((*above, key) for above in named for key in each.keys if stem(key) in INSTEAD),
    ]
    for path in dict.fromkeys(paths):
        key = last_key(path)
        if SUFFIX_KEY.match(key) and path[:-1] not in named:  # a suffix of something else
            continue
        is_open = OPEN_KEY.fullmatch(key) or TAGS_KEY.search(last_key(path[:-1]))
        if is_open and lookup(values.tree, path) in (None, "") and is_place(path, values):
            is_whole = re.search("image|ref|over", key, re.IGNORECASE) and not re.search(
                "tag|version", key, re.IGNORECASE
            )
            tag = "" if SUFFIX_KEY.search(key) else split(each.image)[1] or "latest"
            yield path, _tagged(each.image) if is_whole else tag


def _is_anothers(each: Probed, path: ValuePath, values: ValueIndex) -> bool:
    """Whether a key beside a path names another image."""
    beside = lookup(values.tree, path[:-1])
    named = [text_of(v) for k, v in beside.items() if REPOSITORY_KEY.search(k)] if isinstance(beside, dict) else []
    return any(text and not is_template(text) and text not in each.image for text in named)


def _marks(places: Mapping[ValuePath, str], values: ValueIndex) -> list[_Mark]:
    """A mark for each place that can be set. None is the start of another."""
    marks = [_Mark(path, text, f"mark{number}z") for number, (path, text) in enumerate(places.items())]
    return [mark for mark in marks if values.can_set(Setting(mark.path, f"{mark.text}-{mark.mark}"))][:MOST_MARKS]


def _with(result: Attempt, pins: Mapping[UseKey, Setting]) -> Attempt:
    """The result with these values in place of template pins."""
    how = {
        key: ("reference" if ":" in setting.value.partition("@")[0] else "tag@digest", (setting,))
        for key, setting in pins.items()
    }
    return result._replace(
        settings=tuple(dict.fromkeys([*result.settings, *pins.values()])),
        by_template=result.by_template - pins.keys(),
        strategies={**result.strategies, **how},
    )
