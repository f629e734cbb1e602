"""Which servers to ask for a reference, in which order, and through which proxy."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

from helmpin.errors import UsageError
from helmpin.image.reference import DOCKER_HUB, Reference
from helmpin.named_tuple import NamedTuple
from helmpin.registry.errors import Failure, printable
from helmpin.registry.types import ORIGIN, RegistrySettings

DOCKER_HUB_SERVER = "registry-1.docker.io"


class Endpoint(NamedTuple):
    """A server to ask, and how."""

    scheme: str
    host: str
    """With its port, as in a URL."""
    path: str
    """`/v2`, or a mirror's own prefix."""
    namespace: str
    """The value of `?ns=`: the reference's registry, or '' if this is that registry itself."""
    account: str
    """The registry whose credentials are sent here."""

    @property
    def origin(self) -> str:
        """scheme://host, to which credentials and connections belong."""
        return f"{self.scheme}://{self.host}"

    @property
    def root(self) -> str:
        """The URL where a login is checked (OCI distribution specification, end-1)."""
        return f"{self.origin}{f'{self.path}/'.partition('/v2/')[0]}/v2/"

    def url(self, repository: str, what: str) -> str:
        """The URL of something in a repository: `manifests/TAG`, `blobs/DIGEST`, `tags/list?n=…` (OCI distribution
        specification)."""
        namespace = f"{'&' if '?' in what else '?'}ns={self.namespace}" if self.namespace else ""
        return f"{self.origin}{self.path}/{repository}/{what}{namespace}"


def endpoints(reference: Reference, settings: RegistrySettings) -> tuple[Endpoint, ...]:
    """The servers to ask for a reference, in order. Raises UsageError for an invalid mirror URL."""
    registry = reference.registry
    for wanted in (registry, "*"):
        urls = [url for host, url in settings.mirrors if (DOCKER_HUB if host == "index.docker.io" else host) == wanted]
        if urls:
            return tuple(
                _origin(registry, settings) if url == ORIGIN else _mirror(url, registry, settings) for url in urls
            )
    return (_origin(registry, settings),)


def registry_itself(reference: Reference, settings: RegistrySettings) -> Endpoint:
    """The registry of a reference, whatever its mirrors: where to write."""
    return _origin(reference.registry, settings)


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, is loopback: 127.0.0.0/8, ::1, or localhost and its subdomains (RFC 6761)."""
    name = hostname(host).lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_inside(host: str) -> bool:
    """Whether a host is this machine or link-local (RFC 3927, RFC 4291), like a cloud's metadata service, however it is written."""
    name = _plain(host)
    with suppress(ValueError):
        address = ipaddress.ip_address(name)
        address = getattr(address, "ipv4_mapped", None) or address
        return address.is_loopback or address.is_link_local or address.is_unspecified
    return is_loopback(name)


def _plain(host: str) -> str:
    """A host without its port, as an address if the system reads it as one: `127.1`, `2130706433` and `0x7f.1`, too (inet_aton)."""
    import socket

    name = hostname(host).lower().rstrip(".")
    try:
        return socket.inet_ntoa(socket.inet_aton(name)) if re.fullmatch(r"[\dx.a-f]+", name) else name
    except OSError:
        return name


def hostname(host: str) -> str:
    """A host without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host


def scheme(host: str, settings: RegistrySettings) -> str:
    """`http` for loopback and the hosts set to plain HTTP, else `https`."""
    return "http" if host in settings.plain_http or is_loopback(host) else "https"


def check_target(url: str, source: str, settings: RegistrySettings, role: str) -> str:
    """The URL to which the server at the URL `source` sends its clients. role: what it is, for messages.

    Raises Failure (`bad-answer`) if it is invalid, would be requested unencrypted, or leads from elsewhere into this
    machine.
    """
    try:
        parts, sender = urlsplit(url), urlsplit(source)
        usable = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    except ValueError:
        usable = False
    if not usable or printable(url) != url or " " in url:
        # without what may be secret: a login, or the query, which may hold a signature
        shown = re.sub(r"//[^/]*@", "//***@", re.split(r"[?#]", printable(url))[0])
        raise Failure("bad-answer", f"{role} {shown!r} is not a valid server URL")
    if (parts.scheme, parts.netloc) != (sender.scheme, sender.netloc):
        if is_inside(parts.netloc) and not is_loopback(_plain(sender.netloc)):
            raise Failure("bad-answer", f"{role} {parts.netloc} is a loopback or link-local address")
        if parts.scheme == "http" and scheme(parts.netloc, settings) == "https":
            hint = f"if this is expected, add --registry-plain-http {parts.netloc}"
            raise Failure("bad-answer", f"{role} http://{parts.netloc} is unencrypted", hint)
    return url


def _origin(registry: str, settings: RegistrySettings) -> Endpoint:
    host = DOCKER_HUB_SERVER if registry == DOCKER_HUB else registry
    how = "http" if registry in settings.plain_http else scheme(host, settings)
    return Endpoint(scheme=how, host=host, path="/v2", namespace="", account=registry)


def check_mirror(url: str, where: str) -> SplitResult:
    """The parts of a mirror's URL; the scheme may be ''. Raises UsageError if it is not a server's URL.

    where: the setting with the URL, for the message.
    """
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        usable = parts.scheme in ("", "http", "https") and parts.hostname and not (parts.query or parts.fragment)
        _ = parts.port  # raises ValueError
    except ValueError:
        usable = False
    if not usable or "@" in url or printable(url) != url or " " in url:
        raise UsageError(
            "invalid registry mirror URL",
            where=where,
            why="it holds a user name or password" if "@" in url else f"it is {url!r}",
            hint="use HOST=https://mirror.example or HOST=origin; log in to the mirror with docker login",
        )
    return parts


def _mirror(url: str, registry: str, settings: RegistrySettings) -> Endpoint:
    """A mirror by its URL. `/v2` is appended to a path without it, as containerd does (hosts.toml)."""
    parts = check_mirror(url, f"the mirror of {registry}")
    path = parts.path.rstrip("/")
    if "v2" not in path.split("/"):
        path += "/v2"
    itself = parts.netloc in (registry, DOCKER_HUB_SERVER if registry == DOCKER_HUB else registry)
    account = registry if itself else parts.netloc
    return Endpoint(
        scheme=parts.scheme or scheme(parts.netloc, settings),
        host=parts.netloc,
        path=path,
        namespace="" if itself else registry,
        account=account,
    )


def proxy_for(scheme: str, host: str, environ: Mapping[str, str]) -> str | None:
    """The URL of the proxy for a host, with or without a port; None for none, and always for loopback.

    From the environment, by the rules of Helm and kubectl (Go's golang.org/x/net/http/httpproxy).
    """
    proxy = environ.get(proxy_variable(scheme, environ))
    if (
        not proxy
        or is_loopback(host)
        or _excluded(scheme, host, environ.get("NO_PROXY") or environ.get("no_proxy") or "")
    ):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def proxy_variable(scheme: str, environ: Mapping[str, str]) -> str:
    """The variable that names the proxy for a scheme, whichever of its two names is set."""
    name = "HTTPS_PROXY" if scheme == "https" else "HTTP_PROXY"
    return name if environ.get(name) else name.lower()


def _excluded(scheme: str, host: str, no_proxy: str) -> bool:
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
