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
        config.read(
            {"config": str(path), "lock": None, LOGIN: None, "platform": None, "pull-secrets": None}, {}, folder
        )
    except UsageError:
        return False
    return True


@pytest.mark.parametrize("text", GOOD + BAD)
def test_it_takes_what_is_read(text: str, tmp_path: Path) -> None:
    loaded: Any = yaml.safe_load(text)
    assert VALIDATOR.is_valid(loaded) is _is_read(text, tmp_path) is (text in GOOD)


TEXTS = [
    "",
    " ",
    "x",
    "a b",
    "*",
    "/",
    "a/b",
    "a/b/c",
    "a/b_c",
    "linux/amd64, nodes",
    "linux/amd64,",
    "nodes",
    "30s",
    "1m30s",
    "500ms",
]
TEXTS += [
    "1.5h",
    "30 s",
    "s",
    "0.5",
    "1e3",
    "٣s",
    "a=b",
    "a=",
    "=b",
    "a/b=c",
    "*=https://mirror.example",
    "docker.io=origin",
    "host:5000",
]
TEXTS += ["a=https://me@b", "a=b?c", "a=b#c", "a=b c", "http://host"]


@pytest.mark.parametrize("name", ["platform", "registry-mirror", "registry-plain-http", "registry-timeout"])
@pytest.mark.parametrize("text", TEXTS)
def test_it_takes_the_texts_that_are_read(name: str, text: str, tmp_path: Path) -> None:
    for value in [text, [text]] if name != "registry-timeout" else [text]:
        assert VALIDATOR.is_valid({name: value}) == _is_read(json.dumps({name: value}), tmp_path)


@pytest.mark.parametrize(
    "day", ["2027-W01-1", "20270101xx", "2027-1-1", "27-01-01", "2027-01-01 ", "٢٠٢٧-01-01", "2027-01-01T00"]
)
def test_a_day_has_one_form(day: str, tmp_path: Path) -> None:
    """Python reads others, and an end that is no such text would never come."""
    text = json.dumps({"allow-unpinned": [{"image": "a", "reason": "b", "until": day}]})
    assert not VALIDATOR.is_valid(json.loads(text)) and not _is_read(text, tmp_path)


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    for one in ("registry-client-cert", "registry-client-key"):
        assert not VALIDATOR.is_valid({one: "a.pem"}) and not _is_read(json.dumps({one: "a.pem"}), tmp_path)
