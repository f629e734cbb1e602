"""A plan as the `images:` list of a kustomization, and what such a list cannot express; no I/O.

kustomize's images transformer changes `image` in the items of every list `containers` and `initContainers`, at any depth and in
every kind except CustomResourceDefinition, if the image has the name of an entry, whatever its tag (api/filters/imagetag). Only its
newest versions reach image volumes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from helmpin.image.documents import Document, kind_and_name
from helmpin.image.find import dotted
from helmpin.image.reference import split
from helmpin.image.uses import ImageUse
from helmpin.named_tuple import NamedTuple
from helmpin.plan.images import ImagePlan

LISTS = ("containers", "initContainers")
_SUFFIX = r"(?::[a-zA-Z0-9_.{}-]*)?(?:@[a-zA-Z0-9.+_-]+:[a-zA-Z0-9_.{}-]*)?"


class Entry(NamedTuple):
    """One image of a kustomization."""

    name: str
    tag: str
    digest: str

    def as_data(self) -> dict[str, str]:
        return {"name": self.name, "newTag": self.tag, "digest": self.digest}

    def matches(self, image: str) -> bool:
        """Whether kustomize applies this entry to an image: it reads the name as a regular expression."""
        try:
            return re.fullmatch(self.name + _SUFFIX, image) is not None
        except re.error:
            return False


def entries(images: Iterable[ImagePlan], documents: Sequence[Document]) -> tuple[list[Entry], dict[str, str]]:
    """The entries that pin, by name, and for each image that they cannot pin, why.

    documents: what plain helm renders.
    """
    pinned = [image for image in images if image.digest and not image.problem]
    by_name: dict[str, dict[Entry, list[ImagePlan]]] = defaultdict(lambda: defaultdict(list))
    for image in pinned:
        name, tag, _ = split(image.image)
        by_name[name][Entry(name, tag or "latest", image.digest)].append(image)
    reached = {(d.source, d.order, nth, path): value for d in documents for nth, path, value in _reached(d)}
    whose = {use.key: image for image in pinned for use in image.uses}
    refused: dict[str, str] = {}
    found: list[Entry] = []
    for name, wanted in by_name.items():
        own = {entry: each for entry, each in wanted.items() if any(image.via != "chart" for image in each)}
        if not own:
            continue
        entry = next(iter(own))
        if len(wanted) > 1:
            several = ", ".join(sorted({f"{e.tag}@{e.digest[:19]}" for e in wanted}))
            refused |= {
                i.image: f"an entry has one tag and one digest for {name}: {several}" for e in own.values() for i in e
            }
        elif why := _unreached(entry, own[entry], reached) or _also_changed(entry, reached, whose, documents):
            refused |= {image.image: why for image in own[entry]}
        else:
            found.append(entry)
    return sorted(found), refused


def _unreached(entry: Entry, images: Iterable[ImagePlan], reached: Mapping[Any, str]) -> str:
    """Why an entry does not pin every use of these images; '' if it does."""
    for use in (use for image in images for use in image.uses):
        if use.hook:
            return f"{use.place()}: a hook, which Helm 3 gives to no post-renderer"
        if use.key not in reached:
            return f"{_place(use)}: kustomize changes images only in lists of containers and initContainers"
        if not entry.matches(use.image):
            return f"{use.place()}: kustomize reads the name as a regular expression, which does not match it"
    return ""


def _also_changed(
    entry: Entry, reached: Mapping[Any, str], whose: Mapping[Any, ImagePlan], documents: Sequence[Document]
) -> str:
    """What else an entry would change; '' for nothing."""
    for key, image in reached.items():
        if entry.matches(image) and (key not in whose or split(image)[0] != entry.name):
            source, order, nth, path = key
            document = next(d for d in documents if (d.source, d.order) == (source, order))
            kind, name = kind_and_name(document.objects()[nth])
            return f"kustomize would change {image} at {kind}/{name} {dotted(path)} as well"
    return ""


def _place(use: ImageUse) -> str:
    return f"{use.kind}/{use.name} {dotted(use.path)}" + (f", in {use.source}" if use.source else "")


def _reached(document: Document) -> Iterator[tuple[int, tuple[Any, ...], str]]:
    """The images of a document that the transformer sees: which object, the path, and the image."""
    if not any(name in document.text for name in LISTS):
        return
    for nth, item in enumerate(document.objects()):
        if kind_and_name(item)[0] != "CustomResourceDefinition":
            yield from ((nth, path, image) for path, image in _images(item, ()))


def _images(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in pairs:
        if key in LISTS and isinstance(node, dict) and isinstance(child, list):
            for i, item in enumerate(child):
                if isinstance(item, dict) and isinstance(item.get("image"), str):
                    yield (*path, key, i, "image"), item["image"]
        yield from _images(child, (*path, key))
