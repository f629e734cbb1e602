"""The image pull Secrets that the cluster's kubelets would use for a release's pods, for --pull-secrets.

These are a pod's own `imagePullSecrets`, or else those of its service account, which admission adds to a pod that names none
(Kubernetes documentation, Images, "Using a private registry"; ServiceAccount admission controller).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from typing import Any

from helmpin.errors import HelmFailed
from helmpin.image.documents import Document
from helmpin.image.find import CONTAINER_LISTS
from helmpin.kubectl import Kubectl
from helmpin.named_tuple import NamedTuple
from helmpin.registry.errors import Failure
from helmpin.registry.keychain import Chain, Keychain, default_keychain, pull_secrets
from helmpin.registry.types import RegistrySettings
from helmpin.shapes import mapping

_KEYS = (".dockerconfigjson", ".dockercfg")


class _Rendered(NamedTuple):
    """What a render says about pulling images."""

    names: set[str]
    """The Secrets that pod specs name."""
    accounts: set[str]
    """The service accounts of pod specs that name none."""
    of_accounts: dict[str, set[str]]
    """The Secrets that its own service accounts name."""
    secrets: list[tuple[str, Any]]
    """Its own pull Secrets: (name, document). Before the first install, the cluster has neither these nor the accounts."""


def keychain(documents: Iterable[Document], kubectl: Kubectl, settings: RegistrySettings) -> Keychain:
    """This machine's credentials, then the pull Secrets of the render's pods: those in the render itself, and the cluster's. Raises
    HelmFailed, also for a malformed Secret."""
    rendered = _rendered(documents)
    names = rendered.names | _of_accounts(kubectl, rendered.accounts)
    names = names.union(*(rendered.of_accounts.get(account, ()) for account in rendered.accounts))
    found = [(f"Secret/{name}", document) for name, document in rendered.secrets if name in names]
    if names:
        for item in kubectl.items(["secrets", "--ignore-not-found"], sorted(names)):
            found += [(f"Secret/{_name(item)}", document) for document in _documents(item)]
    try:
        return Chain(default_keychain(settings), pull_secrets(found))
    except Failure as error:
        raise HelmFailed("a pull Secret cannot be used", why=error.reason, hint=error.hint) from None


def _rendered(documents: Iterable[Document]) -> _Rendered:
    found = _Rendered(set(), set(), {}, [])
    for document in documents:
        if any(word in document.text for word in (*CONTAINER_LISTS, "imagePullSecrets", *_KEYS)):
            for item in document.objects():
                kind = item.get("kind") if isinstance(item, dict) else ""
                if kind == "ServiceAccount":
                    found.of_accounts[_name(item)] = _named(item)
                elif kind == "Secret":
                    found.secrets.extend((_name(item), document) for document in _documents(item))
                for pod in _pod_specs(item):
                    mine = _named(pod)
                    found.names.update(mine)
                    if not mine:
                        found.accounts.add(str(pod.get("serviceAccountName") or "default"))
    return found


def _of_accounts(kubectl: Kubectl, accounts: set[str]) -> set[str]:
    if not accounts:
        return set()
    found = kubectl.items(["serviceaccounts", "--ignore-not-found"], sorted(accounts))
    return set().union(*map(_named, found))


def _named(holder: dict[str, Any]) -> set[str]:
    """The Secrets that a pod spec or a service account names."""
    listed = holder.get("imagePullSecrets")
    names = [s.get("name") for s in listed if isinstance(s, dict)] if isinstance(listed, list) else []
    return {str(name) for name in names if name}


def _name(item: dict[str, Any]) -> str:
    return str(mapping(item.get("metadata")).get("name"))


def _pod_specs(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if any(isinstance(node.get(name), list) for name in CONTAINER_LISTS):
            yield node
        for child in node.values():
            yield from _pod_specs(child)
    elif isinstance(node, list):
        for child in node:
            yield from _pod_specs(child)


def _documents(secret: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The docker configurations in a Secret. Raises HelmFailed when one is not valid."""
    data, plain = mapping(secret.get("data")), mapping(secret.get("stringData"))
    for key in _KEYS:
        if key in data or key in plain:
            try:
                loaded = json.loads(plain[key] if key in plain else base64.b64decode(data[key], validate=True))
            except (binascii.Error, ValueError, TypeError, RecursionError):
                loaded = None
            if not isinstance(loaded, dict):
                raise HelmFailed(
                    "a pull Secret cannot be used",
                    where=f"Secret/{_name(secret)}",
                    why="it does not hold a docker configuration",
                    hint="create it again with kubectl create secret docker-registry, or leave out --pull-secrets",
                )
            yield loaded
