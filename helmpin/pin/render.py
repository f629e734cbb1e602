"""One `helm template` of a staged chart, as documents with their source file and order, and helm's own computed values."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml

from helmpin.errors import HelmFailed
from helmpin.image import find
from helmpin.image.elsewhere import Also
from helmpin.pin.again import MARK as AGAIN

PROBE = "helm-pin/a/b/c/d/e/f/g/h/i/j/values.yaml"
"""The extra template of the first render. Helm runs the deepest path first (pkg/engine/engine.go, sortTemplates), so it sees the
values before any template can `set` something in them."""
PROBE_MARK = "name: helm-pin-values"
PROBE_TEXT = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: helm-pin-values
data:
  values: {{ .Values | toJson | toJson }}
"""
_DOCUMENT = re.compile(r"(?m)^---[ \t]*\n(?:# Source: (.+)\n)?")
_SEPARATOR = re.compile(r"(?m)^---[ \t]*$")
_IMAGE_KEY = re.compile(r"""(?:image|reference)["']?[ \t]*:""")


class Loader(yaml.CSafeLoader):
    """libyaml's loader; a tag that it does not know is read past, as helm does."""


def _untagged(loader: Loader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)  # type: ignore[arg-type]


Loader.add_multi_constructor("", _untagged)


class Document(NamedTuple):
    """One YAML document of a render. `order` counts the documents of the same source file, from 0: names can be random."""

    source: str
    order: int
    text: str

    def objects(self) -> list[Any]:
        """The objects in it, those of a List one by one. Raises HelmFailed when it is not YAML."""
        try:
            loaded = list(yaml.load_all(self.text, Loader=Loader))
        except yaml.YAMLError as error:
            raise HelmFailed(
                "the chart renders something that is not YAML",
                where=self.source or "the post-renderer's output",
                why=str(error),
            ) from None
        out: list[Any] = []
        for item in loaded:
            is_list = isinstance(item, dict) and item.get("kind") == "List" and isinstance(item.get("items"), list)
            out += item["items"] if is_list else [item]
        return out


class ImageUse(NamedTuple):
    """One place that runs an image: where it comes from, and the object and leaf that hold it."""

    image: str
    source: str
    order: int
    nth: int
    """Which object of the document (more than one only in a List)."""
    kind: str
    name: str
    path: find.Path
    container: str
    elsewhere: str = ""
    """Its place when it is outside a pod spec (see image/elsewhere.py)."""

    @property
    def key(self) -> tuple[Any, ...]:
        """What stays the same from one render of a chart to the next, however random its names are."""
        return (self.source, self.order, self.nth, self.path)

    def place(self) -> str:
        """For people: `Deployment/web container nginx, in app/templates/deployment.yaml`."""
        if self.elsewhere:
            return f"{self.kind}/{self.name} {self.elsewhere.partition('/')[2]}" + (
                f", in {self.source}" if self.source else ""
            )
        container = f" container {self.container}" if self.container else f" {'.'.join(map(str, self.path))}"
        return f"{self.kind}/{self.name}{container}" + (f", in {self.source}" if self.source else "")


class Render(NamedTuple):
    """What helm template printed, and the values it computed (None unless the probe was in the chart)."""

    text: str
    documents: list[Document]
    values: Mapping[str, Any] | None
    again: Mapping[str, str] | None = None
    """The second evaluation of templates that may be random, by source (see again.py)."""
    also: Also | None = None
    """The images outside pod specs that count as image uses."""

    def images(self) -> list[ImageUse]:
        """Every image use, in the order of the render."""
        return [use for document in self.documents for use in document_images(document, self.also)]

    def elsewhere(self) -> list[ImageUse]:
        """The images outside pod specs that have no digest and that nobody asked to pin."""
        also = self.also or Also(())
        found = (each for document in self.documents for each in outside(document, also))
        return [use for use, asked in found if not asked and "@" not in use.image]


def parse(text: str, also: Also | None = None) -> Render:
    """Split helm template's output into documents; what the extra templates print is read and taken out."""
    documents: list[Document] = []
    values = again = None
    orders: Counter[str] = Counter()
    kept, at = [], 0
    starts = [*_DOCUMENT.finditer(text)]
    for match, following in zip(starts, [*starts[1:], None], strict=False):  # a render may have no document at all
        end = following.start() if following else len(text)
        source, body = match[1] or "", text[match.end() : end]
        probed = _probed(body) if PROBE_MARK in body or AGAIN in body else None
        if probed is not None:
            kept.append(text[at : match.start()])
            at = end
            if AGAIN in body:
                again = probed
            else:
                values = probed
            continue
        documents.append(Document(source, orders[source], body))
        orders[source] += 1
    return Render("".join([*kept, text[at:]]), documents, values, again, also)


def split_documents(source: str, text: str) -> list[Document]:
    """The documents in one template's own output, in the order it wrote them."""
    pieces = [piece for piece in _SEPARATOR.split(text) if piece.strip()]
    return [Document(source, i, piece) for i, piece in enumerate(pieces)]


def _probed(body: str) -> Mapping[str, Any] | None:
    line = re.search(r'(?m)^  values: (".*")$', body)
    loaded = json.loads(json.loads(line[1])) if line else None
    if loaded is None:  # a post-renderer may have written it in another form
        item = yaml.load(body, Loader=Loader)
        data = item.get("data") if isinstance(item, dict) else None
        loaded = json.loads(data["values"]) if isinstance(data, dict) and "values" in data else None
    return loaded if isinstance(loaded, dict) else None


def document_images(document: Document, also: Also | None = None) -> Iterator[ImageUse]:
    """The image uses of one document; documents without an image key are not parsed."""
    if _IMAGE_KEY.search(document.text):
        for index, item in enumerate(document.objects()):
            kind, name = _identity(item)
            for image, path in find.images(item):
                container = find.container_name(item, path)
                yield ImageUse(image, document.source, document.order, index, kind, name, path, container)
    if also:
        yield from (use for use, asked in outside(document, also) if asked)


def outside(document: Document, also: Also) -> Iterator[tuple[ImageUse, bool]]:
    """The images of a document outside pod specs, and whether they are asked for."""
    for index, item in enumerate(document.objects()):
        kind, name = _identity(item)
        for found in also.images(item):
            yield (
                ImageUse(found.image, document.source, document.order, index, kind, name, found.path, "", found.place),
                found.asked,
            )


def _identity(item: Any) -> tuple[str, str]:
    metadata = item.get("metadata") if isinstance(item, dict) else None
    return (str(item.get("kind")) if isinstance(item, dict) else ""), str(
        metadata.get("name") if isinstance(metadata, dict) else ""
    )
