"""Credential helpers: real programs on PATH, good and bad ones, in front of a registry that wants a password."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from helmpin.image.reference import Reference
from helmpin.registry import RegistryError, RegistrySettings, Resolved, resolve
from helmpin.registry.keychain import default_keychain
from tests.support import registry_servers
from tests.support.asking import digest_of, error_of, keychain, said
from tests.support.hostile import Hostile, Request, response, serve
from tests.support.registry_servers import HTPASSWD, OCI_INDEX, PASSWORD, USER, Server, basic, docker_config

PROGRAM = """#!{python}
import json, sys, time
server = sys.stdin.read().strip()
with open({log!r}, "a") as log:
    log.write(sys.argv[1] + " " + server + "\\n")
{body}
"""
RIGHT = f'print(json.dumps({{"ServerURL": server, "Username": {USER!r}, "Secret": {PASSWORD!r}}}))'
Helper = Callable[[str], Path]
DIGEST = "sha256:" + "0a" * 32


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """team/app and team/other, v1, for USER with PASSWORD only."""
    folder = tmp_path_factory.mktemp("protected")
    (folder / "htpasswd").write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    with registry_servers.distribution(folder, auth=auth, headers={"Authorization": basic(USER, PASSWORD)}) as served:
        served.push_image("team/app", "v1")
        served.push_image("team/other", "v1")
        yield served


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Helper:
    """Makes docker-credential-test from the lines that answer; returns the file that lists its calls."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")

    def write(body: str) -> Path:
        program, log = tmp_path / "bin" / "docker-credential-test", tmp_path / "calls"
        program.write_text(PROGRAM.format(python=sys.executable, body=body, log=str(log)))
        program.chmod(0o755)
        return log

    return write


@pytest.mark.parametrize("key", ["credHelpers", "credsStore"])
def test_asked_once_for_all(protected: Server, tmp_path: Path, helper: Helper, key: str) -> None:
    calls = helper(RIGHT)
    chain = keychain(tmp_path, **{key: {protected.host: "test"} if key == "credHelpers" else "test"})

    answers = resolve(
        [Reference.parse(f"{protected.host}/team/{name}:v1") for name in ("app", "other")], RegistrySettings(), chain
    )

    assert not [answer for answer in answers.values() if isinstance(answer, RegistryError)]
    assert calls.read_text() == f"get {protected.host}\n"


def test_not_asked_without_need(tmp_path: Path, helper: Helper) -> None:
    calls = helper(RIGHT)
    with registry_servers.crane_registry(tmp_path / "open") as served:
        served.push_image("team/app", "v1")
        assert digest_of(f"{served.host}/team/app:v1", keychain=keychain(tmp_path, credsStore="test"))
    assert not calls.exists()


def test_one_that_knows_none(protected: Server, tmp_path: Path, helper: Helper) -> None:
    helper('print("credentials not found in native keychain"); sys.exit(1)')
    error = error_of(f"{protected.host}/team/app:v1", keychain=keychain(tmp_path, credsStore="test"))
    assert error.kind == "unauthorized" and "no credentials found" in error.reason


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('print(\'{"Username": "alice", "Secret": "s3cr3t-half\')', "not a credential in JSON"),
        ('print(\'{"Username": "alice", "Secret": 7}\')', "not a credential in JSON"),
        ("print('[' * 50000)", "not a credential in JSON"),
        ("print('the pin is s3cr3t'); print('s3cr3t', file=sys.stderr); sys.exit(3)", "status 3"),
        ("sys.stdout.buffer.write(b'\\xff\\xfe')", "not a credential in JSON"),
    ],
    ids=["cut off", "a number", "deep", "fails", "binary"],
)
def test_junk(protected: Server, tmp_path: Path, helper: Helper, body: str, words: str) -> None:
    helper(body)
    error = error_of(f"{protected.host}/team/app:v1", keychain=keychain(tmp_path, credsStore="test"))
    assert error.kind == "unauthorized" and "docker-credential-test" in error.reason and words in error.reason
    assert "docker-credential-test" in error.hint
    assert "s3cr3t" not in said(error)


HANGS = "import subprocess; subprocess.run(['sleep', '{seconds}'])"
SECONDS = f"4711.{os.getpid()}"
"""That nobody else sleeps."""


def _sleeping() -> bool:
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return f"sleep {SECONDS}" in running


def test_one_that_hangs(protected: Server, tmp_path: Path, helper: Helper) -> None:
    helper(HANGS.format(seconds=SECONDS))
    settings = RegistrySettings(timeout=1)
    (tmp_path / "config.json").write_text('{"credsStore": "test"}')
    begun = time.monotonic()

    chain = default_keychain(settings, {"DOCKER_CONFIG": str(tmp_path), "HOME": "/nonexistent"})
    error = error_of(f"{protected.host}/team/app:v1", settings, chain)

    assert time.monotonic() - begun < 1
    assert (
        "docker-credential-test" in error.reason and "0.5 s" in error.reason and "docker-credential-test" in error.hint
    )
    assert not _sleeping()


ASK = """
import sys
from helmpin.image.reference import Reference
from helmpin.registry import RegistrySettings, resolve
from helmpin.registry.keychain import ConfigFile
print(resolve([Reference.parse(sys.argv[1])], RegistrySettings(timeout=1), ConfigFile("x", '{"credsStore": "test"}')))
"""


def test_one_that_hangs_does_not_outlive_helm_pin(protected: Server, helper: Helper) -> None:
    """Here the time for all is over before the helper's."""
    helper(HANGS.format(seconds=SECONDS))
    command = [sys.executable, "-c", ASK, f"{protected.host}/team/app:v1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env={**os.environ, "PYTHONPATH": "."})
    assert "no response for team/app within 1 s" in done.stdout, done.stderr
    assert not _sleeping()


class TestPublicImages:
    """A place for credentials that is of no use stops nobody who needs none."""

    @pytest.fixture
    def hub(self) -> Iterator[Hostile]:
        """A registry that gives tokens to all, and shows strangers public/app alone."""

        def answer(request: Request, _: object) -> bytes:
            if request.target.startswith("/token"):
                known = request.headers.get("authorization") == basic(USER, PASSWORD)
                return response("200 OK", b'{"token": "%s"}' % (b"known" if known else b"stranger"))
            shown = request.headers.get("authorization", "")
            if shown == "Bearer known" or (shown and "/public/" in request.target):
                return response(method=request.method, Content_Type=OCI_INDEX, Docker_Content_Digest=DIGEST)
            if shown and "/hidden/" in request.target:
                return response("404 Not Found", method=request.method)
            challenge = f'Bearer realm="http://{server.host}/token",service="hub"'
            return response("401 No", method=request.method, WWW_Authenticate=challenge)

        with serve(answer) as server:
            yield server

    @pytest.mark.parametrize(
        ("key", "body", "words"),
        [
            ("credsStore", None, "not found on PATH"),
            ("credHelpers", None, "not found on PATH"),
            ("credsStore", "sys.exit(1)", "status 1"),
            ("credsStore", "print('junk')", "not a credential in JSON"),
            ("credsStore", "sys.stdout.buffer.write(bytes(1000000))", "more than"),
            ("credsStore", "time.sleep(30)", "no response within 1 s"),
        ],
        ids=["missing", "missing for this host", "fails", "junk", "endless", "hangs"],
    )
    def test_a_helper(
        self, hub: Hostile, tmp_path: Path, helper: Helper, key: str, body: str | None, words: str
    ) -> None:
        if body is not None:
            helper(body)
        name = "test" if body else "desktop.exe"
        config = {key: name if key == "credsStore" else {hub.host: name}, "auths": {hub.host: {}}}
        (tmp_path / "config.json").write_text(json.dumps(config))
        settings = RegistrySettings(timeout=2 if "no response" in words else 30)
        chain = default_keychain(settings, {"DOCKER_CONFIG": str(tmp_path), "HOME": "/nonexistent"})
        public, private, hidden = (
            Reference.parse(f"{hub.host}/{path}/app:v1") for path in ("public", "private", "hidden")
        )

        answers = resolve([public, private, hidden], settings, chain)

        assert answers[public] == Resolved(DIGEST, OCI_INDEX)
        for reference, status in ((private, 401), (hidden, 404)):
            error = answers[reference]
            assert isinstance(error, RegistryError)
            assert (error.kind, error.status) == ("unauthorized", status)
            assert f"docker-credential-{name}" in error.reason and words in error.reason
            assert f"HTTP {status}" in error.reason and f"docker-credential-{name}" in error.hint

    @pytest.mark.parametrize("text", ["{", '{"auths": {"x": {"auth": "s3cr3t"}}}'])
    def test_a_file_that_cannot_be_read(self, hub: Hostile, tmp_path: Path, text: str) -> None:
        (tmp_path / "config.json").write_text(text)
        chain = default_keychain(RegistrySettings(), {"DOCKER_CONFIG": str(tmp_path), "HOME": "/nonexistent"})
        assert digest_of(f"{hub.host}/public/app:v1", keychain=chain) == DIGEST
        error = error_of(f"{hub.host}/private/app:v1", keychain=chain)
        assert error.kind == "unauthorized" and str(tmp_path / "config.json") in error.reason
        assert str(tmp_path / "config.json") in error.hint and "s3cr3t" not in said(error)

    def test_the_next_place_is_asked(self, hub: Hostile, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text('{"credsStore": "absent"}')
        (tmp_path / "auth.json").write_text(docker_config({hub.host: (USER, PASSWORD)}))
        environ = {
            "DOCKER_CONFIG": str(tmp_path),
            "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json"),
            "HOME": "/nonexistent",
        }
        chain = default_keychain(RegistrySettings(), environ)
        assert digest_of(f"{hub.host}/private/app:v1", keychain=chain) == DIGEST


def test_its_secret_is_in_no_process_list(tmp_path: Path, helper: Helper) -> None:
    """Of any process, with its environment; the secret is this test's alone."""
    secret, seen = token_hex(16), tmp_path / "processes"
    look = f"import subprocess\nsubprocess.run(['ps', 'axeww'], stdout=open({str(seen)!r}, 'w'))"
    helper(RIGHT.replace(repr(PASSWORD), repr(secret[:16]) + " + " + repr(secret[16:])) + "\n" + look)

    def answer(request: Request, _: object) -> bytes:
        if request.headers.get("authorization") != basic(USER, secret):
            return response("401 No", WWW_Authenticate='Basic realm="x"')
        return response(method=request.method, Content_Type=OCI_INDEX, Docker_Content_Digest=DIGEST)

    with serve(answer) as server:
        assert digest_of(f"{server.host}/team/app:v1", keychain=keychain(tmp_path, credsStore="test")) == DIGEST
    assert "docker-credential-test get" in seen.read_text() and secret not in seen.read_text()
