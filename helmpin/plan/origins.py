"""For each image of the deployed manifest, the image in the templates' own output that it comes from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from helmpin.image.uses import ImageUse, UseKey
from helmpin.plan.rendered import Rendered


def origins_of(rendered: Rendered, uses: Sequence[ImageUse]) -> dict[UseKey, ImageUse]:
    """For each use, the use that its template printed. A post-renderer may have moved, renamed and rewritten it."""
    if not rendered.renderer.post_renderer:
        return {use.key: use for use in uses}
    printed: dict[tuple[str, str], list[ImageUse]] = defaultdict(list)
    for one in rendered.origin.images():
        printed[one.kind, _last_part(one.image)].append(one)
    unchanged = {one.key: one for alike in printed.values() for one in alike}
    found: dict[UseKey, ImageUse] = {}
    taken: set[UseKey] = set()
    for use in uses:
        likely = unchanged.get(use.key)
        if likely != use or use.key in taken:
            alike = printed.get((use.kind, _last_part(use.image)), [])
            likely = max(alike, key=lambda one: _likeness(use, one, one.key in taken), default=None)
        if likely is not None:
            found[use.key] = likely
            taken.add(likely.key)
    return found


def _last_part(image: str) -> str:
    """The last part of an image's name."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def _likeness(use: ImageUse, printed: ImageUse, is_taken: bool) -> tuple[bool, ...]:
    """How similar an image use is to one of the same kind and name that a template printed, the strongest sign first."""
    parts = [image.partition("@")[0].split("/") for image in (use.image, printed.image)]
    same_place = (use.kind, use.path) == (printed.kind, printed.path)
    named = bool(use.name) and (printed.name in use.name or use.name in printed.name)
    return (
        use.image == printed.image,
        not is_taken,
        parts[0][-1] == parts[1][-1],
        use.source == printed.source,
        same_place,
        named,
        parts[0][1:] == parts[1][1:],
    )
