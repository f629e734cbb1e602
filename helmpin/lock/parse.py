"""Reading a lock file: helm-pin's own, or an Images.lock of Helm's distribution tooling. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from helmpin.errors import HelmFailed, UsageError
from helmpin.image.reference import InvalidReference, Reference, valid_digest
from helmpin.lock import Lock

VERSION = 1
_VERSION = re.compile(r"(?m)^version\b")
_CONFLICT = re.compile(r"(?m)^(?:<{7}|>{7}|={7})(?:\s|$)")
"""The lines that git puts around the sides of a conflict (git-merge, HOW CONFLICTS ARE PRESENTED)."""


class _Invalid(Exception):
    """What is wrong with a file."""


def parse_lock(text: str, name: str) -> Lock:
    """Read a lock file, or an Images.lock. Raises UsageError, with the line, for anything else."""
    from helmpin import kube_yaml

    try:
        content = kube_yaml.read_only(text, what="", where=name)
        if not isinstance(content, dict):
            raise _Invalid("it is empty" if content is None else "it is not a YAML mapping")
        if content.get("kind") == "ImagesLock":
            return _images_lock(content, name)
        return Lock(_digests(content, text), "lock", name)
    except HelmFailed as error:
        why = f"it is not the YAML of a lock: {error.why}"
    except _Invalid as error:
        why = str(error)
    hint = "correct it, or delete it and write it again with helm pin lock"
    if not _VERSION.search(text):  # somebody's other file
        hint = "name a lock file; helm pin lock writes one"
    elif "; this helm-pin reads version" in why:
        hint = "update helm-pin, or write the file again with this one"
    if conflict := _CONFLICT.search(text):
        line = text.count("\n", 0, conflict.start()) + 1
        why = f"line {line}: it has a merge conflict"
        hint = (
            "take either side (git checkout --ours or --theirs), and run the helm pin lock that wrote it again (with --keep, if "
            "several charts share the file), which adds what the other side had"
        )
    raise UsageError(f"{name} is not a valid lock file", why=why, hint=hint)


def _digests(content: Mapping[str, Any], text: str) -> dict[Reference, str]:
    version = content.get("version")
    if version != VERSION or isinstance(version, bool):
        if "version" not in content or str(version) == str(VERSION):  # or it is in quotes
            raise _Invalid(f"it has no version: the first line must be `version: {VERSION}`")
        raise _Invalid(f"its version is {version!r}; this helm-pin reads version {VERSION}")
    if unknown := sorted(set(content) - {"version", "images"}):
        raise _Invalid(f"unknown key: {unknown[0]}")
    items, lines = _items(content), _item_lines(text)
    found: dict[Reference, str] = {}
    where: dict[Reference, int] = {}
    for item, line in zip(items, lines, strict=True):
        try:
            reference, digest = _pin(item)
        except _Invalid as error:
            raise _Invalid(f"line {line}: {error}") from None
        if reference in found:
            raise _Invalid(
                f"line {line}: {reference} is on line {where[reference]} already; one reference has one digest"
            )
        found[reference], where[reference] = digest, line
    return found


def _items(content: Mapping[str, Any]) -> list[Any]:
    items = content.get("images")
    if not isinstance(items, list):
        raise _Invalid("`images` is not a list" if "images" in content else "it has no `images`")
    return items


def _pin(item: Any) -> tuple[Reference, str]:
    """A line's reference, and its digest."""
    if not isinstance(item, dict) or not isinstance(item.get("image"), str):
        raise _Invalid("an image is written as `- image: name:tag@sha256:…`")
    if unknown := sorted(set(item) - {"image"}):
        raise _Invalid(f"unknown key: {unknown[0]}")
    try:
        reference = Reference.parse(item["image"])
    except InvalidReference as error:
        raise _Invalid(f"{_shown(item['image'])} is not an image reference: {error}") from None
    if not reference.digest:
        raise _Invalid(f"{_shown(item['image'])} has no digest")
    if not reference.tag:
        raise _Invalid(f"{_shown(item['image'])} has no tag; the tag is what the digest is looked up by")
    return reference._replace(digest=None), reference.digest


def _images_lock(content: Mapping[str, Any], name: str) -> Lock:
    """Images.lock, apiVersion v0: the digests of an image's platforms, or of the image itself where it has only one."""
    if content.get("apiVersion") != "v0":
        raise _Invalid(f"it is an ImagesLock with apiVersion {content.get('apiVersion')!r}; this helm-pin reads v0")
    found: dict[Reference, dict[str, str]] = {}
    for item in _items(content):
        image = item.get("image") if isinstance(item, dict) else None
        if not isinstance(image, str):
            raise _Invalid("an entry of `images` has no `image`")
        try:
            reference = Reference.parse(image)
        except InvalidReference as error:
            raise _Invalid(f"{_shown(image)} is not an image reference: {error}") from None
        digests = _platforms(item, image)
        if reference.digest:  # pinned by the chart itself
            continue
        if found.setdefault(reference, digests) != digests:
            raise _Invalid(f"{image} is listed twice, with different digests")
    alone = {reference: next(iter(each.values())) for reference, each in found.items() if len(each) == 1}
    several = {reference: each for reference, each in found.items() if len(each) > 1}

    def hint() -> str:
        return "regenerate it (helm dt images lock), or use a lock file of helm pin lock"

    return Lock(alone, "lock", name, several, hint=hint, is_ours=False)


def _platforms(item: Mapping[str, Any], image: str) -> dict[str, str]:
    digests = item.get("digests")
    if not isinstance(digests, list) or not digests:
        raise _Invalid(f"{image} has no digests")
    found: dict[str, str] = {}
    for each in digests:
        digest, platform = (each.get("digest"), each.get("arch")) if isinstance(each, dict) else (None, None)
        if not isinstance(digest, str) or not valid_digest(digest):
            raise _Invalid(f"{image}: {_shown(digest)} is not a digest")
        # variants of one architecture (arm/v6, arm/v7) have the same name in this format
        found[f"{platform}" if f"{platform}" not in found else f"{platform} {len(found)}"] = digest
    return found


def _item_lines(text: str) -> list[int]:
    """The line of each image, counted from 1."""
    from helmpin import yaml_position

    root: Any = yaml_position.compose(text)
    if any(key.value == "<<" for key, _ in root.value):
        raise _Invalid("unknown key: <<")
    images = next(value for key, value in reversed(root.value) if key.value == "images")
    return [item.start_mark.line + 1 for item in images.value]


def _shown(value: Any) -> str:
    text = str(value)
    return ascii(text if len(text) <= 200 else text[:197] + "...")
