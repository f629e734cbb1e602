"""Credentials on real servers: htpasswd, and tokens that a token server signs; CNCF distribution 3 and 2.8."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from helmpin.image.reference import Reference
from helmpin.registry import RegistryError, RegistrySettings, resolve
from helmpin.registry.keychain import Chain, default_keychain, pull_secrets
from helmpin.registry.session import Session
from helmpin.registry.types import Credential
from tests.support import registry_servers
from tests.support.asking import digest_of, error_of, keychain, said
from tests.support.registry_servers import HTPASSWD, PASSWORD, USER, Server, basic
from tests.support.token_server import ISSUER, SERVICE, TokenServer, serve

USERS = {"alice": PASSWORD, "bob": "the pass of bob"}
both_programs = pytest.mark.parametrize("guarded", ["registry", "docker-registry"], indirect=True)
"""CNCF distribution 3 and 2.8; without it, 3 alone."""
WRONG = "wr0ng-passw0rd"


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """team/app:v1, for USER with PASSWORD only."""
    folder = tmp_path_factory.mktemp("protected")
    (folder / "htpasswd").write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    with registry_servers.distribution(folder, auth=auth, headers={"Authorization": basic(USER, PASSWORD)}) as served:
        served.push_image("team/app", "v1")
        yield served


class TestBasic:
    def test_right(self, protected: Server, tmp_path: Path) -> None:
        assert digest_of(
            f"{protected.host}/team/app:v1", keychain=keychain(tmp_path, {protected.host: (USER, PASSWORD)})
        )

    def test_none(self, protected: Server) -> None:
        error = error_of(f"{protected.host}/team/app:v1")
        assert (error.kind, error.status) == ("unauthorized", 401)
        assert "no credentials found" in error.reason and f"docker login {protected.host}" in error.hint

    @pytest.mark.parametrize("key", ["ghcr.oi", "HOST/elsewhere"])
    def test_one_for_somewhere_else_is_named(self, protected: Server, key: str) -> None:
        """A login with a typing error is no error where nothing needs it, and explains what needs one."""
        key = key.replace("HOST", protected.host)
        login = (key, Credential(USER, WRONG, source="--registry-username"))
        error = error_of(f"{protected.host}/team/app:v1", RegistrySettings(credentials=(login,)))
        assert error.hint.endswith(f"; the login of --registry-username is for {key} alone") and WRONG not in said(
            error
        )

    def test_wrong(self, protected: Server, tmp_path: Path) -> None:
        error = error_of(f"{protected.host}/team/app:v1", keychain=keychain(tmp_path, {protected.host: (USER, WRONG)}))
        assert (error.kind, error.status) == ("unauthorized", 401)
        assert str(tmp_path / "config.json") in error.reason and WRONG not in said(error)

    def test_the_next_keychain_after_a_refusal(self, protected: Server, tmp_path: Path) -> None:
        secret = {"auths": {protected.host: {"username": USER, "password": PASSWORD}}}
        chain = Chain(
            keychain(tmp_path, {protected.host: (USER, WRONG)}),
            pull_secrets([("Secret default/pull", secret)]),
        )
        assert digest_of(f"{protected.host}/team/app:v1", keychain=chain)

    def test_the_settings_precede_files(self, protected: Server, tmp_path: Path) -> None:
        settings = RegistrySettings(credentials=((protected.host, Credential(USER, PASSWORD, source="the settings")),))
        (tmp_path / "config.json").write_text(registry_servers.docker_config({protected.host: (USER, WRONG)}))
        before = _heads(protected)
        chain = default_keychain(settings, {"DOCKER_CONFIG": str(tmp_path), "HOME": "/nonexistent"})
        assert digest_of(f"{protected.host}/team/app:v1", settings, chain)
        assert _heads(protected) - before == 2, "one without credentials, one with the right ones"


def _heads(server: Server) -> int:
    assert server.log
    return server.log.read_text().count('"HEAD ')


@pytest.fixture(scope="module")
def token_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A token server that knows alice and bob."""
    with serve(TokenServer(tmp_path_factory.mktemp("tokens"), USERS)) as server:
        yield server


@pytest.fixture
def tokens(token_server: TokenServer) -> TokenServer:
    """The same as new: nobody has asked it."""
    token_server.users, token_server.oauth, token_server.lifetime = dict(USERS), True, 300
    token_server.requests.clear()
    return token_server


@pytest.fixture(scope="module")
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, token_server: TokenServer
) -> Iterator[Server]:
    """public/app:v1, and alice/app:v1 for alice, by that server's tokens."""
    auth = {
        "token": {
            "realm": token_server.realm,
            "service": SERVICE,
            "issuer": ISSUER,
            "rootcertbundle": str(token_server.certificate),
        }
    }
    scopes = [f"repository:{name}:pull,push" for name in ("public/app", "public/other", "alice/app")]
    token_server.lifetime = 3600  # tests push to it later
    filling = {"Authorization": f"Bearer {token_server.token('admin', scopes)}"}
    folder, program = tmp_path_factory.mktemp("registry"), getattr(request, "param", "registry")
    with registry_servers.distribution(folder, program, auth=auth, headers=filling) as served:
        for name in ("public/app", "public/other", "alice/app"):
            served.push_image(name, "v1")
        yield served


@pytest.mark.usefixtures("tokens")
class TestToken:
    @both_programs
    def test_anonymous(self, guarded: Server, tokens: TokenServer) -> None:
        assert digest_of(f"{guarded.host}/public/app:v1")
        assert tokens.requests == [("GET", "", "repository:public/app:pull")]

    def test_anonymous_with_a_helper_that_is_gone(self, guarded: Server, tokens: TokenServer, tmp_path: Path) -> None:
        chain = keychain(tmp_path, credsStore="desktop.exe")
        assert digest_of(f"{guarded.host}/public/app:v1", keychain=chain)
        error = error_of(f"{guarded.host}/alice/app:v1", keychain=chain)
        assert error.kind == "unauthorized" and "docker-credential-desktop.exe" in error.reason
        assert {user for _, user, _ in tokens.requests} == {""}

    @both_programs
    def test_private(self, guarded: Server, tokens: TokenServer, tmp_path: Path) -> None:
        assert digest_of(
            f"{guarded.host}/alice/app:v1", keychain=keychain(tmp_path, {guarded.host: ("alice", PASSWORD)})
        )
        assert tokens.requests == [("GET", "alice", "repository:alice/app:pull")]

    @both_programs
    def test_private_without_credentials(self, guarded: Server) -> None:
        error = error_of(f"{guarded.host}/alice/app:v1")
        assert error.kind == "unauthorized" and "docker login" in error.hint

    def test_wrong_password(self, guarded: Server, tmp_path: Path) -> None:
        error = error_of(f"{guarded.host}/alice/app:v1", keychain=keychain(tmp_path, {guarded.host: ("alice", WRONG)}))
        assert error.kind == "unauthorized" and str(tmp_path / "config.json") in error.reason
        assert WRONG not in said(error)

    def test_a_wrong_password_is_shown_once(self, guarded: Server, tokens: TokenServer, tmp_path: Path) -> None:
        """However many images there are: some servers lock an account after a few wrong ones. Then it is checked by a login,
        without a repository; nor does it matter that a second file holds the same one."""
        wanted = [Reference.parse(f"{guarded.host}/alice/app{i}:v1") for i in range(40)]
        secret = {"auths": {guarded.host: {"username": "alice", "password": WRONG}}}
        chain = Chain(keychain(tmp_path, {guarded.host: ("alice", WRONG)}), pull_secrets([("Secret pull", secret)]))
        answers = resolve(wanted, RegistrySettings(), chain)
        assert {answer.kind for answer in answers.values() if isinstance(answer, RegistryError)} == {"unauthorized"}
        shown = [scope for _, user, scope in tokens.requests if user == "alice"]
        assert len(shown) == 2 and shown[0] and not shown[1]

    def test_somebody_else(self, guarded: Server, tokens: TokenServer, tmp_path: Path) -> None:
        error = error_of(
            f"{guarded.host}/alice/app:v1", keychain=keychain(tmp_path, {guarded.host: ("bob", "the pass of bob")})
        )
        assert error.kind == "unauthorized" and "the pass" not in said(error)
        assert len(tokens.requests) <= 2

    def test_the_next_credential_when_the_first_may_not(
        self, guarded: Server, tokens: TokenServer, tmp_path: Path
    ) -> None:
        secret = {"auths": {guarded.host: {"username": "alice", "password": PASSWORD}}}
        bobs = keychain(tmp_path, {guarded.host: ("bob", "the pass of bob")})
        chain = Chain(bobs, pull_secrets([("Secret default/pull", secret)]))
        assert digest_of(f"{guarded.host}/alice/app:v1", keychain=chain)
        assert tokens.requests[-1][1] == "alice"

    @pytest.mark.parametrize("oauth", [True, False])
    def test_identity_token(self, guarded: Server, tokens: TokenServer, tmp_path: Path, oauth: bool) -> None:
        tokens.oauth = oauth
        identity = tokens.login("alice")
        tokens.users["<token>"] = identity
        (tmp_path / "config.json").write_text(json.dumps({"auths": {guarded.host: {"identitytoken": identity}}}))
        chain = default_keychain(RegistrySettings(), {"DOCKER_CONFIG": str(tmp_path), "HOME": "/nonexistent"})
        if oauth:
            assert digest_of(f"{guarded.host}/alice/app:v1", keychain=chain)
            assert tokens.requests == [("POST", "alice", "repository:alice/app:pull")]
        else:  # a token server that knows no OAuth2 is asked by GET
            assert digest_of(f"{guarded.host}/public/app:v1", keychain=chain)
            assert [method for method, _, _ in tokens.requests] == ["POST", "GET"]

    def test_one_token_for_many_tags(self, guarded: Server, tokens: TokenServer) -> None:
        tags = [f"t{i}" for i in range(40)]
        names = ("app", "other")
        for name in names:
            body, kind = _manifest(guarded, f"public/{name}")
            for tag in tags:
                guarded.push_manifest(f"public/{name}", tag, body, kind)

        answers = resolve(
            [Reference.parse(f"{guarded.host}/public/{name}:{tag}") for tag in tags for name in names],
            RegistrySettings(),
        )

        assert not [answer for answer in answers.values() if isinstance(answer, RegistryError)]
        assert Counter(scope for _, _, scope in tokens.requests) == {
            f"repository:public/{name}:pull": 1 for name in names
        }

    def test_a_token_that_expires_is_fetched_anew(self, guarded: Server, tokens: TokenServer) -> None:
        tokens.lifetime = 1
        reference = Reference.parse(f"{guarded.host}/public/app:v1")
        with Session(RegistrySettings()) as session:
            first = session.resolve([reference])[reference]
            time.sleep(1.1)
            second = session.resolve([reference])[reference]
        assert first == second and not isinstance(first, RegistryError)
        assert len(tokens.requests) == 2


def _manifest(server: Server, repository: str) -> tuple[bytes, str]:
    _, headers, body = server.request(
        "GET", f"/v2/{repository}/manifests/v1", headers={"Accept": registry_servers.OCI_MANIFEST}
    )
    return body, headers["Content-Type"]
