"""Where a value may reach an image: the places that may get a mark (value_probe.py), by what values hold and templates read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import cache

from helmpin.chart.setargs import ValuePath, lookup
from helmpin.chart.value_keys import DIGEST_KEY, REPOSITORY_KEY, TAG_KEY, TAGS_KEY, last_key, stem
from helmpin.image.reference import split
from helmpin.named_tuple import NamedTuple
from helmpin.search.anchors import anchors, in_scope
from helmpin.search.attempt import Facts
from helmpin.search.read_beside import is_place
from helmpin.search.value_index import ValueIndex, inside, is_seen, is_template
from helmpin.shapes import text_of

INSTEAD = frozenset({"custom", "full", "override", "overwrite", "ref", "reference", "unified"})
"""What is left of keys, as stem() gives it, that take a tag or a reference in place of another one."""
OPEN_KEY = re.compile(
    r"(?:.*(?:tag|image)|(?:.*(?:image|tag|docker|app|git|build|release))?[_-]?"
    r"(?:ver|version|label|commit|revision|ref|reference|build|number|override|overwrite|suffix|variant|flavou?r))",
    re.IGNORECASE,
)
"""The keys that may take a tag or a reference where the values have none."""


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


class Reads(NamedTuple):
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


def reads_of(each: Probed, values: ValueIndex) -> Reads:
    own = [chain for chain in each.reads if chain[0] != "global"]
    inner = {chain[:i] for chain in own for i in range(1, len(chain))}
    paths = [chain if chain[0] == "global" else (*each.scope, *chain) for chain in each.reads]
    leaves = [(*each.scope, *chain) for chain in own if chain not in inner]
    alone = {(*each.scope, *chain) for chain in each.alone}
    whole = {path for path in leaves if path in alone and _is_empty(path, values)}
    return Reads(
        open=[path for path in leaves if path in whole or is_open(path, values)],
        whole=whole,
        digests=[path for path in leaves if DIGEST_KEY.search(last_key(path)) and _is_empty(path, values)],
        tags=[path for path in paths if is_tag(path, values)],
        instead=[key for key in each.keys if stem(key) in INSTEAD],
    )


def is_open(path: ValuePath, values: ValueIndex) -> bool:
    """Whether a value is empty or missing, and may take a tag or a reference."""
    return _may_hold_a_tag(path) and _is_empty(path, values)


def _is_empty(path: ValuePath, values: ValueIndex) -> bool:
    """Whether a value is empty or missing, and may be set."""
    return lookup(values.tree, path) in (None, "") and is_place(path, values)


def is_tag(path: ValuePath, values: ValueIndex) -> bool:
    """Whether a value is a tag by its key."""
    held = lookup(values.tree, path)
    is_text = isinstance(held, (str, int, float)) and not isinstance(held, bool)
    return is_text and held != "" and bool(TAG_KEY.search(last_key(path)))


@cache
def takes_whole(key: str) -> bool:
    """Whether a key may take a whole reference."""
    return bool(re.search("image|ref|over", key, re.IGNORECASE)) and not re.search("tag|version", key, re.IGNORECASE)


def holding(each: Probed, values: ValueIndex) -> Iterator[tuple[ValuePath, str]]:
    """The values that hold the end of an image, with the text to put there. A number counts only under a key for a tag or a part of
    one, and so does a word at the end of a tag, unless it stands beside an image's name: `arch: amd64` may mean more."""
    _, tag, _ = split(each.image)
    for end in ends_of(each.image):
        is_word = end != tag and (tag or "").endswith(end) and not end[0].isdigit()
        for path in values.at(end):
            held = lookup(values.tree, path)
            is_meant = OPEN_KEY.fullmatch(last_key(path)) or (is_word and names_beside(path, values))
            if (is_meant or (isinstance(held, str) and not is_word)) and not is_template(held):
                yield path, text_of(held).strip()


def naming(each: Probed, values: ValueIndex) -> Iterator[tuple[ValuePath, str]]:
    """The values that hold the name of an image, with the text to put there."""
    for path, whole in in_scope(list(anchors(each.image, values)), each.scope):
        if not whole and isinstance(held := lookup(values.tree, path), str) and not is_template(held):
            yield path, held.strip()


def ends_of(image: str) -> Iterator[str]:
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


def maps_naming(each: Probed, values: ValueIndex) -> dict[ValuePath, None]:
    """The maps that name the image."""
    found = in_scope(list(anchors(each.image, values)), each.scope)
    return dict.fromkeys(path[:-1] for path, _ in found if isinstance(lookup(values.tree, path[:-1]), dict))


def names_beside(path: ValuePath, values: ValueIndex) -> list[str]:
    """The names of images beside a path."""
    beside = lookup(values.tree, path[:-1])
    named = [v for k, v in beside.items() if REPOSITORY_KEY.search(k)] if isinstance(beside, dict) else []
    return [text_of(name) for name in named if text_of(name) and not isinstance(name, (dict, list))]
