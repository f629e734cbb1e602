"""Keychains: which credential, from where, in which order. Matching is Kubernetes' (Interpretation of config.json)."""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest

from helmpin.image.reference import Reference
from helmpin.registry import credential_helpers
from helmpin.registry.errors import Failure
from helmpin.registry.keychain import Chain, ConfigFile, Entries, Keychain, default_keychain, pull_secrets
from helmpin.registry.types import Credential, RegistrySettings
from tests.support.workstation import without_home

NOWHERE = {"HOME": "/nonexistent"}
UNSENDABLE = "the entry for 'ghcr.io' has characters that no request can carry"


def found(keychain: Keychain, image: str) -> list[str]:
    """The user names for an image, in order."""
    reference = Reference.parse(image)
    return [
        found.username
        for found in keychain.find(reference.registry, reference.repository)
        if not isinstance(found, Failure)
    ]


def entries(*keys: str) -> Entries:
    """Each key with itself as user name."""
    return Entries((key, Credential(key, "x")) for key in keys)


def auth(user: str, password: str) -> str:
    return b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("key", "matching", "others"),
    [
        ("ghcr.io", ["ghcr.io/a/b", "ghcr.io/c"], ["gcr.io/a", "a.ghcr.io/b", "ghcr.io:443/a", "ghcr/io"]),
        ("https://ghcr.io", ["ghcr.io/a/b"], ["gcr.io/a"]),
        ("ghcr.io:5000", ["ghcr.io:5000/a"], ["ghcr.io/a", "ghcr.io:5001/a"]),
        ("https://ghcr.io/v2/", ["ghcr.io/a"], []),
        ("ghcr.io/acme", [], ["ghcr.io/v2/acme"]),
        ("https://ghcr.io/v1/", ["ghcr.io/a"], []),
        ("https://ghcr.io/", ["ghcr.io/a"], []),
        ("https://index.docker.io/v1", ["nginx", "docker.io/a/b"], ["ghcr.io/a"]),
        ("ghcr.io/acme", ["ghcr.io/acme", "ghcr.io/acme/app"], ["ghcr.io/other/acme", "ghcr.io/ac"]),
        ("quay.io/acme", ["quay.io/acme/x"], ["quay.io/acme-corp/x", "quay.io/acme2", "quay.io/acme.io/x"]),
        ("quay.io/acme/", ["quay.io/acme", "quay.io/acme/x"], ["quay.io/acme-corp/x"]),
        ("https://quay.io/v2/acme/", ["quay.io/acme/x"], ["quay.io/acme-corp/x", "quay.io/v2/acme/x"]),
        ("ghcr.io/acme/app", ["ghcr.io/acme/app", "ghcr.io/acme/app/x"], ["ghcr.io/acme", "ghcr.io/acme/other"]),
        ("*.io", ["ghcr.io/a", "docker.io/a"], ["a.ghcr.io/b", "io.example/a"]),
        ("*.example.com", ["a.example.com/x"], ["example.com/x", "a.b.example.com/x", "a.example.com:5000/x"]),
        ("*.example.com:5000", ["a.example.com:5000/x"], ["a.example.com/x"]),
        ("reg?.example.com", ["reg1.example.com/x"], ["reg10.example.com/x"]),
        ("*.*.example.com/team", ["a.b.example.com/team/x"], ["a.b.example.com/x"]),
        ("https://index.docker.io/v1/", ["nginx", "docker.io/a/b", "index.docker.io/a/b"], ["ghcr.io/a"]),
        ("docker.io", ["nginx", "bitnami/redis"], []),
        ("registry-1.docker.io", ["nginx"], []),
        ("docker.io/library", ["nginx"], ["bitnami/redis"]),
        ("GHCR.io", ["ghcr.io/a"], []),
        ("[::1]:5000", ["[::1]:5000/a"], ["[::2]:5000/a"]),
        ("*", ["localhost/a"], ["ghcr.io/a"]),
        ("", [], ["ghcr.io/a"]),
    ],
)
def test_matching(key: str, matching: list[str], others: list[str]) -> None:
    keychain = entries(key)
    assert [image for image in matching if found(keychain, image) != [key]] == []
    assert [image for image in others if found(keychain, image)] == []


def test_the_most_specific_first_and_all_that_match() -> None:
    keychain = entries("*.io", "ghcr.io", "ghcr.io/acme", "ghcr.io/acme/app", "*.io/acme/app/x", "quay.io")
    assert found(keychain, "ghcr.io/acme/app/x") == [
        "ghcr.io/acme/app",
        "ghcr.io/acme",
        "ghcr.io",
        "*.io/acme/app/x",
        "*.io",
    ]


def test_a_chain_asks_no_further_than_it_must() -> None:
    class Trap:
        def find(self, registry: str, repository: str) -> Any:
            raise AssertionError(f"asked for {registry}/{repository}")

    credentials = Chain(entries("ghcr.io"), Trap()).find("ghcr.io", "a")
    assert next(credentials) == Credential("ghcr.io", "x")
    with pytest.raises(AssertionError, match="asked"):
        next(credentials)


@pytest.mark.parametrize(
    ("entry", "credential"),
    [
        ({"auth": auth("me", "pa:ss")}, ("me", "pa:ss", "", "")),
        ({"auth": auth("me", "päss")}, ("me", "päss", "", "")),
        ({"auth": auth("me", "pass\0\0")}, ("me", "pass", "", "")),
        ({"auth": auth("me", "pass")[:4] + "\n" + auth("me", "pass")[4:]}, ("me", "pass", "", "")),
        ({"username": "me", "password": "pass"}, ("me", "pass", "", "")),
        ({"username": "x", "password": "y", "auth": auth("me", "pass")}, ("me", "pass", "", "")),
        ({"identitytoken": "t", "auth": auth("<token>", "")}, ("<token>", "", "t", "")),
        ({"registrytoken": "r"}, ("", "", "", "r")),
        ({"auth": None, "email": "a@b.example", "username": "me", "password": "p"}, ("me", "p", "", "")),
    ],
)
def test_entries_of_a_configuration(entry: dict[str, Any], credential: tuple[str, ...]) -> None:
    keychain = ConfigFile("test", json.dumps({"auths": {"ghcr.io": entry}}))
    assert list(keychain.find("ghcr.io", "a")) == [(*credential, "test")]


@pytest.mark.parametrize(
    "text", ["", " ", "{}", '{"auths": null}', '{"auths": {}}', '{"auths": {"ghcr.io": {}}}', '{"HttpHeaders": {}}']
)
def test_configurations_without_credentials(text: str) -> None:
    assert list(ConfigFile("test", text).find("ghcr.io", "a")) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "not a Docker configuration"),
        ('{"auths": []}', "not a Docker configuration"),
        ('{"auths": {"ghcr.io": "s3cr3t"}}', "invalid entry for 'ghcr.io'"),
        ('{"auths": {"ghcr.io": {"password": ["s3cr3t"]}}}', "invalid entry for 'ghcr.io'"),
        ('{"auths": {"ghcr.io": {"auth": "s3cr3t!"}}}', "the `auth` for 'ghcr.io' is not base64 of user:password"),
        ('{"auths": {"ghcr.io": {"auth": "czNjcjN0"}}}', "the `auth` for 'ghcr.io' is not base64 of user:password"),
        ('{"auths": {"ghcr.io": {"auth": "/////w=="}}}', "the `auth` for 'ghcr.io' is not base64 of user:password"),
        ('{"auths": {"ghcr.io": {"username": "me", "password": "s3cr3t\\ud800"}}}', UNSENDABLE),
        ('{"auths": {"ghcr.io": {"identitytoken": "s3cr3t\\ud800"}}}', UNSENDABLE),
        ('{"auths": {"ghcr.io": {"registrytoken": "s3cr3t\\n"}}}', UNSENDABLE),
        ('{"auths": {"ghcr.io": {"registrytoken": "s3cr3t€"}}}', UNSENDABLE),
    ],
)
def test_configurations_that_cannot_be_read(text: str, why: str) -> None:
    (failure,) = ConfigFile("/home/me/.docker/config.json", text).find("ghcr.io", "a")
    assert isinstance(failure, Failure)
    assert failure.kind == "unauthorized"
    assert failure.reason == f"cannot read the credentials in /home/me/.docker/config.json: {why}"
    assert "s3cr3t" not in failure.reason + failure.hint + repr(failure)


def test_a_password_that_is_not_utf8_is_sent_as_its_own_bytes() -> None:
    assert b64decode(Credential("me", "s3cr3t\udcff").basic.removeprefix("Basic ")) == b"me:s3cr3t\xff"


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (failure,) = ConfigFile(str(tmp_path)).find("ghcr.io", "a")
    assert isinstance(failure, Failure) and failure.reason.lower().endswith(": is a directory")
    assert list(ConfigFile(str(tmp_path / "absent")).find("ghcr.io", "a")) == []


def test_the_order_of_the_places(tmp_path: Path) -> None:
    def config(user: str) -> str:
        return json.dumps({"auths": {"ghcr.io": {"auth": auth(user, "x")}}})

    places = {
        "docker": tmp_path / "docker" / "config.json",
        "podman": tmp_path / "podman.json",
        "helm": tmp_path / "helm.json",
        "runtime": tmp_path / "run" / "containers" / "auth.json",
        "home": tmp_path / "xdg" / "containers" / "auth.json",
        "helm home": tmp_path / "xdg" / "helm" / "registry" / "config.json",
        "docker home": tmp_path / ".docker" / "config.json",
    }
    for name, path in places.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(config(name))
    settings = RegistrySettings(credentials=(("ghcr.io", Credential("settings", "x")),))
    everything = {
        "HOME": str(tmp_path),
        "DOCKER_AUTH_CONFIG": config("variable"),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "REGISTRY_AUTH_FILE": str(places["podman"]),
        "HELM_REGISTRY_CONFIG": str(places["helm"]),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "XDG_CONFIG_HOME": str(tmp_path / "xdg"),
    }
    assert found(default_keychain(settings, everything), "ghcr.io/a") == [
        "settings",
        "variable",
        "docker",
        "podman",
        "helm",
    ]
    usual = {name: everything[name] for name in ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME")}
    assert found(default_keychain(RegistrySettings(), usual), "ghcr.io/a") == [
        "docker home",
        "runtime",
        "home",
        "helm home",
    ]
    assert found(default_keychain(RegistrySettings(), NOWHERE), "ghcr.io/a") == []


def test_a_user_without_a_home_is_logged_in_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    without_home(monkeypatch)
    assert found(default_keychain(RegistrySettings(), {}), "ghcr.io/a") == []


def test_pull_secrets_of_both_kinds() -> None:
    new = {"auths": {"ghcr.io": {"auth": auth("new", "x")}}}
    old = {"ghcr.io": {"username": "old", "password": "x"}, "https://index.docker.io/v1/": {"auth": auth("hub", "x")}}
    keychain = pull_secrets([("Secret a/new", new), ("Secret a/old", old)])
    assert found(keychain, "ghcr.io/a") == ["new", "old"]
    assert found(keychain, "nginx") == ["hub"]
    assert [found.source for found in keychain.find("ghcr.io", "a")] == ["Secret a/new", "Secret a/old"]
    with pytest.raises(Failure, match=r"credentials in Secret a/bad: .*'ghcr.io' is not base64"):
        pull_secrets([("Secret a/bad", {"auths": {"ghcr.io": {"auth": "?"}}})])


class TestHelpers:
    @pytest.fixture(autouse=True)
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
        """The helpers that are asked; each knows `HELPER SERVER` as user, `absent` none. Integration has real ones."""
        calls: list[tuple[str, str]] = []

        def get(name: str, server: str, _: float) -> Credential | None:
            calls.append((name, server))
            return None if name == "absent" else Credential(f"{name} {server}", "x")

        monkeypatch.setattr(credential_helpers, "get", get)
        return calls

    @pytest.mark.parametrize(
        ("config", "image", "users"),
        [
            ({"credsStore": "all"}, "ghcr.io/a", ["all ghcr.io", "file"]),
            ({"credsStore": "all"}, "nginx", ["all https://index.docker.io/v1/"]),
            ({"credHelpers": {"ghcr.io": "own"}, "credsStore": "all"}, "ghcr.io/a", ["own ghcr.io", "file"]),
            ({"credHelpers": {"ghcr.io": "own"}, "credsStore": "all"}, "quay.io/a", ["all quay.io"]),
            ({"credHelpers": {"ghcr.io": "own"}}, "quay.io/a", []),
            ({"credHelpers": {"https://index.docker.io/v1/": "own"}}, "nginx", ["own https://index.docker.io/v1/"]),
            ({"credHelpers": {"docker.io": "own"}}, "nginx", ["own https://index.docker.io/v1/"]),
            ({"credsStore": "absent"}, "ghcr.io/a", ["file"]),
            ({"credsStore": 7, "credHelpers": []}, "ghcr.io/a", ["file"]),
            ({"credsStore": "all"}, "localhost:5000/a", ["all localhost:5000"]),
        ],
    )
    def test_which(self, config: dict[str, Any], image: str, users: list[str]) -> None:
        document = {**config, "auths": {"ghcr.io": {"auth": auth("file", "x")}}}
        assert found(ConfigFile("test", json.dumps(document)), image) == users

    def test_once_for_a_server(self, asked: list[tuple[str, str]]) -> None:
        keychain = ConfigFile("test", '{"credsStore": "all"}')
        for image in ("ghcr.io/a", "ghcr.io/b", "quay.io/a", "ghcr.io/a"):
            found(keychain, image)
        assert asked == [("all", "ghcr.io"), ("all", "quay.io")]


@pytest.mark.parametrize("name", ["../evil", "", "$(id)", "x\0y"])
def test_a_helper_with_an_odd_name_is_not_run(name: str) -> None:
    with pytest.raises(Failure, match="not found on PATH"):
        credential_helpers.get(name, "ghcr.io")


@pytest.mark.parametrize("username", ["me", "<token>"])
def test_a_helper_that_prints_what_no_request_can_carry(
    username: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "docker-credential-odd"
    printed = json.dumps({"Username": username, "Secret": "s3cr3t\ud800"})
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{printed}\nEND\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(Failure, match="its output has characters that no request can carry"):
        credential_helpers.get("odd", "ghcr.io")
