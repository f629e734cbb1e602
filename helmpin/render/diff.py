"""Comparing the plain render of a chart with a pinned one: what may differ, and what must not.

Allowed are:
- a container image that becomes itself at its digest;
- a *follower*: a whole reference with a tag, of an image that the chart runs, that gets that image's digest outside names, labels,
  selectors and annotations;
- a pod template's own `checksum/…` annotation;
- what a chart makes at random, if its fixed part stays and no digest shows in it.
"""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from types import MappingProxyType
from typing import Any, NamedTuple

from helmpin.image.find import CONTAINER_LISTS
from helmpin.image.manifest import Document, ImageUse, group_by_turn, identity, split_documents
from helmpin.image.reference import InvalidReference, Reference, split
from helmpin.render.output import Render
from helmpin.timeline import step

Leaf = tuple[str, int, int, tuple[Any, ...]]
"""(source, order, object, path) of one scalar in a render."""
Key = tuple[Any, ...]
"""ImageUse.key."""
NAMING = frozenset(
    {
        "metadata",
        "labels",
        "annotations",
        "selector",
        "matchLabels",
        "matchExpressions",
        "name",
        "generateName",
        "namespace",
        "hostname",
        "subdomain",
        "serviceName",
    }
)
"""Keys whose values name or select things. Nothing may follow an image there."""
_PINNED = re.compile(r"(?<![\w./:@-])([\w./:-]+)@(sha256:[0-9a-f]{64})(?![\w./:@-])", re.ASCII)
_ALIAS = r"\*[^\s,\]}]+"
_ABSENT = object()
DAY = 86400
"""Seconds."""


class Follower(NamedTuple):
    """A leaf with references that get the digests of images: its object, and these references."""

    leaf: Leaf
    kind: str
    name: str
    references: tuple[Reference, ...]
    """Each with its digest."""

    def place(self) -> str:
        """`ConfigMap/settings data.image`."""
        return f"{self.kind}/{self.name} {dotted(self.leaf[3])}"


class Difference(NamedTuple):
    """A leaf that a pin changed although it must not. before or after is None if the leaf is absent."""

    leaf: Leaf
    before: Any
    after: Any
    is_secret: bool = False
    """Whether it is in a document with a Secret."""

    def __str__(self) -> str:
        """For people, so without what may be a secret: of two texts only the words that differ, of a Secret only the place."""
        source, _, _, path = self.leaf
        where = f"{source + ': ' if source else ''}{dotted(path)}"
        if self.is_secret:
            return f"{where} would change"
        before, after = _changed_words(self.before, self.after)
        return f"{where}: {before} would become {after}"


class Comparison(NamedTuple):
    """How a pinned render differs from the plain one."""

    images: dict[Key, str]
    """The image at each use."""
    failing: frozenset[Key]
    """The uses that did not get their digest."""
    followers: tuple[Follower, ...]
    collateral: list[Difference]


def is_pin(use: ImageUse, after: str, digest: str) -> bool:
    """Whether `after` is the image of `use` at `digest`: the same name and digest, and the same tag (`latest` if there was none).

    The tag may be missing if no default depends on it: Kubernetes always pulls `latest`, unless the container has a pull policy
    (kubernetes.io/docs/concepts/containers/images, "Imagepullpolicy Defaulting").
    """
    name, tag, _ = split(use.image)
    new_name, new_tag, new_digest = split(after)
    if new_name != name or new_digest != digest:
        return False
    if new_tag is None:
        return bool(use.pull_policy) or tag not in (None, "latest")
    return new_tag == (tag or "latest")


@step("comparing renders")
def compare(
    plain: Render, pinned: Render, wanted: Mapping[Key, str], noise: Mapping[Leaf, Any] = MappingProxyType({})
) -> Comparison:
    """Compare two renders of one chart.

    wanted: the digest that each use of the plain render must get. noise: the leaves that differ in another plain render, with their
    values there. Documents are matched by source file and order, because names can be random; those of a template that may list a
    map in any order, by their objects, if they are the same in both.
    """
    pinned = _aligned(pinned, plain, pinned.second_pass or ())
    uses = {use.key: use for use in plain.images() if use.key in wanted}
    images = _images(pinned, uses.values())
    parts: dict[Leaf, list[ImageUse]] = defaultdict(list)
    for use in uses.values():
        if str(use.path[-1]).startswith("#"):
            parts[(use.source, use.order, use.nth, use.path[:-1])].append(use)
    follow = _Following((use.image, wanted[use.key]) for use in uses.values())
    random = _Randomness(pinned, wanted.values(), noise)
    followers: list[Follower] = []
    left: dict[str, list[Difference]] = defaultdict(list)
    old = {(d.source, d.order): d for d in plain.documents}
    new = {(d.source, d.order): d for d in pinned.documents}
    for key in [*old, *(k for k in new if k not in old)]:
        a, b = old.get(key), new.get(key)
        if a is not None and b is not None and a.text == b.text:
            continue
        changed: list[Difference] = []
        others: list[Difference] = []
        for difference, item in _differences(a, b):
            leaf, before, after, _ = difference
            changed.append(difference)
            if leaf in uses and isinstance(after, str):
                continue  # judged below
            if (within := parts.get(leaf)) and isinstance(before, str) and _replaced(before, within, images) == after:
                continue
            references = follow(leaf[3], before, after)
            if references:
                followers.append(Follower(leaf, *identity(item), references))
            elif not _is_checksum(item, leaf[3], after):
                others.append(difference)
        others = random.unexcused(others)
        if a is not None and b is not None and not others:
            others = random.unexcused(_text_differences(a, b, changed))
        left[key[0]] += others
    collateral = [difference for some in left.values() if not random.only_reorders(some) for difference in some]
    failing = frozenset(key for key, use in uses.items() if not is_pin(use, images.get(key, ""), wanted[key]))
    return Comparison(images, failing, tuple(followers), collateral)


def _aligned(render: Render, model: Render, sources: Collection[str]) -> Render:
    """A render with the documents of some sources in the order of another render."""
    documents, models = _by_source(render), _by_source(model)
    for source in sources:
        documents[source] = _in_order_of(models[source], documents[source])
    return render._replace(documents=[document for some in documents.values() for document in some])


def _by_source(render: Render) -> dict[str, list[Document]]:
    found: dict[str, list[Document]] = defaultdict(list)
    for document in render.documents:
        found[document.source].append(document)
    return found


def _in_order_of(model: Sequence[Document], documents: Sequence[Document]) -> list[Document]:
    """Documents in the order in which others have the same objects, and with the white space after them, which depends on what
    comes next; as they are, if these have others."""
    mine, theirs = _by_objects(documents), _by_objects(model)
    if mine.keys() != theirs.keys():
        return [*documents]
    return [
        mine[objects]._replace(
            order=there.order, text=mine[objects].text.rstrip() + there.text[len(there.text.rstrip()) :]
        )
        for objects, there in theirs.items()
    ]


def _by_objects(documents: Iterable[Document]) -> dict[tuple[Any, ...], Document]:
    """Documents by their objects' kinds and names, and their number among those with the same ones."""
    found: dict[tuple[Any, ...], Document] = {}
    counts: Counter[tuple[Any, ...]] = Counter()
    for document in documents:
        objects = tuple(map(identity, document.objects()))
        found[objects, counts[objects]] = document
        counts[objects] += 1
    return found


def _images(pinned: Render, uses: Iterable[ImageUse]) -> dict[Key, str]:
    """The image at each use of the plain render. In a template that may list a map in any order, a container is found by its name
    and its object's, if no other has the same."""
    images = {use.key: use.image for use in pinned.images()}
    if pinned.second_pass:
        now = _by_container(pinned.images(), pinned.second_pass)
        before = _by_container(uses, pinned.second_pass)
        images |= {before[container].key: now[container].image for container in before.keys() & now.keys()}
    return images


def _by_container(uses: Iterable[ImageUse], sources: Collection[str]) -> dict[tuple[Any, ...], ImageUse]:
    """The uses of some templates by their container, wherever it stands; without those whose names are not unique."""
    found: dict[tuple[Any, ...], list[ImageUse]] = defaultdict(list)
    for use in uses:
        if use.source in sources and use.container:
            keys = tuple(part for part in use.path if isinstance(part, str))
            found[use.source, use.kind, use.name, keys, use.container].append(use)
    return {container: alike[0] for container, alike in found.items() if len(alike) == 1}


def _text_differences(a: Document, b: Document, changed: list[Difference]) -> Iterator[Difference]:
    """The lines of two documents that differ in more than the given changed leaves: in comments, style or order."""
    shown = Counter(match[0] for c in changed for match in _PINNED.finditer(_written(c.after)))
    there = Counter(match[0] for match in _PINNED.finditer(b.text)) if shown else Counter()
    there.subtract(match[0] for match in _PINNED.finditer(a.text))
    for token, leaves in shown.items():
        if there[token] > leaves:
            line = next(i for i, line in enumerate(b.text.splitlines()) if token in line)
            what = f"{token}, where no leaf stands"
            yield Difference((a.source, a.order, -1, (f"line {line + 1}",)), "", what, _has_secret(a))
            return
    befores: dict[str, set[str]] = defaultdict(set)
    for before, after in ((_written(c.before), _written(c.after)) for c in changed):
        if not before or not after or after not in b.text:
            return  # a leaf that was added, removed, or is folded, escaped or on several lines
        befores[after].update((before, after))
        for match in _PINNED.finditer(after):
            befores[match[0]].update((match[0], match[1]))
    if len(befores) == 1 and all(
        b.text.replace(after, _written(c.before)) == a.text and b.text.count(after) <= len(changed)
        for after in befores
        for c in changed
    ):
        return  # the usual case, found without compiling an expression
    known = re.compile("|".join(_whole(text) for text in sorted(befores, key=len, reverse=True)) or r"(?!)")
    for i, (old, new) in enumerate(zip_longest(a.text.splitlines(), b.text.splitlines())):
        if old != new and not (old is not None and new is not None and _may_be(known, befores, new).fullmatch(old)):
            yield Difference((a.source, a.order, -1, (f"line {i + 1}",)), old, new, _has_secret(a))


def _whole(text: str) -> str:
    """An expression for a text; if that is a pinned reference, it must not be part of a longer one."""
    escaped = re.escape(text)
    return rf"(?<![\w./:@-]){escaped}(?![\w./:@-])" if _PINNED.fullmatch(text) else escaped


def _written(leaf: Any) -> str:
    """A leaf as it is probably written in the text; '' if that is unknown."""
    return str(leaf) if isinstance(leaf, (str, int)) and not isinstance(leaf, bool) else ""


def _may_be(known: re.Pattern[str], befores: Mapping[str, set[str]], line: str) -> re.Pattern[str]:
    """An expression for the lines that `line` may have been before its leaves changed. An alias may have stood for a leaf."""
    parts, at = [], 0
    for match in known.finditer(line):
        parts += [
            re.escape(line[at : match.start()]),
            f"(?:{'|'.join(map(re.escape, sorted(befores[match[0]])))}|{_ALIAS})",
        ]
        at = match.end()
    return re.compile("".join([*parts, re.escape(line[at:])]))


def _replaced(before: str, uses: Iterable[ImageUse], images: Mapping[Key, str]) -> str:
    """A text with the given uses replaced by their images in the render with pins."""
    at = 0
    for use in uses:
        start = before.find(use.image, at)
        if start < 0 or use.key not in images:
            return before
        before = before[:start] + images[use.key] + before[start + len(use.image) :]
        at = start + len(images[use.key])
    return before


def noise(one: Render, other: Render) -> dict[Leaf, Any]:
    """The leaves that differ between two renders of one chart, with their values in the other: what it makes at random."""
    other = _aligned(other, one, {document.source for document in one.documents})
    return {difference.leaf: difference.after for difference in compare(one, other, {}).collateral}


class _Following:
    """Recognises followers of images."""

    def __init__(self, pinned: Iterable[tuple[str, str]]) -> None:
        self._digests: dict[Reference, set[str]] = defaultdict(set)
        for image, digest in pinned:
            self._digests[Reference.parse(image)].add(digest)

    def __call__(self, path: tuple[Any, ...], before: Any, after: Any) -> tuple[Reference, ...]:
        """The references in `after` that got their digest, if that is the only change from `before`; else none."""
        if not (isinstance(before, str) and isinstance(after, str)) or not NAMING.isdisjoint(map(str, path)):
            return ()
        (text, there), (same, now) = _without_digests(before), _without_digests(after)
        gained = [now[at] for at in now if at not in there]
        references = [self._reference(name, digest) for name, digest in gained]
        if text != same or not gained or None in references or any(now.get(at) != token for at, token in there.items()):
            return ()
        return tuple(dict.fromkeys(r for r in references if r is not None))

    def _reference(self, name: str, digest: str) -> Reference | None:
        try:
            reference = Reference.parse(name)
        except InvalidReference:
            return None
        known = split(name)[1] is not None and digest in self._digests.get(reference, ())
        return reference._replace(digest=digest) if known else None


def _without_digests(text: str) -> tuple[str, dict[int, tuple[str, str]]]:
    """A text without the digests of references, and their places in the result: {end of the name: (name, digest)}."""
    pieces, found, kept, length = [], {}, 0, 0
    for match in _PINNED.finditer(text):
        pieces.append(text[kept : match.end(1)])
        length += len(pieces[-1])
        found[length] = (match[1], match[2])
        kept = match.end()
    return "".join([*pieces, text[kept:]]), found


def _is_checksum(item: Any, path: tuple[Any, ...], after: Any) -> bool:
    """Whether a leaf is a pod template's own `checksum/…` annotation and holds a hash: it may change with what it hashes."""
    if len(path) < 3 or path[-3:-1] != ("metadata", "annotations") or not str(path[-1]).startswith("checksum/"):
        return False
    for part in path[:-3]:
        item = item[part]
    spec = item.get("spec") if isinstance(item, dict) else None
    is_pod = isinstance(spec, dict) and any(name in spec for name in CONTAINER_LISTS)
    return is_pod and isinstance(after, str) and re.fullmatch(r"[\w+/=-]{1,128}", after) is not None


class _Randomness:
    """What a chart makes at random: the leaves that differ between two evaluations of it, and the current time."""

    def __init__(self, pinned: Render, digests: Iterable[str], noise: Mapping[Leaf, Any]) -> None:
        self._pinned = pinned
        self._hex = [digest.partition(":")[2][:7] for digest in set(digests)]
        self._noise = noise
        self._second: dict[Leaf, Any] | None = None

    def unexcused(self, differences: Iterable[Difference]) -> list[Difference]:
        """The differences that are not only random."""
        return [difference for difference in differences if not self._excuses(difference)]

    def _excuses(self, difference: Difference) -> bool:
        """Whether a difference is only random: no digest shows in it, and its fixed parts stay."""
        leaf, before, after, _ = difference
        shown = [v is not None and self._shows_digest((*leaf[3], v)) for v in (before, after)]  # in a key, too
        if shown[1] and not shown[0]:
            return False
        if _is_time(before) and _is_time(after) and _shape(before) == _shape(after):
            return True
        if self._second is None:
            self._second = _second_pass(self._pinned)
        return (leaf in self._second and _is_alike((after, self._second[leaf]), before)) or (
            leaf in self._noise and self._noise[leaf] != before and _is_alike((before, self._noise[leaf]), after)
        )

    def only_reorders(self, differences: Collection[Difference]) -> bool:
        """Whether the differences of a template only show words in another order, without a digest, and it may list a map in any
        order.

        Two evaluations seldom prove that order random: Go starts a small map at its first entry in seven of eight cases
        (internal/runtime/maps, Iter), and --set makes another entry the first.
        """
        if not differences or any(d.leaf[0] not in (self._pinned.second_pass or {}) for d in differences):
            return False
        befores = [part for d in differences if d.before is not None for part in (*_keys(d), d.before)]
        afters = [part for d in differences if d.after is not None for part in (*_keys(d), d.after)]
        return not self._shows_digest((*befores, *afters)) and _words(befores) == _words(afters)

    def _shows_digest(self, values: tuple[Any, ...]) -> bool:
        texts = [value if isinstance(value, str) else repr(value) for value in values]
        return any("sha256" in text or text.endswith("@") or any(h in text for h in self._hex) for text in texts)


def _is_alike(samples: tuple[Any, Any], other: Any) -> bool:
    """Whether a value has the fixed parts of two samples of a random one."""
    if not all(isinstance(value, str) for value in (*samples, other)):
        return True
    start, end = _fixed_parts([*samples])
    marks = [re.sub(r"[A-Za-z0-9+/=.]", "", text) for text in (*samples, other)]
    return other.startswith(start) and other.endswith(end) and (marks[0] != marks[1] or marks[0] == marks[2])


def _keys(difference: Difference) -> Iterator[str]:
    """The keys of a difference's path, without the indexes of lists."""
    return (part for part in difference.leaf[3] if isinstance(part, str))


def _words(leaves: Iterable[Any]) -> Counter[str]:
    """The words of leaves, and what separates them."""
    return Counter(part for leaf in leaves for part in re.split(r"(\W)", str(leaf)))


def _fixed_parts(texts: list[str]) -> tuple[str, str]:
    """The common start and end of all texts, cut at the end of a word: random characters can be equal by chance."""
    start, end = _common_start(texts), _common_start([text[::-1] for text in texts])[::-1]
    return re.sub(r"[A-Za-z0-9+/=.]*\Z", "", start), re.sub(r"\A[A-Za-z0-9+/=.]*", "", end)


def _common_start(texts: list[str]) -> str:
    least, greatest = min(texts), max(texts)
    same = next(
        (i for i, (a, b) in enumerate(zip(least, greatest, strict=False)) if a != b), min(len(least), len(greatest))
    )
    return least[:same]


def _shape(text: Any) -> str:
    return re.sub(r"\d+(\.\d+)?", "0", str(text))  # a fraction has as many digits as it needs


def _is_time(value: Any) -> bool:
    """Whether a value may be the current time: seconds (or smaller units) since 1970, a text with the year, or a time of day."""
    text, now = str(value), time.time()
    epoch = re.fullmatch(r"(\d{10})(\d{3}){0,3}", text)
    if epoch is not None and abs(int(epoch[1]) - now) < DAY:
        return True
    return str(time.gmtime(now).tm_year) in text or re.search(r"(?<!\d)[0-2]\d:[0-5]\d:[0-5]\d", text) is not None


def _second_pass(render: Render) -> dict[Leaf, Any]:
    """The leaves that differ in the second evaluation of templates (nondeterminism.py), with their values there.

    Helm sorts the documents of a file by kind, with hooks last. So a document is matched by kind, by whether it is a hook, and by
    its number among those. A file whose documents do not match is skipped: its differences count as effects.
    """
    found: dict[Leaf, Any] = {}
    by_source = _by_source(render)
    for source, text in (render.second_pass or {}).items():
        first = group_by_turn(by_source[source])
        second = group_by_turn(split_documents(source, text))
        if first.keys() == second.keys():
            again = _in_order_of([*first.values()], [second[turn] for turn in first])
            for document, other in zip(first.values(), again, strict=True):
                if document.text.strip() != other.text.strip():
                    leaves = [difference for difference, _ in _differences(document, other)]
                    lines = _text_differences(document, other, leaves)
                    found |= {d.leaf: d.after for d in (*leaves, *lines)}
    return found


def _differences(a: Document | None, b: Document | None) -> Iterator[tuple[Difference, Any]]:
    """Each leaf that differs, with the object of `a` that it belongs to."""
    document = a or b
    assert document is not None
    pairs = zip_longest(a.objects() if a else [], b.objects() if b else [], fillvalue=_ABSENT)
    is_secret = any(_has_secret(each) for each in (a, b) if each)
    for index, (x, y) in enumerate(pairs):
        for path, left, right in _walk(x, y, ()):
            before, after = (None if value is _ABSENT else value for value in (left, right))
            yield Difference((document.source, document.order, index, path), before, after, is_secret), x


def _has_secret(document: Document) -> bool:
    return any(identity(item)[0] == "Secret" for item in document.objects())


def _walk(a: Any, b: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in [*a, *(k for k in b if k not in a)]:
            yield from _walk(a.get(key, _ABSENT), b.get(key, _ABSENT), (*path, key))
    elif isinstance(a, list) and isinstance(b, list):
        for i, (x, y) in enumerate(zip_longest(a, b, fillvalue=_ABSENT)):
            yield from _walk(x, y, (*path, i))
    elif type(a) is not type(b) or a != b:
        yield path, a, b


def dotted(path: Iterable[Any]) -> str:
    """A path for people: `spec.containers.0.image`."""
    return ".".join(map(str, path))


def _changed_words(before: Any, after: Any) -> tuple[str, str]:
    """Two values for people. Of two texts, the words that differ stand for the whole: a password may be beside them. For the same
    reason a text without a counterpart is not shown, nor is a map or a list."""
    if not (isinstance(before, str) and isinstance(after, str)):
        return _kind(before), _kind(after)
    start = re.sub(r"[\w.-]*\Z", "", _common_start([before, after]))
    ends = [text[len(start) :] for text in (before, after)]
    end = re.sub(r"\A[\w.-]*", "", _common_start([text[::-1] for text in ends])[::-1])
    words = [text[: len(text) - len(end)] for text in ends]
    return tuple(_short(f"{'…' if start else ''}{word}{'…' if end else ''}") for word in words)  # type: ignore[return-value]


def _kind(value: Any) -> str:
    kinds = {dict: "a map", list: "a list", str: "a text", type(None): "nothing"}
    return kinds.get(type(value)) or _short(value)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 90 else f"{shown[:60]}…{shown[-20:]}"
