"""The history as data: what changed from one revision to the next, and what cannot be trusted."""

from __future__ import annotations

from typing import Any

from helmpin.commands.history import UNPINNED, describe
from helmpin.release.record import Image, Record
from helmpin.release.revision import Revision
from helmpin.release.storage import RevisionInfo

A, B, C = ("sha256:" + letter * 64 for letter in "abc")
WEB, DB = "docker.io/library/web:1", "example.com/db:2"


def record(**digests: str) -> str:
    written = {"web": (WEB, "web:1"), "db": (DB, DB)}
    images = tuple(Image(*written[name], digest, "", "values") for name, digest in digests.items())
    return Record("helm-pin 1.0.0", "2026-01-02T03:04:05Z", images).to_json()


def revision(number: int, text: str, *images: str) -> RevisionInfo:
    containers = ", ".join(f'{{name: c{i}, image: "{image}"}}' for i, image in enumerate(images))
    manifest = f"---\n# Source: s/templates/p.yaml\nkind: Pod\nspec: {{containers: [{containers}]}}\n"
    return RevisionInfo(
        Revision("shop", number, "superseded", text, manifest, ""), "store", "then", "shop-1", "9", "Done"
    )


def changes(row: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    return [(change["reference"], change["from"], change["to"]) for change in row["changes"]]


def test_what_changed_and_only_that() -> None:
    first, second, third = describe(
        [
            revision(1, record(web=A, db=B), f"web:1@{A}", f"example.com/db:2@{B}"),
            revision(2, record(web=C, db=B), f"web:1@{C}", f"example.com/db:2@{B}"),
            revision(3, record(web=C), f"web:1@{C}"),
        ]
    )
    assert changes(first) == []
    assert changes(second) == [(WEB, A, C)]
    assert changes(third) == [(DB, B, None)]
    assert [row["pinned"] for row in (first, second, third)] == ["2/2", "2/2", "1/1"]
    assert len({row["set"] for row in (first, second, third)}) == 3


def test_the_same_images_have_the_same_set() -> None:
    rows = describe([revision(n, record(web=digest), f"web:1@{digest}") for n, digest in enumerate((A, C, A), 1)])
    assert rows[0]["set"] == rows[2]["set"] != rows[1]["set"]


def test_a_revision_that_plain_helm_made() -> None:
    _, plain, after = describe(
        [
            revision(1, record(web=A), f"web:1@{A}"),
            revision(2, "", "web:1"),
            revision(3, record(web=A), f"web:1@{A}"),
        ]
    )
    assert (plain["record"], plain["set"], plain["images"], plain["pinned"]) == ("none", None, [], "0/1")
    assert changes(plain) == [(WEB, A, UNPINNED)]
    assert changes(after) == [(WEB, UNPINNED, A)]


def test_a_record_that_was_changed_by_hand() -> None:
    (row,) = describe([revision(1, record(web=A).replace(A, C), f"web:1@{A}")])
    assert (row["record"], row["set"], row["images"]) == ("invalid", None, [])
    assert "the record was edited" in row["problem"]
    assert row["pinned"] == "1/1"


def test_a_record_that_is_not_its_manifests() -> None:
    (row,) = describe([revision(1, record(web=A), f"web:1@{C}")])
    assert row["record"] == "invalid"
    assert C in row["problem"]


def test_a_manifest_that_is_not_yaml() -> None:
    broken = revision(1, record(web=A))
    (row,) = describe([broken._replace(stored=broken.stored._replace(manifest="---\nimage: [\n"))])
    assert row["record"] == "invalid"
    assert "YAML" in row["problem"] or "expected" in row["problem"]


def test_one_image_used_twice_counts_once() -> None:
    (row,) = describe([revision(1, record(web=A), f"web:1@{A}", f"web:1@{A}", "other")])
    assert row["pinned"] == "1/2"


IMPOSSIBLE = "kind: Pod\nn: !!int 0x_\nspec: {containers: [{name: a, image: x}]}\n"


def test_one_bad_revision_among_others() -> None:
    """Whatever is wrong with it: it is that revision's problem."""
    good = revision(2, record(web=A), f"web:1@{A}")
    bad = [
        good.stored._replace(manifest=f"---\n{IMPOSSIBLE}"),
        good.stored._replace(record_text="[" * 100_000),
        good.stored._replace(record_text='{"version": 2}'),
        good.stored._replace(problem="it unpacks to more than 32 MiB"),
    ]
    for stored in bad:
        first, second, third = describe([good, good._replace(stored=stored), good])
        assert [row["record"] for row in (first, second, third)] == ["ok", "invalid", "ok"]
        assert second["problem"]


def test_two_tags_of_one_repository_with_their_digests_swapped() -> None:
    images = tuple(Image(f"docker.io/library/web:{n}", f"web:{n}", d, "", "values") for n, d in ((1, A), (2, C)))
    text = Record("helm-pin 1.0.0", "2026-01-02T03:04:05Z", images).to_json()
    right, swapped = describe(
        [revision(1, text, f"web:1@{A}", f"web:2@{C}"), revision(2, text, f"web:1@{C}", f"web:2@{A}")]
    )
    assert (right["record"], swapped["record"]) == ("ok", "invalid")
    assert "docker.io/library/web:2" in swapped["problem"]


def test_a_revision_without_a_record_whose_every_image_has_a_digest() -> None:
    ours, theirs, tagged = describe(
        [
            revision(1, record(web=A), f"web:1@{A}"),
            revision(2, "", f"web:1@{A}"),
            revision(3, "", f"web:1@{A}", "example.com/db:2"),
        ]
    )
    assert (theirs["record"], theirs["set"], theirs["changes"]) == ("manifest", ours["set"], [])
    assert (tagged["record"], tagged["set"], changes(tagged)) == ("none", None, [(DB, None, UNPINNED)])
