"""Image references: the vocabulary that all packages share.

The grammar and the normalisation are those of the distribution project (github.com/distribution/reference: reference.go,
regexp.go, normalize.go), which docker, containerd and the kubelet use: no registry means docker.io, and docker.io without a
namespace means `library/`. Where go-containerregistry's `name` package differs, this grammar wins;
tests/integration/test_reference_oracle.py lists the differences.
"""

from __future__ import annotations

import re

from helmpin.named_tuple import NamedTuple

DOCKER_HUB = "docker.io"
MAX_REPOSITORY = 255
MAX_TAG = 128
_DIGEST_LENGTHS = {"sha256": 64, "sha512": 128}

_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"\w[\w.-]*", re.ASCII)
_HEX = re.compile(r"[a-f0-9]+")


class InvalidReference(ValueError):
    """A text that is not a valid image reference. The message is the exact reason, without the text."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(reason)
        self.text = text


class Reference(NamedTuple):
    """A normalised image reference, with a tag or a digest or both.

    Two texts that mean the same image are equal, so `nginx` equals `docker.io/library/nginx:latest`; `split(text)` shows
    whether a tag was written.
    """

    registry: str
    """Host with an optional port, as written (`ghcr.io`, `127.0.0.1:5000`, `[::1]:5000`); Docker Hub is always
    `docker.io`."""
    repository: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read `[registry/]repository[:tag][@digest]`. The tag is `latest` where neither tag nor digest is given.

        Raises InvalidReference with the exact reason.
        """
        if not text:
            raise InvalidReference(text, "it is empty")
        scheme = re.match("[A-Za-z][A-Za-z0-9+.-]{0,20}://", text)
        if scheme:
            raise InvalidReference(text, f"it is a URL; leave out {scheme[0]}")
        if len(text) == 64 and _HEX.fullmatch(text):
            raise InvalidReference(text, "64 hexadecimal digits are an image ID, not a repository")
        name, at, digest = text.partition("@")
        registry, path = _split_registry(name)
        repository, colon, tag = path.partition(":")
        if not _REGISTRY.fullmatch(registry):
            raise InvalidReference(
                text, f"registry {_shown(registry)} is not a host name or address with an optional port"
            )
        _check_repository(text, repository)
        if colon:
            _check_tag(text, tag)
        if at:
            _check_digest(text, digest)
        return cls(registry, repository, tag if colon else None if at else "latest", digest if at else None)

    @classmethod
    def read(cls, text: str) -> Reference | None:
        """As parse(); None for a text that is not a valid reference."""
        try:
            return cls.parse(text)
        except InvalidReference:
            return None

    @property
    def name(self) -> str:
        """registry/repository."""
        return f"{self.registry}/{self.repository}"

    @property
    def identifier(self) -> str:
        """What to ask a registry for: the digest, or else the tag (OCI distribution specification, `<reference>`)."""
        return self.digest or self.tag or "latest"

    def with_digest(self, digest: str) -> Reference:
        """The same reference at this digest. Raises InvalidReference when the digest is not valid."""
        _check_digest(digest, digest)
        return self._replace(digest=digest)

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def split(text: str) -> tuple[str, str | None, str | None]:
    """(name, tag, digest) as written: not checked, not normalised, never raises. A missing part is None."""
    name, at, digest = text.partition("@")
    colon = name.rfind(":")
    tag = name[colon + 1 :] if colon > name.rfind("/") else None
    return (name if tag is None else name[:colon], tag, digest if at else None)


def pinned_form(image: str, digest: str) -> str:
    """An image as written, at its digest: the tag stays for people to read, and `latest` is named where no tag is, since
    Kubernetes' default pull policy depends on it."""
    name, tag, _ = split(image)
    return f"{name}:{tag or 'latest'}@{digest}"


def valid_digest(text: str) -> bool:
    """Whether the text is `sha256:` and 64, or `sha512:` and 128, lower-case hexadecimal digits (OCI image-spec,
    descriptor.md)."""
    algorithm, _, encoded = text.partition(":")
    return _DIGEST_LENGTHS.get(algorithm) == len(encoded) and bool(_HEX.fullmatch(encoded))


def valid_tag(text: str) -> bool:
    """Whether the text can be a tag."""
    return len(text) <= MAX_TAG and bool(_TAG.fullmatch(text))


def _split_registry(name: str) -> tuple[str, str]:
    """(registry, rest). The first part is a registry if it is `localhost` or has a dot, a colon or a capital letter."""
    first, slash, rest = name.partition("/")
    if not slash or not (first == "localhost" or "." in first or ":" in first or first.lower() != first):
        first, rest = DOCKER_HUB, name
    elif first == "index.docker.io":
        first = DOCKER_HUB
    return first, f"library/{rest}" if first == DOCKER_HUB and "/" not in rest else rest


def _check_repository(text: str, repository: str) -> None:
    if _REPOSITORY.fullmatch(repository):
        if len(repository) > MAX_REPOSITORY:
            raise InvalidReference(text, f"repository has {len(repository)} characters, more than {MAX_REPOSITORY}")
        return
    if repository in ("", "library/"):
        raise InvalidReference(text, "there is no repository")
    if repository.lower() != repository:
        raise InvalidReference(text, "repository must be lowercase")
    odd = re.search(r"[^a-z0-9._/-]", repository)
    if odd:
        raise InvalidReference(text, f"repository cannot contain {_shown(odd[0])}")
    part = next(part for part in repository.split("/") if not re.fullmatch(_COMPONENT, part))
    why = "begin and end with a letter or digit, with . or _ or __ or dashes between" if part else "not be empty"
    raise InvalidReference(text, f"repository part {_shown(part)} must {why}")


def _check_tag(text: str, tag: str) -> None:
    if not tag:
        raise InvalidReference(text, "there is no tag after the colon")
    if not _TAG.fullmatch(tag):
        odd = re.search(r"[^\w.-]", tag, re.ASCII)
        raise InvalidReference(
            text, f"tag cannot contain {_shown(odd[0])}" if odd else f"tag cannot begin with {tag[0]}"
        )
    if len(tag) > MAX_TAG:
        raise InvalidReference(text, f"tag has {len(tag)} characters, more than {MAX_TAG}")


def _check_digest(text: str, digest: str) -> None:
    if valid_digest(digest):
        return
    algorithm, colon, encoded = digest.partition(":")
    length = _DIGEST_LENGTHS.get(algorithm)
    if not digest or not colon:
        raise InvalidReference(
            text, f"digest {_shown(digest)} is not of the form sha256:…" if digest else "there is no digest after the @"
        )
    if length is None:
        raise InvalidReference(text, f"digest algorithm {_shown(algorithm)} is not supported: sha256 and sha512 are")
    if len(encoded) != length:
        raise InvalidReference(text, f"digest of {algorithm} needs {length} hexadecimal digits, not {len(encoded)}")
    raise InvalidReference(text, "digest must be lowercase hexadecimal")


def _shown(part: str) -> str:
    """A part of an untrusted text as it may be printed: quoted, without control characters, and shortened."""
    return ascii(part if len(part) <= 80 else part[:77] + "...")
