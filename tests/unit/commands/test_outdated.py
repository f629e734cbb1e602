"""What helm pin outdated says where something could not be read. What it finds: tests/e2e/test_outdated.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from helmpin.commands import outdated
from helmpin.registry import RegistrySettings
from helmpin.release.record import Image, Record
from helmpin.release.revision import Revision
from helmpin.release.storage import RevisionInfo, Revisions
from tests.support.renders import digest, pod

REQUEST = cast(
    "Any",
    SimpleNamespace(
        positionals=["web"],
        options={"output": "table", "all-namespaces": False},
        settings=SimpleNamespace(registry=RegistrySettings()),
        helm=None,
    ),
)


@pytest.mark.parametrize("unread", [(), ("Secret shop/x is not a valid release: it is not gzip",)])
def test_nothing_is_claimed_where_a_revision_could_not_be_read(
    unread: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("helmpin.release.revisions.read_all", lambda *_: Revisions([], unread=unread))
    assert outdated.run(REQUEST) == (1 if unread else 0)
    said = [f"Not read: {line}" for line in unread] or ["No tag has moved; 0 checked."]
    assert capsys.readouterr().err.splitlines() == said


def test_a_stored_manifest_that_cannot_be_read_stops_no_other_release() -> None:
    image, at = "example.com/team/app:1", digest("a")
    record = Record("helm-pin 1.0.0", "2026-01-02T03:04:05Z", (Image(image, image, at, "", "values"),)).to_json()
    bad, good = (
        RevisionInfo(Revision(name, 1, "deployed", record, manifest, ""), "shop", "", "", "", "")
        for name, manifest in (("bad", "image: [unclosed\n"), ("good", pod(f"{image}@{at}")))
    )
    named, (problem,) = outdated.tags_of([bad, good])
    assert [(revision, len(tags)) for revision, tags in named] == [(good, 1)]
    assert problem.startswith("release shop/bad: ")
