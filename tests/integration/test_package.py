"""The packages that scripts/package makes, signed, and installed by real helms; and helm-pin as a console script."""

from __future__ import annotations

import functools
import http.server
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from helmpin import __version__
from scripts.devtools.binaries import binary
from tests.integration.test_install import run, succeed
from tests.integration.test_lint import POD, make
from tests.support.registry_servers import Server

ROOT = Path(__file__).parents[2]
NAME = f"pin-{__version__}.tgz"
NO_INDEX = {"PIP_INDEX_URL": "http://127.0.0.1:1/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0"}


class Packages(NamedTuple):
    """What was made, and the keyring that verifies it."""

    dist: Path
    keyring: Path
    other_keyring: Path


def gpg(home: Path, *words: str) -> bytes:
    """A gpg with a home of its own."""
    done = subprocess.run(["gpg", "--batch", *words], env={**os.environ, "GNUPGHOME": str(home)}, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def key(folder: Path, name: str) -> tuple[Path, Path]:
    """The files of a new key: secret, public. The agent that gpg starts is ended."""
    home = folder / "gnupg"
    home.mkdir(parents=True, mode=0o700)
    try:
        gpg(
            home, "--passphrase", "", "--quick-generate-key", f"{name} <{name}@example.com>", "rsa2048", "sign", "never"
        )
        (folder / "secret.gpg").write_bytes(gpg(home, "--export-secret-keys"))
        (folder / "public.gpg").write_bytes(gpg(home, "--export"))
    finally:
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], env={**os.environ, "GNUPGHOME": str(home)})
    return folder / "secret.gpg", folder / "public.gpg"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """The plugin's folder and archive, and the variant with wheels for this Python and machine."""
    folder = tmp_path_factory.mktemp("p")  # gpg's socket has a short name
    secret, public = key(folder / "a", "maker")
    _, other = key(folder / "b", "somebody")
    system = {"Linux": "linux", "Darwin": "macos"}[platform.system()]
    here = [f"--python=3.{sys.version_info.minor}", f"--platform={system}-{platform.machine()}"]
    signing = ["--key", "maker", "--keyring", secret]
    command = [sys.executable, ROOT / "scripts/package", "--helm", binary("helm4"), "--offline", *here, *signing]
    succeed([*command, "--to", folder / "dist"])
    return Packages(folder / "dist", public, other)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment without anything of helm's, and without a package index."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HELM_", "PYTHON", "PIP_", "VIRTUAL_ENV"))
    }
    homes = {f"HELM_{name}_HOME": str(tmp_path / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
    return {**clean, **homes, **NO_INDEX, "HELM_PIN_PYTHON": sys.executable, "HOME": str(tmp_path)}


class Files(http.server.SimpleHTTPRequestHandler):
    """Serves archives by the content type that Helm 3 wants of them."""

    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".tgz": "application/gzip"}  # noqa: RUF012

    def log_message(self, *_: object) -> None:
        """Nothing to say."""


@pytest.fixture
def served(packages: Packages) -> Iterator[str]:
    """Where the packages can be fetched over HTTP."""
    handler = functools.partial(Files, directory=str(packages.dist))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def works(helm: Path, env: dict[str, str], folder: Path) -> None:
    """The plugin is installed, and lints a chart."""
    assert succeed([helm, "pin", "--version"], env=env, cwd=folder) == f"helm-pin {__version__}\n"
    make(folder / "web", POD % ("web", "team/web:latest"))
    done = run([helm, "pin", "lint", "web"], env=env, cwd=folder)
    assert (done.returncode, done.stdout) == (
        3,
        "web/templates/0.yaml:4: Pod/web: team/web:latest: tag latest moves by design\n",
    )
    assert "upgrade" in succeed([helm, "__complete", "pin", "up"], env=env)


def test_nothing_but_the_plugin(packages: Packages) -> None:
    parts = {"plugin.yaml", "completion.yaml", "plugin.complete", "install-binary.sh", "bin", "helmpin"}
    parts |= {"requirements.txt", "README.md", "LICENSE"}
    assert {path.name for path in (packages.dist / "pin").iterdir()} == parts
    assert {path.name for path in (packages.dist / "offline/pin").iterdir()} == {*parts, "wheels"}
    assert not list(packages.dist.rglob("*.pyc"))
    tracked = succeed(["git", "-C", ROOT, "ls-files", "helmpin"]).split()
    packed = {str(path.relative_to(packages.dist / "pin")) for path in (packages.dist / "pin/helmpin").rglob("*")}
    assert set(tracked) <= packed


@pytest.mark.parametrize("name", ["helm-old", "helm3", "helm4"])
def test_the_folder(name: str, packages: Packages, env: dict[str, str], tmp_path: Path) -> None:
    plugin = shutil.copytree(packages.dist / "offline/pin", tmp_path / "plugin")
    succeed([binary(name), "plugin", "install", plugin], env=env)
    works(binary(name), env, tmp_path)


@pytest.mark.parametrize("name", ["helm-old", "helm3"])
def test_helm_3_installs_the_archive_over_http(
    name: str, packages: Packages, served: str, env: dict[str, str], tmp_path: Path
) -> None:
    assert packages.dist.exists()
    succeed([binary(name), "plugin", "install", f"{served}/offline/helm3/{NAME}"], env=env)
    works(binary(name), env, tmp_path)


@pytest.mark.parametrize("source", ["file", "http"])
def test_helm_4_verifies_the_archive(
    source: str, packages: Packages, served: str, env: dict[str, str], tmp_path: Path
) -> None:
    archive = packages.dist / "offline" / NAME if source == "file" else f"{served}/offline/{NAME}"
    done = run([binary("helm4"), "plugin", "install", archive, "--keyring", packages.keyring], env=env)
    assert done.returncode == 0, done.stderr
    assert "Plugin Hash Verified: sha256:" in done.stdout + done.stderr
    works(binary("helm4"), env, tmp_path)


@pytest.mark.parametrize("wrong", ["another key", "another byte", "no signature"])
def test_helm_4_refuses_what_it_cannot_verify(
    wrong: str, packages: Packages, env: dict[str, str], tmp_path: Path
) -> None:
    for name in (NAME, f"{NAME}.prov"):
        shutil.copy(packages.dist / name, tmp_path)
    if wrong == "another byte":
        with (tmp_path / NAME).open("ab") as file:
            file.write(b"\0")
    elif wrong == "no signature":
        (tmp_path / f"{NAME}.prov").unlink()
    keyring = packages.other_keyring if wrong == "another key" else packages.keyring
    done = run([binary("helm4"), "plugin", "install", tmp_path / NAME, "--keyring", keyring], env=env)
    assert done.returncode == 1
    assert "pin" not in succeed([binary("helm4"), "plugin", "list"], env=env)


def test_helm_4_installs_from_a_registry(
    packages: Packages, registry: Server, unique: str, env: dict[str, str], tmp_path: Path
) -> None:
    """The artifact as helm's documentation describes it (pkg/registry/plugin.go): archive and provenance are layers with titles."""
    repository = f"{unique}/pin"

    def layer(path: Path) -> dict[str, object]:
        content = path.read_bytes()
        return {
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "size": len(content),
            "digest": registry.push_blob(repository, content),
            "annotations": {"org.opencontainers.image.title": path.name},
        }

    kind = "application/vnd.oci.image.manifest.v1+json"
    archive = packages.dist / "offline" / NAME
    manifest = {
        "schemaVersion": 2,
        "mediaType": kind,
        "artifactType": "application/vnd.helm.plugin.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "size": 2,
            "digest": registry.push_blob(repository, b"{}"),
        },
        "layers": [layer(archive), layer(archive.with_name(f"{NAME}.prov"))],
    }
    registry.push_manifest(repository, __version__, manifest, kind)
    source = f"oci://{registry.host}/{repository}:{__version__}"
    command = [binary("helm4"), "plugin", "install", source, "--plain-http", "--keyring", packages.keyring]
    done = run(command, env=env)
    assert done.returncode == 0, done.stderr
    assert "Plugin Hash Verified: sha256:" in done.stdout + done.stderr
    works(binary("helm4"), env, tmp_path)


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`helm-pin` as pip installs it from the checkout into an environment of its own, as pipx and pre-commit do."""
    folder = tmp_path_factory.mktemp("console")
    succeed([sys.executable, "-m", "venv", folder / "venv"])
    source = folder / "source"  # building leaves things behind
    shutil.copytree(ROOT / "helmpin", source / "helmpin", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    succeed([folder / "venv/bin/python", "-m", "pip", "install", "--quiet", source])
    return folder / "venv/bin/helm-pin"


@pytest.mark.parametrize("name", ["helm3", "helm4"])
def test_the_console_script(name: str, console: Path, env: dict[str, str], tmp_path: Path) -> None:
    env["HELM_BIN"] = str(binary(name))
    assert succeed([console, "--version"], env=env, cwd=tmp_path) == f"helm-pin {__version__}\n"
    chart = make(tmp_path / "charts/web", POD % ("web", "team/web:{{ .Values.tag }}"), values="tag: latest\n")
    inner = make(chart / "charts/db", POD % ("db", "team/db:1.2.3"))
    # pre-commit names the files that have changed
    files = [chart / "values.yaml", inner / "values.yaml", inner / "templates/0.yaml"]
    done = run([console, "lint", *files, "-o", "json"], env=env, cwd=tmp_path)
    assert done.returncode == 3 and [each["line"] for each in json.loads(done.stdout)] == [1]
    (tmp_path / "values.yaml").touch()
    assert run([console, "lint", "values.yaml"], env=env, cwd=tmp_path).returncode == 0
    rendered = succeed([console, "-n", "shop", "template", "rel", inner, "--allow-unpinned", "*"], env=env)
    assert "team/db:1.2.3" in rendered


def test_the_console_script_takes_the_namespace_of_the_context(
    console: Path, env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "kubeconfig").write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "contexts: [{name: c, context: {cluster: c, namespace: shop}}]\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n"
    )
    make(tmp_path / "web", POD % ("web", f"team/web@sha256:{'a' * 64}"))
    env |= {"HELM_BIN": str(binary("helm4")), "KUBECONFIG": str(tmp_path / "kubeconfig")}
    plan = ["plan", "rel", tmp_path / "web", "-o", "json"]
    assert json.loads(succeed([console, *plan], env=env))["namespace"] == "shop"
    assert json.loads(succeed([console, "--namespace=other", *plan], env=env))["namespace"] == "other"
