"""Hints for images that a chart renders by mistake: the text often shows how it came about."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection

from helmpin.image.reference import Reference, split

_UNEVALUATED = r"\{\{[^}]*(?:\.(?:Values|Chart|Release|Capabilities|Files|Template)|\b(?:include|tpl))\b"
"""A template for Helm, by the objects and functions that no other program has (Helm documentation, Built-in Objects)."""
_PRINTED = (
    (r"%!.?\((?:u?int|float)[0-9]*=", "the value is read as a number; quote it"),
    (r"%!.?\(bool=", "the value is read as true or false; quote it"),
    (
        r"(?:^|[^\w])map\[",
        "the template prints a whole map of values: have it print a key of the map, or set a string instead",
    ),
    (r"<nil>|<no value>|%!.?\(MISSING\)", "the value is null or missing; set it"),
    (
        _UNEVALUATED,
        "nothing evaluates the template in it: write the image in the value, or print the value with tpl in the chart",
    ),
)
"""How Go's printf prints, for a string verb, what is not a string, how `{{ }}` prints nil, and what nothing has evaluated: anywhere
in an image."""
_EXPONENT = ((r"(?:^|:)[0-9](?:\.[0-9]+)?e[-+][0-9]{2,3}$", "the value is read as a number; quote it"),)
_TAGS = (*_EXPONENT, (r"(?:^|:)(?:true|false)$", "the value is read as true or false; quote it"))
"""How `{{ }}` prints numbers and booleans: at the end of an image, or alone."""
_FILLED_IN = (
    (r"\{\{.*\}\}", "Argo Workflows fills in a parameter"),
    (r"\$\([^()]+\)", "Tekton fills in a parameter"),
    (r"\$\{[^{}]+\}", "it holds a variable that kro, an OpenShift template or Flux fills in"),
    (r"^auto$", "a webhook or controller fills it in"),
    (r"^\s+$", "a webhook or controller fills it in, as OpenShift does for an ImageChange trigger"),
)


def number_hint(image: str, numbers: Collection[str] = ()) -> str:
    """What to do about a rendered image that looks like a number, a boolean or nil printed by Go; '' otherwise. numbers: as which
    the numbers among the values print."""
    name, tag, digest = split(image)
    if hint := _first(_PRINTED, image):
        return hint
    if not name or name.endswith("/") or digest is not None or image != image.strip():
        return ""
    return _first(_TAGS, image) or ("the value is read as a number; quote it" if (tag or image) in numbers else "")


def invalid_hint(image: str, empty: tuple[str, ...] = (), registries: tuple[str, ...] = ()) -> str:
    """What to do about a text that is not a valid reference; '' if the error itself says enough. empty: the paths of empty values
    that may be its repository. registries: of those that may be its registry."""
    name, tag, digest = split(image)
    if hint := _first(_PRINTED, image):
        return hint
    if image != image.rstrip("\r\n"):
        return "it ends in a line break: write `|-` or `>-` in place of `|` or `>` where it is set, or trim it ({{ … | trim }})"
    if image != image.strip():
        return (
            "there are spaces around it (YAML makes one of a line break, such as the last one of a file given with --set-file): "
            "take them out of the value, or trim it in the template ({{ … | trim }})"
        )
    if hint := _empty_hint(name, empty, registries):
        return hint
    if digest is not None and is_valid(image.partition("@")[0]):
        before = image.rpartition(":")[0]
        if "@" in before and is_valid(before):
            return "a tag goes before the digest: leave one of them out, or write NAME:TAG@DIGEST"
        return "write a digest as sha256: and 64 hexadecimal digits in lower case, or leave it out with its @"
    if digest is None and tag is not None and is_valid(name):
        if not tag:
            return "the tag is empty: set the value that names it, or leave out the colon"
        if (first := split(name)[1]) == "sha256" and re.fullmatch("[0-9a-f]{64}", tag):
            return "that is a digest, not a tag: write @ before sha256"
        if first:
            return f"it has two tags, {first} and {tag}: take one out of the values"
        return _first(_EXPONENT, image)
    return ""


def _empty_hint(name: str, empty: tuple[str, ...], registries: tuple[str, ...]) -> str:
    """What to do about a name with an empty part; '' if it has none. empty, registries: as for invalid_hint()."""
    if not name or name.endswith("/"):
        return f"the repository is empty: set {' or '.join(empty) or 'the value that names it'}"
    if name.startswith("/"):
        return f"nothing stands before its first slash: set {' or '.join(registries) or 'the value that names the registry'}"
    if "//" in name and "://" not in name:
        return "nothing stands between two of its slashes: set the value that belongs there, or take one slash out"
    return ""


EMPTY = '""'
"""What --allow-unpinned calls an empty image, which OpenShift, for one, fills in by a trigger."""


def named(image: str) -> str:
    """An image for people: in quotes if white space around it would not be seen, or if it has no name."""
    if image in ("", ":"):
        return "an empty image"
    return f'"{image}"' if image != image.strip() or image[0] in ":@" else image


LET_THROUGH = "let it through: "
"""What begins the last part of a hint: the flag that allows the image. The same hint about several images names all their flags."""


def let_through(image: str) -> str:
    """The last part of a hint: how to allow an image without a digest."""
    return LET_THROUGH + allow_flag(image)


def allow_flag(image: str) -> str:
    """The flag that allows an image without a digest, quoted for a shell. Its value is a glob, so `?` can stand for what cannot be
    typed."""
    glob = re.sub(r"[\x00-\x1f\x7f-\x9f]", "?", re.sub(r"([*?[])", r"[\1]", image or EMPTY))
    return f"--allow-unpinned {shlex.quote(glob) if re.search(r'[^:]', glob) else repr(glob)}"


def is_valid(text: str) -> bool:
    """Whether a text is a reference."""
    return Reference.read(text) is not None


def filled_in(image: str) -> str:
    """Why a text is not an image yet, where it is known that something fills it in later; '' otherwise."""
    return "" if re.search(_UNEVALUATED, image) else _first(_FILLED_IN, image)


def _first(forms: tuple[tuple[str, str], ...], text: str) -> str:
    return next((meaning for form, meaning in forms if re.search(form, text, re.DOTALL)), "")
