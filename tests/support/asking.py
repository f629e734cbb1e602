"""Asking for one image, as a test reads best."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from helmpin.image.reference import Reference
from helmpin.registry import RegistryError, RegistrySettings, resolve
from helmpin.registry.keychain import Keychain, default_keychain
from tests.support.registry_servers import docker_config

NOTHING = default_keychain(RegistrySettings(), {"HOME": "/nonexistent"})
"""The keychain of a user who is logged in nowhere."""


def keychain(folder: Path, entries: dict[str, tuple[str, str]] | None = None, **more: Any) -> Keychain:
    """The keychain of a user who has only a docker config.json, in a folder, with (user, password) by registry."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(docker_config(entries or {}, **more))
    return default_keychain(RegistrySettings(), {"DOCKER_CONFIG": str(folder), "HOME": "/nonexistent"})


def digest_of(reference: str, settings: RegistrySettings | None = None, keychain: Keychain = NOTHING) -> str:
    """The digest that resolve() gives. Raises its RegistryError."""
    answer = _ask(reference, settings or RegistrySettings(), keychain)
    if isinstance(answer, RegistryError):
        raise answer
    return str(answer.digest)


def error_of(reference: str, settings: RegistrySettings | None = None, keychain: Keychain = NOTHING) -> RegistryError:
    """The error that resolve() gives."""
    answer = _ask(reference, settings or RegistrySettings(), keychain)
    assert isinstance(answer, RegistryError), f"{reference} resolved to {answer}"
    return answer


def said(error: RegistryError) -> str:
    """Every text of an error that a person may get to see."""
    return f"{error} {error!r} {error.reason} {error.hint} {error.args} {vars(error)}"


def _ask(reference: str, settings: RegistrySettings, keychain: Keychain) -> Any:
    parsed = Reference.parse(reference)
    return resolve([parsed], settings, keychain)[parsed]
