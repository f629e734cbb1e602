"""The release that an upgrade starts from, and which revision its digests come from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import pytest

from helmpin.helm import Helm
from helmpin.release import revisions
from helmpin.release.previous import Previous, PreviousReading
from helmpin.release.record import Record, Undo
from helmpin.release.revision import Revision
from helmpin.release.storage import RevisionInfo, Revisions
from tests.support.renders import digest

A, B = digest("a"), digest("b")


def encoded(value: Any) -> Any:
    """As the template that helm is given prints it."""
    if isinstance(value, str):
        return value.encode().hex()
    if isinstance(value, list):
        return [*map(encoded, value), None]
    if isinstance(value, dict):
        return {"map": [*([encoded(key), encoded(each)] for key, each in value.items()), None]}
    return value


class Printed(NamedTuple):
    text: str

    def output(self) -> str:
        return self.text


class Stored(NamedTuple):
    """A revision: the tag among its values, and what its record says was there before ('' for no record)."""

    tag: str
    was: str = ""
    status: str = "superseded"
    manifest: str = ""
    """'' for one that no other revision has."""
    description: str = "by hand"

    @property
    def record(self) -> str:
        undo = (Undo(("image", "tag"), self.was, True, 1),)
        return Record("helm-pin 1", "2026-01-02T03:04:05Z", (), undo).to_json() if self.was else ""


class Releases:
    """Helm, of one release. The revisions are numbered from 1; None for one that is not kept any more."""

    def __init__(self, stored: Sequence[Stored | None]) -> None:
        self.stored = {number: each for number, each in enumerate(stored, 1) if each}

    def start(self, args: Sequence[str]) -> Printed:
        number = int(args[args.index("--revision") + 1]) if "--revision" in args else max(self.stored)
        one = self.stored[number]
        config = encoded({"image": {"tag": one.tag}})
        return Printed(json.dumps([number, one.status, encoded(one.record), config]))

    def run(self, _: Sequence[str]) -> str:
        return json.dumps([{"revision": number, "status": one.status} for number, one in self.stored.items()])

    def read_all(self, *_: object) -> Revisions:
        return Revisions(
            [
                RevisionInfo(
                    Revision("web", number, one.status, one.record, one.manifest or str(number), ""),
                    "",
                    "",
                    "",
                    "",
                    one.description,
                )
                for number, one in self.stored.items()
            ]
        )


PINNED, NEWER = f"main@{A}", f"main@{B}"
LAST = Stored(PINNED, status="deployed")
"""What plain helm has made, with a digest among its values."""


@pytest.mark.parametrize(
    ("stored", "was"),
    [
        ([Stored(PINNED, "main"), LAST], "main"),
        ([Stored(PINNED, "main"), Stored(PINNED), Stored(PINNED), LAST], "main"),
        ([Stored(PINNED, "main"), Stored(PINNED, "other", "failed"), LAST], "main"),
        ([Stored(PINNED, "main", "uninstalled"), LAST], "main"),
        ([Stored(PINNED, "main", "failed"), Stored(PINNED, status="failed")], "main"),
        ([Stored(PINNED, "main"), Stored(NEWER, "main"), LAST], ""),
        (
            [Stored(PINNED, "main"), Stored(PINNED), Stored(NEWER, "x"), LAST._replace(manifest="2")],
            "main",
        ),
        ([Stored(PINNED, "main"), Stored(NEWER, "x"), LAST._replace(manifest="1")], "main"),
        ([Stored(PINNED, "main"), Stored(PINNED, manifest="1"), LAST._replace(manifest="1")], "main"),
        (
            [Stored(PINNED, "x"), Stored(PINNED, "main"), LAST._replace(manifest="1", description="Upgrade complete")],
            "main",
        ),
        ([Stored(PINNED, "main"), Stored(NEWER, "x"), LAST._replace(description="Rollback to 1")], "main"),
        ([Stored(PINNED, "main"), LAST._replace(description="Rollback to 7")], "main"),
        ([None, LAST], ""),
        ([LAST], ""),
        ([Stored(PINNED, "main", "deployed")], "main"),
        ([Stored(PINNED, "main", "deployed"), Stored(NEWER, "x", "failed")], "main"),
    ],
)
def test_whose_a_digest_is(stored: list[Stored | None], was: str, monkeypatch: pytest.MonkeyPatch) -> None:
    releases = Releases(stored)
    monkeypatch.setattr(revisions, "read_all", releases.read_all)
    monkeypatch.setattr("helmpin.release.damaged.refuse_hidden", lambda *_, **__: None)
    found = PreviousReading(cast("Helm", releases), "web").result()
    assert found is not None and found.config == {"image": {"tag": PINNED}}
    assert [entry.was for entry in found.undo] == ([was] if was else [])
    assert found.is_undo_of_earlier is not bool(releases.stored[found.revision].was)


def test_a_release_that_was_uninstalled_is_installed_anew() -> None:
    assert Previous(3, 3, "uninstalled", {}, ()).installs_anew
    assert not Previous(3, 3, "deployed", {}, ()).installs_anew
