"""Which of the wanted values are written: those that pin their own image, and no other, in every chart that reads the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from helmpin.chart.setargs import ValuePath, dotted_key
from helmpin.lint.edit import written
from helmpin.lint.trial import Wrong
from helmpin.lint.wanted import Wanted

Say = Callable[[str], None]
"""Reports what is left out, and why."""


def agreed(wanted: Iterable[Wanted], say: Say) -> list[Wanted]:
    """Without duplicates, and without the values that would need two different texts, since their image depends on other values."""
    every = list(dict.fromkeys(wanted))
    texts: dict[tuple[Path, ValuePath], set[str]] = {}
    for each in every:
        for path, value in each.settings:
            texts.setdefault((each.path, path), set()).add(value)

    def contested(one: Wanted) -> list[str]:
        return [dotted_key(path) for path, _ in one.settings if len(texts[one.path, path]) > 1]

    for where in dict.fromkeys(f"{one.file.name}: {', '.join(contested(one))}" for one in every if contested(one)):
        say(f"{where}: its image depends on other values, so that it would need several digests")
    return [one for one in every if not contested(one)]


def accepted(
    wanted: Sequence[Wanted], wrong: Callable[[Mapping[Path, str]], Sequence[Wrong]], say: Say
) -> list[Wanted]:
    """What changes no other image. wrong: the images that would become something wrong with these texts of files.

    What shows in a wrong image is left out first, then all; of what was left out, each is tried again beside the others.
    """
    kept = list(wanted)
    refused: list[Wanted] = []
    while found := wrong(texts_with(kept)):
        blamed = [each for each in kept if any(_shows(each, one) for one in found)] or kept
        refused += blamed
        kept = [each for each in kept if each not in blamed]
    for each in refused:
        if found := wrong(texts_with([*kept, each])):
            say(f"{each}: {_why(found[0])}")
        else:
            kept.append(each)
    return [each for each in wanted if each in kept]


def _why(wrong: Wrong) -> str:
    """Why a value is not written, for people."""
    if wrong.is_next:
        return (
            f"it would stay when the chart's appVersion changes: {wrong}; give the tag a value, or use helm pin upgrade"
        )
    return f"its image depends on other values: {wrong}"


def _shows(wanted: Wanted, wrong: Wrong) -> bool:
    """Whether a value appears in an image that is wrong."""
    return any(value and value.rpartition(":")[2] in wrong.now for _, value in wanted.settings)


def texts_with(wanted: Sequence[Wanted], say: Say | None = None) -> dict[Path, str]:
    """Each file with what is wanted in it, as far as it can be written there."""
    by_file: dict[Path, list[Wanted]] = {}
    for each in wanted:
        by_file.setdefault(each.path, []).append(each)
    texts = {}
    for path, some in by_file.items():
        texts[path], why_not = written(some[0].file.text, [each.settings for each in some])
        for each, why in zip(some, why_not, strict=True):
            if why and say:
                say(f"{each}: {why}")
    return texts
