"""Why a registry could not answer, and how text from elsewhere is made safe to show."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from typing import Literal

from helmpin.image.reference import Reference

MAX_LENGTH = 500
_RECOGNIZED = 8
"""Characters at the start of a secret that are hidden even if the rest is missing or differs."""
_SHORTEST = 4
"""Characters of a secret that is hidden wherever it stands. Nothing protects a shorter one, and any word may have its letters."""
Kind = Literal["not-found", "unauthorized", "forbidden", "unreachable", "timeout", "bad-answer", "rate-limited"]


class Failure(Exception):
    """Why one request failed, before the affected images are known. Mutable: see redact(). Used only inside this package and
    by keychains.

    retryable: the same request may succeed a moment later. down: no request to this host can succeed.
    """

    def __init__(
        self,
        kind: Kind,
        reason: str,
        hint: str = "",
        *,
        status: int | None = None,
        retryable: bool = False,
        down: bool = False,
    ):
        super().__init__(reason)
        self.kind: Kind = kind
        self.reason = reason
        self.hint = hint
        self.status = status
        self.retryable = retryable
        self.down = down

    def at(self, where: str) -> Failure:
        """The same failure, with the place that it concerns before the reason: `token server auth.example`."""
        reason = f"{where}: {self.reason}"
        return Failure(self.kind, reason, self.hint, status=self.status, retryable=self.retryable, down=self.down)

    def redact(self, secrets: Iterable[str]) -> None:
        """Remove secrets, in place: a failure that holds a server's own words may be kept and raised again."""
        secrets = list(secrets)
        self.reason, self.hint = redact(self.reason, secrets), redact(self.hint, secrets)
        self.args = (self.reason,)


@contextmanager
def failing_at(where: str) -> Iterator[None]:
    """Add a place to a Failure raised in this block. where: '' if the message names the server anyway."""
    try:
        yield
    except Failure as failure:
        if not where:
            raise
        raise failure.at(where) from None


class RegistryError(Exception):
    """Why there is no answer for `reference`: returned by resolve(), or raised by callers.

    status: the HTTP status, if any. reason: a clause for people. hint: what the user can try. Neither holds secrets.
    str() is `registry: reason`, to follow the image's name.
    """

    def __init__(
        self, reference: Reference, kind: Kind, reason: str, hint: str = "", status: int | None = None
    ) -> None:
        super().__init__(f"{reference.registry}: {reason}")
        self.reference = reference
        self.registry = reference.registry
        self.kind: Kind = kind
        self.reason = reason
        self.hint = hint
        self.status = status

    def about(self, reference: Reference) -> RegistryError:
        """The same error for another reference."""
        if reference == self.reference:
            return self
        return RegistryError(reference, self.kind, self.reason, self.hint, self.status)

    def __repr__(self) -> str:
        return f"RegistryError({str(self.reference)!r}, {self.kind!r}, {self.reason!r})"


def printable(text: str) -> str:
    """The text with `?` for every character that is not printable ASCII."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, and shortened. A hostile server may echo what it was sent, anywhere."""
    for secret in sorted(filter(None, map(printable, secrets)), key=len, reverse=True):
        text = _without(text, secret) if len(secret) >= _SHORTEST else _without_word(text, secret)
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 3]}..."


def _without(text: str, secret: str) -> str:
    at = text.find(secret[:_RECOGNIZED])
    while at >= 0:
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text[at:], secret, strict=False)))
        text = f"{text[:at]}***{text[at + same :]}"
        at = text.find(secret[:_RECOGNIZED], at + 3)
    return text


def _without_word(text: str, secret: str) -> str:
    """Without a short secret, where it is no part of a word."""
    before, after = (r"(?<![A-Za-z])" if secret[0].isalpha() else ""), (r"(?![A-Za-z])" if secret[-1].isalpha() else "")
    return re.sub(f"{before}{re.escape(secret)}{after}", "***", text)
