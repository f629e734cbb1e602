"""A real registry (distribution) on loopback, for a cluster or a test."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path

from .binaries import binary
from .processes import Servers, answers, free_ports


def start(servers: Servers, name: str = "registry", *, data: Path, env: Mapping[str, str] | None = None) -> str:
    """Start a registry that allows deletes; returns its host:port.

    env: more of distribution's own settings (REGISTRY_…: authentication, TLS, a proxy's origin).
    """
    address = f"127.0.0.1:{free_ports(1)[0]}"
    config = servers.folder / f"{name}.yaml"
    config.write_text(
        json.dumps(
            {
                "version": 0.1,
                "log": {"level": "warn", "accesslog": {"disabled": False}},
                "storage": {"filesystem": {"rootdirectory": str(data)}, "delete": {"enabled": True}},
                "http": {"addr": address, "secret": "helm-pin"},
            }
        )
    )
    servers.start(name, [binary("registry"), "serve", config], {"OTEL_TRACES_EXPORTER": "none", **(env or {})})
    scheme = "https" if env and "REGISTRY_HTTP_TLS_CERTIFICATE" in env else "http"
    if scheme == "http" and not (env and any(key.startswith("REGISTRY_AUTH") for key in env)):
        servers.await_ready(name, lambda: answers(f"http://{address}/v2/"))
    else:
        servers.await_ready(name, lambda: listens(address))
    return address


def listens(address: str) -> bool:
    """Whether something accepts connections at host:port."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True
