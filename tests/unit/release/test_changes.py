"""The digests of a revision, and what changes from one revision to the next."""

from __future__ import annotations

from helmpin.release.changes import UNPINNED, changes, digests
from helmpin.release.record import Image, Record

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
WEB = "quay.io/t/web"


def test_two_images_of_one_repository_without_a_tag() -> None:
    assert digests({f"{WEB}@{A}", f"{WEB}@{B}"}, None) == {WEB: {A, B}}


def test_a_job_that_keeps_its_digest() -> None:
    record = Record("", "", tuple(Image(f"{WEB}:1", f"{WEB}:1", digest, "", "values") for digest in (A, B)))
    images = {f"{WEB}:1@{A}", f"{WEB}@{B}", "busybox"}
    assert digests(images, record) == {f"{WEB}:1": {A, B}, "docker.io/library/busybox:latest": {UNPINNED}}


def test_what_changes() -> None:
    assert changes({WEB: {A, B}}, {WEB: {B, A}}) == []
    assert changes({WEB: {A, B}}, {WEB: {B, C}}) == [{"reference": WEB, "from": A, "to": C}]
    assert changes({WEB: {A, B}}, {WEB: {B}}) == [{"reference": WEB, "from": A, "to": None}]
    assert changes({}, {WEB: {A, B}}) == [{"reference": WEB, "from": None, "to": each} for each in (A, B)]


def test_what_changes_beside_a_job_that_keeps_its_digest() -> None:
    """The rest has moved to another digest, or is back at that of the Job: nothing was added or removed."""
    tag = f"{WEB}:1"
    assert changes({tag: {A}}, {tag: {A, B}}) == [{"reference": tag, "from": A, "to": B}]
    assert changes({tag: {A, B}}, {tag: {A}}) == [{"reference": tag, "from": B, "to": A}]
    assert changes({tag: {A, B}}, {tag: {A, C}}) == [{"reference": tag, "from": B, "to": C}]


def test_another_tag() -> None:
    one, two = f"{WEB}:1", f"{WEB}:2"
    assert changes({one: {A}}, {two: {A}}) == [{"reference": two, "from": A, "to": A, "was": one}]
    assert changes({one: {A}, two: {B}}, {two: {B}}) == [{"reference": one, "from": A, "to": None}]
