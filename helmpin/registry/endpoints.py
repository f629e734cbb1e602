"""Where a reference is asked for: its registry, or the mirrors set for it, in order."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from helmpin.errors import UsageError
from helmpin.image.reference import DOCKER_HUB, Reference
from helmpin.registry.errors import Failure, printable
from helmpin.registry.types import ORIGIN, RegistrySettings

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


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, is this machine: 127.0.0.0/8, ::1, localhost or below it (RFC 6761)."""
    name = hostname(host).lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_inside(host: str) -> bool:
    """Whether a host is this machine, or link-local (RFC 3927, RFC 4291) as a cloud's metadata service is."""
    with suppress(ValueError):
        address = ipaddress.ip_address(hostname(host))
        address = getattr(address, "ipv4_mapped", None) or address
        return address.is_loopback or address.is_link_local or address.is_unspecified
    return is_loopback(host)


def hostname(host: str) -> str:
    """A host without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host


def scheme(host: str, settings: RegistrySettings) -> str:
    """`http` for loopback and where it was asked for, else `https`."""
    return "http" if host in settings.plain_http or is_loopback(host) else "https"


def check_named(url: str, by: str, settings: RegistrySettings, does: str) -> str:
    """The URL that the server at the URL `by` names. does: in which way, for people.

    Raises Failure (`bad-answer`) when it is no URL, would be asked unencrypted, or is inside this machine and `by` not.
    """
    try:
        parts, namer = urlsplit(url), urlsplit(by)
        usable = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    except ValueError:
        usable = False
    if not usable or printable(url) != url or " " in url:
        raise Failure("bad-answer", f"{does} {printable(url)!r}, which is no URL of a server")
    if (parts.scheme, parts.netloc) != (namer.scheme, namer.netloc):
        if is_inside(parts.netloc) and not is_loopback(namer.netloc):
            raise Failure("bad-answer", f"{does} {parts.netloc}, which is inside this machine")
        if parts.scheme == "http" and scheme(parts.netloc, settings) == "https":
            todo = f"if that is right, add --registry-plain-http {parts.netloc}"
            raise Failure("bad-answer", f"{does} http://{parts.netloc}, which would be asked unencrypted", todo)
    return url


def _origin(registry: str, settings: RegistrySettings) -> Endpoint:
    host = DOCKER_HUB_SERVER if registry == DOCKER_HUB else registry
    plain = "http" if registry in settings.plain_http else scheme(host, settings)
    return Endpoint(plain, host, "/v2", "", registry)


def check_mirror(url: str, where: str) -> SplitResult:
    """The parts of a mirror's URL, whose scheme may be ''. Raises UsageError when it is not that of a server.

    where: where the URL was set, for the message.
    """
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        usable = parts.scheme in ("", "http", "https") and parts.hostname and not (parts.query or parts.fragment)
        _ = parts.port  # raises ValueError
    except ValueError:
        usable = False
    if not usable or "@" in url or printable(url) != url or " " in url:
        raise UsageError(
            "a registry mirror needs the URL of a server",
            where=where,
            why="it holds a user name or password" if "@" in url else f"it is {url!r}",
            todo="write HOST=https://mirror.example or HOST=origin; log in to the mirror with docker login",
        )
    return parts


def _mirror(url: str, registry: str, settings: RegistrySettings) -> Endpoint:
    """A mirror by its URL; `/v2` ends its path unless it stands there already (containerd, hosts.toml)."""
    parts = check_mirror(url, f"the mirror of {registry}")
    path = parts.path.rstrip("/")
    if "v2" not in path.split("/"):
        path += "/v2"
    itself = parts.netloc in (registry, DOCKER_HUB_SERVER if registry == DOCKER_HUB else registry)
    account = registry if itself else parts.netloc
    return Endpoint(
        parts.scheme or scheme(parts.netloc, settings), parts.netloc, path, "" if itself else registry, account
    )


def proxy_for(scheme: str, host: str, environ: Mapping[str, str]) -> str | None:
    """The URL of the proxy for a host (with or without a port), or None. Loopback is never asked through a proxy."""
    name = "HTTPS_PROXY" if scheme == "https" else "HTTP_PROXY"
    proxy = environ.get(name) or environ.get(name.lower())
    if (
        not proxy
        or is_loopback(host)
        or _excepted(scheme, host, environ.get("NO_PROXY") or environ.get("no_proxy") or "")
    ):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _excepted(scheme: str, host: str, no_proxy: str) -> bool:
    name = hostname(host).lower().rstrip(".")
    port = (
        host.rpartition(":")[2]
        if host.rpartition(":")[2].isdigit() and not host.endswith("]")
        else {"https": "443"}.get(scheme, "80")
    )
    address = None
    with suppress(ValueError):
        address = ipaddress.ip_address(name)
    for item in no_proxy.lower().replace(" ", "").split(","):
        if item == "*":
            return True
        if address is not None and "/" in item:
            with suppress(ValueError):
                if address in ipaddress.ip_network(item, strict=False):
                    return True
        wanted, _, wanted_port = item.rpartition(":") if item.count(":") == 1 or "]:" in item else (item, "", "")
        wanted = wanted.strip("[]")
        if not wanted or (wanted_port and wanted_port != port):
            continue
        wanted = wanted.removeprefix("*") if wanted.startswith("*.") else wanted
        if (name == wanted.removeprefix(".") and not wanted.startswith(".")) or (
            name.endswith("." + wanted.removeprefix(".")) and address is None
        ):
            return True
    return False
