"""One request with all that it takes: authentication, redirects, retries, pauses."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from urllib.parse import parse_qs, urljoin, urlsplit

from helmpin.named_tuple import NamedTuple
from helmpin.registry import http_errors, manifest
from helmpin.registry.auth import Authenticator
from helmpin.registry.endpoints import Endpoint, check_target, is_loopback
from helmpin.registry.errors import Failure, failing_at
from helmpin.registry.keychain import Keychain
from helmpin.registry.singleflight import SingleFlight
from helmpin.registry.transport import Answer, Transport, speaks_tls
from helmpin.registry.types import RegistrySettings

MAX_TRIES = 4
MAX_TIMEOUTS = 2
"""Attempts that time out: each takes half of the remaining time, and a mirror may follow."""
MAX_LIMITED = 10
"""Attempts that get 429."""
MAX_REDIRECTS = 5
MAX_REFUSALS = 8
REDIRECTS = frozenset({301, 302, 303, 307, 308})
RETRIED = frozenset({429, 500, 502, 503, 504})
_LINK = re.compile(r"<([^>]*)>([^<]*)")
"""A link of a Link header: its target and its parameters (RFC 8288, 3)."""
_NEXT = re.compile(r';\s*rel\s*=\s*("([^"]*\s)?next[\s"]|next\s*([;,]|$))', re.IGNORECASE)


class _Host:
    """What is known about one server. Mutable. Shared by all threads, which read and set it without a lock."""

    def __init__(self, limit: int) -> None:
        self.slots = threading.BoundedSemaphore(limit)
        self.down: Failure | None = None
        self.quiet_until = 0.0
        self.limited: Answer | None = None
        """The last 429, until the pause that it asks for is over and something else is answered."""
        self.answered = False
        self.tls = False
        """Whether a loopback server, where plain HTTP is the default, turned out to use TLS."""
        self.broken = 0
        """Requests that got a server error at every attempt."""

    def quiet_for(self) -> float:
        """Seconds to wait before the next request."""
        return spread(self.quiet_until - time.monotonic())

    @property
    def tries(self) -> int:
        """The most attempts at a request that fails for a temporary reason."""
        return 1 if self.broken >= 3 and not self.answered else MAX_TRIES

    def take(self, answer: Answer) -> None:
        """Note what an answer shows."""
        if answer.status not in RETRIED:
            self.answered = True
            if time.monotonic() >= self.quiet_until:
                self.limited = None
        elif answer.status == 429:
            self.limited = answer

    def give_up(self, failure: Failure) -> None:
        """Note a failure that ends a request: the next ones may fail by it at once."""
        if failure.down or (failure.kind == "timeout" and not self.answered):
            self.down = failure


class Wanted(NamedTuple):
    """A manifest, and the endpoint to request it from."""

    endpoint: Endpoint
    repository: str
    reference: str
    """A tag or a digest."""
    since: float
    """When it was first requested, on time.monotonic()."""
    what: str = ""
    """What to request of the repository, if it is not that manifest: `blobs/DIGEST`, `tags/list?…`."""
    address: str = ""
    """Its URL, if the server itself has named one."""


class Requester:
    """Sends the requests of one run, and keeps what is known about each server. Mutable. Shared by all threads."""

    def __init__(self, settings: RegistrySettings, keychain: Keychain, transport: Transport) -> None:
        self._settings, self._keychain, self._transport = settings, keychain, transport
        self._lock = threading.Lock()
        self._hosts: dict[str, _Host] = {}
        self._authenticators: dict[tuple[str, str | None], Authenticator] = {}
        self._tls_probes: SingleFlight[bool] = SingleFlight()
        self._pings: SingleFlight[bool] = SingleFlight()
        self._refused: dict[str, Answer] = {}
        """For each URL, the last answer that asked for another attempt: 429 or 5xx."""
        self.secrets: set[str] = set()
        """Passwords and tokens in use, which no message may show."""

    def ask(self, method: str, wanted: Wanted) -> Answer:
        """Request what is wanted, over TLS if a loopback server turns out to use it. Raises Failure."""
        known = self._as_known(wanted.endpoint)
        guessed = self._is_guess(known.scheme, known.host)
        try:
            answer = self._follow(method, wanted)
        except Failure as failure:
            if not (guessed and failure.retryable and not failure.down and self._speaks_tls(known.host)):
                raise
        else:
            if not (guessed and answer.status == 400 and self._speaks_tls(known.host)):
                return answer
        return self._follow(method, wanted)

    def write(self, method: str, wanted: Wanted, body: bytes | None = None, media_type: str = "") -> Answer:
        """Send a request that changes something at the server. No redirect is followed. Raises Failure."""
        wanted = wanted._replace(endpoint=self._as_known(wanted.endpoint))
        return self._authenticated(method, _url(wanted), wanted, body, media_type)

    def next_page(self, answer: Answer, wanted: Wanted) -> Wanted | None:
        """The page after the one that was wanted, as its answer names it (OCI distribution specification, "Listing Tags"); None if
        that was the last. Raises Failure if it is at another server."""
        links = _LINK.findall(answer.headers.get("Link", ""))
        target = next((target for target, parameters in links if _NEXT.search(parameters)), None)
        if target is None:
            return None
        page = _url(wanted._replace(endpoint=self._as_known(wanted.endpoint)))
        with suppress(ValueError):  # check_target reports it
            target = urljoin(page, target)
        address = check_target(target, page, self._settings, "the next page of tags")
        if _server(address) != _server(page):
            raise Failure("bad-answer", f"the next page of tags is at another server: {_server(address)}")
        namespace = wanted.endpoint.namespace  # which a mirror may leave out of what it sends
        if namespace and "ns" not in parse_qs(urlsplit(address).query):
            address += f"{'&' if '?' in address else '?'}ns={namespace}"
        return wanted._replace(address=address)

    def authenticator_of(self, wanted: Wanted) -> Authenticator:
        """What keeps the credentials for the endpoint of what is wanted."""
        return self._authenticator(self._as_known(wanted.endpoint).origin, wanted.endpoint.account)

    def refused(self, wanted: Wanted) -> Answer | None:
        """The last answer to a request for this manifest, if it was 429 or 5xx; else the 429 for which it waits, if it does."""
        endpoint = self._as_known(wanted.endpoint)
        return self._refused.get(_url(wanted._replace(endpoint=endpoint))) or self._host(endpoint.host).limited

    def _as_known(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint with the scheme that its server turned out to use."""
        return endpoint._replace(scheme="https") if self._host(endpoint.host).tls else endpoint

    def _is_guess(self, scheme: str, host: str) -> bool:
        """Whether plain HTTP is only the loopback default for a server, not a setting."""
        return scheme == "http" and is_loopback(host) and host not in self._settings.plain_http

    def _speaks_tls(self, name: str) -> bool:
        timeout = max(0.1, min(0.5, self._transport.remaining()))
        host = self._host(name)
        host.tls = self._tls_probes.get(name, lambda: speaks_tls(name, timeout))
        return host.tls

    def _follow(self, method: str, wanted: Wanted) -> Answer:
        """Request a manifest, following redirects. Credentials are sent only to the endpoint itself."""
        wanted = wanted._replace(endpoint=self._as_known(wanted.endpoint))
        url = _url(wanted)
        for _ in range(MAX_REDIRECTS + 1):
            elsewhere = "" if _server(url) == wanted.endpoint.origin else urlsplit(url).netloc
            with failing_at(elsewhere and f"redirected to {elsewhere}"):
                answer = self._authenticated(method, url, wanted)
                target = self._target(answer, url)
            if target is None:
                return answer._replace(redirected=elsewhere)
            method, url = answer.method, target
        raise _too_many(url)

    def ask_token_server(self, method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
        """Send a request to a token server, following redirects as Docker and containerd do (Go's net/http). Raises Failure.

        Another server than the one at `url` gets no credentials: neither Authorization nor a body. A POST is not turned into a
        GET, which would drop its body: the redirect (301 to 303) itself is returned.
        """
        first = url
        with failing_at(f"token server {urlsplit(first).netloc}"):
            for _ in range(MAX_REDIRECTS + 1):
                elsewhere = "" if _server(url) == _server(first) else urlsplit(url).netloc
                if elsewhere:
                    headers = {name: value for name, value in headers.items() if name != "Authorization"}
                with failing_at(elsewhere and f"redirected to {elsewhere}"):
                    answer = self._send(method, url, headers, body)
                    target = None if body and answer.status in (301, 302, 303) else self._target(answer, url)
                if target is None:
                    return answer._replace(redirected=elsewhere)
                if body and _server(target) != _server(first):
                    why = (
                        f"it redirects a login to another server, {urlsplit(target).netloc}, which gets no credentials"
                    )
                    raise Failure("bad-answer", why, "check the address of the token server in the registry's settings")
                url = target
            raise _too_many(url)

    def _target(self, answer: Answer, url: str) -> str | None:
        """Where a response to a request for `url` redirects to; None if it does not. Raises Failure if that must not be asked."""
        target = answer.headers.get("Location")
        if answer.status not in REDIRECTS or not target:
            return None
        with suppress(ValueError):  # check_target reports it
            target = urljoin(url, target)
        return check_target(target, url, self._settings, "the redirect target")

    def _authenticated(
        self, method: str, url: str, wanted: Wanted, body: bytes | None = None, media_type: str = ""
    ) -> Answer:
        server = _server(url)
        own = server == wanted.endpoint.origin
        authenticator = self._authenticator(server, wanted.endpoint.account if own else None)
        for _ in range(MAX_REFUSALS):
            was_open = not authenticator.required
            sent = authenticator.authorize(wanted.repository)
            headers = {"Accept": manifest.ACCEPT, **({"Authorization": sent.header} if sent.header else {})}
            headers |= {"Content-Type": media_type} if media_type else {}
            request = partial(self._send, method, url, headers, body)
            login = partial(self._send, "GET", wanted.endpoint.root, {"Authorization": sent.header})
            answer = authenticator.attempt(method, sent, request, login)
            method = answer.method
            challenge = authenticator.remember_challenge(answer) if answer.status == 401 else None
            if challenge:
                retry = authenticator.can_retry(wanted.repository, sent, challenge, wanted.since)
            else:  # some send a challenge only at their root, where Docker begins, and just refuse anonymous requests here
                refused = answer.status in (401, 403, 404)
                retry = refused and own and was_open and self._requires_authentication(wanted.endpoint, authenticator)
            if not retry:
                break
        return answer

    def _requires_authentication(self, endpoint: Endpoint, authenticator: Authenticator) -> bool:
        """Whether an endpoint requires authentication at its root (OCI distribution specification, end-1)."""

        def ping() -> bool:
            with suppress(Failure):
                answer = self._send("GET", endpoint.root, {})
                return answer.status == 401 and authenticator.remember_challenge(answer) is not None
            return False

        return self._pings.get(endpoint.root, ping)

    def _authenticator(self, server: str, account: str | None) -> Authenticator:
        """account: None for a server reached by a redirect, which gets no credentials."""
        with self._lock:
            found = self._authenticators.get((server, account))
            if found is None:
                keychain = self._keychain if account else None
                ask, hide = self.ask_token_server, self.secrets.add
                found = Authenticator(server, account or "", keychain, ask, self._settings, hide)
                self._authenticators[server, account] = found
            return found

    def _send(self, method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
        """Send a request, with retries. Raises Failure; returns the last response if it still is 429 or 5xx, also when no time is
        left for another one: that says more than a timeout.

        A HEAD that fails is retried as GET, so that a server where HEAD never works costs a single pause.
        """
        try:
            return self._retried(method, url, headers, body)
        except Failure as failure:
            refused = self._refused.get(url) or self._host(urlsplit(url).netloc).limited
            if failure.kind != "timeout" or refused is None:
                raise
            return refused._replace(method="GET" if method == "HEAD" else method)

    def _retried(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Answer:
        host = self._host(urlsplit(url).netloc)
        for attempt, pause in enumerate(pauses(), start=1):
            if host.down:
                raise host.down
            quiet, refused = host.quiet_for(), host.limited
            if refused and quiet >= self._transport.remaining():
                return refused._replace(method=method)
            self._wait(quiet)
            try:
                with host.slots:
                    answer = self._transport.exchange(method, url, headers, body)
            except Failure as failure:
                if not self._may_retry(failure, url, attempt, pause):
                    host.give_up(failure)
                    raise
                wait = pause
            else:
                host.take(answer)
                if answer.status not in RETRIED:
                    self._refused.pop(url, None)
                    return answer
                self._refused[url] = answer
                limited = answer.status == 429
                wait = max(pause, http_errors.retry_after(answer))
                if attempt >= (MAX_LIMITED if limited else host.tries) or wait >= self._transport.remaining():
                    host.broken += not limited
                    return answer
                if limited:  # every request to this host waits
                    host.quiet_until = max(host.quiet_until, time.monotonic() + wait)
                    continue
            self._wait(wait)
            method = "GET" if method == "HEAD" else method
        raise AssertionError("unreachable")

    def _may_retry(self, failure: Failure, url: str, attempt: int, pause: float) -> bool:
        """Whether to send a request again that has failed at this attempt, after a pause."""
        scheme, name, *_ = urlsplit(url)
        tries = MAX_TIMEOUTS if failure.kind == "timeout" else self._host(name).tries
        if not (failure.retryable and attempt < tries and pause < self._transport.remaining()):
            return False
        # a TLS server hangs up on plain HTTP every time; ask() starts again over TLS
        hung_up = failure.kind == "unreachable" and not failure.down and self._is_guess(scheme, name)
        return not (hung_up and self._speaks_tls(name))

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(min(seconds, max(self._transport.remaining(), 0)))

    def _host(self, name: str) -> _Host:
        with self._lock:
            return self._hosts.setdefault(name, _Host(self._settings.max_per_host))


def _too_many(url: str) -> Failure:
    why = f"more than {MAX_REDIRECTS} redirects, the last to {urlsplit(url).netloc}"
    return Failure("bad-answer", why, "check which server answers at this address: it may be a proxy")


def _server(url: str) -> str:
    return "{0.scheme}://{0.netloc}".format(urlsplit(url))


def _url(wanted: Wanted) -> str:
    return wanted.address or wanted.endpoint.url(wanted.repository, wanted.what or f"manifests/{wanted.reference}")


def spread(seconds: float) -> float:
    """A time to wait, randomized so that waiting threads do not all resume at once. It grows by up to a half, by a second at most:
    a Retry-After before the deadline must not become one after it."""
    return seconds + random.uniform(0.0, min(seconds / 2, 1.0)) if seconds > 0 else 0.0


def pauses() -> Iterator[float]:
    """Seconds before each retry: 0.1, 0.3, 0.9 … up to 5, each randomized by half, so that many clients do not return at
    once."""
    pause = 0.1
    while True:
        yield pause * random.uniform(0.5, 1.5)
        pause = min(pause * 3, 5.0)
