"""Where a value stands in YAML text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import yaml
from yaml._yaml import CParser
from yaml.composer import Composer, ComposerError
from yaml.events import AliasEvent
from yaml.resolver import Resolver

from helmpin.named_tuple import NamedTuple


class Span(NamedTuple):
    """Where a scalar or an alias stands: offsets in the text, and line and columns from 1."""

    start: int
    end: int
    is_alias: bool
    line: int
    column: int
    end_column: int
    """0 if it ends on another line."""


@lru_cache(maxsize=4)
def compose(text: str) -> yaml.Node | None:
    """The nodes of the first document, which is all that Helm reads of a file. They are cached, because one text is searched for
    several places, so do not change them. Raises yaml.YAMLError."""
    try:
        return _compose(text, yaml.CSafeLoader)
    except ComposerError:
        return _compose(text, _Loader)


def _compose(text: str, kind: type[yaml.CSafeLoader | _Loader]) -> yaml.Node | None:
    loader = kind(text.encode(errors="replace").decode())  # bytes that are not UTF-8 are surrogates, one character each
    try:
        node: yaml.Node | None = loader.get_node() if loader.check_node() else None
        return node
    finally:
        loader.dispose()


class _Loader(Composer, CParser, Resolver):
    """Takes an anchor that is given twice as YAML does (1.2, 3.2.2.2): an alias means the last one before it."""

    def __init__(self, text: str) -> None:
        CParser.__init__(self, text)
        Composer.__init__(self)
        Resolver.__init__(self)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """The node of the next event; called by PyYAML."""
        event: Any = self.peek_event()
        if not isinstance(event, AliasEvent):
            self.anchors.pop(event.anchor, None)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def span(text: str, path: Sequence[str | int]) -> Span | None:
    """The place of the scalar or alias at `path`; None if there is none. What is inside an aliased or merged map or list stands at
    its anchor."""
    try:
        node = compose(text)
    except yaml.YAMLError:
        return None
    above: yaml.Node | None = None
    for part in path:
        found = child(node, part)
        if found is None:
            return None
        above, node = found
    if not isinstance(node, yaml.ScalarNode):
        return None
    start, end = index(node.start_mark), index(node.end_mark)
    after_key = index(above.end_mark) if above is not None else 0
    alias = re.compile(r"[\s:]*(\*[^\s,\]}]+)").match(text, after_key) if start < after_key else None
    if alias:
        line = text.count("\n", 0, alias.start(1)) + 1
        column = alias.start(1) - text.rfind("\n", 0, alias.start(1))
        return Span(
            start=alias.start(1),
            end=alias.end(1),
            is_alias=True,
            line=line,
            column=column,
            end_column=column + len(alias[1]),
        )
    first, last = node.start_mark, node.end_mark
    end_column = last.column + 1 if first.line == last.line else 0
    return Span(
        start=start, end=end, is_alias=False, line=first.line + 1, column=first.column + 1, end_column=end_column
    )


def child(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node | None, yaml.Node] | None:
    """(key, value) of a map, including merged keys, or (None, element) of a list; None if there is no such part."""
    if isinstance(node, yaml.SequenceNode):
        return (None, node.value[part]) if isinstance(part, int) and part < len(node.value) else None
    if not isinstance(node, yaml.MappingNode):
        return None
    own = [(k, v) for k, v in node.value if isinstance(k, yaml.ScalarNode) and k.value == str(part)]
    if own:
        return own[-1]
    merged = [v for k, v in node.value if k.tag == "tag:yaml.org,2002:merge"]
    maps = [m for v in merged for m in (v.value if isinstance(v, yaml.SequenceNode) else [v])]
    return next((found for m in maps if (found := child(m, part))), None)


def index(mark: Any) -> int:
    """A mark's offset in the text."""
    return int(mark.index)
