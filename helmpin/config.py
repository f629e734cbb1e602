"""Settings: a flag beats the environment (HELM_PIN_…), which beats .helm-pin.yaml in the working directory."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from helmpin.errors import UsageError
from helmpin.registry.settings import RegistrySettings

FILE = ".helm-pin.yaml"
LISTS = frozenset({"mutable-tag", "allow-unpinned", "also", "registry-mirror", "registry-plain-http"})
SWITCHES = frozenset({"pull-secrets"})
NAMES = LISTS | SWITCHES | {"mutable", "registry-ca-file", "registry-timeout"}


class Settings(NamedTuple):
    """What holds for a whole run."""

    mutable: str
    """`pin` or `refuse`."""
    mutable_tags: tuple[str, ...]
    allow_unpinned: tuple[str, ...]
    also: tuple[str, ...]
    pull_secrets: bool
    registry: RegistrySettings


def read(
    options: Mapping[str, Any],
    environ: Mapping[str, str] = os.environ,
    folder: Path | None = None,
) -> Settings:
    """The settings from the flags given, the environment and the file.

    Raises UsageError, naming where the bad value stands.
    """
    from_file = _file((folder or Path.cwd()) / FILE)

    def value(name: str) -> Any:
        given = options.get(name)
        if given not in (None, ()):
            return given, f"--{name}"
        variable = "HELM_PIN_" + name.upper().replace("-", "_")
        if environ.get(variable):
            return (tuple(environ[variable].split()) if name in LISTS else environ[variable]), variable
        return from_file.get(name, () if name in LISTS else None), FILE

    mutable, where = value("mutable")
    if mutable not in (None, "pin", "refuse"):
        raise UsageError(f"mutable is pin or refuse, not {mutable!r}", where=where)
    pull_secrets, where = value("pull-secrets")
    lists = {name: _texts(*value(name)) for name in LISTS}
    ca_file, where_ca = value("registry-ca-file")
    if not isinstance(ca_file, str | None):
        raise UsageError(f"registry-ca-file is the path of a file, not {ca_file!r}", where=where_ca)
    return Settings(
        mutable or "pin",
        lists["mutable-tag"],
        lists["allow-unpinned"],
        lists["also"],
        _switch(pull_secrets, where),
        _registry(lists, ca_file, *value("registry-timeout")),
    )


def _registry(
    lists: Mapping[str, tuple[str, ...]], ca_file: str | None, timeout: Any, timeout_where: str
) -> RegistrySettings:
    mirrors = []
    for item in lists["registry-mirror"]:
        host, equals, url = item.partition("=")
        if not (host and equals and url):
            raise UsageError(
                "a registry mirror is HOST=URL",
                where="--registry-mirror or HELM_PIN_REGISTRY_MIRROR",
                why=f"it is {item!r}",
            )
        mirrors.append((host, url))
    settings = RegistrySettings(
        mirrors=tuple(mirrors), plain_http=frozenset(lists["registry-plain-http"]), ca_file=ca_file
    )
    if timeout is None:
        return settings
    return settings._replace(timeout=seconds(str(timeout), timeout_where))


def seconds(text: str, where: str) -> float:
    """A duration as Go writes it (`30s`, `1m30s`, `500ms`), or a plain number of seconds. Raises UsageError."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if parts and "".join(n + u for n, u in parts) == text:
        return sum(float(number) * units[unit] for number, unit in parts)
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    raise UsageError(f"not a duration: {text!r}", where=where, todo="write it as 30s, 1m30s or 500ms")


def _file(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {FILE}", where=str(path), why=str(error)) from None
    import yaml

    try:
        loaded = yaml.load(text, Loader=yaml.CSafeLoader) or {}
    except yaml.YAMLError as error:
        raise UsageError(f"{FILE} is not YAML", where=str(path), why=str(error)) from None
    if not isinstance(loaded, dict):
        raise UsageError(f"{FILE} is not a mapping", where=str(path))
    unknown = sorted(str(name) for name in loaded if name not in NAMES)
    if unknown:
        raise UsageError(
            f"unknown key in {FILE}: {', '.join(unknown)}",
            where=str(path),
            todo=f"the keys are {', '.join(sorted(NAMES))}",
        )
    return loaded


def _texts(value: Any, where: str) -> tuple[str, ...]:
    items = (value,) if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
        raise UsageError(f"a list of texts is needed, not {value!r}", where=where)
    return tuple(items)


def _switch(value: Any, where: str) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    if str(value).lower() in ("1", "true", "yes", "on"):
        return True
    if str(value).lower() in ("0", "false", "no", "off"):
        return False
    raise UsageError(f"true or false is needed, not {value!r}", where=where)
