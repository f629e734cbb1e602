"""Whether images have the platforms that --platform requires. A missing one is a problem of the plan, found before any change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from helmpin import output, registry
from helmpin.config.settings import Settings
from helmpin.errors import UsageError
from helmpin.image.platforms import NODES, lacking
from helmpin.image.reference import Reference
from helmpin.named_tuple import NamedTuple
from helmpin.plan.credentials import keychain_of
from helmpin.plan.images import Problem
from helmpin.registry import Described, RegistryError, RegistrySettings, Resolved
from helmpin.registry.children import children_of
from helmpin.registry.manifest import INDEXES

if TYPE_CHECKING:
    from helmpin.plan.rendered import Rendered
    from helmpin.registry.keychain import Keychain


def problems(
    rendered: Rendered, resolved: Mapping[str, Resolved], references: Mapping[str, Reference], settings: Settings
) -> dict[str, Problem]:
    """The problem of each resolved image that lacks a platform. With --locked, which asks no registry, there is none, but a note.
    Raises UsageError for --locked and --platform, and HelmFailed if the nodes cannot be read."""
    if not settings.platforms or not resolved:
        return {}
    if settings.locked and settings.platforms_from == "--platform":
        raise UsageError("--platform cannot be used with --locked", why="it asks registries", hint="leave one out")
    if settings.locked:
        output.say(
            f"{settings.platforms_from}: not checked with --locked, which asks no registry; helm pin lock checks it."
        )
        return {}
    wanted = _wanted(rendered, settings)
    pinned = {image: references[image]._replace(digest=answer.digest) for image, answer in resolved.items()}
    known = _known(set(pinned.values()), (settings.registry, keychain_of(rendered, settings)))
    needed: dict[Reference, set[str]] = defaultdict(set)  # one image may be written in two ways
    for image, reference in pinned.items():
        needed[reference] |= wanted.get(image, set())
    gone = _gone(known, needed)
    found = {}
    for image, reference in pinned.items():
        answer = known.platforms[reference]
        if isinstance(answer, RegistryError):
            found[image] = Problem(f"its platforms are not known: {answer}", "registry", answer.hint)
        elif missing := lacking(wanted.get(image, ()), answer):
            has = f"it has {', '.join(answer)}" if answer else "it states no platform"
            hint = f"build it for {', '.join(missing)} too, or keep its pods off such nodes (nodeSelector) with --platform {NODES}"
            found[image] = Problem(f"it has no image for {', '.join(missing)}; {has}", "refused", hint)
        elif problem := gone.get(reference):
            found[image] = problem
    return found


class _Known(NamedTuple):
    """What registries know about references with digests."""

    registries: tuple[RegistrySettings, Keychain | None]
    described: Mapping[Reference, Described | RegistryError]
    platforms: Mapping[Reference, Sequence[str] | RegistryError]


def _known(references: Collection[Reference], registries: tuple[RegistrySettings, Keychain | None]) -> _Known:
    """The platforms of each reference: those that an index states, or else the one in the image's configuration."""
    described = registry.describe(references, *registries)
    details = registry.details_of(
        [r for r, answer in described.items() if not (isinstance(answer, RegistryError) or _stated(answer))],
        *registries,
    )
    platforms: dict[Reference, Sequence[str] | RegistryError] = {}
    for reference, answer in described.items():
        detail = details.get(reference)
        if isinstance(answer, RegistryError):
            platforms[reference] = answer
        elif detail is None:
            platforms[reference] = _stated(answer)
        else:
            platforms[reference] = detail if isinstance(detail, RegistryError) else detail.platforms
    return _Known(registries, described, platforms)


def _stated(answer: Described | RegistryError) -> tuple[str, ...]:
    """The platforms that an index states."""
    if isinstance(answer, RegistryError) or answer.media_type not in INDEXES:
        return ()
    return tuple(dict.fromkeys(each.platform for each in answer.platforms if each.platform))


def _gone(known: _Known, wanted: Mapping[Reference, Collection[str]]) -> dict[Reference, Problem]:
    """The problem of each index that lists a platform's image which the registry does not have."""
    children = children_of(known.described, wanted)
    answers = registry.resolve({child.reference for child in children}, *known.registries)
    found: dict[Reference, Problem] = {}
    for child in children:
        answer = answers[child.reference]
        if isinstance(answer, RegistryError):
            is_gone = answer.kind == "not-found"
            why = f"is gone ({child.reference.digest})" if is_gone else f"is not known: {answer}"
            hint = "push the image again, with all of its platforms" if is_gone else answer.hint
            found.setdefault(child.parent, Problem(f"its image for {child.platform} {why}", "registry", hint))
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
