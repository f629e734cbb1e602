"""Where an image's tag is set: the file and line of the value, else of the template's `image:` line."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from helmpin.chart.setargs import Setting, ValuePath, dotted_key, lookup
from helmpin.chart.stage import Chart
from helmpin.chart.value_keys import REPOSITORY_KEY, TAG_KEY, last_key
from helmpin.errors import HelmFailed, HelmStopped, Refused
from helmpin.image.reference import split
from helmpin.image.uses import ImageUse, UseKey
from helmpin.lint.finding import Location, inside
from helmpin.lint.marks import IMAGE_LINE, MarkedCopy, Shown, marked_copies
from helmpin.lint.values_files import ValuesFile
from helmpin.render.actions import actions
from helmpin.render.output import Render
from helmpin.search import render_failure
from helmpin.search.anchors import anchors, holding, in_scope
from helmpin.search.value_index import ValueIndex, scope_of
from helmpin.shapes import text_of
from helmpin.yaml_position import span

_PRINTS = re.compile(r"\b(?:tpl|toYaml)\b|\.Files\b")
"""What prints lines that stand elsewhere."""
_LITERAL = re.compile(r"(?:[&!]\S*\s+)*\|")
"""The head of a literal block scalar, whose lines are those of its text (YAML 1.2, 8.1.2)."""
MOST_PATHS = 6
"""How many values to mark for one image."""


def locate(
    uses: Sequence[ImageUse],
    chart: Chart,
    values: Mapping[str, Any] | None,
    files: Sequence[ValuesFile],
    render: Callable[[Chart, Mapping[str, Any]], Render],
    name: str,
) -> dict[UseKey, Location]:
    """The place of each use.

    values: helm's computed values, if they are known. files: those that win come first. render: renders a chart with given values
    on top of all others. name: the chart as the user named it, which precedes the paths of its files.
    """
    index = ValueIndex(_trimmed(values)) if values is not None else None
    paths = {use.key: list(_may_set(use, index, files)) if index else [] for use in uses}
    likely = list(dict.fromkeys(path for each in paths.values() for path in each))
    others = [path for use in uses for path in _other_values(use, index)] if index else []
    known = values or {}
    copies = marked_copies(chart, known, [dict.fromkeys([*likely, *others]), likely])
    shown = _shown(copies, render, known, {scope_of(use.source) for use in uses})
    unreal = [file.name for file in files if not file.is_file]
    found: dict[UseKey, Location] = {}
    for use in uses:
        path = shown.value(use) if shown and shown.has_marks else next(iter(paths[use.key]), None)
        place, line = (shown and shown.line(use)) or ("", 0)
        at = value_location(path, known, files) if path else None
        if at is None and not isinstance(place, str):
            at = _line_of_value(place, line, known, files)
        if at is None or at.file in unreal:
            there = _template_line(use, chart, shown, name)
            at = at._replace(instead=(there.file, there.line)) if at else there
        found[use.key] = at
    return found


def _shown(
    copies: Iterable[MarkedCopy],
    render: Callable[[Chart, Mapping[str, Any]], Render],
    values: Mapping[str, Any],
    scopes: Collection[tuple[str, ...]],
) -> Shown | None:
    """What the first of several copies shows with which the chart renders: it is rendered as long as Helm's message blames marks,
    without these. scopes: of the charts that have images."""
    for whole in copies:
        copy, left = whole, list(whole.paths)
        while True:
            try:
                return Shown(copy, render(copy.chart, copy.values))
            except HelmStopped:
                raise
            except HelmFailed as error:
                blamed = _blamed(error.why, left, scopes)
            if not blamed or blamed == left:
                break
            copy, left = copy.without(blamed, values), [path for path in left if path not in blamed]
    return None


def _blamed(why: str, paths: Iterable[ValuePath], scopes: Collection[tuple[str, ...]]) -> list[ValuePath]:
    """The marked values that a message names, or else those of the subcharts whose templates it names."""
    named = [path for path in paths if render_failure.names_value(why, Setting(path, ""), scopes)]
    failing = [scope for scope in render_failure.scopes_of(why) if scope]
    return named or [path for path in paths if any(path[: len(scope)] == scope for scope in failing)]


def _trimmed(node: Any) -> Any:
    """Values without white space around their texts, which YAML does not read as a part of an image either."""
    if isinstance(node, Mapping):
        return {key: _trimmed(value) for key, value in node.items()}
    if isinstance(node, list):
        return list(map(_trimmed, node))
    return node.strip() if isinstance(node, str) else node


def _may_set(use: ImageUse, index: ValueIndex, files: Sequence[ValuesFile]) -> Iterator[ValuePath]:
    """The values whose keys say that they may set the tag of an image, most likely first."""
    found = dict.fromkeys(_likely(use, index, files))
    yield from list(found)[:MOST_PATHS]


def _other_values(use: ImageUse, index: ValueIndex) -> Iterator[ValuePath]:
    """The values that may set the tag of an image, whatever their keys say."""
    yield from holding(use.image, scope_of(use.source), index)[:MOST_PATHS]


def _likely(use: ImageUse, index: ValueIndex, files: Sequence[ValuesFile]) -> Iterator[ValuePath]:
    scope = scope_of(use.source)
    tag = split(use.image)[1] or ""
    near = in_scope(list(anchors(use.image, index)), scope)
    beside: list[ValuePath] = []
    for anchor in near:
        if anchor.whole and (tag or REPOSITORY_KEY.search(last_key(anchor.path))):
            yield anchor.path
        parent = lookup(index.tree, anchor.path[:-1])
        for name, held in parent.items() if isinstance(parent, dict) else ():
            if _names_tag(name) and not isinstance(held, (dict, list, bool)):
                beside.append((*anchor.path[:-1], name))
        beside += _empty_tags(anchor.path, files)
    yield from sorted(beside, key=lambda path: text_of(lookup(index.tree, path)) != tag)
    if tag:
        for path in index.at(tag):
            if _names_tag(last_key(path)) and (path[: len(scope)] == scope or path[0] == "global"):
                yield path


def _names_tag(key: str) -> bool:
    """Whether a key may be that of a tag. One of a version that the chart compares must keep its form, so it gets no mark."""
    return bool(TAG_KEY.search(key)) and key not in ("apiVersion", "kubeVersion")


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


def _empty_tags(path: ValuePath, files: Iterable[ValuesFile]) -> Iterator[ValuePath]:
    """The tag keys without a value that files have beside the one at a path."""
    for file in files:
        if (inner := file.inner(path)) and (empty := empty_tag_beside(file, inner)):
            yield (*path[: len(path) - len(inner)], *empty)


def empty_tag_beside(file: ValuesFile, inner: ValuePath) -> ValuePath | None:
    """The path of a tag key without a value, beside a value in a file: helm's computed values do not contain it."""
    beside = file.held(inner[:-1]) if REPOSITORY_KEY.search(last_key(inner)) else None
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


def _template_line(use: ImageUse, chart: Chart, shown: Shown | None, name: str) -> Location:
    """The line of a template that prints a use: that of its comment, or else a likely one."""
    place, line = (shown and shown.line(use)) or ("", 0)
    if not (place and isinstance(place, str)):
        return _likely_line(use, chart, shown.taken(use.source) if shown else (), name)
    texts = chart.template_files()
    if use.image not in texts[place].split("\n")[line - 1]:  # perhaps that of a helper, which is given the image
        with suppress(Refused):
            place, line = _given_to_helper(use, chart, texts) or (place, line)
    return Location(inside(name, place), line)


def _given_to_helper(use: ImageUse, chart: Chart, texts: Mapping[str, str]) -> tuple[str, int] | None:
    """The template of a use and its line, if an action there has the image as a text."""
    path = _template(use, chart)
    text, literal = texts.get(path, ""), f'"{use.image}"'
    starts = (action.start + action.code.index(literal) for action in actions(text) if literal in action.code)
    return next(((path, text.count("\n", 0, start) + 1) for start in starts), None)


def _template(use: ImageUse, chart: Chart) -> str:
    """The path of the template or CRD that a use is printed by; '' if it is not known. Raises Refused for another chart's."""
    return next(iter(chart.source_to_paths(use.source)), "") if use.source else ""


def _likely_line(use: ImageUse, chart: Chart, taken: Collection[object], name: str) -> Location:
    """Where a use may be printed that has no comment: an `image:` line that no other use has, else what prints the lines of a value
    or a file, else the first `image:` line; and for no image the container's name. taken: (template, line) of the other uses."""
    try:
        path = _template(use, chart)
    except Refused:
        return Location(inside(name, use.source.partition("/")[2]))
    text = {**chart.template_files(), **chart.crd_files()}.get(path, "")
    if given := _given_to_helper(use, chart, {path: text}):
        return Location(inside(name, path), given[1])
    numbered = list(enumerate(text.split("\n"), 1))
    container = re.compile(rf"\bname:\s*[\"']?{re.escape(use.container)}[\"']?\s*(?:[#,}}]|$)")
    if not use.image and (named := [number for number, line in numbered if container.search(line)]):
        return Location(inside(name, path), named[0])
    found = [number for number, line in numbered if IMAGE_LINE.search(line)]
    free = [number for number in found if (path, number) not in taken]
    exact = [number for number in free if use.image in text.split("\n")[number - 1]]
    printing = [number for number, line in numbered if _PRINTS.search(line)]
    return Location(inside(name, path) if path else name, next(iter(exact or free or printing or found), 1))
