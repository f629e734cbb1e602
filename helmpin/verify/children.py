"""Whether a registry has what nodes pull, an image for their platform: an index can outlive the manifests that it lists."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from helmpin.cluster.nodes import platforms_needed, read_nodes
from helmpin.errors import HelmFailed
from helmpin.image.documents import read
from helmpin.image.platforms import NODES, lacking
from helmpin.image.reference import Reference, split
from helmpin.kubectl import Kubectl
from helmpin.output import count
from helmpin.registry import RegistryError, describe, details_of, resolve
from helmpin.registry.children import children_of
from helmpin.registry.manifest import INDEXES
from helmpin.release.record import Record
from helmpin.release.revision import Revision
from helmpin.verify.check import FAILED, UNKNOWN, Check
from helmpin.verify.registries import Registries, askable


def with_children(
    check: Check,
    record: Record,
    stored: Revision,
    registries: Registries,
    kubectl: Kubectl,
    platforms: Collection[str] = (),
) -> Check:
    """The check of the registry; failed if a platform's manifest is gone that a node would pull (see gone()), or was never built;
    unknown if a registry does not answer for one.

    platforms: those that every image must have, NODES for those of the nodes that its pods may run on. Raises HelmFailed.
    """
    if check.verdict == FAILED:
        return check
    lines, unanswered = gone(record, stored, registries, kubectl, platforms)
    lacks, silent = _lacks(record, stored, registries, kubectl, platforms) if platforms else ([], [])
    silent += [f"{reference.name}@{reference.digest}: {error}" for reference, error in unanswered]
    check = check._replace(unread=tuple(dict.fromkeys((*check.unread, *silent))))
    if lacks or lines:
        summary = f"{count(len(lacks) + len(lines), 'platform')} {'missing' if lacks else 'gone'}"
        return check._replace(verdict=FAILED, summary=summary, details=(*lacks, *lines, *check.details))
    return check._replace(verdict=UNKNOWN, summary="a registry did not say") if silent else check


def gone(
    record: Record, stored: Revision, registries: Registries, kubectl: Kubectl, platforms: Collection[str] = ()
) -> tuple[list[str], list[tuple[Reference, RegistryError]]]:
    """The manifests of recorded indexes that a node would pull and that are gone from the registries, one line each; and what
    registries did not answer, by index or manifest.

    platforms: those to check; if empty, those of the nodes, as far as this account may list them. Raises HelmFailed.
    """
    media_types = {image.digest: image.media_type for image in record.images}
    indexes = [r for r in askable(record, stored) if media_types.get(r.digest or "", "") in {*INDEXES, ""}]
    if not indexes:
        return [], []
    try:
        needed = _needed(stored, kubectl, platforms)
    except HelmFailed:
        if platforms:
            raise
        return [], []
    return _gone(indexes, needed, registries)


def _lacks(
    record: Record, stored: Revision, registries: Registries, kubectl: Kubectl, platforms: Collection[str]
) -> tuple[list[str], list[str]]:
    """The platforms for which an image, with or without an index, was never built; and what registries did not answer. In a plan,
    plan/platforms.py finds the same. Raises HelmFailed."""
    needed, references = _needed(stored, kubectl, platforms), askable(record, stored)
    named = {platform for platform in platforms if platform != NODES}
    lines, silent = [], []
    for reference, answer in details_of(references, *registries).items():
        name = f"{reference.name}@{reference.digest}"
        if isinstance(answer, RegistryError):
            silent += [f"{name}: its platforms are not known: {answer}"] if answer.kind != "not-found" else []
        elif missing := lacking(needed.get(reference.digest or "", named), answer.platforms):
            has = f"it has {', '.join(answer.platforms)}" if answer.platforms else "it states no platform"
            lines += [f"{name} has no image for {platform}; {has}" for platform in missing]
    return lines, silent


def _needed(stored: Revision, kubectl: Kubectl, platforms: Collection[str]) -> dict[str, set[str]]:
    """The platforms that each digest needs. Raises HelmFailed if the nodes cannot be read."""
    named = {platform for platform in platforms if platform != NODES}
    documents = [*read(stored.manifest), *read(stored.hooks)]
    nodes = read_nodes(kubectl) if not platforms or NODES in platforms else []
    needed: dict[str, set[str]] = {}
    for image, some in platforms_needed(documents, nodes).items():
        needed.setdefault(split(image)[2] or "", set()).update(some | named)
    return needed


def _gone(
    indexes: Collection[Reference], needed: Mapping[str, set[str]], registries: Registries
) -> tuple[list[str], list[tuple[Reference, RegistryError]]]:
    described = describe(indexes, *registries)
    children = children_of(described, {index: needed.get(index.digest or "", ()) for index in indexes})
    answers = resolve({child.reference for child in children}, *registries)
    lines = []
    silent = [(index, answer) for index, answer in described.items() if isinstance(answer, RegistryError)]
    for child in children:
        answer = answers[child.reference]
        if isinstance(answer, RegistryError) and answer.kind == "not-found":
            gone = f"its image for {child.platform} is gone ({child.reference.digest})"
            lines.append(f"{child.parent.name}@{child.parent.digest}: {gone}")
        elif isinstance(answer, RegistryError):
            silent.append((child.reference, answer))
    return lines, silent
