"""A server that breaks the rules: it sends the very bytes it is told to, and remembers what it was sent."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Request:
    """What came: the request line's parts and the headers, names in lower case."""

    def __init__(self, head: bytes, body: bytes) -> None:
        first, *lines = head.decode("latin1").split("\r\n")
        self.method, self.target, _ = (first + "  ").split(" ", 2)
        self.headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        self.body = body


Answer = Callable[[Request, socket.socket], "bytes | None"]
"""Answers a request by the bytes it returns, or by what it does with the socket; None closes the connection."""


class Hostile:
    """A running server; `requests` grows."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.requests: list[Request] = []
        self.connections = 0
        self.stopping = threading.Event()


@contextmanager
def serve(answer: Answer, *, certificate: tuple[Path, Path] | None = None) -> Iterator[Hostile]:
    """Serve on a free port of loopback, with a thread for each connection. certificate: and its key, to speak TLS."""
    tls = None
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*certificate)
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    hostile = Hostile(f"127.0.0.1:{listener.getsockname()[1]}")
    open_sockets: set[socket.socket] = set()

    def connection(raw: socket.socket) -> None:
        with suppress(OSError), tls.wrap_socket(raw, server_side=True) if tls else raw as peer:
            data = b""
            while not hostile.stopping.is_set():
                while b"\r\n\r\n" not in data:
                    more = peer.recv(65536)
                    if not more:
                        return
                    data += more
                head, data = data.split(b"\r\n\r\n", 1)
                request = Request(head, b"")
                length = int(request.headers.get("content-length", "0"))
                while len(data) < length:
                    data += peer.recv(65536)
                request.body, data = data[:length], data[length:]
                hostile.requests.append(request)
                reply = answer(request, peer)
                if reply is None:
                    return
                peer.sendall(reply)

    def accept() -> None:
        with suppress(OSError):
            while True:
                peer, _ = listener.accept()
                hostile.connections += 1
                open_sockets.add(peer)
                threading.Thread(target=connection, args=(peer,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield hostile
    finally:
        hostile.stopping.set()
        listener.close()
        for peer in list(open_sockets):  # one may just come in
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)


def response(status: str = "200 OK", body: bytes = b"", method: str = "GET", **headers: str) -> bytes:
    """An HTTP response; header names are given with _ for -. Content-Length is right unless given."""
    fields = {"Content_Length": str(len(body)), **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items() if value is not None)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin1") + (b"" if method == "HEAD" else body)


def reset(peer: socket.socket) -> None:
    """Close with RST instead of FIN."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
