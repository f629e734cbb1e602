"""A marked copy of a chart, which nobody deploys: its render shows where the images come from.

Each value that may set a tag gets a mark of its own, and the mark in a rendered image identifies its value. Each `image:` line of a
template, and of a value that is a text with such lines, gets a comment with its place, which is rendered beside the image.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from helmpin.chart.setargs import Setting, ValuePath, as_tree, lookup
from helmpin.chart.stage import Chart
from helmpin.image.uses import ImageUse, UseKey
from helmpin.named_tuple import NamedTuple
from helmpin.render.actions import actions
from helmpin.render.output import Render
from helmpin.shapes import text_of
from helmpin.yaml_position import Span, span

IMAGE_LINE = re.compile(r"""(?:image|reference)["']?[ \t]*:(?!=)""")
_MARK = re.compile(r"hp(\d+)x")
_COMMENT = re.compile(r" # helm-pin:(\d+):(\d+)")

Place = str | ValuePath
"""What has lines: a template (its path in the chart), or a value that is a text."""


class MarkedCopy(NamedTuple):
    """A chart and values that print marks."""

    chart: Chart
    """With comments in its templates."""
    values: Mapping[str, Any]
    """To be given on top of all others: those with marks or comments."""
    paths: tuple[ValuePath, ...]
    """The values that have a mark, by its number."""
    places: tuple[Place, ...]
    """By the number in the comments."""

    def without(self, some: Iterable[ValuePath], values: Mapping[str, Any]) -> MarkedCopy:
        """The same without the marks of some values. values: helm's computed ones."""
        unmarked = deepcopy(dict(self.values))
        for path in some:
            lookup(unmarked, path[:-1])[path[-1]] = lookup(values, path)
        return self._replace(values=unmarked)


def marked_copies(
    chart: Chart, values: Mapping[str, Any], tries: Sequence[Iterable[ValuePath]]
) -> Iterator[MarkedCopy]:
    """Copies to render, until one does: a chart that checks its tags renders only without marks.

    values: helm's computed ones. tries: the values to mark, from most to fewest; none are the last try.
    """
    places: list[Place] = []
    templates: dict[str, str] = {}
    for path, text in chart.template_files().items():
        if IMAGE_LINE.search(text):
            templates[path] = "\n".join(_commented(text, len(places)))
            places.append(path)
    texts = []
    for inner, text in _texts(values, ()):
        texts.append(Setting(inner, "\n".join(_commented(text, len(places)))))
        places.append(inner)
    with_comments = chart.with_files(templates)
    for some in [texts, []] if texts else [[]]:
        for paths in dict.fromkeys([*filter(None, map(tuple, tries)), ()]):
            marks = [Setting(path, _mark(text_of(lookup(values, path)), n)) for n, path in enumerate(paths)]
            yield MarkedCopy(with_comments, as_tree([*marks, *some], values), paths, tuple(places))


def _mark(text: str, number: int) -> str:
    """A text with a mark, before the white space at its end."""
    shown = text.rstrip()
    return f"{shown}-hp{number}x{text[len(shown) :]}" if shown else f"hp{number}x"


def _texts(node: Any, path: ValuePath) -> Iterator[tuple[ValuePath, str]]:
    """The values that are texts with `image:` lines, such as manifests or containers, and their paths."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _texts(value, (*path, key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _texts(value, (*path, number))
    elif isinstance(node, str) and IMAGE_LINE.search(node):
        yield path, node


def _commented(text: str, place: int) -> Iterator[str]:
    """The lines of a template, with a comment at the end of each `image:` line. Where that is inside an action, or after one that
    trims what follows, the comment stands at the end of the next line where it can."""
    found = list(actions(text))
    closed = [(action.start, action.end, action.trims_right) for action in found]
    silent = [(action.start, action.end) for action in found if not action.code]
    start = due = 0
    for number, line in enumerate(text.split("\n"), 1):
        shown = line.rstrip()
        end = start + len(shown)
        if any(not any(a <= start + at.start() < b for a, b in silent) for at in IMAGE_LINE.finditer(line)):
            due = number
        if due and not any(a < end < b or (end == b and trims) for a, b, trims in closed):
            yield f"{shown} # helm-pin:{place}:{due}{line[len(shown) :]}"
            due = 0
        else:
            yield line
        start += len(line) + 1


class Shown:
    """What the render of a marked copy shows. Mutable: it remembers the lines that it has found."""

    def __init__(self, copy: MarkedCopy, render: Render) -> None:
        self._copy, self._render = copy, render
        self._uses = {use.key: use for use in render.images()}
        self._lines: dict[UseKey, tuple[Place, int] | None] = {}
        self._taken: dict[str, frozenset[tuple[Place, int] | None]] = {}

    @property
    def has_marks(self) -> bool:
        """Whether any value has a mark."""
        return bool(self._copy.paths)

    def value(self, use: ImageUse) -> ValuePath | None:
        """The value whose mark appears in an image; the last one, because a reference ends with its tag."""
        numbers = _MARK.findall(self._uses[use.key].image) if use.key in self._uses else []
        known = numbers and int(numbers[-1]) < len(self._copy.paths)
        return self._copy.paths[int(numbers[-1])] if known else None

    def line(self, use: ImageUse) -> tuple[Place, int] | None:
        """The place and line in the comment that was rendered beside an image."""
        if use.key not in self._lines:
            self._lines[use.key] = self._commented_line(use)
        return self._lines[use.key]

    def taken(self, source: str) -> frozenset[tuple[Place, int] | None]:
        """The lines of all images that one template printed."""
        if source not in self._taken:
            self._taken[source] = frozenset(self.line(use) for use in self._uses.values() if use.source == source)
        return self._taken[source]

    def _commented_line(self, use: ImageUse) -> tuple[Place, int] | None:
        for document in self._render.documents:
            if (document.source, document.order) == (use.source, use.order):
                path = use.path[:-1] if str(use.path[-1]).startswith("#") else use.path
                for prefix in (path, ("items", use.nth, *path)):
                    if at := span(document.text, prefix):
                        match = _COMMENT.search(_beside(document.text, at))
                        is_ours = match and int(match[1]) < len(self._copy.places)
                        return (self._copy.places[int(match[1])], int(match[2])) if match and is_ours else None
        return None


def _beside(text: str, at: Span) -> str:
    """What stands after a value, in the first line of a block (`>-`), on the next line if that is a comment, or on the line of the
    key if the value has another one."""
    *_, key, indent = ("", *text[: at.start].rsplit("\n", 2))
    if not indent.strip():
        return key
    line, _, following = text[at.start if text[at.start] in "|>" else at.end :].partition("\n")
    return line if line.strip() or not _COMMENT.match(f" {following.lstrip()}") else f" {following.lstrip()}"
