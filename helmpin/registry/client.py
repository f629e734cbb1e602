"""What is asked of registries: digests, platforms, tags. Every mirror is asked before the registry itself."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from helmpin.image.reference import Reference, valid_digest
from helmpin.registry import http_errors, manifest
from helmpin.registry.endpoints import Endpoint, endpoints, registry_itself
from helmpin.registry.errors import Failure, RegistryError, failing_at
from helmpin.registry.keychain import Entries, Keychain
from helmpin.registry.manifest import IndexedManifest, Manifest
from helmpin.registry.requester import Requester, Wanted
from helmpin.registry.transport import MORE_TIME, Answer, Transport
from helmpin.registry.types import Described, Platform, RegistrySettings, Resolved, TagList

if TYPE_CHECKING:
    from helmpin.registry.details import Details

MAX_PAGES = 3
PAGE = 1000
"""The most tags in one response of a registry."""
UNKNOWN = "unknown/unknown"
"""The platform of attestations in an index."""
R = TypeVar("R")
MOST_NESTED, MOST_INDEXES = 2, 16
"""How many levels of indexes within an index are read, and how many of each."""


class Client:
    """A registry client for one run. Shared by all threads."""

    def __init__(self, settings: RegistrySettings, keychain: Keychain, transport: Transport) -> None:
        self._settings, self._requester = settings, Requester(settings, keychain, transport)

    def resolve(self, reference: Reference) -> Resolved:
        """The digest of a reference, from HEAD, or computed from GET if HEAD is not enough. Raises RegistryError."""
        return self._first(reference, self._resolve)

    def describe(self, reference: Reference) -> Described:
        """The digest of a reference and its platforms, without an index's configurations. Raises RegistryError."""

        def ask(wanted: Wanted) -> Described:
            resolved, document = self._read(self._requester.ask("GET", wanted), wanted)
            if document.config:
                return Described(*resolved, (Platform("", resolved.digest, document.config),))
            children = self._images(document, wanted)
            return Described(*resolved, tuple(Platform(child.platform, child.digest, None) for child in children))

        return self._first(reference, ask)

    def details(self, reference: Reference) -> Details:
        """What an image is: two or three GET requests. Raises RegistryError."""
        from helmpin.registry import details

        def ask(wanted: Wanted) -> Details:
            answer = self._requester.ask("GET", wanted)
            document = self._read(answer, wanted)[1]
            bodies, children = [answer.body], self._images(document, wanted)
            if children:
                names = [child.platform for child in children]
                chosen = children[names.index(details.PREFERRED) if details.PREFERRED in names else 0]
                inner = wanted._replace(reference=chosen.digest)
                answer = self._requester.ask("GET", inner)
                document = self._read(answer, inner)[1]
                bodies.append(answer.body)
            config = self._blob(wanted, document.config) if document.config else {}
            platforms = tuple(dict.fromkeys(child.platform for child in children if child.platform))
            return details.described([json.loads(body) for body in bodies], config, platforms)

        return self._first(reference, ask)

    def _images(self, document: Manifest, wanted: Wanted, depth: int = MOST_NESTED) -> list[IndexedManifest]:
        """The images of an index, and of the indexes in it, which OCI allows (image-index.md, manifests). Raises Failure."""
        found: list[IndexedManifest] = []
        indexes = [child for child in document.children if child.is_index][: MOST_INDEXES if depth else 0]
        for child in document.children:
            if child in indexes:
                inner = wanted._replace(reference=child.digest)
                found += self._images(self._read(self._requester.ask("GET", inner), inner)[1], inner, depth - 1)
            elif child.platform != UNKNOWN:
                found.append(child)
        return found

    def _blob(self, wanted: Wanted, digest: str) -> Any:
        """A configuration, or {} for one that is not JSON. Raises Failure."""
        answer = self._requester.ask("GET", wanted._replace(reference=digest, what=f"blobs/{digest}"))
        if answer.status == 404:
            why = f"the configuration of the image, {digest}, not found in {wanted.repository} ({http_errors.describe(answer)})"
            raise Failure("not-found", why, "a part of the image is lost: push it again", status=404)
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

        def ask(wanted: Wanted) -> str:
            answer = self._requester.ask("HEAD", wanted)
            if answer.status in (404, 429):
                raise self._refusal(answer, wanted)
            digest = answer.headers.get("Docker-Content-Digest", "")
            return digest if answer.status == 200 and valid_digest(digest) else ""

        return self._first(reference, ask)

    def tags(self, reference: Reference) -> TagList:
        """The tags of a reference's repository, up to MAX_PAGES pages. Raises RegistryError."""
        return self._first(reference, self._tags)

    def tags_after(self, reference: Reference, after: str) -> TagList:
        """The same at the registry itself, without the tags up to a text in alphabetical order if the registry supports that."""
        return self._at_origin(reference, lambda wanted: self._tags(wanted, after))

    def _tags(self, wanted: Wanted, after: str = "") -> TagList:
        last = f"&last={quote(after)}" if after else ""
        page = wanted._replace(what=f"tags/list?n={PAGE}{last}")
        found: list[str] = []
        for _ in range(MAX_PAGES):
            answer = self._requester.ask("GET", page)
            if answer.status in (404, 405, 501):  # the repository is known to be there
                why = f"no list of the tags of {wanted.repository} ({http_errors.describe(answer)})"
                raise Failure("bad-answer", why, "the registry may not list tags", status=answer.status)
            if answer.status != 200:
                raise self._refusal(answer, wanted)
            found += manifest.read_tags(answer.body)
            try:
                following = self._requester.next_page(answer, page)
            except Failure:  # the link to the next page cannot be followed
                break
            if following is None:
                return TagList(found, complete=True)
            page = following
        return TagList(found, complete=False)

    def keep(self, reference: Reference, tag: str) -> bool:
        """Give a digest another tag, at the registry itself: its manifest is read and written again, no blobs (OCI distribution
        specification, end-7). Returns whether the tag is new. Raises RegistryError."""

        def ask(wanted: Wanted) -> bool:
            there = self._requester.ask("HEAD", wanted._replace(reference=tag))
            if there.status == 200 and there.headers.get("Docker-Content-Digest") == reference.digest:
                return False
            answer = self._requester.ask("GET", wanted)
            media_type = self._read(answer, wanted)[0].media_type
            written = self._write("PUT", wanted._replace(reference=tag), answer.body, media_type)
            stated = written.headers.get("Docker-Content-Digest", reference.digest)
            if stated != reference.digest:
                raise Failure("bad-answer", f"{tag} was written, but as {stated} rather than {reference.digest}")
            return True

        return self._at_origin(reference, ask)

    def untag(self, reference: Reference) -> None:
        """Remove a tag, and nothing but the tag (end-9). Raises RegistryError."""
        self._at_origin(reference, lambda wanted: self._write("DELETE", wanted))

    def late(self, reference: Reference) -> RegistryError:
        """The error for a reference that has no answer at the deadline: what a server refused last, rather than that time is up.
        Waits for nothing."""
        for endpoint in endpoints(reference, self._settings):
            answer = self._requester.refused(Wanted(endpoint, reference.repository, reference.identifier, 0.0))
            if answer:
                failure = http_errors.refusal(answer, reference.repository, reference.identifier, "")
                return self._error(reference, [(endpoint, failure)])
        why = f"no response for {reference.repository} within {self._settings.timeout:g} s"
        return RegistryError(reference, "timeout", why, MORE_TIME)

    def _write(self, method: str, wanted: Wanted, body: bytes | None = None, media_type: str = "") -> Answer:
        answer = self._requester.write(method, wanted, body, media_type)
        if answer.status not in (200, 201, 202, 204):
            failure = self._refusal(answer, wanted)
            if answer.status in (400, 405, 501) and method == "DELETE":
                why = f"the registry does not delete tags ({http_errors.describe(answer)})"
                failure = Failure("forbidden", why, "delete it with the registry's own tools", status=answer.status)
            raise failure
        return answer

    def _at_origin(self, reference: Reference, ask: Callable[[Wanted], R]) -> R:
        """The answer of the registry itself, whatever its mirrors. Raises RegistryError."""
        return self._first(reference, ask, (registry_itself(reference, self._settings),))

    def _first(self, reference: Reference, ask: Callable[[Wanted], R], servers: Sequence[Endpoint] = ()) -> R:
        """The answer of the first endpoint that has one. Raises RegistryError with every endpoint's reason."""
        failures: list[tuple[Endpoint, Failure]] = []
        for endpoint in servers or endpoints(reference, self._settings):
            try:
                return ask(Wanted(endpoint, reference.repository, reference.identifier, time.monotonic()))
            except Failure as failure:
                failures.append((endpoint, failure))
        raise self._error(reference, failures)

    def _error(self, reference: Reference, failures: Sequence[tuple[Endpoint, Failure]]) -> RegistryError:
        for _, failure in failures:
            failure.redact(self._requester.secrets)
        endpoint, last = failures[-1]
        reasons = [f"mirror {e.host}: {f.reason}" if e.namespace else f.reason for e, f in failures]
        hint = http_errors.hint(last, endpoint.account, reference)
        if last.kind == "unauthorized":
            hint += self._unused_login(endpoint.account, reference.repository)
        return RegistryError(reference, last.kind, "; ".join(reasons), hint, last.status)

    def _unused_login(self, account: str, repository: str) -> str:
        """A note for a hint: the login in the settings is for another host or path; '' if there is no such login."""
        given = self._settings.credentials
        if not given or any(Entries(given).find(account, repository)):
            return ""
        return "".join(f"; the login of {login.source} is for {key} alone" for key, login in given)

    def _resolve(self, wanted: Wanted) -> Resolved:
        """HEAD is trusted only if its answer is complete. Otherwise GET decides: many servers answer HEAD with an error,
        or with another manifest than GET, and only a GET response has a body with the reason for a refusal. Each tag starts
        with HEAD again: a GET may count as a pull, or be rate limited, even if an earlier answer did not show that."""
        try:
            answer = self._requester.ask("HEAD", wanted)
        except Failure as failure:
            if failure.kind != "bad-answer":  # a redirect that cannot be followed
                raise
            answer = self._requester.ask("GET", wanted)
        if answer.method == "HEAD":
            resolved = _resolved_by_head(answer, wanted.reference)
            if resolved:
                return resolved
            if self._must_stop(answer, wanted):
                raise self._refusal(answer, wanted)
            answer = self._requester.ask("GET", wanted)
        return self._read(answer, wanted)[0]

    def _must_stop(self, answer: Answer, wanted: Wanted) -> bool:
        """Whether another request would do harm: exhaust a limit further, or send a rejected password again."""
        rejected = answer.status == 401 and self._requester.authenticator_of(wanted).rejected_password(
            wanted.repository
        )
        return rejected or answer.status == 429

    def _read(self, answer: Answer, wanted: Wanted) -> tuple[Resolved, Manifest]:
        """A manifest and its digest, computed from the bytes rather than trusted."""
        if answer.status != 200:
            raise self._refusal(answer, wanted)
        with failing_at(answer.redirected and f"redirected to {answer.redirected}"):
            return _checked(answer, wanted.reference)

    def _refusal(self, answer: Answer, wanted: Wanted) -> Failure:
        authenticator = self._requester.authenticator_of(wanted)
        sources = authenticator.sources(wanted.repository)
        failure = http_errors.refusal(answer, wanted.repository, wanted.reference, sources)
        return authenticator.explain(wanted.repository, failure)


def _checked(answer: Answer, reference: str) -> tuple[Resolved, Manifest]:
    """The manifest in a response to GET for a tag or digest, and its digest. Raises Failure if it is not what was requested."""
    manifest.check_type(answer.headers.get("Content-Type", ""))
    stated = answer.headers.get("Docker-Content-Digest", "")
    by_digest = valid_digest(reference)
    expected = reference if by_digest else stated if valid_digest(stated) else ""
    digest = _hash(answer.body, expected.partition(":")[0] or "sha256")
    if expected and digest != expected:
        source = f"{expected} was requested" if by_digest else f"the registry reported {expected}"
        hint = "do not use it: the registry, or something in between, alters what it serves"
        raise Failure("bad-answer", f"the manifest hashes to {digest}, but {source}", hint)
    if not by_digest and not digest.startswith("sha256:"):
        hint = "push the image again so that the registry has it by sha256, which every node can pull"
        raise Failure("bad-answer", f"the registry has {reference} at {digest}, not at a sha256 digest", hint)
    document = manifest.read(answer.body, answer.headers.get("Content-Type", ""))
    return Resolved(digest, document.media_type), document


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
        certain = digest.startswith("sha256:") and (
            kind in manifest.INDEXES or "Docker-RateLimit-Source" in answer.headers
        )
    return Resolved(digest, kind) if certain else None


def _hash(body: bytes, algorithm: str) -> str:
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"
