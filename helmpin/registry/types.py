"""Data: how registries are reached, credentials, and what registries answer."""

from __future__ import annotations

import re
from base64 import b64encode

from helmpin.named_tuple import NamedTuple

ORIGIN = "origin"
"""As a mirror's URL: the registry itself, at this place in the order."""


class Credential(NamedTuple):
    """One credential for a registry. Its secrets never show in a repr.

    A username and password (HTTP Basic, RFC 7617), an identity token, which a token server exchanges (OAuth2 refresh
    token), or a registry token, which is sent to the registry unchanged (Bearer).
    """

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""
    source: str = ""
    """Where it comes from, for messages: a file, a credential helper, a Secret."""

    def __repr__(self) -> str:
        return f"Credential(from {self.source or 'nowhere'})"

    def __str__(self) -> str:
        return repr(self)

    def __bool__(self) -> bool:
        return bool(self.username or self.password or self.identity_token or self.registry_token)

    @property
    def basic(self) -> str:
        """The Authorization header for HTTP Basic; '' without a username and password."""
        if not (self.username or self.password):
            return ""
        return "Basic " + b64encode(f"{self.username}:{self.password}".encode(errors="surrogateescape")).decode()

    @property
    def is_sendable(self) -> bool:
        """Whether requests can carry it: Unicode text, and for a registry token visible ASCII (RFC 6750, section 2.1)."""
        text = f"{self.username}{self.password}{self.identity_token}"
        return not re.search("[\ud800-\udfff]", text) and bool(re.fullmatch("[!-~]*", self.registry_token))

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that must never be shown, the encoded form of this credential included."""
        return tuple(text for text in (self.password, self.identity_token, self.registry_token, self.basic[6:]) if text)


class RegistrySettings(NamedTuple):
    """How registries are reached."""

    mirrors: tuple[tuple[str, str], ...] = ()
    """(host, URL), in the order in which they are tried. The host is a reference's registry (`docker.io`), or `*` for
    every registry without mirrors of its own. The URL is a mirror by containerd's convention (same path, `?ns=HOST`),
    with or without a scheme, or `origin`; without `origin` the registry itself is never asked."""
    plain_http: frozenset[str] = frozenset()
    """Hosts, with their port if any, that use plain HTTP. Loopback does so by default."""
    ca_file: str | None = None
    """PEM file of certificate authorities to trust in addition to the system's."""
    client_cert: str | None = None
    """PEM file of a client certificate, for registries that require one."""
    client_key: str | None = None
    """PEM file of its key, unless the certificate's file contains it."""
    timeout: float = 30.0
    """Seconds for one call of resolve(), describe() and the like, however many references it has."""
    max_per_host: int = 64
    """The most requests to one host at a time."""
    credentials: tuple[tuple[str, Credential], ...] = ()
    """(registry, or registry and path prefix, with globs as in Kubernetes; credential). They precede every keychain."""
    named: tuple[tuple[str, str], ...] = ()
    """For messages: (path of a certificate file, the flag, variable or settings key that names it)."""

    @property
    def may_need_tls(self) -> bool:
        """Whether a registry may be asked over TLS: not if mirrors with plain HTTP stand for all of them."""
        urls = [url for _, url in self.mirrors]
        return not (any(host == "*" for host, _ in self.mirrors) and all(url.startswith("http://") for url in urls))

    @property
    def certificates(self) -> tuple[str | None, str | None, str | None]:
        """(ca_file, client_cert, client_key)."""
        return self.ca_file, self.client_cert, self.client_key


class Resolved(NamedTuple):
    """What a reference points to."""

    digest: str
    media_type: str


class TagList(NamedTuple):
    """The tags of a repository."""

    tags: list[str]
    complete: bool
    """Whether these are all: False if the registry has further pages."""


class Platform(NamedTuple):
    """One platform's image behind a reference."""

    platform: str
    """os/architecture[/variant], or '' if the index does not state it."""
    manifest_digest: str
    config_digest: str | None
    """None if the manifest was not read."""


class Described(NamedTuple):
    """Every digest that a runtime may report for a reference: its own, and its platforms' manifests and configurations."""

    digest: str
    media_type: str
    platforms: tuple[Platform, ...]
