"""What helm rendered: documents with their source file and order, and helm's own computed values."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from helmpin import kube_yaml
from helmpin.errors import HelmFailed
from helmpin.image import find
from helmpin.image.elsewhere import Also
from helmpin.render.nondeterminism import TEMPLATE as SECOND_PASS

PROBE = "templates/helm-pin/a/b/c/d/e/f/g/h/i/j/values.yaml"
"""The extra template of the plain render. Helm runs the deepest path first (pkg/engine/engine.go, sortTemplates), so it sees the
values before any template can `set` something in them."""
PROBE_TEXT = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: helm-pin-values
data:
  values: {{ dict "values" .Values | toJson | toJson }}
"""
_SEPARATOR = re.compile(r"(?m)^---(?=\s|$)")
"""What begins a document (YAML 1.2, 9.1.2); nothing that belongs to a document can stand there."""
_SOURCE = re.compile(r"[ \t]*\n# Source: (.+)\n")
_CONTENT = re.compile(r"(?m)^[^#\s]")
_IMAGE_KEY = re.compile(r"""(?:image|reference)["']?[ \t]*:""")


class Document(NamedTuple):
    """One YAML document of a render. `order` counts the documents of the same source file, from 0: names can be random."""

    source: str
    order: int
    text: str

    def objects(self) -> list[Any]:
        """The objects in it, those of a List one by one. Raises HelmFailed when it is not YAML."""
        where = self.source or "the post-renderer's output"
        text = self.text.encode(errors="replace")  # a comment may hold bytes that are not UTF-8, as surrogates here
        loaded = kube_yaml.read_all(text.decode(), what="the chart renders something that is not YAML", where=where)
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
    pull_policy: str = ""
    """The container's own pull policy; '' for Kubernetes' default, which depends on the tag."""
    hook: str = ""
    """The events of a hook, as its annotation has them; '' for what is no hook."""
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
    """What helm rendered."""

    text: str
    documents: list[Document]
    values: Mapping[str, Any] | None
    """Helm's computed values; None unless the probe was in the chart."""
    second_pass: Mapping[str, str] | None = None
    """The second evaluation of templates that may be random, by source (see nondeterminism.py)."""
    also: Also | None = None
    """The images outside pod specs that count as image uses."""
    config: Mapping[str, Any] | None = None
    """The values that the release would keep; None where `helm template` rendered, which makes no release."""

    def images(self) -> list[ImageUse]:
        """Every image use, in the order of the render."""
        return [use for document in self.documents for use in document_images(document, self.also)]

    def elsewhere(self) -> list[ImageUse]:
        """The images outside pod specs that have no digest and that nobody asked to pin."""
        also = self.also or Also(())
        found = (each for document in self.documents for each in outside(document, also))
        return [use for use, asked in found if not asked and "@" not in use.image]


def parse(text: str, also: Also | None = None) -> Render:
    """Split what `helm template` or a post-renderer printed into documents; what the probes print is read and taken out."""
    documents: list[Document] = []
    probed: dict[str, Mapping[str, Any]] = {}
    orders: Counter[str] = Counter()
    kept: list[str] = []
    starts = [match.start() for match in _SEPARATOR.finditer(text)]
    if not starts or text[: starts[0]].strip():  # what stands before the first separator is a document too
        starts.insert(0, 0)
    kept.append(text[: starts[0]])
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        body = text[start:end].removeprefix("---")
        source = _SOURCE.match(body)
        body = body[source.end() :] if source else body
        path = source[1].partition("/")[2] if source else ""
        if path in (PROBE, SECOND_PASS) and (shown := _shown(body)) is not None:
            probed[path] = shown
            continue
        kept.append(text[start:end])
        if not source and not _CONTENT.search(body):
            continue
        name = source[1] if source else ""
        documents.append(Document(name, orders[name], body))
        orders[name] += 1
    return Render("".join(kept), documents, probed.get(PROBE, {}).get("values"), probed.get(SECOND_PASS), also)


def parse_release(text: str, also: Also | None = None) -> Render:
    """As `parse`, of what `helm upgrade --dry-run -o json` printed: a release, which holds the values that it would keep.

    Raises HelmFailed where it is not one.
    """
    try:
        release = json.loads(text)
        manifest = str(release["manifest"])
        hooks = [(str(hook["path"]), str(hook["manifest"])) for hook in release.get("hooks") or []]
        config = release.get("config") or {}
    except (ValueError, KeyError, TypeError) as error:
        raise HelmFailed("helm's dry run printed no release", why=f"{type(error).__name__}: {error}") from None
    joined = "".join(f"---\n# Source: {path}\n{body}\n" for path, body in hooks)
    if manifest and not manifest.endswith("\n"):
        manifest += "\n"
    return parse(manifest + joined, also)._replace(config=config)


def split_documents(source: str, text: str) -> list[Document]:
    """The documents in one template's own output, in the order it wrote them."""
    pieces = [piece for piece in _SEPARATOR.split(text) if piece.strip()]
    return [Document(source, i, piece) for i, piece in enumerate(pieces)]


_KIND = re.compile(r"""(?m)^["']?kind["']?[ \t]*:[ \t]*["']?(\w+)""")


def group_by_turn(documents: Iterable[Document]) -> dict[tuple[str, bool, int], Document]:
    """The documents of one file by kind, whether they are hooks, and their turn among those: whatever order helm sorts them in."""
    turns: dict[tuple[str, bool, int], Document] = {}
    counts: Counter[tuple[str, bool]] = Counter()
    for document in documents:
        if _CONTENT.search(document.text):
            kind = _KIND.search(document.text)
            name, is_hook = kind[1] if kind else "", "helm.sh/hook" in document.text
            turns[name, is_hook, counts[name, is_hook]] = document
            counts[name, is_hook] += 1
    return turns


def _shown(body: str) -> Mapping[str, Any] | None:
    """What a probe printed; None where a file of the chart's own has its name."""
    line = re.search(r'(?m)^  values: (".*")$', body)
    try:
        loaded = json.loads(json.loads(line[1])) if line else None
    except (ValueError, TypeError):
        return None
    return loaded if isinstance(loaded, dict) else None


def document_images(document: Document, also: Also | None = None) -> Iterator[ImageUse]:
    """The image uses of one document; documents without an image key are not parsed."""
    if _IMAGE_KEY.search(document.text):
        for index, item in enumerate(document.objects()):
            kind, name = identity(item)
            hook = _hook(item)
            for image, path in find.images(item):
                container = find.container_name(item, path)
                yield ImageUse(
                    image=image,
                    source=document.source,
                    order=document.order,
                    nth=index,
                    kind=kind,
                    name=name,
                    path=path,
                    container=container,
                    pull_policy=_pull_policy(item, path),
                    hook=hook,
                )
    if also:
        yield from (use for use, asked in outside(document, also) if asked)


def outside(document: Document, also: Also) -> Iterator[tuple[ImageUse, bool]]:
    """The images of a document outside pod specs, and whether they are asked for."""
    for index, item in enumerate(document.objects()):
        kind, name = identity(item)
        for found in also.images(item):
            use = ImageUse(
                image=found.image,
                source=document.source,
                order=document.order,
                nth=index,
                kind=kind,
                name=name,
                path=found.path,
                container="",
                hook=_hook(item),
                elsewhere=found.place,
            )
            yield use, found.asked


def identity(item: Any) -> tuple[str, str]:
    """(kind, name) of an object, each '' where it is missing."""
    metadata = item.get("metadata") if isinstance(item, dict) else None
    return (str(item.get("kind")) if isinstance(item, dict) else ""), str(
        metadata.get("name") if isinstance(metadata, dict) else ""
    )


def _hook(item: Any) -> str:
    metadata = item.get("metadata") if isinstance(item, dict) else None
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    return str(annotations.get("helm.sh/hook", "")) if isinstance(annotations, dict) else ""


def _pull_policy(item: Any, path: find.Path) -> str:
    """What the container (or the image volume) beside an image says of when to pull it."""
    for part in path[:-1]:
        item = item[part]
    return str(item.get("imagePullPolicy") or item.get("pullPolicy") or "") if isinstance(item, dict) else ""
