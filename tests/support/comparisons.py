"""Comparisons of renders that are written down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helmpin.render.diff import Comparison, compare
from helmpin.render.output import parse
from tests.support.renders import digest

DIGEST, OTHER = digest("a"), digest("b")
WEB = "example.com/team/web:1.2.3"


def compared(before: str, after: str, digests: Mapping[str, str] | None = None, **more: Any) -> Comparison:
    """The comparison of two renders whose images are to have these digests (WEB alone, at DIGEST)."""
    plain = parse(before, more.pop("also", None))
    wanted = {
        use.key: d for use in plain.images() if (d := ({WEB: DIGEST} if digests is None else digests).get(use.image))
    }
    return compare(plain, parse(after, plain.also), wanted, **more)


def changes(before: str, after: str, digests: Mapping[str, str] | None = None) -> list[tuple[Any, Any, Any]]:
    """(path of the leaf, before, after) of what a pin must not change, and did."""
    return [(d.leaf[3], d.before, d.after) for d in compared(before, after, digests).collateral]


def pinned(text: str, image: str = WEB, at: str = DIGEST) -> str:
    """The render with the image pinned wherever it stands."""
    return text.replace(image, f"{image}@{at}")
