"""Reports that are sent: what the server gets, through a proxy too, and what is said of a URL that is none."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from helmpin.audit import deliver
from helmpin.errors import OperationFailed

Received = list[tuple[str, Message, bytes]]


@pytest.fixture
def server() -> Iterator[tuple[str, Received]]:
    """An HTTP server that takes all that is not bad, and what it was sent: the target, headers and body of each request."""
    received: Received = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            received.append((self.path, self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(400 if "bad" in self.path else 200)
            self.end_headers()
            self.wfile.write(b"text format parsing error\n" if "bad" in self.path else b"")

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as started:
        threading.Thread(target=started.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{started.server_port}", received
        started.shutdown()


def basic(login: str) -> str:
    return "Basic " + base64.b64encode(login.encode()).decode()


LOGINS = pytest.mark.parametrize("login", ["me:p%40ss", "me:p%E2%82%AC", "me:p€", "m%C3%A9:a:b", "me"])


@LOGINS
def test_a_login_in_the_url_is_sent_as_it_is_meant(server: tuple[str, Received], login: str) -> None:
    host, received = server
    deliver.deliver("text", f"http://{login}@{host}/job")
    assert [(path, headers["Authorization"]) for path, headers, _ in received] == [("/job", basic(unquote(login)))]


@LOGINS
def test_a_login_of_the_proxy(server: tuple[str, Received], login: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host, received = server
    monkeypatch.setattr(deliver, "ENVIRON", {"HTTP_PROXY": f"http://{login}@{host}"})
    deliver.deliver("text", "http://push.example.com/job")
    (target, headers, _) = received[0]
    assert target == "http://push.example.com/job"
    assert headers["Proxy-Authorization"] == basic(unquote(login))


@pytest.mark.parametrize("proxy", ["http://[::1", "socks5://127.0.0.1:1"])
def test_a_proxy_that_is_none(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver, "ENVIRON", {"HTTP_PROXY": proxy})
    with pytest.raises(OperationFailed, match="cannot be sent"):
        deliver.deliver("text", "http://push.example.com/job")


def test_a_url_that_is_none() -> None:
    with pytest.raises(OperationFailed, match="cannot be sent") as error:
        deliver.deliver("text", "http://me:secret@[::1/job")
    assert error.value.why == "this is not a URL"
    assert "secret" not in f"{error.value}{error.value.where}"


def test_what_the_server_says_of_one_that_it_does_not_accept(server: tuple[str, Received]) -> None:
    with pytest.raises(OperationFailed, match="the report was not accepted") as error:
        deliver.deliver("text", f"http://me:secret@{server[0]}/metrics/job/bad")
    assert error.value.why == "HTTP 400: text format parsing error"
    assert error.value.where == [f"http://{server[0]}/metrics/job/bad"]


def test_a_name_that_is_not_utf8_is_sent_as_its_own_bytes(server: tuple[str, Received]) -> None:
    deliver.deliver("context a\udcff", f"http://{server[0]}/job")
    assert [body for *_, body in server[1]] == [b"context a\xff"]


def test_nobody_is_there() -> None:
    with pytest.raises(OperationFailed, match="the report cannot be sent") as error:
        deliver.deliver("text", "http://me:secret@127.0.0.1:9/job")
    assert error.value.why.startswith("Failed to establish a new connection: [Errno ")
    assert "secret" not in error.value.message()


def test_a_file(tmp_path: Path) -> None:
    """It is there when it is whole, and nothing beside it."""
    file = tmp_path / "helm-pin.prom"
    file.write_text("before")
    deliver.deliver("text", str(file))
    assert [(path, path.read_text(), path.stat().st_mode & 0o777) for path in tmp_path.iterdir()] == [
        (file, "text", 0o644)
    ]
    with pytest.raises(OperationFailed, match="cannot write the report") as error:
        deliver.deliver("text", str(tmp_path / "nowhere" / "file"))
    assert error.value.why == "No such file or directory"
