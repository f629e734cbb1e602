"""Helm's computed values, found by what they hold."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any

from helmpin.chart.setargs import Setting, ValuePath, lookup, reaches, writable
from helmpin.chart.value_keys import NAME_KEY, REPOSITORY_KEY, TAG_KEY, last_key, names_tag
from helmpin.shapes import text_of

MOST_COMPONENTS = 20
"""How many components may get the same tag at once."""


class ValueIndex:
    """Helm's computed values, indexed by value. Its copies of globals in subcharts are left out: the global itself is set. Mutable:
    some of it is made when it is first needed."""

    def __init__(
        self,
        tree: Mapping[str, Any],
        given: Mapping[str, Any] = MappingProxyType({}),
        kept: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """given: the values that the user gives now. kept: those that the release will keep, with the reused ones."""
        self.tree, self.given, self.kept = tree, given, kept
        self._by_text: dict[str, list[ValuePath]] = defaultdict(list)
        self.templates: list[ValuePath] = []
        """The paths of values that are templates for `tpl`, and may print a reference or a part of one."""
        self._templates: list[tuple[ValuePath, list[str]]] = []
        self._by_key: dict[str, list[tuple[int, ValuePath, Mapping[str, Any]]]] = defaultdict(list)
        for turn, (path, value) in enumerate(_own(tree, (), _NONE, tree.get("global"))):
            if isinstance(value, dict) and not any(isinstance(part, int) for part in path):
                self._by_key[last_key(path).lower()].append((turn, path, value))
            elif not isinstance(value, (dict, list)) and reaches(path):
                self._by_text[text_of(value).strip()].append(path)
                fixed = _fixed_parts(value) if is_template(value) else []
                if fixed and not any(re.search(r"\s", part) for part in fixed):
                    self.templates.append(path)
                    if any(re.search(r"\w{3}", part) for part in fixed):  # enough to tell what it prints
                        self._templates.append((path, fixed))
        self._tags: dict[str, _ByKeys] = {}
        self._of_components: dict[str, list[list[ValuePath]]] = {}
        self._above: dict[str, dict[ValuePath, list[ValuePath]]] = {}

    def is_blocked(self, path: ValuePath) -> bool:
        """Whether a path must not be set: the user has set it to null; or it is in a reused list, which --set would replace whole;
        or --set can only write a map or a list whole that has values of the user, which must not be on a command line."""
        level = writable(path, self.given)
        whole = lookup(self.tree, path[:level])
        if level < len(path) and any(
            type(lookup(tree, path[:level])) is type(whole) for tree in (self.given, self.kept)
        ):
            return True
        for i, part in enumerate(path):
            above = lookup(self.kept, path[:i])
            if isinstance(part, int) and isinstance(above, list):
                return not isinstance(lookup(self.given, path[:i]), list)
        return self.is_nulled(path)

    @cached_property
    def has_nulls(self) -> bool:
        """Whether the user has set a value to null."""
        return any(value is None for _, value in leaves(self.kept))

    def is_nulled(self, path: ValuePath) -> bool:
        """Whether the user has set a path, or what is above it, to null."""
        for i, part in enumerate(path):
            above = lookup(self.kept, path[:i])
            if isinstance(above, dict) and part in above and above[part] is None:
                return True
        return False

    def can_set(self, setting: Setting) -> bool:
        """Whether --set can write a setting, whether it may, and whether that changes anything."""
        held = lookup(self.tree, setting.path)
        changes = isinstance(held, (dict, list)) or text_of(held) != setting.value
        return reaches(setting.path) and not self.is_blocked(setting.path) and changes

    def maps(self, keys: Iterable[str]) -> list[tuple[ValuePath, Mapping[str, Any]]]:
        """The maps under one of these keys (in lower case), in the order of the values."""
        found = [each for key in dict.fromkeys(keys) for each in self._by_key.get(key, ())]
        return [(path, beside) for _, path, beside in sorted(found, key=lambda each: each[0])]

    def at(self, text: str) -> list[ValuePath]:
        """The paths of the leaves that print `text`, white space around it aside, or may print it because they are templates for
        `tpl`."""
        found = self._by_text.get(text, [])
        return [*found, *(path for path, fixed in self._templates if _may_print(fixed, text))]

    def behind_host(self, text: str) -> list[ValuePath]:
        """The paths of the leaves that hold `text` behind a registry's host: `registry.example/team/web:1` for `team/web:1`."""
        return self._behind_host.get(text, [])

    @cached_property
    def _behind_host(self) -> dict[str, list[ValuePath]]:
        found: dict[str, list[ValuePath]] = defaultdict(list)
        for text, paths in self._by_text.items():
            host, slash, rest = text.partition("/")
            if slash and re.search(r"[.:]|^localhost$", host):
                found[rest] += paths
        return found

    def tags(self, tag: str, words: Iterable[str]) -> Iterator[ValuePath]:
        """The paths that hold a tag and whose key says so, the shortest first; before the others those that have one of these words
        (in lower case) as a key."""
        if tag not in self._tags:
            self._tags[tag] = _ByKeys(sorted(filter(names_tag, self.at(tag)), key=len))
        return self._tags[tag].likely(words)

    def is_named(self, path: ValuePath) -> bool:
        """Whether a key beside a path names an image, so that the tag there is that image's."""
        beside = lookup(self.tree, path[:-1])
        return isinstance(beside, dict) and any(
            REPOSITORY_KEY.search(key) and text_of(held) for key, held in beside.items()
        )

    def tags_of_components(self, tag: str) -> list[list[ValuePath]]:
        """The paths that hold a tag, whose key says so, and beside which nothing names an image: those together that differ in one
        key alone, the name of a component. Not more than MOST_COMPONENTS."""
        if tag not in self._of_components:
            alike: dict[tuple[ValuePath, ValuePath], list[ValuePath]] = defaultdict(list)
            for path in filter(names_tag, self.at(tag)):
                if not self.is_named(path):
                    for i in range(len(path) - 1):
                        alike[path[:i], path[i + 1 :]].append(path)
            self._of_components[tag] = [paths for paths in alike.values() if 1 < len(paths) <= MOST_COMPONENTS]
        return self._of_components[tag]

    def tags_above(self, tag: str, path: ValuePath) -> list[ValuePath]:
        """The paths that hold a tag and whose key says so, in the map at `path` and the maps around it, and in global ones."""
        if tag not in self._above:
            of_map: dict[ValuePath, list[ValuePath]] = defaultdict(list)
            for each in self.at(tag):
                if TAG_KEY.search(last_key(each)):
                    of_map[("global",) if each[0] == "global" else each[:-1]].append(each)
            self._above[tag] = of_map
        around = [path[:i] for i in range(len(path) + 1) if path[:1] != ("global",) or i == 0]
        return [each for above in (*around, ("global",)) for each in self._above[tag].get(above, ())]

    def empty(self, key: str) -> list[ValuePath]:
        """The paths of empty values that have a key (in lower case) in them."""
        return self._empty.having(key)

    def unnamed(self, words: Collection[str], tag: str) -> Iterator[tuple[ValuePath, Mapping[str, Any]]]:
        """The image maps without a name in them that hold a tag, and then those without one; of each, first those that have one of
        these words (in lower case) as a key."""
        fitting = [self._unnamed_with[each] for each in dict.fromkeys([tag, ""]) if each in self._unnamed_with]
        return ((path, self._unnamed[path]) for some in fitting for path in some.likely(words))

    @cached_property
    def _empty(self) -> _ByKeys:
        return _ByKeys(self.at(""))

    @cached_property
    def _unnamed(self) -> dict[ValuePath, Mapping[str, Any]]:
        return {
            path: beside
            for path, beside in self.maps(("image",))
            if not any(NAME_KEY.search(k) and v for k, v in beside.items())
        }

    @cached_property
    def _unnamed_with(self) -> dict[str, _ByKeys]:
        """By the tags that they hold; '' for none."""
        by_tag: dict[str, list[ValuePath]] = defaultdict(list)
        for path, beside in self._unnamed.items():
            held = (v for k, v in beside.items() if TAG_KEY.search(k) and not isinstance(v, (dict, list)))
            for tag in set(filter(None, map(text_of, held))) or {""}:
                by_tag[tag].append(path)
        return {tag: _ByKeys(paths) for tag, paths in by_tag.items()}


class _ByKeys:
    """Paths by the keys in them. A chart may have as many as it has images, so that each image must look at few of them."""

    def __init__(self, paths: Iterable[ValuePath]) -> None:
        self._paths = list(paths)
        self._having: dict[str, list[int]] = defaultdict(list)
        for number, path in enumerate(self._paths):
            for key in {str(part).lower() for part in path}:
                self._having[key].append(number)

    def having(self, key: str) -> list[ValuePath]:
        """Those that have a key (in lower case) in them."""
        return [self._paths[number] for number in self._having.get(key, ())]

    def likely(self, words: Iterable[str]) -> Iterator[ValuePath]:
        """All, first those that have one of these words (in lower case) as a key."""
        first = {number for word in words for number in self._having.get(word, ())}
        yield from (self._paths[number] for number in sorted(first))
        yield from (path for number, path in enumerate(self._paths) if number not in first)


@cache
def scope_of(source: str) -> tuple[str, ...]:
    """The path of subchart names under which the values of a template are, by its `# Source:` path:
    `app/charts/db/templates/x.yaml` → ('db',). A folder in templates/ may be called charts, too."""
    found = re.match(r"[^/]+(?:/charts/[^/]+(?=/))*", source)
    return tuple(found[0].split("/")[2::2]) if found else ()


def inside(path: ValuePath, scope: tuple[str, ...]) -> ValuePath | None:
    """What the templates of a chart call a value: one of its own, or a global one of a chart around it, which helm passes on
    (pkg/chart/common/util, coalesceGlobals). None for one that they cannot see."""
    if path[: len(scope)] == scope:
        return path[len(scope) :]
    outside = path.index("global") if "global" in path else None
    return path[outside:] if outside is not None and path[:outside] == scope[:outside] else None


def is_seen(path: ValuePath, scope: tuple[str, ...]) -> bool:
    """Whether the templates of a chart can see a value."""
    return inside(path, scope) is not None


def is_template(value: Any) -> bool:
    """Whether a value is a template itself, such as `{{ .Chart.AppVersion }}`: what it prints is known only to Helm."""
    return isinstance(value, str) and "{{" in value


def _fixed_parts(template: str) -> list[str]:
    """The text between the actions of a value that is a template."""
    return re.split(r"\{\{.*?\}\}", template.strip(), flags=re.DOTALL)


def _may_print(fixed: list[str], text: str) -> bool:
    """Whether a template with these fixed parts may print a text: whether it has them in their order, with anything between."""
    first, *middle, last = fixed if len(fixed) > 1 else [*fixed, ""]
    at = len(first)
    for part in middle:
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return text.startswith(first) and text.endswith(last) and at + len(last) <= len(text)


_NONE = object()


def _own(node: Any, path: ValuePath, original: Any, of_global: Any) -> Iterator[tuple[ValuePath, Any]]:
    """Each value with its path, maps and lists before what they hold, without helm's copies of globals in subcharts.

    original: what stands in the global of the chart around it where this is in one of a subchart. of_global: that global.
    """
    if original is not _NONE and original is not None and (not isinstance(node, dict) or node == original):
        return
    yield path, node
    is_chart = original is _NONE and isinstance(node, dict) and isinstance(node.get("global"), dict)
    inner = node["global"] if is_chart else of_global
    for key, child in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if original is _NONE:
            beside = of_global if key == "global" and path else _NONE
        else:
            beside = original.get(key) if isinstance(original, dict) else None
        yield from _own(child, (*path, key), beside, inner)


def leaves(node: Any, path: ValuePath = ()) -> Iterator[tuple[ValuePath, Any]]:
    """Each value that is no map and no list, with its path."""
    if isinstance(node, dict):
        for key, child in node.items():
            yield from leaves(child, (*path, key))
    elif isinstance(node, list):
        for i, child in enumerate(node):
            yield from leaves(child, (*path, i))
    else:
        yield path, node
