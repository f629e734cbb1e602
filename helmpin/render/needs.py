"""What a render needs to know besides the chart and the values: what templates ask for, as far as their text shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Any

from helmpin.chart.stage import Chart
from helmpin.render.actions import STRING, TPL, actions, any_matches, whole_word

_ACTION = re.compile(r"\{\{.*?\}\}", re.DOTALL)
"""A possible action in a file of another format, whose quotes are not those of a template."""
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*", re.MULTILINE)
"""A comment of a values file."""
_LOOKS_FOR = re.compile(r'\bcontains\s+["`]\{\{["`]')
_ASKS = (
    *map(whole_word, ("Capabilities", "lookup", "getHostByName")),
    whole_word("Release", r"(?!\.(?:Name|Namespace|Service)\b)"),
)
"""What `helm template` cannot know by itself: the cluster, and the release except its name, namespace and service."""
_ASKS_RELEASE = (whole_word("Release", r"(?!\.(?:Name|Namespace|Service|IsInstall|IsUpgrade)\b)"),)
"""What no flag of `helm template` can supply: the revision, or what can be any part of the release."""


class Needs(IntEnum):
    """What a render needs to know in addition to the chart and the values."""

    NOTHING = 0
    CLUSTER = 1
    """The cluster, or whether there is a release to upgrade."""
    RELEASE = 2
    """What only the running upgrade knows: the revision."""


def needs(chart: Chart, values: Iterable[Mapping[str, Any]]) -> Needs:
    """What the render of a chart may depend on. Values and files count if a template evaluates text (`tpl`)."""
    templates = chart.template_files()
    values = list(values)

    def asks(patterns: tuple[re.Pattern[str], ...]) -> bool:
        if any(any_matches(text, pattern) for text in templates.values() for pattern in patterns):
            return True
        if not evaluates_text(templates):
            return False
        given = [text for tree in values for text in texts(tree)]
        if any(_may_ask(text, pattern) for text in (*given, *chart.other_files()) for pattern in patterns):
            return True
        defaults = (_COMMENT.sub("", text) for _, _, text in chart.values_files())
        found = (pattern.search(text) for text in (*given, *defaults) for pattern in patterns)
        return any(found) and _makes_actions(templates)

    if not asks(_ASKS):
        return Needs.NOTHING
    return Needs.RELEASE if asks(_ASKS_RELEASE) else Needs.CLUSTER


def evaluates_text(templates: Mapping[str, str]) -> bool:
    """Whether a template (path → text) may evaluate text of values and files, as `tpl` does."""
    return any(map(TPL.search, templates.values()))


def _makes_actions(templates: Mapping[str, str]) -> bool:
    """Whether a template may make actions of text without braces: one of its strings has them, `printf "{{ %s }}" .Values.when`.
    Searching for braces does not count."""
    return any(
        any("{{" in string for string in STRING.findall(_LOOKS_FOR.sub("", action.code)))
        for text in templates.values()
        for action in actions(text)
    )


def _may_ask(text: str, pattern: re.Pattern[str]) -> bool:
    """Whether a text that is not a template asks for something, as a whole or in strings of its own format."""
    return (
        "{{" in text
        and pattern.search(text) is not None
        and (any_matches(text, pattern) or any(map(pattern.search, _ACTION.findall(text))))
    )


def texts(node: Any) -> Iterator[str]:
    """The strings in a tree of values."""
    if isinstance(node, (dict, list)):
        for child in node.values() if isinstance(node, dict) else node:
            yield from texts(child)
    elif isinstance(node, str):
        yield node
