"""Requesting many references concurrently, each distinct one once, with one deadline for all."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from helmpin import output
from helmpin.image.reference import Reference
from helmpin.registry import credential_helpers
from helmpin.registry.client import Client
from helmpin.registry.endpoints import endpoints
from helmpin.registry.errors import RegistryError
from helmpin.registry.keychain import Keychain, default_keychain
from helmpin.registry.transport import Transport
from helmpin.registry.types import Described, RegistrySettings, Resolved, TagList
from helmpin.timeline import step

if TYPE_CHECKING:
    from helmpin.registry.details import Details

J = TypeVar("J", bound=Hashable)
R = TypeVar("R")
MAX_THREADS = 128


class Session:
    """Connections, tokens and a deadline, shared by one or more calls. The deadline starts now."""

    def __init__(self, settings: RegistrySettings, keychain: Keychain | None = None) -> None:
        self._settings = settings
        self._deadline = time.monotonic() + settings.timeout
        self._transport = Transport(settings, self._deadline)
        self._client = Client(settings, keychain or default_keychain(settings), self._transport)

    def __enter__(self) -> Session:  # noqa: PYI034  typing.Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()
        credential_helpers.stop()

    def resolve(self, references: Iterable[Reference]) -> dict[Reference, Resolved | RegistryError]:
        """See helmpin.registry.resolve."""
        return self._all(references, self._client.resolve)

    def describe(
        self, references: Iterable[Reference], *, configs: bool = False
    ) -> dict[Reference, Described | RegistryError]:
        """See helmpin.registry.describe."""
        found = self._all(references, self._client.describe)
        if not configs:
            return found
        images = {reference: _images(reference, answer) for reference, answer in found.items()}
        known = self._all([image for all_images in images.values() for image in all_images], self._client.describe)
        for reference, behind in images.items():
            answers = [known[image] for image in behind]
            described = found[reference]
            if behind and isinstance(described, Described):
                failed = [a for a in answers if isinstance(a, RegistryError) and a.kind != "not-found"]
                found[reference] = failed[0].about(reference) if failed else _with_configs(described, answers)
        return found

    def details(self, references: Iterable[Reference]) -> dict[Reference, Details | RegistryError]:
        """See helmpin.registry.details_of."""
        return self._all(references, self._client.details)

    def keep(self, tags: Mapping[Reference, str]) -> dict[Reference, bool | RegistryError]:
        """See helmpin.registry.keep."""
        return self._all(tags, lambda reference: self._client.keep(reference, tags[reference]))

    def tags_after(self, references: Iterable[Reference], after: str) -> dict[Reference, TagList | RegistryError]:
        """The tags of each reference's repository that come after a text, as far as a few requests show them."""
        return self._all(references, lambda reference: self._client.tags_after(reference, after))

    def untag(self, references: Iterable[Reference]) -> dict[Reference, RegistryError | None]:
        """Remove these tags."""
        return self._all(references, self._client.untag)

    def suggest(
        self, images: Mapping[Reference, Sequence[str]], may_write: Callable[[Reference], bool]
    ) -> dict[Reference, str | RegistryError]:
        """See helmpin.registry.suggest."""
        from helmpin.registry import suggestions

        return self._all(
            images, lambda reference: suggestions.find(self._client, reference, images[reference], may_write)
        )

    @step("asking registries")
    def _all(
        self, references: Iterable[Reference], ask: Callable[[Reference], R]
    ) -> dict[Reference, R | RegistryError]:
        wanted = list(dict.fromkeys(references))
        firsts: dict[tuple[str, str], Reference] = {}
        hosts: dict[str, list[Reference]] = {}
        for reference in wanted:
            if firsts.setdefault((reference.name, reference.identifier), reference) is reference:
                hosts.setdefault(endpoints(reference, self._settings)[0].host, []).append(reference)

        def do(reference: Reference) -> R | RegistryError:
            try:
                return ask(reference)
            except RegistryError as error:
                return error.with_traceback(None)
            finally:
                progress.step()

        with output.Progress("images looked up", len(firsts)) as progress:
            found = run(do, hosts, self._settings.max_per_host, self._deadline)
        result: dict[Reference, Any] = {}
        for reference in wanted:
            first = firsts[reference.name, reference.identifier]
            answer = found[first] if first in found else self._client.late(first)
            result[reference] = answer.about(reference) if isinstance(answer, RegistryError) else answer
        return result


def _images(reference: Reference, answer: Described | RegistryError) -> list[Reference]:
    """References to the platforms whose configuration is still unknown."""
    if isinstance(answer, RegistryError) or any(platform.config_digest for platform in answer.platforms):
        return []
    return [reference._replace(tag=None, digest=platform.manifest_digest) for platform in answer.platforms]


def _with_configs(described: Described, answers: Sequence[Described | RegistryError]) -> Described:
    configs = [
        a.platforms[0].config_digest if isinstance(a, Described) and len(a.platforms) == 1 else None for a in answers
    ]
    platforms = tuple(p._replace(config_digest=c) for p, c in zip(described.platforms, configs, strict=True))
    return described._replace(platforms=platforms)


def run(do: Callable[[J], R], hosts: Mapping[str, Sequence[J]], most: int, deadline: float) -> dict[J, R]:
    """Run every job of every host concurrently; no host waits for another. most: the most threads for one host.

    Returns when all jobs are done or at the deadline (on time.monotonic()), with the results so far; threads that are
    still busy are abandoned and end with the process. Raises what a job raised.
    """
    results: dict[J, R] = {}
    errors: list[BaseException] = []
    changed = threading.Condition()
    widths = [min(len(jobs), most) for jobs in hosts.values()]
    share = min(1.0, MAX_THREADS / max(sum(widths), 1))
    busy = [max(1, int(wide * share)) for wide in widths]
    running = sum(busy)

    def drain(queue: deque[J]) -> None:
        nonlocal running
        try:
            while not errors:
                try:
                    job = queue.popleft()
                except IndexError:
                    break
                result = do(job)
                with changed:
                    results[job] = result
        except BaseException as error:  # noqa: BLE001  re-raised below
            errors.append(error)
        finally:
            with changed:
                running -= 1
                changed.notify_all()

    for jobs, threads in zip(hosts.values(), busy, strict=True):
        queue = deque(jobs)
        for _ in range(threads):
            threading.Thread(target=drain, args=(queue,), daemon=True, name="registry").start()
    with changed:
        changed.wait_for(lambda: running == 0 or errors, max(0.0, deadline - time.monotonic()))
        if errors:
            raise errors[0]
        return dict(results)
