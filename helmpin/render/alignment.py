"""The documents of a render in the order of another one: a template that lists a map in any order prints them as it comes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from helmpin.image.manifest import Document, kind_and_name
from helmpin.render.output import Render


def aligned(render: Render, model: Render, sources: Collection[str]) -> Render:
    """A render with the documents of some sources in the order of another render."""
    documents, models = by_source(render), by_source(model)
    for source in sources:
        documents[source] = in_order_of(models[source], documents[source])
    return render._replace(documents=[document for some in documents.values() for document in some])


def by_source(render: Render) -> dict[str, list[Document]]:
    """The documents of each source, in their order."""
    found: dict[str, list[Document]] = defaultdict(list)
    for document in render.documents:
        found[document.source].append(document)
    return found


def in_order_of(model: Sequence[Document], documents: Sequence[Document]) -> list[Document]:
    """Documents in the order in which others have the same objects, and with the white space after them, which depends on what
    comes next; as they are, if these have others."""
    mine, theirs = _by_objects(documents), _by_objects(model)
    if mine.keys() != theirs.keys():
        return [*documents]
    return [
        mine[objects]._replace(
            order=there.order, text=mine[objects].text.rstrip() + there.text[len(there.text.rstrip()) :]
        )
        for objects, there in theirs.items()
    ]


def _by_objects(documents: Iterable[Document]) -> dict[tuple[Any, ...], Document]:
    """Documents by their objects' kinds and names, and their number among those with the same ones."""
    found: dict[tuple[Any, ...], Document] = {}
    counts: Counter[tuple[Any, ...]] = Counter()
    for document in documents:
        objects = tuple(map(kind_and_name, document.objects()))
        found[objects, counts[objects]] = document
        counts[objects] += 1
    return found
