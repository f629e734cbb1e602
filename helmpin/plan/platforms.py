"""Whether images have the platforms that --platform requires. A missing one is a problem of the plan, found before any change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from helmpin.config.settings import Settings
from helmpin.errors import UsageError
from helmpin.image.platforms import NODES, lacking
from helmpin.image.reference import Reference
from helmpin.plan.credentials import keychain_of
from helmpin.plan.images import Problem
from helmpin.registry import RegistryError, Resolved

if TYPE_CHECKING:
    from helmpin.plan.rendered import Rendered


def problems(
    rendered: Rendered, resolved: Mapping[str, Resolved], references: Mapping[str, Reference], settings: Settings
) -> dict[str, Problem]:
    """The problem of each resolved image that lacks a platform. Raises UsageError for --locked, which asks no registry, and
    HelmFailed if the nodes cannot be read."""
    if not settings.platforms or not resolved:
        return {}
    if settings.locked:
        raise UsageError("--platform cannot be used with --locked", why="it asks registries", hint="leave one out")
    from helmpin.registry import details_of

    wanted = _wanted(rendered, settings)
    pinned = {image: references[image]._replace(digest=answer.digest) for image, answer in resolved.items()}
    known = details_of(pinned.values(), settings.registry, keychain_of(rendered, settings))
    found = {}
    for image, reference in pinned.items():
        answer = known[reference]
        if isinstance(answer, RegistryError):
            found[image] = Problem(f"its platforms are not known: {answer}", "registry", answer.hint)
        elif missing := lacking(wanted.get(image, ()), answer.platforms):
            has = f"it has {', '.join(answer.platforms)}" if answer.platforms else "it states no platform"
            hint = f"build it for {', '.join(missing)} too, or keep its pods off such nodes (nodeSelector) with --platform {NODES}"
            found[image] = Problem(f"it has no image for {', '.join(missing)}; {has}", "refused", hint)
    return found


def _wanted(rendered: Rendered, settings: Settings) -> dict[str, set[str]]:
    """The wanted platforms of each image. Raises HelmFailed."""
    from helmpin.cluster.nodes import platforms_needed, read_nodes
    from helmpin.kubectl import Kubectl

    named = {platform for platform in settings.platforms if platform != NODES}
    nodes = read_nodes(Kubectl(rendered.renderer.helm)) if NODES in settings.platforms else []
    needed = platforms_needed(rendered.plain.documents, nodes) if nodes else {}
    images = {use.image for use in rendered.plain.images()}
    return {image: named | needed.get(image, set()) for image in images}
