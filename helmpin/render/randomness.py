"""Which differences between two renders a chart makes at random, where repeatable.py has no fixed results: what differs between
plain renders, too, if its fixed part stays and no digest shows in it."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Collection, Iterable, Mapping
from itertools import chain
from string import ascii_letters, digits
from typing import Any

from helmpin.render.differences import ABSENT, Difference, Leaf, common_start, readable

GROWTH = 48
"""A random text that has grown by this many characters is taken to hold a digest, however it is encoded: 64 hexadecimal digits
are added, and a tag may be dropped. Keys and certificates vary by a few."""
_RANDOM = f"{ascii_letters}{digits}+/=."
"""What random texts are made of."""
_DATA = re.compile(r"[A-Za-z0-9+/=]{16,}")
"""A line of encoded data, as in PEM (RFC 7468)."""
_ENCODED = re.compile(r"(?m)(?<=-----\n)(?:^[A-Za-z0-9+/=]+\n)+(?=-----END)")
"""All such lines of one key or certificate, which another may have more or fewer of."""


def unexcused(
    differences: Iterable[Difference], digests: Collection[str], noise: Mapping[Leaf, Any]
) -> list[Difference]:
    """The differences that are not only random. noise: the leaves that differ in another plain render, with their values there."""
    return [each for each in differences if not _is_random(each, noise.get(each.leaf, each.before), digests)]


def _is_random(difference: Difference, other: Any, digests: Collection[str]) -> bool:
    """Whether a difference is only random. other: the leaf in another plain render."""
    before, after = difference.before, difference.after
    if other == before or ABSENT in (before, after, other):
        return False
    text, was = readable(after), readable(before)
    starts = (digest.partition(":")[2][:7] for digest in digests)
    if any(part in text and part not in was for part in chain(["sha256"], starts)):
        return False
    return len(str(after)) - max(len(str(before)), len(str(other))) < GROWTH and _is_alike(before, other, after)


def _is_alike(*texts: Any) -> bool:
    """Whether the last text has the fixed parts of the others, two samples of a random one, in each line, also if encoded."""
    if not all(isinstance(text, str) for text in texts):
        return not any(isinstance(text, (dict, list)) for text in texts)
    decoded = [_decoded(text) for text in texts]
    if None not in decoded:
        return _is_alike(*decoded)
    lines = [_ENCODED.sub(lambda block: "".join(block[0].split()), text).splitlines() for text in texts]
    if len({*map(len, lines)}) > 1:
        return _is_line_alike(*texts)
    in_data = False  # lines of encoded data, as in PEM: any may hold the time, as that of a certificate
    for one, two, other in zip(*lines, strict=True):
        in_data = one.startswith("-----BEGIN") or (in_data and not one.startswith("-----"))
        is_data = in_data and one == two and _DATA.fullmatch(one.strip()) and _DATA.fullmatch(other.strip())
        if not (is_data or _is_line_alike(one, two, other)):
            return False
    return True


def _decoded(text: str) -> str | None:
    """What a text holds in base64 (RFC 4648), as the data of a Secret does; None if it holds no text."""
    try:
        found = b64decode(text, validate=True).decode()
    except ValueError:
        return None
    return found if all(character.isprintable() or character.isspace() for character in found) else None


def _is_line_alike(one: str, two: str, other: str) -> bool:
    """Whether a line has the fixed parts of two samples of a random one."""
    if one == two:
        return one == other
    start, end = common_start([one, two]).rstrip(_RANDOM), common_start([one[::-1], two[::-1]])[::-1].lstrip(_RANDOM)
    marks = [re.sub(r"[A-Za-z0-9+/=.]", "", text) for text in (one, two, other)]
    if not (other.startswith(start) and other.endswith(end) and (marks[0] != marks[1] or marks[0] == marks[2])):
        return False
    words = [re.split(r"([^A-Za-z0-9]+)", line) for line in (one, two, other)]
    if {len(each) for each in words} != {len(words[0])}:
        return True
    least = (
        3 if any("+" in line or "/" in line for line in (one, two, other)) else 0
    )  # two random ones may share short words
    return all(a != b or a == c or len(a) < least for a, b, c in zip(*words, strict=True))
