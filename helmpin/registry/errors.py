"""Why a registry could not answer for one image: a value that resolve() returns, and an exception that callers may
raise."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import Literal

from helmpin.image.reference import Reference

MAX_LENGTH = 500
_ENOUGH = 8
"""Characters of a secret's beginning that are hidden even where the rest is missing or differs."""
Kind = Literal["not-found", "unauthorized", "forbidden", "unreachable", "timeout", "bad-answer", "rate-limited"]


class Failure(Exception):
    """Why one request did not work, before it is known for which images. Only inside this room."""

    def __init__(
        self,
        kind: Kind,
        reason: str,
        todo: str = "",
        *,
        status: int | None = None,
        again: bool = False,
        down: bool = False,
    ):
        super().__init__(reason)
        self.kind: Kind = kind
        self.reason = reason
        self.todo = todo
        self.status = status
        self.again = again
        """Whether the same request may work a moment later."""
        self.down = down
        """Whether no request to this host can work."""

    def clean(self, secrets: Iterable[str]) -> None:
        """Take the secrets out of what it says: a server's own words may be in it."""
        secrets = list(secrets)
        self.reason, self.todo = clean(self.reason, secrets), clean(self.todo, secrets)
        self.args = (self.reason,)


class RegistryError(Exception):
    """Why there is no answer for `reference`.

    status: the HTTP status, where there was one. reason and todo: for people, without secrets; reason is a clause, todo
    is what the user can try. str() is `registry: reason`, to follow the image's name.
    """

    def __init__(
        self, reference: Reference, kind: Kind, reason: str, todo: str = "", status: int | None = None
    ) -> None:
        super().__init__(f"{reference.registry}: {reason}")
        self.reference = reference
        self.registry = reference.registry
        self.repository = reference.repository
        self.kind: Kind = kind
        self.reason = reason
        self.todo = todo
        self.status = status

    def about(self, reference: Reference) -> RegistryError:
        """The same error for another reference."""
        return (
            self
            if reference == self.reference
            else RegistryError(reference, self.kind, self.reason, self.todo, self.status)
        )

    def __repr__(self) -> str:
        return f"RegistryError({str(self.reference)!r}, {self.kind!r}, {self.reason!r})"


def printable(text: str) -> str:
    """Each character that is not printable ASCII as `?`."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def clean(text: str, secrets: Iterable[str]) -> str:
    """A text without the secrets, and cut. A hostile server may send back what it was sent, anywhere."""
    for secret in sorted(map(printable, secrets), key=len, reverse=True):
        at = text.find(secret[:_ENOUGH]) if secret else -1
        while at >= 0:
            same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text[at:], secret, strict=False)))
            text = f"{text[:at]}***{text[at + same :]}"
            at = text.find(secret[:_ENOUGH], at + 3)
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 3]}..."
