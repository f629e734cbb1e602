"""The candidates at one anchor (anchors.py): in the map around it, other keys hold the rest of the reference, a digest or a tag."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from helmpin.chart.setargs import Setting, ValuePath, lookup
from helmpin.chart.value_keys import DIGEST_KEY, TAG_KEY, stem
from helmpin.image.reference import pinned_form, valid_tag
from helmpin.search.anchors import Anchor, is_strong
from helmpin.search.candidate import Candidate, Sought, forms
from helmpin.search.value_index import is_template
from helmpin.shapes import text_of

_WORDS = re.compile(r"_*[A-Z]+(?:_+[A-Z]+)+_*")
"""What takes the place of a tag: no version, though it could be a tag."""


def at_anchor(sought: Sought, anchor: Anchor) -> Iterator[Candidate]:
    """The candidates to pin an image at one anchor, most likely first."""
    beside = MapAround(sought, anchor)
    if beside.is_another:
        return
    for k in beside.digest_keys:
        alone = list(sought.digests(beside.at(k)))
        emptied = [Setting(beside.at(t), "") for t in beside.tag_keys[:1]]
        yield from [*alone, *(_with(candidate, setting) for candidate in alone for setting in emptied)]
    if anchor.whole:
        yield sought.whole(anchor.path)
    yield from (sought.tagged(beside.at(k), end) for k, end in beside.ends)
    for k in beside.tag_keys[:2]:
        yield from (sought.tagged(beside.at(k), tag) for tag in beside.tags(k, sought.tag))
        if sought.scan.takes_digests_as_tags:
            yield Candidate("digest as tag", (Setting(beside.at(k), sought.digest),))
    if not anchor.whole and not beside.tag_keys:
        if sought.scan.may_be_whole(sought.chain(anchor.path)):
            yield Candidate("reference", (Setting(anchor.path, pinned_form(sought.image, sought.digest)),))
        for k in filter(TAG_KEY.search, beside.read):
            yield from (sought.tagged(beside.at(k), tag) for tag in beside.tags(k, sought.tag))
        for path in _shared_tags(sought, beside.parent):
            yield sought.tagged(path, by_tag_only=True)
    if not beside.digest_keys:
        for k in filter(DIGEST_KEY.search, beside.read):
            yield from sought.digests(beside.at(k))


def _with(candidate: Candidate, emptied: Setting) -> Candidate:
    """A candidate for a digest that empties a tag, too."""
    return Candidate("digest key, tag emptied", (*candidate.settings, emptied))


def _shared_tags(sought: Sought, parent: ValuePath) -> list[ValuePath]:
    """Tags in outer maps that the map at `parent` may use: nearest first, then global ones."""
    near = sought.values.tags_above(sought.tag, parent)
    return sorted(near, key=lambda p: (p[0] == "global", -len(p)))[:2]


class MapAround:
    """The map around an anchor: which of its keys can carry this image's digest or tag."""

    def __init__(self, sought: Sought, anchor: Anchor) -> None:
        self._tree, tag = sought.values.tree, sought.tag
        self.parent = anchor.path[:-1]
        beside = lookup(self._tree, self.parent)
        key, own = anchor.path[-1], stem(anchor.path[-1])
        mine = {k: v for k, v in beside.items() if k != key and stem(k) == own} if isinstance(beside, dict) else {}
        tagged = {k: v for k, v in mine.items() if TAG_KEY.search(k) and _scalar(v)}
        digests = [k for k, v in mine.items() if DIGEST_KEY.search(k) and _may_be_digest(v)]
        self.digest_keys = [k for k in digests if sought.scan.has_key(k)]
        fitting = [k for k, v in tagged.items() if _may_hold(v, tag) or self._is_replaced(sought, k, v)]
        self.tag_keys = sorted(fitting, key=lambda k: (text_of(tagged[k]) != tag, "tag" not in k.lower()))
        if tag and not own and isinstance(beside, dict):  # tagForArm, if the whole map is about one image
            more = (k for k, v in beside.items() if k not in mine and text_of(v) == tag)
            self.tag_keys += [k for k in more if k.lower().startswith("tag")]
        self.ends = [] if own or not isinstance(beside, dict) else list(_ends(beside, tagged, tag))
        """The keys of what follows the tag here, as the image shows, each with its text: `arch: arm64` for 1.0-arm64."""
        self.has_another_tag = any(map(text_of, tagged.values())) and not fitting
        """Whether the tag here is set, and cannot be the image's."""
        self.is_another = not tag and any(map(text_of, tagged.values()))
        """Whether this is not the wanted image, which has no tag: a tag is set here."""
        read = sought.scan.after(self.parent, key) if is_strong(anchor) else []
        hidden = [k for k in digests if k not in self.digest_keys]
        self.read = [*hidden, *(k for k in read if stem(k) == own and k not in mine)]
        """Keys that the templates read, although the values do not have them; and, where no template has it as a word, a key for
        digests that the values have: an older chart had a use for it, or a template builds its name."""

    def tags(self, key: str, tag: str) -> list[str]:
        """The forms of the tag for a tag key, most likely first: without the prefix that the template adds."""
        held = text_of(lookup(self._tree, self.at(key)))
        if not held:
            return forms(tag or "latest")
        return [held, tag] if tag != held and tag.endswith(held) else [tag or "latest"]

    def _is_replaced(self, sought: Sought, key: str, value: Any) -> bool:
        """Whether the value of a tag key only stands for the image's tag: no image has such a tag, or a template asks for it."""
        text = text_of(value)
        return bool(sought.tag) and (
            _is_placeholder(text) or sought.scan.asks_whether(sought.chain(self.at(key)), text)
        )

    def at(self, key: str) -> ValuePath:
        """The path of a key."""
        return (*self.parent, key)


def _ends(beside: Mapping[str, Any], tagged: Collection[str], tag: str) -> Iterator[tuple[str, str]]:
    """The keys of a map, with their texts, that end a tag which begins as one of its tag keys says. tagged: these."""
    starts = [
        start for start in (text_of(beside[k]) for k in tagged) if start and start != tag and tag.startswith(start)
    ]
    for k, v in beside.items():
        end = text_of(v) if isinstance(v, str) and k not in tagged else ""
        if end and any(re.fullmatch("[-._]?", tag[len(start) : -len(end)]) and tag.endswith(end) for start in starts):
            yield k, end


def _is_placeholder(text: str) -> bool:
    """Whether a text in place of a tag is none, as it shows: `REPLACED_BY_APP_VERSION`, `<tag>`."""
    return bool(text) and (bool(_WORDS.fullmatch(text)) or not (valid_tag(text) or "@" in text))


def _scalar(value: Any) -> bool:
    return not isinstance(value, (dict, list, bool))


def _may_be_digest(value: Any) -> bool:
    """Whether a digest key with this value may be one: it holds no whole reference (`hash: team/hash:1.2`)."""
    is_reference = isinstance(value, str) and "/" in value and not is_template(value)
    return not isinstance(value, (dict, list)) and not is_reference


def _may_hold(value: Any, tag: str) -> bool:
    """Whether a tag key with this value may be that of an image with this tag ('' for none)."""
    if is_template(value):
        return bool(tag)
    text = text_of(value)
    return not text or (bool(tag) and (tag.startswith(text) or tag.endswith(text)))
