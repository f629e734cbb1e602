"""Reading `WWW-Authenticate` (RFC 9110, section 11.6.1) as registries send it (distribution specification, Token authentication)."""

from __future__ import annotations

import re
from typing import NamedTuple

_SCHEME = re.compile(r"\s*,?\s*([A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]*)(?=\s+[A-Za-z0-9_-]+\s*=|\s*(?:,|$))")
_PARAM = re.compile(r"""\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))""")


class Challenge(NamedTuple):
    """One challenge: the scheme in lower case, and its parameters by lower-case name."""

    scheme: str
    parameters: dict[str, str]


def parse(header: str) -> list[Challenge]:
    """The challenges in a header's value; what is malformed ends the list. Linear in the length, which is capped at 8 KiB."""
    text, at = header[:8192], 0
    found: list[Challenge] = []
    while match := _SCHEME.match(text, at):
        at = match.end()
        parameters: dict[str, str] = {}
        while param := _PARAM.match(text, at):
            quoted = param[2]
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else param[3]
            parameters.setdefault(param[1].lower(), value)
            at = param.end()
        found.append(Challenge(match[1].lower(), parameters))
    return found
