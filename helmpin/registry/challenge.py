"""Parsing WWW-Authenticate (RFC 9110, section 11.6.1): the authentication that a registry requires."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from helmpin.named_tuple import NamedTuple

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))\s*', re.DOTALL)
_SCHEME = re.compile(rf"\s*({_TOKEN})(?=\s|,|$)")
MAX_LENGTH = 16 * 1024


class Challenge(NamedTuple):
    """One challenge: the scheme in lower case (`basic`, `bearer`) and its parameters, names in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse(headers: Iterable[str]) -> list[Challenge]:
    """The challenges in the WWW-Authenticate headers of one response, in order. Skips what is malformed; never raises."""
    found: list[Challenge] = []
    for header in headers:
        text, at = header[:MAX_LENGTH], 0
        while at < len(text):
            if text[at] in ", \t\r\n":
                at += 1
                continue
            scheme = _SCHEME.match(text, at)
            if not scheme:  # a token68, or junk
                at = text.find(",", at) if "," in text[at:] else len(text)
                continue
            at = scheme.end()
            parameters: dict[str, str] = {}
            while match := _PARAMETER.match(text, at):
                quoted, bare = match[2], match[3]
                parameters.setdefault(
                    match[1].lower(), re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) if bare is None else bare
                )
                at = match.end()
                if text[at : at + 1] != ",":
                    break
                at += 1
            found.append(Challenge(scheme[1].lower(), parameters))
    return found


def choose(challenges: Iterable[Challenge]) -> Challenge | None:
    """The challenge to answer: Bearer with a realm, else Basic, else None."""
    known = [c for c in challenges if (c.scheme == "bearer" and c.parameters.get("realm")) or c.scheme == "basic"]
    return min(known, key=lambda c: c.scheme != "bearer", default=None)
