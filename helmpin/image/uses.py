"""The images that documents run: each place that names one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from helmpin import yaml_position
from helmpin.image import find
from helmpin.image.documents import MOST_CACHED, Document, hook_of, kind_and_name, metadata_of
from helmpin.image.outside_pods import OPERATORS, ExtraImageRules
from helmpin.named_tuple import NamedTuple
from helmpin.shapes import text_of

_IMAGE_KEYS = tuple(
    map(re.compile, ("image[\"']?\\s*:", "reference[\"']?\\s*:", r"\?\s", r"\*\S+\s+:", r"\\[xuU\r\n]", "!!", "!<"))
)
"""A key that names an image, or a form of YAML in which one may be written otherwise: after `?`, as an alias, with escapes, or with
a tag (`!!binary`). Python's re is eight times as fast with an expression for each, which begins with a letter."""

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


class WithoutImage(NamedTuple):
    """A container that has no image."""

    use: ImageUse
    """With an empty image."""
    fault: str
    """What is wrong, as it follows the name of the container: `has no image`."""


class OutsideUse(NamedTuple):
    """An image outside pod specs."""

    use: ImageUse
    is_asked: bool
    """Whether a pattern of --also matches it."""
    is_listed: bool
    """Whether it is reported where none does."""
    is_known: bool
    """Whether the rules for operators match it."""


def document_images(document: Document, also: ExtraImageRules | None = None) -> Iterator[ImageUse]:
    """The image uses of one document."""
    yield from _pod_images(document)
    if also:
        yield from (found.use for found in outside(document, also) if found.is_asked)


def may_have_images(document: Document) -> bool:
    """Whether a document may have an image key: others need not be parsed."""
    return any(key.search(document.text) for key in _IMAGE_KEYS)


@lru_cache(maxsize=MOST_CACHED)
def _pod_images(document: Document) -> tuple[ImageUse, ...]:
    """The image uses in pod specs. Cached, because a plan reads the images of its renders several times."""
    if not may_have_images(document):
        return ()
    return tuple(
        use for index, item in enumerate(document.objects()) for use in _uses(document, index, item, find.images(item))
    )


def without_image(documents: Iterable[Document]) -> Iterator[WithoutImage]:
    """The containers that have no image. Not those of tests, which no deployment creates."""
    for document in documents:
        may_have = "ontainers" in document.text or may_have_images(document)
        for index, item in enumerate(document.objects() if may_have else ()):
            if not only_tests(hook_of(item)):
                missing = list(find.without_image(item))
                uses = _uses(document, index, item, (find.Found("", path) for _, path in missing))
                for (held, _), use in zip(missing, uses, strict=True):
                    yield WithoutImage(use, _fault(held))


def _fault(held: Any) -> str:
    """What is wrong with a container whose image is no text."""
    if held is None:
        return "has no image"
    if isinstance(held, (dict, list)):
        return f"has a {'map' if isinstance(held, dict) else 'list'} where its image should be"
    return f"has an image that YAML reads as {text_of(held)}, not as a text (quote it)"


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


@lru_cache(maxsize=MOST_CACHED)
def outside(document: Document, also: ExtraImageRules) -> tuple[OutsideUse, ...]:
    """The images of a document outside pod specs. Cached, as _pod_images is."""
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
            found.append(OutsideUse(use, bool(image.by), image.is_listed, image.is_known))
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


def _name(document: Document, index: int, item: Any) -> str:
    """The name of an object as it is written, even if YAML reads it as something else: `on`, `007`."""
    name = metadata_of(item).get("name")
    if isinstance(name, str) or name is None:
        return name or str(metadata_of(item).get("generateName") or "")
    for path in (("items", index, "metadata", "name"), ("metadata", "name")):  # of a List, or alone
        if found := yaml_position.span(document.text, path):
            return document.text[found.start : found.end]
    return text_of(name)


def _pull_policy(item: Any, path: find.ObjectPath) -> str:
    """The pull policy of the container (or image volume) that an image belongs to."""
    for part in path[:-1]:
        item = item[part]
    return str(item.get("imagePullPolicy") or item.get("pullPolicy") or "") if isinstance(item, dict) else ""
