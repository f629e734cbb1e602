"""Where two renders of a document differ: in their leaves, and in the text around these."""

from __future__ import annotations

import re
from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from helmpin.image.documents import Document, kind_and_name
from helmpin.image.find import dotted
from helmpin.image.uses import UseKey
from helmpin.named_tuple import NamedTuple

Leaf = UseKey
"""(source, order, object, path) of one scalar in a render; of an image, the key of its use."""
NAMING = frozenset(
    {
        "metadata",
        "labels",
        "annotations",
        "selector",
        "matchLabels",
        "matchExpressions",
        "name",
        "claimName",
        "nodeName",
        "secretName",
        "generateName",
        "namespace",
        "hostname",
        "subdomain",
        "serviceName",
        "subPath",
        "subPathExpr",
        "mountPath",
    }
)
"""Keys whose values name or select things. Nothing may follow an image there."""
PINNED = re.compile(
    r"(?<![\w./:@*+%~^$-])([\w./:-]+)@(sha256:[0-9a-f]{64})(?![\w./:@*+%~^$?#!\[{(-])",
    re.ASCII,
)
"""A reference with its digest that is a whole word: not a part of a pattern, a version or an address."""
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
_ALIAS = re.compile(r"\*[^\s,\]}]+")


class _Absent:
    def __repr__(self) -> str:
        return ""


ABSENT = _Absent()
"""What stands where there is no leaf. A leaf may be null."""


class Difference(NamedTuple):
    """A leaf that a pin changed although it must not. before or after may be ABSENT."""

    leaf: Leaf
    before: Any
    after: Any
    is_secret: bool = False
    """Whether it is in a document with a Secret."""

    def __str__(self) -> str:
        """For people, so without what may be a secret: of two texts only what differs, of a Secret only the place."""
        source, _, _, path = self.leaf
        where = f"{source + ': ' if source else ''}{dotted(path)}"
        if self.is_secret:
            return f"{where} would change"
        before, after = _changed_parts(self.before, self.after)
        return f"{where}: {before} would become {after}"


def differences(a: Document | None, b: Document | None) -> Iterator[tuple[Difference, Any]]:
    """Each leaf that differs, with the object of `a` that it belongs to."""
    document = a or b
    assert document is not None
    pairs = zip_longest(a.objects() if a else [], b.objects() if b else [], fillvalue=ABSENT)
    is_secret = any(_has_secret(each) for each in (a, b) if each)
    for index, (x, y) in enumerate(pairs):
        for path, before, after in _walk(x, y, ()):
            yield Difference((document.source, document.order, index, path), before, after, is_secret), x


def _has_secret(document: Document) -> bool:
    return any(kind_and_name(item)[0] == "Secret" for item in document.objects())


def _walk(a: Any, b: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in [*a, *(k for k in b if k not in a)]:
            yield from _walk(a.get(key, ABSENT), b.get(key, ABSENT), (*path, key))
    elif isinstance(a, list) and isinstance(b, list):
        for i, (x, y) in enumerate(zip_longest(a, b, fillvalue=ABSENT)):
            yield from _walk(x, y, (*path, i))
    elif type(a) is not type(b) or a != b:
        yield path, a, b


def text_differences(a: Document, b: Document, changed: list[Difference]) -> Iterator[Difference]:
    """The lines of two documents that differ in more than the given changed leaves: in comments, style or order."""
    if line := _with_digest_beside_leaves(a, b, changed):
        yield line
        return
    befores = _befores(a, b, changed)
    if befores is None or _is_explained(a, b, changed, befores):
        return
    known = re.compile("|".join(_whole(text) for text in sorted(befores, key=len, reverse=True)) or r"(?!)")
    for i, (old, new) in enumerate(zip_longest(a.text.splitlines(), b.text.splitlines(), fillvalue=ABSENT)):
        if old == new:
            continue
        if not (isinstance(old, str) and isinstance(new, str) and _may_have_been(old, new, known, befores)):
            yield _of_line(a, i, old, new)


def _with_digest_beside_leaves(a: Document, b: Document, changed: list[Difference]) -> Difference | None:
    """The first line where a pinned reference stands more often than the changed leaves explain; None if there is none."""
    shown = Counter(match[0] for c in changed for match in PINNED.finditer(_written(c.after)))
    there = Counter(match[0] for match in PINNED.finditer(b.text)) if shown else Counter()
    there.subtract(match[0] for match in PINNED.finditer(a.text))
    for token, leaves in shown.items():
        if there[token] > leaves:
            line = next(i for i, line in enumerate(b.text.splitlines()) if token in line)
            return _of_line(a, line, "", f"{token}, where no leaf stands")
    return None


def _befores(a: Document, b: Document, changed: list[Difference]) -> dict[str, set[str]] | None:
    """What may have stood where a changed leaf, or a reference in it, stands now. None if that is unknown: a leaf was added or
    removed, or is folded, escaped or on several lines."""
    befores: dict[str, set[str]] = defaultdict(set)
    for before, after in ((_written(c.before), _written(c.after)) for c in changed):
        if not before or not after or before not in a.text or after not in b.text:
            return None
        befores[after].update((before, after))
        for match in PINNED.finditer(after):
            befores[match[0]].update((match[0], match[1]))
    return befores


def _is_explained(a: Document, b: Document, changed: list[Difference], befores: Mapping[str, set[str]]) -> bool:
    """Whether one text that is replaced explains all: the usual case, found without compiling an expression."""
    return len(befores) == 1 and all(
        b.text.replace(after, _written(c.before)) == a.text and b.text.count(after) <= len(changed)
        for after in befores
        for c in changed
    )


def _of_line(document: Document, index: int, before: Any, after: Any) -> Difference:
    return Difference(
        (document.source, document.order, -1, (f"line {index + 1}",)), before, after, _has_secret(document)
    )


def _whole(text: str) -> str:
    """An expression for a text; if that is a pinned reference, it must not be part of a longer one."""
    escaped = re.escape(text)
    return rf"(?<![\w./:@-]){escaped}(?![\w./:@-])" if PINNED.fullmatch(text) else escaped


def _written(leaf: Any) -> str:
    """A leaf as it is probably written in the text; '' if that is unknown."""
    return str(leaf) if isinstance(leaf, (str, int)) and not isinstance(leaf, bool) else ""


def _may_have_been(old: str, line: str, known: re.Pattern[str], befores: Mapping[str, set[str]]) -> bool:
    """Whether a line may have been `old` before its leaves changed. An alias may have stood for a leaf."""
    ends, at = {0}, 0  # where in `old` the part of `line` before `at` may end
    for match in known.finditer(line):
        fixed = line[at : match.start()]
        starts = [end + len(fixed) for end in ends if old.startswith(fixed, end)]
        ends = {start + len(text) for start in starts for text in befores[match[0]] if old.startswith(text, start)}
        aliases = [(start, alias.end()) for start in starts if (alias := _ALIAS.match(old, start))]
        ends.update(end for start, longest in aliases for end in range(start + 2, longest + 1))
        at = match.end()
    return any(old[end:] == line[at:] for end in ends)


def readable(value: Any) -> str:
    """A value as a text, with what it encodes if it is base64 (RFC 4648), as the data of a Secret is."""
    text = value if isinstance(value, str) else repr(value)
    if len(text) % 4 or not _BASE64.fullmatch(text):
        return text
    try:
        return f"{text}\n{b64decode(text, validate=True).decode(errors='replace')}"
    except ValueError:
        return text


def _changed_parts(before: Any, after: Any) -> tuple[str, str]:
    """Two values for people. Of two texts, the characters that differ stand for the whole: a password may be right beside them. For
    the same reason a text without a counterpart is not shown, nor is a map or a list."""
    if not (isinstance(before, str) and isinstance(after, str)):
        return _kind(before), _kind(after)
    start = len(common_start([before, after]))
    end = len(common_start([before[start:][::-1], after[start:][::-1]]))
    one, other = (text[start : len(text) - end] for text in (before, after))
    left, right = "…" if start else "", "…" if end else ""
    return tuple(_short(f"{left}{part}{right}" if part else left or right) for part in (one, other))  # type: ignore[return-value]


def _kind(value: Any) -> str:
    kinds = {dict: "a map", list: "a list", str: "a text", type(None): "null", _Absent: "nothing"}
    return kinds.get(type(value)) or _short(value)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 90 else f"{shown[:60]}…{shown[-20:]}"


def common_start(texts: list[str]) -> str:
    least, greatest = min(texts), max(texts)
    same = next(
        (i for i, (a, b) in enumerate(zip(least, greatest, strict=False)) if a != b), min(len(least), len(greatest))
    )
    return least[:same]
