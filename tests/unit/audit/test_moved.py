"""Tags that have moved, in an audit's metrics: only where registries were asked."""

from __future__ import annotations

import re

from helmpin.audit.findings import Audit, Release
from helmpin.audit.report import prometheus
from helmpin.verify.tags import Moved

A, B = (f"sha256:{letter * 64}" for letter in "ab")


def metrics(moved: tuple[Moved, ...] | None) -> str:
    """Those of one release."""
    images = {"quay.io/t/app:main": A}
    release = Release("", "prod", "app", 1, "deployed", "app-1.0.0", "", "abc", images, 1, [], (), moved=moved)
    return prometheus([Audit("", [release], [], ())])


def test_the_tags_that_have_moved_are_counted_where_registries_were_asked() -> None:
    moved = Moved("quay.io/t/app:main", A, B, "2026-11-26T00:30:47Z")
    count = r'^helm_pin_release_images_moved\{.*release="app"\} (\d)$'
    assert re.findall(count, metrics((moved,)), re.MULTILINE) == ["1"]
    assert re.findall(count, metrics(()), re.MULTILINE) == ["0"]
    assert "images_moved" not in metrics(None)
