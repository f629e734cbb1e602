"""Whether a registry still has what nodes pull of an index: the manifest of their platform. An index can outlive it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from helmpin.cluster.nodes import platforms_needed, read_nodes
from helmpin.errors import HelmFailed
from helmpin.image.manifest import read
from helmpin.image.platforms import runs
from helmpin.image.reference import Reference, split
from helmpin.kubectl import Kubectl
from helmpin.registry import Described, RegistryError, describe, resolve
from helmpin.registry.manifest import INDEXES
from helmpin.release.record import Record
from helmpin.release.revision import Revision
from helmpin.verify.checks import FAILED, Check, Registries, askable, count

NODES = "nodes"
"""As a platform: those of the cluster's nodes."""


def with_children(
    check: Check,
    record: Record,
    stored: Revision,
    registries: Registries,
    kubectl: Kubectl,
    platforms: Collection[str] = (),
) -> Check:
    """The check of the registry, failed if a manifest of an index is gone that a node would pull; see gone(). Raises HelmFailed."""
    lines = [] if check.verdict == FAILED else gone(record, stored, registries, kubectl, platforms)
    if not lines:
        return check
    summary = f"{count(len(lines), 'platform')} gone"
    return check._replace(verdict=FAILED, summary=summary, details=(*lines, *check.details))


def gone(
    record: Record, stored: Revision, registries: Registries, kubectl: Kubectl, platforms: Collection[str] = ()
) -> list[str]:
    """What the registries no longer have of the recorded indexes that a node would pull, one line each.

    platforms: those that are needed, NODES for those of the nodes that the pods may run on: an index without them counts too. None
    given: those of the nodes, as far as this account may see them and the index has them. Raises HelmFailed.
    """
    media_types = {image.digest: image.media_type for image in record.images}
    references = askable(record, stored, [use.image for use in stored.uses()])
    indexes = [r for r in references if media_types.get(r.digest or "", "") in {*INDEXES, ""}]
    if not indexes:
        return []
    try:
        needed = _needed(stored, kubectl, platforms)
    except HelmFailed:
        if platforms:
            raise
        return []
    return _gone(indexes, needed, registries, must_have=bool(platforms))


def _needed(stored: Revision, kubectl: Kubectl, platforms: Collection[str]) -> dict[str, set[str]]:
    """The platforms that are needed of each digest. Raises HelmFailed when the nodes cannot be read."""
    named = {platform for platform in platforms if platform != NODES}
    documents = [*read(stored.manifest), *read(stored.hooks)]
    nodes = read_nodes(kubectl) if not platforms or NODES in platforms else []
    needed: dict[str, set[str]] = {}
    for image, some in platforms_needed(documents, nodes).items():
        needed.setdefault(split(image)[2] or "", set()).update(some | named)
    return needed


def _gone(
    indexes: Collection[Reference], needed: Mapping[str, set[str]], registries: Registries, *, must_have: bool
) -> list[str]:
    """What the registries no longer have, or never had, one line each. What they do not answer is left out: the check says it."""
    children: dict[Reference, tuple[Reference, str]] = {}
    lines = []
    for reference, answer in describe(indexes, *registries).items():
        if not isinstance(answer, Described) or answer.media_type not in INDEXES:
            continue
        for platform in sorted(needed.get(reference.digest or "", ())):
            found = [each for each in answer.platforms if not each.platform or runs(platform, each.platform)]
            if not found and must_have:
                lines.append(f"{reference.name}@{reference.digest} has no image for {platform}")
            for each in found[:1]:
                children[reference._replace(tag=None, digest=each.manifest_digest)] = (reference, platform)
    for child, error in resolve(children, *registries).items():
        if isinstance(error, RegistryError) and error.kind == "not-found":
            reference, platform = children[child]
            lines.append(f"{reference.name}@{reference.digest}: its image for {platform} is gone ({child.digest})")
    return lines
