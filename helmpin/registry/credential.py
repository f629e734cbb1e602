"""One credential. What is secret in it never shows in a repr."""

from __future__ import annotations

from base64 import b64encode
from typing import NamedTuple


class Credential(NamedTuple):
    """What a keychain holds for a registry; which fields are set says what kind it is.

    Username and password (HTTP Basic, RFC 7617), or an identity token, which a token server exchanges (OAuth2 refresh
    token), or a registry token, which is sent to the registry as it is (Bearer).
    """

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""
    source: str = ""
    """Where it comes from, for people: a file, a credential helper, a Secret."""

    def __repr__(self) -> str:
        return f"Credential(from {self.source or 'nowhere'})"

    def __str__(self) -> str:
        return repr(self)

    def __bool__(self) -> bool:
        return bool(self.username or self.password or self.identity_token or self.registry_token)

    @property
    def basic(self) -> str:
        """The value of an Authorization header for HTTP Basic; '' when there is neither user name nor password."""
        if not (self.username or self.password):
            return ""
        return "Basic " + b64encode(f"{self.username}:{self.password}".encode()).decode()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that must not show anywhere, this credential's encoded form among them."""
        return tuple(text for text in (self.password, self.identity_token, self.registry_token, self.basic[6:]) if text)
