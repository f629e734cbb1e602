"""Platforms of images and nodes: os/architecture[/variant], as in the OCI image-spec (image-index.md) and containerd's platforms
package."""

from __future__ import annotations

import re
from collections.abc import Iterable

NODES = "nodes"
"""Stands for the platforms of the cluster's nodes (--platform)."""
PLATFORM = r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9_.]+)?"
"""The form of a platform."""
_NORMAL = {"aarch64": "arm64", "x86_64": "amd64", "armhf": "arm", "i386": "386"}
"""Architectures by other names (containerd, platforms/database.go)."""


def valid_platform(text: str) -> bool:
    """Whether the text is os/architecture, or os/architecture/variant."""
    return bool(re.fullmatch(PLATFORM, text))


def runs(wanted: str, has: str) -> bool:
    """Whether an image for the platform `has` runs on `wanted`: the same os and architecture, and no later variant (containerd,
    platforms/compare.go: arm/v7 runs arm/v6; arm64 is arm64/v8, arm is arm/v7, amd64 is amd64/v1)."""
    (system, architecture, variant), other = _parts(wanted), _parts(has)
    return (system, architecture) == other[:2] and other[2] <= variant


def best(wanted: str, has: Iterable[str]) -> str | None:
    """The platform of the image that a container runtime takes for `wanted`: the latest variant that runs there, and '' only where
    nothing else does (containerd, images/handlers.go, LimitManifests). None if nothing runs there."""
    there = list(has)
    fitting = [each for each in there if runs(wanted, each)] or [each for each in there if not each]
    return max(fitting, key=lambda each: _parts(each)[2], default=None)


def _parts(platform: str) -> tuple[str, str, int]:
    system, architecture, variant, *_ = [*platform.split("/"), "", ""]
    architecture = _NORMAL.get(architecture, architecture)
    number = re.fullmatch(r"v?(\d{1,3})(\.\d+)?", variant)
    default = {"arm": 7, "arm64": 8}.get(architecture, 1)
    return system, architecture, int(number[1]) if number else default


def lacking(wanted: Iterable[str], has: Iterable[str]) -> list[str]:
    """The wanted platforms that no image runs on, sorted."""
    there = list(has)
    return sorted(platform for platform in set(wanted) if not any(runs(platform, each) for each in there))
