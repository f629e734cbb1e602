"""The credential helper that docker's own project publishes, docker-credential-pass, with a real password store behind it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from helmpin.registry import credential_helpers
from helmpin.registry.types import Credential
from scripts.devtools.binaries import RECIPES, Recipe, Unavailable, binary, from_debian, go_install
from tests.support.asking import digest_of, error_of, keychain
from tests.support.registry_servers import PASSWORD, USER, Server

HELPERS = "0.9.12"
RECIPES.setdefault(
    "docker-credential-pass",
    Recipe(
        f"docker-credential-pass-{HELPERS}",
        "10 s",
        go_install("github.com/docker/docker-credential-helpers/pass/cmd", HELPERS),
    ),
)
RECIPES.setdefault("pass", Recipe("pass-debian", "10 s", from_debian("pass", "usr", "bin", "pass")))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty password store, and the helper on PATH."""
    if not shutil.which("gpg"):
        raise Unavailable("the password store needs GnuPG: install gpg")
    (tmp_path / "bin").mkdir()
    for name in ("docker-credential-pass", "pass"):
        (tmp_path / "bin" / name).symlink_to(binary(name))
    (tmp_path / "gnupg").mkdir(mode=0o700)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GNUPGHOME", str(tmp_path / "gnupg"))
    monkeypatch.setenv("PASSWORD_STORE_DIR", str(tmp_path / "store"))
    try:
        run("gpg", "--batch", "--passphrase", "", "--quick-generate-key", "tests@registry.test", "default", "default")
        run("pass", "init", "tests@registry.test")
        yield
    finally:
        run("gpgconf", "--kill", "all")


def run(*command: str, stdin: str = "") -> None:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr + done.stdout


def put(server: str, user: str, secret: str) -> None:
    """As docker login stores it."""
    run("docker-credential-pass", "store", stdin=json.dumps({"ServerURL": server, "Username": user, "Secret": secret}))


@pytest.mark.usefixtures("store")
def test_what_docker_login_stored(private_registry: Server, unique: str, tmp_path: Path) -> None:
    digest, _ = private_registry.push_image(unique, "v1")
    name, chain = f"{private_registry.host}/{unique}:v1", keychain(tmp_path / "docker", credsStore="pass")

    error = error_of(name, keychain=chain)  # its store is empty
    assert error.kind == "unauthorized" and "no credentials found" in error.reason

    put(private_registry.host, USER, PASSWORD)
    assert digest_of(name, keychain=keychain(tmp_path / "docker", credsStore="pass")) == digest
    put("ghcr.io", "<token>", "an-identity-token")
    assert credential_helpers.get("pass", "ghcr.io") == Credential(
        identity_token="an-identity-token", source="docker-credential-pass"
    )


@pytest.mark.usefixtures("store")
def test_a_store_that_cannot_be_opened(private_registry: Server, unique: str, tmp_path: Path) -> None:
    put(private_registry.host, USER, PASSWORD)
    for secret in (tmp_path / "store").rglob("*.gpg"):
        secret.write_bytes(b"damaged")
    chain = keychain(tmp_path / "docker", credsStore="pass")
    error = error_of(f"{private_registry.host}/{unique}:v1", keychain=chain)
    assert "docker-credential-pass failed" in error.reason and "docker-credential-pass list" in error.hint
