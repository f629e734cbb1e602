"""Settings: a flag beats the environment (HELM_PIN_…), which beats the settings file.

`read` makes the Settings of a run; `in_force` shows where each comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from helmpin import gate
from helmpin.config.file import found, is_named, load, settings_file
from helmpin.config.registry import registry_settings
from helmpin.config.rules import allowances, allowed_unpinned, ended, passed_over, rules_of
from helmpin.config.settings import Settings
from helmpin.config.sources import (
    DEFAULT,
    DEFAULTS,
    LOGIN,
    NAMES,
    NEVER_IN_FILE,
    RULES,
    SWITCHES,
    Sources,
    misspelt,
    seconds,
    switch,
)
from helmpin.env import ENVIRON
from helmpin.errors import UsageError
from helmpin.gate import Gate


def read(
    options: Mapping[str, Any],
    environ: Mapping[str, str] = ENVIRON,
    folder: Path | None = None,
    stdin: BinaryIO | None = None,
    chart: str = "",
) -> Settings:
    """The settings from the flags given, the environment and the file.

    options: the command's own, by name; None or () for one that was not given. folder: the working directory.
    stdin: what --registry-password-stdin reads, to its end; None for standard input.
    chart: where the search for a file begins, if it is a local chart.
    Raises UsageError, with the place of the invalid value.
    """
    sources = _sources(options, environ, folder, chart)
    mutable, where = sources("mutable")
    if mutable not in (None, "pin", "refuse"):
        raise UsageError(f"mutable must be pin or refuse, not {mutable!r}", where=where)
    globs, exemptions = allowed_unpinned(sources)
    return Settings(
        mutable=mutable or "pin",
        mutable_tags=sources.texts("mutable-tag"),
        allow_unpinned=(*globs, *(each.image for each in exemptions if not each.is_over())),
        also=sources.texts("also"),
        pull_secrets="pull-secrets" in options and switch(*sources("pull-secrets")),
        registry=registry_settings(sources, stdin),
        notes=(
            *allowances(sources, globs),
            *passed_over(sources, [] if is_named(options, environ) else [*found(chart, folder)][1:2]),
            *ended(exemptions),
            *misspelt(environ),
        ),
        exemptions=exemptions,
        rules=rules_of(sources),
        allowed_registries=sources.texts("allowed-registry"),
        allowed_registries_from=sources("allowed-registry").where,
        allow_unpinned_from=sources("allow-unpinned").where,
        file=str(sources.path) if sources.exists else "",
        platforms=_platforms(sources),
        platforms_from=sources("platform").where if "platform" in options else "--platform",
        gate=_gate(sources),
        **_lock(sources),
    )


def in_force(
    options: Mapping[str, Any],
    environ: Mapping[str, str] = ENVIRON,
    folder: Path | None = None,
    chart: str = "",
) -> list[tuple[str, Any, str]]:
    """Every setting except passwords: its name, its value, and where that comes from, which is `default` if no source gives it. Of
    the required commands, whatever may be a secret is masked. Raises UsageError; most values are checked by `read` alone."""
    sources = _sources(options, environ, folder, chart)
    known = NAMES | NEVER_IN_FILE.keys() | {LOGIN}
    given = [(name, *sources(name)) for name in sorted(known) if name in options or name == RULES]
    for at, (name, value, where) in enumerate(given):
        if name in SWITCHES | {"locked"} and value is not None:
            given[at] = (name, switch(value, where), where)
        elif name == "require":
            given[at] = (name, _gate(sources).shown, where)
    return [
        (name, DEFAULTS.get(name, value), DEFAULT) if value in (None, ()) else (name, value, where)
        for name, value, where in given
    ]


def _sources(options: Mapping[str, Any], environ: Mapping[str, str], folder: Path | None, chart: str) -> Sources:
    path, named = settings_file(options, environ, folder, chart)
    return Sources(options, environ, path, load(path, named=named) if path.name else {})


def _gate(sources: Sources) -> Gate:
    """From flags and the environment (one command per line) only: a file that was merely found must not start programs."""
    if "require" not in sources.options:
        return Gate()
    given, where = sources("require")
    texts = given.splitlines() if isinstance(given, str) else given or ()
    commands = tuple(text.strip() for text in texts if text.strip())
    if texts and not commands:  # the user wants a gate, perhaps from a variable that is empty
        raise UsageError("a required command is empty", where=where, hint="name a command, or leave it out")
    gate.check(commands, where)
    limit, where = sources("require-timeout")
    return Gate(commands, gate.SECONDS if limit is None else seconds(str(limit), where))


def _platforms(sources: Sources) -> tuple[str, ...]:
    texts = sources.texts("platform") if "platform" in sources.options else ()
    if not texts:
        return ()
    from helmpin.image.platforms import NODES, valid_platform

    found = tuple(dict.fromkeys(part.strip() for text in texts for part in text.split(",")))
    for part in found:
        if part != NODES and not valid_platform(part):
            hint = "for example linux/amd64,linux/arm64, or nodes for those of the cluster's nodes"
            where = sources("platform").where
            raise UsageError("a platform must be OS/ARCHITECTURE", where=where, why=f"got {part!r}", hint=hint)
    return found


def _lock(sources: Sources) -> dict[str, Any]:
    """From flags and the environment only: a file that was merely found must not decide where digests come from."""
    if "lock" not in sources.options:
        return {}
    return {"lock": sources("lock").value or "", "locked": switch(*sources("locked"))}
