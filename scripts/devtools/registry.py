"""A real registry (distribution) on loopback, for a cluster or a test."""

from __future__ import annotations

import json
from pathlib import Path

from .binaries import binary
from .processes import Servers, answers, free_ports


def start(servers: Servers, *, data: Path) -> str:
    """Start a registry that allows deletes; returns its host:port."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    config = servers.folder / "registry.yaml"
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
    servers.start("registry", [binary("registry"), "serve", config], {"OTEL_TRACES_EXPORTER": "none"})
    servers.await_ready("registry", lambda: answers(f"http://{address}/v2/"))
    return address
