"""Images that Helm would run from crds/. With a first revision it creates what lies there as it is written, whatever its kind, and
the manifest of the release does not have it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from helmpin import kube_yaml
from helmpin.errors import HelmFailed, Refused
from helmpin.image import find
from helmpin.image.documents import Document, kind_and_name, read
from helmpin.image.hints import LET_THROUGH, allow_flag
from helmpin.image.reference import split
from helmpin.image.uses import may_have_images
from helmpin.output import count
from helmpin.policy import is_allowed
from helmpin.render.renderer import renderer_for

if TYPE_CHECKING:
    from helmpin.chart.stage import Chart
    from helmpin.config.settings import Settings
    from helmpin.plan.task import Task

_KIND = "CustomResourceDefinition"
_BEGINS_AS_CRD = re.compile(
    rf"""(?:\s|\#.*\n)*apiVersion:[ \t]*["']?[\w./]+["']?[ \t\r]*\nkind:[ \t]*["']?{_KIND}["']?[ \t\r]*(?:\n|\Z)"""
)
_MAY_SAY_KIND_AGAIN = re.compile(r"""(?m)^(?:kind\b|[^\w\s#])""")
"""A key at the top that is `kind`, or may be, as with escapes."""


def refuse_workloads(task: Task, chart: Chart, settings: Settings) -> None:
    """Raise Refused if files in crds/ run images by tag, and HelmFailed if one of them cannot be read."""
    files, found, unread = chart.crd_files(), dict[str, list[tuple[str, str]]](), dict[str, HelmFailed]()
    for path, text in files.items():
        try:
            found[path] = [
                (f"{path}: {'/'.join(kind_and_name(item))} runs {image}", image)
                for item in _others_than_crds(path, text)
                for image, _ in find.images(item)
                if split(image)[2] is None and not is_allowed(image, settings.allow_unpinned)
            ]
        except HelmFailed as error:
            unread[path] = error
    doubtful = {*unread, *(path for path, images in found.items() if images)}
    installed = doubtful and _installed(task, chart, files) & doubtful
    for path in installed & unread.keys():
        raise unread[path]
    if images := [each for path in files if path in installed for each in found[path]]:
        flags = " ".join(dict.fromkeys(allow_flag(image) for _, image in images))
        raise Refused(
            f"{count(len(images), 'image')} in crds/ would run without a digest",
            where=[place for place, _ in images],
            why="helm creates the objects in crds/ as they are written, and records them nowhere",
            hint=f"move them to templates/, write their digests there, or add --skip-crds; or {LET_THROUGH}{flags}",
        )


def _installed(task: Task, chart: Chart, files: Mapping[str, str]) -> set[str]:
    """The files of crds/ that helm installs: not those of subcharts that a condition switches off. All, if helm does not say so."""
    more = ["--include-crds"]
    renderer = renderer_for(task.helm, "template", task.release, task.flags, task.values, task.also, more=more)
    try:
        printed = task.helm.run(renderer.arguments(chart, post_render=False))
    except HelmFailed:  # the chart asks the cluster for something
        return {*files}
    found = set[str]()
    for source in {document.source for document in read(printed)}:
        with suppress(Refused):  # the comment of a template, which names no file
            found |= files.keys() & chart.source_to_paths(source)
    return found


def _is_crd(document: str) -> bool:
    """Whether a document in YAML is plainly a CRD. Most are, and long: they are not parsed."""
    begin = _BEGINS_AS_CRD.match(document)
    return begin is not None and not _MAY_SAY_KIND_AGAIN.search(document, begin.end())


def _others_than_crds(path: str, text: str) -> Iterator[Any]:
    """The objects in a file of crds/ that are no CRDs. Raises HelmFailed."""
    documents = f"\n{text}".split("\n---")
    for number, whole_document in enumerate(documents, 1 if documents[0].strip() else 0):
        # a byte order mark may stand before each document; PyYAML takes it only at the very start
        document = whole_document.replace("\n\ufeff", "\n", 1)
        if may_have_images(Document(path, number, document)) and not _is_crd(document):
            where = f"{path}, document {number}"
            for whole in kube_yaml.read_all(document, what="a file in crds/ cannot be read", where=where):
                items = whole.get("items") if isinstance(whole, dict) else None
                objects = items if isinstance(items, list) else [whole]
                yield from (item for item in objects if not isinstance(item, dict) or item.get("kind") != _KIND)
