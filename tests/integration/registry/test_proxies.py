"""Proxies from the environment: a small real one, in front of a registry by plain HTTP and by TLS."""

from __future__ import annotations

import os
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from helmpin.registry import RegistrySettings
from tests.support import registry_servers
from tests.support.asking import digest_of, error_of, said
from tests.support.hostile import Hostile, Request, serve
from tests.support.registry_servers import Server
from tests.support.tls import Authority

NAME = "registry.test"
Named = Callable[[str], None]


@contextmanager
def proxy(login: str = "") -> Iterator[Hostile]:
    """An HTTP proxy (RFC 9110, 9.3.6) that finds every name at 127.0.0.1. login: user:password it wants."""

    def forward(request: Request, peer: socket.socket) -> bytes | None:
        if login and request.headers.get("proxy-authorization") != "Basic " + b64encode(login.encode()).decode():
            return b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
        there = urlsplit(request.target if "://" in request.target else f"//{request.target}")
        with socket.create_connection(("127.0.0.1", there.port or 80)) as server:
            if request.method == "CONNECT":
                peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=_pump, args=(server, peer), daemon=True)
                back.start()
                _pump(peer, server)
                back.join(5)
                return None
            lines = [f"{request.method} {there.path}?{there.query} HTTP/1.1", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in request.headers.items() if "connection" not in name]
            server.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
            _pump(server, peer)
        return None

    with serve(forward) as server:
        yield server


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a registry that holds team/app:v1."""
    folder = tmp_path_factory.mktemp("images")
    with registry_servers.distribution(folder) as plain:
        plain.push_image("team/app", "v1")
    return folder


@pytest.fixture(scope="module")
def plain(images: Path) -> Iterator[Server]:
    with registry_servers.distribution(images) as server:
        yield server


@pytest.fixture(scope="module")
def encrypted(images: Path, authority: Authority) -> Iterator[Server]:
    cert, key = authority.sign("server", NAME)
    with registry_servers.distribution(images, tls={"certificate": str(cert), "key": str(key)}) as server:
        yield server


def _there(server: Server) -> str:
    return f"{NAME}:{server.host.rpartition(':')[2]}"


@pytest.mark.parametrize("login", ["", "user:pass%3Aword"])
def test_tls(encrypted: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch, login: str) -> None:
    with proxy(login.replace("%3A", ":")) as between:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{login}{'@' if login else ''}{between.host}")
        assert digest_of(f"{_there(encrypted)}/team/app:v1", RegistrySettings(ca_file=str(authority.file)))
        assert [(r.method, r.target) for r in between.requests] == [("CONNECT", _there(encrypted))]


def test_plain(plain: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy() as between:
        monkeypatch.setenv("HTTP_PROXY", f"http://{between.host}")
        assert digest_of(f"{_there(plain)}/team/app:v1", RegistrySettings(plain_http=frozenset({_there(plain)})))
        assert between.requests[0].target.startswith(f"http://{_there(plain)}/v2/team/app/")


def test_a_refused_login_shows_no_password(
    encrypted: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy("user:right") as between:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:s3cr3t-of-the-proxy@{between.host}")
        error = error_of(f"{_there(encrypted)}/team/app:v1", RegistrySettings(ca_file=str(authority.file), timeout=5))
    assert error.kind == "unreachable" and "proxy" in error.reason and "HTTPS_PROXY" in error.hint
    assert "s3cr3t" not in said(error)


def test_one_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{registry_servers.free_port()}")
    error = error_of("registry.example/team/app:v1", RegistrySettings(timeout=5))
    assert error.kind == "unreachable" and "registry.example" in str(error)
    assert error.reason.endswith("cannot use the proxy for registry.example: connection refused")


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
@pytest.mark.parametrize(
    "url", ["socks5://127.0.0.1:1", "http://[::1", "http://127.0.0.1:port", "foo:bar", "http://a b:1"]
)
def test_one_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, variable: str, url: str) -> None:
    """It is the variable that is wrong, and not the registry."""
    monkeypatch.setenv(variable, url)
    error = error_of("registry.example/team/app:v1", RegistrySettings(timeout=5))
    socks = url.startswith("socks")
    what = "names a SOCKS proxy, which helm-pin cannot use" if socks else "is not the URL of an HTTP proxy"
    assert error.reason == f"the environment variable {variable} {what}" and f"set {variable} to" in error.hint


def test_no_proxy(encrypted: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch, name_here: Named) -> None:
    name_here(NAME)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{registry_servers.free_port()}")
    monkeypatch.setenv("NO_PROXY", f"example.com, {NAME}")
    assert digest_of(f"{_there(encrypted)}/team/app:v1", RegistrySettings(ca_file=str(authority.file)))


def test_loopback_is_never_asked_through_one(plain: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{registry_servers.free_port()}")
    assert digest_of(f"{plain.host}/team/app:v1")
