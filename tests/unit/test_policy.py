"""What the settings say of one image."""

from __future__ import annotations

from pathlib import Path

import pytest

from helmpin import policy
from helmpin.config import read
from helmpin.config.settings import Settings

FILE = """\
mutable: %s
mutable-tag: ["v*"]
allowed-registry: [docker.io, "ghcr.io/team/*"]
rules:
- match: docker.io/library/*
  fixed-tag: ["1.25", main]
- match: ghcr.io
  mutable: refuse
  mutable-tag: "*-rc*"
- match: ghcr.io/team/*
  mutable: pin
- match: quay.io/*
  mutable: pin
"""


def settings(tmp_path: Path, mutable: str = "pin") -> Settings:
    path = tmp_path / "settings.yaml"
    path.write_text(FILE % mutable)
    return read({"config": str(path)}, {}, tmp_path)


@pytest.mark.parametrize(
    ("image", "moves"),
    [
        ("nginx:1.25", False),
        ("nginx:main", False),
        ("nginx:1.26", True),
        ("nginx", True),
        ("library/nginx:1.25", False),
        ("team/nginx:1.25", True),
        ("team/app:v1.2.3", True),
        ("ghcr.io/team/app:1.2.3-rc1", True),
        ("quay.io/team/app:1.2.3-rc1", False),
        (f"nginx@sha256:{'a' * 64}", False),
        ("NOT an image", True),
    ],
)
def test_what_is_mutable(image: str, moves: bool, tmp_path: Path) -> None:
    assert bool(policy.mutable_reason(image, settings(tmp_path))) is moves


def test_the_first_rule_that_matches_is_the_only_one(tmp_path: Path) -> None:
    refusal = policy.refusal_by_rule("ghcr.io/team/app:main", settings(tmp_path))
    assert refusal is not None and "moves by design, and " in refusal.text and "entry 2 refuses it" in refusal.text
    assert policy.refusal_by_rule("ghcr.io/team/app:1.2.3", settings(tmp_path)) is None
    assert policy.refusal_by_rule("nginx:latest", settings(tmp_path)) is None


def test_what_is_refused(tmp_path: Path) -> None:
    strict = settings(tmp_path, "refuse")
    assert [policy.refuses_mutable(image, strict) for image in ("nginx:1", "quay.io/a:1", "ghcr.io/a:1")] == [
        True,
        False,
        True,
    ]
    assert policy.refusal_by_rule("ghcr.io/a:main", strict) is None  # refused with all others


@pytest.mark.parametrize(
    ("image", "allowed"),
    [
        ("nginx", True),
        ("docker.io/team/app:1", True),
        ("ghcr.io/team/app:1", True),
        ("ghcr.io/teams/app:1", False),
        (f"quay.io/a@sha256:{'a' * 64}", False),
        ("docker.io.evil.example/a", False),
        ("NOT an image", True),
    ],
)
def test_allowed_registries(image: str, allowed: bool, tmp_path: Path) -> None:
    refusal = policy.registry_refusal(image, settings(tmp_path))
    assert (refusal is None) is allowed
    if refusal:
        assert "settings.yaml, key allowed-registry: docker.io, ghcr.io/team/*" in refusal.text


@pytest.mark.parametrize(
    ("flag", "refused"),
    [({}, [True, False, True]), ({"mutable": "refuse"}, [True] * 3), ({"mutable": "pin"}, [False] * 3)],
)
@pytest.mark.parametrize("by", ["flag", "variable"])
def test_a_flag_beats_the_rules_of_a_file(tmp_path: Path, flag: dict[str, str], refused: list[bool], by: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(FILE % "refuse")
    environ = {f"HELM_PIN_{name.upper()}": value for name, value in flag.items()} if by == "variable" else {}
    found = read({"config": str(path), **({} if environ else flag)}, environ, tmp_path)
    assert [policy.refuses_mutable(image, found) for image in ("nginx:1", "quay.io/a:1", "ghcr.io/a:1")] == refused
    assert policy.refusal_by_rule("ghcr.io/a:main", found) is None
    assert any(note.endswith("for quay.io/*, pin") for note in found.notes) == (not flag)


@pytest.mark.parametrize("environ", [{}, {"HELM_PIN_MUTABLE_TAG": "1.25"}, {"HELM_PIN_MUTABLE_TAG": " "}])
def test_a_flag_beats_the_fixed_tags_of_a_file(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(FILE % "refuse")
    given = {"config": str(path)}
    moves = [
        bool(policy.mutable_reason("nginx:1.25", read(options, environ, tmp_path)))
        for options in (given, {**given, "mutable-tag": ("1.*",)}, {**given, "mutable-tag": ("2.*",)})
    ]
    assert moves == [environ.get("HELM_PIN_MUTABLE_TAG") == "1.25", True, False]


@pytest.mark.parametrize("blank", [" ", "\n\t "])
def test_a_list_of_blanks_is_none(tmp_path: Path, blank: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("allowed-registry: [reg.example]\n")
    found = read({"config": str(path)}, {"HELM_PIN_ALLOWED_REGISTRY": blank}, tmp_path)
    assert found.allowed_registries == ("reg.example",)
