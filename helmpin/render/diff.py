"""Comparing the plain render of a chart with a pinned one: what may differ, and what must not.

Allowed are:
- a container image that becomes itself at its digest;
- a *follower*: a whole reference with a tag, of an image that the chart runs, that gets that image's digest outside names, labels,
  selectors and annotations, not in an immutable ConfigMap or Secret, and not where an image is pushed to;
- a pod template's own `checksum/…` annotation;
- what a chart makes at random, if its fixed part stays and no digest shows in it (randomness.py).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from helmpin.image import not_pulled
from helmpin.image.documents import hook_of, kind_and_name
from helmpin.image.find import ObjectPath, dotted, is_pod_spec
from helmpin.image.reference import Reference, split
from helmpin.image.uses import ImageUse, UseKey
from helmpin.named_tuple import NamedTuple
from helmpin.render.differences import NAMING, PINNED, Difference, Leaf, differences, text_differences
from helmpin.render.output import Render
from helmpin.render.randomness import unexcused
from helmpin.timeline import step

_HASH = re.compile(r"[\w+/=-]{6,128}")
"""What may be a hash, in whatever form a chart prints it."""


class Follower(NamedTuple):
    """A leaf with references that get the digests of images: its object, and these references."""

    leaf: Leaf
    kind: str
    name: str
    references: tuple[Reference, ...]
    """Each with its digest."""

    def place(self) -> str:
        """`ConfigMap/settings data.image`."""
        return f"{self.kind}/{self.name} {dotted(self.leaf[3])}"


class Comparison(NamedTuple):
    """How a pinned render differs from the plain one."""

    images: dict[UseKey, str]
    """The image at each use."""
    failing: frozenset[UseKey]
    """The uses that did not get their digest."""
    followers: tuple[Follower, ...]
    collateral: list[Difference]


def is_pin(use: ImageUse, after: str, digest: str) -> bool:
    """Whether `after` is the image of `use` at `digest`: the same name and digest, and the same tag (`latest` if there was none).

    The tag may be missing if no default depends on it: Kubernetes always pulls `latest`, unless the container has a pull policy
    (kubernetes.io/docs/concepts/containers/images, "Imagepullpolicy Defaulting").
    """
    name, tag, _ = split(use.image)
    new_name, new_tag, new_digest = split(after)
    if new_name != name or new_digest != digest:
        return False
    if new_tag is None:
        return bool(use.pull_policy) or tag not in (None, "latest")
    return new_tag == (tag or "latest")


@step("comparing renders")
def compare(
    plain: Render, pinned: Render, wanted: Mapping[UseKey, str], noise: Mapping[Leaf, Any] = MappingProxyType({})
) -> Comparison:
    """Compare two renders of one chart.

    wanted: the digest that each use of the plain render must get. noise: the leaves that differ in another plain render, with their
    values there. Documents are matched by source file and order, because names can be random.
    """
    uses = {use.key: use for use in plain.images() if use.key in wanted}
    images = {use.key: use.image for use in pinned.images()}
    parts: dict[Leaf, list[ImageUse]] = defaultdict(list)
    for use in uses.values():
        if str(use.path[-1]).startswith("#"):
            parts[(use.source, use.order, use.nth, use.path[:-1])].append(use)
    follow = _Following((use.image, wanted[use.key]) for use in uses.values())
    digests = {*wanted.values()}
    followers: list[Follower] = []
    collateral: list[Difference] = []
    old = {(d.source, d.order): d for d in plain.documents}
    new = {(d.source, d.order): d for d in pinned.documents}
    for key in [*old, *(k for k in new if k not in old)]:
        a, b = old.get(key), new.get(key)
        if a is not None and b is not None and a.text == b.text:
            continue
        changed: list[Difference] = []
        others: list[Difference] = []
        for difference, item in differences(a, b):
            leaf, before, after, _ = difference
            changed.append(difference)
            if leaf in uses and isinstance(after, str):
                continue  # judged below
            if (within := parts.get(leaf)) and isinstance(before, str) and _replaced(before, within, images) == after:
                continue
            references = follow(item, leaf[3], before, after)
            if references and not _is_immutable(item):
                followers.append(Follower(leaf, *kind_and_name(item), references))
            elif not _is_checksum(item, leaf[3], before, after):
                others.append(difference)
        others = unexcused(others, digests, noise)
        if a is not None and b is not None and not others:
            others = unexcused(text_differences(a, b, changed), digests, noise)
        collateral += others
    failing = frozenset(key for key, use in uses.items() if not is_pin(use, images.get(key, ""), wanted[key]))
    return Comparison(images, failing, tuple(followers), collateral)


def noise(one: Render, other: Render) -> dict[Leaf, Any]:
    """The leaves that differ between two renders of one chart, with their values in the other: what it makes at random."""
    return {difference.leaf: difference.after for difference in compare(one, other, {}).collateral}


def _replaced(before: str, uses: Iterable[ImageUse], images: Mapping[UseKey, str]) -> str:
    """A text with the given uses replaced by their images in the render with pins."""
    at = 0
    for use in uses:
        start = before.find(use.image, at)
        if start < 0 or use.key not in images:
            return before
        before = before[:start] + images[use.key] + before[start + len(use.image) :]
        at = start + len(images[use.key])
    return before


class _Following:
    """Recognises followers of images."""

    def __init__(self, pinned: Iterable[tuple[str, str]]) -> None:
        self._digests: dict[Reference, set[str]] = defaultdict(set)
        for image, digest in pinned:
            self._digests[Reference.parse(image)].add(digest)

    def __call__(self, item: Any, path: ObjectPath, before: Any, after: Any) -> tuple[Reference, ...]:
        """The references in `after` that got their digest, if that is the only change from `before`; else none. item: the object
        with the leaf at this path."""
        if not (isinstance(before, str) and isinstance(after, str)) or not NAMING.isdisjoint(map(str, path)):
            return ()
        (text, there), (same, now) = _without_digests(before), _without_digests(after)
        gained = [now[at] for at in now if at not in there]
        references = [self._reference(name, digest) for name, digest in gained]
        if text != same or not gained or None in references or any(now.get(at) != token for at, token in there.items()):
            return ()
        if not_pulled.is_field(item, path):
            return ()
        words = not_pulled.before(item, path)
        if any(
            not_pulled.is_pushed(words + same[: at - len(name)]) for at, (name, _) in now.items() if at not in there
        ):
            return ()
        return tuple(dict.fromkeys(r for r in references if r is not None))

    def _reference(self, name: str, digest: str) -> Reference | None:
        reference = Reference.read(name)
        if reference is None or split(name)[1] is None or digest not in self._digests.get(reference, ()):
            return None
        return reference._replace(digest=digest)


def _without_digests(text: str) -> tuple[str, dict[int, tuple[str, str]]]:
    """A text without the digests of references, and their places in the result: {end of the name: (name, digest)}."""
    pieces, found, kept, length = [], {}, 0, 0
    for match in PINNED.finditer(text):
        pieces.append(text[kept : match.end(1)])
        length += len(pieces[-1])
        found[length] = (match[1], match[2])
        kept = match.end()
    return "".join([*pieces, text[kept:]]), found


def _is_immutable(item: Any) -> bool:
    """Whether the API server rejects a change to a ConfigMap or Secret (core/v1, `immutable`). Helm recreates hooks."""
    return (
        isinstance(item, dict)
        and item.get("kind") in ("ConfigMap", "Secret")
        and item.get("immutable") is True
        and not hook_of(item)
    )


def _is_checksum(item: Any, path: tuple[Any, ...], before: Any, after: Any) -> bool:
    """Whether a leaf is a pod template's own `checksum/…` annotation and holds a hash: it may change with what it hashes."""
    if len(path) < 3 or path[-3:-1] != ("metadata", "annotations") or not str(path[-1]).startswith("checksum/"):
        return False
    for part in path[:-3]:
        item = item[part]
    spec = item.get("spec") if isinstance(item, dict) else None
    return is_pod_spec(spec) and all(isinstance(text, str) and _HASH.fullmatch(text) for text in (before, after))
