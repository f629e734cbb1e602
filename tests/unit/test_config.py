"""Settings: a flag beats the environment, which beats the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from helmpin.config import LISTS, Settings, read, seconds
from helmpin.errors import UsageError


def settings(
    folder: Path, options: Mapping[str, Any] = {}, environ: Mapping[str, str] = {}, file: str | None = None
) -> Settings:
    if file is not None:
        (folder / ".helm-pin.yaml").write_text(file)
    return read(options, environ, folder)


def test_defaults(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert (found.mutable, found.mutable_tags, found.allow_unpinned, found.also, found.pull_secrets) == (
        "pin",
        (),
        (),
        (),
        False,
    )
    assert (found.registry.mirrors, found.registry.ca_file) == ((), None)


def test_what_beats_what(tmp_path: Path) -> None:
    file, environ = (
        "mutable: refuse\nmutable-tag: [f1, f2]",
        {"HELM_PIN_MUTABLE_TAG": "e1 e2", "HELM_PIN_MUTABLE": "pin"},
    )
    assert settings(tmp_path, file=file)[:2] == ("refuse", ("f1", "f2"))
    assert settings(tmp_path, environ=environ)[:2] == ("pin", ("e1", "e2"))
    options = {"mutable": "refuse", "mutable-tag": ("o",)}
    assert settings(tmp_path, options, environ)[:2] == ("refuse", ("o",))


@pytest.mark.parametrize("name", sorted(LISTS))
def test_every_list_from_everywhere(tmp_path: Path, name: str) -> None:
    variable = "HELM_PIN_" + name.upper().replace("-", "_")
    one = "a=http://b"
    from_flag = settings(tmp_path, {name: (one,)})
    assert from_flag != settings(tmp_path)
    assert settings(tmp_path, environ={variable: one}) == from_flag
    assert settings(tmp_path, file=f"{name}: [{one}]") == from_flag
    assert settings(tmp_path, file=f"{name}: {one}") == from_flag


def test_registry_settings(tmp_path: Path) -> None:
    environ = {
        "HELM_PIN_REGISTRY_MIRROR": "*=http://a docker.io=https://b/x=y",
        "HELM_PIN_REGISTRY_CA_FILE": "/ca.pem",
        "HELM_PIN_REGISTRY_TIMEOUT": "1m30s",
        "HELM_PIN_REGISTRY_PLAIN_HTTP": "c d",
    }
    found = settings(tmp_path, environ=environ).registry
    assert found.mirrors == (("*", "http://a"), ("docker.io", "https://b/x=y"))
    assert (found.ca_file, found.timeout, found.plain_http) == ("/ca.pem", 90.0, frozenset("cd"))


@pytest.mark.parametrize(
    ("text", "on"),
    [("true", True), ("1", True), ("YES", True), ("on", True), ("false", False), ("0", False), ("off", False)],
)
def test_switch(tmp_path: Path, text: str, on: bool) -> None:
    assert settings(tmp_path, environ={"HELM_PIN_PULL_SECRETS": text}).pull_secrets is on
    assert settings(tmp_path, {"pull-secrets": not on}, {"HELM_PIN_PULL_SECRETS": text}).pull_secrets is not on


@pytest.mark.parametrize(
    ("environ", "file", "says", "where"),
    [
        ({"HELM_PIN_MUTABLE": "maybe"}, "", "pin or refuse, not 'maybe'", "HELM_PIN_MUTABLE"),
        ({}, "mutable: 3", "pin or refuse, not 3", ".helm-pin.yaml"),
        ({"HELM_PIN_PULL_SECRETS": "perhaps"}, "", "true or false", "HELM_PIN_PULL_SECRETS"),
        ({"HELM_PIN_REGISTRY_TIMEOUT": "soon"}, "", "not a duration: 'soon'", "HELM_PIN_REGISTRY_TIMEOUT"),
        ({}, "registry-timeout: -3", "not a duration: '-3'", ".helm-pin.yaml"),
        ({"HELM_PIN_REGISTRY_MIRROR": "nothing"}, "", "a registry mirror is HOST=URL", "HELM_PIN_REGISTRY_MIRROR"),
        ({}, "also: {a: b}", "a list of texts", ".helm-pin.yaml"),
        ({}, "also: [1]", "a list of texts", ".helm-pin.yaml"),
        ({}, "alsoo: [x]", "unknown key in .helm-pin.yaml: alsoo", ".helm-pin.yaml"),
        ({}, "- x", "not a mapping", ".helm-pin.yaml"),
        ({}, "a: [", "not YAML", ".helm-pin.yaml"),
        ({}, "registry-ca-file: [x]", "registry-ca-file", ".helm-pin.yaml"),
    ],
)  # fmt: skip
def test_what_is_wrong_and_where(tmp_path: Path, environ: dict[str, str], file: str, says: str, where: str) -> None:
    with pytest.raises(UsageError) as failed:
        settings(tmp_path, environ=environ, file=file)
    assert says in failed.value.what
    assert where in " ".join(failed.value.where)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / ".helm-pin.yaml").mkdir()
    with pytest.raises(UsageError, match=r"cannot read \.helm-pin\.yaml"):
        settings(tmp_path)


def test_an_empty_file(tmp_path: Path) -> None:
    assert settings(tmp_path, file="") == settings(tmp_path, file="# nothing\n") == settings(tmp_path)


@pytest.mark.parametrize(
    ("text", "value"), [("30s", 30), ("1m30s", 90), ("500ms", 0.5), ("2h", 7200), ("1.5s", 1.5), ("7", 7), ("0.5", 0.5)]
)
def test_seconds(text: str, value: float) -> None:
    assert seconds(text, "x") == value


@pytest.mark.parametrize("text", ["", "s", "1x", "-1s", "1 s", "1s ", "1m30", "inf"])
def test_no_seconds(text: str) -> None:
    with pytest.raises(UsageError):
        seconds(text, "x")
