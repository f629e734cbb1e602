"""Which platforms run on which."""

from __future__ import annotations

import pytest

from helmpin.image.platforms import lacking, runs, valid_platform


@pytest.mark.parametrize(
    ("wanted", "has", "does"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/amd64", "linux/arm64", False),
        ("windows/amd64", "linux/amd64", False),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm/v7", "linux/arm/v6", True),
        ("linux/arm/v6", "linux/arm/v7", False),
        ("linux/arm", "linux/arm/v7", True),
        ("linux/amd64", "linux/amd64/v3", False),
        ("linux/arm64", "linux/aarch64", True),
        ("linux/amd64", "", False),
    ],
)
def test_runs(wanted: str, has: str, does: bool) -> None:
    assert runs(wanted, has) is does


def test_what_is_lacking() -> None:
    assert lacking(["linux/arm64", "linux/amd64"], ["linux/amd64"]) == ["linux/arm64"]
    assert lacking(["linux/arm64"], []) == ["linux/arm64"]
    assert lacking([], []) == []


@pytest.mark.parametrize("text", ["linux", "linux/", "/amd64", "linux amd64", "linux/arm/v7/x", "LINUX/amd64", ""])
def test_what_is_no_platform(text: str) -> None:
    assert not valid_platform(text)
