"""Nothing secret gets out: by no log, repr, error, traceback with its variables, file or process list."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from secrets import token_hex

import pytest

from tests.support import registry_servers
from tests.support.hostile import Request, response, serve
from tests.support.registry_servers import basic
from tests.support.token_server import ISSUER, SERVICE, TokenServer
from tests.support.token_server import serve as serving

PASSWORD, WRONG = f"s3cr3t:{token_hex(8)}", f"wr0ng-{token_hex(8)}"
"""Of this run alone, for it looks at all processes."""
PROGRAM = """
import gc, logging, os, sys, traceback
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
from helmpin.image.reference import Reference
from helmpin.registry import RegistryError, RegistrySettings, keychain
from helmpin.registry.session import Session

settings = RegistrySettings(timeout=5)
with Session(settings, keychain.default_keychain(settings)) as session:
    for name in sys.argv[1:]:
        reference = Reference.parse(name)
        answer = session.resolve([reference])[reference]
        print("ANSWER", name, repr(answer), str(answer), vars(answer) if isinstance(answer, RegistryError) else "")
        try:
            if isinstance(answer, RegistryError):
                raise answer
            raise ValueError("a bug")
        except Exception as error:
            print("".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()))
    for thing in gc.get_objects():
        if type(thing).__module__.startswith("helmpin"):
            print("REPR", repr(thing), str(thing))
print("PROCESSES", os.popen("ps axeww").read())
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str], Path]:
    """(all that a run with every kind of credential printed, its secrets, the folder it could write to)."""
    folder = tmp_path_factory.mktemp("secrets")
    tokens = TokenServer(folder, {"alice": PASSWORD})

    def echo(request: Request, _: object) -> bytes:
        given = request.headers.get("authorization")
        if not given:
            return response("401 No", WWW_Authenticate='Basic realm="x"')
        body = json.dumps({"errors": [{"code": "DENIED", "message": f"you sent {given} {PASSWORD}"}]}).encode()
        return response("403 No", body, request.method, X_Echo=given, Warning=given)

    with serving(tokens), serve(echo) as hostile:
        auth = {
            "token": {
                "realm": tokens.realm,
                "service": SERVICE,
                "issuer": ISSUER,
                "rootcertbundle": str(tokens.certificate),
            }
        }
        filling = {"Authorization": f"Bearer {tokens.token('admin', ['repository:alice/app:pull,push'])}"}
        with (
            registry_servers.distribution(folder / "a", auth=auth, headers=filling) as guarded,
            registry_servers.distribution(folder / "b", auth=auth) as by_identity,
            registry_servers.distribution(folder / "c", auth=auth) as refused,
        ):
            guarded.push_image("alice/app", "v1")
            issued: list[str] = []
            sign = tokens.token
            tokens.token = lambda *given: issued.append(sign(*given)) or issued[-1]  # type: ignore[method-assign,func-returns-value]
            identity = tokens.login("alice")
            logins = {
                guarded.host: ("alice", PASSWORD),
                refused.host: ("alice", WRONG),
                hostile.host: ("alice", PASSWORD),
            }
            config = json.loads(registry_servers.docker_config(logins))
            config["auths"][by_identity.host] = {"identitytoken": identity}
            (folder / "config.json").write_text(json.dumps(config))
            (folder / "tmp").mkdir()
            environ = {
                "DOCKER_CONFIG": str(folder),
                "HOME": str(folder),
                "TMPDIR": str(folder / "tmp"),
                "HELM_DEBUG": "1",
            }
            names = [f"{server.host}/alice/app:v1" for server in (guarded, by_identity, refused, hostile)]
            command = [sys.executable, "-X", "dev", "-c", PROGRAM, *names]
            environ |= {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd())}
            run = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    secrets = [PASSWORD, WRONG, identity, basic("alice", PASSWORD)[6:], basic("alice", WRONG)[6:], *issued]
    assert len(issued) >= 2, "tokens were fetched"
    return run.stdout + run.stderr, secrets, folder / "tmp"


def test_all_that_is_printed(told: tuple[str, list[str], Path]) -> None:
    text, secrets, _ = told
    for kind in ("resolved", "unauthorized", "forbidden"):
        assert kind in text.lower(), "the run met what it was to meet"
    assert "REPR Credential" in text and "Token" in text and "PROCESSES" in text and "DEBUG" in text
    assert [secret for secret in secrets if secret in text] == []


def test_no_file_is_left(told: tuple[str, list[str], Path]) -> None:
    assert list(told[2].rglob("*")) == []
