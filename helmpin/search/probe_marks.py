"""The marks that show which value reaches an image (value_probe.py), and what to set where one has come out."""

from __future__ import annotations

import re

from helmpin.chart.setargs import ValuePath
from helmpin.image.reference import split
from helmpin.named_tuple import NamedTuple
from helmpin.search.attempt import Facts

MARK = re.compile(r"mark\d+z")


class Mark(NamedTuple):
    """A value with a mark at its end."""

    path: ValuePath
    text: str
    """The value without the mark."""
    token: str
    """The mark itself."""
    value: str
    """The value with the mark: `1.2-mark7z`, or in the form of a digest, `1.2@sha256:…`."""


def mark_at(path: ValuePath, text: str, number: int) -> Mark:
    token = f"mark{number}z"
    return Mark(path, text, token, f"{text}-{token}")


def digest_mark_at(path: ValuePath, text: str, number: int) -> Mark:
    """A mark in the form of a digest: alone for a value that takes one, else after a tag or a reference."""
    token = f"{number:064x}"
    return Mark(path, text, token, f"{text}@sha256:{token}" if text else f"sha256:{token}")


def in_place_of_digest_mark(fact: Facts, mark: Mark, gives: str) -> str:
    """What to set where a mark in the form of a digest stands; '' if the image has another name or end."""
    marked, bare = f"sha256:{mark.token}", fact.digest.partition(":")[2]
    before, _, after = gives.partition("@")
    forms = {marked: fact.digest, f"sha256:{marked}": bare}  # some templates write the `sha256:` themselves
    wanted = tagged(fact.use.image)
    is_wanted = before in (fact.use.image, wanted, split(wanted)[0])
    return mark.value.replace(marked, forms[after]) if is_wanted and after in forms else ""


def tagged(image: str) -> str:
    """An image with its tag, or with the one that it stands for without any."""
    return image if split(image)[1] else f"{image}:latest"
