"""What a server is shown: nothing, Basic, or a Bearer token from its token server.

distribution/docs/spec/auth/token.md and oauth.md (CNCF distribution); RFC 6750; RFC 7617.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol
from urllib.parse import urlencode, urlsplit

from helmpin.registry import challenge, http_errors
from helmpin.registry.challenge import Challenge
from helmpin.registry.endpoints import check_named
from helmpin.registry.errors import Failure, Kind
from helmpin.registry.keychain import Keychain
from helmpin.registry.singleflight import Once
from helmpin.registry.transport import Answer
from helmpin.registry.types import Credential, RegistrySettings

LIFETIME = 60.0
"""Seconds that a token holds when its server does not say (token.md, `expires_in`)."""
CLIENT = "helm-pin"
SHORTEST_SECRET = 8
"""Characters of a token, at least, for it to be hidden: shorter ones keep nobody out, and occur in words."""
ANONYMOUS = Credential()


class Ask(Protocol):
    """Sends a request to a token server, with the usual second tries."""

    def __call__(self, method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> Answer: ...


class Shown(NamedTuple):
    """What a request carried, so that a refusal can be judged."""

    header: str
    """The value of Authorization, or ''."""
    credential: Credential
    token: Token | None = None

    def __repr__(self) -> str:
        return f"Shown({self.credential!r})"


_Key = tuple[str, str, str, Credential]
"""What a token is for: the token server, the service, the scope, and who asks."""


class Token:
    """A Bearer token. Its text never shows in a repr."""

    def __init__(self, key: _Key, text: str, lifetime: float) -> None:
        """lifetime: in seconds from now."""
        self.key, self.text = key, text
        self.made = time.monotonic()
        self.good_until = self.made + max(lifetime * 0.9, 1.0)

    def good(self) -> bool:
        """Whether it still holds, on time.monotonic()."""
        return time.monotonic() < self.good_until


class Authenticator:
    """What one server is shown, for each repository. Safe to use from many threads."""

    def __init__(
        self,
        server: str,
        account: str,
        keychain: Keychain | None,
        ask: Ask,
        settings: RegistrySettings,
        secret: Callable[[str], None],
    ) -> None:
        """server: scheme://host. account: the registry to look up in the keychain. secret: told what must not show."""
        self._server, self._account, self._keychain = server, account, keychain
        self._ask, self._settings, self._secret = ask, settings, secret
        self._challenge: Challenge | None = None
        self._scopes: dict[str, str] = {}
        self._wallets: Once[_Wallet] = Once()
        self._tokens: Once[Token] = Once()
        self._first_uses: Once[None] = Once()

    def show(self, repository: str) -> Shown:
        """What the next request for a repository carries. Raises Failure when a token cannot be had."""
        asked = self._challenge
        if asked is None:
            return Shown("", ANONYMOUS)
        wallet = self._wallet(repository)
        while True:
            credential = wallet.current()
            if asked.scheme == "basic":
                return Shown(credential.basic, credential)
            if credential.registry_token:
                return Shown(f"Bearer {credential.registry_token}", credential)
            try:
                token = self._token(asked, repository, credential)
            except _Refused as refused:
                if wallet.drop(credential):
                    continue
                raise self.explain(repository, refused.failure) from None
            return Shown(f"Bearer {token.text}", credential, token)

    @property
    def asked(self) -> bool:
        """Whether the server has asked who it is that comes."""
        return self._challenge is not None

    def learn(self, answer: Answer) -> Challenge | None:
        """Take the challenge of a 401, and return it; None when it has none that can be answered."""
        asked = challenge.choose(challenge.parse(answer.challenges))
        self._challenge = asked or self._challenge
        return asked

    def refused(self, repository: str, shown: Shown, asked: Challenge, since: float) -> bool:
        """Learn from a 401 with a challenge. Returns whether another try can do better. since: when the image was first
        asked for, on time.monotonic()."""
        scope = asked.parameters.get("scope") or self._scope(repository)
        other = scope != self._scope(repository)
        self._scopes[repository] = scope
        wallet = self._wallet(repository)
        if not shown.header and (asked.scheme == "bearer" or wallet.current().basic):
            return True
        if other:
            return True
        if shown.token and shown.token.made < since:  # it may have been revoked
            self._tokens.drop(shown.token.key, shown.token)
            return True
        return wallet.drop(shown.credential)

    def sources(self, repository: str) -> str:
        """Where the credentials that were tried for a repository came from, for people; '' when there were none."""
        tried = self._wallet(repository).tried if self._challenge else []
        return ", ".join(dict.fromkeys(credential.source for credential in tried if credential.source))

    def refused_password(self, repository: str) -> bool:
        """Whether the server itself was shown passwords for a repository, and took none: some lock an account after a
        few."""
        return (
            self._challenge is not None and self._challenge.scheme == "basic" and bool(self._wallet(repository).tried)
        )

    def explain(self, repository: str, failure: Failure) -> Failure:
        """A refusal, as it is told: where credentials could not be read or a helper failed, that may be why."""
        unusable = self._wallet(repository).unusable if self._challenge else []
        if not unusable or failure.status not in (400, 401, 403, 404):
            return failure
        reason = "; ".join(dict.fromkeys(trouble.reason for trouble in unusable))
        return Failure("unauthorized", f"{failure.reason}; {reason}", unusable[0].todo, status=failure.status)

    def _wallet(self, repository: str) -> _Wallet:
        def make() -> _Wallet:
            return _Wallet(self._keychain.find(self._account, repository) if self._keychain else iter(()), self._secret)

        return self._wallets.get(repository, make)

    def _scope(self, repository: str) -> str:
        return self._scopes.get(repository) or f"repository:{repository}:pull"

    def _token(self, asked: Challenge, repository: str, credential: Credential) -> Token:
        service = asked.parameters.get("service", "")
        key = (asked.parameters["realm"], service, self._scope(repository), credential)
        if credential:
            self._first_uses.get(credential, lambda: self._use_first(key))
        return self._tokens.get(key, lambda: self._fetch(key), Token.good)

    def _use_first(self, key: _Key) -> None:
        """Fetch the first token with a credential, while all others that want one wait: a wrong password is shown once,
        not for every repository, and locks no account. Raises _Refused when it is wrong (401)."""
        try:
            self._tokens.get(key, lambda: self._fetch(key), Token.good)
        except _Refused as refused:
            if refused.failure.status == 401:
                raise
        except Failure:
            pass  # that of one scope: the others ask for themselves

    def _fetch(self, key: _Key) -> Token:
        realm, service, scope, credential = key
        check_named(realm, self._server, self._settings, "it names the token server")
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
            answer = self._ask(
                "POST", realm, {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(form).encode()
            )
        if answer is None or answer.status in (404, 405):  # not every token server knows OAuth2
            shown = credential._replace(
                username=credential.username or "<token>", password=credential.password or credential.identity_token
            )
            headers = {"Authorization": shown.basic} if credential else {}
            account = [("account", credential.username)] if credential.username else []
            answer = self._ask("GET", _with_query(realm, query + scopes + account), headers)
        if answer.status in (400, 401, 403):
            who = f"the credentials from {credential.source}" if credential else "a client without credentials"
            why = f"its token server {host} refused {who} ({http_errors.told(answer)})"
            raise _Refused(Failure("unauthorized", why, status=answer.status))
        if answer.status != 200:
            kind: Kind = (
                "rate-limited" if answer.status == 429 else "unreachable" if answer.status >= 500 else "bad-answer"
            )
            why = f"its token server {host} answered with {http_errors.told(answer)}"
            raise Failure(kind, why, "try again later", status=answer.status)
        token = _read_token(key, answer.body, host)
        if len(token.text) >= SHORTEST_SECRET:
            self._secret(token.text)
        return token


class _Refused(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__("refused")
        self.failure = failure


class _Wallet:
    """The credentials for one repository, fetched one by one as the one before is refused; at the end, none."""

    def __init__(self, found: Iterator[Credential | Failure], secret: Callable[[str], None]) -> None:
        self.tried: list[Credential] = []
        self.unusable: list[Failure] = []
        """Of places that could not be asked."""
        self._found, self._secret = found, secret
        self._current: Once[Credential] = Once()

    def current(self) -> Credential:
        """The credential to use now; ANONYMOUS when none matches."""
        return self._current.get("", self._next)

    def drop(self, refused: Credential) -> bool:
        """Go on to the next credential, if `refused` still is the current one. Returns whether there is another."""
        self._current.drop("", refused)
        following = self.current()
        return bool(following) and following is not refused

    def _next(self) -> Credential:
        for credential in self._found:
            if isinstance(credential, Failure):
                self.unusable.append(credential)
            elif credential not in self.tried:
                self.tried.append(credential)
                for secret in credential.secrets:
                    self._secret(secret)
                return credential
        return self.tried[-1] if self.tried else ANONYMOUS


def _read_token(key: _Key, body: bytes, host: str) -> Token:
    """The token in a token server's answer: `token`, or `access_token` as OAuth2 calls it."""
    try:
        answer = json.loads(body)
        token = answer.get("token") or answer.get("access_token")
        lifetime = answer.get("expires_in") or LIFETIME
        lifetime = float(lifetime) if isinstance(lifetime, (int, float)) else LIFETIME
    except (ValueError, AttributeError, RecursionError, OverflowError):
        raise Failure("bad-answer", f"its token server {host} did not answer with JSON", "try again") from None
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]{1,65536}", token):
        raise Failure("bad-answer", f"its token server {host} answered without a usable token", "try again")
    return Token(key, token, lifetime)


def _with_query(url: str, query: list[tuple[str, str]]) -> str:
    return url + ("&" if "?" in url else "?") + urlencode(query) if query else url
