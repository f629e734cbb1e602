"""Image references: the vocabulary of every room.

The grammar is the distribution project's (github.com/distribution/reference, regexp.go; normalisation as in normalize.go):
`[domain[:port]/]path[:tag][@digest]`. A name without a domain is Docker Hub's, and a single word there is under `library/`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

DOCKER_HUB = "docker.io"
NAME_LENGTH_MAX = 255
_COMPONENT = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"(?:{_COMPONENT}(?:\.{_COMPONENT})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_PATH = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_IDENTIFIER = re.compile(r"[0-9a-f]{64}")


class InvalidReference(ValueError):
    """A text that is no image reference; says exactly why."""


class Reference(NamedTuple):
    """A reference, normalised: where it is served, what it names, and its tag or digest or both."""

    registry: str
    """Host, with its port if it has one: `docker.io`, `ghcr.io`, `127.0.0.1:5000`."""
    repository: str
    """`library/nginx`"""
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference as people and charts write it. The tag is `latest` when there is neither tag nor digest.

        Raises InvalidReference.
        """
        name, tag, digest = split(text)
        if digest is not None and not valid_digest(digest):
            raise InvalidReference(f"{digest!r} is not a digest: sha256 with 64 or sha512 with 128 lowercase hex digits")
        if tag is not None and not _TAG.fullmatch(tag):
            raise InvalidReference(f"tag {tag!r} is not allowed: 1 to 128 of letters, digits, _ . -, not starting with . or -")
        domain, path = _split_domain(name)
        if not _DOMAIN.fullmatch(domain):
            raise InvalidReference(f"{domain!r} is not a registry host")
        if not path:
            raise InvalidReference("it names no repository")
        if path != path.lower():
            raise InvalidReference(f"repository {path!r} must be lowercase")
        if not _PATH.fullmatch(path):
            raise InvalidReference(f"repository {path!r} is not allowed: lowercase letters and digits, separated by one of . _ __ - or /")
        if len(path) > NAME_LENGTH_MAX:
            raise InvalidReference(f"the repository is longer than {NAME_LENGTH_MAX} characters")
        if _IDENTIFIER.fullmatch(name):
            raise InvalidReference("64 hex digits are an image's ID, not its name")
        return cls(domain, path, tag or (None if digest else "latest"), digest)

    @property
    def name(self) -> str:
        """`registry/repository`"""
        return f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        """`registry/repository[:tag][@digest]`, normalised."""
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def with_digest(self, digest: str) -> Reference:
        """The same reference at a digest."""
        return self._replace(digest=digest)


def split(text: str) -> tuple[str, str | None, str | None]:
    """(name, tag, digest) of a reference as written; checks nothing."""
    name, at, digest = text.partition("@")
    head, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:
        return head, tag, digest if at else None
    return name, None, digest if at else None


def valid_digest(text: str) -> bool:
    """Whether `text` is a digest of a registered algorithm (OCI image specification, descriptor.md, Digests)."""
    return _DIGEST.fullmatch(text) is not None


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first.lower() != first):
        domain, path = first, rest
    else:
        domain, path = DOCKER_HUB, name
    if domain == "index.docker.io":
        domain = DOCKER_HUB
    if domain == DOCKER_HUB and path and "/" not in path:
        path = f"library/{path}"
    return domain, path
