"""Settings: a flag beats the environment (HELM_PIN_…), which beats the settings file.

The file is the one that --config or HELM_PIN_CONFIG names, else the nearest .helm-pin.yaml from the chart up to the root of its
repository, else from the working directory up. A file that was merely found there may come with somebody else's charts, so it
cannot choose who is asked for digests.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from helmpin import gate
from helmpin.env import ENVIRON
from helmpin.errors import HelmFailed, UsageError
from helmpin.files import cannot_read
from helmpin.gate import Gate
from helmpin.registry.types import ORIGIN, Credential, RegistrySettings

FILE = ".helm-pin.yaml"
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
"""The setting that only a file can have: what counts for some registries or repositories."""
RULE_KEYS = frozenset({"match", "mutable", "mutable-tag", "fixed-tag"})
NAMES = LISTS | SWITCHES | PEM_FILES.keys() | {"mutable", "registry-timeout", RULES}
NAMED_ONLY = frozenset({"registry-mirror", "registry-plain-http", "registry-ca-file"})
"""Settings that decide whose word a digest is. They count from a file only if the user names the file."""
CONFIG = "HELM_PIN_CONFIG"
NO_FILE = "none"
"""The value of the flag or the variable to read no file."""
LOGIN, LOGIN_STDIN = "registry-username", "registry-password-stdin"
PASSWORD = "HELM_PIN_REGISTRY_PASSWORD"
"""The only secret setting, so no flag and no file can give it."""
MAX_PASSWORD = 64 * 1024
LONGEST = 24 * 3600.0
"""The longest duration, in seconds."""


class Exemption(NamedTuple):
    """Images that are let through for a reason, until a day."""

    image: str
    """A glob."""
    reason: str
    until: str
    """The last day (UTC), as YYYY-MM-DD."""
    where: str
    """The file, and which entry of it."""

    @property
    def shown(self) -> str:
        """For people."""
        return f"{self.image} (until {self.until}: {self.reason})"

    def is_over(self, today: str = "") -> bool:
        """Whether its last day has passed. today: YYYY-MM-DD, '' for today."""
        return (today or _today()) > self.until


class Rule(NamedTuple):
    """What counts for the images of some registries or repositories. The first rule that matches an image is the only one."""

    match: str
    """A glob for a registry, or for registry/repository."""
    mutable: str
    """`pin` or `refuse`; '' for what counts otherwise."""
    mutable_tags: tuple[str, ...]
    """Globs of tags that are mutable here too."""
    fixed_tags: tuple[str, ...]
    """Globs of tags that are not mutable here."""
    where: str
    """The file, and which entry of it."""


class Settings(NamedTuple):
    """The settings of a whole run."""

    mutable: str
    """`pin` or `refuse`."""
    mutable_tags: tuple[str, ...]
    allow_unpinned: tuple[str, ...]
    """Globs, also those of the exemptions that are not over."""
    also: tuple[str, ...]
    pull_secrets: bool
    registry: RegistrySettings
    lock: str = ""
    """Where digests come from before the registry is asked: a file, or release:…; '' for nowhere."""
    locked: bool = False
    """Whether all digests must come from there."""
    notes: tuple[str, ...] = ()
    """What the settings file makes less strict, one line each, to be reported."""
    gate: Gate = Gate()
    """The commands that must agree to each image."""
    platforms: tuple[str, ...] = ()
    """The platforms that every image must have: os/architecture[/variant], or `nodes` for those of the cluster's nodes."""
    exemptions: tuple[Exemption, ...] = ()
    """Images that are let through for a reason, also those of which that is over."""
    rules: tuple[Rule, ...] = ()
    allowed_registries: tuple[str, ...] = ()
    """Globs of registries and repositories; none for all."""
    allowed_registries_from: str = ""
    file: str = ""
    """The settings file; '' if there is none."""


class _Given(NamedTuple):
    value: Any
    where: str
    """The flag, the variable, or the file and its key."""


class _Sources(NamedTuple):
    options: Mapping[str, Any]
    environ: Mapping[str, str]
    path: Path
    file: Mapping[str, Any]

    @property
    def exists(self) -> bool:
        """Whether there is a settings file."""
        return bool(self.path.name) and self.path.is_file()

    def __call__(self, name: str) -> _Given:
        given, variable = self.options.get(name), _variable(name)
        if given not in (None, ()):
            return _Given(given, f"--{name}")
        if self.environ.get(variable):
            text = self.environ[variable]
            return _Given(tuple(text.split()) if name in LISTS else text, variable)
        return _Given(self.file.get(name, () if name in LISTS else None), f"{self.path}, key {name}")

    def texts(self, name: str) -> tuple[str, ...]:
        value, where = self(name)
        items = (value,) if isinstance(value, str) else value
        if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
            raise UsageError(f"expected a list of strings, got {value!r}", where=where)
        return tuple(items)


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
    allowed, exemptions = _allowed(sources)
    return Settings(
        mutable or "pin",
        sources.texts("mutable-tag"),
        (*allowed, *(each.image for each in exemptions if not each.is_over())),
        sources.texts("also"),
        _switch(*sources("pull-secrets")),
        _registry(sources, stdin),
        notes=(*_allowances(sources, allowed), *_ended(exemptions)),
        exemptions=exemptions,
        rules=_rules(sources),
        allowed_registries=sources.texts("allowed-registry"),
        allowed_registries_from=sources("allowed-registry").where,
        file=str(sources.path) if sources.exists else "",
        platforms=_platforms(sources),
        gate=_gate(sources),
        **_lock(sources),
    )


def in_force(
    options: Mapping[str, Any],
    environ: Mapping[str, str] = ENVIRON,
    folder: Path | None = None,
    chart: str = "",
) -> list[tuple[str, Any, str]]:
    """Every setting that somebody gives: its name, its value, and where that comes from. Holds no password; check with `read`."""
    sources = _sources(options, environ, folder, chart)
    names = [name for name in sorted(NAMES | {"lock", "locked", LOGIN}) if name in options or name == RULES]
    given = [(name, *sources(name)) for name in names]
    return [(name, value, where) for name, value, where in given if value not in (None, ())]


def find(chart: str, folder: Path | None = None) -> Path | None:
    """The settings file that counts for a chart if nobody names one: the nearest from the chart's folder up to the root of its
    repository, else from the working directory up. Outside of a repository, a folder's parents are not searched."""
    here = folder or _here()
    starts = [here]
    if chart and (here / chart).exists():
        path = here / chart
        starts.insert(0, path if path.is_dir() else path.parent)
    for start in starts:
        for place in _up(here / start):
            if os.path.lexists(place / FILE):
                return place / FILE
    return None


def _up(folder: Path) -> list[Path]:
    """A folder and its parents up to the root of its repository; the folder alone if it is in none."""
    folder = Path(os.path.normpath(folder))
    places = [folder, *folder.parents]
    root = next((i for i, place in enumerate(places) if (place / ".git").exists()), 0)
    return places[: root + 1]


def _sources(options: Mapping[str, Any], environ: Mapping[str, str], folder: Path | None, chart: str) -> _Sources:
    path, named = _settings_file(options, environ, folder, chart)
    return _Sources(options, environ, path, _file(path, named=named) if path.name else {})


def _gate(sources: _Sources) -> Gate:
    """From flags and the environment only: a file that was merely found starts no programs. One command a line in the latter."""
    if "require" not in sources.options:
        return Gate()
    given, where = sources("require")
    texts = given.splitlines() if isinstance(given, str) else given or ()
    commands = tuple(text.strip() for text in texts if text.strip())
    if texts and not commands:  # somebody wants a gate, and means what is not there
        raise UsageError("a required command is empty", where=where, hint="name a command, or leave it out")
    gate.check(commands, where)
    limit, where = sources("require-timeout")
    return Gate(commands, gate.SECONDS if limit is None else seconds(str(limit), where))


def _platforms(sources: _Sources) -> tuple[str, ...]:
    texts = sources.texts("platform")
    if not texts:
        return ()
    from helmpin.image.platforms import valid_platform

    found = tuple(dict.fromkeys(part.strip() for text in texts for part in text.split(",")))
    for part in found:
        if part != "nodes" and not valid_platform(part):
            hint = "for example linux/amd64,linux/arm64, or nodes for those of the cluster's nodes"
            where = sources("platform").where
            raise UsageError("a platform must be OS/ARCHITECTURE", where=where, why=f"got {part!r}", hint=hint)
    return found


def _settings_file(
    options: Mapping[str, Any], environ: Mapping[str, str], folder: Path | None, chart: str
) -> tuple[Path, bool]:
    """The settings file, and whether the user names it; Path() for none. Raises UsageError for a named one that is missing."""
    given = options.get("config") or environ.get(CONFIG)
    if not given:
        return find(chart, folder) or (folder or _here()) / FILE, False
    if given == NO_FILE:
        return Path(), True
    path = Path(given)
    if not path.is_file():
        where = "--config" if options.get("config") else CONFIG
        raise UsageError(
            f"no such settings file: {given}", where=where, hint=f"name a file, or `{NO_FILE}` to read none"
        )
    return path, True


def _allowed(sources: _Sources) -> tuple[tuple[str, ...], tuple[Exemption, ...]]:
    """The globs of allow-unpinned, and its entries with a reason and an end."""
    value, where = sources("allow-unpinned")
    if not isinstance(value, list) or not any(isinstance(item, dict) for item in value):
        return sources.texts("allow-unpinned"), ()
    globs = tuple(item for item in value if not isinstance(item, dict))
    if not all(isinstance(item, str) for item in globs):
        raise UsageError(f"expected a list of strings, got {value!r}", where=where)
    items = [(f"{where}, entry {n}", item) for n, item in enumerate(value, 1) if isinstance(item, dict)]
    return globs, tuple(_exemption(item, at) for at, item in items)


def _exemption(item: Mapping[str, Any], where: str) -> Exemption:
    names = ("image", "reason", "until")
    if set(item) != set(names) or not all(isinstance(item[name], str) and item[name].strip() for name in names):
        hint = "for example {image: 'team/app:*', reason: built on each node, until: 2027-01-31}"
        raise UsageError("an exemption needs an image, a reason and an end", where=where, hint=hint)
    from datetime import date

    try:
        if len(item["until"]) != len("YYYY-MM-DD"):
            raise ValueError
        date.fromisoformat(item["until"])
    except ValueError:
        raise UsageError(f"not a day: {item['until']!r}", where=where, hint="write it as YYYY-MM-DD") from None
    return Exemption(item["image"], item["reason"], item["until"], where)


def _rules(sources: _Sources) -> tuple[Rule, ...]:
    """Raises UsageError."""
    value, where = sources(RULES)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise UsageError(f"expected a list of rules, got {value!r}", where=where)
    return tuple(_rule(item, f"{where}, entry {n}") for n, item in enumerate(value, 1))


def _rule(item: Any, where: str) -> Rule:
    if not isinstance(item, dict) or not isinstance(item.get("match"), str) or not item["match"]:
        hint = "for example {match: 'ghcr.io/team/*', mutable: refuse}"
        raise UsageError("a rule needs the registry or repository that it matches", where=where, hint=hint)
    if unknown := sorted(set(item) - RULE_KEYS):
        hint = f"valid keys: {', '.join(sorted(RULE_KEYS))}"
        raise UsageError(f"unknown key in a rule: {', '.join(unknown)}", where=where, hint=hint)
    if item.get("mutable", "pin") not in ("pin", "refuse"):
        raise UsageError(f"mutable must be pin or refuse, not {item['mutable']!r}", where=where)
    globs = {}
    for name in ("mutable-tag", "fixed-tag"):
        given = item.get(name, [])
        globs[name] = (given,) if isinstance(given, str) else given
        if not isinstance(globs[name], (list, tuple)) or not all(isinstance(each, str) for each in globs[name]):
            raise UsageError(f"expected a list of strings, got {given!r}", where=f"{where}, key {name}")
    return Rule(item["match"], item.get("mutable") or "", tuple(globs["mutable-tag"]), tuple(globs["fixed-tag"]), where)


def _today() -> str:
    from datetime import datetime, timezone

    return datetime.now(timezone.utc).date().isoformat()


def _ended(exemptions: Iterable[Exemption]) -> Iterator[str]:
    for each in exemptions:
        if each.is_over():
            yield f"{each.where}: the exemption of {each.image} ended on {each.until} and no longer counts ({each.reason})"


def _allowances(sources: _Sources, allowed: Sequence[str]) -> Iterator[str]:
    """What the file makes less strict, unless a flag or the environment overrides it."""
    for name in ("allow-unpinned", "mutable"):
        value, where = sources(name)
        if name == "allow-unpinned":
            value = allowed
        if value and where.startswith(str(sources.path)) and name in sources.file:
            shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
            yield f"{sources.path} sets {name}: {shown}"
    for rule in _rules(sources):
        if rule.fixed_tags or rule.mutable == "pin":
            shown = "; ".join(
                filter(
                    None,
                    [
                        "pin" if rule.mutable == "pin" else "",
                        f"fixed {', '.join(rule.fixed_tags)}" if rule.fixed_tags else "",
                    ],
                )
            )
            yield f"{rule.where}: for {rule.match}, {shown}"


def _here() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:  # it was removed, and the file with it
        return Path("/")


def _lock(sources: _Sources) -> dict[str, Any]:
    """From flags and the environment only: a file that was merely found does not decide whose word a digest is."""
    if "lock" not in sources.options:
        return {}
    return {"lock": sources("lock").value or "", "locked": _switch(*sources("locked"))}


def _registry(sources: _Sources, stdin: BinaryIO | None) -> RegistrySettings:
    files = {field: _pem_file(sources, name) for name, field in PEM_FILES.items()}
    cert, key = files["client_cert"], files["client_key"]
    alone = None if cert and key else cert or key
    if alone:
        there, missing = ("certificate", "key") if cert else ("key", "certificate")
        raise UsageError(
            f"a client {there} for registries requires its {missing}",
            where=alone.where,
            hint="pass both --registry-client-cert and --registry-client-key; if one PEM file holds both, name it twice",
        )
    timeout, where = sources("registry-timeout")
    return RegistrySettings(
        mirrors=_mirrors(sources),
        plain_http=_plain_http(sources),
        **{field: given.value for field, given in files.items() if given},
        timeout=RegistrySettings().timeout if timeout is None else seconds(str(timeout), where),
        credentials=_login(sources, stdin),
        named=tuple((given.value, given.where) for given in files.values() if given),
    )


def _mirrors(sources: _Sources) -> tuple[tuple[str, str], ...]:
    _, where = sources("registry-mirror")
    mirrors = []
    for item in sources.texts("registry-mirror"):
        host, equals, url = item.partition("=")
        if not (host and equals and url) or "/" in host:
            hint = "for example docker.io=https://mirror.example, or docker.io=origin for the registry itself"
            raise UsageError("a registry mirror must be HOST=URL", where=where, why=f"got {_shown(item)}", hint=hint)
        if url != ORIGIN:
            from helmpin.registry.endpoints import check_mirror

            check_mirror(url, f"{where}, the mirror of {host}")
        mirrors.append((host, url))
    return tuple(mirrors)


def _plain_http(sources: _Sources) -> frozenset[str]:
    hosts = sources.texts("registry-plain-http")
    for host in hosts:
        if not host or "/" in host:
            raise UsageError(
                "a plain HTTP registry must be HOST or HOST:PORT",
                where=sources("registry-plain-http").where,
                why=f"got {_shown(host)}",
                hint="for example registry.example:5000",
            )
    return frozenset(hosts)


def _pem_file(sources: _Sources, name: str) -> _Given | None:
    given = sources(name)
    if given.value is None:
        return None
    if not isinstance(given.value, str) or not given.value:
        raise UsageError(f"{name} must be the path of a file, not {given.value!r}", where=given.where)
    return given


def _login(sources: _Sources, stdin: BinaryIO | None) -> tuple[tuple[str, Credential], ...]:
    """The one login that flags and environment can give, for its host alone. No message shows the password, nor
    the user name, which may hold one by mistake. Commands without registry access ignore an incomplete login."""
    if LOGIN not in sources.options:
        return ()
    login, where = sources(LOGIN)
    from_stdin, password = bool(sources.options.get(LOGIN_STDIN)), sources.environ.get(PASSWORD, "")
    if login is None:
        if from_stdin or password:
            raise UsageError(
                "a registry password requires its registry and user name",
                where=f"--{LOGIN_STDIN}" if from_stdin else PASSWORD,
                hint=f"add --{LOGIN} HOST=USER, or set {_variable(LOGIN)}",
            )
        return ()
    host, equals, user = login.partition("=")
    if not equals:
        raise _no_login(where, "without a host, every registry that requires authentication would get the password")
    if not (host and user):
        raise _no_login(where, "the host or the user name is missing")
    if ":" in user:
        raise _no_login(
            where, "a user name cannot contain a colon (RFC 7617), and a password does not belong on a command line"
        )
    if from_stdin:
        password = _password(stdin or getattr(sys.stdin, "buffer", None))
    elif not password:
        hint = f"set {PASSWORD}, or pipe the password in with --{LOGIN_STDIN}"
        raise UsageError("a registry login requires a password", where=where, hint=hint)
    return ((host, Credential(user, password, source=where)),)


def _no_login(where: str, why: str) -> UsageError:
    hint = f"pass the password in {PASSWORD} or, with --{LOGIN_STDIN}, on standard input"
    return UsageError("a registry login must be HOST=USER or HOST/PATH=USER", where=where, why=why, hint=hint)


def _password(stdin: BinaryIO | None) -> str:
    """All of standard input without the last line break, as docker and helm read it. stdin: None if it is closed."""
    where = f"--{LOGIN_STDIN}"
    if stdin and stdin.isatty():
        hint = f"pipe it in (`pass registry | helm pin …`), or set {PASSWORD}"
        raise UsageError("a password typed here would be visible on the terminal", where=where, hint=hint)
    content = stdin.read(MAX_PASSWORD + 1) if stdin else b""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = ""
    password = text.removesuffix("\n").removesuffix("\r")
    if not password or len(content) > MAX_PASSWORD:
        why = "it is empty" if not content.strip() else f"it is longer than {MAX_PASSWORD} bytes, or not UTF-8"
        raise UsageError("standard input does not contain a usable password", where=where, why=why)
    return password


def seconds(text: str, where: str) -> float:
    """A duration as Go writes it (`30s`, `1m30s`, `500ms`), or a plain number of seconds. Raises UsageError."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if parts and "".join(n + u for n, u in parts) == text:
        duration = sum(float(number) * units[unit] for number, unit in parts)
    elif re.fullmatch(r"\d+(\.\d+)?", text):
        duration = float(text)
    else:
        raise UsageError(f"not a duration: {text!r}", where=where, hint="write it as 30s, 1m30s or 500ms")
    if not 0 < duration <= LONGEST:
        raise UsageError(f"a duration must be above 0s and at most {LONGEST / 3600:g}h, not {text[:50]}", where=where)
    return duration


def _file(path: Path, *, named: bool) -> Mapping[str, Any]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise cannot_read(FILE, str(path), error) from None
    from helmpin import kube_yaml

    try:
        loaded = kube_yaml.read_only(text, what=f"{FILE} is not valid YAML", where=str(path))
    except HelmFailed as error:
        raise UsageError(error.what, where=error.where, why=error.why) from None
    loaded = {} if loaded is None else loaded
    if not isinstance(loaded, dict):
        raise UsageError(f"{FILE} is not a mapping", where=str(path))
    unknown = sorted(str(name) for name in loaded if name not in NAMES)
    login = [name for name in unknown if name in (LOGIN, LOGIN_STDIN, "registry-password")]
    if login:
        raise UsageError(
            f"credentials are not allowed in {FILE}: {', '.join(login)}",
            where=str(path),
            why="whoever can change the file could have the password sent to a host of their own",
            hint=f"use --{LOGIN} or {_variable(LOGIN)}, with {PASSWORD} or --{LOGIN_STDIN}",
        )
    if not named and (trust := sorted(NAMED_ONLY & loaded.keys())):
        raise UsageError(
            f"{', '.join(trust)} is not allowed in a {FILE} that was merely found",
            where=str(path),
            why="it decides who is asked for digests, and the file may have come with somebody else's charts",
            hint=f"if you trust the file, name it with --config {FILE} or {CONFIG}; or set "
            + ", ".join(f"--{name} or {_variable(name)}" for name in trust),
        )
    if unknown:
        raise UsageError(
            f"unknown key in {FILE}: {', '.join(unknown)}",
            where=str(path),
            hint=f"valid keys: {', '.join(sorted(NAMES))}",
        )
    for name, value in loaded.items():
        where = f"{path}, key {name}"
        if value is None:
            raise UsageError(f"{name} has no value", where=where, hint="give it one, or leave the key out")
        if name in SWITCHES and not isinstance(value, bool):
            raise UsageError(f"expected true or false, got {value!r}", where=where, hint="write it without quotes")
    return loaded


def _switch(value: Any, where: str) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    if str(value).lower() in ("1", "true", "yes", "on"):
        return True
    if str(value).lower() in ("0", "false", "no", "off"):
        return False
    raise UsageError(f"expected true or false, got {value!r}", where=where)


def _variable(name: str) -> str:
    return "HELM_PIN_" + name.upper().replace("-", "_")


def _shown(value: str) -> str:
    """A value that should be a host or a URL, for a message: without a password that it may hold."""
    return "a URL with a user name or password" if "@" in value else repr(value)
