"""docs/json.md names every key that a command prints, where its section describes them in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helmpin.audit.findings import Audit, Mixed, Release
from helmpin.audit.report import as_data
from helmpin.commands import history, keep, outdated
from helmpin.commands.verify import checks_as_data
from helmpin.registry.details import Details
from helmpin.release.record import Image, Record
from helmpin.release.revision import Revision
from helmpin.release.storage import RevisionInfo
from helmpin.verify.check import Check
from helmpin.verify.tags import Moved
from tests.support import json_examples

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs/json.md").read_text()
DIGEST = "sha256:" + "a" * 64
WEB = "docker.io/library/web:1"
MOVED = Moved(WEB, DIGEST, "", "")


def section(title: str) -> str:
    """The text below a heading, up to the next one."""
    return re.split(r"(?m)^## ", DOCUMENT.split(f"\n## {title}\n", 1)[1])[0]


def keys(node: Any) -> Iterator[str]:
    """The keys of all mappings whose keys are ours: those of images, digests and contexts are data."""
    if isinstance(node, list):
        for each in node:
            yield from keys(each)
    elif isinstance(node, dict):
        for key, value in node.items():
            if not re.search(r"[:/@]", key):
                yield key
                yield from keys(value)


def revisions() -> list[RevisionInfo]:
    def made(number: int, image: str, record: str = "") -> RevisionInfo:
        manifest = f"kind: Pod\nspec: {{containers: [{{name: a, image: '{image}'}}]}}\n"
        return RevisionInfo(Revision("shop", number, "superseded", record, manifest, ""), "store", "", "shop-1", "", "")

    record = Record("helm-pin 1.0.0", "2026-01-02T03:04:05Z", (Image(WEB, "web:1", DIGEST, "", "values"),)).to_json()
    last = made(4, f"web:1@{DIGEST}", "{")
    return [made(1, f"web:1@{DIGEST}", record), made(2, f"web:2@{DIGEST}"), made(3, "web:1"), last]


def audited() -> dict[str, Any]:
    release = Release("", "prod", "shop", 1, "deployed", "shop-1", "", "abc", {WEB: DIGEST}, 0, [], (), (MOVED,))
    audit = Audit("", [release._replace(details={DIGEST: Details()})], [Mixed(WEB, {})], ())
    return as_data([audit])


PRINTED = {
    "helm pin history": history.describe(revisions()),
    "helm pin keep": [dict.fromkeys(keep.SHOWN)],
    "helm pin outdated": [
        outdated.as_data(outdated.OutdatedRow("prod", "shop", 1, MOVED)),
        {"asked": 1, "unanswered": []},
    ],
    "helm pin verify": checks_as_data([Check("record", "ok", "")]),
    "helm pin audit": audited(),
    "What an image is": Details().as_data(),
}


@pytest.mark.parametrize("title", PRINTED)
def test_every_key_is_named(title: str) -> None:
    text = section(title) + section("What an image is")
    words = set(re.findall(r"`([^`]+)`", text)) | set(re.findall(r'"(\w+)": ', text))
    assert {*keys(PRINTED[title])} <= words


@pytest.mark.parametrize(("command", "printed"), [("history", history.describe(revisions())), ("audit", audited())])
def test_the_types_are_those_of_the_example(command: str, printed: Any) -> None:
    """tests/e2e/test_recipes.py compares what all commands print; here are kinds of revisions and findings that are rare."""
    assert [*json_examples.unlike(printed, json_examples.example(command))] == []


@pytest.mark.parametrize(
    ("printed", "documented", "differs"),
    [
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {"a": "1"}, True),
        ({"a": True}, {"a": 1}, True),
        ({"a": None}, {"a": 1}, False),
        ({"a": 1}, {}, True),
        ({}, {"a": 1}, True),
        ({}, {"details": 1}, False),
        ({"details": 1}, {}, True),
        ([{"a": 1}, {}], [{"a": 1}], True),
        ([1], [], True),
        ([], [1], False),
        ({"x:1": [], "y:2": 1}, {"sha256:…": []}, True),
    ],
)
def test_what_differs_from_an_example(printed: Any, documented: Any, differs: bool) -> None:
    assert bool([*json_examples.unlike(printed, documented)]) is differs


def test_every_word_for_a_record_is_explained() -> None:
    words = {row["record"] for row in history.describe(revisions())}
    assert (
        words
        == {"ok", "manifest", "none", "invalid"}
        == set(re.findall(r"(?m)^\| `(\w+)` \| [^|]+ \|$", section("helm pin history"))) - {"record"}
    )
