"""A check of what was deployed, with its verdict."""

from __future__ import annotations

from helmpin.named_tuple import NamedTuple

OK, FAILED, UNKNOWN, SKIPPED = "ok", "failed", "cannot tell", "skipped"


class Check(NamedTuple):
    """One check: its name, its verdict, a line for people, and what it found (one line each)."""

    name: str
    verdict: str
    summary: str
    details: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    """What could not be read, in the words of the cluster or the registry. The verdict does not consider it."""
    may_change: bool = False
    """Whether the verdict may change with time."""
    staying: tuple[str, ...] = ()
    """The details that will not change with time, although a rollout is under way."""
    matched: int = 0
    """How many live objects or containers were seen as they should be."""
