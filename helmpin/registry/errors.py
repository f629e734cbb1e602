"""What can go wrong with one image at its registry."""

from __future__ import annotations


class RegistryError(Exception):
    """Why a registry did not answer for one image.

    kind: not-found, unauthorized, forbidden, rate-limited, unreachable, timeout, bad-answer or credentials.
    status: the HTTP status, or None when there was none.
    """

    def __init__(self, kind: str, reason: str, *, registry: str = "", repository: str = "", status: int | None = None, todo: str = "") -> None:
        super().__init__(reason)
        self.kind, self.reason, self.status, self.todo = kind, reason, status, todo
        self.registry, self.repository = registry, repository

    def __str__(self) -> str:
        where = f"{self.registry}: " if self.registry else ""
        return where + self.reason + (f" (HTTP {self.status})" if self.status else "")


class Transient(RegistryError):
    """A failure that may pass: it is tried again within the time that is left. `wait` is what Retry-After asked for, in seconds."""

    wait: float | None = None
