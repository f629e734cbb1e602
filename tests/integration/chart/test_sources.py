"""Every source of a chart that helm takes, from real servers: what is staged is what helm itself would have used."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest

from helmpin.chart.stage import KINDS, ChartSource, stage
from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from tests.support.charts import MakeChart
from tests.support.file_server import Server
from tests.support.registry_servers import Server as RegistryServer


def same(helm: Helm, chart: str, *flags: str, version: str = "") -> None:
    """Staged with these flags, the chart renders as it does for helm with the same flags."""
    with stage(ChartSource(chart, flags), helm) as staged:
        if version:
            assert staged.version == version
        assert rendered(helm.binary, staged.archive().read_bytes()) == helm.run(["template", "x", chart, *flags])


@cache
def rendered(helm: str, archive: bytes) -> str:
    """What a helm makes of an archive."""
    with NamedTemporaryFile(suffix=".tgz") as file:
        file.write(archive)
        file.flush()
        return Helm(helm).run(["template", "x", file.name])


def refused(helm: Helm, chart: str, *flags: str, why: str, helms_why: str = "") -> None:
    """Staging fails in helm's own words, and helm fails in them too."""
    with pytest.raises(HelmFailed) as ours, stage(ChartSource(chart, flags), helm):
        pass
    with pytest.raises(HelmFailed) as helms:
        helm.run(["template", "x", chart, *flags])
    assert why in ours.value.message()
    assert (helms_why or why) in helms.value.message()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(root: Path, **options: object) -> Server:
        servers.append(Server(root, **options))  # type: ignore[arg-type]
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what a helm packs lies, to be copied: either helm reads what the other has packed."""
    return tmp_path_factory.mktemp("made")


@pytest.fixture
def repository(helm: Helm, made: Path, tmp_path: Path) -> Path:
    """A directory with the archives of `app`, versions 1.0.0, 1.1.0 and 2.0.0-rc.1, and an index; beside it, charts/app."""
    folder = made / "of app"
    if not folder.exists():
        folder.mkdir()
        make_chart = MakeChart(helm, folder / "charts")
        root, chart = folder / "repository", make_chart("app")
        for version in ("1.0.0", "1.1.0", "2.0.0-rc.1"):
            (chart / "values.yaml").write_text((chart / "values.yaml").read_text() + f"# {version}\n")
            make_chart.package(chart, root, version)
        helm.run(["repo", "index", str(root)])
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return tmp_path / "repository"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    paths = folder / "cert.pem", folder / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]
    make += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(paths[1]), "-out", str(paths[0])]
    subprocess.run(make, check=True, capture_output=True)
    return paths


def test_local_paths(helm: Helm, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    same(helm, "app-1.0.0.tgz", version="1.0.0")
    same(helm, "./app-1.1.0.tgz", version="1.1.0")
    same(helm, str(repository / "app-1.0.0.tgz"))
    same(helm, "../charts/app")
    same(helm, " ../charts/app ")
    shutil.copytree("../charts/app", "here")
    if helm.version < (4, 0, 0):
        same(helm, "here", "--repo", "http://127.0.0.1:1", "--version", "7")  # what is here wins
    else:
        refused(
            helm,
            "here",
            "--repo",
            "http://127.0.0.1:1",
            why='looks like "http://127.0.0.1:1" is not a valid chart repository',
        )
    for nothing in ("./nothing", "/nothing/here"):
        refused(helm, nothing, why="not found")
    missing, helms_why = "there is no such file or directory", "non-absolute URLs should be in form of"
    refused(helm, "nothing", why=missing, helms_why=helms_why)
    refused(helm, "no/thing", why=f"{missing}, and repo no not found", helms_why="repo no not found")
    monkeypatch.chdir("../charts/app")
    for nothing in ("", " "):  # not the chart that happens to be here
        refused(helm, nothing, why="non-absolute URLs should be in form of repo_name/path_to_chart, got:")
    same(helm, ".")
    refused(helm, "x" * 300, why=missing, helms_why=helms_why)
    refused(helm, "../../repository/app-1.0.0.tgz/", why="not found")


def test_what_is_not_a_chart(helm: Helm, tmp_path: Path) -> None:
    """Each refusal says what to do."""

    def refusal(chart: Path | str) -> str:
        with pytest.raises(HelmFailed) as caught, stage(ChartSource(str(chart)), helm):
            pass
        return f"{caught.value.what}: {caught.value.why}: {caught.value.hint}"

    folder = tmp_path / "folder"
    folder.mkdir()
    assert refusal(folder).startswith("this is not a chart: there is no Chart.yaml in it: a chart is a folder, ")
    (taken := tmp_path / "taken" / "templates" / "helm-pin").mkdir(parents=True)
    (tmp_path / "taken" / "Chart.yaml").write_text("apiVersion: v2\nname: taken\nversion: 1.0.0\n")
    (taken / "revision.yaml").write_text("kind: ConfigMap\n")
    assert refusal(tmp_path / "taken").startswith("the chart has a folder that helm-pin uses: it would add templates")
    for chart in ("deep/er/web", "shop", "a/b"):
        (folder / chart).mkdir(parents=True)
        (folder / chart / "Chart.yaml").touch()
    assert refusal(folder).endswith("it holds a chart in shop: name that folder")
    (tmp_path / "values.yaml").write_text("a: b\n")
    assert "the chart archive cannot be used" in refusal(tmp_path / "values.yaml")
    (folder / "a" / "b" / "Chart.yaml").write_text("a: [\n")
    with pytest.raises(HelmFailed) as error, stage(ChartSource(str(folder / "a" / "b")), helm) as staged:
        assert staged.name == "never reached"
    assert error.value.where == ["Chart.yaml"]
    assert refusal(tmp_path / "nothing").endswith(f"there is no such file or directory: {KINDS}")
    os.mkfifo(folder / "shop" / "pipe")
    assert refusal(folder / "shop").endswith("remove it, or leave it out with .helmignore")
    (folder / "shop" / ".helmignore").write_text("a/**\n")
    assert "(**) syntax is not supported: correct the pattern" in refusal(folder / "shop")
    (folder / "shop" / ".helmignore").write_text("pipe\n")
    (folder / "shop" / "link").symlink_to("nowhere")
    assert refusal(folder / "shop").endswith(
        "it is a link to nowhere, which does not exist: create that, or remove the link"
    )


def test_repository_by_name(helm: Helm, repository: Path, serve: Callable[..., Server]) -> None:
    helm.run(["repo", "add", "mine", serve(repository).url])
    same(helm, "mine/app", version="1.1.0")
    same(helm, "mine/app", "--version", "1.0.0", version="1.0.0")
    same(helm, "mine/app", "--version=~1.0", version="1.0.0")
    same(helm, "mine/app", "--devel", version="2.0.0-rc.1")
    refused(helm, "mine/app", "--version", "9", why='chart "app" matching 9 not found in mine index')
    refused(helm, "mine/other", why='chart "other" matching  not found in mine index')


def test_repository_by_url(helm: Helm, repository: Path, serve: Callable[..., Server]) -> None:
    url = serve(repository).url
    same(helm, "app", "--repo", url, version="1.1.0")
    same(helm, "app", f"--repo={url}", "--version", "1.0.0", version="1.0.0")
    same(helm, f"{url}/app-1.0.0.tgz", version="1.0.0")
    refused(helm, "other", "--repo", url, why="not found in")
    helm.run(["repo", "add", "mine", serve(repository).url])  # of which helm reads the index too
    helm.run(["repo", "add", "same", url])
    same(helm, "app", "--repo", url, version="1.1.0")
    refused(helm, f"{url}/none.tgz", why="404")
    for name in ("app.tar.gz", "app.TGZ", "download"):
        shutil.copy(repository / "app-1.0.0.tgz", repository / name)
        same(helm, f"{url}/{name}", version="1.0.0")


def test_repository_with_password(helm: Helm, repository: Path, serve: Callable[..., Server]) -> None:
    archives, index = repository.parent / "archives", repository.parent / "index"
    shutil.copytree(repository, archives)
    elsewhere = serve(archives, password="me:secret word")
    shutil.copytree(repository, index)
    helm.run(["repo", "index", str(index), "--url", elsewhere.url])
    here, away = serve(repository, password="me:secret word"), serve(index, password="me:secret word")
    login = ("--username", "me", "--password", "secret word")
    same(helm, "app", "--repo", here.url, *login, version="1.1.0")
    refused(helm, "app", "--repo", here.url, why="401")
    assert elsewhere.seen == []
    refused(
        helm, "app", "--repo", away.url, *login, why="401"
    )  # the archives are on another server: no password for it
    assert elsewhere.seen == []
    same(helm, "app", "--repo", away.url, *login, "--pass-credentials", version="1.1.0")
    assert "secret" not in repr(ChartSource("app", login))


def test_repository_over_tls(
    helm: Helm, repository: Path, serve: Callable[..., Server], certificate: tuple[Path, Path]
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    url = serve(repository, context=context).url
    same(helm, "app", "--repo", url, "--ca-file", str(certificate[0]), version="1.1.0")
    same(helm, "app", "--repo", url, "--insecure-skip-tls-verify", version="1.1.0")
    refused(helm, "app", "--repo", url, why="certificate")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificate[0])
    mutual = serve(repository, context=context).url
    same(
        helm,
        "app",
        "--repo",
        mutual,
        "--ca-file",
        str(certificate[0]),
        "--cert-file",
        str(certificate[0]),
        "--key-file",
        str(certificate[1]),
    )
    # the server's word, "certificate required", can be overtaken by the end of the connection
    refused(helm, "app", "--repo", mutual, "--ca-file", str(certificate[0]), why="cannot be reached")


def test_oci_registry(helm: Helm, repository: Path, registry: RegistryServer, unique: str) -> None:
    for archive in sorted(repository.glob("*.tgz")):
        helm.run(["push", str(archive), f"oci://{registry.host}/{unique}", "--plain-http"])
    chart = f"oci://{registry.host}/{unique}/app"
    same(helm, chart, "--plain-http", version="1.1.0")
    same(helm, chart, "--plain-http", "--version", "1.0.0", version="1.0.0")
    same(helm, chart, "--plain-http", "--devel", version="2.0.0-rc.1")
    same(helm, f"{chart}:1.0.0", "--plain-http", version="1.0.0")
    refused(helm, f"oci://{registry.host}/{unique}/none", "--plain-http", why="repository name not known to registry")


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A keyring with the secret key of `signer`."""
    home = tmp_path_factory.mktemp("g")
    home.chmod(0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--passphrase", "", "--pinentry-mode", "loopback"]
    subprocess.run(
        [*gpg, "--quick-generate-key", "signer <signer@example.com>", "rsa2048", "sign", "never"],
        check=True,
        capture_output=True,
    )
    (home / "secring.gpg").write_bytes(
        subprocess.run([*gpg, "--export-secret-keys"], check=True, capture_output=True).stdout
    )
    (home / "pubring.gpg").write_bytes(subprocess.run([*gpg, "--export"], check=True, capture_output=True).stdout)
    yield home
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)


@pytest.fixture
def signed(helm: Helm, made: Path, keyring: Path, tmp_path: Path) -> Path:
    """A directory with the signed archive of `app` and an index; beside it, charts/app, and another chart's archive in `plain`."""
    folder = made / "signed"
    if not folder.exists():
        folder.mkdir()
        make_chart = MakeChart(helm, folder / "charts")
        sign = ["--sign", "--key", "signer", "--keyring", str(keyring / "secring.gpg")]
        helm.run(["package", str(make_chart("app")), "--destination", str(folder / "signed"), *sign])
        helm.run(["repo", "index", str(folder / "signed")])
        make_chart.package(make_chart("other"), folder / "plain")
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return tmp_path / "signed"


def test_provenance(helm: Helm, signed: Path, keyring: Path, tmp_path: Path, serve: Callable[..., Server]) -> None:
    root, chart = signed, tmp_path / "charts/app"
    url, ring = serve(root).url, ("--verify", "--keyring", str(keyring / "pubring.gpg"))
    same(helm, "app", "--repo", url, *ring, version="0.1.0")
    same(helm, f"{root}/app-0.1.0.tgz", *ring, version="0.1.0")
    same(helm, f"{root}/app-0.1.0.tgz", "--verify=true", f"--keyring={keyring}/pubring.gpg")
    refused(helm, str(chart), *ring, why="unpacked charts cannot be verified")
    same(helm, str(chart), "--verify", "--verify=false")

    (tmp_path / "empty.gpg").touch()
    for place in (("app", "--repo", url), (f"{root}/app-0.1.0.tgz",)):
        refused(helm, *place, "--verify", f"--keyring={tmp_path}/empty.gpg", why="signature made by unknown entity")
    shutil.copy(tmp_path / "plain/other-0.1.0.tgz", root / "app-0.1.0.tgz")
    for place in (("app", "--repo", url), (f"{root}/app-0.1.0.tgz",)):
        refused(helm, *place, *ring, why="sha256 sum does not match for app-0.1.0.tgz")
    (root / "app-0.1.0.tgz.prov").unlink()
    refused(helm, f"{root}/app-0.1.0.tgz", *ring, why="app-0.1.0.tgz.prov")
    cached = helm.version >= (4, 0, 0)
    refused(
        helm,
        "app",
        "--repo",
        url,
        *ring,
        why="failed to fetch provenance",
        helms_why="sha256 sum does not match" if cached else "",
    )


def test_dependency_update(helm: Helm, make_chart: MakeChart, capsys: pytest.CaptureFixture[str]) -> None:
    needy = make_chart("needy", dependencies="[{name: sub, version: 0.1.0, repository: 'file://../sub'}]")
    make_chart("sub")
    with stage(ChartSource(str(needy)), helm) as staged, pytest.raises(HelmFailed, match="template failed") as error:
        helm.run(["template", "x", str(staged.archive())])
    assert "missing in charts/ directory: sub" in error.value.why
    with stage(ChartSource(str(needy), dependency_update=True), helm) as staged:
        assert "charts/sub/templates/service.yaml" in helm.run(["template", "x", str(staged.archive())])
    shown = capsys.readouterr()
    assert (shown.out, "Saving 1 charts\n" in shown.err) == ("", True)
    lock = needy / "Chart.lock"
    before = lock.stat().st_mtime_ns
    with stage(ChartSource(str(needy), dependency_update=True), helm):  # nothing is missing now
        assert lock.stat().st_mtime_ns == before


@pytest.mark.parametrize("folder", [b"plain", b"caf\xe9 \xff"])
def test_dependency_update_that_fails(
    helm: Helm, tmp_path: Path, folder: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """In helm's words, whatever bytes they are."""
    needy = tmp_path / os.fsdecode(folder) / "needy"
    needy.mkdir(parents=True)
    dependencies = "[{name: sub, version: 0.1.0, repository: 'file://../sub'}]"
    (needy / "Chart.yaml").write_text(f"apiVersion: v2\nname: needy\nversion: 0.1.0\ndependencies: {dependencies}\n")
    source = ChartSource(str(needy), dependency_update=True)
    with pytest.raises(HelmFailed, match="helm dependency failed") as error, stage(source, helm):
        pass
    assert "sub not found" in error.value.why
    assert "Traceback" not in capsys.readouterr().err
