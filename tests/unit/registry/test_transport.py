"""The connections of a run, where threads still use them while it ends."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
import urllib3

from helmpin.registry.errors import Failure
from helmpin.registry.transport import Transport
from helmpin.registry.types import RegistrySettings


def test_a_request_that_begins_while_all_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = Transport(RegistrySettings(), time.monotonic() + 10, {})

    def ask(scheme: str) -> None:
        with suppress(Failure):  # nobody is there
            transport.exchange("GET", f"{scheme}://127.0.0.1:9/v2/", {})

    cleared = []

    def clear(manager: urllib3.PoolManager) -> None:
        cleared.append(manager)
        ask("https")  # which needs connections of another kind

    ask("http")
    monkeypatch.setattr(urllib3.PoolManager, "clear", clear)
    transport.close()
    assert len(cleared) == 1
