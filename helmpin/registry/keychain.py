"""Credentials that docker, podman, helm or the cluster already hold.

The file format is docker's config.json (github.com/docker/cli, cli/config/configfile); podman's auth.json and helm's
registry/config.json are the same. Keys match a registry, or a path prefix in it, as Kubernetes reads them (Kubernetes
documentation, Images, "Interpretation of config.json").
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from helmpin.registry.errors import RegistryError

HELPER_SECONDS = 15
HUB_KEYS = ("docker.io", "index.docker.io", "registry-1.docker.io")


class Credentials(NamedTuple):
    """A user name and password, or an identity token. Never shown."""

    username: str
    password: str
    identity_token: str = ""

    def __repr__(self) -> str:
        return "Credentials(***)"


Keychain = Callable[[str, str], "Credentials | None"]
"""(registry, repository) → the credentials for it, or None. Raises RegistryError (kind credentials)."""


def default(extra: Iterable[Mapping[str, Any]] = (), environ: Mapping[str, str] = os.environ) -> Keychain:
    """The first that has credentials of: HELM_PIN_REGISTRY_AUTH_FILE, docker's config, podman's, helm's, and `extra` (the
    parsed .dockerconfigjson of pull secrets)."""
    chains: list[Keychain] = [_from_file(path) for path in files(environ)]
    chains += [lambda host, repository, config=config: lookup(config, host, repository) for config in extra]  # type: ignore[misc]

    def first(registry: str, repository: str) -> Credentials | None:
        return next((found for chain in chains if (found := chain(registry, repository)) is not None), None)

    return first


def files(environ: Mapping[str, str]) -> list[Path]:
    """The credential files that may exist, in order."""
    home = Path(environ.get("HOME") or Path.home())
    config_home = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    podman = [environ["REGISTRY_AUTH_FILE"]] if environ.get("REGISTRY_AUTH_FILE") else []
    if not podman:
        runtime = environ.get("XDG_RUNTIME_DIR")
        podman = [*([f"{runtime}/containers/auth.json"] if runtime else []), str(config_home / "containers" / "auth.json")]
    return [
        *([Path(environ["HELM_PIN_REGISTRY_AUTH_FILE"])] if environ.get("HELM_PIN_REGISTRY_AUTH_FILE") else []),
        Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json",
        *map(Path, podman),
        Path(environ.get("HELM_REGISTRY_CONFIG") or config_home / "helm" / "registry" / "config.json"),
    ]


def _from_file(path: Path) -> Keychain:
    loaded: list[Mapping[str, Any]] = []

    def find(registry: str, repository: str) -> Credentials | None:
        if not loaded:
            loaded.append(_read(path))
        return lookup(loaded[0], registry, repository, str(path))

    return find


def _read(path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise RegistryError("credentials", f"cannot read the credentials in {path}: {reason}", todo="mend or remove the file") from None
    return config if isinstance(config, dict) else {}


def lookup(config: Mapping[str, Any], registry: str, repository: str, where: str = "a pull secret") -> Credentials | None:
    """The credentials of one config for a repository: a helper named for the registry, the longest matching key of auths, then
    the store. Raises RegistryError (kind credentials) when a helper fails or an entry is malformed."""
    helpers = config.get("credHelpers")
    for host in _names(registry):
        if isinstance(helpers, dict) and isinstance(helpers.get(host), str):
            return _ask(helpers[host], host)
    auths = config.get("auths")
    matching = [key for key in auths if matches(key, registry, repository)] if isinstance(auths, dict) else []
    for key in sorted(matching, key=lambda k: (-_normal(k).count("/"), -len(_normal(k)))):
        entry = auths[key] if isinstance(auths, dict) else None
        if isinstance(entry, dict) and (found := _entry(entry, key, where)):
            return found
    store = config.get("credsStore")
    if isinstance(store, str) and store:
        return _ask(store, "https://index.docker.io/v1/" if registry in HUB_KEYS else registry)
    return None


def matches(key: str, registry: str, repository: str) -> bool:
    """Whether a key of auths covers a repository: the host (with globs in its labels) and a prefix of the path by whole parts."""
    host, _, prefix = _normal(key).partition("/")
    for name in _names(registry):
        labels, wanted = name.split("."), host.split(".")
        if len(labels) == len(wanted) and all(map(fnmatchcase, labels, wanted)):
            return not prefix or repository == prefix or repository.startswith(prefix + "/")
    return False


def _normal(key: str) -> str:
    rest = key.split("://", 1)[-1].rstrip("/")
    for suffix in ("/v1", "/v2"):
        rest = rest.removesuffix(suffix)
    return rest


def _names(registry: str) -> tuple[str, ...]:
    return HUB_KEYS if registry in HUB_KEYS else (registry,)


def _entry(entry: Mapping[str, Any], key: str, where: str) -> Credentials | None:
    if entry.get("identitytoken"):
        return Credentials("", "", str(entry["identitytoken"]))
    if entry.get("username") and entry.get("password") is not None:
        return Credentials(str(entry["username"]), str(entry["password"]))
    if not entry.get("auth"):
        return None
    try:
        username, colon, password = base64.b64decode(str(entry["auth"]), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        username = colon = password = ""
    if not colon:
        raise RegistryError("credentials", f"the entry for {key} in {where} is malformed", todo=f"docker login {_normal(key)}")
    return Credentials(username, password.rstrip("\0"))


def _ask(helper: str, server: str) -> Credentials | None:
    """Ask a credential helper (docker-credential-helpers protocol: `get`, the server on standard input, JSON back)."""
    program = shutil.which(f"docker-credential-{helper}")
    todo = f"docker login {server}, or remove the helper from the config"
    if not program:
        raise RegistryError("credentials", f"the credential helper docker-credential-{helper} is not on PATH", todo=todo)
    import sh

    try:
        answer = str(sh.Command(program)("get", _in=server, _timeout=HELPER_SECONDS, _tty_out=False))
    except sh.TimeoutException:
        raise RegistryError("credentials", f"docker-credential-{helper} gave no answer in {HELPER_SECONDS} s", todo=todo) from None
    except sh.ErrorReturnCode as error:
        said = (error.stdout + error.stderr).decode(errors="replace").strip()
        if "credentials not found" in said.lower():
            return None
        raise RegistryError("credentials", f"docker-credential-{helper} failed with status {error.exit_code}", todo=todo) from None
    try:
        loaded = json.loads(answer)
        username, secret = str(loaded["Username"]), str(loaded["Secret"])
    except (ValueError, KeyError, TypeError):
        raise RegistryError("credentials", f"docker-credential-{helper} did not answer with credentials", todo=todo) from None
    return Credentials("", "", secret) if username == "<token>" else Credentials(username, secret)
