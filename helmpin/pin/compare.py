"""Comparing two renders of a chart leaf by leaf: only image references may differ."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any, NamedTuple

from helmpin.image.reference import split
from helmpin.pin.render import Document, ImageUse, Render, document_images, split_documents

Leaf = tuple[str, int, int, tuple[Any, ...]]
"""(source, order, object, path) of one scalar in a render."""
_PINNED = re.compile(r"[\w.\-/:\[\]]+@sha256:[0-9a-f]{64}")
_ABSENT = object()


class Difference(NamedTuple):
    """A leaf that a pin changed although it is not an image reference; before or after is None where there is none."""

    leaf: Leaf
    before: Any
    after: Any

    def __str__(self) -> str:
        source, _, _, path = self.leaf
        return f"{source}: {'.'.join(map(str, path))}: {_short(self.before)} would become {_short(self.after)}"


class Comparison(NamedTuple):
    """What became of each image use (by its key: the text after), and every difference that is no image reference."""

    images: dict[tuple[Any, ...], str]
    collateral: list[Difference]


def is_pin(before: str, after: str, digest: str) -> bool:
    """Whether `after` is `before` at `digest`: the same name, the same tag or none, and that digest."""
    name, tag, _ = split(before)
    new_name, new_tag, new_digest = split(after)
    return new_name == name and new_digest == digest and new_tag in (tag, None, tag or "latest")


def compare(before: Render, after: Render, digests: Mapping[str, str]) -> Comparison:
    """Compare two renders of one chart. `digests` gives the digest of each image as the chart writes it.

    Documents are matched by source file and order. A leaf may differ if putting the original references back makes it what
    it was, or if its path has a `checksum/…` key (the pod template's own change detector, which hashes what was pinned).
    """
    mend = _Mender(digests)
    images: dict[tuple[Any, ...], str] = {}
    collateral: list[Difference] = []
    old = {(d.source, d.order): d for d in before.documents}
    new = {(d.source, d.order): d for d in after.documents}
    for key in old.keys() | new.keys():
        a, b = old.get(key), new.get(key)
        if b is not None:
            images.update((use.key, use.image) for use in document_images(b, after.also))
        if a is not None and b is not None and (a.text == b.text or mend(b.text) == a.text):
            continue
        collateral += _differences(a, b, mend)
    return Comparison(images, collateral)


def noise(one: Render, other: Render) -> set[Leaf]:
    """The leaves that differ between two renders of the same thing: what the chart makes at random."""
    return {difference.leaf for difference in compare(one, other, {}).collateral}


def random_leaves(render: Render) -> set[Leaf]:
    """The leaves that differ between the two evaluations of one render (see again.py).

    helm orders a file's documents by kind, and hooks come last, so a document is matched by its kind, whether it is a hook, and
    its turn among those. A file whose documents cannot be matched so is left out: its differences then count as effects.
    """
    found: set[Leaf] = set()
    by_source: dict[str, list[Document]] = {}
    for document in render.documents:
        by_source.setdefault(document.source, []).append(document)
    for source, text in (render.again or {}).items():
        first = _by_turn(by_source.get(source, []))
        second = _by_turn(split_documents(source, text))
        if first.keys() == second.keys():
            for turn, document in first.items():
                if document.text.strip() != second[turn].text.strip():
                    found |= {d.leaf for d in _differences(document, second[turn], _Mender({}))}
    return found


def _by_turn(documents: Iterable[Document]) -> dict[tuple[str, bool, int], Document]:
    turns: dict[tuple[str, bool, int], Document] = {}
    for document in documents:
        kind = re.search(r"(?m)^kind:\s*(\S+)", document.text)
        if kind is None:
            continue
        hook = "helm.sh/hook" in document.text
        turn = sum(1 for k, h, _ in turns if (k, h) == (kind[1], hook))
        turns[kind[1], hook, turn] = document
    return turns


def _differences(a: Document | None, b: Document | None, mend: _Mender) -> Iterator[Difference]:
    document = a or b
    assert document is not None
    pairs = zip_longest(a.objects() if a else [], b.objects() if b else [], fillvalue=_ABSENT)
    for index, (x, y) in enumerate(pairs):
        for path, left, right in _walk(x, y, ()):
            if isinstance(left, str) and isinstance(right, str) and mend(right) == left:
                continue
            if any(str(part).startswith("checksum/") for part in path):
                continue
            leaf = (document.source, document.order, index, path)
            yield Difference(leaf, None if left is _ABSENT else left, None if right is _ABSENT else right)


def _walk(a: Any, b: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in [*a, *(k for k in b if k not in a)]:
            yield from _walk(a.get(key, _ABSENT), b.get(key, _ABSENT), (*path, key))
    elif isinstance(a, list) and isinstance(b, list):
        for i, (x, y) in enumerate(zip_longest(a, b, fillvalue=_ABSENT)):
            yield from _walk(x, y, (*path, i))
    elif type(a) is not type(b) or a != b:
        yield path, a, b


class _Mender:
    """Puts the original references back in a text that was rendered with pins."""

    def __init__(self, digests: Mapping[str, str]) -> None:
        self._forms: dict[str, list[tuple[str, str]]] = {}
        for image, digest in digests.items():
            name, tag, _ = split(image)
            forms = self._forms.setdefault(digest, [])
            forms += [(f"{name}:{tag or 'latest'}@{digest}", image), (f"{name}@{digest}", image)]
        for forms in self._forms.values():
            forms.sort(key=lambda form: -len(form[0]))

    def __call__(self, text: str) -> str:
        return _PINNED.sub(self._original, text) if "@sha256:" in text else text

    def _original(self, match: re.Match[str]) -> str:
        found = match[0]
        for form, image in self._forms.get(found[found.index("@") + 1 :], ()):
            if found.endswith(form) and found[-len(form) - 1 : -len(form)] in ("", ":", "/"):
                return found[: -len(form)] + image
        return found


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 90 else f"{shown[:60]}…{shown[-20:]}"


def unpinned(uses: Iterable[ImageUse], comparison: Comparison, digests: Mapping[str, str]) -> list[ImageUse]:
    """The uses whose image is not at its digest in the second render."""
    return [use for use in uses if not is_pin(use.image, comparison.images.get(use.key, ""), digests[use.image])]
