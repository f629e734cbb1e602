"""Registries: resolving many references at once. urllib3 is imported when the first request is made, or by warm_up()."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from helmpin.image.reference import Reference
from helmpin.registry.errors import RegistryError
from helmpin.registry.settings import Described, RegistrySettings, Resolved

if TYPE_CHECKING:
    from helmpin.registry.client import Client
    from helmpin.registry.keychain import Keychain

T = TypeVar("T")
__all__ = ["Described", "RegistryError", "RegistrySettings", "Resolved", "describe", "resolve", "warm_up"]


def warm_up() -> None:
    """Import what requests need in the background, while a helm runs."""
    threading.Thread(target=lambda: __import__("helmpin.registry.client") and __import__("urllib3"), daemon=True).start()


def resolve(
    references: Iterable[Reference], settings: RegistrySettings, keychain: Keychain | None = None
) -> dict[Reference, Resolved | RegistryError]:
    """What the registries say of each reference: its digest and media type, or why not. A reference with a digest is asked for
    by that. Never raises for one image's failure."""
    return _all(references, settings, keychain, lambda client, reference: client.resolve(reference))


def describe(
    references: Iterable[Reference], settings: RegistrySettings, keychain: Keychain | None = None
) -> dict[Reference, Described | RegistryError]:
    """For each reference its digest, and the manifest and config digests of its platforms: what a runtime may report."""
    return _all(references, settings, keychain, _describe)


def _describe(client: Client, reference: Reference) -> Described:
    resolved, manifest = client.manifest(reference)
    children = manifest.get("manifests")
    if not isinstance(children, list):
        return Described(resolved.digest, resolved.media_type, (("", resolved.digest, _config(manifest)),))
    platforms = []
    for child in children:
        if not (isinstance(child, dict) and isinstance(child.get("digest"), str)):
            continue
        platform = child.get("platform") if isinstance(child.get("platform"), dict) else {}
        name = "/".join(str(platform[k]) for k in ("os", "architecture", "variant") if platform.get(k))  # type: ignore[union-attr]
        if name.startswith("unknown"):
            continue  # an attestation, which no runtime runs
        inner = client.manifest(reference._replace(tag=None, digest=child["digest"]))[1]
        platforms.append((name, child["digest"], _config(inner)))
    return Described(resolved.digest, resolved.media_type, tuple(platforms))


def _config(manifest: dict[str, object]) -> str | None:
    config = manifest.get("config")
    digest = config.get("digest") if isinstance(config, dict) else None
    return digest if isinstance(digest, str) else None


def _all(
    references: Iterable[Reference],
    settings: RegistrySettings,
    keychain: Keychain | None,
    ask: Callable[[Client, Reference], T],
) -> dict[Reference, T | RegistryError]:
    """Ask for all at once: each host has its own few threads, so that one that hangs does not hold up the others."""
    wanted = dict.fromkeys(references)
    if not wanted:
        return {}
    from helmpin.registry.client import Client, endpoints
    from helmpin.registry.keychain import default

    client = Client(settings, keychain or default())
    found: dict[Reference, T | RegistryError] = {}
    by_host: dict[str, list[Reference]] = defaultdict(list)
    for reference in wanted:
        by_host[endpoints(reference.registry, settings)[0].base].append(reference)

    def work(queue: list[Reference]) -> None:
        while queue:
            try:
                reference = queue.pop()
            except IndexError:
                return
            try:
                found[reference] = ask(client, reference)
            except RegistryError as error:
                found[reference] = error
            except Exception as error:
                found[reference] = RegistryError("bad-answer", f"the answer cannot be read: {type(error).__name__}", registry=reference.registry)

    threads = []
    for queue in by_host.values():
        for _ in range(min(settings.max_per_host, len(queue))):
            thread = threading.Thread(target=work, args=(queue,), daemon=True)
            thread.start()
            threads.append(thread)
    for thread in threads:
        thread.join(max(0.0, client.deadline + 0.5 - time.monotonic()))
    for reference in wanted:
        if reference not in found:
            reason = f"no answer within {settings.timeout:g} s"
            found[reference] = RegistryError("timeout", reason, registry=reference.registry, todo="--registry-timeout gives it longer")
    return found
