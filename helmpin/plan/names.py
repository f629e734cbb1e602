"""The names beside the digests of a values file: registry, repository and tag, which tell update bots what each digest is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from helmpin.chart.setargs import Setting, ValuePath, dotted_key, lookup
from helmpin.image.reference import split
from helmpin.plan.images import ImagePlan

NAMES = ("registry", "repository", "tag", "version")
"""What Renovate's helm-values manager reads, in its order."""


def beside(settings: Iterable[Setting], values: Mapping[str, Any]) -> list[tuple[ValuePath, Any]]:
    """The names beside what is set, each with its present value, so that setting them changes nothing.

    Lists are left out, because a values file has them whole.
    """
    settings = list(settings)
    taken = {setting.path for setting in settings}
    found: dict[ValuePath, Any] = {}
    for parent in _parents(settings):
        there = lookup(values, parent)
        for name in NAMES if isinstance(there, dict) else ():
            value, path = there.get(name), (*parent, name)
            if isinstance(value, (str, int, float)) and value != "" and path not in taken:
                found[path] = value
    return list(found.items())


def missing_tags(settings: Iterable[Setting], values: Mapping[str, Any], images: Iterable[ImagePlan]) -> list[Setting]:
    """The tags that are missing beside a digest because the template supplies them. A render must show whether they can be set."""
    settings, images = list(settings), list(images)
    paths = {setting.path for setting in settings}
    found = []
    for parent in _parents(settings):
        there = lookup(values, parent)
        tags = {(*parent, "tag"), (*parent, "version")}
        if (
            isinstance(there, dict)
            and there.get("repository")
            and not (there.get("tag") or there.get("version") or tags & paths)
        ):
            mine = {dotted_key(path) for path in paths if path[:-1] == parent}
            of = [split(image.image)[1] or "latest" for image in images if mine & set(image.values)]
            if len(set(of)) == 1:
                found.append(Setting((*parent, "tag"), of[0]))
    return found


def _parents(settings: Iterable[Setting]) -> Iterator[ValuePath]:
    parents = (setting.path[:-1] for setting in settings)
    return iter(dict.fromkeys(p for p in parents if p and not any(isinstance(part, int) for part in p)))
