"""Which tags can move."""

from __future__ import annotations

import pytest

from helmpin.image.mutable import reason


@pytest.mark.parametrize(
    "tag",
    ["latest", "LATEST", "stable", "main", "nightly", "edge", "lts", "latest-alpine", "main_debian", "1.2-latest", "1", "v1",
     "1.25", "1-alpine", "1.25-alpine3", "alpine", "bookworm-slim", "v2.0-rc", "master-dev", "12-debian-12", "1.2-rc1", "2024-01",
     "2024.01-alpine"],
)  # fmt: skip
def test_moves(tag: str) -> None:
    assert tag in (reason(tag) or "")


@pytest.mark.parametrize(
    "tag",
    [
        "1.2.3",
        "v1.2.3",
        "1.2.3-alpine",
        "20240102",
        "2024.01.02",
        "2024-01-02",
        "v2024-01-02-1",
        "2024-01-02T03-04-05Z",
        "1.2-20240102",
        "sha-0a1b2c3",
        "0a1b2c3d",
        "1.2.3.4",
        "r2d2",
        "12-debian-12-r50",
        "mainline1",
    ],
)
def test_does_not_move(tag: str) -> None:
    assert reason(tag) is None


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ("LATEST", "moves by design"),
        ("1.25", "is a floating version"),
        ("alpine", "names no version"),
        ("dev-2", "moves by design"),
    ],
)
def test_why(tag: str, why: str) -> None:
    assert reason(tag) == f"tag {tag} {why}"


@pytest.mark.parametrize("tag", [None, ""])
def test_no_tag(tag: str | None) -> None:
    assert reason(tag) == "no tag, so latest"


def test_a_digest_never_moves() -> None:
    assert reason("latest", "sha256:0") is None and reason(None, "sha256:0", ["*"]) is None


def test_globs_add() -> None:
    assert reason("1.2.3", globs=["x", "1.2.*"]) == "tag 1.2.3 is declared mutable (1.2.*)"
    assert reason("1.2.3", globs=["1.3.*"]) is None
