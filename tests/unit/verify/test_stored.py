"""What the checks of a stored revision make of its record and its manifest."""

from __future__ import annotations

import pytest

from helmpin.release.revision import Revision
from helmpin.verify.check import FAILED, OK, SKIPPED
from helmpin.verify.stored import manifest_check, record_check
from tests.support.renders import digest, pod

A = digest("a")


def stored(image: str) -> Revision:
    """A revision without a record."""
    return Revision("web", 1, "deployed", "", pod(image), "")


def test_without_a_record_the_manifest_is_taken_where_it_has_every_digest() -> None:
    check, record = record_check(stored(f"web:1@{A}"))
    assert (check.verdict, check.summary) == (SKIPPED, "no record; digests taken from the manifest")
    assert record
    check = manifest_check(stored(f"web:1@{A}"), record)
    assert (check.verdict, check.summary) == (OK, "1 image use in manifest and hooks, by digest")


@pytest.mark.parametrize("image", ["web:1", "[", ""])
def test_without_a_record_it_fails_otherwise(image: str) -> None:
    check, record = record_check(stored(image))
    assert (check.verdict, record) == (FAILED, None)
