"""What an answer that is not 200 means, and what can be done."""

from __future__ import annotations

import json
import time
from email.utils import mktime_tz, parsedate_tz

from helmpin.image.reference import DOCKER_HUB, Reference, valid_digest
from helmpin.registry import challenge
from helmpin.registry.errors import Failure, printable
from helmpin.registry.transport import Answer


def refusal(answer: Answer, repository: str, what: str, sources: str) -> Failure:
    """The failure that an answer to a request for `what` (a tag or a digest) stands for.

    sources: where the credentials that were shown came from, or ''.
    """
    status = answer.status
    code, _ = error_document(answer.body)
    said = told(answer)
    if status == 404:
        missing = f"{'manifest' if valid_digest(what) else 'tag'} {what} in {repository}"
        missing = f"repository {repository}" if code == "NAME_UNKNOWN" else missing
        return Failure("not-found", f"there is no {missing} ({said})", status=status)
    if status == 401 and challenge.choose(challenge.parse(answer.challenges)) is None:
        why = f"it wants to know who asks for {repository}, and does not say in which way ({said})"
        todo = "look at what answers there: registries ask for Basic or Bearer authentication in WWW-Authenticate"
        return Failure("unauthorized", why, todo, status=status)
    if status == 401:
        why = (
            f"the credentials from {sources} were refused" if sources else "credentials are wanted, and none were found"
        )
        return Failure("unauthorized", f"{why} for {repository} ({said})", status=status)
    if status == 403:
        return Failure("forbidden", f"access to {repository} is forbidden ({said})", status=status)
    if status == 429:
        after = retry_after(answer)
        back = f"; it says to come back in {after:.0f} s" if after else ""
        return Failure("rate-limited", f"it has had too many requests ({said}){back}", status=status)
    if status >= 500:
        return Failure("unreachable", f"it is in trouble: {said} for {repository}", "try again later", status=status)
    return Failure("bad-answer", f"it answered with {said} for {repository}", status=status)


def told(answer: Answer) -> str:
    """An answer's status, with the registry's own words."""
    _, message = error_document(answer.body)
    return f"HTTP {answer.status}: {message}" if message else f"HTTP {answer.status}"


def todo(failure: Failure, account: str, reference: Reference) -> str:
    """What the user can try. account: the server to log in to."""
    login = "docker login" if account == DOCKER_HUB else f"docker login {account}"
    return failure.todo or {
        "unauthorized": f"`{login}`, or --pull-secrets; a repository that does not exist can look like this too",
        "forbidden": f"have pull access to {reference.repository} granted, or `{login}` as somebody who has it",
        "not-found": f"check the name and tag: {reference}",
        "rate-limited": f"wait, `{login}` for a higher limit, or --registry-mirror {reference.registry}=URL",
    }.get(failure.kind, "look at what answers there: a proxy or a login page, perhaps")


def retry_after(answer: Answer) -> float:
    """The seconds in Retry-After (RFC 9110, 10.2.3), or 0."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        date = parsedate_tz(text)
        return max(0.0, mktime_tz(date) - time.time()) if date else 0.0
    except (ValueError, OverflowError, IndexError, TypeError):
        return 0.0


def error_document(body: bytes) -> tuple[str, str]:
    """(code, message) of the first error that a registry tells (OCI distribution-spec, "Error Codes"), or ''."""
    try:
        first = json.loads(body)["errors"][0]
        code, message = first.get("code"), first.get("message")
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return "", ""
    code, message = (printable(text) if isinstance(text, str) else "" for text in (code, message))
    return code, message or code
