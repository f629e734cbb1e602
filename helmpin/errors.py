"""The errors that a user can meet. Each class owns its exit status; cli.main turns them into the one message."""

from __future__ import annotations


class HelmPinError(Exception):
    """Something that stops the command: what happened, where, why, and what to do next.

    what: one line, no full stop. where: zero or more places (object and file, path in a file, flag).
    why: the reason, possibly several lines. hint: what the user can do now.
    """

    exit_status = 1

    def __init__(self, what: str, *, where: str | list[str] = (), why: str = "", hint: str = "") -> None:  # type: ignore[assignment]
        super().__init__(what)
        self.what = what
        self.where = [where] if isinstance(where, str) else list(where)
        self.why = why
        self.hint = hint

    def message(self, state: str = "") -> str:
        """The message as printed after `Error: `; continuation lines are indented, control characters escaped, and the logins of
        URLs masked. state: added to the first line, unless that says it."""
        from helmpin.output import mask_urls, one_line, printable

        lines = [one_line(self.what + (f"; {state}" if state not in self.what else ""))]
        lines += [f"  at    {one_line(place)}" for place in self.where]
        if self.why:
            lines += ["  why   " + self.why.rstrip().replace("\n", "\n        ")]
        if self.hint:
            lines += ["  next  " + self.hint.rstrip().replace("\n", "\n        ")]
        return printable(mask_urls("\n".join(lines)))


class HelmFailed(HelmPinError):
    """Helm, the cluster or what they need (a chart, values, kubectl) failed; `why` has Helm's own message. To the search it is a
    fault of its attempt, so it tries the next one. Exit status 1."""


class NoRelease(HelmFailed):
    """There is no such release, or no such revision of it. Exit status 1."""


class Unreadable(HelmFailed):
    """A stored revision exists and cannot be read, so what the release runs is not known. Exit status 1."""


class HelmStopped(HelmFailed):
    """Helm was killed, or another operation on the release is in progress. That says nothing about the chart, so the search does
    not try another candidate after it. Exit status 1."""


class OperationFailed(HelmPinError):
    """Something other than Helm and the cluster failed: a full disk, a closed stream, a report that cannot be sent. The search
    does not try another candidate after it. Exit status 1."""


class UsageError(HelmPinError):
    """The command line, the environment or .helm-pin.yaml is invalid. Exit status 2."""

    exit_status = 2


class Refused(HelmPinError):
    """A mutable tag under --mutable refuse, or an image that cannot be pinned. Exit status 3."""

    exit_status = 3


class VerificationFailed(HelmPinError):
    """What was read back does not match the record, or drift was found. Exit status 4."""

    exit_status = 4


class RegistryUnavailable(HelmPinError):
    """A registry could not answer for an image: unknown, forbidden, or unreachable. Exit status 5."""

    exit_status = 5


def why_invalid(error: Exception) -> str:
    """Why data that somebody else wrote cannot be read, from the exception that reading it raised. A ValueError's own message is
    used, unless it is Python's about types and limits."""
    import binascii
    import json

    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        return f"it is not valid JSON (line {error.lineno}, column {error.colno})"
    if isinstance(error, UnicodeError):
        return "it is not valid UTF-8"
    if isinstance(error, binascii.Error):
        return "it is not valid base64"
    if isinstance(error, OverflowError) or "integer string conversion" in str(error):
        return "a number in it is too long"
    return (
        str(error) if isinstance(error, ValueError) else "a part of it is missing, or has another type than it should"
    )
