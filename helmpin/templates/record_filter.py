"""Keeping the record out of the manifest: templates that print all annotations of Chart.yaml would print it too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from helmpin.asked import ANNOTATION
from helmpin.render.actions import actions, rewritten

_ALL = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\])*"|`[^`]*`|'(?:\\.|[^'\\])*')|(?<![\w.$)])(?P<all>(?:\$\w*)?(?:\.\w+)*\.Chart\.Annotations)(?![\w.]|\s+["`])"""
)
"""All annotations, not a single one by name; or a string, in which nothing is changed."""

_WHOLE = re.compile(
    r"""\.Chart\b(?!\.\w)|\)\.Chart\.Annotations(?![\w.])|["`]Chart["`]"""
    r"""|\b(?:to[A-Z]\w+|print(?:f|ln)?|s?quote|cat)\b[^|()]*?\s[.$](?![\w.])|[({]-?\s*[.$]\s*\|\s*(?:to[A-Z]\w+|print|s?quote|cat)\b"""
)
"""The chart's metadata as a whole, or all that a template knows, which contains it."""


def filter_record(templates: Mapping[str, str], *, has_annotations: bool = True) -> dict[str, str]:
    """The templates (path → text) that print all annotations, changed to leave out the record.

    has_annotations: whether the chart has annotations of its own; if not, its templates must see null.
    """
    filtered: dict[str, str] = {}
    for path, text in templates.items():
        if ".Chart.Annotations" in text:
            changed = rewritten(text, lambda action: _ALL.sub(lambda match: _without(match, has_annotations), action))
            if changed != text:
                filtered[path] = changed
    return filtered


def may_expose_record(texts: Iterable[str]) -> bool:
    """Whether a template reads the chart's metadata as a whole, or may print all that it knows, or has a string with all
    annotations that `tpl` may evaluate: and so perhaps prints the record."""
    return any(_WHOLE.search(text) or any(map(_names_all, _strings(text))) for text in texts)


def _names_all(string: str) -> bool:
    return any(match["all"] for match in _ALL.finditer(string[1:-1]))


def _strings(text: str) -> Iterator[str]:
    """The strings in the actions of a template that name the annotations."""
    for action in actions(text) if ".Chart.Annotations" in text else ():
        yield from (match["text"] for match in _ALL.finditer(action.code) if match["text"])


def _without(match: re.Match[str], has_annotations: bool) -> str:
    """The expression for annotations without the record; those of another chart, which has no record, stay as they are."""
    if match["text"] is not None:
        return match["text"]
    all_ = match["all"]
    read = f"(fromJson (toJson {all_}))"
    own = f'(omit {read} "{ANNOTATION}")' if has_annotations else '(fromJson "null")'
    return f'(index (dict "true" {own} "false" {all_}) (toString (hasKey {read} "{ANNOTATION}")))'
