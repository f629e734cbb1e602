"""Whether two values hold the same in another order, as a template prints them that lists a map as it comes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from helmpin.image.find import ObjectPath
from helmpin.render.differences import PINNED

COMMANDS = (("command",), ("args",))
"""The lists of arguments (core/v1, Container), in which only flags may stand in any order."""
_BETWEEN = (r"[,;]", r"\s+(?=-)", r"\s+", r"[|&]", r"[/+]", r"-", r"[._]")
"""What may separate the items of a list on a line; the first of these found there counts."""
_QUOTES = re.compile(r"""["'\[\](){}]+""")
_SECTION = re.compile(r"\[[^\[\]]*\]")
_LATEST = re.compile(r":latest(?![\w.-])")
"""What a pin adds to an image without a tag."""
_ANY = object()


def form(value: Any, path: ObjectPath, varies: Callable[[ObjectPath], bool]) -> Hashable:
    """A form of a value that is the same for all orders of what its lists and texts hold. What belongs together stays together: an
    item of a list, a flag and its value, a line of a text and the lines above it that are indented less.

    path: where the value stands. varies: whether the value at a path is to be ignored. Digests of references always are.
    """
    if varies(path):
        return _ANY
    if isinstance(value, dict):
        return dict, _bag((_text(str(key)), form(each, (*path, key), varies)) for key, each in value.items())
    if isinstance(value, list):
        forms = [form(each, (*path, index), varies) for index, each in enumerate(value)]
        return (list, *_command(value, forms)) if path[-1:] in COMMANDS else (list, _bag(forms))
    return _text(value) if isinstance(value, str) else (type(value), value)


def _command(arguments: list[Any], forms: list[Hashable]) -> tuple[Hashable, Hashable]:
    """The flags of a command, each with its value, in any order, and its other arguments in theirs."""
    flags: list[list[Hashable]] = []
    others: list[Hashable] = []
    takes_value = False
    for argument, shape in zip(map(str, arguments), forms, strict=True):
        is_flag = argument.startswith("-")
        if is_flag:
            flags.append([shape])
        else:
            (flags[-1] if takes_value else others).append(shape)
        takes_value = is_flag and "=" not in argument
    return _bag(map(tuple, flags)), tuple(others)


def _bag(items: Any) -> Hashable:
    return frozenset(Counter(items).items())


class _Line(NamedTuple):
    indent: int
    items: Hashable
    below: list[_Line]
    """The lines that are indented more."""

    def form(self) -> Hashable:
        return self.items, _bag(line.form() for line in self.below)


def _text(text: str) -> Hashable:
    """The lines of a text, each with those below it."""
    root = _Line(-2, (), [])
    above = [root]
    for line in _LATEST.sub("", PINNED.sub(r"\1", text)).splitlines():
        words = line.strip()
        is_section = _SECTION.fullmatch(words)  # of an INI or TOML file: what follows is in it, though not indented
        indent = -1 if is_section else len(line) - len(line.lstrip())
        while above[-1].indent >= indent:
            above.pop()
        above[-1].below.append(_Line(indent, _items(words), []))
        above.append(above[-1].below[-1])
    return root.form()


def _items(line: str) -> Hashable:
    """What a line lists, with the key before it."""
    line = _QUOTES.sub("", line).strip().rstrip(",;")
    between = next((each for each in _BETWEEN if re.search(each, line)), r"\Z")
    first, *others = map(str.strip, re.split(between, line))
    key = re.match(r"(.*?[:=])\s*", first)
    if key and others and not any(re.search(r"[:=]", each) for each in others):
        return key[1], _bag([first[key.end() :], *others])
    return _bag([first, *others])
