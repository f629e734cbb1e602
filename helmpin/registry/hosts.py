"""Where a reference is asked for: its registry, or the mirrors set for it, in order."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import urlsplit

from helmpin.errors import UsageError
from helmpin.image.reference import DOCKER_HUB, Reference
from helmpin.registry.settings import ORIGIN, RegistrySettings

DOCKER_HUB_SERVER = "registry-1.docker.io"


class Endpoint(NamedTuple):
    """One server to ask, and how."""

    scheme: str
    host: str
    """With its port, as in a URL."""
    path: str
    """`/v2`, or a mirror's own prefix."""
    namespace: str
    """What goes into `?ns=`: the reference's registry, or '' when this is the registry itself."""
    account: str
    """The registry whose credentials are shown here."""

    @property
    def origin(self) -> str:
        """scheme://host: what credentials and connections belong to."""
        return f"{self.scheme}://{self.host}"

    def url(self, repository: str, kind: str, what: str) -> str:
        """The URL of a manifest (OCI distribution specification, end-3)."""
        return f"{self.origin}{self.path}/{repository}/{kind}/{what}" + (
            f"?ns={self.namespace}" if self.namespace else ""
        )


def endpoints(reference: Reference, settings: RegistrySettings) -> tuple[Endpoint, ...]:
    """The servers to ask for a reference, in order. Raises UsageError when a mirror's URL cannot be used."""
    registry = reference.registry
    for wanted in (registry, "*"):
        urls = [url for host, url in settings.mirrors if (DOCKER_HUB if host == "index.docker.io" else host) == wanted]
        if urls:
            return tuple(
                _origin(registry, settings) if url == ORIGIN else _mirror(url, registry, settings) for url in urls
            )
    return (_origin(registry, settings),)


def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, is this machine: 127.0.0.0/8, ::1, localhost or below it (RFC 6761)."""
    name = hostname(host).lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def hostname(host: str) -> str:
    """A host without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host


def scheme(host: str, settings: RegistrySettings) -> str:
    """`http` for loopback and where it was asked for, else `https`."""
    return "http" if host in settings.plain_http or is_loopback(host) else "https"


def _origin(registry: str, settings: RegistrySettings) -> Endpoint:
    host = DOCKER_HUB_SERVER if registry == DOCKER_HUB else registry
    plain = "http" if registry in settings.plain_http else scheme(host, settings)
    return Endpoint(plain, host, "/v2", "", registry)


def _mirror(url: str, registry: str, settings: RegistrySettings) -> Endpoint:
    """A mirror by its URL; `/v2` ends its path unless it stands there already (containerd, hosts.toml)."""
    parts = urlsplit(url if "://" in url else f"//{url}")
    if (
        parts.scheme not in ("", "http", "https")
        or not parts.netloc
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
    ):
        what = "it holds a password" if "@" in parts.netloc else f"it is {url!r}"
        raise UsageError(
            "a registry mirror needs the URL of a server",
            where=f"the mirror of {registry}",
            why=what,
            todo="write HOST=https://mirror.example or HOST=origin; log in to the mirror with docker login",
        )
    path = parts.path.rstrip("/")
    if "v2" not in path.split("/"):
        path += "/v2"
    itself = parts.netloc in (registry, DOCKER_HUB_SERVER if registry == DOCKER_HUB else registry)
    account = registry if itself else parts.netloc
    return Endpoint(
        parts.scheme or scheme(parts.netloc, settings), parts.netloc, path, "" if itself else registry, account
    )
