"""What the exceptions of urllib3, TLS and the system say about a host, for people."""

from __future__ import annotations

import re
import socket
import ssl
from typing import Any

from urllib3 import exceptions

from helmpin.registry.errors import Failure
from helmpin.registry.said import printable

CONNECT_TIMEOUT = 5.0
"""Seconds that a host may take to accept a connection."""
MORE_TIME = "try again, or give it more time with --registry-timeout"


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
