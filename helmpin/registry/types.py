"""The data that goes into this room and comes out of it: settings, credentials, and what registries answer."""

from __future__ import annotations

from base64 import b64encode
from typing import NamedTuple

ORIGIN = "origin"
"""As a mirror's URL: the registry itself, at this place in the order."""


class Credential(NamedTuple):
    """What a keychain holds for a registry; which fields are set says what kind it is.

    Username and password (HTTP Basic, RFC 7617), or an identity token, which a token server exchanges (OAuth2 refresh
    token), or a registry token, which is sent to the registry as it is (Bearer).
    """

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""
    source: str = ""
    """Where it comes from, for people: a file, a credential helper, a Secret."""

    def __repr__(self) -> str:
        return f"Credential(from {self.source or 'nowhere'})"

    def __str__(self) -> str:
        return repr(self)

    def __bool__(self) -> bool:
        return bool(self.username or self.password or self.identity_token or self.registry_token)

    @property
    def basic(self) -> str:
        """The value of an Authorization header for HTTP Basic; '' when there is neither user name nor password."""
        if not (self.username or self.password):
            return ""
        return "Basic " + b64encode(f"{self.username}:{self.password}".encode()).decode()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that must not show anywhere, this credential's encoded form among them."""
        return tuple(text for text in (self.password, self.identity_token, self.registry_token, self.basic[6:]) if text)


class RegistrySettings(NamedTuple):
    """How registries are reached."""

    mirrors: tuple[tuple[str, str], ...] = ()
    """(host, URL), in the order in which they are asked. The host is a reference's registry (`docker.io`) or `*` for
    those that have no mirror of their own. URL is a mirror by containerd's convention (same path, `?ns=HOST`), with or
    without a scheme, or `origin`: without it the registry itself is not asked."""
    plain_http: frozenset[str] = frozenset()
    """Hosts, with their port if they have one, that speak plain HTTP; loopback needs no mention."""
    ca_file: str | None = None
    """PEM file of authorities that are trusted besides the system's."""
    client_cert: str | None = None
    """PEM file of a client certificate, shown to registries that ask for one."""
    client_key: str | None = None
    """PEM file of its key, where the certificate's file does not hold it."""
    timeout: float = 30.0
    """Seconds for one call of resolve or describe, whatever the number of references."""
    max_per_host: int = 64
    """Requests to one host at a time, at most."""
    credentials: tuple[tuple[str, Credential], ...] = ()
    """(registry, or registry and path prefix, with globs as in Kubernetes; credential): they go before every other
    keychain."""
    named: tuple[tuple[str, str], ...] = ()
    """For messages: (a certificate file's path, where it was named: a flag, a variable, a file and its key)."""

    @property
    def certificates(self) -> tuple[str | None, str | None, str | None]:
        """(ca_file, client_cert, client_key)."""
        return self.ca_file, self.client_cert, self.client_key


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
