"""TLS: a private authority, client certificates, and when plain HTTP is spoken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from helmpin.errors import UsageError
from helmpin.registry import RegistrySettings
from helmpin.registry.transport import load_tls_context
from tests.support import registry_servers
from tests.support.asking import digest_of, error_of, keychain
from tests.support.hostile import response, serve
from tests.support.registry_servers import PASSWORD, USER, Server
from tests.support.tls import Authority

NAME = "registry.test"
Named = Callable[[str], None]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a registry that holds team/app:v1; it is filled by plain HTTP."""
    folder = tmp_path_factory.mktemp("images")
    with registry_servers.distribution(folder) as plain:
        plain.push_image("team/app", "v1")
    return folder


@pytest.fixture
def served(authority: Authority, images: Path) -> Iterator[Server]:
    """That registry by TLS, with a certificate for registry.test, localhost and 127.0.0.1."""
    cert, key = authority.sign("server", NAME, "localhost", "127.0.0.1")
    with registry_servers.distribution(images, tls={"certificate": str(cert), "key": str(key)}) as server:
        yield server


def _at(server: Server, name: str) -> str:
    return f"{name}:{server.host.rpartition(':')[2]}/team/app:v1"


def test_a_private_authority(served: Server, authority: Authority, name_here: Named) -> None:
    name_here(NAME)
    assert digest_of(_at(served, NAME), RegistrySettings(ca_file=str(authority.file)))


def test_the_store_of_the_system(
    served: Server, authority: Authority, name_here: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE is where OpenSSL, and Go with it, find that store."""
    name_here(NAME)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    load_tls_context.cache_clear()
    try:
        assert digest_of(_at(served, NAME))
    finally:
        load_tls_context.cache_clear()


def test_one_that_is_not_trusted(served: Server, name_here: Named) -> None:
    name_here(NAME)
    error = error_of(_at(served, NAME))
    assert error.kind == "unreachable" and "not trusted" in error.reason and "--registry-ca-file" in error.hint


def test_another_authority(served: Server, tmp_path: Path, name_here: Named) -> None:
    name_here(NAME)
    error = error_of(_at(served, NAME), RegistrySettings(ca_file=str(Authority(tmp_path, "another").file)))
    assert error.kind == "unreachable" and "not trusted" in error.reason


def test_a_certificate_for_another_name(served: Server, authority: Authority, name_here: Named) -> None:
    name_here("other.test")
    error = error_of(_at(served, "other.test"), RegistrySettings(ca_file=str(authority.file)))
    assert error.kind == "unreachable" and "other.test" in error.reason and "certificate" in error.reason
    assert error.hint == "use a name that the certificate has, or a certificate that has this one"


def test_a_certificate_of_yesterday(authority: Authority, images: Path, name_here: Named) -> None:
    name_here(NAME)
    cert, key = authority.sign("old", NAME, valid=timedelta(days=-1))
    with registry_servers.distribution(images, tls={"certificate": str(cert), "key": str(key)}) as server:
        error = error_of(_at(server, NAME), RegistrySettings(ca_file=str(authority.file)))
    assert error.kind == "unreachable" and "expired" in error.reason


class TestClientCertificate:
    @pytest.fixture
    def strict(self, authority: Authority, images: Path) -> Iterator[Server]:
        """It lets in only those with a certificate of the authority."""
        cert, key = authority.sign("strict", NAME)
        tls = {"certificate": str(cert), "key": str(key), "clientcas": [str(authority.file)]}
        with registry_servers.distribution(images, tls=tls) as server:
            yield server

    def test_shown(self, strict: Server, authority: Authority, name_here: Named) -> None:
        name_here(NAME)
        cert, key = authority.sign("client")
        assert digest_of(
            _at(strict, NAME), RegistrySettings(ca_file=str(authority.file), client_cert=str(cert), client_key=str(key))
        )

    def test_missing(self, strict: Server, authority: Authority, name_here: Named) -> None:
        name_here(NAME)
        error = error_of(_at(strict, NAME), RegistrySettings(ca_file=str(authority.file)))
        assert error.kind == "unreachable" and "client certificate" in f"{error.reason} {error.hint}"


@pytest.mark.parametrize(
    ("field", "content", "why"),
    [
        ("ca_file", None, "No such file"),
        ("ca_file", "", "not a PEM file"),
        ("client_cert", None, "No such file"),
        ("client_cert", "junk", "not a PEM file"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, name_here: Named, field: str, content: str | None, why: str) -> None:
    name_here(NAME)
    file = tmp_path / "file.pem"
    if content is not None:
        file.write_text(content)
    settings = RegistrySettings(**{field: str(file)}, named=((str(file), "HELM_PIN_HERE"), ("else", "not named")))
    with pytest.raises(UsageError) as caught:
        digest_of(f"{NAME}:1/team/app:v1", settings)
    assert caught.value.where == [f"HELM_PIN_HERE: {file}"] and why in caught.value.why


def test_a_client_key_that_cannot_be_used(authority: Authority, tmp_path: Path, name_here: Named) -> None:
    name_here(NAME)
    cert, key = authority.sign("client")
    (tmp_path / "encrypted").write_bytes(
        load_pem_private_key(key.read_bytes(), None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"s3cr3t")
        )
    )
    for name, why in (("absent", "No such file"), ("encrypted", "the key is encrypted")):
        key = tmp_path / name
        with pytest.raises(UsageError) as caught:
            digest_of(f"{NAME}:1/team/app:v1", RegistrySettings(client_cert=str(cert), client_key=str(key)))
        assert why in caught.value.why and str(key) in caught.value.where


class TestPlainHttp:
    def test_never_by_itself(self, tmp_path: Path, name_here: Named) -> None:
        name_here(NAME)
        with serve(lambda *_: response("401 No", WWW_Authenticate='Basic realm="x"')) as plain:
            host = f"{NAME}:{plain.host.rpartition(':')[2]}"
            error = error_of(
                f"{host}/team/app:v1", RegistrySettings(timeout=1), keychain(tmp_path, {host: (USER, PASSWORD)})
            )
            assert plain.requests == [], "nothing but a TLS greeting arrives"
        assert error.kind in ("unreachable", "timeout")

    def test_it_is_named(self, images: Path, name_here: Named) -> None:
        name_here(NAME)
        with registry_servers.distribution(images) as plain:
            error = error_of(_at(plain, NAME))
        assert error.kind == "unreachable" and "does not use TLS" in error.reason
        assert f"--registry-plain-http {NAME}:" in error.hint

    def test_when_asked_for(self, images: Path, name_here: Named) -> None:
        name_here(NAME)
        with registry_servers.distribution(images) as plain:
            host = f"{NAME}:{plain.host.rpartition(':')[2]}"
            assert digest_of(f"{host}/team/app:v1", RegistrySettings(plain_http=frozenset({host})))

    @pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
    def test_loopback_is_plain(self, images: Path, name: str) -> None:
        with registry_servers.distribution(images) as plain:
            assert digest_of(_at(plain, name))

    @pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
    def test_loopback_with_tls_is_found_out(self, served: Server, authority: Authority, name: str) -> None:
        assert digest_of(_at(served, name), RegistrySettings(ca_file=str(authority.file)))

    def test_loopback_that_hangs_up_on_plain_http_is_found_out_at_once(self, authority: Authority) -> None:
        """Without the tries that a connection that breaks gets, and the second that their pauses take."""
        with serve(lambda *_: response("404 No"), certificate=authority.sign("own", "127.0.0.1")) as server:
            error = error_of(f"{server.host}/team/app:v1", RegistrySettings(ca_file=str(authority.file)))
            assert server.connections == 3, "by plain HTTP, to find out, by TLS"
        assert error.kind == "not-found"

    def test_loopback_with_tls_that_is_not_trusted(self, served: Server) -> None:
        error = error_of(_at(served, "127.0.0.1"))
        assert error.kind == "unreachable" and "not trusted" in error.reason


@pytest.mark.parametrize("target", ["https://169.254.169.254/latest/", "http://elsewhere.test/"])
def test_a_redirect_into_this_machine_or_into_the_clear(authority: Authority, name_here: Named, target: str) -> None:
    """A remote registry can send nobody to what only this machine reaches."""
    name_here(NAME)
    cert, key = authority.sign("redirecting", NAME)
    with serve(lambda *_: response("307 Go", Location=target), certificate=(cert, key)) as hostile:
        error = error_of(
            f"{NAME}:{hostile.host.rpartition(':')[2]}/team/app:v1",
            RegistrySettings(ca_file=str(authority.file), timeout=5),
        )
        assert len(hostile.requests) <= 2
    assert error.kind == "bad-answer" and "redirect" in error.reason
