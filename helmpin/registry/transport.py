"""HTTP over pooled connections: one exchange, with a deadline, a limit on the body, and a Failure for every exception.

The only module here that imports urllib3, the slowest import of this project: import it late.
"""

from __future__ import annotations

import functools
import re
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3 import exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from helmpin import __version__
from helmpin.env import ENVIRON
from helmpin.errors import UsageError
from helmpin.named_tuple import NamedTuple
from helmpin.registry.endpoints import proxy_for, proxy_variable
from helmpin.registry.errors import Failure, printable
from helmpin.registry.types import Credential, RegistrySettings

MAX_BODY = 4 * 1024 * 1024
"""The largest manifest, in bytes, that the OCI distribution specification requires registries to accept."""
_CHUNK = 64 * 1024
CONNECT_TIMEOUT = 5.0
"""Seconds that a host may take to accept a connection."""
MORE_TIME = "try again, or raise --registry-timeout"
_ANOTHER_NAME = frozenset({62, 64})
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH (openssl, x509_vfy.h)."""
_REACH = "check that the registry is running and reachable from this machine (firewall, VPN, proxy)"


class Answer(NamedTuple):
    """One complete HTTP response."""

    status: int
    headers: Mapping[str, str]
    challenges: list[str]
    """The WWW-Authenticate headers."""
    body: bytes
    method: str
    """The method of the request."""
    redirected: str = ""
    """The host that sent it, if a redirect led to another server."""

    def __repr__(self) -> str:  # the body may be a token
        return f"Answer({self.status}, {len(self.body)} bytes)"


class Transport:
    """The connections of one run. Mutable. Safe to use from many threads."""

    def __init__(self, settings: RegistrySettings, deadline: float, environ: Mapping[str, str] = ENVIRON) -> None:
        """deadline: on time.monotonic(). Calling close() at the deadline ends every exchange that is still running."""
        self._settings, self._deadline, self._environ = settings, deadline, environ
        self._lock = threading.Lock()
        self._managers: dict[str, urllib3.PoolManager] = {}
        self._connections: weakref.WeakSet[HTTPConnection] = weakref.WeakSet()

    def remaining(self) -> float:
        """Seconds until the deadline."""
        return self._deadline - time.monotonic()

    def exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """Send one request and read the response, without following redirects or retrying.

        Raises Failure (`unreachable`, `timeout` or `bad-answer`), and UsageError for unusable certificate files.
        """
        left = self.remaining()
        if left <= 0:
            raise Failure("timeout", "no time left for this request", MORE_TIME)
        parts = urlsplit(url)
        patience = max(left / 2, min(left, 1.0))  # leaves time for a retry or another mirror
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
            raise _failure(error, parts.netloc) from None
        challenges = response.headers.getlist("WWW-Authenticate")
        return Answer(
            status=response.status, headers=response.headers, challenges=challenges, body=content, method=method
        )

    def close(self) -> None:
        """Close every connection, even those that a thread is waiting on."""
        for connection in list(self._connections):
            with suppress(OSError, ValueError):
                if connection.sock is not None:
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
        with self._lock:  # a thread may just make one
            managers = list(self._managers.values())
        for manager in managers:
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
            bare, login = _proxy(proxy, proxy_variable(scheme, self._environ))
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
        """A pool class that registers its connections for close()."""
        connections = self._connections
        kind: type[HTTPConnection] = HTTPSConnection if base is HTTPSConnectionPool else HTTPConnection

        class Connection(kind):  # type: ignore[valid-type,misc]
            def connect(self) -> None:
                connections.add(self)
                super().connect()

        class Pool(base):  # type: ignore[misc]
            ConnectionCls = Connection

        return Pool


def _proxy(url: str, variable: str) -> tuple[str, str]:
    """A proxy's URL without its login, and the login as a Proxy-Authorization header. variable: where the URL is from. Raises
    Failure, without the URL: it may hold a password."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme not in ("http", "https") or not re.fullmatch(r"[\w.:%-]+", host, re.ASCII):
            raise ValueError
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        is_socks = url.lower().startswith("socks")
        kind = "names a SOCKS proxy, which helm-pin cannot use" if is_socks else "is not the URL of an HTTP proxy"
        why = f"the environment variable {variable} {kind}"
        hint = f"set {variable} to http://HOST:PORT, or exclude the registry with NO_PROXY"
        raise Failure("unreachable", why, hint, down=True) from None
    host = f"[{host}]" if ":" in host else host
    login = Credential(username=unquote(parts.username or ""), password=unquote(parts.password or ""))
    return f"{parts.scheme}://{host}{port}", login.basic


def _read(response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    """The complete body. Raises Failure if it exceeds MAX_BODY or the deadline passes, and whatever urllib3 raises."""
    length = response.headers.get("Content-Length", "")
    if length and response.length_remaining is None and not response.chunked:  # nobody knows where the body ends
        raise _not_understood("its Content-Length is not a number")
    if (
        length.isdecimal()
        and (len(length) > len(str(MAX_BODY)) or int(length) > MAX_BODY)
        and response.status == 200
        and response.length_remaining != 0
    ):
        raise _too_large(f"{length[:30]} bytes")
    chunks: list[bytes] = []
    size = 0
    while chunk := response.read1(_CHUNK):
        size += len(chunk)
        if size > MAX_BODY:
            raise _too_large("more")
        if time.monotonic() > deadline:
            raise Failure("timeout", "the response arrived too slowly", MORE_TIME)
        chunks.append(chunk)
    return b"".join(chunks)


def _not_understood(why: str) -> Failure:
    hint = "check which server answers at this address: it may be a proxy"
    return Failure("bad-answer", f"the response cannot be understood: {why}", hint, retryable=True)


def _too_large(size: str) -> Failure:
    why = f"the response is too large: {size}, and a manifest may have {MAX_BODY} bytes"
    return Failure("bad-answer", why, "check which server answers at this address")


def tls_context(settings: RegistrySettings) -> ssl.SSLContext:
    """The TLS context for these settings. Raises UsageError for unusable files, with the setting that names each."""
    try:
        return load_tls_context(*settings.certificates)
    except UsageError as error:
        named = [f"{where}: {path}" for path, where in settings.named if path in error.where]
        raise UsageError(error.what, where=named or error.where, why=error.why) from None


@functools.lru_cache
def load_tls_context(ca_file: str | None, client_cert: str | None, client_key: str | None) -> ssl.SSLContext:
    """The system's authorities and those of ca_file, and a client certificate."""
    context = ssl.create_default_context()
    # On since Python 3.13. It rejects certificates without key identifiers (RFC 5280, 4.2.1.1), which private authorities
    # often issue and Helm and Docker accept.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if ca_file:
        _load([ca_file], "certificate authorities", lambda: context.load_verify_locations(cafile=ca_file))
    if client_cert:
        files = [client_cert, client_key] if client_key else [client_cert]
        chain = functools.partial(context.load_cert_chain, client_cert, client_key, password=_no_password)
        _load(files, "client certificate", chain)
    return context


def speaks_tls(host: str, timeout: float) -> bool:
    """Whether a server answers a TLS handshake. Sends it nothing and trusts nothing it says."""
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
    """Load PEM files. Raises UsageError if they cannot be read or do not belong together."""
    at_fault = paths
    try:
        for path in paths:
            at_fault = [path]
            Path(path).open("rb").close()  # ssl does not report which file it cannot open
        at_fault = paths
        load()
    except (OSError, ValueError) as error:
        why = _why_not_loaded(error)
        raise UsageError(f"cannot use the {what} for registries", where=at_fault, why=why) from None


def _why_not_loaded(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return "the key does not match the certificate" if error.reason == "KEY_VALUES_MISMATCH" else "not a PEM file"
    return str(error.strerror if isinstance(error, OSError) else error)


def _no_password() -> str:
    raise ValueError("the key is encrypted, and helm-pin does not prompt for a passphrase")


def _failure(error: Exception, host: str) -> Failure:
    """An exception of urllib3 or the system as a Failure. Never holds a header or a body."""
    cause: BaseException | None = error
    if isinstance(error, exceptions.ProxyError):
        why = f"cannot use the proxy for {host}: {_reason(error.original_error)}"
        return Failure("unreachable", why, "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY", retryable=True, down=True)
    if isinstance(error, exceptions.NameResolutionError):
        passing = getattr(error.__cause__, "errno", None) == socket.EAI_AGAIN
        hint = "check the registry's name, and this machine's DNS"
        return Failure("unreachable", f"cannot resolve {host} (DNS)", hint, retryable=passing, down=True)
    if isinstance(error, exceptions.NewConnectionError):  # a ConnectTimeoutError too, by inheritance
        why = f"cannot connect to {host}: {_reason(error)}"
        return Failure("unreachable", why, _REACH, retryable=True, down=True)
    if isinstance(error, exceptions.ConnectTimeoutError):
        why = f"connection to {host} timed out after {CONNECT_TIMEOUT:g} s"
        return Failure("timeout", why, _REACH, down=True)
    if isinstance(error, (exceptions.ReadTimeoutError, TimeoutError)):
        return Failure("timeout", f"no response from {host} in time", MORE_TIME, retryable=True)
    if isinstance(error, (exceptions.SSLError, ssl.SSLError)):
        return _tls_failure(error, host)
    if isinstance(error, exceptions.InvalidHeader):
        return _not_understood("it has more than one Content-Length")
    if isinstance(error, (exceptions.LocationValueError, ValueError, exceptions.HTTPWarning)):
        why = f"{printable(host)!r} is not a valid address"
        return Failure("unreachable", why, "check the registry's name and port", down=True)
    if isinstance(error, exceptions.ProtocolError) and len(error.args) > 1 and isinstance(error.args[1], BaseException):
        cause = error.args[1]
    return Failure("unreachable", f"connection to {host} failed: {_reason(cause)}", "try again", retryable=True)


def _tls_failure(error: BaseException, host: str) -> Failure:
    inner: Any = error.args[0] if error.args and isinstance(error.args[0], ssl.SSLError) else error
    if isinstance(inner, ssl.SSLCertVerificationError):
        why = f"the certificate of {host} is not trusted: {inner.verify_message}"
        hint = "if a private certificate authority signed it, pass that authority's file with --registry-ca-file"
        if inner.verify_code in _ANOTHER_NAME:
            hint = "use a name that the certificate has, or a certificate that has this one"
        return Failure("unreachable", why, hint, down=True)
    reason = getattr(inner, "reason", None) or "unknown reason"
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"):
        hint = f"if it uses plain HTTP, add --registry-plain-http {host}"
        return Failure("unreachable", f"{host} does not use TLS", hint, down=True)
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
        hint = "if it requires a client certificate, pass --registry-client-cert and --registry-client-key"
        return Failure("unreachable", f"{host} rejected the TLS handshake ({reason})", hint, down=True)
    return Failure("unreachable", f"TLS handshake with {host} failed: {reason}", "try again", retryable=True)


def _reason(error: BaseException | None) -> str:
    """An exception in words from a closed list: its own text could repeat what a server sent."""
    if isinstance(error, exceptions.NewConnectionError):
        error = error.__cause__ or error.__context__ or error
    if isinstance(error, exceptions.IncompleteRead) or type(error).__name__ == "IncompleteRead":
        return "the response was cut off"
    refused = re.match(r"Tunnel connection failed: (\d{3})\b", str(error)) if isinstance(error, OSError) else None
    if refused:
        return f"it responded with HTTP {refused[1]}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    words = {"RemoteDisconnected": "closed without a response", "LineTooLong": "a line of the response is too long"}
    return words.get(type(error).__name__, "the response is not HTTP")
