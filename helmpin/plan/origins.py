"""For each image of the deployed manifest, the image in the templates' own output that it comes from."""

from __future__ import annotations

from collections.abc import Sequence

from helmpin.image.manifest import ImageUse, UseKey
from helmpin.plan.rendered import Rendered


def origins_of(rendered: Rendered, uses: Sequence[ImageUse]) -> dict[UseKey, ImageUse]:
    """For each use, the use that its template printed. A post-renderer may have moved, renamed and rewritten it."""
    if not rendered.renderer.post_renderer:
        return {use.key: use for use in uses}
    printed = rendered.origin.images()
    found: dict[UseKey, ImageUse] = {}
    taken: set[UseKey] = set()
    for use in uses:
        likely = max(printed, key=lambda one: _likeness(use, one, one.key in taken), default=None)
        if likely is not None and _likeness(use, likely, False)[0]:
            found[use.key] = likely
            taken.add(likely.key)
    return found


def _likeness(use: ImageUse, printed: ImageUse, is_taken: bool) -> tuple[bool, ...]:
    """How similar an image use is to one that a template printed, the strongest sign first."""
    parts = [image.partition("@")[0].split("/") for image in (use.image, printed.image)]
    same_name = parts[0][-1].partition(":")[0] == parts[1][-1].partition(":")[0]
    same_place = (use.kind, use.path) == (printed.kind, printed.path)
    named = bool(use.name) and (printed.name in use.name or use.name in printed.name)
    return (
        use.kind == printed.kind and same_name,
        use.image == printed.image,
        not is_taken,
        parts[0][-1] == parts[1][-1],
        use.source == printed.source,
        same_place,
        named,
        parts[0][1:] == parts[1][1:],
    )
