"""Proxies from the environment, by the rules that Helm and kubectl follow (Go's golang.org/x/net/http/httpproxy)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from contextlib import suppress

from helmpin.registry.endpoints import hostname, is_loopback


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
