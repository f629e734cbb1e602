"""HTTP over pooled connections: one exchange with a deadline, a cap on the body, and failures told apart.

The only module that imports urllib3, which takes longer than any other import of this project: import it late.
"""

from __future__ import annotations

import functools
import os
import re
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3 import exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from helmpin import __version__
from helmpin.errors import UsageError
from helmpin.registry.endpoints import proxy_for
from helmpin.registry.errors import Failure, printable
from helmpin.registry.types import Credential, RegistrySettings

MAX_BODY = 4 * 1024 * 1024
"""Bytes of a manifest, at most: what the OCI distribution specification tells registries to accept."""
_CHUNK = 64 * 1024
CONNECT_TIMEOUT = 5.0
"""Seconds that a host may take to accept a connection."""
MORE_TIME = "try again, or give it more time with --registry-timeout"


class Answer(NamedTuple):
    """One HTTP response, read whole."""

    status: int
    headers: Mapping[str, str]
    challenges: list[str]
    """The WWW-Authenticate headers."""
    body: bytes
    method: str
    """That of the request."""

    def __repr__(self) -> str:  # a token server's body is a secret
        return f"Answer({self.status}, {len(self.body)} bytes)"


class Transport:
    """The connections of one run. Safe to use from many threads."""

    def __init__(self, settings: RegistrySettings, deadline: float, environ: Mapping[str, str] = os.environ) -> None:
        """deadline: on time.monotonic(); no exchange outlasts it once close() is called then."""
        self._settings, self._deadline, self._environ = settings, deadline, environ
        self._lock = threading.Lock()
        self._managers: dict[str, urllib3.PoolManager] = {}
        self._connections: weakref.WeakSet[HTTPConnection] = weakref.WeakSet()

    def remaining(self) -> float:
        """Seconds until the deadline."""
        return self._deadline - time.monotonic()

    def exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """Send one request and read its answer; no redirect is followed, nothing is tried again.

        Raises Failure: `unreachable`, `timeout` or `bad-answer`. Raises UsageError for certificate files that cannot be
        read.
        """
        left = self.remaining()
        if left <= 0:
            raise Failure("timeout", "there was no time left to ask", MORE_TIME)
        parts = urlsplit(url)
        patience = max(left / 2, min(left, 1.0))  # so that a second try, or another mirror, is possible
        enough = min(self._deadline, time.monotonic() + patience)
        try:
            response = self._manager(parts.scheme, parts.netloc).urlopen(
                method,
                url,
                body=body,
                headers={"User-Agent": f"helm-pin/{__version__}", **headers},
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=min(CONNECT_TIMEOUT, patience), read=patience),
            )
            try:
                content = _read(response, enough)
            except BaseException:
                response.close()
                raise
            response.release_conn()
        except (exceptions.HTTPError, OSError, ValueError) as error:
            raise failure(error, parts.netloc) from None
        challenges = response.headers.getlist("WWW-Authenticate")
        return Answer(response.status, response.headers, challenges, content, method)

    def close(self) -> None:
        """Break every connection, also those that a thread is waiting on."""
        for connection in list(self._connections):
            with suppress(OSError, ValueError):
                if connection.sock is not None:
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
        for manager in self._managers.values():
            manager.clear()

    def _manager(self, scheme: str, host: str) -> urllib3.PoolManager:
        proxy = proxy_for(scheme, host, self._environ)
        with self._lock:
            manager = self._managers.get(f"{scheme} {proxy}")
            if manager is None:
                manager = self._managers[f"{scheme} {proxy}"] = self._new_manager(scheme, proxy)
            return manager

    def _new_manager(self, scheme: str, proxy: str | None) -> urllib3.PoolManager:
        options: dict[str, Any] = {"maxsize": self._settings.max_per_host, "num_pools": 1000}
        if scheme == "https":
            options["ssl_context"] = tls_context(self._settings)
        if proxy:
            bare, login = _proxy(proxy)
            headers = {"Proxy-Authorization": login} if login else None
            manager: urllib3.PoolManager = urllib3.ProxyManager(bare, proxy_headers=headers, **options)
        else:
            manager = urllib3.PoolManager(**options)
        manager.pool_classes_by_scheme = {
            "http": self._pool(HTTPConnectionPool),
            "https": self._pool(HTTPSConnectionPool),
        }
        return manager

    def _pool(self, base: Any) -> Any:
        """A pool class whose connections are known to close()."""
        connections = self._connections
        kind: type[HTTPConnection] = HTTPSConnection if base is HTTPSConnectionPool else HTTPConnection

        class Connection(kind):  # type: ignore[valid-type,misc]
            def connect(self) -> None:
                connections.add(self)
                super().connect()

        class Pool(base):  # type: ignore[misc]
            ConnectionCls = Connection

        return Pool


def _proxy(url: str) -> tuple[str, str]:
    """A proxy's URL without its login, and the login as Proxy-Authorization wants it. Raises Failure."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        why = "the proxy that the environment names is not the URL of an HTTP proxy"
        raise Failure(
            "unreachable", why, "set HTTPS_PROXY or HTTP_PROXY to http://HOST:PORT, or NO_PROXY", down=True
        ) from None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    login = Credential(unquote(parts.username or ""), unquote(parts.password or ""))
    return f"{parts.scheme}://{host}{port}", login.basic


def _read(response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    """The whole body. Raises Failure when it is larger than MAX_BODY or the deadline passes; what urllib3 raises
    otherwise."""
    length = response.headers.get("Content-Length", "")
    if (
        length.isdecimal()
        and len(length) < 19
        and int(length) > MAX_BODY
        and response.status == 200
        and response.length_remaining != 0
    ):
        raise Failure(
            "bad-answer",
            f"the answer has {length} bytes; a manifest has at most {MAX_BODY}",
            "look at what answers there",
        )
    chunks: list[bytes] = []
    size = 0
    while chunk := response.read1(_CHUNK):
        size += len(chunk)
        if size > MAX_BODY:
            raise Failure(
                "bad-answer",
                f"the answer goes on after {MAX_BODY} bytes, the most that a manifest has",
                "look at what answers there",
            )
        if time.monotonic() > deadline:
            raise Failure("timeout", "the answer came too slowly", MORE_TIME)
        chunks.append(chunk)
    return b"".join(chunks)


def tls_context(settings: RegistrySettings) -> ssl.SSLContext:
    """What settings say of TLS. Raises UsageError for files that cannot be used, naming where each was named."""
    try:
        return _tls_context(*settings.certificates)
    except UsageError as error:
        named = [f"{where}: {path}" for path, where in settings.named if path in error.where]
        error.where = named or error.where
        raise


@functools.lru_cache
def _tls_context(ca_file: str | None, client_cert: str | None, client_key: str | None) -> ssl.SSLContext:
    """The system's authorities and those of ca_file, and a client certificate."""
    context = ssl.create_default_context()
    # From Python 3.13 on: refuses what private authorities often leave out (RFC 5280, 4.2.1.1), and Helm and docker take.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if ca_file:
        _load([ca_file], "certificate authorities", lambda: context.load_verify_locations(cafile=ca_file))
    if client_cert:
        files = [client_cert, client_key] if client_key else [client_cert]
        chain = functools.partial(context.load_cert_chain, client_cert, client_key, password=_no_password)
        _load(files, "client certificate", chain)
    return context


def speaks_tls(host: str, timeout: float) -> bool:
    """Whether a server answers a TLS handshake. Nothing is sent to it, and nothing of it trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        parts = urlsplit(f"//{host}")
        with (
            socket.create_connection((parts.hostname or "", parts.port or 443), timeout) as plain,
            context.wrap_socket(plain),
        ):
            return True
    except (OSError, ValueError):
        return False


def _load(paths: list[str], what: str, load: Callable[[], object]) -> None:
    """Load PEM files. Raises UsageError for those that cannot be read or that do not fit together."""
    at_fault = paths
    try:
        for path in paths:
            at_fault = [path]
            Path(path).open("rb").close()  # ssl does not tell which of them it cannot open
        at_fault = paths
        load()
    except (OSError, ValueError) as error:
        why = _why_not_loaded(error)
        raise UsageError(f"cannot use the {what} for registries", where=at_fault, why=why) from None


def _why_not_loaded(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return "the key is not that of the certificate" if error.reason == "KEY_VALUES_MISMATCH" else "it is not PEM"
    return str(error.strerror if isinstance(error, OSError) else error)


def _no_password() -> str:
    raise ValueError("the key is encrypted: helm-pin asks for no passphrase")


def failure(error: Exception, host: str) -> Failure:
    """What an exception of urllib3 or the system says about a host, for people. Never holds a header or a body."""
    if isinstance(error, Failure):
        return error
    inner: BaseException = error
    if isinstance(error, exceptions.ProxyError):
        via = error.original_error
        return Failure(
            "unreachable",
            f"the proxy cannot be used for {host}: {_words(via)}",
            "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY",
            again=True,
            down=True,
        )
    if isinstance(error, exceptions.NameResolutionError):
        again = getattr(error.__cause__, "errno", None) == socket.EAI_AGAIN
        todo = "check the registry's name, and that this machine's DNS works"
        return Failure("unreachable", f"the host {host} is not known (DNS)", todo, again=again, down=True)
    if isinstance(error, exceptions.ConnectTimeoutError) and not isinstance(error, exceptions.NewConnectionError):
        return Failure(
            "timeout", f"{host} does not take the connection within {CONNECT_TIMEOUT:g} s", _REACH, down=True
        )
    if isinstance(error, exceptions.NewConnectionError):
        inner = error.__cause__ or error.__context__ or error
        return Failure("unreachable", f"no connection to {host}: {_words(inner)}", _REACH, again=True, down=True)
    if isinstance(error, (exceptions.ReadTimeoutError, TimeoutError)):
        return Failure("timeout", f"{host} took the request and did not answer in time", MORE_TIME, again=True)
    if isinstance(error, (exceptions.SSLError, ssl.SSLError)):
        return _tls_failure(error, host)
    if isinstance(error, (exceptions.LocationValueError, ValueError, exceptions.HTTPWarning)):
        return Failure(
            "unreachable",
            f"{printable(host)!r} is not an address that can be asked",
            "check the registry's name and port",
            down=True,
        )
    if isinstance(error, exceptions.ProtocolError) and len(error.args) > 1 and isinstance(error.args[1], BaseException):
        inner = error.args[1]
    return Failure("unreachable", f"the connection to {host} broke: {_words(inner)}", "try again", again=True)


_REACH = "check that the registry runs and that this machine may reach it (firewall, VPN, proxy)"


def _tls_failure(error: BaseException, host: str) -> Failure:
    inner: Any = error.args[0] if error.args and isinstance(error.args[0], ssl.SSLError) else error
    if isinstance(inner, ssl.SSLCertVerificationError):
        todo = "if a private authority signed it, name its file with --registry-ca-file"
        return Failure(
            "unreachable", f"the certificate of {host} is not trusted: {inner.verify_message}", todo, down=True
        )
    reason = getattr(inner, "reason", None) or "it failed"
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"):
        return Failure(
            "unreachable",
            f"{host} does not speak TLS",
            f"if it speaks plain HTTP, add --registry-plain-http {host}",
            down=True,
        )
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
        todo = "if it wants a client certificate, give it with --registry-client-cert and --registry-client-key"
        return Failure("unreachable", f"{host} refused the TLS handshake ({reason})", todo, down=True)
    return Failure("unreachable", f"TLS with {host} failed: {reason}", "try again", again=True)


def _words(error: BaseException | None) -> str:
    """An error's own words, from a closed list: a server's text could hold what it was sent."""
    if isinstance(error, exceptions.IncompleteRead) or type(error).__name__ == "IncompleteRead":
        return "the answer was cut off"
    refused = re.match(r"Tunnel connection failed: (\d{3})\b", str(error)) if isinstance(error, OSError) else None
    if refused:
        return f"it answered with HTTP {refused[1]}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    names = {
        "RemoteDisconnected": "it was closed without an answer",
        "BadStatusLine": "the answer is not HTTP",
        "LineTooLong": "a line of the answer has no end",
    }
    return names.get(type(error).__name__, "the answer is not HTTP")
