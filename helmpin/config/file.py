"""The settings file: which one counts, and what it may hold.

It is the one that --config or HELM_PIN_CONFIG names, else the nearest .helm-pin.yaml from the chart up to the root of its
repository, else from the working directory up. A file that was merely found there may come with somebody else's charts, so it
cannot choose who is asked for digests, nor as whom.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from helmpin.config.sources import LOGIN, LOGIN_STDIN, NAMES, NEVER_IN_FILE, SWITCHES, variable
from helmpin.errors import HelmFailed, UsageError
from helmpin.password import PASSWORD

FILE = ".helm-pin.yaml"
CONFIG = "HELM_PIN_CONFIG"
MOST_BYTES = 1_000_000
NO_FILE = "none"
"""The value of the flag or the variable to read no file."""
NAMED_ONLY = frozenset(
    {"registry-mirror", "registry-plain-http", "registry-ca-file", "registry-client-cert", "registry-client-key"}
)
"""Settings that decide which servers give the digests, and with what the user logs in to them. They count from a file only if the
user names the file."""


def find(chart: str, folder: Path | None = None) -> Path | None:
    """The settings file that counts for a chart if nobody names one: the first of found()."""
    return next(found(chart, folder), None)


def found(chart: str, folder: Path | None = None) -> Iterator[Path]:
    """The settings files that may count for a chart, the first before the others: the nearest from the chart's folder up to the
    root of its repository (of what the path names, then of what its links lead to), then from the working directory up. Outside
    of a repository, a folder's parents are not searched."""
    here = folder or _here()
    starts = [here]
    if chart and os.path.exists(here / chart):  # noqa: PTH110 (Path has errors for a name that is too long, or not permitted)
        path = here / chart
        starts = [path if os.path.isdir(path) else path.parent for path in (path, path.resolve())] + starts  # noqa: PTH112
    for place in dict.fromkeys(place for start in starts for place in _up(here / start)):
        if os.path.lexists(place / FILE):
            yield place / FILE


def _up(folder: Path) -> list[Path]:
    """A folder and its parents up to the root of its repository; the folder alone if it is in none."""
    folder = Path(os.path.normpath(folder))
    places = [folder, *folder.parents]
    root = next((i for i, place in enumerate(places) if os.path.exists(place / ".git")), 0)  # noqa: PTH110 (Path has errors)
    return places[: root + 1]


def _here() -> Path:
    try:
        here = Path.cwd()
    except FileNotFoundError:  # it was removed, and the file with it
        return Path("/")
    return here if os.path.exists(here) else Path()  # noqa: PTH110 (a parent that may not be searched hides its full path)


def is_named(options: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    """Whether the user names the settings file, or none."""
    return bool(options.get("config") or environ.get(CONFIG, "").strip())


def settings_file(
    options: Mapping[str, Any], environ: Mapping[str, str], folder: Path | None, chart: str
) -> tuple[Path, bool]:
    """The settings file, and whether the user names it; Path() for none. Raises UsageError for a named one that is missing."""
    given = options.get("config") or (environ.get(CONFIG, "") if is_named(options, environ) else "")
    if not given:
        return find(chart, folder) or (folder or _here()) / FILE, False
    if given == NO_FILE:
        return Path(), True
    path = Path(given)
    if not os.path.isfile(path):  # noqa: PTH113
        where = "--config" if options.get("config") else CONFIG
        is_there = os.path.exists(path)  # noqa: PTH110
        what = f"not a regular file: {given}" if is_there else f"no such settings file: {given}"
        raise UsageError(what, where=where, hint=f"name a file, or `{NO_FILE}` to read none")
    return path, True


def _text(path: Path) -> str:
    """What a settings file holds; '' if there is none. Raises UsageError."""
    try:
        status = path.stat()
        # somebody else's charts may contain a device or a pipe, which never ends
        if not stat.S_ISREG(status.st_mode):
            raise _unreadable(path, "it is not a regular file")
        if status.st_size > MOST_BYTES:
            raise _unreadable(path, f"it has {status.st_size:,} bytes; at most {MOST_BYTES:,} are read")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            return ""
        from helmpin.files import cannot_read

        raise cannot_read(FILE, str(path), error) from None


def _unreadable(path: Path, why: str) -> UsageError:
    hint = f"correct it, name another file with --config, or `--config {NO_FILE}` to read none"
    return UsageError(f"cannot read {FILE}", where=str(path), why=why, hint=hint)


def load(path: Path, *, named: bool) -> Mapping[str, Any]:
    """The settings in a file, by name; none if it is missing. named: whether the user names it. Raises UsageError, also for a link
    whose target is missing."""
    text = _text(path)
    if not text:
        return {}
    from helmpin import kube_yaml

    try:
        loaded = kube_yaml.read_only(text, what=f"{FILE} is not valid YAML", where=str(path))
    except HelmFailed as error:
        raise UsageError(error.what, where=error.where, why=error.why) from None
    loaded = {} if loaded is None else loaded
    if not isinstance(loaded, dict):
        raise UsageError(f"{FILE} is not a mapping", where=str(path), hint="write lines of `name: value`")
    _check_keys(path, loaded, named=named)
    for name, value in loaded.items():
        where = f"{path}, key {name}"
        if value is None:
            raise UsageError(f"{name} has no value", where=where, hint="give it one, or leave the key out")
        if name in SWITCHES and not isinstance(value, bool):
            raise UsageError(f"expected true or false, got {value!r}", where=where, hint="write it without quotes")
    return loaded


def _check_keys(path: Path, loaded: Mapping[Any, Any], *, named: bool) -> None:
    """Raise UsageError for a key that a settings file cannot have, or only one that the user names."""
    unknown = sorted(str(name) for name in loaded if name not in NAMES)
    login = [name for name in unknown if name in (LOGIN, LOGIN_STDIN, "registry-password")]
    if login:
        raise UsageError(
            f"credentials are not allowed in {FILE}: {', '.join(login)}",
            where=str(path),
            why="whoever can change the file could have the password sent to a host of their own",
            hint=f"use --{LOGIN} or {variable(LOGIN)}, with {PASSWORD} or --{LOGIN_STDIN}",
        )
    if not named and (trust := sorted(NAMED_ONLY & loaded.keys())):
        raise UsageError(
            f"{', '.join(trust)} is allowed only in a settings file that you name (--config)",
            where=str(path),
            why="it decides who is asked for digests, and as whom; the file may have come with somebody else's charts",
            hint=f"if you trust the file, name it with --config {shlex.quote(str(path))} or {CONFIG}; or set "
            + ", ".join(f"--{name} or {variable(name)}" for name in trust),
        )
    if elsewhere := [name for name in unknown if name in NEVER_IN_FILE]:
        name = elsewhere[0]
        raise UsageError(
            f"{name} cannot be set in {FILE}",
            where=str(path),
            why=f"{NEVER_IN_FILE[name]}, and the file may have come with somebody else's charts",
            hint=f"use --{name} or {variable(name)}",
        )
    if unknown:
        raise UsageError(
            f"unknown key in {FILE}: {', '.join(unknown)}",
            where=str(path),
            hint=f"valid keys: {', '.join(sorted(NAMES))}",
        )
