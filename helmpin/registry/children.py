"""The images behind an index, one for each platform: an index can outlive the manifests that it lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from helmpin.image.platforms import best
from helmpin.image.reference import Reference
from helmpin.named_tuple import NamedTuple
from helmpin.registry.errors import RegistryError
from helmpin.registry.manifest import INDEXES
from helmpin.registry.types import Described


class Child(NamedTuple):
    """What a container runtime pulls of an index."""

    parent: Reference
    platform: str
    """The node's."""
    reference: Reference
    """Of its manifest, by digest."""


def children_of(
    described: Mapping[Reference, Described | RegistryError], wanted: Mapping[Reference, Iterable[str]]
) -> list[Child]:
    """What nodes of the wanted platforms pull of each index; nothing for an image without an index, nor where the index lists
    nothing that runs on the platform."""
    found = []
    for index, answer in described.items():
        if isinstance(answer, RegistryError) or answer.media_type not in INDEXES:
            continue
        for platform in sorted(wanted.get(index, ())):
            pulled = best(platform, [each.platform for each in answer.platforms])
            digests = [each.manifest_digest for each in answer.platforms if each.platform == pulled]
            found += [Child(index, platform, index._replace(tag=None, digest=digest)) for digest in digests[:1]]
    return found
