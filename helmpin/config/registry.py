"""The settings for registries: mirrors, plain HTTP, certificates, and the one login."""

from __future__ import annotations

import sys
from typing import BinaryIO

from helmpin.config.sources import LOGIN, LOGIN_STDIN, PEM_FILES, SettingValue, Sources, seconds, variable
from helmpin.errors import UsageError
from helmpin.password import PASSWORD
from helmpin.registry.types import ORIGIN, Credential, RegistrySettings

MAX_PASSWORD = 64 * 1024


def registry_settings(sources: Sources, stdin: BinaryIO | None) -> RegistrySettings:
    """The settings for registries. stdin: what --registry-password-stdin reads; None for standard input. Raises UsageError."""
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


def _mirrors(sources: Sources) -> tuple[tuple[str, str], ...]:
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


def _plain_http(sources: Sources) -> frozenset[str]:
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


def _pem_file(sources: Sources, name: str) -> SettingValue | None:
    given = sources(name)
    if given.value is None:
        return None
    if not isinstance(given.value, str) or not given.value:
        raise UsageError(f"{name} must be the path of a file, not {given.value!r}", where=given.where)
    return given


def _login(sources: Sources, stdin: BinaryIO | None) -> tuple[tuple[str, Credential], ...]:
    """The one login that flags and environment can give, for its host alone. No message shows the password, nor the user name,
    which may be a password by mistake. Commands without registry access ignore an incomplete login."""
    if LOGIN not in sources.options:
        return ()
    login, where = sources(LOGIN)
    from_stdin, password = bool(sources.options.get(LOGIN_STDIN)), sources.environ.get(PASSWORD, "")
    if login is None:
        if from_stdin or password:
            raise UsageError(
                "a registry password requires its registry and user name",
                where=f"--{LOGIN_STDIN}" if from_stdin else PASSWORD,
                hint=f"add --{LOGIN} HOST=USER, or set {variable(LOGIN)}",
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


def _shown(value: str) -> str:
    """A value that should be a host or a URL, for a message: without a password that it may contain."""
    return "a URL with a user name or password" if "@" in value else repr(value)
