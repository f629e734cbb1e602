"""Tags that run as more than one digest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from helmpin.audit.findings import Mixed
from helmpin.cluster.pods import ENDED, containers, reported
from helmpin.cluster.workloads import Object
from helmpin.image.reference import Reference, split


def mixed_tags(pods: Iterable[Object]) -> list[Mixed]:
    """The tags that run as more than one digest, on pods that have not ended."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for pod in pods:
        if pod["metadata"].get("deletionTimestamp") or (pod.get("status") or {}).get("phase") in ENDED:
            continue
        for container in containers(pod):
            tagged = _tagged(container.image)
            if tagged and container.image_id:
                name = f"{pod['metadata'].get('namespace')}/{pod['metadata']['name']}"
                # nodes report an image in different ways, but its digest in the pod's spec is always the same
                found[tagged][split(container.image)[2] or reported(container.image_id)].add(name)
    return [
        Mixed(image, {digest: sorted(names) for digest, names in sorted(digests.items())})
        for image, digests in sorted(found.items())
        if len(digests) > 1
    ]


def _tagged(image: str) -> str:
    """registry/repository:tag of an image, or '' when it has no tag."""
    reference = Reference.read(image)
    return f"{reference.name}:{reference.tag}" if reference and reference.tag else ""
