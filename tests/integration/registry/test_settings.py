"""Client certificates and a login from flags, environment and file: real helms run helm-pin against real registries."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from tests.support import registry_servers
from tests.support.registry_servers import PASSWORD, USER, Server
from tests.support.tls import Authority
from tests.support.workstation import Finished, Workstation, whichever_helm

WRONG = f"wr0ng-{token_hex(8)}"
"""Of this run alone, for a test looks at all processes."""
STDIN = "--registry-password-stdin"
REFUSED = "user failed to authenticate"
"""What the registry's log says of a wrong password."""
HELPER = """#!{python}
import os, subprocess, sys
sys.stdin.read()
with open({seen!r}, "w") as seen:
    subprocess.run(["ps", {what!r}], stdout=seen)
    print("inherited", dict(os.environ), file=seen)
print("credentials not found in native keychain")
sys.exit(1)
"""


def chart(folder: Path, image: str) -> Path:
    """A chart of one pod."""
    (folder / "chart" / "templates").mkdir(parents=True)
    (folder / "chart" / "Chart.yaml").write_text("apiVersion: v2\nname: app\nversion: 1.0.0\n")
    (folder / "chart" / "templates" / "pod.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: app}\nspec:\n"
        f"  containers:\n    - name: app\n      image: {image}\n"
    )
    return folder / "chart"


def plan(machine: Workstation, folder: Path, *args: object, stdin: str | None = None, **environ: str) -> Finished:
    """`helm pin plan app ./chart -o json ARGS`, in that folder."""
    return pin(machine, folder, "plan", "app", "./chart", "-o", "json", *args, stdin=stdin, **environ)


def pin(machine: Workstation, folder: Path, *args: object, stdin: str | None = None, **environ: str) -> Finished:
    """`helm pin ARGS`, in that folder; what is piped in goes through helm."""
    machine = machine.with_env(**environ)
    if stdin is None:
        return machine.pin(*args, cwd=folder)
    done = subprocess.run(
        [str(part) for part in (machine.helm_binary, "pin", *args)],
        env=machine.env,
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def digests(done: Finished) -> list[str]:
    """The digests that a plan found."""
    assert done.status == 0, done.stderr
    return [image["digest"] for image in json.loads(done.stdout)["images"]]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def strict(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A registry that lets in only those with a certificate of the authority, and the digest of its team/app:v1."""
    folder = tmp_path_factory.mktemp("strict")
    with registry_servers.distribution(folder) as plain:
        digest, _ = plain.push_image("team/app", "v1")
    cert, key = authority.sign("strict", "127.0.0.1")
    tls = {"certificate": str(cert), "key": str(key), "clientcas": [str(authority.file)]}
    with registry_servers.distribution(folder, tls=tls) as server:
        yield server, digest


@whichever_helm
class TestClientCertificate:
    @pytest.mark.parametrize("source", ["flags", "environment"])
    def test_shown(
        self, workstation: Workstation, strict: tuple[Server, str], authority: Authority, tmp_path: Path, source: str
    ) -> None:
        server, digest = strict
        chart(tmp_path, f"{server.host}/team/app:v1")
        cert, key = authority.sign("client")
        settings = {"registry-ca-file": authority.file, "registry-client-cert": cert, "registry-client-key": key}
        flags: list[object] = []
        environ = {}
        if source == "flags":
            flags = [f"--{name}={value}" for name, value in settings.items()]
        else:
            environ = {f"HELM_PIN_{name.upper().replace('-', '_')}": str(value) for name, value in settings.items()}
        assert digests(plan(workstation, tmp_path, *flags, **environ)) == [digest]

    def test_missing(
        self, workstation: Workstation, strict: tuple[Server, str], authority: Authority, tmp_path: Path
    ) -> None:
        server, _ = strict
        chart(tmp_path, f"{server.host}/team/app:v1")
        done = plan(workstation, tmp_path, "--registry-ca-file", authority.file)
        assert done.status == 5 and "--registry-client-cert" in done.stderr, done.stderr

    def test_the_key_of_another(
        self, workstation: Workstation, strict: tuple[Server, str], authority: Authority, tmp_path: Path
    ) -> None:
        server, _ = strict
        chart(tmp_path, f"{server.host}/team/app:v1")
        cert, _ = authority.sign("client")
        _, key = authority.sign("another")
        (named := tmp_path / ".helm-pin.yaml").write_text(f"registry-client-key: {key}\n")
        environ = {"HELM_PIN_REGISTRY_CLIENT_CERT": str(cert), "HELM_PIN_REGISTRY_CA_FILE": str(authority.file)}
        environ["HELM_PIN_CONFIG"] = str(named)
        done = plan(workstation, tmp_path, **environ)
        assert done.status == 2 and "the key does not match the certificate" in done.stderr, done.stderr
        assert f"HELM_PIN_REGISTRY_CLIENT_CERT: {cert}" in done.stderr
        assert f".helm-pin.yaml, key registry-client-key: {key}" in done.stderr


class TestLogin:
    @pytest.fixture
    def private(self, private_registry: Server, unique: str, tmp_path: Path) -> tuple[Server, str]:
        """A registry that wants a password, and the digest of the chart's image there."""
        digest, _ = private_registry.push_image(unique, "v1")
        chart(tmp_path, f"{private_registry.host}/{unique}:v1")
        return private_registry, digest

    @whichever_helm
    def test_by_environment(self, workstation: Workstation, private: tuple[Server, str], tmp_path: Path) -> None:
        server, digest = private
        login = {"HELM_PIN_REGISTRY_USERNAME": f"{server.host}={USER}", "HELM_PIN_REGISTRY_PASSWORD": PASSWORD}
        assert digests(plan(workstation, tmp_path, **login)) == [digest]

    def test_by_flag_and_standard_input(
        self, workstation: Workstation, private: tuple[Server, str], tmp_path: Path
    ) -> None:
        server, digest = private
        flags = ["--registry-username", f"{server.host}={USER}", "--registry-password-stdin"]
        assert digests(plan(workstation, tmp_path, *flags, stdin=f"{PASSWORD}\n")) == [digest]

    @whichever_helm
    def test_it_goes_before_every_other(
        self, workstation: Workstation, private: tuple[Server, str], tmp_path: Path
    ) -> None:
        server, digest = private
        flags = ["--registry-username", f"{server.host}={USER}"]
        other = registry_servers.docker_config({server.host: (USER, WRONG)})
        assert server.log
        refused = server.log.read_text().count(REFUSED)
        done = plan(workstation, tmp_path, *flags, HELM_PIN_REGISTRY_PASSWORD=PASSWORD, DOCKER_AUTH_CONFIG=other)
        assert digests(done) == [digest]
        assert server.log.read_text().count(REFUSED) == refused

    @whichever_helm
    def test_for_its_host_alone(self, workstation: Workstation, private: tuple[Server, str], tmp_path: Path) -> None:
        server, _ = private
        assert server.log
        before = len(server.log.read_text())
        login = {"HELM_PIN_REGISTRY_USERNAME": f"registry.example={USER}", "HELM_PIN_REGISTRY_PASSWORD": PASSWORD}
        done = plan(workstation, tmp_path, **login)
        assert (
            done.status == 5 and "no credentials found" in done.stderr and f"docker login {server.host}" in done.stderr
        )
        assert REFUSED not in server.log.read_text()[before:], "no password arrived"

    @whichever_helm
    @pytest.mark.parametrize(
        ("way", "what"), [("--registry-password-stdin", "axeww"), ("HELM_PIN_REGISTRY_PASSWORD", "axww")]
    )
    def test_no_secret_gets_out(
        self, workstation: Workstation, private: tuple[Server, str], tmp_path: Path, way: str, what: str
    ) -> None:
        """Refused, with --debug; a program that helm-pin starts looks at the processes, and at what it inherited. (The
        variable stands in the environment of the process that it was given to, which `ps axe` shows its owner.)"""
        server, _ = private
        helper, seen = tmp_path / "bin" / "docker-credential-look", tmp_path / "seen"
        helper.parent.mkdir()
        helper.write_text(HELPER.format(python=sys.executable, seen=str(seen), what=what))
        helper.chmod(0o755)
        environ = {
            "PATH": f"{helper.parent}:{workstation.env['PATH']}",
            "DOCKER_AUTH_CONFIG": json.dumps({"credsStore": "look"}),
            "HELM_DEBUG": "1",
        }
        flags = ["--debug", "--registry-username", f"{server.host}={USER}"]
        if way.startswith("--"):
            done = plan(workstation, tmp_path, *flags, way, stdin=WRONG, **environ)
        else:
            done = plan(workstation, tmp_path, *flags, **environ, **{way: WRONG})
        assert server.log and REFUSED in server.log.read_text()
        assert done.status == 5 and "the credentials from --registry-username were rejected" in done.stderr, done.stderr
        assert "--registry-username" in seen.read_text() and "inherited" in seen.read_text()
        for text in (done.stdout, done.stderr, seen.read_text()):
            assert WRONG not in text and registry_servers.basic(USER, WRONG)[6:] not in text

    @whichever_helm
    def test_no_program_inherits_the_password(
        self, workstation: Workstation, private: tuple[Server, str], tmp_path: Path
    ) -> None:
        """Not even a helm that is new and is asked for its flags first."""
        server, _ = private
        helm, seen = tmp_path / "helm", tmp_path / "seen"
        helm.write_text(f'#!/bin/sh\nenv >> {seen}\nexec {workstation.helm_binary} "$@"\n')
        helm.chmod(0o755)
        login = {"HELM_PIN_REGISTRY_USERNAME": f"{server.host}={USER}", "HELM_PIN_REGISTRY_PASSWORD": PASSWORD}
        machine = workstation.with_env(HELM_BIN=str(helm), **login)
        done = machine.forked("plan", "app", "./chart", "--no-cluster", cwd=tmp_path)
        assert done.status == 0, done.stderr
        assert "HELM_BIN=" in seen.read_text() and PASSWORD not in seen.read_text()

    @whichever_helm
    def test_for_a_deployed_release(self, in_cluster: Workstation, private: tuple[Server, str], tmp_path: Path) -> None:
        """An upgrade whose password is piped in, and what asks the registry about it later."""
        server, digest = private
        login = {"HELM_PIN_REGISTRY_USERNAME": f"{server.host}={USER}"}
        done = pin(in_cluster, tmp_path, "upgrade", "--install", "app", "./chart", STDIN, stdin=PASSWORD, **login)
        assert done.status == 0, done.stderr
        stored = in_cluster.helm("get", "all", "app")
        assert digest in stored.partition("MANIFEST:\n")[2]
        assert PASSWORD not in stored + done.stdout + done.stderr

        in_cluster.helm("upgrade", "app", tmp_path / "chart")
        stranger = pin(in_cluster, tmp_path, "rollback", "app", "--verify")
        assert stranger.status == 5 and "no credentials found" in stranger.stderr, stranger.stderr
        back = pin(in_cluster, tmp_path, "rollback", "app", "--verify", STDIN, stdin=f"{PASSWORD}\n", **login)
        assert back.status == 0, back.stderr

    @whichever_helm
    @pytest.mark.parametrize("values", [["--values", "-"], ["-f", "a.yaml,-"], ["--set-file", "a=-"]])
    def test_standard_input_is_read_once(
        self, workstation: Workstation, private: tuple[Server, str], tmp_path: Path, values: list[str]
    ) -> None:
        server, _ = private
        flags = ["--registry-username", f"{server.host}={USER}", "--registry-password-stdin", *values]
        done = plan(workstation, tmp_path, *flags)  # before it reads it
        assert done.status == 2 and "cannot both read standard input" in done.stderr
