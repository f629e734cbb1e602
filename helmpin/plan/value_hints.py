"""Which values to correct where a chart renders a text that is no image reference."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from helmpin.chart.setargs import ValuePath, dotted_key, lookup
from helmpin.chart.value_keys import REGISTRY_KEY, REPOSITORY_KEY, TAG_KEY, last_key
from helmpin.errors import Refused
from helmpin.image.hints import invalid_hint, is_valid
from helmpin.image.reference import split
from helmpin.search.value_index import leaves, scope_of
from helmpin.shapes import text_of
from helmpin.templates.scan import PRINTED_IMAGE, chains
from helmpin.templates.spelled_out import spelled_out

if TYPE_CHECKING:
    from helmpin.chart.stage import Chart
    from helmpin.image.uses import ImageUse

_IS_READ = "the value is read as"
_IS_UNSET = "the value is null or missing"


def read_on_lines(chart: Chart, uses: Iterable[ImageUse], image: str) -> Iterator[list[ValuePath]]:
    """What each line reads that prints an image by an action, in the templates of the uses of one."""
    for source in dict.fromkeys(use.source for use in uses if use.image == image and use.source):
        with suppress(Refused):  # it is not known which template it is
            texts_of = (spelled_out(chart.template_files().get(path, "")) for path in chart.source_to_paths(source))
            for line in filter(PRINTED_IMAGE.search, (line for text in texts_of for line in text.splitlines())):
                if "%!" not in image or "print" in line:  # which is what Go's printf writes
                    yield [chain if chain[0] == "global" else (*scope_of(source), *chain) for chain in chains(line)]


def hint_on_values(image: str, values: Any, lines: Iterable[Collection[ValuePath]] = ()) -> str:
    """What to do about a text that is not a valid reference. values: all of the chart's, as helm has merged them. lines: what the
    lines of its templates that print images read, each."""
    if hint := hint_on_empty_values(image, values, lines):
        return hint
    held, otherwise = _holding(image, values)
    return f"correct {' or '.join(map(dotted_key, held[:3])) or otherwise}"


def at_fault(image: str, values: Any) -> list[ValuePath]:
    """The values that may make an image invalid: those with its tag if the name alone is valid, else those with its name or a part
    of it."""
    return _holding(image, values)[0]


def naming_numbers(hint: str, image: str, values: Any) -> str:
    """A hint about a value that is read as a number or a boolean, with the names of the values that print so."""
    if not hint.startswith(_IS_READ):
        return hint
    tag = split(image)[1]
    found = [
        dotted_key(path)
        for path, value in leaves(values)
        if isinstance(value, (int, float))
        for text in {text_of(value), text_of(float(value))}
        if text in (tag, image) or f"={text})" in image
    ]
    return hint.replace("the value", " or ".join(found[:3]), 1) if found else hint


def hint_on_empty_values(image: str, values: Any, lines: Iterable[Collection[ValuePath]] = ()) -> str:
    """The same, if the text itself shows it: with the values to set where a part of it is empty; else ''."""
    unset = _unset(image, values, lines)
    names = [dotted_key(path) for path in unset if REPOSITORY_KEY.search(last_key(path))]
    empty = names[:3] or _empty_repositories(image, values)
    hint = invalid_hint(image, tuple(empty), tuple(_empty_registries(values)))
    if hint.startswith(_IS_UNSET) and unset:
        return hint.replace("the value", " or ".join(map(dotted_key, [*unset][:3])), 1)
    return naming_numbers(hint, image, values)


def _unset(image: str, values: Any, lines: Iterable[Collection[ValuePath]]) -> list[ValuePath]:
    """The values without a text that those lines read that may have printed an image: what they read besides is in it. If some
    read anything else, only these count."""
    found: dict[bool, dict[ValuePath, None]] = {True: {}, False: {}}
    for line in lines:
        single = {path: held for path in line if not isinstance(held := lookup(values, path), (Mapping, list))}
        texts = {path: "" if held is None else text_of(held) for path, held in single.items()}
        if all(text in image for text in texts.values()):
            found[any(texts.values())].update(dict.fromkeys(path for path, text in texts.items() if not text))
    return [*(found[True] or found[False])]


def _empty_repositories(image: str, values: Any, path: ValuePath = ()) -> Iterator[str]:
    """The paths of empty values that may be meant for the repository of an image: those beside its tag, if it has one."""
    if isinstance(values, Mapping):
        tag = split(image)[1]
        single = {str(key): value for key, value in values.items() if not isinstance(value, (Mapping, list))}
        texts = {key: "" if value is None else str(value) for key, value in single.items()}
        tagged = tag is not None and tag in [text for key, text in texts.items() if TAG_KEY.search(key)]
        beside = tagged or tag is None or (bool(tag) and tag in texts.values())
        for key, value in values.items():
            if value in ("", None) and ((beside and REPOSITORY_KEY.search(str(key))) or (tagged and key == "name")):
                yield dotted_key((*path, key))
            yield from _empty_repositories(image, value, (*path, key))
    elif isinstance(values, list):
        for i, value in enumerate(values):
            yield from _empty_repositories(image, value, (*path, i))


def _empty_registries(values: Any) -> Iterator[str]:
    """The paths of empty values that may be meant for a registry."""
    return (dotted_key(path) for path, text in _texts(values) if not text and REGISTRY_KEY.search(str(path[-1])))


def _holding(image: str, values: Any) -> tuple[list[ValuePath], str]:
    """The values at fault, and what to call them if there are none."""
    name, tag, _ = split(image)
    after_name = image[len(name) + 1 :]  # a tag that begins with an @ is a part of it
    if after_name and is_valid(name):
        held = [path for path, text in _texts(values) if text and text in (tag, after_name)]
        otherwise = "the value, or the appVersion of the chart, that gives its tag"
    else:
        held = [path for path, text in _texts(values) if _holds(name, text, path)]
        otherwise = "the values that set it"
    return held, otherwise


def _holds(name: str, text: str, path: ValuePath) -> bool:
    """Whether a value holds the name of an image, or its first or last parts. A single word does under the key of an image."""
    part = split(text)[0]
    if "/" not in part and not any(map(REPOSITORY_KEY.search, map(str, path[-2:]))):
        return False
    return bool(part) and (f"/{name}".endswith(f"/{part}") or ("/" in part and f"{name}/".startswith(f"{part}/")))


def _texts(values: Any) -> Iterator[tuple[ValuePath, str]]:
    """The values as templates print them, with their paths."""
    return ((path, text_of(value)) for path, value in leaves(values))
