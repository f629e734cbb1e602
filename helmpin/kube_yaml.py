"""YAML as Helm and Kubernetes read it: sigs.k8s.io/yaml, which is go-yaml v2 turned into JSON. The parser is libyaml.

PyYAML's own loaders differ: dates become objects, or a ValueError if there is no such day; `1:30` is 90; `=` and unknown tags are
errors; keys may be numbers; a key beats a merge that comes after it.
"""

from __future__ import annotations

import math
import re
import struct
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import yaml
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from helmpin.errors import HelmFailed

MAX_DEPTH = 200
"""How deep a document may nest. Helm allows 10,000, but the code here that walks objects is recursive."""
MAX_ALIASED = 400_000
"""How many nodes the aliases of a document may expand to; go-yaml has about the same limit (decode.go, allowedAliasRatio)."""
_TAG = "tag:yaml.org,2002:"
_TAGGED: dict[str, tuple[type, ...]] = {
    _TAG + "int": (int,),
    _TAG + "float": (float, int),
    _TAG + "bool": (bool,),
    _TAG + "null": (type(None),),
    _TAG + "timestamp": (str,),
}
_MEANINGS = (
    *((word, True) for word in ("y", "yes", "true", "on")),
    *((word, False) for word in ("n", "no", "false", "off")),
    *((word, None) for word in ("", "~", "null")),
    *((word, math.inf) for word in (".inf", "+.inf")),
    ("-.inf", -math.inf),
)
_WORDS: dict[str, Any] = {
    **{form: meaning for word, meaning in _MEANINGS for form in (word, word.title(), word.upper())},
    **dict.fromkeys([".nan", ".NaN", ".NAN"], math.nan),
}
_INTEGER = re.compile(r"([+-]?)(?:0[xX]([0-9a-fA-F]+)|0[oO]?([0-7]+)|0[bB]([01]+)|(0|[1-9][0-9]{0,19}))")
_SIGN_AFTER_PREFIX = re.compile(r"0b([+-][01]{1,63})")
_FLOAT = re.compile(r"[+-]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][+-]?[0-9]+)?")
_POINT_FIRST = re.compile(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][+-]?[0-9]+(?:_[0-9]+)*)?")
_UNFINISHED = object()
"""What an anchor stands for while its own value is being read."""


class _Invalid(Exception):
    """What is wrong with a document."""

    def __init__(self, event: Any, problem: str) -> None:
        super().__init__(f"line {event.start_mark.line + 1}: {problem}")


def read_all(text: str | bytes, *, what: str, where: str, hint: str = "") -> list[Any]:
    """The documents of a stream. Raises HelmFailed(what, where=where, hint=hint)."""
    return list(_documents(text, what, where, hint))


def read_first(text: str | bytes, *, what: str, where: str) -> Any:
    """The first document of a stream, which is all that Helm reads of a chart's files; None if there is none.

    Raises HelmFailed(what, where=where).
    """
    return next(_documents(text, what, where), None)


def read_only(text: str | bytes, *, what: str, where: str) -> Any:
    """The only document of a file that people write for helm-pin; None if there is none. A second document is an error, and so is a
    key that a mapping repeats, although go-yaml v2 accepts both: the file must have one meaning.

    Raises HelmFailed(what, where=where), with the line.
    """
    return next(_documents(text, what, where, only=True), None)


def _documents(text: str | bytes, what: str, where: str, hint: str = "", *, only: bool = False) -> Iterator[Any]:
    try:
        reader = _Reader(text, unique=only)
        found: list[Any] = []
        while not isinstance(event := reader.next(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                if only and found:
                    raise _Invalid(event, "a second YAML document begins, and only one is read")
                found = [reader.document()]
                if not only:
                    yield found[0]
        yield from found if only else ()
        return
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = f"line {mark.line + 1}: {error.problem}" if mark else str(error.problem)
    except UnicodeEncodeError:
        why = "it is not UTF-8"
    except (yaml.YAMLError, _Invalid) as error:
        why = str(error)
    raise HelmFailed(what, where=where, why=why, hint=hint)


class _Reader:
    """Builds the objects of a stream from libyaml's events. Mutable."""

    def __init__(self, text: str | bytes, *, unique: bool = False) -> None:
        """unique: whether a mapping's keys must be."""
        self.next = CParser(text).get_event
        self._unique = unique

    def document(self) -> Any:
        self._anchors: dict[str, Any] = {}
        self._sizes: dict[str, int] = {}
        self._nodes = self._aliased = 0
        value = self._value(self.next(), 0)
        self.next()  # the document's end: the parser raises an error for anything else
        return value

    def _value(self, event: Any, depth: int, *, key: bool = False) -> Any:
        """The value that begins with `event`."""
        kind, before = type(event), self._nodes
        if kind is AliasEvent:
            return self._alias(event)
        self._nodes += 1
        if kind is ScalarEvent:
            value = _scalar(event)
            if type(value) is float and not key and not math.isfinite(value):
                value = event.value  # JSON has no such number: helm template prints it, but no cluster accepts it
        elif depth == MAX_DEPTH:
            raise _Invalid(event, f"nested more than {MAX_DEPTH} levels deep")
        else:
            if event.anchor:
                self._anchors[event.anchor] = _UNFINISHED
            value = self._mapping(depth + 1) if kind is MappingStartEvent else self._sequence(depth + 1)
        if event.anchor:
            self._anchors[event.anchor] = value
            self._sizes[event.anchor] = self._nodes - before
        return value

    def _alias(self, event: Any) -> Any:
        value = self._anchors.get(event.anchor, self)
        if value is self:
            raise _Invalid(event, f"unknown anchor '{event.anchor}' referenced")
        if value is _UNFINISHED:
            raise _Invalid(event, f"anchor '{event.anchor}' value contains itself")
        size = self._sizes[event.anchor]
        self._nodes += size
        self._aliased += size
        if self._aliased > MAX_ALIASED:
            raise _Invalid(event, "document contains excessive aliasing")
        return value

    def _sequence(self, depth: int) -> list[Any]:
        found = []
        while type(event := self.next()) is not SequenceEndEvent:
            found.append(self._value(event, depth))
        return found

    def _mapping(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        own: set[str] = set()
        while type(event := self.next()) is not MappingEndEvent:
            value = self._value(event, depth, key=True)
            if value == "<<" and _is_merge(event):
                merged = self._value(self.next(), depth)
                for each in reversed(merged if isinstance(merged, list) else [merged]):
                    if not isinstance(each, dict):
                        raise _Invalid(event, "map merge requires map or sequence of maps as the value")
                    found.update(each)
            else:
                key = value if type(value) is str else _key(value, event)
                if self._unique and key in own:
                    raise _Invalid(event, f"the key {key!r} is repeated")
                own.add(key)
                found[key] = self._value(self.next(), depth)
        return found


def _is_merge(event: Any) -> bool:
    return type(event) is ScalarEvent and (event.implicit[0] or event.tag == _TAG + "merge")


def _scalar(event: Any) -> Any:
    text, tag = event.value, event.tag
    if tag is None:
        value = plain(text) if event.implicit[0] else text
    elif tag in _TAGGED:
        value = plain(text)
        if type(value) not in _TAGGED[tag]:
            raise _Invalid(event, f"cannot decode `{text}` as a !!{tag.removeprefix(_TAG)}")
        if tag == _TAG + "float":
            value = float(value)
    elif tag == _TAG + "binary":
        try:
            value = b64decode(text.replace("\n", ""), validate=True).decode(errors="replace")
        except ValueError:
            raise _Invalid(event, "!!binary value contains invalid base64 data") from None
    else:  # a string, or a tag that go-yaml ignores
        value = text
    return value


def plain(text: str) -> Any:
    """The value of a scalar without quotes or a tag (go-yaml v2, resolve.go)."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "+-0123456789":
        return _number(text.replace("_", ""), text)
    return _float(text.replace("_", ""), text) if _POINT_FIRST.fullmatch(text) else text


def _number(digits: str, text: str) -> int | float | str:
    """An integer of at most 64 bits, else a float, else the text itself."""
    if match := _INTEGER.fullmatch(digits):
        sign, *forms = match.groups()
        value = next(int(sign + form, base) for base, form in zip((16, 8, 2, 10), forms, strict=True) if form)
        if -(1 << 63) <= value < (1 << (63 if sign else 64)):
            return value
    if _FLOAT.fullmatch(digits):
        return _float(digits, text)
    match = _SIGN_AFTER_PREFIX.fullmatch(digits)
    return int(match[1], 2) if match else text


def _float(digits: str, text: str) -> float | str:
    value = float(digits)
    return value if math.isfinite(value) else text


def _key(value: Any, event: Any) -> str:
    """A mapping's key as the string that JSON needs."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return _short_float(value)
    if isinstance(value, int) and value < 1 << 63:
        return str(value)
    raise _Invalid(event, "a key must be a string, a number or a boolean")


def _short_float(value: float) -> str:
    """As strconv.FormatFloat(value, 'g', -1, 32) writes it."""
    single = _single(value)
    if not math.isfinite(single):
        return {math.inf: ".inf", -math.inf: "-.inf"}.get(single, ".nan")
    texts = (f"{single:.{precision}e}" for precision in range(9))
    shortest = next(text for text in texts if _single(float(text)) == single)
    mantissa, _, exponent = shortest.partition("e")
    if -4 <= int(exponent) < 6:
        return f"{float(shortest):.{max(len(mantissa.lstrip('-').replace('.', '')) - 1 - int(exponent), 0)}f}"
    return shortest


def _single(value: float) -> float:
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)
