"""Registries: what a tag's digest is, and what lies behind a digest, for many references at once.

`resolve` and `describe` are all that other rooms need. Nothing here imports urllib3 before a request is made, or
warm_up() is called.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from helmpin.image.reference import Reference
from helmpin.registry.errors import RegistryError
from helmpin.registry.types import Described, Platform, RegistrySettings, Resolved

if TYPE_CHECKING:
    from helmpin.registry.keychain import Keychain

__all__ = [
    "Described",
    "Platform",
    "Reference",
    "RegistryError",
    "RegistrySettings",
    "Resolved",
    "describe",
    "resolve",
    "warm_up",
]


def resolve(
    references: Iterable[Reference], settings: RegistrySettings, keychain: Keychain | None = None
) -> dict[Reference, Resolved | RegistryError]:
    """The digest and media type of each reference, all asked at once, each distinct one once; a digest is asked for by
    itself.

    keychain: where credentials are found; None for keychain.default(settings). Never raises for one image: its
    RegistryError is the value. Raises UsageError for settings that cannot be used.
    """
    wanted = list(references)
    if not wanted:
        return {}
    from helmpin.registry.session import Session

    with Session(settings, keychain) as session:
        return session.resolve(wanted)


def describe(
    references: Iterable[Reference],
    settings: RegistrySettings,
    keychain: Keychain | None = None,
    *,
    configs: bool = False,
) -> dict[Reference, Described | RegistryError]:
    """What lies behind each reference: as resolve(), with its platforms' manifests.

    The configuration's digest of a single-platform image is always told. For an index it is None, unless `configs` asks
    for one further request (a GET, which counts as a pull) for each platform; a platform that the registry does not
    hold keeps None.
    """
    wanted = list(references)
    if not wanted:
        return {}
    from helmpin.registry.session import Session

    with Session(settings, keychain) as session:
        return session.describe(wanted, configs=configs)


def warm_up(settings: RegistrySettings | None = None, *modules: str) -> None:
    """Begin in the background what a first request needs, and import these further modules: it takes about as long as a
    small helm run, and fits beside one."""
    import importlib
    import threading

    def load() -> None:
        from helmpin.errors import UsageError

        importlib.import_module("helmpin.registry.session")
        transport = importlib.import_module("helmpin.registry.transport")
        with suppress(UsageError):  # said when it matters
            transport.tls_context(settings or RegistrySettings())
        for module in modules:
            importlib.import_module(module)

    # no daemon: one that imports C extensions while the interpreter ends can crash it
    threading.Thread(target=load, name="registry-import").start()
