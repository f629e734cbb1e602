"""Containers that report another digest than their own: whether that is the same image."""

from __future__ import annotations

from collections.abc import Iterable

from helmpin.cluster.pods import reported
from helmpin.cluster.workloads import Doubt, Seen
from helmpin.image.reference import Reference, split
from helmpin.registry import Described, RegistryError, describe
from helmpin.verify.registries import Registries


def resolve_doubts(collected: Iterable[Seen], registries: Registries | None) -> None:
    """Judge the containers that report another digest than their own by what registries know about both, all requested at once.

    The image is the same when the reported digest is that of one of the index's manifests or configurations, or when the other
    name's image has the same configuration: a node keeps one image under many names.
    """
    doubts = [(seen, doubt, *_references(doubt)) for seen in collected for doubt in seen.doubts]
    asked = [reference for _, _, *both in doubts for reference in both if reference]
    answers = describe(asked, *registries, configs=True) if registries and asked else {}
    for seen, doubt, expected, found in doubts:
        line = f"{doubt.where} reports {doubt.reported}, recorded is {split(doubt.image)[2]}"
        should, does = answers.get(expected) if expected else None, answers.get(found) if found else None
        if registries is None:
            seen.silent.append(f"{line}: no registry was asked whether that is the same image")
        elif not isinstance(should, Described):
            seen.silent.append(f"{line}: whether that is the same image is unknown: {should}")
        elif reported(doubt.reported) in _names(should) or (
            isinstance(does, Described) and _configurations(should) & _configurations(does)
        ):
            seen.right += 1
        elif isinstance(does, RegistryError) and does.kind != "not-found":
            seen.silent.append(f"{line}: whether that is the same image is unknown: {does}")
        else:
            seen.wrong.append(line)
        seen.doubts.remove(doubt)


def _references(doubt: Doubt) -> tuple[Reference | None, Reference | None]:
    """What a container should run, and what it reports; None for what is not a reference."""
    found = doubt.reported.rpartition("://")[2]
    return Reference.read(doubt.image), Reference.read(found) if "@" in found else None


def _names(described: Described) -> set[str]:
    """Every digest that a runtime may report for an image."""
    platforms = {d for p in described.platforms for d in (p.manifest_digest, p.config_digest) if d}
    return {described.digest} | platforms


def _configurations(described: Described) -> set[str]:
    return {p.config_digest for p in described.platforms if p.config_digest}
