"""Where an image's tag is set: the file and line of the value, else of the template's `image:` line.

A render of a marked copy of the chart, which nobody deploys, shows both. Each value that may set a tag gets a mark of its own, and
the mark in a rendered image identifies its value. Each `image:` line of a template, and of a value that is a text with such lines,
gets a comment with its place, which is rendered beside the image.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from helmpin.chart.setargs import Setting, ValuePath, as_tree, dotted_key, lookup
from helmpin.chart.stage import Chart
from helmpin.errors import HelmFailed, Refused
from helmpin.image.manifest import ImageUse
from helmpin.image.reference import split
from helmpin.lint.finding import Location, inside
from helmpin.lint.values_files import ValuesFile
from helmpin.plan.candidates import ValueIndex, anchors, holding, in_scope, text_of
from helmpin.plan.search import scope_of
from helmpin.plan.template_scan import TAG_KEY, last_key
from helmpin.render.actions import actions
from helmpin.render.diff import Key
from helmpin.render.output import Render
from helmpin.yaml_position import Span, span

_IMAGE_KEY = re.compile(r"(image|repository|repo)$", re.IGNORECASE)
_MARK = re.compile(r"hp(\d+)x")
_IMAGE_LINE = re.compile(r"""(?:image|reference)["']?[ \t]*:""")
_COMMENT = re.compile(r" # helm-pin:(\d+):(\d+)")
_PRINTS = re.compile(r"\b(?:tpl|toYaml)\b|\.Files\b")
"""What prints lines that stand elsewhere."""
_LITERAL = re.compile(r"(?:[&!]\S*\s+)*\|")
"""The head of a literal block scalar, whose lines are those of its text (YAML 1.2, 8.1.2)."""
MOST_PATHS = 6
"""How many values to mark for one image."""


class Lines(NamedTuple):
    """A chart whose templates print the places of their `image:` lines."""

    chart: Chart
    texts: list[Setting]
    """Values that are texts with `image:` lines, with comments in them."""
    places: list[str | ValuePath]
    """The templates and the paths of those values, by the number in the comments."""


def locate(
    uses: Sequence[ImageUse],
    chart: Chart,
    values: Mapping[str, Any] | None,
    files: Sequence[ValuesFile],
    render: Callable[[Chart, Mapping[str, Any]], Render],
    name: str,
) -> dict[Key, Location]:
    """The place of each use.

    values: helm's computed values, if they are known. files: those that win come first. render: renders a chart with given values
    on top of all others. name: the chart as the user named it, which precedes the paths of its files.
    """
    lines = with_lines(chart, values or {})
    index = ValueIndex(_trimmed(values)) if values is not None else None
    paths = {use.key: list(_may_set(use, index)) if index else [] for use in uses}
    likely = list(dict.fromkeys(path for each in paths.values() for path in each))
    others = [path for use in uses for path in _other_values(use, index)] if index else []
    shown, marked = _rendered(lines, values or {}, [list(dict.fromkeys([*likely, *others])), likely], render)
    printed = list(shown.images()) if shown else []
    images = {use.key: use.image for use in printed}

    @cache
    def comment(use: ImageUse) -> tuple[str | ValuePath, int] | None:
        return _comment(use, shown, lines)

    @cache
    def taken(source: str) -> frozenset[object]:
        return frozenset(comment(use) for use in printed if use.source == source)

    unreal = [file.name for file in files if not file.is_file]
    found: dict[Key, Location] = {}
    for use in uses:
        path = _by_mark(images.get(use.key, ""), marked) if marked else next(iter(paths[use.key]), None)
        place, line = comment(use) or ("", 0)
        at = value_location(path, values or {}, files) if path else None
        if at is None and not isinstance(place, str):
            at = _line_of_value(place, line, values or {}, files)
        if at is None or at.file in unreal:
            if place and isinstance(place, str):
                there = Location(inside(name, place), line)
            else:
                there = _likely_line(use, chart, taken(use.source), name)
            at = at._replace(instead=(there.file, there.line)) if at else there
        found[use.key] = at
    return found


def _trimmed(node: Any) -> Any:
    """Values without white space around their texts, which YAML does not read as a part of an image either."""
    if isinstance(node, Mapping):
        return {key: _trimmed(value) for key, value in node.items()}
    if isinstance(node, list):
        return list(map(_trimmed, node))
    return node.strip() if isinstance(node, str) else node


def with_lines(chart: Chart, values: Mapping[str, Any]) -> Lines:
    """The chart with comments on the `image:` lines of its templates, and its values with comments on theirs."""
    places: list[str | ValuePath] = []
    changed: dict[str, str | None] = {}
    for path, text in chart.template_files().items():
        if _IMAGE_LINE.search(text):
            changed[path] = "\n".join(_commented(text, len(places)))
            places.append(path)
    texts = []
    for inner, text in _texts(values, ()):
        texts.append(Setting(inner, "\n".join(_commented(text, len(places)))))
        places.append(inner)
    return Lines(chart.with_files(changed), texts, places)


def _texts(node: Any, path: ValuePath) -> Iterator[tuple[ValuePath, str]]:
    """The values that are texts with `image:` lines, such as manifests or containers, and their paths."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _texts(value, (*path, key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _texts(value, (*path, number))
    elif isinstance(node, str) and _IMAGE_LINE.search(node):
        yield path, node


def _commented(text: str, place: int) -> Iterator[str]:
    """The lines of a template, with a comment at the end of each `image:` line. Where that is inside an action, or after one that
    trims what follows, the comment stands at the end of the next line where it can."""
    closed = [(action.start, action.end, action.trims_right) for action in actions(text)]
    start = due = 0
    for number, line in enumerate(text.split("\n"), 1):
        shown = line.rstrip()
        end = start + len(shown)
        due = number if _IMAGE_LINE.search(line) else due
        if due and not any(a < end < b or (end == b and trims) for a, b, trims in closed):
            yield f"{shown} # helm-pin:{place}:{due}{line[len(shown) :]}"
            due = 0
        else:
            yield line
        start += len(line) + 1


def _rendered(
    lines: Lines,
    values: Mapping[str, Any],
    tries: Iterable[list[ValuePath]],
    render: Callable[[Chart, Mapping[str, Any]], Render],
) -> tuple[Render | None, list[ValuePath]]:
    """The marked render, and the values that are marked in it: of the first of several tries with which the chart renders. A chart
    that checks its tags renders only without marks."""
    marks = [*dict.fromkeys(tuple(paths) for paths in tries if paths), ()]
    for texts in [lines.texts, []] if lines.texts else [[]]:
        for marked in marks:
            settings = [Setting(path, _mark(text_of(lookup(values, path)), n)) for n, path in enumerate(marked)]
            try:
                return render(lines.chart, as_tree([*settings, *texts], values)), list(marked)
            except HelmFailed:
                continue
    return None, []


def _mark(text: str, number: int) -> str:
    """A text with a mark, before the white space at its end."""
    shown = text.rstrip()
    return f"{shown}-hp{number}x{text[len(shown) :]}" if shown else f"hp{number}x"


def _may_set(use: ImageUse, index: ValueIndex) -> Iterator[ValuePath]:
    """The values whose keys say that they may set the tag of an image, most likely first."""
    found = dict.fromkeys(_likely(use, index))
    yield from list(found)[:MOST_PATHS]


def _other_values(use: ImageUse, index: ValueIndex) -> Iterator[ValuePath]:
    """The values that may set the tag of an image, whatever their keys say."""
    yield from holding(use.image, scope_of(use.source), index)[:MOST_PATHS]


def _likely(use: ImageUse, index: ValueIndex) -> Iterator[ValuePath]:
    scope = scope_of(use.source)
    tag = split(use.image)[1] or ""
    near = in_scope(list(anchors(use.image, index)), scope, index)
    beside: list[ValuePath] = []
    for anchor in near:
        if anchor.whole and (tag or _IMAGE_KEY.search(last_key(anchor.path))):
            yield anchor.path
        parent = lookup(index.tree, anchor.path[:-1])
        for name, held in parent.items() if isinstance(parent, dict) else ():
            if TAG_KEY.search(name) and not isinstance(held, (dict, list, bool)):
                beside.append((*anchor.path[:-1], name))
    yield from sorted(beside, key=lambda path: text_of(lookup(index.tree, path)) != tag)
    if tag:
        for path in index.at(tag):
            if TAG_KEY.search(last_key(path)) and (path[: len(scope)] == scope or path[0] == "global"):
                yield path


def _by_mark(image: str, marked: Sequence[ValuePath]) -> ValuePath | None:
    """The value whose mark appears in the image; the last one, because a reference ends with its tag."""
    numbers = _MARK.findall(image)
    return marked[int(numbers[-1])] if numbers and int(numbers[-1]) < len(marked) else None


def value_location(path: ValuePath, values: Mapping[str, Any], files: Iterable[ValuesFile]) -> Location | None:
    """Where the value at `path` stands in the file that gives it; None if no file does (`--set`), or if several documents of a file
    do."""
    wanted = text_of(lookup(values, path))
    for file in files:
        inner = file.inner(path)
        if inner is not None and file.is_unclear(inner):
            return None
        if inner is None or file.held_text(inner) != wanted:
            continue
        if at := span(file.text, inner):
            return Location(
                file=file.name,
                line=at.line,
                column=at.column,
                end_column=at.end_column,
                value=dotted_key(path),
                path=inner,
            )
    return None


def empty_tag_beside(file: ValuesFile, inner: ValuePath) -> ValuePath | None:
    """The path of a tag key without a value, beside a value in a file: helm's computed values do not contain it."""
    beside = file.held(inner[:-1]) if _IMAGE_KEY.search(last_key(inner)) else None
    empty = [name for name, value in beside.items() if value is None] if isinstance(beside, dict) else []
    return next(((*inner[:-1], name) for name in empty if TAG_KEY.search(name)), None)


def _line_of_value(
    path: ValuePath, line: int, values: Mapping[str, Any], files: Sequence[ValuesFile]
) -> Location | None:
    """Where a line of the text at `path` stands in the file that gives it, or where the text begins, if its lines are not those of
    the file. None if no file gives it."""
    at = value_location(path, values, files)
    if at is None:
        return None
    text = next(file.text for file in files if file.name == at.file)
    place = span(text, at.path)
    is_literal = place is not None and _LITERAL.match(text, place.start)
    return Location(at.file, at.line + line if is_literal else at.line, value=at.value)


def _likely_line(use: ImageUse, chart: Chart, taken: Collection[object], name: str) -> Location:
    """Where a use may be printed that has no comment: an `image:` line that no other use has, else what prints the lines of a value
    or a file, else the first `image:` line. taken: (template, line) of the other uses."""
    try:
        path = next(iter(chart.source_to_paths(use.source)), "") if use.source else ""
    except Refused:
        return Location(inside(name, use.source.partition("/")[2]))
    text = {**chart.template_files(), **chart.crd_files()}.get(path, "")
    numbered = list(enumerate(text.split("\n"), 1))
    found = [number for number, line in numbered if _IMAGE_LINE.search(line)]
    free = [number for number in found if (path, number) not in taken]
    exact = [number for number in free if use.image in text.split("\n")[number - 1]]
    printing = [number for number, line in numbered if _PRINTS.search(line)]
    return Location(inside(name, path) if path else name, next(iter(exact or free or printing or found), 1))


def _comment(use: ImageUse, shown: Render | None, lines: Lines) -> tuple[str | ValuePath, int] | None:
    """(template or value, line) from the comment that was rendered beside an image."""
    for document in shown.documents if shown else ():
        if (document.source, document.order) == (use.source, use.order):
            path = use.path[:-1] if str(use.path[-1]).startswith("#") else use.path
            for prefix in (path, ("items", use.nth, *path)):
                if at := span(document.text, prefix):
                    match = _COMMENT.search(_beside(document.text, at))
                    is_ours = match and int(match[1]) < len(lines.places)
                    return (lines.places[int(match[1])], int(match[2])) if match and is_ours else None
    return None


def _beside(text: str, at: Span) -> str:
    """What stands after a value, in the first line of a block (`>-`), on the next line if that is a comment, or on the line of the
    key if the value has another one."""
    *_, key, indent = ("", *text[: at.start].rsplit("\n", 2))
    if not indent.strip():
        return key
    line, _, following = text[at.start if text[at.start] in "|>" else at.end :].partition("\n")
    return line if line.strip() or not _COMMENT.match(f" {following.lstrip()}") else f" {following.lstrip()}"
