"""What is set for all registry requests of a run. Reading flags, environment and files into it is done elsewhere."""

from __future__ import annotations

from typing import NamedTuple

from helmpin.registry.credential import Credential

ORIGIN = "origin"
"""As a mirror's URL: the registry itself, at this place in the order."""


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
