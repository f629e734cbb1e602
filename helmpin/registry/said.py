"""Text that others wrote, made fit to print: nothing secret, no control characters, no more than a few lines."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

MAX_LENGTH = 500
_ENOUGH = 8
"""Characters of a secret's beginning that are hidden even where the rest is missing or differs."""


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
