"""The command that writes a lock for a chart, for messages about an image that a lock lacks."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial

from helmpin.arguments import Given, words
from helmpin.lock import PIPED, Lock
from helmpin.next_command import helm_command
from helmpin.plan.task import PlanRequest


def with_hints(
    lock: Lock, asked: PlanRequest, release: str, chart: str, command: str
) -> tuple[Lock, Callable[[], str]]:
    """A lock that can be written, with the way to add an image to it; and the way to put what a Job runs into it."""
    locking = partial(writing, asked, release, chart, "FILE" if lock.name == PIPED else lock.name)
    hinted = lock._replace(hint=lambda: locking("add it", "--keep", asks_cluster=command != "template"))
    return hinted, partial(_relocking, locking)


def writing(asked: PlanRequest, release: str, chart: str, file: str, what: str, *more: str, asks_cluster: bool) -> str:
    """What to do, and the command that does it: to write a lock file for this chart. more: flags of helm-pin after the others.
    asks_cluster: whether this command does. Flags that must not be printed, such as --set, or that read what can be read once, are
    left out of the command, and named before it."""
    from helmpin.helm import hide_secrets

    settings = asked.settings
    hidden = [flag for flag in asked.flags if hide_secrets(flag.words) != list(flag.words) or _reads_once(flag)]
    flags = words(
        flag for flag in asked.flags if flag not in hidden and flag.name != "--install"
    )  # lock adds that itself
    flags += ["--no-cluster"] if release and not asks_cluster else []
    flags += [f"--also={pattern}" for pattern in settings.also]
    flags += [f"--allow-unpinned={glob}" for glob in settings.allow_unpinned]
    command = ["pin", "lock", *filter(None, [release, chart]), *flags, "--file", file, *more]
    yours = ", ".join(dict.fromkeys(flag.name for flag in hidden))
    return f"{what}{f', with your {yours}' if yours else ''}: {helm_command(shlex.join(command))}"


def _reads_once(flag: Given) -> bool:
    """Whether a flag's values come from standard input, a pipe or `<(…)`."""
    from helmpin.save import is_stream

    parts = (flag.value or "").split(",") if flag.name in ("--values", "--set-file") else []
    return any(source == "-" or is_stream(source) for source in (part.rpartition("=")[2].strip() for part in parts))


def _relocking(locking: Callable[..., str]) -> str:
    """How to put the digest that a Job of the release runs into the lock file."""
    return locking("have the lock hold what the Job runs", "--keep", asks_cluster=True)
