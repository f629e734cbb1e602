"""Requesting manifests: authentication, redirects, retries and mirrors around single exchanges."""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urljoin, urlsplit

from helmpin.image.reference import Reference, valid_digest
from helmpin.registry import details, http_errors, manifest
from helmpin.registry.auth import Authenticator
from helmpin.registry.details import Details
from helmpin.registry.endpoints import Endpoint, check_target, endpoints, is_loopback, origin
from helmpin.registry.errors import Failure, RegistryError
from helmpin.registry.keychain import Keychain
from helmpin.registry.manifest import Manifest
from helmpin.registry.singleflight import SingleFlight
from helmpin.registry.transport import Answer, Transport, speaks_tls
from helmpin.registry.types import Described, Platform, RegistrySettings, Resolved

MAX_TRIES = 4
MAX_TIMEOUTS = 2
"""Attempts that time out: each takes half of the remaining time, and a mirror may follow."""
MAX_LIMITED = 10
"""Attempts that get 429."""
MAX_REDIRECTS = 5
MAX_REFUSALS = 8
MAX_PAGES = 3
PAGE = 1000
"""The most tags in one response of a registry."""
UNKNOWN = "unknown/unknown"
"""The platform of attestations in an index."""
RETRIED = frozenset({429, 500, 502, 503, 504})
R = TypeVar("R")


class _Host:
    """What is known about one server. Mutable. Shared by all threads, which read and set it without a lock."""

    def __init__(self, limit: int) -> None:
        self.slots = threading.BoundedSemaphore(limit)
        self.down: Failure | None = None
        self.quiet_until = 0.0
        self.answered = False
        self.tls = False
        """Whether a loopback server, where plain HTTP is the default, turned out to use TLS."""
        self.broken = 0
        """Requests that got a server error at every attempt."""

    def quiet_for(self) -> float:
        """Seconds to wait before the next request, randomized so that waiting threads do not all resume at once."""
        left = self.quiet_until - time.monotonic()
        return left * random.uniform(1.0, 1.5) if left > 0 else 0.0

    @property
    def tries(self) -> int:
        """The most attempts at a request that fails for a temporary reason."""
        return 1 if self.broken >= 3 and not self.answered else MAX_TRIES


class _Wanted(NamedTuple):
    """A manifest, and the endpoint to request it from."""

    endpoint: Endpoint
    repository: str
    reference: str
    """A tag or a digest."""
    since: float
    """When it was first requested, on time.monotonic()."""
    what: str = ""
    """What to request of the repository, if it is not that manifest: `blobs/DIGEST`, `tags/list?…`."""


class Client:
    """A registry client for one run. Mutable. Shared by all threads."""

    def __init__(self, settings: RegistrySettings, keychain: Keychain, transport: Transport) -> None:
        self._settings, self._keychain, self._transport = settings, keychain, transport
        self._lock = threading.Lock()
        self._hosts: dict[str, _Host] = {}
        self._authenticators: dict[tuple[str, str | None], Authenticator] = {}
        self._tls_probes: SingleFlight[bool] = SingleFlight()
        self._pings: SingleFlight[bool] = SingleFlight()
        self._secrets: set[str] = set()

    def resolve(self, reference: Reference) -> Resolved:
        """The digest of a reference, from HEAD, or computed from GET if HEAD is not enough. Raises RegistryError."""
        return self._first(reference, self._resolve)

    def describe(self, reference: Reference) -> Described:
        """The digest of a reference and its platforms, without an index's configurations. Raises RegistryError."""

        def ask(wanted: _Wanted) -> Described:
            resolved, document = self._read(self._ask("GET", wanted), wanted)
            if document.config:
                return Described(*resolved, (Platform("", resolved.digest, document.config),))
            children = [child for child in document.children if child.platform != UNKNOWN]
            return Described(*resolved, tuple(Platform(child.platform, child.digest, None) for child in children))

        return self._first(reference, ask)

    def details(self, reference: Reference) -> Details:
        """What an image is: two or three GET requests. Raises RegistryError."""

        def ask(wanted: _Wanted) -> Details:
            answer = self._ask("GET", wanted)
            document = self._read(answer, wanted)[1]
            bodies, children = [answer.body], [child for child in document.children if child.platform != UNKNOWN]
            if children:
                names = [child.platform for child in children]
                chosen = children[names.index(details.PREFERRED) if details.PREFERRED in names else 0]
                inner = wanted._replace(reference=chosen.digest)
                answer = self._ask("GET", inner)
                document = self._read(answer, inner)[1]
                bodies.append(answer.body)
            config = self._blob(wanted, document.config) if document.config else {}
            platforms = tuple(dict.fromkeys(child.platform for child in children if child.platform))
            return details.described([json.loads(body) for body in bodies], config, platforms)

        return self._first(reference, ask)

    def _blob(self, wanted: _Wanted, digest: str) -> Any:
        """A configuration, or {} for one that is not JSON. Raises Failure."""
        answer = self._ask("GET", wanted._replace(reference=digest, what=f"blobs/{digest}"))
        if answer.status != 200:
            raise self._refusal(answer, wanted._replace(reference=digest))
        if _hash(answer.body, digest.partition(":")[0]) != digest:
            hint = "do not use it: the registry, or something in between, alters what it serves"
            raise Failure("bad-answer", f"the image's configuration does not hash to {digest}", hint)
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError):
            return {}

    def seems(self, reference: Reference) -> str:
        """The digest that HEAD gives for a tag, which may be that of one platform; '' if HEAD gives none. Raises RegistryError for
        a tag that does not exist."""

        def ask(wanted: _Wanted) -> str:
            answer = self._ask("HEAD", wanted)
            if answer.status in (404, 429):
                raise self._refusal(answer, wanted)
            digest = answer.headers.get("Docker-Content-Digest", "")
            return digest if answer.status == 200 and valid_digest(digest) else ""

        return self._first(reference, ask)

    def tags(self, reference: Reference, after: str = "") -> list[str]:
        """The tags of a reference's repository, up to MAX_PAGES pages. after: skip the tags up to this text in alphabetical order,
        if the registry supports that. Raises RegistryError."""

        def ask(wanted: _Wanted) -> list[str]:
            found: list[str] = []
            for _ in range(MAX_PAGES):
                begin = found[-1] if found else after
                last = f"&last={quote(begin)}" if begin else ""
                answer = self._ask("GET", wanted._replace(what=f"tags/list?n={PAGE}{last}"))
                if answer.status != 200:
                    raise self._refusal(answer, wanted)
                page = manifest.read_tags(answer.body)
                found += page
                if not page or 'rel="next"' not in answer.headers.get("Link", ""):
                    break
            return found

        return self._first(reference, ask)

    def keep(self, reference: Reference, tag: str) -> bool:
        """Give a digest another tag, at the registry itself: its manifest is read and written again, no blobs (OCI distribution
        specification, end-7). Returns whether the tag is new. Raises RegistryError."""

        def ask(wanted: _Wanted) -> bool:
            there = self._ask("HEAD", wanted._replace(reference=tag))
            if there.status == 200 and there.headers.get("Docker-Content-Digest") == reference.digest:
                return False
            answer = self._ask("GET", wanted)
            media_type = self._read(answer, wanted)[0].media_type
            written = self._write("PUT", wanted._replace(reference=tag), answer.body, media_type)
            stated = written.headers.get("Docker-Content-Digest", reference.digest)
            if stated != reference.digest:
                raise Failure("bad-answer", f"{tag} was written, but as {stated} rather than {reference.digest}")
            return True

        return self._first(reference, ask, [origin(reference, self._settings)])

    def untag(self, reference: Reference) -> None:
        """Remove a tag, and nothing but the tag (end-9). Raises RegistryError."""
        self._first(reference, lambda wanted: self._write("DELETE", wanted), [origin(reference, self._settings)])

    def _write(self, method: str, wanted: _Wanted, body: bytes | None = None, media_type: str = "") -> Answer:
        wanted = wanted._replace(endpoint=self._as_known(wanted.endpoint))
        url = wanted.endpoint.url(wanted.repository, f"manifests/{wanted.reference}")
        answer = self._authenticated(method, url, wanted, body, media_type)
        if answer.status not in (200, 201, 202, 204):
            failure = self._refusal(answer, wanted)
            if answer.status in (400, 405, 501) and method == "DELETE":
                why = f"the registry does not delete tags ({http_errors.describe(answer)})"
                failure = Failure("forbidden", why, "delete it with the registry's own means", status=answer.status)
            raise failure
        return answer

    def _first(self, reference: Reference, ask: Callable[[_Wanted], R], servers: Sequence[Endpoint] | None = None) -> R:
        """The answer of the first endpoint that has one. Raises RegistryError with every endpoint's reason."""
        failures: list[tuple[Endpoint, Failure]] = []
        for endpoint in servers or endpoints(reference, self._settings):
            try:
                return ask(_Wanted(endpoint, reference.repository, reference.identifier, time.monotonic()))
            except Failure as failure:
                failure.redact(self._secrets)
                failures.append((endpoint, failure))
        endpoint, last = failures[-1]
        reasons = [f"mirror {e.host}: {f.reason}" if e.namespace else f.reason for e, f in failures]
        hint = http_errors.hint(last, endpoint.account, reference)
        raise RegistryError(reference, last.kind, "; ".join(reasons), hint, last.status)

    def _resolve(self, wanted: _Wanted) -> Resolved:
        """HEAD is trusted only if its answer is complete. Otherwise GET decides: many servers answer HEAD with an error,
        or with another manifest than GET, and only a GET response has a body with the reason for a refusal."""
        try:
            answer = self._ask("HEAD", wanted)
        except Failure as failure:
            if failure.kind != "bad-answer":  # a redirect that cannot be followed
                raise
            answer = self._ask("GET", wanted)
        if answer.method == "HEAD":
            resolved = _resolved_by_head(answer, wanted.reference)
            if resolved:
                return resolved
            if self._must_stop(answer, wanted):
                raise self._refusal(answer, wanted)
            answer = self._ask("GET", wanted)
        return self._read(answer, wanted)[0]

    def _must_stop(self, answer: Answer, wanted: _Wanted) -> bool:
        """Whether another request would do harm: exhaust a limit further, or send a rejected password again."""
        rejected = answer.status == 401 and self._authenticator_of(wanted).rejected_password(wanted.repository)
        return rejected or answer.status == 429

    def _read(self, answer: Answer, wanted: _Wanted) -> tuple[Resolved, Manifest]:
        """A manifest and its digest, computed from the bytes rather than trusted."""
        if answer.status != 200:
            raise self._refusal(answer, wanted)
        manifest.check_type(answer.headers.get("Content-Type", ""))
        stated = answer.headers.get("Docker-Content-Digest", "")
        by_digest = valid_digest(wanted.reference)
        expected = wanted.reference if by_digest else stated if valid_digest(stated) else ""
        digest = _hash(answer.body, expected.partition(":")[0] or "sha256")
        if expected and digest != expected:
            source = f"{expected} was requested" if by_digest else f"the registry reported {expected}"
            hint = "do not use it: the registry, or something in between, alters what it serves"
            raise Failure("bad-answer", f"the manifest hashes to {digest}, but {source}", hint)
        document = manifest.read(answer.body, answer.headers.get("Content-Type", ""))
        return Resolved(digest, document.media_type), document

    def _refusal(self, answer: Answer, wanted: _Wanted) -> Failure:
        authenticator = self._authenticator_of(wanted)
        sources = authenticator.sources(wanted.repository)
        failure = http_errors.refusal(answer, wanted.repository, wanted.reference, sources)
        return authenticator.explain(wanted.repository, failure)

    def _authenticator_of(self, wanted: _Wanted) -> Authenticator:
        return self._authenticator(self._as_known(wanted.endpoint).origin, wanted.endpoint.account)

    # -- one request, with all that it takes --------------------------------------------------------------------------

    def _ask(self, method: str, wanted: _Wanted) -> Answer:
        """Request a manifest, over TLS if a loopback server turns out to use it."""
        known = self._as_known(wanted.endpoint)
        guessed = known.scheme == "http" and is_loopback(known.host) and known.host not in self._settings.plain_http
        try:
            answer = self._follow(method, wanted)
        except Failure as failure:
            if not (guessed and failure.retryable and not failure.down and self._speaks_tls(wanted.endpoint)):
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
        host.tls = self._tls_probes.get(endpoint.host, lambda: speaks_tls(endpoint.host, timeout))
        return host.tls

    def _follow(self, method: str, wanted: _Wanted) -> Answer:
        """Request a manifest, following redirects. Credentials are sent only to the endpoint itself."""
        wanted = wanted._replace(endpoint=self._as_known(wanted.endpoint))
        url = wanted.endpoint.url(wanted.repository, wanted.what or f"manifests/{wanted.reference}")
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._authenticated(method, url, wanted)
            method = answer.method
            target = answer.headers.get("Location")
            if answer.status not in (301, 302, 303, 307, 308) or not target:
                return answer
            with suppress(ValueError):  # check_target reports it
                target = urljoin(url, target)
            url = check_target(target, url, self._settings, "the redirect target")
        why = f"more than {MAX_REDIRECTS} redirects"
        raise Failure("bad-answer", why, "check which server answers at this address: it may be a proxy")

    def _authenticated(
        self, method: str, url: str, wanted: _Wanted, body: bytes | None = None, media_type: str = ""
    ) -> Answer:
        server = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        own = server == wanted.endpoint.origin
        authenticator = self._authenticator(server, wanted.endpoint.account if own else None)
        for _ in range(MAX_REFUSALS):
            was_open = not authenticator.required
            sent = authenticator.authorize(wanted.repository)
            headers = {"Accept": manifest.ACCEPT, **({"Authorization": sent.header} if sent.header else {})}
            headers |= {"Content-Type": media_type} if media_type else {}
            answer = self._send(method, url, headers, body)
            method = answer.method
            challenge = authenticator.remember_challenge(answer) if answer.status == 401 else None
            if challenge:
                retry = authenticator.can_retry(wanted.repository, sent, challenge, wanted.since)
            else:  # some send a challenge only at their root, where Docker begins, and just refuse anonymous requests here
                refused = answer.status in (401, 403, 404)
                retry = refused and own and was_open and self._requires_authentication(server, authenticator)
            if not retry:
                break
        return answer

    def _requires_authentication(self, server: str, authenticator: Authenticator) -> bool:
        """Whether the server requires authentication at its root (OCI distribution specification, end-1)."""

        def ping() -> bool:
            with suppress(Failure):
                answer = self._send("GET", f"{server}/v2/", {})
                return answer.status == 401 and authenticator.remember_challenge(answer) is not None
            return False

        return self._pings.get(server, ping)

    def _authenticator(self, server: str, account: str | None) -> Authenticator:
        """account: None for a server reached by a redirect, which gets no credentials."""
        with self._lock:
            found = self._authenticators.get((server, account))
            if found is None:
                keychain = self._keychain if account else None
                found = Authenticator(server, account or "", keychain, self._send, self._settings, self._secrets.add)
                self._authenticators[server, account] = found
            return found

    def _send(self, method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
        """Send a request, with retries. Raises Failure; returns the last response if it still is 429 or 5xx.

        A HEAD that fails is retried as GET, so that a server where HEAD never works costs a single pause.
        """
        host = self._host(urlsplit(url).netloc)
        for attempt, pause in enumerate(pauses(), start=1):
            if host.down:
                raise host.down
            self._wait(host.quiet_for())
            try:
                with host.slots:
                    answer = self._transport.exchange(method, url, headers, body)
            except Failure as failure:
                tries = MAX_TIMEOUTS if failure.kind == "timeout" else host.tries
                if failure.retryable and attempt < tries and pause < self._transport.remaining():
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
            if attempt >= (MAX_LIMITED if limited else host.tries) or wait >= self._transport.remaining():
                host.broken += not limited
                return answer
            if limited:  # every request to this host waits
                host.quiet_until = max(host.quiet_until, time.monotonic() + wait)
            else:
                self._wait(wait)
                method = "GET" if method == "HEAD" else method
        raise AssertionError("unreachable")

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(min(seconds, max(self._transport.remaining(), 0)))

    def _host(self, name: str) -> _Host:
        with self._lock:
            return self._hosts.setdefault(name, _Host(self._settings.max_per_host))


def pauses() -> Iterator[float]:
    """Seconds before each retry: 0.1, 0.3, 0.9 … up to 5, each randomized by half, so that many clients do not return at
    once."""
    pause = 0.1
    while True:
        yield pause * random.uniform(0.5, 1.5)
        pause = min(pause * 3, 5.0)


def _resolved_by_head(answer: Answer, reference: str) -> Resolved | None:
    """The digest in a response to HEAD for a tag or digest; None if it is not certain.

    Some servers handle HEAD as if it had no Accept header: they return the manifest of one platform where GET returns the
    index of all. So GET confirms a tag's single-platform manifest, unless that counts as a pull. Docker Hub, which honors
    Accept, has a header that says so.
    """
    kind = manifest.media_type(answer.headers.get("Content-Type", ""))
    digest = answer.headers.get("Docker-Content-Digest", "")
    if answer.status != 200 or kind not in manifest.KNOWN or not valid_digest(digest):
        return None
    if valid_digest(reference):
        certain = digest == reference
    else:
        certain = kind in manifest.INDEXES or "Docker-RateLimit-Source" in answer.headers
    return Resolved(digest, kind) if certain else None


def _hash(body: bytes, algorithm: str) -> str:
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"
