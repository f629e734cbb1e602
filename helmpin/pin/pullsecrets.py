"""The image pull Secrets that the cluster's kubelets would use for a release's pods, for --pull-secrets.

A pod's own `imagePullSecrets` count, and those of its service account, which admission adds when the pod names none
(Kubernetes documentation, Images, "Using a private registry"; ServiceAccount admission controller).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any

from helmpin.errors import UsageError
from helmpin.image.find import CONTAINER_LISTS
from helmpin.kubectl import Kubectl
from helmpin.pin.render import Render
from helmpin.registry.errors import Failure
from helmpin.registry.keychain import Chain, Keychain, default, pull_secrets
from helmpin.registry.settings import RegistrySettings

_KEYS = (".dockerconfigjson", ".dockercfg")


def keychain(render: Render, kubectl: Kubectl, settings: RegistrySettings) -> Keychain:
    """What is held here, then the pull Secrets of the render's pods. Raises HelmFailed, or UsageError for a malformed Secret."""
    names, accounts = _wanted(render)
    names |= _of_accounts(kubectl, accounts)
    found = []
    if names:
        for item in kubectl.items(["get", "secrets", *sorted(names), "--ignore-not-found"]):
            name, data = item["metadata"]["name"], item.get("data") or {}
            found += [(f"Secret/{name}", _document(data[key], name)) for key in _KEYS if key in data]
    try:
        return Chain(default(settings), pull_secrets(found))
    except Failure as error:
        raise UsageError("a pull Secret cannot be used", why=error.reason, todo=error.todo) from None


def _wanted(render: Render) -> tuple[set[str], set[str]]:
    """The names of the Secrets that the pod specs name, and of the service accounts of those that name none."""
    names: set[str] = set()
    accounts: set[str] = set()
    for document in render.documents:
        if any(word in document.text for word in CONTAINER_LISTS):
            for item in document.objects():
                for pod in _pod_specs(item):
                    mine = [s.get("name") for s in pod.get("imagePullSecrets") or [] if isinstance(s, dict)]
                    names.update(str(name) for name in mine if name)
                    if not mine:
                        accounts.add(str(pod.get("serviceAccountName") or "default"))
    return names, accounts


def _of_accounts(kubectl: Kubectl, accounts: set[str]) -> set[str]:
    if not accounts:
        return set()
    found = kubectl.items(["get", "serviceaccounts", *sorted(accounts), "--ignore-not-found"])
    return {str(s["name"]) for account in found for s in account.get("imagePullSecrets") or [] if s.get("name")}


def _pod_specs(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if any(isinstance(node.get(name), list) for name in CONTAINER_LISTS):
            yield node
        for child in node.values():
            yield from _pod_specs(child)
    elif isinstance(node, list):
        for child in node:
            yield from _pod_specs(child)


def _document(data: str, name: str) -> Any:
    try:
        loaded = json.loads(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError):
        loaded = None
    if not isinstance(loaded, dict):
        raise UsageError(
            "a pull Secret cannot be used", where=f"Secret/{name}", why="it does not hold a docker configuration"
        )
    return loaded
