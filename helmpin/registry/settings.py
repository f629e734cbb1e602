"""How registries are spoken to: what flags, the environment and the settings file say."""

from __future__ import annotations

from typing import NamedTuple


class RegistrySettings(NamedTuple):
    """Settings of one run; the defaults suit registries on the internet."""

    mirrors: tuple[tuple[str, str], ...] = ()
    """(host or `*`, URL) in order. The URL `origin` stands for the host itself: ask it after the mirrors before it."""
    plain_http: frozenset[str] = frozenset()
    """Hosts to speak plain HTTP with; loopback always is."""
    ca_file: str | None = None
    """PEM file of certificate authorities, trusted besides the system's."""
    client_cert: str | None = None
    client_key: str | None = None
    timeout: float = 30.0
    """Seconds for all requests of one call together."""
    max_per_host: int = 16
    """Connections to one host at a time."""


class Resolved(NamedTuple):
    """What a registry says of a reference."""

    digest: str
    media_type: str


class Described(NamedTuple):
    """A manifest or index, and what a runtime may report of it."""

    digest: str
    media_type: str
    platforms: tuple[tuple[str, str, str | None], ...]
    """(os/architecture, manifest digest, config digest or None) for each platform of an index; one for a plain manifest."""
