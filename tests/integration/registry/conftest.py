"""What several files of this folder use."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def name_here(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a host name mean 127.0.0.1 here: loopback has rules of its own, and cannot stand for a remote registry."""
    names: set[str] = set()
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        return real("127.0.0.1" if host in names else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return names.add
