"""What scripts/package makes: always the same bytes, their bill of materials and signature, installed by real helms.

And helm-pin as a console script.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urljoin

import jsonschema
import pytest
import urllib3
from referencing import Registry, Resource

from helmpin import __version__
from scripts.devtools.archive import PackageError, commit_time, committed, provenance
from scripts.devtools.binaries import binary
from tests.integration import test_install
from tests.integration.test_install import run, succeed
from tests.integration.test_lint import POD, make
from tests.support.documents import blocks
from tests.support.registry_servers import Server

ROOT = Path(__file__).parents[2]
NAME = f"pin-{__version__}.tgz"
NO_INDEX = {"PIP_INDEX_URL": "http://127.0.0.1:1/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0"}


PARTS = ("plugin.yaml", "completion.yaml", "plugin.complete", "install-binary.sh", "bin", "helmpin")
PARTS += ("requirements.txt", "README.md", "LICENSE", "docs", "deploy", "SECURITY.md", "CONTRIBUTING.md")
ARCHIVES = (NAME, f"helm3/{NAME}", f"offline/{NAME}", f"offline/helm3/{NAME}")
SYSTEM = {"Linux": "linux", "Darwin": "macos"}[platform.system()]
HERE = (f"--python=3.{sys.version_info.minor}", f"--platform={SYSTEM}-{platform.machine()}")


class Packages(NamedTuple):
    """What was made, from which repository, and the keyrings: the one that verifies it, and another."""

    dist: Path
    repository: Path
    keyring: Path
    other_keyring: Path


@contextmanager
def key(home: Path, name: str) -> Iterator[tuple[Path, Path]]:
    """A home of gpg's with a new key, and the file of the public key. The agent that gpg starts is ended."""
    home.mkdir(parents=True, mode=0o700)
    env = {**os.environ, "GNUPGHOME": str(home)}
    new = ["--passphrase", "", "--quick-generate-key", f"{name} <{name}@example.com>", "rsa2048", "sign", "never"]
    try:
        succeed(["gpg", "--batch", *new], env=env)
        succeed(["gpg", "--batch", "--output", home / "public.gpg", "--export"], env=env)
        yield home, home / "public.gpg"
    finally:
        succeed(["gpgconf", "--kill", "gpg-agent"], env=env)


def commit(repository: Path) -> None:
    """Commit what the folder holds, as it would be on every machine."""
    who = {f"GIT_{role}_{field}": "a@example.com" for role in ("AUTHOR", "COMMITTER") for field in ("NAME", "EMAIL")}
    env = {**os.environ, **who, "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z"}
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        succeed(["git", "-C", repository, *words], env=env)


def build(repository: Path, to: Path, *words: object, before: Sequence[object] = (), **env: str) -> list[str]:
    """Run scripts/package, and give the archives' paths as it prints them."""
    command = [*before, sys.executable, repository / "scripts/package", "--to", to, *words]
    return succeed(command, env={**os.environ, **env}).split()


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Packages]:
    """The checkout as if it were committed, and what is made of it: with the wheels for this Python and machine."""
    folder = tmp_path_factory.mktemp("p")  # gpg's socket has a short name
    for name in succeed(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]).split(
        "\0"
    ):
        if (ROOT / name).is_file():
            (folder / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / "checkout" / name)
    commit(folder / "checkout")
    with key(folder / "a", "maker") as (home, public), key(folder / "b", "somebody") as (_, other):
        made = build(
            folder / "checkout", folder / "dist", "--offline", *HERE, "--key", "maker", GNUPGHOME=str(home), TZ="UTC"
        )
        assert made == [str(folder / "dist" / name) for name in ARCHIVES]
        yield Packages(folder / "dist", folder / "checkout", public, other)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment without anything of helm's, and without a package index."""
    return environment(tmp_path)


def environment(home: Path) -> dict[str, str]:
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HELM_", "PYTHON", "PIP_", "VIRTUAL_ENV"))
    }
    homes = {f"HELM_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
    return {**clean, **homes, **NO_INDEX, "HELM_PIN_PYTHON": sys.executable, "HOME": str(home)}


class Files(http.server.SimpleHTTPRequestHandler):
    """Serves archives by the content type that Helm 3 wants of them."""

    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".tgz": "application/gzip"}  # noqa: RUF012

    def log_message(self, *_: object) -> None:
        """Nothing to say."""


@pytest.fixture(scope="module")
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


def inside(archive: Path) -> dict[str, bytes]:
    """The files in an archive, without the folder around them."""
    with tarfile.open(archive) as tar:
        files = {info.name: tar.extractfile(info) for info in tar if info.isfile()}
        return {name.removeprefix("pin/"): file.read() for name, file in files.items() if file}


def test_nothing_but_what_git_has_of_the_plugin(packages: Packages) -> None:
    """The folder holds the same, so it installs as tests/integration/test_install.py installs a folder."""
    listed = succeed(["git", "-C", packages.repository, "ls-files", *PARTS]).split()
    tracked = {name: (packages.repository / name).read_bytes() for name in listed}
    assert {"bin/helm-pin", "helmpin/cli.py", "helmpin/install.py"} <= set(tracked)
    for name in ARCHIVES:
        packed = inside(packages.dist / name)
        wheels = {name: packed.pop(name) for name in list(packed) if re.fullmatch(r"wheels/[^/]+\.whl", name)}
        assert packed == tracked
        assert bool(wheels) == name.startswith("offline/")
        folder = (packages.dist / name.removesuffix(NAME).replace("helm3/", "")) / "pin"
        laid_out = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert laid_out == tracked | wheels
        with tarfile.open(packages.dist / name) as tar:
            modes = {info.name.removeprefix("pin/"): info.mode for info in tar if info.isfile()}
        assert {path: (folder / path).stat().st_mode & 0o777 for path in laid_out} == modes


def test_every_link_in_the_package_leads_somewhere(packages: Packages) -> None:
    folder = packages.dist / "pin"
    documents = [*folder.glob("*.md"), *(folder / "docs").glob("*.md"), *(folder / "deploy").rglob("*.md")]
    assert folder / "docs/quickstart.md" in documents
    for document in documents:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text()):
            assert "://" in target or (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_same_commit_gives_the_same_bytes(packages: Packages, tmp_path: Path) -> None:
    clone = tmp_path / "elsewhere/clone"
    succeed(["git", "clone", "-q", packages.repository, clone])
    for path in clone.rglob("*"):
        if ".git" not in path.relative_to(clone).parts and path.is_file():
            os.utime(path, (1_000_000_000, 1_000_000_000))
            path.chmod(path.stat().st_mode & 0o700)
    (clone / "helmpin/left_behind.py").write_text("")
    (clone / "README.md").write_text("not committed")
    (clone / "helmpin/cli.py").unlink()
    # as another user, where the system allows: one that owns the same files by another number
    other = ["unshare", "--user"]
    other = other if shutil.which("unshare") and run([*other, "true"]).returncode == 0 else []
    other += ["sh", "-c", 'umask 077; exec "$@"', "sh"]
    build(clone, tmp_path / "again", "--offline", *HERE, before=other, TZ="Asia/Tokyo", LC_ALL="C")
    for archive in ARCHIVES:
        for name in (archive, archive.replace(".tgz", ".cdx.json")):
            first, second = packages.dist / name, tmp_path / "again" / name
            assert second.stat().st_mtime - first.stat().st_mtime > 1, "made at another time"
            assert second.read_bytes() == first.read_bytes(), name
        with tarfile.open(tmp_path / "again" / archive) as tar:
            entries = tar.getmembers()
        assert {(info.uid, info.gid, info.uname, info.gname, info.mtime) for info in entries} == {
            (0, 0, "", "", 1767323045)
        }
        assert {info.mode for info in entries if info.isdir()} <= {0o755}
        assert {info.name.rpartition("/")[2] for info in entries if info.isfile() and info.mode != 0o644} == {
            "helm-pin",
            "helm-pinned",
            "install-binary.sh",
            "plugin.complete",
        }
        assert [info.name for info in entries] == sorted(info.name for info in entries)


def test_the_time_is_source_date_epoch_and_an_earlier_signature_goes(packages: Packages, tmp_path: Path) -> None:
    signature = tmp_path / f"{NAME}.prov"
    signature.write_text("old")
    archive, _ = build(packages.repository, tmp_path, *HERE, SOURCE_DATE_EPOCH="1000000000")
    with tarfile.open(archive) as tar:
        assert {info.mtime for info in tar} == {1_000_000_000}
    assert json.loads((tmp_path / f"pin-{__version__}.cdx.json").read_text())["metadata"]["timestamp"] == (
        "2001-09-09T01:46:40+00:00"
    )
    assert inside(Path(archive)) == inside(packages.dist / NAME)
    assert not signature.exists()


def test_nothing_is_made_of_what_is_no_commit(packages: Packages, tmp_path: Path) -> None:
    shutil.copytree(packages.repository / "scripts", tmp_path / "copy/scripts")
    done = run([sys.executable, tmp_path / "copy/scripts/package", "--to", tmp_path / "dist", *HERE])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("scripts/package: error: git exited with status 128\n")
    assert not (tmp_path / "dist").exists()


def test_what_is_no_plain_file_no_time_or_no_key(
    packages: Packages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked of the functions; that nothing is made of what they refuse is seen above."""
    (tmp_path / "link.py").symlink_to("cli.py")
    (tmp_path / "one").touch()
    commit(tmp_path)
    with pytest.raises(PackageError, match=r"link\.py is not a plain file: git has it as 120000"):
        committed(tmp_path, ["one", "link.py"])
    with pytest.raises(PackageError, match=r"the commit lacks two"):
        committed(tmp_path, ["one", "two"])
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(PackageError, match="SOURCE_DATE_EPOCH is not a number of seconds: yesterday"):
        commit_time(packages.repository)
    monkeypatch.setenv("GNUPGHOME", str(packages.keyring.parent))
    with pytest.raises(PackageError, match="gpg exited with status 2"):
        provenance(b"name: pin\n", [], "nobody")


@functools.cache
def schema() -> jsonschema.Draft7Validator:
    """CycloneDX's own schema, which the library that writes the document carries."""
    files = {path.name: path for path in resources.files("cyclonedx.schema._res").iterdir()}
    main = json.loads(files["bom-1.6.SNAPSHOT.schema.json"].read_text())
    others = [name for name in files if name.startswith(("spdx.", "jsf-")) and name.endswith(".json")]
    registry = Registry().with_resources(  # by the names that the main schema has for them
        (urljoin(main["$id"], name), Resource.from_contents(json.loads(files[name].read_text()))) for name in others
    )
    checked = jsonschema.Draft7Validator.FORMAT_CHECKER
    return jsonschema.Draft7Validator(main, registry=registry, format_checker=checked)


@pytest.mark.parametrize("archive", ARCHIVES)
def test_the_bill_of_materials(archive: str, packages: Packages) -> None:
    path = packages.dist / archive
    bill: dict[str, Any] = json.loads(path.with_suffix(".cdx.json").read_text())
    assert [error.message for error in schema().iter_errors(bill)] == []
    bill_of_another_licence = json.loads(json.dumps(bill).replace('"MIT"', '"NIT"'))
    assert not schema().is_valid(bill_of_another_licence), "the schema knows the identifiers of licences"
    plugin = bill["metadata"]["component"]
    assert (plugin["name"], plugin["version"]) == ("helm-pin", __version__)
    assert plugin["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}]
    contained = {each["name"]: each["hashes"][0]["content"] for each in plugin["components"]}
    assert contained == {name: hashlib.sha256(content).hexdigest() for name, content in inside(path).items()}

    lock = (ROOT / "requirements.txt").read_text()
    pinned = dict(re.findall(r"(?m)^(\S+)==(\S+)", lock))
    assert set(pinned) == {"pyyaml", "sh", "subprocess-tee", "urllib3"}
    installed = {each["name"]: each for each in bill["components"]}
    assert {name: each["version"] for name, each in installed.items()} == pinned
    assert {each["purl"] for each in installed.values()} == {f"pkg:pypi/{name}@{pinned[name]}" for name in pinned}
    assert {each["licenses"][0]["license"]["id"] for each in installed.values()} == {"MIT"}
    hashes = [each["content"] for one in installed.values() for each in one["externalReferences"][0]["hashes"]]
    assert sorted(hashes) == sorted(re.findall(r"--hash=sha256:(\w+)", lock))
    assert {contained[name] for name in contained if name.startswith("wheels/")} <= set(hashes)
    depends = {each["ref"]: each.get("dependsOn") for each in bill["dependencies"]}
    assert depends["helm-pin"] == sorted(each["bom-ref"] for each in installed.values())


def test_what_security_md_says_verifies(packages: Packages, env: dict[str, str], tmp_path: Path) -> None:
    [commands] = [block.text for block in blocks(ROOT / "SECURITY.md") if block.marked == "run by"]
    folder = shutil.copytree(packages.dist, tmp_path / "dist")
    shutil.copy(packages.keyring, folder / "public.gpg")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/helm").symlink_to(binary("helm4"))
    home = tmp_path.parent / f"g{os.getpid()}"  # gpg's socket has a short name
    home.mkdir(mode=0o700)
    env |= {"PATH": f"{tmp_path / 'bin'}:{env['PATH']}", "GNUPGHOME": str(home)}

    def verify() -> subprocess.CompletedProcess[str]:
        (folder / "signed.txt").unlink(missing_ok=True)
        return run(["sh", "-ec", commands.replace("0.1.0", __version__)], env=env, cwd=folder)

    try:
        done = verify()
        assert done.returncode == 0, done.stdout + done.stderr
        bill = NAME.replace(".tgz", ".cdx.json")
        assert f"{NAME}: OK\n{bill}: OK\n" in done.stdout
        for name in (bill, f"{NAME}.prov", NAME):
            content = (folder / name).read_bytes()
            (folder / name).write_bytes(content.replace(b"helm-pin", b"helm-pim") if name != NAME else content + b"\0")
            assert verify().returncode != 0, name
            (folder / name).write_bytes(content)
        assert verify().returncode == 0
    finally:
        succeed(["gpgconf", "--kill", "all"], env=env)


@pytest.fixture(scope="module")
def home_of_helm_4(packages: Packages, served: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which Helm 4 has installed the archive over HTTP, with an environment of the wheels in it."""
    home = tmp_path_factory.mktemp("home")
    install_in_helm_4([f"{served}/offline/{NAME}", "--keyring", packages.keyring], environment(home))
    return home


def install_in_helm_4(words: Sequence[object], env: dict[str, str]) -> None:
    done = run([binary("helm4"), "plugin", "install", *words], env=env)
    assert done.returncode == 0, done.stderr
    assert "Plugin Hash Verified: sha256:" in done.stdout + done.stderr


@pytest.fixture
def copying(home_of_helm_4: Path, env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """An environment whose Python copies the plugin's, where it shall make one."""
    [made] = home_of_helm_4.glob("data/plugins/*/.venv")
    return {**env, "HELM_PIN_PYTHON": str(test_install.copying(made, tmp_path / "copying"))}


def works_as_over_http(env: dict[str, str], home_of_helm_4: Path) -> None:
    """Helm 4 starts the plugin, which holds the same files as the one that it has installed over HTTP."""
    assert succeed([binary("helm4"), "pin", "--version"], env=env) == f"helm-pin {__version__}\n"
    here, there = (
        {
            str(path.relative_to(metadata.parent)): (path.stat().st_mode, path.read_bytes())
            for path in metadata.parent.rglob("*")
            if path.is_file() and not {".venv", "__pycache__"} & set(path.relative_to(metadata.parent).parts)
        }
        for home in (Path(env["HELM_DATA_HOME"]), home_of_helm_4 / "data")
        for metadata in home.glob("plugins/*/plugin.yaml")
    )
    assert here == there and "helmpin/cli.py" in here


@pytest.mark.parametrize("name", ["helm-old", "helm3"])
def test_helm_3_installs_the_archive_over_http(name: str, served: str, copying: dict[str, str], tmp_path: Path) -> None:
    """Helm 3 makes an environment in tests/integration/test_install.py."""
    succeed([binary(name), "plugin", "install", f"{served}/offline/helm3/{NAME}"], env=copying)
    works(binary(name), copying, tmp_path)


def test_helm_4_verifies_the_archive_over_http(home_of_helm_4: Path, tmp_path: Path) -> None:
    works(binary("helm4"), environment(home_of_helm_4), tmp_path)


def test_helm_4_verifies_the_file(packages: Packages, copying: dict[str, str], home_of_helm_4: Path) -> None:
    install_in_helm_4([packages.dist / "offline" / NAME, "--keyring", packages.keyring], copying)
    works_as_over_http(copying, home_of_helm_4)


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
    packages: Packages, registry: Server, unique: str, copying: dict[str, str], home_of_helm_4: Path
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
    install_in_helm_4([source, "--plain-http", "--keyring", packages.keyring], copying)
    works_as_over_http(copying, home_of_helm_4)


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`helm-pin` as pip installs it from the checkout into an environment of its own, as pipx and pre-commit do: what it requires
    comes from the environment of the tests."""
    folder = tmp_path_factory.mktemp("console")
    succeed([sys.executable, "-m", "venv", "--without-pip", folder / "venv"])
    source = folder / "source"  # building leaves things behind
    shutil.copytree(ROOT / "helmpin", source / "helmpin", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--python", folder / "venv/bin/python", "install", "--quiet"]
    succeed([*pip, "--no-deps", "--no-compile", source])
    [packages] = folder.glob("venv/lib/python*/site-packages")
    (packages / "required.pth").write_text(f"{Path(urllib3.__file__).parents[1]}\n")
    [installed] = distributions(name="helm-pin", path=[str(packages)])
    needs = [
        re.split(r"\W", each.lower().replace("-", "_"))[0] for each in installed.requires or () if "extra" not in each
    ]
    locked = re.findall(r"(?m)^(\S+)==", (ROOT / "requirements.txt").read_text())
    assert sorted(needs) == sorted(name.replace("-", "_") for name in locked)
    return folder / "venv/bin/helm-pin"


def test_the_console_script(console: Path, env: dict[str, str], tmp_path: Path) -> None:
    """With one Helm; what it asks of Helm itself is asked of the other below."""
    env["HELM_BIN"] = str(binary("helm3"))
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
