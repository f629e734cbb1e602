"""Finding the container images in rendered objects, by shape: a pod template is one wherever it stands, in any kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
"""The container lists of a PodSpec (Kubernetes API reference, PodSpec v1 core)."""

Path = tuple[str | int, ...]


class Found(NamedTuple):
    """One image in an object: the text as written and the path of its leaf."""

    image: str
    path: Path


def images(node: Any, path: Path = ()) -> Iterator[Found]:
    """Every container image and image volume under `node`, in document order.

    A list under one of CONTAINER_LISTS whose items have a string `image` holds containers; an item of `volumes` beside such
    a list with `image.reference` is an image volume (PodSpec v1 core, ImageVolumeSource).
    """
    if isinstance(node, dict):
        for key, child in node.items():
            here = (*path, str(key))
            if key in CONTAINER_LISTS and isinstance(child, list):
                for i, item in enumerate(child):
                    if isinstance(item, dict) and isinstance(item.get("image"), str):
                        yield Found(item["image"], (*here, i, "image"))
            if key == "volumes" and isinstance(child, list) and any(name in node for name in CONTAINER_LISTS):
                for i, item in enumerate(child):
                    source = item.get("image") if isinstance(item, dict) else None
                    if isinstance(source, dict) and isinstance(source.get("reference"), str):
                        yield Found(source["reference"], (*here, i, "image", "reference"))
            yield from images(child, here)
    elif isinstance(node, list):
        for i, child in enumerate(node):
            yield from images(child, (*path, i))


def container_name(node: Any, path: Path) -> str:
    """The name of the container (or volume) that an image path belongs to, or ''."""
    for i in range(len(path) - 1, -1, -1):
        if isinstance(path[i], int):
            for part in path[: i + 1]:
                node = node[part]
            return str(node.get("name", "")) if isinstance(node, dict) else ""
    return ""
