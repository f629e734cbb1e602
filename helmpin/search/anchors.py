"""Where a chart's values name an image. An *anchor* is a leaf that holds the image's repository (or its last parts), or the whole
reference. Leaves are found by value; the names of keys say how likely it is that they are about an image."""

from __future__ import annotations

from collections.abc import Iterator

from helmpin.chart.setargs import ValuePath, lookup
from helmpin.chart.value_keys import (
    IMAGE_KEY,
    NAME_KEY,
    REGISTRY_KEY,
    REPOSITORY_KEY,
    SUFFIX_KEY,
    TAG_KEY,
    last_key,
    stem,
)
from helmpin.image.reference import split
from helmpin.named_tuple import NamedTuple
from helmpin.search.candidate import Misfit, Sought
from helmpin.search.value_index import ValueIndex, is_seen
from helmpin.shapes import text_of


class Anchor(NamedTuple):
    """A leaf that names an image: its path, and whether it holds the whole reference."""

    path: ValuePath
    whole: bool


def anchors(image: str, values: ValueIndex) -> Iterator[Anchor]:
    """The leaves that hold the image's whole reference or its repository, with or without the leading parts."""
    name, tag, _ = split(image)
    if tag:
        for part in suffixes(image):
            for path in values.at(part):
                yield Anchor(path, True)
    for part in suffixes(name):
        for path in values.at(part):
            if "/" in part or NAME_KEY.search(last_key(path)):
                yield Anchor(path, not tag)


def in_scope(found: list[Anchor], scope: tuple[str, ...]) -> list[Anchor]:
    """The anchors that the templates of `scope` can read: the innermost chart's own, else an outer chart's, else any."""
    for depth in range(len(scope), 0, -1):
        if near := [a for a in found if a.path[:depth] == scope[:depth]]:
            return near
    return found


def names_at_another_registry(sought: Sought) -> Iterator[Anchor]:
    """The leaves that hold the image's repository at another registry, which a template may replace, or take away."""
    for part in suffixes(split(sought.image)[0]):
        for path in sought.values.behind_host(part):
            yield Anchor(path, not sought.tag)


def bare_names(sought: Sought) -> list[ValuePath]:
    """The leaves in scope that hold the name of an image without a tag as a bare word."""
    name = split(sought.image)[0].rpartition("/")[2]
    found = [] if sought.tag else [Anchor(path, True) for path in sought.values.at(name)]
    return [anchor.path for anchor in in_scope(found, sought.scope)]


def holding(image: str, scope: tuple[str, ...], values: ValueIndex) -> list[ValuePath]:
    """The values that hold the tag of an image, or its name if it has no tag, whatever their keys."""
    name, tag, _ = split(image)
    paths = [path for text in ([tag] if tag else suffixes(name)) for path in values.at(text)]
    return [path for path in paths if is_seen(path, scope)]


def is_strong(anchor: Anchor) -> bool:
    """Whether the key, or that of its map, says that it holds an image."""
    return bool(REPOSITORY_KEY.search(last_key(anchor.path)) or IMAGE_KEY.search(last_key(anchor.path[:-1])))


def holds_tag(sought: Sought, anchor: Anchor) -> bool:
    """Whether the anchor's map holds exactly the image's tag, and nothing that templates add to it."""
    beside = lookup(sought.values.tree, anchor.path[:-1])
    texts = {key: text_of(value) for key, value in beside.items()} if isinstance(beside, dict) else {}
    more = [key for key, text in texts.items() if SUFFIX_KEY.search(key) and not sought.tag.endswith(text)]
    if any(sought.scan.is_beside_tag(sought.chain((*anchor.path[:-1], key))) for key in more):
        return False
    return (anchor.whole and bool(sought.tag)) or sought.tag in texts.values()


def misfit(sought: Sought, anchor: Anchor) -> Misfit:
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


def suffixes(name: str) -> Iterator[str]:
    """`a/b/c`, `b/c`, `c`."""
    yield name
    while "/" in name:
        name = name.split("/", 1)[1]
        yield name
