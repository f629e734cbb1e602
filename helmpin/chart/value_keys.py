"""The keys under which charts keep the parts of an image, by the end of their names."""

from __future__ import annotations

import re

from helmpin.chart.setargs import ValuePath

TAG_KEY = re.compile(r"(tag|version)$", re.IGNORECASE)
TAGS_KEY = re.compile(r"(tag|version)s?$", re.IGNORECASE)
"""A tag, or a map of tags."""
DIGEST_KEY = re.compile(r"(digest|sha_?256|sha|hash)$", re.IGNORECASE)
IMAGE_KEY = re.compile(r"image$", re.IGNORECASE)
WHOLE_KEY = re.compile(r"(image|image_?name|img)$", re.IGNORECASE)
"""A key that may hold a whole reference."""
REPOSITORY_KEY = re.compile(r"(repository|repo|image|image_?name|img)$", re.IGNORECASE)
"""A key whose own name says that it holds an image's name."""
NAME_KEY = re.compile(r"(repository|repo|image|name|path)$", re.IGNORECASE)
"""The keys that may hold the name of an image."""
REGISTRY_KEY = re.compile(r"(registry|hub)$", re.IGNORECASE)
SUFFIX_KEY = re.compile(r"(suffix|variant|flavou?r)$", re.IGNORECASE)
"""A key that may add something to a tag."""
PART_KEY = re.compile(r"(tag|version|repository|image|digest|name|registry)$", re.IGNORECASE)
"""A key that holds a part of an image."""
_STEM = re.compile(
    r"(image|img|docker|container|repository|repo|name|path|tag|version|digest|sha_?256|sha|hash|[-_.])", re.IGNORECASE
)


def stem(key: str | int) -> str:
    """What is left of a key, in lower case, without the words for parts of an image: keys with one stem belong together."""
    return _STEM.sub("", str(key)).lower()


def names_tag(path: ValuePath) -> bool:
    """Whether a key, or that of its map (`imageTags`, `versions`), is one for tags."""
    return bool(TAG_KEY.search(last_key(path)) or TAGS_KEY.search(last_key(path[:-1])))


def last_key(path: ValuePath) -> str:
    """The last key of a path, whatever its indexes; '' if it has none."""
    return next((part for part in reversed(path) if isinstance(part, str)), "")
