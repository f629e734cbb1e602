"""Splitting a command line as pflag does, although only helm knows which flags take a value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from helmpin.env import FALSE
from helmpin.errors import UsageError
from helmpin.global_flags import no_value
from helmpin.helm import Flag
from helmpin.named_tuple import NamedTuple


def whole_number(text: str, least: int = 1) -> int | None:
    """A number of at most ten digits, as revisions have them; None for any other text, and for a smaller number."""
    number = int(text) if re.fullmatch("0*[0-9]{1,10}", text) else -1
    return number if number >= least else None


class Given(NamedTuple):
    """One flag: its long name, its value (None for a bare switch), and the words as typed."""

    name: str
    value: str | None
    words: tuple[str, ...]


def split(argv: Sequence[str], flags: Mapping[str, Flag]) -> tuple[list[str], list[Given]]:
    """Positional arguments and flags of `argv`, in any order.

    The rules are pflag's (flag.go, parseLongArg and parseShortArg): `--name value`, `--name=value`, `-n value`, `-nvalue`,
    `-n=value`, grouped switches (`-if file`), and `--` ends the flags. Raises UsageError for an unknown flag or a missing value.
    """
    positionals: list[str] = []
    given: list[Given] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            positionals.extend(words)
        elif word.startswith("--"):
            name, equals, value = word.partition("=")
            flag = _known(name, flags)
            if equals:
                given.append(Given(flag.name, value, (word,)))
            elif flag.takes_value:
                given.append(_with_next(flag, word, words))
            else:
                given.append(Given(flag.name, None, (word,)))
        elif word.startswith("-") and len(word) > 1:
            given.extend(_shorts(word, words, flags))
        else:
            positionals.append(word)
    return positionals, given


def _shorts(word: str, words: Iterable[str], flags: Mapping[str, Flag]) -> list[Given]:
    found: list[Given] = []
    rest = word[1:]
    while rest:
        short, rest = f"-{rest[0]}", rest[1:]
        flag = _known(short, flags)
        if rest.startswith("="):
            return [*found, Given(flag.name, rest[1:], (short + rest,))]
        if flag.takes_value:
            return [*found, Given(flag.name, rest, (short + rest,)) if rest else _with_next(flag, short, words)]
        found.append(Given(flag.name, None, (short,)))
    return found


def _with_next(flag: Flag, word: str, words: Iterable[str]) -> Given:
    value = next(iter(words), None)
    if value is None:
        raise no_value(word)
    return Given(flag.name, value, (word, value))


def _known(name: str, flags: Mapping[str, Flag]) -> Flag:
    if name not in flags:
        from difflib import get_close_matches

        long = [f for f in flags if f.startswith("--")] if name.startswith("--") else []
        alike = [f for f in long if f.startswith(name[:6])]
        close = get_close_matches(name, alike, 3, 0) or get_close_matches(name, long, 3, 0.8)
        raise UsageError(
            f"unknown flag: {name}",
            why="not a flag of this helm-pin command, nor of the helm command that it runs",
            hint=f"did you mean {' or '.join(close)}?" if close else "see --help",
        )
    return flags[name]


def words(given: Iterable[Given]) -> list[str]:
    """The flags as arguments again, exactly as they were typed."""
    return [word for flag in given for word in flag.words]


def with_switch(given: Sequence[Given], name: str) -> list[Given]:
    """The flags with the switch `name` among them."""
    return [*given] if any(flag.name == name for flag in given) else [*given, Given(name, None, (name,))]


def is_on(given: Iterable[Given], name: str) -> bool:
    """Whether the switch `name` is on: bare, or with another value than a false one. The last one counts, as in pflag."""
    on = False
    for flag in given:
        if flag.name == name:
            on = flag.value not in FALSE
    return on


def dry_run(given: Iterable[Given]) -> str:
    """The kind of dry run that helm is asked for: `none`, `client` or `server`. The bare flag is the client's (pkg/cmd/install.go);
    in Helm 3's rollback it is a switch."""
    values = [flag.value for flag in given if flag.name == "--dry-run"]
    if not values or values[-1] in ("none", *FALSE):
        return "none"
    return "server" if values[-1] == "server" else "client"


def last(given: Iterable[Given], name: str) -> str | None:
    """The value of the last `name`, or None."""
    value = None
    for flag in given:
        if flag.name == name:
            value = flag.value
    return value
