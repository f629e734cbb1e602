"""What a response other than 200 means, and what the user can do about it."""

from __future__ import annotations

import json
import re
import time
from email.utils import mktime_tz, parsedate_tz

from helmpin.image.reference import DOCKER_HUB, Reference, valid_digest
from helmpin.registry import challenge
from helmpin.registry.errors import Failure, printable
from helmpin.registry.transport import Answer

_GIVEN = re.compile(r"credentials from (--registry-username|HELM_PIN_REGISTRY_USERNAME)\b")


def refusal(answer: Answer, repository: str, reference: str, sources: str) -> Failure:
    """The failure behind a response to a request for `reference` (a tag or a digest).

    sources: where the rejected credentials came from, or ''.
    """
    status = answer.status
    code, _ = error_document(answer.body)
    stated = describe(answer)
    if code in ("MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"):
        why = f"a part of {reference} is gone from {repository} ({stated})"
        return Failure("not-found", why, "push the image again, with all of its platforms", status=status)
    if status == 404:
        missing = f"{'manifest' if valid_digest(reference) else 'tag'} {reference} not found in {repository}"
        missing = f"repository {repository} not found" if code == "NAME_UNKNOWN" else missing
        return Failure("not-found", f"{missing} ({stated})", status=status)
    if status == 401:
        return _unauthorized(answer, repository, sources, stated)
    if status == 403:
        return Failure("forbidden", f"access to {repository} is forbidden ({stated})", status=status)
    if status == 429:
        after = retry_after(answer)
        return Failure(
            "rate-limited",
            f"rate limited ({stated})" + (f"; retry after {after:.0f} s" if after else ""),
            status=status,
        )
    if status >= 500:
        return Failure("unreachable", f"server error: {stated} for {repository}", "try again later", status=status)
    return Failure("bad-answer", f"unexpected response: {stated} for {repository}", status=status)


def _unauthorized(answer: Answer, repository: str, sources: str, stated: str) -> Failure:
    hint = ""
    if challenge.choose(challenge.parse(answer.challenges)) is None:
        why = f"authentication required for {repository}, but no usable WWW-Authenticate header was sent"
        hint = (
            "check which server answers at this address: it may be a proxy or single sign-on in front of the registry"
        )
    elif answer.redirected:
        why = f"{repository} is redirected to a server that requires a login, and credentials are never sent there"
        hint = "check the registry's storage: the server that it redirects to must accept the redirect's URL without a login"
    elif sources:
        why = f"the credentials from {sources} were rejected for {repository}"
    else:
        why = f"authentication required for {repository}, and no credentials found"
    return Failure("unauthorized", f"{why} ({stated})", hint, status=answer.status)


def describe(answer: Answer) -> str:
    """A response's status, with the registry's own message, and who sent it if a redirect led elsewhere."""
    _, message = error_document(answer.body)
    sender = f"redirected to {answer.redirected}: " if answer.redirected else ""
    return f"{sender}HTTP {answer.status}" + (f": {message}" if message else "")


def hint(failure: Failure, account: str, reference: Reference) -> str:
    """What the user can try. account: the server to log in to."""
    secrets = "" if "Secret/" in failure.reason else " or use --pull-secrets"  # it is in use
    login = "docker login" if account == DOCKER_HUB else f"docker login {account}"
    given = _GIVEN.search(failure.reason)
    todo = f"correct {given[1]} or its password" if given else f"run `{login}`{secrets}"
    return failure.hint or {
        "unauthorized": f"{todo}; also check that the repository exists",
        "forbidden": f"request pull access to {reference.repository}, or run `{login}` as a user who has it",
        "not-found": f"check the name and tag: {reference}",
        "rate-limited": f"wait, run `{login}` for a higher limit, or use --registry-mirror {reference.registry}=URL",
    }.get(failure.kind, "check which server answers at this address: it may be a proxy or a login page")


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
    """(code, message) of the first error in a response (OCI distribution-spec, "Error Codes"), or ''."""
    try:
        first = json.loads(body)["errors"][0]
        code, message = first.get("code"), first.get("message")
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return "", ""
    code, message = (printable(text) if isinstance(text, str) else "" for text in (code, message))
    return code, message or code
