"""The candidates at values that templates read beside an image's name: on the same line, or in the same named template."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from helmpin.chart.setargs import ValuePath, lookup, reaches
from helmpin.chart.value_keys import DIGEST_KEY, IMAGE_KEY, TAG_KEY, last_key
from helmpin.image.reference import split
from helmpin.search.anchors import suffixes
from helmpin.search.candidate import Candidate, Sought, forms
from helmpin.search.value_index import ValueIndex
from helmpin.shapes import text_of
from helmpin.templates.spelled_out import EACH

MOST_ON_LINES = 20
"""How many to try that are read on the same line: perhaps one for each template that prints the image."""
MOST_IN_TEMPLATE = 2
"""How many paths to try that are read in the same named template as the image's name; each wrong guess costs one render."""
MOST_ELEMENTS = 20
"""How many elements of a list or a map to set at once."""


def read_beside(sought: Sought, named: list[ValuePath]) -> Iterator[Candidate]:
    """Candidates at values that the templates read beside the image's name: a tag, a digest, or a whole reference. named: the
    paths that hold the name."""
    near = {sought.chain(path) for path in named if sought.sees(path)}
    names = dict.fromkeys([*suffixes(split(sought.image)[0]), *suffixes(sought.image)])
    starts = [sought.tag[: separator.end()] for separator in re.finditer("[-._]|^v", sought.tag)]
    names |= dict.fromkeys(f"{name}:{start}" for name in suffixes(split(sought.image)[0]) for start in starts)
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


def _carried_by_all(sought: Sought, paths: list[ValuePath], chain: ValuePath) -> list[Candidate]:
    """Candidates at all of these paths at once, where they can carry the image; none if there are too many. chain: as templates
    read them."""
    if len(paths) > MOST_ELEMENTS:
        return []
    ranked = [found for path in paths if (found := list(_carried(sought, path, chain)))]
    together = zip(*ranked, strict=False)
    return [some[0]._replace(settings=tuple(s for each in some for s in each.settings)) for some in together]


def _carried(sought: Sought, path: ValuePath, chain: ValuePath) -> Iterator[Candidate]:
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
        yield from (sought.tagged(path, tag) for tag in forms(sought.tag or "latest"))


def is_place(path: ValuePath, values: ValueIndex) -> bool:
    """Whether every parent of `path` is a map, a list with that element, or absent, so that setting it destroys nothing."""
    return reaches(path) and all(_may_have(values.tree, path[:i], path[i]) for i in range(1, len(path)))


def _may_have(tree: Any, path: ValuePath, key: str | int) -> bool:
    """Whether a key can be set in the node at a path. A null element of a list is no map that is absent."""
    node = lookup(tree, path)
    if isinstance(node, list):
        return isinstance(key, int) and key < len(node)
    return isinstance(node, dict) or (node is None and not isinstance(path[-1], int))
