"""Where each setting comes from (a flag beats the environment, HELM_PIN_…, which beats the file), and how its text is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from helmpin.errors import UsageError
from helmpin.named_tuple import NamedTuple
from helmpin.password import PASSWORD

LISTS = frozenset(
    {"mutable-tag", "allow-unpinned", "allowed-registry", "also", "platform", "registry-mirror", "registry-plain-http"}
)
SWITCHES = frozenset({"pull-secrets"})
PEM_FILES = {
    "registry-ca-file": "ca_file",
    "registry-client-cert": "client_cert",
    "registry-client-key": "client_key",
}
"""The fields of RegistrySettings."""
RULES = "rules"
"""The setting that only a file can have: what applies to some registries or repositories."""
NAMES = LISTS | SWITCHES | PEM_FILES.keys() | {"mutable", "registry-timeout", RULES}
"""The settings that a file may have."""
NEVER_IN_FILE = {
    "lock": "it decides where digests come from",
    "locked": "it belongs to the lock of one command",
    "require": "it starts a program",
    "require-timeout": "it belongs to a required command",
}
"""The settings that no file may have, and why: a file may have come with the charts."""
DEFAULT = "default"
"""The origin shown for a setting that no source gives."""
DEFAULTS = {
    "mutable": "pin",
    "registry-timeout": "30s",
    "require-timeout": "1m",
    "locked": False,
    **dict.fromkeys(SWITCHES, False),
}
"""What holds then, where that is not nothing."""
LOGIN, LOGIN_STDIN = "registry-username", "registry-password-stdin"
LONGEST = 24 * 3600.0
"""The longest duration, in seconds."""


class SettingValue(NamedTuple):
    """A setting's value, and where it comes from."""

    value: Any
    where: str
    """The flag, the variable, or the file and its key."""


class Sources(NamedTuple):
    """All sources of settings. Called with a setting's name, it returns the value (None or () if no source has it) and where that
    comes from."""

    options: Mapping[str, Any]
    environ: Mapping[str, str]
    path: Path
    file: Mapping[str, Any]

    @property
    def exists(self) -> bool:
        """Whether there is a settings file."""
        return bool(self.path.name) and self.path.is_file()

    def __call__(self, name: str) -> SettingValue:
        given, from_environ = self.options.get(name), variable(name)
        if given not in (None, ()):
            return SettingValue(given, f"--{name}")
        text = self.environ.get(from_environ, "")
        if text.strip() or (text and name == "require"):  # a gate that was meant to be there is refused, not left out
            return SettingValue(tuple(text.split()) if name in LISTS else text, from_environ)
        return SettingValue(self.file.get(name, () if name in LISTS else None), f"{self.path}, key {name}")

    def beats_file(self, name: str) -> bool:
        """Whether a flag or a variable gives a setting, so that the file's value does not count."""
        return self(name).where in (f"--{name}", variable(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """The value of a list setting; a single string counts as a list of one. Raises UsageError."""
        value, where = self(name)
        items = (value,) if isinstance(value, str) else value
        if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
            raise UsageError(f"expected a list of strings, got {value!r}", where=where)
        return tuple(items)


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return "HELM_PIN_" + name.upper().replace("-", "_")


def misspelt(environ: Mapping[str, str]) -> list[str]:
    """A note for each variable that is nearly one of a setting, and so counts for nothing: a policy must not be
    ignored silently."""
    known = {variable(name) for name in NAMES | NEVER_IN_FILE.keys() | {LOGIN, "config", "quiet"}} | {PASSWORD}
    own = [name for name in environ if name.startswith(variable("")) and name not in known]
    if not own:
        return []
    from difflib import get_close_matches

    suffixes = [name.removeprefix(variable("")) for name in sorted(known)]
    meant = {name: get_close_matches(name.removeprefix(variable("")), suffixes, 1, 0.8) for name in sorted(own)}
    return [f"{name} is not a setting; did you mean {variable(close[0])}?" for name, close in meant.items() if close]


def switch(value: Any, where: str) -> bool:
    """Whether a setting is on; false if no source gives it. Raises UsageError."""
    if value is None or isinstance(value, bool):
        return bool(value)
    if str(value).lower() in ("1", "true", "yes", "on"):
        return True
    if str(value).lower() in ("0", "false", "no", "off"):
        return False
    raise UsageError(f"expected true or false, got {value!r}", where=where)


def go_seconds(text: str, where: str) -> float:
    """What helm reads as a duration (Go, time.ParseDuration), in seconds; nothing is too long. Raises UsageError."""
    units = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
    number = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
    if not re.fullmatch(rf"[+-]?(?:0|(?:{number}(?:{'|'.join(units)}))+)", text):
        raise UsageError(f"not a duration: {text!r}", where=where, hint="write it as 30s, 1m30s or 500ms")
    parts = re.findall(rf"({number})({'|'.join(units)})", text)
    return sum(float(count) * units[unit] for count, unit in parts) * (-1 if text.startswith("-") else 1)


def seconds(text: str, where: str) -> float:
    """A duration as Go writes it (`30s`, `1m30s`, `500ms`), or a plain number of seconds. Raises UsageError."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)", text)
    if parts and "".join(n + u for n, u in parts) == text:
        duration = sum(float(number) * units[unit] for number, unit in parts)
    elif re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        duration = float(text)
    else:
        raise UsageError(f"not a duration: {text!r}", where=where, hint="write it as 30s, 1m30s or 500ms")
    if not 0 < duration <= LONGEST:
        raise UsageError(f"a duration must be above 0s and at most {LONGEST / 3600:g}h, not {text[:50]}", where=where)
    return duration
