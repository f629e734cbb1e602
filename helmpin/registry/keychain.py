"""Keychains: where credentials for an image are looked up, and in which order.

`default` looks in the settings, DOCKER_AUTH_CONFIG, Docker's config.json, Podman's auth.json and Helm's registry config.
Chain(default(…), pull_secrets(…)) adds a cluster's pull Secrets. When a registry rejects a credential, the next match is
tried. No file is read and no helper runs until a registry requires authentication.
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol

from helmpin import env
from helmpin.env import ENVIRON
from helmpin.image.reference import DOCKER_HUB
from helmpin.registry import credential_helpers
from helmpin.registry.errors import Failure
from helmpin.registry.singleflight import SingleFlight
from helmpin.registry.types import Credential, RegistrySettings

_HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
HUB_SERVER = "https://index.docker.io/v1/"
"""Docker Hub's name in Docker's configuration and in credential helpers."""


class Keychain(Protocol):
    """A place where credentials are stored."""

    def find(self, registry: str, repository: str) -> Iterator[Credential | Failure]:
        """The credentials for an image, best first, each looked up when it is needed.

        A Failure marks a place that cannot be read, such as a missing helper. It is not raised: another place may have
        the credential, and a public image needs none.
        """
        ...


class Chain:
    """Several keychains, searched in order."""

    def __init__(self, *keychains: Keychain) -> None:
        self._keychains = keychains

    def find(self, registry: str, repository: str) -> Iterator[Credential | Failure]:
        """See Keychain."""
        for keychain in self._keychains:
            yield from keychain.find(registry, repository)


class Entries:
    """Credentials by registry, or registry and path prefix, with globs in each part of the host, as in Kubernetes.

    kubernetes.io/docs/concepts/containers/images, "Interpretation of config.json"; pkg/credentialprovider/keyring.go. A prefix is
    of whole parts, as in Podman (containers-auth.json(5)): the login of `quay.io/acme` is not for `quay.io/acme-corp`.
    """

    def __init__(self, entries: Iterable[tuple[str, Credential]]) -> None:
        self._entries = sorted(
            ((*_key(key), credential) for key, credential in entries), key=lambda entry: _rank(entry[0], entry[1])
        )

    def find(self, registry: str, repository: str) -> Iterator[Credential]:
        """See Keychain."""
        host, path = registry.lower(), f"/{repository}/"
        for glob, prefix, credential in self._entries:
            if path.startswith(f"{prefix}/") and _host_matches(glob, host):
                yield credential


class ConfigFile:
    """Docker's config.json, or a file in that format (Podman's auth.json, Helm's registry config)."""

    def __init__(self, source: str, text: str | None = None, patience: float = credential_helpers.TIMEOUT) -> None:
        """source: the file's path, or the origin of `text`. patience: seconds that a helper may take."""
        self._source, self._text, self._patience = source, text, patience
        self._loaded: SingleFlight[tuple[Entries, Mapping[str, Any]]] = SingleFlight()
        self._helped: SingleFlight[Credential | None] = SingleFlight()

    def find(self, registry: str, repository: str) -> Iterator[Credential | Failure]:
        """See Keychain. A helper precedes `auths`, as in Docker."""
        try:
            entries, document = self._loaded.get("", self._load)
        except Failure as failure:
            yield failure
            return
        helper = _helper(document, registry)
        if helper:
            server = HUB_SERVER if registry == DOCKER_HUB else registry
            try:
                found: Credential | Failure | None = self._helped.get(
                    (helper, server), lambda: credential_helpers.get(helper, server, self._patience)
                )
            except Failure as failure:
                found = failure
            if found:
                yield found
        yield from entries.find(registry, repository)

    def _load(self) -> tuple[Entries, Mapping[str, Any]]:
        try:
            text = self._text if self._text is not None else Path(self._source).read_text(encoding="utf-8")
            document = json.loads(text) if text.strip() else {}
        except FileNotFoundError:
            return Entries(()), {}
        except (OSError, ValueError, RecursionError) as error:
            why = error.strerror if isinstance(error, OSError) else "not valid JSON"
            raise _unreadable(self._source, str(why)) from None
        return Entries(_auths(document, self._source)), document


def default_keychain(settings: RegistrySettings, environ: Mapping[str, str] = ENVIRON) -> Keychain:
    """The keychain of this user on this machine; see the module for the order."""
    # half of the time is left to continue without a helper that hangs
    patience = min(credential_helpers.TIMEOUT, settings.timeout / 2)
    files = [ConfigFile(path, patience=patience) for path in dict.fromkeys(_files(environ))]
    if environ.get("DOCKER_AUTH_CONFIG"):
        files.insert(0, ConfigFile("DOCKER_AUTH_CONFIG", environ["DOCKER_AUTH_CONFIG"], patience))
    return Chain(Entries(settings.credentials), *files)


def pull_secrets(secrets: Iterable[tuple[str, Mapping[str, Any]]]) -> Keychain:
    """A keychain of image pull Secrets, in order: (origin, parsed `.dockerconfigjson` or `.dockercfg`) of each.

    Raises Failure (`unauthorized`) if one is malformed.
    """
    return Chain(
        *(
            Entries(_auths(document if "auths" in document else {"auths": document}, source))
            for source, document in secrets
        )
    )


def _files(environ: Mapping[str, str]) -> Iterator[str]:
    home = environ.get("HOME") or str(env.home())
    config = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    yield f"{environ.get('DOCKER_CONFIG') or home + '/.docker'}/config.json"
    if environ.get("REGISTRY_AUTH_FILE"):
        yield environ["REGISTRY_AUTH_FILE"]
    else:
        if environ.get("XDG_RUNTIME_DIR"):
            yield f"{environ['XDG_RUNTIME_DIR']}/containers/auth.json"
        yield f"{config}/containers/auth.json"
    helm = environ.get("HELM_CONFIG_HOME") or (
        f"{home}/Library/Preferences/helm" if sys.platform == "darwin" else f"{config}/helm"
    )
    yield environ.get("HELM_REGISTRY_CONFIG") or f"{helm}/registry/config.json"


def _auths(document: Any, source: str) -> Iterator[tuple[str, Credential]]:
    auths = document.get("auths") if isinstance(document, Mapping) else ""
    if auths is None:
        return
    if not isinstance(auths, Mapping):
        raise _unreadable(source, "not a Docker configuration")
    for key, entry in auths.items():
        credential = _credential(str(key), entry, source)
        if credential:
            yield str(key), credential


def _credential(key: str, entry: Any, source: str) -> Credential:
    """One entry of `auths`. `auth`, base64 of user:password, overrides the separate fields (docker/cli, configfile)."""
    fields = ("username", "password", "auth", "identitytoken", "registrytoken")
    if not isinstance(entry, Mapping) or any(not isinstance(entry.get(name) or "", str) for name in fields):
        raise _unreadable(source, f"invalid entry for {key!a}")
    username, password, auth, identity, registry = (str(entry.get(name) or "") for name in fields)
    if auth:
        try:
            decoded = b64decode("".join(auth.split()), validate=True).decode()
        except (Base64Error, ValueError):
            raise _unreadable(source, f"the `auth` for {key!a} is not base64 of user:password") from None
        username, colon, password = decoded.partition(":")
        if not colon:
            raise _unreadable(source, f"the `auth` for {key!a} is not base64 of user:password")
        password = password.rstrip("\0")
    found = Credential(
        username=username, password=password, identity_token=identity, registry_token=registry, source=source
    )
    if not found.is_sendable:
        raise _unreadable(source, f"the entry for {key!a} has characters that no request can carry")
    return found


def _helper(document: Mapping[str, Any], registry: str) -> str:
    """The name of the helper for a registry: its entry in credHelpers, else credsStore, else ''."""
    own = document.get("credHelpers")
    if isinstance(own, Mapping):
        for key in (registry, *(sorted(_HUB_NAMES) + [HUB_SERVER] if registry == DOCKER_HUB else ())):
            if isinstance(own.get(key), str):
                return str(own[key])
    store = document.get("credsStore")
    return store if isinstance(store, str) else ""


def _key(text: str) -> tuple[str, str]:
    """(host and port, path prefix) of a key such as `https://index.docker.io/v1/`, `ghcr.io/acme` or
    `*.example.com:5000`."""
    host, slash, path = text.partition("://")[2 if "://" in text else 0].partition("/")
    path = (slash + path).rstrip("/")
    if path.startswith(("/v1/", "/v2/")) or path in ("/v1", "/v2"):
        path = path[3:]
    host = host.lower()
    return DOCKER_HUB if host in _HUB_NAMES else host, path


def _rank(host: str, path: str) -> tuple[bool, int, int]:
    """Sorts the most specific key first: no glob, then the longer path, then the longer host."""
    return any(c in host for c in "*?["), -len(path), -len(host)


def _host_matches(glob: str, host: str) -> bool:
    """Compares each dotted part separately, so `*.io` does not match `a.b.io`, and the port literally."""
    if glob == host:
        return True
    glob_name, _, glob_port = glob.partition(":")
    name, _, port = host.partition(":")
    globs, parts = glob_name.split("."), name.split(".")
    return glob_port == port and len(globs) == len(parts) and all(map(fnmatchcase, parts, globs))


def _unreadable(source: str, why: str) -> Failure:
    return Failure("unauthorized", f"cannot read the credentials in {source}: {why}", f"fix or remove {source}")
