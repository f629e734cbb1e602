"""Registries: the digests of many references at once, and the platforms behind them.

What other rooms ask of registries is here; they also use `types`, `errors`, `details`, `keychain`, `manifest` and `endpoints`.
urllib3 is imported by the first request, or by warm_up().
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from helmpin.image.reference import Reference
from helmpin.registry.errors import RegistryError
from helmpin.registry.types import Described, RegistrySettings, Resolved

if TYPE_CHECKING:
    from helmpin.registry.details import Details
    from helmpin.registry.keychain import Keychain

__all__ = [
    "Described",
    "RegistryError",
    "RegistrySettings",
    "Resolved",
    "describe",
    "details_of",
    "keep",
    "prune",
    "resolve",
    "suggest",
    "warm_up",
]


def resolve(
    references: Iterable[Reference], settings: RegistrySettings, keychain: Keychain | None = None
) -> dict[Reference, Resolved | RegistryError]:
    """The digest and media type of each reference, requested concurrently, each distinct one once.

    keychain: where to look up credentials; None for keychain.default_keychain(settings). An image that fails has a RegistryError
    as its value. Raises UsageError for invalid settings.
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
    """The platforms behind each reference; otherwise like resolve().

    A single-platform image always has its configuration's digest. The platforms of an index have it only with
    `configs`, which costs another request (a GET, which counts as a pull) for each platform; one that is missing from
    the registry has None.
    """
    wanted = list(references)
    if not wanted:
        return {}
    from helmpin.registry.session import Session

    with Session(settings, keychain) as session:
        return session.describe(wanted, configs=configs)


def details_of(
    references: Iterable[Reference], settings: RegistrySettings, keychain: Keychain | None = None
) -> dict[Reference, Details | RegistryError]:
    """What each image is; the references must have digests. Answers are kept for good in a folder of helm's cache, so most cost no
    request; otherwise like resolve()."""
    from helmpin.registry import details

    wanted = list(dict.fromkeys(references))
    found: dict[Reference, Details | RegistryError] = {
        reference: known for reference in wanted if (known := details.cached(reference.digest or ""))
    }
    if missing := [reference for reference in wanted if reference not in found]:
        from helmpin.registry.session import Session

        with Session(settings, keychain) as session:
            answers = session.details(missing)
        for reference, answer in answers.items():
            if not isinstance(answer, RegistryError):
                details.cache(reference.digest or "", answer)
        found |= answers
    return found


def suggest(
    images: Iterable[Reference],
    settings: RegistrySettings,
    keychain: Keychain | None = None,
    *,
    may_write: Callable[[Reference], bool] = lambda _: True,
) -> dict[Reference, str | RegistryError]:
    """The tag with a full version that has the same digest today, for references with tag and digest; '' if none was found among
    the likely ones. At most 20 requests an image; otherwise like resolve(). may_write: whether a tag may be suggested."""
    wanted = list(dict.fromkeys(images))
    known = details_of(wanted, settings, keychain)
    from helmpin.registry.session import Session

    def version(reference: Reference) -> list[str]:
        answer = known[reference]
        return [] if isinstance(answer, RegistryError) else [answer.version]

    with Session(settings, keychain) as session:
        return session.suggest({reference: version(reference) for reference in wanted}, may_write)


def keep(tags: Mapping[Reference, str], settings: RegistrySettings) -> dict[Reference, bool | RegistryError]:
    """Give each reference, which must have a digest, another tag, at the registry itself. Returns whether the tag is new, or why it
    could not be set."""
    from helmpin.registry.session import Session

    with Session(settings) as session:
        return session.keep(tags)


def prune(
    kept: Mapping[Reference, str], prefix: str, settings: RegistrySettings
) -> dict[Reference, RegistryError | None]:
    """Remove the tags that begin with `prefix` from the repositories of `kept`, except the tags in `kept`.

    Returns None for each removed tag, or why it could not be removed. A repository whose tags could not all be listed adds an entry
    for one of its references in `kept`.
    """
    from helmpin.registry.session import Session

    wanted = {(reference.name, tag) for reference, tag in kept.items()}
    repositories = {reference.name: reference for reference in kept}
    failed: dict[Reference, RegistryError | None] = {}
    left: list[Reference] = []
    # `last` is exclusive and the order is alphabetical: every tag with the prefix comes after this
    before = prefix[:-1]
    with Session(settings) as session:
        for reference, found in session.tags_after(repositories.values(), before).items():
            if isinstance(found, RegistryError):
                failed[reference] = found
                continue
            if not (found.complete or _all_seen(found.tags, prefix)):
                why = f"only {len(found.tags)} of its tags could be listed"
                hint = f"look for further tags that begin with {prefix}, and delete them with the registry's own tools"
                failed[reference] = RegistryError(reference, "bad-answer", why, hint)
            others = [tag for tag in found.tags if tag.startswith(prefix) and (reference.name, tag) not in wanted]
            left += [reference._replace(tag=tag, digest=None) for tag in others]
        return {**failed, **session.untag(left)}


def _all_seen(tags: Sequence[str], prefix: str) -> bool:
    """Whether a sorted, incomplete list of tags already reaches past every tag with the prefix."""
    return tags == sorted(tags) and tags[-1:] > [prefix] and not tags[-1].startswith(prefix)


def warm_up(settings: RegistrySettings) -> None:
    """Import what a first request needs, and load the certificates, in the background: it takes as long as a short helm command and
    is hidden behind one."""
    import importlib
    import threading

    def load() -> None:
        with suppress(Exception):  # raised again by the first request
            importlib.import_module("helmpin.registry.session")
            if settings.may_need_tls:
                importlib.import_module("helmpin.registry.transport").tls_context(settings)

    # not a daemon: importing C extensions while the interpreter shuts down can crash it
    threading.Thread(target=load, name="registry-import").start()
