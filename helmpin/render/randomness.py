"""Which differences between two renders a chart makes at random, where repeatable.py has no fixed results: by what differs between
plain renders, and by the current time."""

from __future__ import annotations

import re
import time
from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from string import ascii_letters, digits
from typing import Any

from helmpin.render import another_order
from helmpin.render.differences import (
    ABSENT,
    NAMING,
    Difference,
    Leaf,
    common_start,
    readable,
)
from helmpin.render.output import Render

DAY = 86400
"""Seconds."""
GROWTH = 48
"""A random text that has grown by this many characters is taken to hold a digest, however it is encoded: 64 hexadecimal digits
are added, and a tag may be dropped. Keys and certificates vary by a few."""
_RANDOM = f"{ascii_letters}{digits}+/=."
"""What random texts are made of."""
_DATA = re.compile(r"[A-Za-z0-9+/=]{16,}")
"""A line of encoded data, as in PEM (RFC 7468)."""
_TIME = re.compile(
    r"(?<!\d)(?:(?P<epoch>\d{10})(?:\d{3}){0,3}"
    r"|(?P<date>\d{4}-\d\d-\d\d)(?:[T _]\d\d[:-]?\d\d(?:[:-]?\d\d)?)?|(?P<compact>\d{8})[T_.-]?\d{6}"
    r"|[0-2]\d:[0-5]\d:[0-5]\d)(?:[.,]\d+)?(?!\d)|m=[+-]\d+\.\d+"
)
"""Seconds (or smaller units) since 1970, a date, with or without a time of day, a time of day, and Go's monotonic clock."""


class Randomness:
    """What a chart makes at random: the leaves that differ between plain renders of it, and the current time. Immutable."""

    def __init__(self, pinned: Render, digests: Iterable[str], noise: Mapping[Leaf, Any]) -> None:
        """noise: the leaves that differ in another plain render, with their values there."""
        self._pinned = pinned
        self._hex = [digest.partition(":")[2][:7] for digest in set(digests)]
        self._noise = noise
        self._going = Counter(_place(leaf) for leaf, value in noise.items() if value is ABSENT)
        """How many keys, items and documents another plain render lacks, at each place."""

    def unexcused(self, differences: Iterable[Difference]) -> list[Difference]:
        """The differences of an object that are not only random."""
        differences = list(differences)
        gone = Counter(_place(each.leaf) for each in differences if each.after is ABSENT)
        come = Counter(_place(each.leaf) for each in differences if each.before is ABSENT)
        are_random = [self._excuses(difference, gone | come) for difference in differences]
        growth = [self._growth(difference) for difference in differences]
        if sum(more for more, is_random in zip(growth, are_random, strict=True) if is_random) >= GROWTH:
            # not in another order, where texts grow and shrink alike
            are_random = [is_random and more < GROWTH for more, is_random in zip(growth, are_random, strict=True)]
        return [difference for difference, is_random in zip(differences, are_random, strict=True) if not is_random]

    def _growth(self, difference: Difference) -> int:
        """How many characters longer a random text has become than each plain one that is known."""
        plain = (difference.before, self._noise.get(difference.leaf, ABSENT))
        return len(str(difference.after)) - max(len(str(value)) for value in plain)

    def _excuses(self, difference: Difference, moved: Counter[Leaf]) -> bool:
        """Whether a difference is only random: no digest shows in it, and its fixed parts stay. moved: how many keys, items and
        documents have gone from each place, or have come there, whichever are more."""
        leaf, before, after, _ = difference
        shown = [v is not ABSENT and self._shows_digest((*leaf[3], v)) for v in (before, after)]  # in a key, too
        if (shown[1] and not shown[0]) or _is_cut(before, after):
            return False
        may_show_time = self._pinned.random is None or leaf[0] in self._pinned.random
        if may_show_time and type(before) is type(after) and _without_time(before) == _without_time(after):
            return True
        if ABSENT in (before, after):
            return self._comes_or_goes(leaf, moved)
        other = self._noise.get(leaf, before)
        return other != before and _is_alike((before, other), after)

    def _comes_or_goes(self, leaf: Leaf, moved: Counter[Leaf]) -> bool:
        """Whether a key, an item or a document that is in one render alone is random: of keys, there must be no more than one plain
        render has and another does not."""
        place = _place(leaf)
        if self._noise.get(leaf) is ABSENT:
            return True
        is_key = bool(leaf[3]) and isinstance(leaf[3][-1], str)
        return place in self._going and not (is_key and moved[place] > self._going[place])

    def only_reorders(
        self, found: Iterable[Difference], left: Collection[Difference], plain: Render, images: frozenset[Leaf]
    ) -> bool:
        """Whether what is left of the differences that were found in a template only shows what a list or a text holds in another
        order, without a digest, and the template may list a map in any order.

        images: the leaves that hold images, which are judged otherwise.

        Two evaluations seldom prove that order random: Go starts a small map at its first entry in seven of eight cases
        (internal/runtime/maps, Iter), and --set makes another entry the first.
        """
        if not left or any(d.leaf[0] not in self._pinned.in_any_order or _is_name(d.leaf) for d in left):
            return False
        excused = {d.leaf for d in found} - {d.leaf for d in left}
        before, after = _by_place(found), _by_place(left)
        return all(  # of two that changed places, one may be excused already
            self._is_another_order(place, before.get(place, []), plain, images)
            or self._is_another_order(place, some, plain, images | excused)
            for place, some in after.items()
        )

    def _is_another_order(
        self, place: Leaf, differences: list[Difference], plain: Render, varies: frozenset[Leaf]
    ) -> bool:
        befores = [part for d in differences if d.before is not ABSENT for part in (*_keys(d), d.before)]
        afters = [part for d in differences if d.after is not ABSENT for part in (*_keys(d), d.after)]
        if not differences or self._shows_digest((*befores, *afters)) or _words(befores) != _words(afters):
            return False
        is_line = place[2] < 0
        return is_line or _form_at(place, plain, varies) == _form_at(place, self._pinned, varies)

    def _shows_digest(self, values: tuple[Any, ...]) -> bool:
        texts = list(map(readable, values))
        return any("sha256" in text or any(h in text for h in self._hex) for text in texts)


def _is_cut(before: Any, after: Any) -> bool:
    """Whether a text ends with the @ before a digest that the chart has cut off."""
    text = str(after)
    if not text.endswith("@"):
        return False
    word = re.match(r"[\w.-]+", text[-2::-1])  # from its end: a search for the end tries each character of a long text
    return word is not None and str(before).endswith(word[0][::-1])


def _place(leaf: Leaf) -> Leaf:
    """The map or list that a leaf is a key or an item of; for a document, its file."""
    source, order, nth, path = leaf
    return (source, order, nth, path[:-1]) if path else (source, -1, -1, ())


def _is_alike(samples: tuple[Any, Any], other: Any) -> bool:
    """Whether a value has the fixed parts of two samples of a random one, in each line, also if they are encoded."""
    if not all(isinstance(value, str) for value in (*samples, other)):
        return True
    encoded = [_encoded_text(value) for value in (*samples, other)]
    if None not in encoded:
        return _is_alike((encoded[0], encoded[1]), encoded[2])
    texts = [*samples, other]
    if len({len(text.splitlines()) for text in texts}) > 1:
        return _is_line_alike(*samples, other)
    in_data = False
    for one, two, three in zip(*map(str.splitlines, texts), strict=True):
        if one.strip().startswith("-----"):
            in_data = one.strip().startswith("-----BEGIN")
        if not _is_line_alike(one, two, three, in_data=in_data):
            return False
    return True


def _encoded_text(value: str) -> str | None:
    """The text that a value holds in base64 (RFC 4648), as the data of a Secret does; None if it holds none."""
    try:
        text = b64decode(value, validate=True).decode()
    except ValueError:
        return None
    return text if all(character.isprintable() or character.isspace() for character in text) else None


def _is_line_alike(one: str, two: str, other: str, *, in_data: bool = False) -> bool:
    """in_data: whether they are lines of encoded data, as in PEM: any may hold the time, as that of a certificate."""
    if one == two:
        is_data = in_data and all(_DATA.fullmatch(line.strip()) for line in (one, other))
        return is_data or _without_time(other) == _without_time(one)
    start, end = _fixed_parts([one, two])
    marks = [re.sub(r"[A-Za-z0-9+/=.]", "", text) for text in (one, two, other)]
    if not (other.startswith(start) and other.endswith(end) and (marks[0] != marks[1] or marks[0] == marks[2])):
        return False
    words = [re.split(r"([^A-Za-z0-9]+)", line) for line in (one, two, other)]
    if {len(each) for each in words} != {len(words[0])}:
        return True
    is_base64 = any("+" in line or "/" in line for line in (one, two, other))
    least = 3 if is_base64 else 0  # two random ones may have short words in common
    return all(a != b or a == c or len(a) < least for a, b, c in zip(*words, strict=True))


def _by_place(differences: Iterable[Difference]) -> dict[Leaf, list[Difference]]:
    found: dict[Leaf, list[Difference]] = defaultdict(list)
    for difference in differences:
        found[_list_of(difference)].append(difference)
    return found


def _is_name(leaf: Leaf) -> bool:
    """Whether a leaf names or selects something by itself, and not as a part of a list's item."""
    return not any(isinstance(part, int) for part in leaf[3]) and not NAMING.isdisjoint(leaf[3])


def _list_of(difference: Difference) -> Leaf:
    """The outermost list that a difference is in, or the map that a key came to or went from, or the lines where no leaf stands, or
    else the leaf itself. The list of init containers has an order, so their lists count."""
    source, order, nth, path = difference.leaf
    index = next((i for i, part in enumerate(path) if isinstance(part, int) and path[i - 1] != "initContainers"), None)
    if nth < 0:  # a line
        return source, order, nth, ()
    if index is not None:
        return source, order, nth, path[:index]
    return source, order, nth, path[:-1] if ABSENT in (difference.before, difference.after) else path


def _form_at(place: Leaf, render: Render, varies: frozenset[Leaf]) -> Hashable:
    """The form of what stands at a place of a render, whatever the order."""
    source, order, nth, path = place
    objects = next((d.objects() for d in render.documents if (d.source, d.order) == (source, order)), [])
    value: Any = dict(enumerate(objects))
    for part in (nth, *path):
        items = dict(enumerate(value)) if isinstance(value, list) else value
        value = items.get(part, ABSENT) if isinstance(items, dict) else ABSENT
    return another_order.form(value, path, lambda at: (source, order, nth, at) in varies)


def _keys(difference: Difference) -> Iterator[str]:
    """The keys of a difference's path, without the indexes of lists."""
    return (part for part in difference.leaf[3] if isinstance(part, str))


def _words(leaves: Iterable[Any]) -> Counter[str]:
    """The words of leaves, and what separates them."""
    return Counter(part for leaf in leaves for part in re.split(r"(\W)", str(leaf)))


def _fixed_parts(texts: list[str]) -> tuple[str, str]:
    """The common start and end of all texts, cut at the end of a word: random characters can be equal by chance."""
    start, end = common_start(texts), common_start([text[::-1] for text in texts])[::-1]
    return start.rstrip(_RANDOM), end.lstrip(_RANDOM)


def _without_time(value: Any) -> str:
    """A value as a text, without what may be the current time."""
    now = time.time()
    days = {time.strftime("%Y%m%d", time.gmtime(now + shift)) for shift in (-DAY, 0, DAY)}  # in all time zones

    def masked(match: re.Match[str]) -> str:
        day = (match["date"] or match["compact"] or "").replace("-", "")
        is_now = abs(int(match["epoch"]) - now) < DAY if match["epoch"] else not day or day in days
        return "\0" if is_now else match[0]

    return _TIME.sub(masked, str(value))
