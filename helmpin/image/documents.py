"""The documents of what helm renders or stores, and what their objects are called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from helmpin import kube_yaml
from helmpin.errors import HelmFailed
from helmpin.named_tuple import NamedTuple
from helmpin.shapes import mapping, text_of

_SEPARATOR = re.compile(r"(?m)^---(?=\s|$)")
"""What begins a document (YAML 1.2, 9.1.2); nothing that belongs to a document can stand there."""
_SOURCE = re.compile(r"[ \t]*\n# Source: (.+)\n")
_IN_CRDS = re.compile(r"[^/]+(?:/charts/[^/]+)*/crds/")
"""The source of what lies in crds/ of a chart or a subchart."""
_CONTENT = re.compile(r"(?m)^[ \t]*[^#\s]")
HOOKS = ("helm.sh/hook", "argocd.argoproj.io/hook")
"""The annotations of objects that run at one point of a deployment, and may be gone afterwards."""
_ABSENT = object()
MOST_CACHED = 4096
"""Documents: more than the largest charts make, since a cache that is too small for one render is useless for the next."""


class Document(NamedTuple):
    """One YAML document of a render. `order` counts the documents of the same source file, from 0: names can be random."""

    source: str
    order: int
    text: str

    def objects(self) -> list[Any]:
        """The objects in it, those of a List one by one. They are cached, so do not change them. Raises HelmFailed if it is not
        YAML."""
        return list(_objects(self))


@lru_cache(maxsize=MOST_CACHED)
def _loaded(document: Document) -> tuple[Any, ...]:
    """Cached, because each document of a render is read several times: for its images, for followers, and to compare it."""
    where = document.source or "the post-renderer's output"
    hint = "correct what prints it, or the value in it; helm template --debug, with the same chart and values, shows it"
    text = document.text.encode(errors="replace")  # a comment may hold bytes that are not UTF-8, as surrogates here
    what = "the chart renders something that is not YAML"
    return tuple(kube_yaml.read_all(text.decode(), what=what, where=where, hint=hint))


def _objects(document: Document) -> Iterator[Any]:
    for item in _loaded(document):
        is_list = isinstance(item, dict) and item.get("kind") == "List" and isinstance(item.get("items"), list)
        yield from item["items"] if is_list else [item]


def documents(text: str) -> Iterator[tuple[Document, str]]:
    """The documents of what `helm template` or a post-renderer printed, or of a stored manifest, each with its whole text in it.

    Comments alone are not a document, unless helm names their source. If a template printed an empty document, Helm 3 prints the
    source, a separator and the next document, which has the same source; and so do all documents of a file in crds/.
    """
    orders: Counter[str] = Counter()
    named = ""
    starts = [match.start() for match in _SEPARATOR.finditer(text)]
    if not starts or text[: starts[0]].strip():  # what stands before the first separator is a document too
        starts.insert(0, 0)
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        body = text[start:end].removeprefix("---")
        source = _SOURCE.match(body)
        body = body[source.end() :] if source else body
        has_content = bool(_CONTENT.search(body))
        if source or has_content:
            name = source[1] if source else named
            # it prints a file of crds/ as it is, and names it once (pkg/action/install.go)
            named = name if not has_content or _IN_CRDS.match(name) else ""
            yield Document(name, orders[name], body), text[start:end]
            orders[name] += 1


def read(text: str) -> list[Document]:
    """The documents of a manifest, such as a stored one."""
    return [document for document, _ in documents(text)]


def group_by_turn(documents: Iterable[Document]) -> dict[tuple[str, str | None, int], Document]:
    """The documents of one file by (kind, events of the hook, number among those): a key that does not depend on how helm sorts
    them. A hook that helm drops, because it does not know its events, shares no kind and events with another document."""
    turns: dict[tuple[str, str | None, int], Document] = {}
    counts: Counter[tuple[str, str | None]] = Counter()
    for document in documents:
        if _CONTENT.search(document.text):
            kind, hook = _kind_and_hook(document)
            turns[kind, hook, counts[kind, hook]] = document
            counts[kind, hook] += 1
    return turns


def _kind_and_hook(document: Document) -> tuple[str, str | None]:
    """(kind, events of the hook) of a document: '' and None where they are missing."""
    item = _first(document)
    hook = _annotations(item).get("helm.sh/hook", _ABSENT)
    return str(item.get("kind") or "") if isinstance(item, dict) else "", None if hook is _ABSENT else str(hook)


def document_name(document: Document) -> str:
    """The name of a document's object; '' where it has none that is a text, or is a List."""
    name = metadata_of(_first(document)).get("name")
    return name if isinstance(name, str) else ""


def _first(document: Document) -> Any:
    """The first object of a document; None where there is none that can be read."""
    try:
        return next(iter(_loaded(document)), None)
    except HelmFailed:
        return None


def kind_and_name(item: Any) -> tuple[str, str]:
    """(kind, name) of an object, each '' where it is missing."""
    kind, name = (item.get("kind"), metadata_of(item).get("name")) if isinstance(item, dict) else ("", "")
    return str(kind or ""), text_of(name)


def is_hook(document: Document) -> bool:
    """Whether a document is a hook, of helm or of Argo CD. Raises HelmFailed when it is not YAML."""
    if not any(name in document.text for name in HOOKS):
        return False
    return any(name in _annotations(item) for item in document.objects() for name in HOOKS)


def _annotations(item: Any) -> dict[Any, Any]:
    return mapping(metadata_of(item).get("annotations"))


def hook_of(item: Any) -> str:
    """The hook events of an object, as they are written; '' if it is no hook."""
    return str(_annotations(item).get("helm.sh/hook", ""))


def metadata_of(item: Any) -> dict[Any, Any]:
    """The metadata of an object; empty where there is none that is a map."""
    return mapping(mapping(item).get("metadata"))
