"""Registries: what a tag's digest is, and what lies behind a digest, for many references at once.

`resolve` and `describe` are all that other rooms need. Nothing here imports urllib3 before a request is made, or warm_up() is called.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from helmpin.image.reference import Reference
from helmpin.registry.errors import RegistryError
from helmpin.registry.settings import RegistrySettings

if TYPE_CHECKING:
    from helmpin.registry.client import Client, Described, Platform, Resolved
    from helmpin.registry.keychain import Keychain

__all__ = ["Described", "Platform", "Reference", "RegistryError", "RegistrySettings", "Resolved", "describe", "resolve", "warm_up"]
_R = TypeVar("_R")


def resolve(
    references: Iterable[Reference], settings: RegistrySettings, keychain: Keychain | None = None
) -> dict[Reference, Resolved | RegistryError]:
    """The digest and media type of each reference, all asked at once, each distinct one once; a digest is asked for by itself.

    keychain: where credentials are found; None for keychain.default(settings). Never raises for one image: its RegistryError is
    the value. Raises UsageError for settings that cannot be used.
    """
    return _all(references, settings, keychain, lambda client, reference: client.resolve(reference))


def describe(
    references: Iterable[Reference], settings: RegistrySettings, keychain: Keychain | None = None, *, configs: bool = False
) -> dict[Reference, Described | RegistryError]:
    """What lies behind each reference: as resolve(), with its platforms' manifests.

    The configuration's digest of a single-platform image is always told; for an index, one further request a platform is made
    for them with `configs`, and None stands for them without.
    """
    return _all(references, settings, keychain, lambda client, reference: client.describe(reference, configs=configs))


def warm_up() -> None:
    """Begin to import what a request needs, in the background: it takes about as long as a small helm run."""
    import threading

    def load() -> None:
        import helmpin.registry.client

    threading.Thread(target=load, daemon=True, name="registry-import").start()


def _all(
    references: Iterable[Reference], settings: RegistrySettings, keychain: Keychain | None, ask: Callable[[Client, Reference], _R]
) -> dict[Reference, _R | RegistryError]:
    wanted = list(dict.fromkeys(references))
    if not wanted:
        return {}
    from helmpin.registry import keychain as keychains
    from helmpin.registry.client import Client
    from helmpin.registry.gather import Gather
    from helmpin.registry.hosts import endpoints
    from helmpin.registry.transport import Transport

    deadline = time.monotonic() + settings.timeout
    transport = Transport(settings, deadline)
    client = Client(settings, keychain or keychains.default(settings), transport)
    once: dict[tuple[str, str], list[Reference]] = {}
    hosts: dict[str, list[tuple[str, str]]] = {}
    for reference in wanted:
        key = (reference.name, reference.identifier)
        if key not in once:
            hosts.setdefault(endpoints(reference, settings)[0].host, []).append(key)
        once.setdefault(key, []).append(reference)

    def do(key: tuple[str, str]) -> _R | RegistryError:
        try:
            return ask(client, once[key][0])
        except RegistryError as error:
            return error.with_traceback(None)

    found = Gather(do).run(hosts, settings.max_per_host, deadline)
    transport.close()
    late = f"the registry did not answer within {settings.timeout:g} s"
    todo = "try again, or give it more time with --registry-timeout"
    result: dict[Reference, Any] = {}
    for reference in wanted:
        answer: Any = found.get((reference.name, reference.identifier)) or RegistryError(reference, "timeout", late, todo)
        result[reference] = answer.about(reference) if isinstance(answer, RegistryError) else answer
    return result
