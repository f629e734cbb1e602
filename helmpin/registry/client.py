"""Asking registries for manifests: the distribution specification's pull side (opencontainers/distribution-spec, spec.md, Pull).

One Client serves one run: connections are pooled and kept alive, tokens are kept per scope, and a host that cannot be reached
is found out once.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode, urljoin, urlsplit

from helmpin.image.reference import DOCKER_HUB, Reference, valid_digest
from helmpin.registry import challenge
from helmpin.registry.errors import RegistryError, Transient
from helmpin.registry.keychain import Credentials, Keychain
from helmpin.registry.settings import RegistrySettings, Resolved

if TYPE_CHECKING:
    import urllib3

INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
ACCEPT = ", ".join(INDEXES + MANIFESTS)
BODY_MAX = 4 << 20
"""Bytes: the specification's limit for a manifest."""
REDIRECTS_MAX = 5
ATTEMPTS = 4
CONNECT_SECONDS = 5.0


class Endpoint(NamedTuple):
    """Where to ask for a repository: the base URL, what to add as `?ns=`, and the host whose credentials are used."""

    base: str
    namespace: str | None
    host: str


class Answer(NamedTuple):
    """One response: headers by lower-case name, and the body (empty for HEAD)."""

    status: int
    headers: dict[str, str]
    body: bytes
    url: str


class Client:
    """Asks registries within one deadline. Safe to use from many threads."""

    def __init__(self, settings: RegistrySettings, keychain: Keychain) -> None:
        self.settings, self._keychain = settings, keychain
        self.deadline = time.monotonic() + settings.timeout
        self._pools: dict[str, urllib3.PoolManager | urllib3.ProxyManager] = {}
        self._lock = threading.Lock()
        self._tokens: dict[tuple[str, str], tuple[str, float]] = {}
        self._token_locks: dict[tuple[str, str], threading.Lock] = {}
        self._challenges: dict[str, challenge.Challenge] = {}
        self._down: dict[str, RegistryError] = {}

    # -- manifests ---------------------------------------------------------------------------------------------------

    def resolve(self, reference: Reference) -> Resolved:
        """The digest and media type of a reference. Raises RegistryError."""
        return self._each_endpoint(reference, self._resolve_at)

    def manifest(self, reference: Reference) -> tuple[Resolved, dict[str, Any]]:
        """A manifest or index, its bytes checked against its digest. Raises RegistryError."""
        return self._each_endpoint(reference, self._manifest_at)

    def _each_endpoint(self, reference: Reference, ask: Any) -> Any:
        failure: RegistryError | None = None
        for endpoint in endpoints(reference.registry, self.settings):
            try:
                return ask(endpoint, reference)
            except RegistryError as error:
                error.registry = error.registry or endpoint.host
                error.repository = reference.repository
                failure = error
        assert failure is not None
        raise failure

    def _resolve_at(self, endpoint: Endpoint, reference: Reference) -> Resolved:
        answer = self._ask("HEAD", endpoint, reference)
        digest = answer.headers.get("docker-content-digest", "")
        media_type = _media_type(answer)
        if answer.status == 200 and valid_digest(digest) and media_type in INDEXES + MANIFESTS:
            return _checked(Resolved(digest, media_type), reference)
        if answer.status in (200, 400, 405, 406, 501):  # no usable digest, or a registry that does not know HEAD
            return self._manifest_at(endpoint, reference)[0]
        raise self._refusal(answer, endpoint, reference)

    def _manifest_at(self, endpoint: Endpoint, reference: Reference) -> tuple[Resolved, dict[str, Any]]:
        answer = self._ask("GET", endpoint, reference)
        if answer.status != 200:
            raise self._refusal(answer, endpoint, reference)
        return read_manifest(answer.body, _media_type(answer), reference)

    def _ask(self, method: str, endpoint: Endpoint, reference: Reference) -> Answer:
        path = f"/v2/{quote(reference.repository, safe='/')}/manifests/{quote(reference.digest or reference.tag or 'latest', safe=':')}"
        query = "?" + urlencode({"ns": endpoint.namespace}) if endpoint.namespace else ""
        url, scope = endpoint.base + path + query, f"repository:{reference.repository}:pull"
        headers = {"Accept": ACCEPT, **self._authorization(endpoint, reference, scope, None)}
        answer = self._request(method, url, headers)
        if answer.status == 401:
            refused = answer.headers.get("www-authenticate", "")
            authorized = self._authorization(endpoint, reference, scope, refused, used="Authorization" in headers)
            if authorized:
                answer = self._request(method, url, {"Accept": ACCEPT, **authorized})
        return answer

    def _refusal(self, answer: Answer, endpoint: Endpoint, reference: Reference) -> RegistryError:
        what = reference.digest or reference.tag
        code = _error_code(answer.body)
        login = f"docker login {reference.registry}"
        kind, reason, todo = {
            401: ("unauthorized", f"{reference.repository} needs credentials, or they are not valid", f"{login}, or check the name: a registry may hide what it does not have"),
            403: ("forbidden", f"access to {reference.repository} is denied", f"{login} as someone who may pull it"),
            404: ("not-found", f"{reference.repository} has no {'digest' if reference.digest else 'tag'} {what}", "check the name and the tag"),
            429: ("rate-limited", "too many requests", f"{login}, or use --registry-mirror"),
        }.get(answer.status, ("bad-answer", f"cannot read {reference.repository}", "see what the registry logs"))
        return RegistryError(kind, reason + (f": {code}" if code else ""), registry=endpoint.host, status=answer.status, todo=todo)

    # -- authorization -----------------------------------------------------------------------------------------------

    def _authorization(
        self, endpoint: Endpoint, reference: Reference, scope: str, refused: str | None, *, used: bool = False
    ) -> dict[str, str]:
        """The Authorization header: as the host's challenge (or the one known from before) asks for it; {} for none.

        `refused` is the challenge of a 401; `used` says that what was tried had an Authorization, so a kept token is stale.
        """
        if refused is not None:
            known = next((c for c in challenge.parse(refused) if c.scheme in ("bearer", "basic")), None)
            if known is None:
                return {}
            with self._lock:
                self._challenges[endpoint.base] = known
        else:
            known = self._challenges.get(endpoint.base)
            if known is None:
                return {}
        if known.scheme == "basic":
            credentials = self._keychain(endpoint.host, reference.repository)
            if credentials is None or (refused is not None and used):
                return {}
            return {"Authorization": _basic(credentials)}
        wanted = (refused is not None and known.parameters.get("scope")) or scope
        return {"Authorization": "Bearer " + self._token(known, endpoint, reference, wanted, renew=refused is not None and used)}

    def _token(self, known: challenge.Challenge, endpoint: Endpoint, reference: Reference, scope: str, *, renew: bool) -> str:
        key = (endpoint.base, scope)
        with self._lock:
            lock = self._token_locks.setdefault(key, threading.Lock())
        with lock:
            token, expires = self._tokens.get(key, ("", 0.0))
            if token and not renew and time.monotonic() < expires:
                return token
            token, seconds = self._fetch_token(known, endpoint, reference, scope)
            self._tokens[key] = (token, time.monotonic() + max(seconds - 10, 1))
            return token

    def _fetch_token(self, known: challenge.Challenge, endpoint: Endpoint, reference: Reference, scope: str) -> tuple[str, float]:
        """Distribution specification, Token authentication (GET), and OAuth2 for identity tokens (POST)."""
        realm = urlsplit(known.parameters.get("realm", ""))
        if realm.scheme not in ("http", "https") or not realm.netloc:
            raise RegistryError("bad-answer", "its Bearer challenge names no usable realm", registry=endpoint.host, status=401)
        credentials = self._keychain(endpoint.host, reference.repository)
        if credentials and realm.scheme == "http" and not self._may_be_plain(realm.netloc):
            raise RegistryError(
                "bad-answer",
                f"its token realm {realm.netloc} is plain HTTP: no credentials are sent there",
                registry=endpoint.host,
                todo=f"--registry-plain-http {realm.netloc} if that is meant",
            )
        service = known.parameters.get("service", "")
        form = {"service": service, "scope": scope} if service else {"scope": scope}
        url = known.parameters["realm"]
        if credentials and credentials.identity_token:
            body = {**form, "grant_type": "refresh_token", "client_id": "helm-pin", "refresh_token": credentials.identity_token}
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = self._request("POST", url, headers, urlencode(body).encode())
        else:
            query = ("&" if realm.query else "?") + urlencode(form)
            answer = self._request("GET", url + query, {"Authorization": _basic(credentials)} if credentials else {})
        if answer.status != 200:
            kind = "unauthorized" if answer.status in (401, 403) else "bad-answer"
            reason = f"{realm.netloc} gives no token for {reference.repository}"
            raise RegistryError(kind, reason, registry=endpoint.host, status=answer.status, todo=f"docker login {reference.registry}")
        try:
            loaded = json.loads(answer.body)
            token = loaded.get("token") or loaded.get("access_token")
            seconds = float(loaded.get("expires_in") or 60)
        except (ValueError, AttributeError, TypeError):
            token, seconds = None, 0.0
        if not isinstance(token, str) or not token or not token.isascii() or any(c.isspace() for c in token):
            raise RegistryError("bad-answer", f"{realm.netloc} answered without a token", registry=endpoint.host)
        return token, seconds

    # -- requests ----------------------------------------------------------------------------------------------------

    def _request(self, method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
        """One request, tried again while its failure may pass and time is left; redirects followed without credentials."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._follow(method, url, headers, body)
            except Transient as failure:
                host = urlsplit(url).netloc
                wait = failure.wait if failure.wait is not None else random.uniform(0.5, 1.0) * 0.2 * 2**attempt
                if attempt == ATTEMPTS or time.monotonic() + wait > self.deadline:
                    final = RegistryError(failure.kind, failure.reason, registry=host, status=failure.status, todo=failure.todo)
                    if failure.kind == "unreachable":
                        with self._lock:
                            self._down[host] = final
                    raise final from None
                time.sleep(wait)
        raise AssertionError("unreachable")

    def _follow(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Answer:
        origin = urlsplit(url)
        for _ in range(REDIRECTS_MAX + 1):
            answer = self._once(method, url, headers, body)
            if answer.status not in (301, 302, 303, 307, 308) or "location" not in answer.headers:
                return answer
            target = urlsplit(urljoin(url, answer.headers["location"]))
            if target.scheme not in ("http", "https") or (target.scheme == "http" and not self._may_be_plain(target.netloc)):
                raise RegistryError("bad-answer", f"it redirects to {target.scheme}://{target.netloc}, which is not HTTPS", registry=origin.netloc)
            if (target.scheme, target.netloc) != (origin.scheme, origin.netloc):
                headers = {k: v for k, v in headers.items() if k != "Authorization"}
            url = target.geturl()
        raise RegistryError("bad-answer", f"it redirects more than {REDIRECTS_MAX} times", registry=origin.netloc)

    def _once(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Answer:
        import urllib3
        from urllib3.exceptions import HTTPError, NameResolutionError, SSLError

        host = urlsplit(url).netloc
        if host in self._down:
            raise self._down[host]
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise RegistryError("timeout", f"no answer within {self.settings.timeout:g} s", registry=host, todo="--registry-timeout gives it longer")
        timeout = urllib3.Timeout(connect=min(CONNECT_SECONDS, left), read=left)
        try:
            response = self._pool(url).request(
                method, url, headers={"User-Agent": "helm-pin", **headers}, body=body, timeout=timeout, retries=False, redirect=False, preload_content=False
            )
            try:
                content = self._read(response, host) if method != "HEAD" else b""
            finally:
                response.drain_conn() if method == "HEAD" else response.release_conn()
        except RegistryError:
            raise
        except (HTTPError, OSError, ValueError) as error:
            cause = _root(error)
            if isinstance(error, SSLError) or type(cause).__name__.startswith("SSL"):
                raise RegistryError("unreachable", f"TLS fails: {_tls_words(cause)}", registry=host, todo=f"--registry-ca-file FILE for a private authority, --registry-plain-http {host} for plain HTTP") from None
            if isinstance(cause, NameResolutionError) or type(cause).__name__ == "gaierror":
                raise RegistryError("unreachable", "the host name is not known", registry=host, todo="check the name and DNS") from None
            if "timed out" in str(error).lower() or "timeout" in type(error).__name__.lower():
                raise Transient("timeout", "no answer in time", registry=host, todo="--registry-timeout gives it longer") from None
            raise Transient("unreachable", _words(cause), registry=host, todo="check that the registry is up and can be reached from here") from None
        answer = Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, content, url)
        if answer.status == 429 or answer.status >= 500:
            reason = "too many requests" if answer.status == 429 else "the registry failed"
            failure = Transient("rate-limited" if answer.status == 429 else "bad-answer", reason, registry=host, status=answer.status, todo="try again later, or use --registry-mirror")
            failure.wait = _retry_after(answer.headers.get("retry-after"))
            raise failure
        return answer

    def _read(self, response: Any, host: str) -> bytes:
        content = b""
        while chunk := response.read1(65536):
            content += chunk
            if len(content) > BODY_MAX:
                response.close()
                raise RegistryError("bad-answer", f"its answer is larger than {BODY_MAX >> 20} MiB", registry=host)
            if time.monotonic() > self.deadline:
                response.close()
                raise RegistryError("timeout", f"its answer was not whole within {self.settings.timeout:g} s", registry=host)
        return content

    def _may_be_plain(self, host: str) -> bool:
        return is_loopback(host) or host in self.settings.plain_http

    def _pool(self, url: str) -> urllib3.PoolManager | urllib3.ProxyManager:
        import urllib3

        parts = urlsplit(url)
        proxy = _proxy(parts.scheme, parts.netloc)
        key = f"{parts.scheme} {proxy or ''}"
        with self._lock:
            if key not in self._pools:
                options: dict[str, Any] = {"maxsize": self.settings.max_per_host, "num_pools": 100}
                if parts.scheme == "https":
                    options["ssl_context"] = tls_context(self.settings)
                self._pools[key] = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
            return self._pools[key]


def endpoints(registry: str, settings: RegistrySettings) -> list[Endpoint]:
    """Where to ask for a registry's repositories, in order: its mirrors (containerd's hosts.toml convention: the same path, with
    the registry as `?ns=`), or the registry itself; `origin` among the mirrors stands for the registry."""
    host = "registry-1.docker.io" if registry == DOCKER_HUB else registry
    plain = is_loopback(registry) or registry in settings.plain_http
    origin = Endpoint(f"{'http' if plain else 'https'}://{host}", None, registry)
    urls = [url for name, url in settings.mirrors if name == registry] or [url for name, url in settings.mirrors if name == "*"]
    found = []
    for url in urls:
        base = url.rstrip("/").removesuffix("/v2")
        found.append(origin if url == "origin" else Endpoint(base if "://" in base else f"https://{base}", registry, urlsplit(base).netloc or base))
    return found or [origin]


def read_manifest(body: bytes, media_type: str, reference: Reference) -> tuple[Resolved, dict[str, Any]]:
    """Check the bytes of a manifest and read them. Raises RegistryError (bad-answer)."""
    try:
        loaded = json.loads(body)
    except (ValueError, RecursionError):
        loaded = None
    if not isinstance(loaded, dict):
        raise RegistryError("bad-answer", f"the manifest of {reference.repository} is not a JSON object", todo="the registry, or something before it, is broken")
    kind = loaded.get("mediaType") if isinstance(loaded.get("mediaType"), str) else media_type
    if loaded.get("schemaVersion") == 1 or "manifest.v1" in media_type and "vnd.docker" in media_type:
        raise RegistryError("bad-answer", f"{reference.repository} is an image of schema 1, which has no stable digest and current runtimes refuse", todo="push it again with a current tool")
    if kind not in INDEXES + MANIFESTS:
        raise RegistryError("bad-answer", f"the answer for {reference.repository} is of type {kind or 'unknown'!r}, not an image", todo="check the name: it may be a chart or another artifact")
    digest = "sha256:" + hashlib.sha256(body).hexdigest()
    if reference.digest and reference.digest.startswith("sha512:"):
        digest = "sha512:" + hashlib.sha512(body).hexdigest()
    return _checked(Resolved(digest, str(kind)), reference), loaded


def _checked(resolved: Resolved, reference: Reference) -> Resolved:
    if reference.digest and resolved.digest != reference.digest:
        raise RegistryError("bad-answer", f"asked for {reference.digest}, the registry answered with {resolved.digest}", todo="do not trust this registry")
    return resolved


def is_loopback(host: str) -> bool:
    """Whether a host[:port] is this machine: 127.0.0.0/8, ::1, localhost."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") and host.count(":") != 0 else host
    return name == "localhost" or name in ("[::1]", "::1") or (name.startswith("127.") and name.replace(".", "").isdigit())


def tls_context(settings: RegistrySettings) -> Any:
    """The TLS client context: the system's authorities, and what the settings add. Raises RegistryError."""
    import ssl

    context = ssl.create_default_context()
    try:
        if settings.ca_file:
            context.load_verify_locations(settings.ca_file)
        if settings.client_cert:
            context.load_cert_chain(settings.client_cert, settings.client_key)
    except (OSError, ssl.SSLError) as error:
        raise RegistryError("unreachable", f"cannot use {settings.ca_file or settings.client_cert}: {error}", todo="a PEM file is needed") from None
    return context


def _proxy(scheme: str, host: str) -> str | None:
    import os

    if not any(name.lower().endswith("_proxy") for name in os.environ) or is_loopback(host):
        return None
    from urllib.request import getproxies_environment, proxy_bypass_environment

    proxies = getproxies_environment()
    return None if proxy_bypass_environment(host, proxies) else proxies.get(scheme)


def _basic(credentials: Credentials) -> str:
    import base64

    return "Basic " + base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()


def _media_type(answer: Answer) -> str:
    return answer.headers.get("content-type", "").split(";")[0].strip().lower()


def _error_code(body: bytes) -> str:
    try:
        first = json.loads(body)["errors"][0]
        return f"{first['code']}: {first.get('message', '')}"[:200].strip(": ")
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return ""


def _retry_after(value: str | None) -> float | None:
    """Seconds that Retry-After asks for (RFC 9110, section 10.2.3), a date included."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _root(error: BaseException) -> BaseException:
    seen = error
    for _ in range(5):
        inner = getattr(seen, "reason", None) or seen.__cause__ or seen.__context__
        if not isinstance(inner, BaseException):
            break
        seen = inner
    return seen


def _words(error: BaseException) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "the connection is refused"
    if isinstance(error, ConnectionResetError):
        return "the connection was reset"
    return f"the connection failed: {getattr(error, 'strerror', None) or type(error).__name__}"


def _tls_words(error: BaseException) -> str:
    return str(getattr(error, "verify_message", "") or getattr(error, "reason", "") or error)
