"""Asking registries for manifests: authentication, redirects, second tries and mirrors around single exchanges."""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import mktime_tz, parsedate_tz
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from helmpin.image.reference import Reference, valid_digest
from helmpin.registry import manifest
from helmpin.registry.answers import Described, Platform, Resolved
from helmpin.registry.auth import Authenticator
from helmpin.registry.errors import Failure, RegistryError
from helmpin.registry.hosts import Endpoint, endpoints, is_loopback, scheme
from helmpin.registry.keychain import Keychain
from helmpin.registry.manifest import Manifest
from helmpin.registry.settings import RegistrySettings
from helmpin.registry.transport import Answer, Transport, speaks_tls

MAX_TRIES = 4
MAX_REDIRECTS = 5
MAX_REFUSALS = 8
_R = TypeVar("_R")
RETRIED = frozenset({429, 500, 502, 503, 504})


class _Host:
    """What is known about one server."""

    def __init__(self, limit: int) -> None:
        self.slots = threading.BoundedSemaphore(limit)
        self.down: Failure | None = None
        self.quiet_until = 0.0
        self.answered = False
        self.tls = False
        """Whether a loopback server, spoken plain HTTP with by default, was found to speak TLS."""
        self.broken = 0
        """Requests that ended in a server error after every try, while none went well."""

    @property
    def tries(self) -> int:
        return 1 if self.broken >= 3 and not self.answered else MAX_TRIES


class Client:
    """One run's registry client. Safe to use from many threads."""

    def __init__(self, settings: RegistrySettings, keychain: Keychain, transport: Transport) -> None:
        self._settings, self._keychain, self._transport = settings, keychain, transport
        self._lock = threading.Lock()
        self._hosts: dict[str, _Host] = {}
        self._authenticators: dict[tuple[str, str | None], Authenticator] = {}
        self._secrets: set[str] = set()

    def resolve(self, reference: Reference) -> Resolved:
        """The digest of a reference, by HEAD, or by GET and hashing where HEAD does not tell. Raises RegistryError."""
        return self._first(reference, self._resolve)

    def describe(self, reference: Reference) -> Described:
        """The digest of a reference and what lies behind it; an index's configurations are not read. Raises
        RegistryError."""

        def ask(endpoint: Endpoint, repository: str, what: str) -> Described:
            resolved, document = self._get(endpoint, repository, what)
            if document.config:
                return Described(*resolved, (Platform("", resolved.digest, document.config),))
            children = [child for child in document.children if child.platform != "unknown/unknown"]  # attestations
            return Described(*resolved, tuple(Platform(child.platform, child.digest, None) for child in children))

        return self._first(reference, ask)

    def _first(self, reference: Reference, ask: Callable[[Endpoint, str, str], _R]) -> _R:
        """The answer of the first server that has one. Raises RegistryError with every server's reason."""
        failures: list[tuple[Endpoint, Failure]] = []
        for endpoint in endpoints(reference, self._settings):
            try:
                return ask(endpoint, reference.repository, reference.identifier)
            except Failure as error:
                failures.append((endpoint, error))
        endpoint, failure = failures[-1]
        reasons = [f"{'' if not e.namespace else f'mirror {e.host}: '}{f.reason}" for e, f in failures]
        todo = failure.todo or _todo(failure, endpoint, reference)
        raise RegistryError(reference, failure.kind, self._clean("; ".join(reasons)), self._clean(todo), failure.status)

    def _resolve(self, endpoint: Endpoint, repository: str, what: str) -> Resolved:
        answer = self._ask("HEAD", endpoint, repository, what)
        if answer.status == 200:
            kind = manifest.media_type(answer.headers.get("Content-Type", ""))
            digest = answer.headers.get("Docker-Content-Digest", "")
            manifest.refuse_schema_1(kind)
            if kind in manifest.KNOWN and valid_digest(digest) and (what == digest or not valid_digest(what)):
                return Resolved(digest, kind)
        elif answer.status == 401:
            raise self._refusal(answer, endpoint, repository, what)
        return self._get(endpoint, repository, what)[0]

    def _get(self, endpoint: Endpoint, repository: str, what: str) -> tuple[Resolved, Manifest]:
        """A manifest by its bytes, whose digest is computed, not believed."""
        answer = self._ask("GET", endpoint, repository, what)
        if answer.status != 200:
            raise self._refusal(answer, endpoint, repository, what)
        told = answer.headers.get("Docker-Content-Digest", "")
        due = what if valid_digest(what) else told if valid_digest(told) else ""
        digest = _hash(answer.body, due.partition(":")[0] or "sha256")
        if due and digest != due:
            said = "was asked for" if due == what else "is what the registry said"
            todo = "the registry, or something between, changes what it serves: do not use it"
            raise Failure("bad-answer", f"the bytes of the manifest hash to {digest}, but {due} {said}", todo)
        document = manifest.read(answer.body, answer.headers.get("Content-Type", ""))
        return Resolved(digest, document.media_type), document

    # -- one request, whatever it takes -------------------------------------------------------------------------------

    def _ask(self, method: str, endpoint: Endpoint, repository: str, what: str) -> Answer:
        """One request for a manifest. A loopback server that turns out to speak TLS is spoken TLS with."""
        guessed = (
            endpoint.scheme == "http" and is_loopback(endpoint.host) and endpoint.host not in self._settings.plain_http
        )
        host = self._host(endpoint.host)
        if guessed and host.tls:
            return self._follow(method, endpoint._replace(scheme="https"), repository, what)
        try:
            answer = self._follow(method, endpoint, repository, what)
        except Failure as failure:
            if not (guessed and failure.again and not failure.down and self._speaks_tls(endpoint)):
                raise
        else:
            if not (guessed and answer.status == 400 and self._speaks_tls(endpoint)):
                return answer
        return self._follow(method, endpoint._replace(scheme="https"), repository, what)

    def _speaks_tls(self, endpoint: Endpoint) -> bool:
        host = self._host(endpoint.host)
        host.tls = host.tls or speaks_tls(endpoint.host, max(0.1, min(2.0, self._transport.remaining())))
        return host.tls

    def _follow(self, method: str, endpoint: Endpoint, repository: str, what: str) -> Answer:
        """One request for a manifest: authenticated, redirects followed. Only the endpoint itself is shown its
        credentials."""
        url = endpoint.url(repository, "manifests", what)
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._authenticated(method, url, endpoint, repository)
            target = answer.headers.get("Location")
            if answer.status not in (301, 302, 303, 307, 308) or not target:
                return answer
            url = self._redirected(url, target)
        raise Failure(
            "bad-answer", f"it redirects more than {MAX_REDIRECTS} times", "look at what answers there, a proxy perhaps"
        )

    def _redirected(self, url: str, target: str) -> str:
        try:
            new = urljoin(url, target)
            parts = urlsplit(new)
            usable = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
        except ValueError:
            usable = False
        if not usable:
            raise Failure("bad-answer", f"the registry redirects to what is no URL: {target[:100]!a}")
        if (
            parts.scheme == "http"
            and urlsplit(url).scheme == "https"
            and scheme(parts.netloc, self._settings) == "https"
        ):
            raise Failure("bad-answer", f"the registry redirects from HTTPS to plain http://{parts.netloc}")
        return new

    def _authenticated(self, method: str, url: str, endpoint: Endpoint, repository: str) -> Answer:
        server = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        authenticator = self._authenticator(server, endpoint.account if server == endpoint.origin else None)
        since = time.monotonic()
        for _ in range(MAX_REFUSALS):
            shown = authenticator.show(repository)
            headers = {"Accept": manifest.ACCEPT, **({"Authorization": shown.header} if shown.header else {})}
            answer = self._send(method, url, headers)
            if answer.status != 401 or not authenticator.refused(repository, shown, answer, since):
                break
        return answer

    def _authenticator(self, server: str, account: str | None) -> Authenticator:
        """account: None for a server that was come to by a redirect, which is shown no credential."""
        with self._lock:
            found = self._authenticators.get((server, account))
            if found is None:
                keychain = self._keychain if account else None
                found = Authenticator(
                    server, account or "", keychain, self._send, self._may_be_plain, self._secrets.add
                )
                self._authenticators[server, account] = found
            return found

    def _may_be_plain(self, host: str) -> bool:
        return scheme(host, self._settings) == "http"

    def _send(self, method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
        """One request, tried again where that can help. Raises Failure; an answer that stays 429 or 5xx is returned."""
        host = self._host(urlsplit(url).netloc)
        for attempt, pause in enumerate(_pauses(), start=1):
            if host.down:
                raise host.down
            self._wait(host.quiet_until - time.monotonic())
            last = attempt >= host.tries
            try:
                with host.slots:
                    answer = self._transport.exchange(method, url, headers, body)
            except Failure as failure:
                if failure.again and not last and pause < self._transport.remaining():
                    self._wait(pause)
                    continue
                if failure.down:
                    host.down = failure
                raise
            if answer.status not in RETRIED:
                host.answered = True
                return answer
            wait = max(pause, _retry_after(answer)) * (2 if answer.status == 429 else 1)
            if last or wait >= self._transport.remaining():
                host.broken += answer.status != 429
                return answer
            if answer.status == 429:
                host.quiet_until = max(host.quiet_until, time.monotonic() + wait)
            else:
                self._wait(wait)
        raise AssertionError("the pauses have no end")

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(min(seconds, max(self._transport.remaining(), 0)))

    def _host(self, name: str) -> _Host:
        with self._lock:
            return self._hosts.setdefault(name, _Host(self._settings.max_per_host))

    # -- what is said of it -------------------------------------------------------------------------------------------

    def _refusal(self, answer: Answer, endpoint: Endpoint, repository: str, what: str) -> Failure:
        """What an answer that is not 200 means."""
        status = answer.status
        code, said = _registry_words(answer.body)
        words = f": {said}" if said else ""
        if status == 404:
            missing = f"{'manifest' if valid_digest(what) else 'tag'} {what} in {repository}"
            missing = f"repository {repository}" if code == "NAME_UNKNOWN" else missing
            return Failure("not-found", f"there is no {missing} (HTTP 404{words})", status=status)
        if status == 401:
            sources = self._authenticator(endpoint.origin, endpoint.account).sources(repository)
            tried = (
                f"the credentials from {sources} were refused"
                if sources
                else "credentials are wanted, and none were found"
            )
            return Failure("unauthorized", f"{tried} for {repository} (HTTP 401{words})", status=status)
        if status == 403:
            return Failure("forbidden", f"access to {repository} is forbidden (HTTP 403{words})", status=status)
        if status == 429:
            after = _retry_after(answer)
            again = f"; it says to come back in {after:.0f} s" if after else ""
            return Failure("rate-limited", f"it has had too many requests (HTTP 429{words}){again}", status=status)
        if status >= 500:
            return Failure(
                "unreachable",
                f"the registry is in trouble: HTTP {status}{words} for {repository}",
                "try again later",
                status=status,
            )
        return Failure("bad-answer", f"it answered with HTTP {status}{words} for {repository}", status=status)

    def _clean(self, text: str) -> str:
        """A text without anything secret: a hostile server may send back what it was sent."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def _todo(failure: Failure, endpoint: Endpoint, reference: Reference) -> str:
    server = endpoint.account
    login = "docker login" if server == "docker.io" else f"docker login {server}"
    return {
        "unauthorized": f"`{login}`, or --pull-secrets; a repository that does not exist can look like this too",
        "forbidden": f"have pull access to {reference.repository} granted, or `{login}` as somebody who has it",
        "not-found": f"check the name and tag: {reference}",
        "rate-limited": f"wait, `{login}` for a higher limit, or --registry-mirror {reference.registry}=URL",
    }.get(failure.kind, "look at what answers there")


def _pauses() -> Iterator[float]:
    """Seconds before each further try: 0.1, 0.3, 0.9 …, each made random by half, so that many clients do not come back
    at once."""
    pause = 0.1
    while True:
        yield pause * random.uniform(0.5, 1.5)
        pause = min(pause * 3, 5.0)


def _retry_after(answer: Answer) -> float:
    """The seconds in Retry-After (RFC 9110, 10.2.3), or 0."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        date = parsedate_tz(text)
        return max(0.0, mktime_tz(date) - time.time()) if date else 0.0
    except (ValueError, OverflowError):
        return 0.0


def _registry_words(body: bytes) -> tuple[str, str]:
    """(code, message) of the first error in a registry's document (OCI distribution specification, "Error Codes"), safe
    to print."""
    try:
        first = json.loads(body)["errors"][0]
        code, message = first.get("code"), first.get("message")
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return "", ""
    code, message = (ascii(text[:200])[1:-1] if isinstance(text, str) else "" for text in (code, message))
    return code, message or code


def _hash(body: bytes, algorithm: str) -> str:
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"
