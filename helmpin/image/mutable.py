"""Which tags are mutable. A digest is not; a full version is not, by convention; everything else is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

MOVING = (
    "latest",
    "stable",
    "edge",
    "nightly",
    "main",
    "master",
    "dev",
    "devel",
    "develop",
    "development",
    "canary",
    "rolling",
    "lts",
    "snapshot",
)
"""Tags that publishers move by design, also with a suffix after `-` (`latest-alpine`, `main-debian`)."""
_FLOATING = re.compile(r"v?\d{1,5}(\.\d{1,5})?([-_+].*)?")
_BUILD = re.compile(r"\d{6,}|(?:19|20)\d\d[-_.]\d\d[-_.]\d\d|[0-9a-f]{7,}|-r\d+$")
"""What one build alone has: a date, a commit, or a revision (`12-debian-12-r50`: docs.bitnami.com, immutable tags)."""


def reason(tag: str | None, digest: str | None = None, globs: Iterable[str] = ()) -> str | None:
    """Why a reference is mutable, for people, or None when it is not.

    tag is None when the reference has no tag (the registry then serves `latest`). globs match further mutable tags.
    """
    if digest:
        return None
    if not tag:
        return "no tag, so latest"
    lowered = tag.lower()
    if declared := next((glob for glob in globs if fnmatchcase(tag, glob)), None):
        return f"tag {tag} is declared mutable ({declared})"
    if any(
        lowered == word or lowered.startswith((word + "-", word + "_")) or lowered.endswith("-" + word)
        for word in MOVING
    ):
        return f"tag {tag} moves by design"
    if _FLOATING.fullmatch(tag) and not _BUILD.search(tag):
        return f"tag {tag} is a floating version"
    if not any(c.isdigit() for c in tag):
        return f"tag {tag} names no version"
    return None
