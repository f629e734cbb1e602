"""What registries are asked about a stored revision, and what is said when they lack something."""

from __future__ import annotations

from typing import Any

import pytest

from helmpin.errors import RegistryUnavailable, VerificationFailed
from helmpin.image.reference import Reference
from helmpin.registry import RegistryError, RegistrySettings, Resolved
from helmpin.registry.errors import Kind
from helmpin.release.record import Image, Record
from helmpin.release.revision import Revision
from helmpin.verify import registries
from helmpin.verify.check import OK
from helmpin.verify.registries import (
    Missing,
    Registries,
    askable,
    at_registry,
    refuse_missing,
    registry_check,
    registry_has,
)
from helmpin.verify.stored import manifest_check

A, B = ("sha256:" + letter * 64 for letter in "ab")
POD = "---\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: app, image: IMAGE}]}\n"
WEB = Image("docker.io/library/web:1", "web:1", A, "", "values")
EVIL = Image("evil.example/web:1", "evil.example/web:1", B, "", "values")


def stored(image: str, *images: Image) -> Revision:
    text = Record("helm-pin 1.0.0", "2026-01-02T03:04:05Z", images).to_json() if images else ""
    return Revision("web", 1, "deployed", text, POD.replace("IMAGE", image), "")


class TestHostsThatNobodyNames:
    """The record alone sends helm-pin nowhere."""

    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[Reference]:
        every: list[Reference] = []

        def resolve(references: Any, *_: Any) -> dict[Reference, Resolved | RegistryError]:
            every.extend(references)
            return {r: Resolved(r.digest or A, "") for r in references}

        monkeypatch.setattr(registries, "resolve", resolve)
        return every

    def test_are_not_asked(self, asked: list[Reference]) -> None:
        mine = stored(f"web:1@{A}", WEB, EVIL)
        record = mine.record()
        assert record
        assert registry_check(record, mine, Registries(RegistrySettings())).verdict == OK
        at_registry([askable(record, mine, [f"web:1@{A}"])], Registries(RegistrySettings()))
        assert {reference.registry for reference in asked} == {"docker.io"}
        lines = manifest_check(mine, record).details
        assert any("evil.example" in line for line in lines)

    def test_an_image_that_only_other_texts_have_is_asked_for(self, asked: list[Reference]) -> None:
        operator = "---\nkind: ConfigMap\ndata: {x: '--image=evil.example/web:1@" + B + "'}\n"
        mine = stored(f"web:1@{A}", WEB, EVIL)._replace(hooks=operator)
        record = mine.record()
        assert record
        registry_check(record, mine, Registries(RegistrySettings()))
        assert {reference.registry for reference in asked} == {"docker.io", "evil.example"}
        assert manifest_check(mine, record).verdict == OK


def test_what_registries_lack_stops_before_anything_is_touched() -> None:
    reference = Reference.parse(f"web@{A}")
    gone = RegistryError(reference, "not-found", "manifest unknown")
    silent = RegistryError(reference, "unreachable", "connection refused")
    with pytest.raises(VerificationFailed, match="1 recorded digest is gone from the registry"):
        refuse_missing(Missing([(reference, gone), (reference, gone)], []), "release web", "")  # two tags may share it
    with pytest.raises(RegistryUnavailable, match="could not confirm the recorded digests"):
        refuse_missing(Missing([], [(reference, silent)]), "release web", "")


@pytest.mark.parametrize(
    ("kind", "line", "note"),
    [
        ("rate-limited", "whether docker.io/library/web:1 has moved is unknown: docker.io: why", "1 tag unknown"),
        ("not-found", "docker.io/library/web:1 is gone, but not its digest", "1 tag moved since"),
    ],
)
def test_a_tag_that_cannot_be_looked_up_is_reported_and_no_failure(
    monkeypatch: pytest.MonkeyPatch, kind: Kind, line: str, note: str
) -> None:
    def resolve(references: Any, *_: Any) -> dict[Reference, Resolved | RegistryError]:
        return {r: Resolved(r.digest, "") if r.digest else RegistryError(r, kind, "why") for r in references}

    monkeypatch.setattr(registries, "resolve", resolve)
    check = registry_has([WEB], Registries(RegistrySettings()))
    assert (check.verdict, check.details, check.unread) == (OK, (line,), ())
    assert check.summary == f"has 1 digest; {note}"
