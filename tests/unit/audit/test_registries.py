"""What registries say about the releases of an audit."""

from __future__ import annotations

from typing import Any

import pytest

from helmpin.audit import registries
from helmpin.audit.registries import Question, ReleaseId, ask
from helmpin.image.reference import Reference
from helmpin.registry import RegistryError, RegistrySettings
from helmpin.release.record import Image, Record
from helmpin.release.revision import Revision
from helmpin.verify.registries import Registries

DIGEST = "sha256:" + "a" * 64
WHY = {"a": "access to team/a is forbidden", "b": "tag 1 has no manifest", "c": "access to team/a is forbidden"}


def test_each_reason_of_a_registry_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where repositories fail for different reasons, none of them is that of all."""

    def resolve(references: Any, *_: Any) -> dict[Reference, RegistryError]:
        return {r: RegistryError(r, "forbidden", WHY[r.repository[-1]]) for r in references}

    monkeypatch.setattr(registries, "resolve", resolve)
    names = [f"quay.io/team/{letter}:1" for letter in WHY]
    record = Record("helm-pin 1", "2026-01-02T03:04:05Z", tuple(Image(n, n, DIGEST, "", "values") for n in names))
    release = ReleaseId("", "prod", "web")
    question = Question(release, Revision("web", 1, "deployed", "", "", ""), record, {f"{n}@{DIGEST}" for n in names})
    answer = ask([question], Registries(RegistrySettings()), describe=False)[release]
    assert answer.unanswered == (("quay.io", WHY["a"]), ("quay.io", WHY["b"]))
