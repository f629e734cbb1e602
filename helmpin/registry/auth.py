"""Authentication: nothing, Basic, or a Bearer token from a token server.

distribution/docs/spec/auth/token.md and oauth.md (CNCF distribution); RFC 6750; RFC 7617.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol
from urllib.parse import urlencode, urlsplit

from helmpin.named_tuple import NamedTuple
from helmpin.registry import challenge, http_errors
from helmpin.registry.challenge import Challenge
from helmpin.registry.endpoints import check_target
from helmpin.registry.errors import Failure, Kind, failing_at
from helmpin.registry.keychain import Keychain
from helmpin.registry.singleflight import SingleFlight
from helmpin.registry.transport import Answer
from helmpin.registry.types import Credential, RegistrySettings

LIFETIME = 60.0
"""Seconds that a token is valid unless its server states it (token.md, `expires_in`)."""
CLIENT = "helm-pin"
SHORTEST_SECRET = 8
"""Tokens with fewer characters are not hidden from messages: they protect nothing, and occur in ordinary words."""
ANONYMOUS = Credential()


class Send(Protocol):
    """Sends a request to a token server, with the usual retries and redirects."""

    def __call__(self, method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> Answer: ...


class SentAuth(NamedTuple):
    """The authentication that a request carried."""

    header: str
    """The value of Authorization, or ''."""
    credential: Credential
    token: Token | None = None

    def __repr__(self) -> str:
        return f"SentAuth({self.credential!r})"


_TokenKey = tuple[str, str, str, Credential]
"""What a token is for: (token server, service, scope, credential)."""


class Token:
    """A Bearer token. Its text never shows in a repr."""

    def __init__(self, key: _TokenKey, text: str, lifetime: float) -> None:
        """lifetime: in seconds from now."""
        self.key, self.text = key, text
        self.made = time.monotonic()
        self.good_until = self.made + max(lifetime * 0.9, 1.0)

    @property
    def scope(self) -> str:
        """What it was requested for."""
        return self.key[2]

    def valid(self) -> bool:
        """Whether it has not expired."""
        return time.monotonic() < self.good_until


class Authenticator:
    """The authentication of one server, for each repository. Mutable. Shared by all threads."""

    def __init__(
        self,
        server: str,
        account: str,
        keychain: Keychain | None,
        send: Send,
        settings: RegistrySettings,
        hide: Callable[[str], None],
    ) -> None:
        """server: scheme://host. account: the registry to look up in the keychain. hide: is given every secret."""
        self._server, self._account, self._keychain = server, account, keychain
        self._send, self._settings, self._hide = send, settings, hide
        self._challenge: Challenge | None = None
        self._scopes: dict[str, str] = {}
        self._cursors: SingleFlight[CredentialCursor] = SingleFlight()
        self._tokens: SingleFlight[Token] = SingleFlight()
        self._lock = threading.Lock()
        self._first_uses: dict[str, _FirstUse] = {}
        """For each header of Basic, the first request with it."""
        self._logins: SingleFlight[Answer | None] = SingleFlight()
        """For each rejected header, the answer that shows that the password is wrong; None if that is not known."""
        self._first_tokens: SingleFlight[_TokenKey | None] = SingleFlight()
        """For each credential, what the first token with it was requested for, if it was rejected (401)."""
        self._token_logins: SingleFlight[Failure | None] = SingleFlight()
        """For each rejected credential, why it is wrong; None if that is not known."""

    @property
    def required(self) -> bool:
        """Whether the server requires authentication, as far as is known."""
        return self._challenge is not None

    def authorize(self, repository: str) -> SentAuth:
        """The authentication for the next request. Raises Failure if the token server does not issue a token."""
        current = self._challenge
        if current is None:
            return SentAuth("", ANONYMOUS)
        cursor = self._cursor(repository)
        while True:
            credential = cursor.current()
            if current.scheme == "basic":
                return SentAuth(credential.basic, credential)
            if credential.registry_token:
                return SentAuth(f"Bearer {credential.registry_token}", credential)
            try:
                token = self._token(current, repository, credential)
            except _TokenDenied as denied:
                if cursor.advance(credential):
                    continue
                raise self.explain(repository, denied.failure) from None
            return SentAuth(f"Bearer {token.text}", credential, token)

    def attempt(
        self, method: str, sent: SentAuth, request: Callable[[], Answer], login: Callable[[], Answer]
    ) -> Answer:
        """The answer to a request with `sent`. By Basic, one request tries a password while the others wait for a short time: a
        wrong one is not sent for every repository, and locks no account. Raises what `request` raises.

        login: sends `sent` as docker login does (OCI distribution specification, end-1). A 401 for a repository may mean that the
        password is wrong, or only that its user may not pull; the answer to a login tells which. It is asked for only before a
        password that was rejected once is sent for something else, and if it is a 401, that gets it instead.
        """
        if not sent.header.startswith("Basic "):
            return request()
        with self._lock:
            is_first = sent.header not in self._first_uses
            first = self._first_uses.setdefault(sent.header, _FirstUse())
        if is_first:
            with first:
                answer = request()
                first.rejected = answer.status == 401
                return answer
        first.over.wait(self._settings.timeout / 10)  # a registry may fetch that image from another one first
        rejection = self._logins.get(sent.header, lambda: _rejection(login)) if first.rejected else None
        return rejection._replace(method=method) if rejection else request()

    def remember_challenge(self, answer: Answer) -> Challenge | None:
        """The challenge of a 401, remembered for further requests; None if it has none that can be answered."""
        found = challenge.choose(challenge.parse(answer.challenges))
        self._challenge = found or self._challenge
        return found

    def can_retry(self, repository: str, sent: SentAuth, received: Challenge, since: float) -> bool:
        """Whether another attempt may succeed after a 401 with a challenge; it then uses other authentication.

        since: when the image was first requested, on time.monotonic().
        """
        self._scopes[repository] = received.parameters.get("scope") or self._scope(repository)
        cursor = self._cursor(repository)
        if not sent.header and (received.scheme == "bearer" or cursor.current().basic):
            return True
        if sent.token and sent.token.scope != self._scope(repository):
            return True
        if sent.token and sent.token.made < since:  # it may have been revoked
            self._tokens.drop(sent.token.key, sent.token)
            return True
        return cursor.advance(sent.credential)

    def sources(self, repository: str) -> str:
        """Where the credentials tried for a repository came from, for messages; '' if there were none."""
        tried = self._cursor(repository).tried if self._challenge else []
        return ", ".join(dict.fromkeys(credential.source for credential in tried if credential.source))

    def rejected_password(self, repository: str) -> bool:
        """Whether the server itself has rejected passwords for a repository. Some lock an account after a few."""
        return (
            self._challenge is not None and self._challenge.scheme == "basic" and bool(self._cursor(repository).tried)
        )

    def explain(self, repository: str, failure: Failure) -> Failure:
        """A refusal, with the places for credentials that could not be read: they may be the reason."""
        unreadable = self._cursor(repository).unreadable if self._challenge else []
        if not unreadable or failure.status not in (400, 401, 403, 404):
            return failure
        reasons = dict.fromkeys([failure.reason, *(trouble.reason for trouble in unreadable)])
        return Failure("unauthorized", "; ".join(reasons), unreadable[0].hint, status=failure.status)

    def _cursor(self, repository: str) -> CredentialCursor:
        def make() -> CredentialCursor:
            found = self._keychain.find(self._account, repository) if self._keychain else iter(())
            return CredentialCursor(found, self._hide)

        return self._cursors.get(repository, make)

    def _scope(self, repository: str) -> str:
        return self._scopes.get(repository) or f"repository:{repository}:pull"

    def _token(self, current: Challenge, repository: str, credential: Credential) -> Token:
        service = current.parameters.get("service", "")
        key = (current.parameters["realm"], service, self._scope(repository), credential)
        if credential:
            same = credential._replace(source="")
            rejected = self._first_tokens.get(same, lambda: self._use_first(key))
            if rejected and rejected != key and (why := self._token_logins.get(same, lambda: self._log_in(key))):
                raise _TokenDenied(why)
        return self._tokens.get(key, lambda: self._fetch(key), Token.valid)

    def _use_first(self, key: _TokenKey) -> _TokenKey | None:
        """Fetch the first token with a credential while other threads wait: a wrong password is not sent for every repository, and
        locks no account. Returns the key if it was rejected (401)."""
        try:
            self._tokens.get(key, lambda: self._fetch(key), Token.valid)
        except _TokenDenied as denied:
            return key if denied.failure.status == 401 else None
        except Failure:
            pass  # concerns this scope alone
        return None

    def _log_in(self, key: _TokenKey) -> Failure | None:
        """Why a credential is wrong: rejected (401) also without a scope, which is how docker login asks. None if it is not
        known to be: if it was rejected only with a scope, its user may lack that permission."""
        realm, service, _, credential = key
        try:
            self._fetch((realm, service, "", credential))
        except _TokenDenied as denied:
            return denied.failure if denied.failure.status == 401 else None
        except Failure:
            pass
        return None

    def _fetch(self, key: _TokenKey) -> Token:
        realm, service, scope, credential = key
        check_target(realm, self._server, self._settings, "the token server")
        host = urlsplit(realm).netloc
        query = [("service", service)] if service else []
        scopes = [("scope", part) for part in scope.split()]
        answer = None
        if credential.identity_token:
            form = [
                ("grant_type", "refresh_token"),
                *query,
                ("client_id", CLIENT),
                ("scope", scope),
                ("refresh_token", credential.identity_token),
            ]
            answer = self._send(
                "POST",
                realm,
                {"Content-Type": "application/x-www-form-urlencoded"},
                urlencode(form, errors="surrogateescape").encode(),
            )
        if answer is None or answer.status in (301, 302, 303, 404, 405):  # not every token server supports OAuth2
            sent = credential._replace(
                username=credential.username or "<token>", password=credential.password or credential.identity_token
            )
            headers = {"Authorization": sent.basic} if credential else {}
            account = [("account", credential.username)] if credential.username else []
            answer = self._send("GET", _with_query(realm, query + scopes + account), headers)
        stated = http_errors.describe(answer)
        if answer.status in (400, 401, 403):
            shown = credential and not answer.redirected
            what = f"the credentials from {credential.source}" if shown else "an anonymous request"
            why = f"token server {host} rejected {what} ({stated})"
            hint = "check the token server's address in the registry's settings: credentials do not follow a redirect"
            lost = credential and not shown
            raise _TokenDenied(Failure("unauthorized", why, hint if lost else "", status=answer.status))
        if answer.status != 200:
            kind: Kind = (
                "rate-limited" if answer.status == 429 else "unreachable" if answer.status >= 500 else "bad-answer"
            )
            why = f"token server {host} responded with {stated}"
            raise Failure(kind, why, "try again later", status=answer.status)
        with failing_at(answer.redirected and f"redirected to {answer.redirected}"):
            token = _parse_token(key, answer.body, host)
        if len(token.text) >= SHORTEST_SECRET:
            self._hide(token.text)
        return token


class _TokenDenied(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__("denied")
        self.failure = failure


class CredentialCursor:
    """The credentials for one repository; each is looked up when the one before it is rejected. Mutable. Shared by all threads."""

    def __init__(self, found: Iterator[Credential | Failure], hide: Callable[[str], None]) -> None:
        self.tried: list[Credential] = []
        self.unreadable: list[Failure] = []
        """Places that could not be read."""
        self._found, self._hide = found, hide
        self._current: SingleFlight[Credential] = SingleFlight()

    def current(self) -> Credential:
        """The credential to use now; ANONYMOUS if none matches."""
        return self._current.get("", self._next)

    def advance(self, rejected: Credential) -> bool:
        """Move on to the next credential if `rejected` is still the current one. Returns whether there is another."""
        self._current.drop("", rejected)
        following = self.current()
        return bool(following) and following is not rejected

    def _next(self) -> Credential:
        for found in self._found:
            if isinstance(found, Failure):
                self.unreadable.append(found)
            elif found not in self.tried:
                self.tried.append(found)
                for secret in found.secrets:
                    self._hide(secret)
                return found
        return self.tried[-1] if self.tried else ANONYMOUS


class _FirstUse:
    """The first request with a password. Mutable."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.rejected = False
        """Whether its answer was 401."""

    def __enter__(self) -> _FirstUse:  # noqa: PYI034  typing.Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()


def _rejection(login: Callable[[], Answer]) -> Answer | None:
    """The answer to a login if it shows that the password is wrong: a 401 that asks for Basic."""
    try:
        answer = login()
    except Failure:
        return None
    wanted = challenge.choose(challenge.parse(answer.challenges))
    return answer if answer.status == 401 and wanted and wanted.scheme == "basic" else None


def _parse_token(key: _TokenKey, body: bytes, host: str) -> Token:
    """The token in a token server's response: `token`, or OAuth2's `access_token`."""
    try:
        answer = json.loads(body)
        token = answer.get("token") or answer.get("access_token")
        lifetime = answer.get("expires_in") or LIFETIME
        lifetime = float(lifetime) if isinstance(lifetime, (int, float)) else LIFETIME
    except (ValueError, AttributeError, RecursionError, OverflowError):
        raise Failure("bad-answer", f"token server {host} did not return JSON", "try again") from None
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]{1,65536}", token):
        raise Failure("bad-answer", f"token server {host} returned no usable token", "try again")
    return Token(key, token, lifetime)


def _with_query(url: str, query: list[tuple[str, str]]) -> str:
    return url + ("&" if "?" in url else "?") + urlencode(query, errors="surrogateescape") if query else url
