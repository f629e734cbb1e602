"""Manifests: their documents, and the images that those run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from helmpin import kube_yaml, yaml_position
from helmpin.errors import HelmFailed
from helmpin.image import find
from helmpin.image.outside_pods import OPERATORS, ExtraImageRules
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
_IMAGE_KEYS = tuple(
    map(re.compile, ("image[\"']?\\s*:", "reference[\"']?\\s*:", r"\?\s", r"\*\S+\s+:", r"\\[xuU\r\n]", "!!", "!<"))
)
"""A key that names an image, or a form of YAML in which one may be written otherwise: after `?`, as an alias, with escapes, or with
a tag (`!!binary`). Python's re is eight times as fast with an expression for each, which begins with a letter."""


_ABSENT = object()


class Document(NamedTuple):
    """One YAML document of a render. `order` counts the documents of the same source file, from 0: names can be random."""

    source: str
    order: int
    text: str

    def objects(self) -> list[Any]:
        """The objects in it, those of a List one by one. They are cached, so do not change them. Raises HelmFailed if it is not
        YAML."""
        return list(_objects(self))


_MOST_CACHED = 4096
"""Documents: more than the largest charts make, since a cache that is too small for one render is useless for the next."""


@lru_cache(maxsize=_MOST_CACHED)
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


UseKey = tuple[str, int, int, find.ObjectPath]
"""(source, order, object, path) of the leaf that holds an image. For one of several in a longer text, the path ends with `#N`."""


class ImageUse(NamedTuple):
    """One place that runs an image: the template that it comes from, and the object and leaf that hold it."""

    image: str
    source: str
    order: int
    nth: int
    """Which object of the document (more than one only in a List)."""
    kind: str
    name: str
    path: find.ObjectPath
    container: str
    pull_policy: str = ""
    """The container's own pull policy; '' for Kubernetes' default, which depends on the tag."""
    hook: str = ""
    """The events of a hook, as its annotation has them; '' if the object is not a hook."""
    elsewhere: str = ""
    """Its place, if it is outside a pod spec (see outside_pods.py)."""

    @property
    def key(self) -> UseKey:
        """Identifies the use in every render of a chart, however random its names are."""
        return (self.source, self.order, self.nth, self.path)

    def place(self) -> str:
        """For people: `Deployment/web container nginx, in app/templates/deployment.yaml`."""
        if self.elsewhere:
            where = self.elsewhere.partition("/")[2]
        else:
            where = f"container {self.container}" if self.container else find.dotted(self.path)
        return f"{self.kind}/{self.name} {where}" + (f", in {self.source}" if self.source else "")


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
    name = _metadata(_first(document)).get("name")
    return name if isinstance(name, str) else ""


def _first(document: Document) -> Any:
    """The first object of a document; None where there is none that can be read."""
    try:
        return next(iter(_loaded(document)), None)
    except HelmFailed:
        return None


def document_images(document: Document, also: ExtraImageRules | None = None) -> Iterator[ImageUse]:
    """The image uses of one document."""
    yield from _pod_images(document)
    if also:
        yield from (use for use, asked in outside(document, also) if asked)


def may_have_images(document: Document) -> bool:
    """Whether a document may have an image key: others need not be parsed."""
    return any(key.search(document.text) for key in _IMAGE_KEYS)


@lru_cache(maxsize=_MOST_CACHED)
def _pod_images(document: Document) -> tuple[ImageUse, ...]:
    """The image uses in pod specs. Cached, because a plan reads the images of its renders several times."""
    if not may_have_images(document):
        return ()
    return tuple(
        use for index, item in enumerate(document.objects()) for use in _uses(document, index, item, find.images(item))
    )


def without_image(documents: Iterable[Document]) -> Iterator[ImageUse]:
    """The containers that have no image, each as the use of an empty one. Not those of tests, which no deployment creates."""
    for document in documents:
        may_have = "ontainers" in document.text or may_have_images(document)
        for index, item in enumerate(document.objects() if may_have else ()):
            if not only_tests(hook_of(item)):
                yield from _uses(document, index, item, find.without_image(item))


def _uses(document: Document, index: int, item: Any, found: Iterable[find.Found]) -> Iterator[ImageUse]:
    """What was found in the object with this number in a document, as uses of images."""
    kind, name, hook = kind_and_name(item)[0], _name(document, index, item), hook_of(item)
    for image, path in found:
        yield ImageUse(
            image=image,
            source=document.source,
            order=document.order,
            nth=index,
            kind=kind,
            name=name,
            path=path,
            container=find.container_name(item, path),
            pull_policy=_pull_policy(item, path),
            hook=hook,
        )


@lru_cache(maxsize=_MOST_CACHED)
def outside(document: Document, also: ExtraImageRules) -> tuple[tuple[ImageUse, bool], ...]:
    """The images of a document outside pod specs, each with whether a pattern of --also matches it. Cached, as _pod_images is."""
    if not also.may_find(document.text):
        return ()
    found = []
    for index, item in enumerate(document.objects()):
        kind, name = kind_and_name(item)[0], _name(document, index, item)
        for image in also.images(item):
            use = ImageUse(
                image=image.image,
                source=document.source,
                order=document.order,
                nth=index,
                kind=kind,
                name=name,
                path=image.path,
                container="",
                hook=hook_of(item),
                elsewhere=image.place,
            )
            found.append((use, bool(image.by)))
    return tuple(found)


def unmatched(documents: Iterable[Document], also: ExtraImageRules) -> list[str]:
    """The patterns of --also that match no image outside pod specs in these documents, except `operators`, which need not match."""
    left = {pattern: None for pattern in also.patterns if pattern != OPERATORS}
    for item in (item for document in documents if left for item in document.objects()):
        for pattern in (pattern for found in also.images(item) for pattern in found.by):
            left.pop(pattern, None)
    return list(left)


def only_tests(hook: str) -> bool:
    """Whether a hook with these events is for tests alone, which helm creates for `helm test`."""
    return {event.strip() for event in hook.split(",")} <= {"test", "test-success", "test-failure"}


def kind_and_name(item: Any) -> tuple[str, str]:
    """(kind, name) of an object, each '' where it is missing."""
    kind, name = (item.get("kind"), _metadata(item).get("name")) if isinstance(item, dict) else ("", "")
    return str(kind or ""), text_of(name)


def _name(document: Document, index: int, item: Any) -> str:
    """The name of an object as it is written, even if YAML reads it as something else: `on`, `007`."""
    name = _metadata(item).get("name")
    if isinstance(name, str) or name is None:
        return name or str(_metadata(item).get("generateName") or "")
    for path in (("items", index, "metadata", "name"), ("metadata", "name")):  # of a List, or alone
        if found := yaml_position.span(document.text, path):
            return document.text[found.start : found.end]
    return text_of(name)


def _metadata(item: Any) -> dict[Any, Any]:
    return mapping(mapping(item).get("metadata"))


def is_hook(document: Document) -> bool:
    """Whether a document is a hook, of helm or of Argo CD. Raises HelmFailed when it is not YAML."""
    if not any(name in document.text for name in HOOKS):
        return False
    return any(name in _annotations(item) for item in document.objects() for name in HOOKS)


def _annotations(item: Any) -> dict[Any, Any]:
    return mapping(_metadata(item).get("annotations"))


def hook_of(item: Any) -> str:
    """The hook events of an object, as they are written; '' if it is no hook."""
    return str(_annotations(item).get("helm.sh/hook", ""))


def _pull_policy(item: Any, path: find.ObjectPath) -> str:
    """The pull policy of the container (or image volume) that an image belongs to."""
    for part in path[:-1]:
        item = item[part]
    return str(item.get("imagePullPolicy") or item.get("pullPolicy") or "") if isinstance(item, dict) else ""
