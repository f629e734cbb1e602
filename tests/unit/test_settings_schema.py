"""The schema of the settings file says what config/ reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from helmpin import config
from helmpin.config.rules import RULE_KEYS
from helmpin.config.sources import LOGIN, NAMES
from helmpin.errors import UsageError
from helmpin.settings_schema import schema

VALIDATOR = jsonschema.Draft202012Validator(schema())


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    committed = Path(__file__).parents[2] / "docs/settings.schema.json"
    assert json.loads(committed.read_text()) == schema(), "run scripts/docs"


def test_it_has_every_setting() -> None:
    assert set(schema()["properties"]) == NAMES
    assert set(schema()["properties"]["rules"]["items"]["properties"]) == RULE_KEYS


GOOD = [
    "",
    "mutable: refuse",
    "mutable-tag: x\nallowed-registry: [a, b]",
    "allow-unpinned: [a, {image: b, reason: c, until: '2027-01-01'}]",
    "rules: [{match: a, mutable: pin, mutable-tag: b, fixed-tag: [c]}]",
    "registry-timeout: 30s\npull-secrets: true",
    "registry-timeout: 30",
    "registry-mirror: ['*=https://mirror.example']",
]
BAD = [
    "mutable: perhaps",
    "unknown: 1",
    "mutable-tag: [1]",
    "mutable-tag: {a: b}",
    "allow-unpinned: [{image: b, reason: c}]",
    "allow-unpinned: [{image: b, reason: c, until: soon}]",
    "rules: {match: a}",
    "rules: [{mutable: pin}]",
    "rules: [{match: a, more: b}]",
    "lock: file",
    "registry-username: a=b",
    "[]",
    "pull-secrets: 'yes'",
    "pull-secrets: 1",
    *(f"{name}:" for name in sorted(NAMES)),
    "rules: [{match: a, mutable: }]",
    "rules: [{match: a, mutable-tag: }]",
    "allow-unpinned: [{image: ' ', reason: c, until: '2027-01-01'}]",
    "registry-timeout: ''",
    "registry-timeout: -1",
    "registry-ca-file: ''",
]


def _is_read(text: str, folder: Path) -> bool:
    path = folder / "settings.yaml"
    path.write_text(text)
    try:
        config.read({"config": str(path), "lock": None, LOGIN: None}, {}, folder)
    except UsageError:
        return False
    return True


@pytest.mark.parametrize("text", GOOD + BAD)
def test_it_takes_what_is_read(text: str, tmp_path: Path) -> None:
    loaded: Any = yaml.safe_load(text)
    assert VALIDATOR.is_valid(loaded) is _is_read(text, tmp_path) is (text in GOOD)
