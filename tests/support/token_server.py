"""A token server as distribution specifies it (docs/spec/auth/token.md, oauth.md): real users, real signatures.

A registry that is set to trust `certificate` and to expect ISSUER and SERVICE accepts its tokens.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ISSUER = "test token server"
SERVICE = "test-registry"


class TokenServer:
    """Users with their passwords, identity tokens, and the repositories that each may use. `public/` is open to all."""

    def __init__(self, folder: Path, users: dict[str, str], *, oauth: bool = True) -> None:
        self.users, self.oauth = users, oauth
        self.identity_tokens: dict[str, str] = {}
        self.lifetime = 300
        self.requests: list[tuple[str, str, str]] = []
        """(method, user or '', scopes)."""
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._certificate = _self_signed(self._key)
        self.certificate = folder / "token.pem"
        self.certificate.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        self.realm = ""

    def login(self, user: str) -> str:
        """An identity token for a user."""
        token = secrets.token_urlsafe(24)
        self.identity_tokens[token] = user
        return token

    def allowed(self, user: str, scope: str) -> dict[str, Any] | None:
        """What is granted of a scope: everything of `USER/…`, pull of `public/…`, and nothing else."""
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        asked = actions.split(",")
        granted = (
            asked
            if (user and name.startswith(f"{user}/")) or user == "admin"
            else [a for a in asked if a == "pull" and name.startswith("public/")]
        )
        return {"type": kind, "name": name, "actions": granted} if granted else None

    def token(self, user: str, scopes: list[str]) -> str:
        """A signed token (RFC 7519) with what is granted."""
        now = int(time.time())
        access = [granted for scope in scopes for part in scope.split() if (granted := self.allowed(user, part))]
        claims = {
            "iss": ISSUER,
            "sub": user,
            "aud": SERVICE,
            "exp": now + self.lifetime,
            "nbf": now - 10,
            "iat": now,
            "jti": secrets.token_hex(8),
        }
        chain = [b64encode(self._certificate.public_bytes(serialization.Encoding.DER)).decode()]
        header = {"typ": "JWT", "alg": "RS256", "x5c": chain}
        signed = ".".join(_base64(json.dumps(part).encode()) for part in (header, {**claims, "access": access}))
        return signed + "." + _base64(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))


@contextmanager
def serve(server: TokenServer) -> Iterator[TokenServer]:
    """Run it on a free port of loopback; its `realm` is then known."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            scheme, _, encoded = self.headers.get("Authorization", "").partition(" ")
            user, _, password = b64decode(encoded).decode().partition(":") if scheme == "Basic" else ("", "", "")
            query = parse_qs(urlsplit(self.path).query)
            scopes = query.get("scope", [])
            server.requests.append(("GET", user, " ".join(scopes)))
            if (user and server.users.get(user) != password) or query.get("service") != [SERVICE]:
                self.answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "who are you?"}]})
            else:
                self.answer(200, {"token": server.token(user, scopes), "expires_in": server.lifetime})

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            user = server.identity_tokens.get(form.get("refresh_token", [""])[0])
            scopes = form.get("scope", [])
            server.requests.append(("POST", user or "", " ".join(scopes)))
            if not server.oauth:
                self.answer(404, {})
            elif (
                form.get("grant_type") != ["refresh_token"]
                or form.get("service") != [SERVICE]
                or user is None
                or "client_id" not in form
            ):
                self.answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "no such refresh token"}]})
            else:
                self.answer(
                    200,
                    {
                        "access_token": server.token(user, scopes),
                        "expires_in": server.lifetime,
                        "scope": " ".join(scopes),
                    },
                )

        def answer(self, status: int, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as http:
        server.realm = f"http://127.0.0.1:{http.server_address[1]}/token"
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _self_signed(key: rsa.RSAPrivateKey) -> x509.Certificate:
    from datetime import datetime, timedelta, timezone

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, ISSUER)])
    now = datetime.now(timezone.utc)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now - timedelta(hours=1), now + timedelta(days=1)
    )
    usage = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH])
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .add_extension(usage, False)
        .sign(key, hashes.SHA256())
    )
