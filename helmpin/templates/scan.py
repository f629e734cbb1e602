"""What a chart's templates reveal about values and images, read as text: hints for candidates.py, proved by a render."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property, lru_cache

from helmpin.chart.setargs import ValuePath
from helmpin.chart.value_keys import DIGEST_KEY, IMAGE_KEY, TAG_KEY, last_key
from helmpin.image.reference import split
from helmpin.render.actions import actions
from helmpin.templates.spelled_out import EACH, KEY, spelled_out

_ENDS_ALONE = re.compile(r"(?!\w)[^}]*\}\}(?!:)")
_USUAL = {"tag", "digest"}
_IMAGE_LINE = re.compile(r"""(?m)^[\s-]*image:[ \t]*(["']?)(.*?)\1[ \t]*(#.*)?$""")
PRINTED_IMAGE = re.compile(r"""image["']?:.*\{\{""")
"""A line that prints an image by an action."""
_IN_PARENTHESES = re.compile(rf"\(\s*(\$?\.Values(?:\.{KEY})*)\s*\)(?=\.)")
_CHAIN = re.compile(rf"\.Values((?:\.{KEY})+)")
_HERE = "\0"
"""Stands for the value in question."""
_ENDS_IMAGE = re.compile(rf"""image["']?:.*\{{\{{[^}}]*{_HERE}[^}}]*\}}\}}(?!:)""", re.IGNORECASE)
_CONTROL = r"\{\{-?\s*(?:if|with|else|end)\b[^}]*\}\}"
_IS_IMAGE = re.compile(
    rf"""image["']?:(?:.*(?:[^\w./:@}}-]|{_CONTROL}))?\{{\{{[^}}]*{_HERE}[^}}]*\}}\}}(?:(?={_CONTROL})|(?![\w./:@{{-]))""",
    re.IGNORECASE,
)
_ASKS_FOR_DIGEST = re.compile(r"""\b(?:contains|hasPrefix|regexMatch|mustRegexMatch)\s+["`]\^?sha256\b""")
_ASKS_FOR_PARTS = re.compile(rf"""contains\s+"[/:]"\s+{_HERE}|{_HERE}\s*\|\s*contains\s+"[/:]\"""")


class _Fragments:
    """Pieces of templates that read values, found by what they read and by the literals that they hold. Mutable."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._reading: dict[ValuePath, list[int]] = defaultdict(list)
        """By each value: the indexes of the pieces that read it."""
        self._texts: list[tuple[str, range]] = []
        """The pieces of each template as one text, with their indexes."""

    def add(self, pieces: Iterable[str]) -> None:
        """Add the pieces of a template."""
        first = len(self._pieces)
        self._pieces += [piece for piece in pieces if "Values." in piece]
        own = range(first, len(self._pieces))
        for number in own:
            for chain in set(chains(self._pieces[number])):
                self._reading[chain].append(number)
        if own:
            self._texts.append(("\n".join(self._pieces[first:]), own))

    @property
    def read(self) -> Collection[ValuePath]:
        """The values that the pieces read."""
        return self._reading.keys()

    def chains(self, words: Collection[ValuePath | str]) -> list[ValuePath]:
        """The values that the same pieces read."""
        return list(dict.fromkeys(chain for piece in self.having(words) for chain in chains(piece)))

    def having(self, words: Iterable[ValuePath | str]) -> list[str]:
        """The pieces that read one of these values or hold one of these literals, in order."""
        found = set[int]()
        for word in words:
            if isinstance(word, str):
                own = (number for text, numbers in self._texts if word in text for number in numbers)
                found.update(
                    number for number in own if word in self._pieces[number] and _holds(self._pieces[number], word)
                )
            else:
                found.update(self._reading.get(word, ()))
        return [self._pieces[number] for number in sorted(found)]


def _holds(piece: str, word: str) -> bool:
    """Whether a piece of a template has a name or a reference as a string, or the name before a tag, or with the start of one:
    "%s/web:%s", team/web:{{ .Values.tag }}, team/web:v{{ .Values.version }}."""
    name = re.escape(word)
    quoted = (re.fullmatch(rf"(?:%[sv]/)*{name}(?:[:@]\S*)?", text) for text in re.findall(r'"([^"\s]+)"', piece))
    end = "" if ":" in word.rpartition("/")[2] else "[:@]"
    return any(quoted) or bool(re.search(rf"(?:(?<=}}}}/)|(?<![\w./-])){name}{end}\{{\{{", piece))


class TemplateScan:
    """Which keys templates read from which maps: `.Values.image.tag` shows that `image` may have a `tag`, even if the values have
    none. Mutable: some of it is made when it is first needed."""

    def __init__(self, texts: Iterable[str], library: Iterable[str] = ()) -> None:
        """texts: the chart's own templates. library: those of its subcharts, used if its own show no digests."""
        self._after: dict[str, set[str]] = defaultdict(set)
        self._variables: dict[str, set[str]] = defaultdict(set)
        self._given: set[str] = set()
        """The names of arguments, as far as they are those of images: `dict "image" .Values.web`."""
        self._bare: set[str] = set()
        self._full: set[str] = set()
        self._written: set[ValuePath] = set()
        self._beside: dict[str | int, tuple[set[str], list[set[str]]]] = {}
        self._lines, self._named = _Fragments(), _Fragments()
        texts, library = list(texts), list(library)
        self._has_key: dict[str, bool] = {}
        self._reading = [text for text in (*texts, *library) if "Values" in text or "define" in text]
        for text in texts:
            self._read(text)
        if not (self._bare or self._full):
            for text in library:
                self._read(text)

    def _read(self, text: str) -> None:
        self._written.update(chains(text))
        whole = spelled_out(text)
        lines = whole.splitlines()
        self._lines.add(lines)
        self._named.add(re.split(r"\{\{-?\s*define\b", whole)[1:])
        self._read_keys(text)
        if whole is not text:
            changed = set(lines).difference(text.splitlines())
            self._read_keys("\n".join(changed).replace(f".{EACH}", ""))

    def _read_keys(self, text: str) -> None:
        for found, mark in ((self._bare, "sha256:"), (self._full, "@")):
            for printed in re.findall(rf"{mark}(?:\{{\{{|%s)([^}}]*)", text):
                found.update(k for k in re.findall(r"\.(\w+)", printed) if DIGEST_KEY.search(k))
        for name, key in set(re.findall(r"\.([A-Za-z_]\w*)(?=\.([A-Za-z_]\w*))", text)):
            self._after[name].add(key)
        for name, key in set(re.findall(r"\$(\w+)\.([A-Za-z_]\w*)", text)):
            self._after[name].add(key)
            self._variables[name].add(key)
        if "dict" in text:
            self._given.update(re.findall(r'"(\w*[iI]mage)"\s+[$.(]', text))
        if ")." in text:  # ((.image).tag), which works without the map, too
            for name, key in re.findall(r"\.([A-Za-z_]\w*)\)+\.([A-Za-z_]\w*)", text):
                self._after[name].add(key)
        for match in re.finditer(r"\.(tag|digest|sha256|sha|hash)\b", text):
            if not re.match(r"[\w)\]]", text[match.start() - 1 : match.start()]):  # as a lookbehind it is slow
                self._after[""].add(match[1])

    def after(self, path: ValuePath, beside: str | int = "") -> list[str]:
        """The keys read of the map at `path`, most likely first: by its whole path, after its last key, alone (inside `with`, or
        through a variable), the tags and digests that a helper reads of its arguments, and all that it reads of an argument of
        which it reads the key `beside`, too."""
        key = last_key(path)
        whole = self.of_map(path)
        usual, alike = self._of_arguments(beside)
        tiers = [whole, self._after.get(key, set()), self._after.get("", set()), usual, *alike]
        return list(dict.fromkeys(k for tier in tiers for k in sorted(tier)))

    def of_map(self, path: ValuePath) -> set[str]:
        """The keys read of the map at `path` by its whole path, from one of the maps around it on, or by that of each element of
        one."""
        ends = [path[-n:] for n in range(2, len(path) + 1)]
        return set().union(*(self._keys_of_maps.get(each, ()) for end in ends for each in _with_each(end)))

    @cached_property
    def takes_digests_as_tags(self) -> bool:
        """Whether a template asks if something is a digest: `{{ if hasPrefix "sha256:" .tag }}@{{ else }}:{{ end }}`."""
        return any(_ASKS_FOR_DIGEST.search(text) for text in self._reading)

    def has_key(self, key: str) -> bool:
        """Whether the templates, or those of the subcharts, have a key as a word, and so may read it."""
        if key not in self._has_key:
            self._has_key[key] = not self._reading or any(has_word(text, key) for text in self._reading)
        return self._has_key[key]

    def readers(self, chain: ValuePath) -> int:
        """How many lines read this value by its whole path, or by that of each element of a map around it."""
        return sum(len(self._lines.having([each])) for each in _with_each(chain))

    def is_beside_tag(self, chain: ValuePath) -> bool:
        """Whether a line reads a tag beside this value, or no line reads it by its whole path."""
        lines = self._lines.having([chain])
        return not lines or any(TAG_KEY.search(last_key(each)) for line in lines for each in chains(line))

    @cached_property
    def _keys_of_maps(self) -> dict[ValuePath, set[str]]:
        """The keys that are read of each map in a map by its whole path."""
        keys: dict[ValuePath, set[str]] = defaultdict(set)
        for chain in self._lines.read:
            if len(chain) > 2:
                keys[chain[:-1]].add(str(chain[-1]))
        return keys

    @cached_property
    def _arguments(self) -> list[set[str]]:
        """What is read of each name that may be an argument of a helper: the keys."""
        known = self._after.get("Values", set()) | {"", "Values", "Chart", "global"}
        others = {name: keys for name, keys in self._after.items() if name not in known}
        # `image` is mostly the key of a value, also as a variable, unless `dict` is seen to make it an argument
        return [
            keys
            for name, keys in {**self._variables, **others}.items()
            if name in self._given or not IMAGE_KEY.search(name)
        ]

    def _of_arguments(self, beside: str | int) -> tuple[set[str], list[set[str]]]:
        """The tags and digests that are read of arguments, and all that is read of those of which the key `beside` is read, too."""
        if beside not in self._beside:
            alike = [keys for keys in self._arguments if beside in keys]
            self._beside[beside] = _USUAL & set().union(*self._arguments), alike
        return self._beside[beside]

    @cached_property
    def image_maps(self) -> list[str]:
        """The keys of maps for images: those from which a tag is read."""
        return sorted(key for key, read in self._after.items() if "image" in key.lower() and "tag" in read)

    def beside(self, words: Collection[ValuePath | str]) -> tuple[list[ValuePath], list[ValuePath]]:
        """The values that are read beside one of `words` (a value, or text of the template): on the same line, and in the same
        named template; first those that the template itself reads by their whole path."""
        lines, named = (
            sorted(some.chains(words), key=lambda chain: chain not in self._written)
            for some in (self._lines, self._named)
        )
        return lines, named

    def stands_alone(self, chain: ValuePath) -> bool:
        """Whether a line reads this value with no colon after it, as it would a whole reference."""
        read = f".Values.{'.'.join(map(str, chain))}"
        return any(_ENDS_ALONE.match(after) for line in self._lines.having([chain]) for after in line.split(read)[1:])

    def is_image(self, chain: ValuePath) -> bool:
        """Whether an `image:` line ends with this value."""
        return any(map(_ENDS_IMAGE.search, self._marked(chain)))

    def is_whole_image(self, chain: ValuePath) -> bool:
        """Whether an `image:` line prints this value, with no part of a reference around it."""
        return any(map(_IS_IMAGE.search, self._marked(chain)))

    def may_be_whole(self, chain: ValuePath) -> bool:
        """Whether a template asks if this value contains a `/` or `:`, and so takes a whole reference in place of a name."""
        return any(map(_ASKS_FOR_PARTS.search, self._marked(chain)))

    def asks_whether(self, chain: ValuePath, text: str) -> bool:
        """Whether a line that reads this value compares something with a text."""
        string = re.compile(rf'\b(?:eq|ne)\b[^}}]*"{re.escape(text)}"')
        return any(map(string.search, self._lines.having([chain])))

    def _marked(self, chain: ValuePath) -> list[str]:
        """The lines that read this value, with _HERE where they do."""
        read = f".Values.{'.'.join(map(str, chain))}"
        return [_replaced(line, read) for line in self._lines.having([chain])]

    def forms(self, key: str, digest: str) -> list[str]:
        """The forms of the digest for `key`, most likely first: bare hex if the templates print `sha256:` before it, else whole."""
        bare = digest.split(":", 1)[1]
        if key in self._bare or (key not in self._full and not key.lower().endswith("digest")):
            return [bare, digest]
        return [digest, bare]


def _with_each(path: ValuePath) -> Iterator[ValuePath]:
    """A path, and it with EACH in place of one of its keys but the first."""
    yield path
    yield from ((*path[:i], EACH, *path[i + 1 :]) for i in range(1, len(path)))


def _replaced(line: str, read: str) -> str:
    """A line with _HERE for each place that reads this value, and not one in it: a regular expression for each value would take
    longer to make than to use."""
    first, *others = line.split(read)
    return first + "".join((read if re.match(r"[\w.]", after) else _HERE) + after for after in others)


def chains(text: str) -> Iterator[ValuePath]:
    """The values that a template reads by their whole path, perhaps with parentheses, which a map may lack:
    `((.Values.image).tag)`."""
    text = text.replace(".Values.AsMap", ".Values")
    while ")." in text and (without := _IN_PARENTHESES.sub(r"\1", text)) != text:
        text = without
    return map(_parts, _CHAIN.findall(text))


@lru_cache(maxsize=4096)
def _parts(chain: str) -> ValuePath:
    """`.image.tag` as a path. Cached, because lines read the same values."""
    return tuple(chain.split(".")[1:])


def has_word(line: str, word: str) -> bool:
    """Whether a line of a template has a word, such as a key that it prints."""
    return word in line and bool(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", line))


def is_written(image: str, template: str) -> bool:
    """Whether an `image:` line of the template holds this image literally, so that no value can change it."""
    return image in template and image in _images_on_lines(template) and not _is_default(image, template)


@lru_cache(maxsize=256)
def _images_on_lines(template: str) -> frozenset[str]:
    """What the `image:` lines of a template hold, with actions as they are written. Cached, because it may be asked for many
    images."""
    return frozenset(image for _, image, _ in _IMAGE_LINE.findall(template))


def is_literal(image: str, templates: Iterable[str]) -> bool:
    """Whether one of the templates holds this image literally: anywhere if it has a tag, else in an `image:` line."""
    if not split(image)[1]:
        return any(is_written(image, text) for text in templates)
    return any(image in text and not _is_default(image, text) for text in templates)


def _is_default(image: str, template: str) -> bool:
    """Whether an action of a template holds an image in a string: a value may replace it."""
    string = f'"{image}"'
    return string in template and any(string in action.code for action in actions(template))
