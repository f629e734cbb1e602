"""What registries answer."""

from __future__ import annotations

from typing import NamedTuple


class Resolved(NamedTuple):
    """What a registry gives for a reference."""

    digest: str
    media_type: str


class Platform(NamedTuple):
    """One image behind a reference."""

    platform: str
    """os/architecture[/variant]; '' where nothing says."""
    manifest_digest: str
    config_digest: str | None
    """None where the manifest was not read."""


class Described(NamedTuple):
    """All that a runtime may report for a reference: the digest itself, its platforms' manifests and their
    configurations."""

    digest: str
    media_type: str
    platforms: tuple[Platform, ...]
