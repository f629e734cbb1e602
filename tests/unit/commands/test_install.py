"""What helm pin install says of a name that is in use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from helmpin.commands import install
from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from helmpin.release.outcome import HistoryRow
from helmpin.request import understand


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        ("deployed", "choose another name, or use helm pin upgrade to deploy another revision"),
        ("uninstalled", "add --replace, use helm pin upgrade --install, or choose another name"),
        ("pending-install", "if no other helm is at work on it, helm uninstall web removes it; or choose another name"),
        (
            "pending-rollback",
            "if no other helm is at work on it, roll it back: helm pin history web shows the revisions; or choose another name",
        ),
    ],
)
def test_a_name_that_is_in_use(monkeypatch: pytest.MonkeyPatch, status: str, hint: str) -> None:
    class Baseline:
        def __init__(self, *_: object) -> None: ...

        def latest(self) -> HistoryRow:
            return HistoryRow(3, status, "")

    @contextmanager
    def prepare(*_: Any, may_deploy: Any, **__: Any) -> Iterator[Any]:
        yield may_deploy(None)

    monkeypatch.setattr(install, "Baseline", Baseline)
    monkeypatch.setattr(install, "prepare", prepare)
    monkeypatch.setattr(Helm, "flags", lambda *_: {})
    request = understand("install", ["web", "./chart"], Helm("/nonexistent/helm"))
    with pytest.raises(HelmFailed, match="cannot reuse a name") as failed:
        install.run(request)
    assert (failed.value.why, failed.value.hint) == (f"revision 3 is {status}", hint)
