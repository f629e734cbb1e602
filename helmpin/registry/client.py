"""Asking registries for manifests: authentication, redirects, second tries and mirrors around single exchanges."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple, TypeVar
from urllib.parse import urljoin, urlsplit

from helmpin.image.reference import Reference, valid_digest
from helmpin.registry import http_errors, manifest
from helmpin.registry.auth import Authenticator
from helmpin.registry.endpoints import Endpoint, check_named, endpoints, is_loopback
from helmpin.registry.errors import Failure, RegistryError
from helmpin.registry.keychain import Keychain
from helmpin.registry.manifest import Manifest
from helmpin.registry.singleflight import Once
from helmpin.registry.transport import Answer, Transport, speaks_tls
from helmpin.registry.types import Described, Platform, RegistrySettings, Resolved

MAX_TRIES = 4
MAX_TIMEOUTS = 2
"""Tries of a request that is not answered in time: each takes half of the time that is left, and a mirror may follow."""
MAX_LIMITED = 10
"""Tries of a request that is answered with 429."""
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

    def quiet_for(self) -> float:
        """Seconds to wait before the next request, spread out so that those who wait do not all come back at once."""
        left = self.quiet_until - time.monotonic()
        return left * random.uniform(1.0, 1.5) if left > 0 else 0.0

    @property
    def tries(self) -> int:
        """How often a request may be tried that fails for reasons that may pass."""
        return 1 if self.broken >= 3 and not self.answered else MAX_TRIES


class _Wanted(NamedTuple):
    """A manifest, and where it is asked for."""

    endpoint: Endpoint
    repository: str
    reference: str
    """A tag or a digest."""
    since: float
    """When it was first asked for, on time.monotonic()."""


class Client:
    """One run's registry client. Safe to use from many threads."""

    def __init__(self, settings: RegistrySettings, keychain: Keychain, transport: Transport) -> None:
        self._settings, self._keychain, self._transport = settings, keychain, transport
        self._lock = threading.Lock()
        self._hosts: dict[str, _Host] = {}
        self._authenticators: dict[tuple[str, str | None], Authenticator] = {}
        self._probes: Once[bool] = Once()
        self._pings: Once[bool] = Once()
        self._secrets: set[str] = set()

    def resolve(self, reference: Reference) -> Resolved:
        """The digest of a reference, by HEAD, or by GET and hashing where HEAD is not enough. Raises RegistryError."""
        return self._first(reference, self._resolve)

    def describe(self, reference: Reference) -> Described:
        """The digest of a reference and what lies behind it; an index's configurations are not read. Raises
        RegistryError."""

        def ask(wanted: _Wanted) -> Described:
            resolved, document = self._read(self._ask("GET", wanted), wanted)
            if document.config:
                return Described(*resolved, (Platform("", resolved.digest, document.config),))
            children = [child for child in document.children if child.platform != "unknown/unknown"]  # attestations
            return Described(*resolved, tuple(Platform(child.platform, child.digest, None) for child in children))

        return self._first(reference, ask)

    def _first(self, reference: Reference, ask: Callable[[_Wanted], _R]) -> _R:
        """The answer of the first server that has one. Raises RegistryError with every server's reason."""
        failures: list[tuple[Endpoint, Failure]] = []
        for endpoint in endpoints(reference, self._settings):
            try:
                return ask(_Wanted(endpoint, reference.repository, reference.identifier, time.monotonic()))
            except Failure as error:
                error.clean(self._secrets)
                failures.append((endpoint, error))
        endpoint, last = failures[-1]
        reasons = [f"mirror {e.host}: {f.reason}" if e.namespace else f.reason for e, f in failures]
        todo = http_errors.todo(last, endpoint.account, reference)
        raise RegistryError(reference, last.kind, "; ".join(reasons), todo, last.status)

    def _resolve(self, wanted: _Wanted) -> Resolved:
        """HEAD is believed only when it says all that is needed. Whatever else it says, GET has the last word: many
        servers answer HEAD with an error or with another manifest than GET, and only GET has the reason for a refusal."""
        try:
            answer = self._ask("HEAD", wanted)
        except Failure as failure:
            if failure.kind != "bad-answer":  # a redirect that cannot be followed
                raise
            answer = self._ask("GET", wanted)
        if answer.method == "HEAD":
            resolved = _by_head(answer, wanted.reference)
            if resolved:
                return resolved
            if self._final(answer, wanted):
                raise self._refusal(answer, wanted)
            answer = self._ask("GET", wanted)
        return self._read(answer, wanted)[0]

    def _final(self, answer: Answer, wanted: _Wanted) -> bool:
        """Whether each further request would make it worse."""
        refused = answer.status == 401 and self._knows(wanted).refused_password(wanted.repository)
        return refused or answer.status == 429

    def _read(self, answer: Answer, wanted: _Wanted) -> tuple[Resolved, Manifest]:
        """A manifest by its bytes, whose digest is computed, not believed."""
        if answer.status != 200:
            raise self._refusal(answer, wanted)
        manifest.check_type(answer.headers.get("Content-Type", ""))
        told = answer.headers.get("Docker-Content-Digest", "")
        by_digest = valid_digest(wanted.reference)
        due = wanted.reference if by_digest else told if valid_digest(told) else ""
        digest = _hash(answer.body, due.partition(":")[0] or "sha256")
        if due and digest != due:
            said = "was asked for" if by_digest else "is what the registry said"
            todo = "the registry, or something between, changes what it serves: do not use it"
            raise Failure("bad-answer", f"the bytes of the manifest hash to {digest}, but {due} {said}", todo)
        document = manifest.read(answer.body, answer.headers.get("Content-Type", ""))
        return Resolved(digest, document.media_type), document

    def _refusal(self, answer: Answer, wanted: _Wanted) -> Failure:
        known = self._knows(wanted)
        failure = http_errors.refusal(answer, wanted.repository, wanted.reference, known.sources(wanted.repository))
        return known.explain(wanted.repository, failure)

    def _knows(self, wanted: _Wanted) -> Authenticator:
        """The authenticator of the server that is asked."""
        return self._authenticator(self._as_known(wanted.endpoint).origin, wanted.endpoint.account)

    # -- one request, whatever it takes -------------------------------------------------------------------------------

    def _ask(self, method: str, wanted: _Wanted) -> Answer:
        """One request for a manifest. A loopback server that turns out to speak TLS is spoken TLS with."""
        known = self._as_known(wanted.endpoint)
        guessed = known.scheme == "http" and is_loopback(known.host) and known.host not in self._settings.plain_http
        try:
            answer = self._follow(method, wanted)
        except Failure as failure:
            if not (guessed and failure.again and not failure.down and self._speaks_tls(wanted.endpoint)):
                raise
        else:
            if not (guessed and answer.status == 400 and self._speaks_tls(wanted.endpoint)):
                return answer
        return self._follow(method, wanted)

    def _as_known(self, endpoint: Endpoint) -> Endpoint:
        return endpoint._replace(scheme="https") if self._host(endpoint.host).tls else endpoint

    def _speaks_tls(self, endpoint: Endpoint) -> bool:
        timeout = max(0.1, min(0.5, self._transport.remaining()))
        host = self._host(endpoint.host)
        host.tls = self._probes.get(endpoint.host, lambda: speaks_tls(endpoint.host, timeout))
        return host.tls

    def _follow(self, method: str, wanted: _Wanted) -> Answer:
        """One request for a manifest: authenticated, redirects followed. Only the endpoint itself is shown its
        credentials."""
        wanted = wanted._replace(endpoint=self._as_known(wanted.endpoint))
        url = wanted.endpoint.url(wanted.repository, "manifests", wanted.reference)
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._authenticated(method, url, wanted)
            method = answer.method
            target = answer.headers.get("Location")
            if answer.status not in (301, 302, 303, 307, 308) or not target:
                return answer
            with suppress(ValueError):  # said there
                target = urljoin(url, target)
            url = check_named(target, url, self._settings, "it redirects to")
        raise Failure(
            "bad-answer", f"it redirects more than {MAX_REDIRECTS} times", "look at what answers there, a proxy perhaps"
        )

    def _authenticated(self, method: str, url: str, wanted: _Wanted) -> Answer:
        server = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        own = server == wanted.endpoint.origin
        authenticator = self._authenticator(server, wanted.endpoint.account if own else None)
        for _ in range(MAX_REFUSALS):
            unasked = not authenticator.asked
            shown = authenticator.show(wanted.repository)
            headers = {"Accept": manifest.ACCEPT, **({"Authorization": shown.header} if shown.header else {})}
            answer = self._send(method, url, headers)
            method = answer.method
            challenge = authenticator.learn(answer) if answer.status == 401 else None
            if challenge:
                again = authenticator.refused(wanted.repository, shown, challenge, wanted.since)
            else:  # some ask who it is only where docker asks first, and strangers get any refusal elsewhere
                again = answer.status in (401, 403, 404) and own and unasked and self._asks(server, authenticator)
            if not again:
                break
        return answer

    def _asks(self, server: str, authenticator: Authenticator) -> bool:
        """Whether a server asks who it is that comes to its root (OCI distribution specification, end-1)."""

        def ping() -> bool:
            with suppress(Failure):
                answer = self._send("GET", f"{server}/v2/", {})
                return answer.status == 401 and authenticator.learn(answer) is not None
            return False

        return self._pings.get(server, ping)

    def _authenticator(self, server: str, account: str | None) -> Authenticator:
        """account: None for a server that was come to by a redirect, which is shown no credential."""
        with self._lock:
            found = self._authenticators.get((server, account))
            if found is None:
                keychain = self._keychain if account else None
                found = Authenticator(server, account or "", keychain, self._send, self._settings, self._secrets.add)
                self._authenticators[server, account] = found
            return found

    def _send(self, method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
        """One request, tried again where that can help. Raises Failure; an answer that stays 429 or 5xx is returned.

        The second try of a HEAD that failed is a GET: where HEAD never works, that costs a single pause.
        """
        host = self._host(urlsplit(url).netloc)
        for attempt, pause in enumerate(_pauses(), start=1):
            most = max(host.tries, 2) if method == "HEAD" else host.tries
            if host.down:
                raise host.down
            self._wait(host.quiet_for())
            try:
                with host.slots:
                    answer = self._transport.exchange(method, url, headers, body)
            except Failure as failure:
                tries = MAX_TIMEOUTS if failure.kind == "timeout" else most
                if failure.again and attempt < tries and pause < self._transport.remaining():
                    self._wait(pause)
                    method = "GET" if method == "HEAD" else method
                    continue
                if failure.down or (failure.kind == "timeout" and not host.answered):
                    host.down = failure
                raise
            if answer.status not in RETRIED:
                host.answered = True
                return answer
            limited = answer.status == 429
            wait = max(pause, http_errors.retry_after(answer))
            if attempt >= (MAX_LIMITED if limited else most) or wait >= self._transport.remaining():
                host.broken += not limited
                return answer
            if limited:  # all that goes to this host slows down
                host.quiet_until = max(host.quiet_until, time.monotonic() + wait)
            else:
                self._wait(wait)
                method = "GET" if method == "HEAD" else method
        raise AssertionError("the pauses have no end")

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(min(seconds, max(self._transport.remaining(), 0)))

    def _host(self, name: str) -> _Host:
        with self._lock:
            return self._hosts.setdefault(name, _Host(self._settings.max_per_host))


def _pauses() -> Iterator[float]:
    """Seconds before each further try: 0.1, 0.3, 0.9 …, each made random by half, so that many clients do not come back
    at once."""
    pause = 0.1
    while True:
        yield pause * random.uniform(0.5, 1.5)
        pause = min(pause * 3, 5.0)


def _by_head(answer: Answer, reference: str) -> Resolved | None:
    """What an answer to HEAD says of a tag or digest; None where that is not enough to be sure.

    Some servers answer HEAD as if it had no Accept header: with the manifest of one platform where GET has the index
    of all. So a tag's manifest for one platform is looked at again, unless that counts as a pull: Docker Hub says so in
    a header of its own, and heeds Accept.
    """
    kind = manifest.media_type(answer.headers.get("Content-Type", ""))
    digest = answer.headers.get("Docker-Content-Digest", "")
    if answer.status != 200 or kind not in manifest.KNOWN or not valid_digest(digest):
        return None
    if valid_digest(reference):
        sure = digest == reference
    else:
        sure = kind in manifest.INDEXES or "Docker-RateLimit-Source" in answer.headers
    return Resolved(digest, kind) if sure else None


def _hash(body: bytes, algorithm: str) -> str:
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"
