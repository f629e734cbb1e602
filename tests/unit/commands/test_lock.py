"""Writing the lock file, where another command writes it too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from helmpin import lifeline
from helmpin.commands import lock
from helmpin.errors import OperationFailed
from helmpin.helm import Helm
from helmpin.request import understand
from tests.support.plans import A, image, plan

OTHERS = f"version: 1\nimages:\n- image: docker.io/library/other:1@{A}\n"


@pytest.mark.parametrize("meanwhile", [OTHERS, ""])
def test_what_another_command_wrote_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    path = tmp_path / "helm-pin.lock.yaml"

    @contextmanager
    def prepare(*_: Any, **__: Any) -> Iterator[Any]:
        if meanwhile:
            path.write_text(meanwhile)
        yield SimpleNamespace(plan=plan(tmp_path, image("web:1")))

    monkeypatch.setattr(lock, "prepare", prepare)
    monkeypatch.setattr(Helm, "flags", lambda *_: {})
    request = understand("lock", ["./chart", "--no-cluster", "--file", str(path)], Helm("/nonexistent/helm"))
    if meanwhile:
        with pytest.raises(OperationFailed, match="changed by somebody else while this ran"):
            lock.run(request)
        assert path.read_text() == OTHERS
        assert lifeline.untouched() == f"{path} was not written"
    else:
        assert lock.run(request) == 0
        assert f"docker.io/library/web:1@{A}" in path.read_text()
        assert lifeline.untouched() == ""
