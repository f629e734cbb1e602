"""The user's values: every source is read once, and helm gets the copies for each render and for the deployment."""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helmpin.arguments import Given, is_on
from helmpin.errors import HelmFailed, UsageError
from helmpin.named_tuple import NamedTuple
from helmpin.private import write

if TYPE_CHECKING:
    from helmpin.helm import Helm

VALUE_FLAGS = frozenset({"--values", "--set", "--set-string", "--set-json", "--set-file", "--set-literal"})
REUSE_FLAGS = frozenset({"--reuse-values", "--reset-then-reuse-values", "--reset-values"})


def other_flags(flags: Iterable[Given]) -> list[Given]:
    """The flags that are neither about the chart's source nor about values."""
    from helmpin.chart.stage import DEPENDENCY_UPDATE, SOURCE_FLAGS

    return [flag for flag in flags if flag.name not in SOURCE_FLAGS | VALUE_FLAGS | {DEPENDENCY_UPDATE}]


def reuses_values(flags: Sequence[Given], given: Mapping[str, Any]) -> bool:
    """Whether helm upgrade reuses the values of a release: by a flag, or because the user gives none (pkg/action/upgrade.go,
    reuseValues). given: the user's values, merged."""
    if is_on(flags, "--reset-values"):
        return False
    return is_on(flags, "--reuse-values") or is_on(flags, "--reset-then-reuse-values") or not given


_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
"""The start of a source that helm may pass to a getter (pkg/cli/values, readFile): a URL, or one for a plugin."""
_MAY_BE_REFUSED = re.compile(r"%|[\x01-\x1f\x7f]|^[^A-Za-z/?#][^/?#]*:")
"""In a source that helm may refuse even if there is such a file, since it takes it for a bad URL (net/url, Parse)."""


_FIELD = r'(?:"(?:[^"]|"")*"|[^",\r\n]*)'
_LIST = re.compile(rf"{_FIELD}(?:,{_FIELD})*")
"""A record of encoding/csv, which is stricter than Python's."""


class ValuesInput(NamedTuple):
    """The user's value flags, with private copies in place of the named sources."""

    arguments: tuple[str, ...] = ()
    originals: tuple[tuple[str, str], ...] = ()
    """(copy, source as the user named it)."""

    def in_users_words(self, error: HelmFailed) -> HelmFailed:
        """A failure of helm, with the user's names in place of the copies."""
        why = error.why
        for copy, source in self.originals:
            why = why.replace(copy, source)
        return type(error)(error.what, where=error.where, why=why, hint=error.hint)


def read_values(flags: Sequence[Given], helm: Helm, folder: Path) -> ValuesInput:
    """Read every source that the value flags name, once, into files in `folder`: those of --values first, as helm does
    (pkg/cli/values, MergeValues), so that standard input goes to the flag that gets it from helm.

    Files, pipes and standard input are read here. A source with a scheme is read by helm, with its getters and plugins. The bytes
    stay the same. Raises HelmFailed for a source that cannot be read, and UsageError for a flag that helm cannot parse.
    """
    reader = _Reader(helm, folder)
    flags = [flag for flag in flags if flag.name in VALUE_FLAGS]
    files = {
        nth: [values_flag(reader.copy(source, "-f")) for source in sources(flag)]
        for nth, flag in enumerate(flags)
        if flag.name == "--values"
    }
    arguments: list[str] = []
    for nth, flag in enumerate(flags):
        if flag.name == "--set-file":
            arguments.append("--set-file=" + "".join(_with_copies(flag.value or "", reader)))
        else:
            arguments += files.get(nth, flag.words)
    return ValuesInput(tuple(arguments), tuple(reader.originals))


def values_flag(path: Path | str) -> str:
    """The flag for one values file, quoted so that any file name works."""
    text = str(path)
    return "--values=" + (f'"{text.replace(chr(34), chr(34) * 2)}"' if re.search(r'[",\r\n]', text) else text)


def sources(flag: Given) -> list[str]:
    """The sources of one --values, which is a list of comma-separated values (pflag, string_slice.go). Raises UsageError."""
    text = flag.value or ""
    if not _LIST.fullmatch(text):
        raise UsageError(f"invalid argument for --values: {text}", why="a quotation mark is in the wrong place")
    return next(csv.reader([text]), []) if text else []


class _Reader:
    """Reads sources into numbered files. Mutable."""

    def __init__(self, helm: Helm, folder: Path) -> None:
        self._helm, self._folder = helm, folder
        self.originals: list[tuple[str, str]] = []

    def copy(self, source: str, flag: str) -> str:
        """The path of the copy of a source. flag: the one that names it."""
        data = self._bytes(source, f"{flag} {source}")
        path = self._folder / f"values-{len(self.originals) + 1}.yaml"
        write(path, data)
        self.originals.append((str(path), source))
        return str(path)

    def _bytes(self, source: str, where: str) -> bytes:
        if source.strip() == "-":
            return sys.stdin.buffer.read()
        # Path.exists() has errors for a name that is too long, as a getter's may be
        is_url = _SCHEME.match(source) and not os.path.exists(source)  # noqa: PTH110
        if is_url or _MAY_BE_REFUSED.search(source):
            from helmpin.render.helm_probe import read_source

            return read_source(self._helm, source, where)
        try:
            with open(source, "rb") as file:  # noqa: PTH123  an empty path is the current directory
                return file.read()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise HelmFailed("values cannot be read", where=where, why=why or "", hint="check the path") from None


def _with_copies(text: str, reader: _Reader) -> Iterator[str]:
    """The value of a --set-file, with copies in place of its sources: `a=x.txt,b={y,z}` (pkg/strvals, ParseIntoFile)."""
    at = 0
    while at < len(text):
        name = re.compile(r"(?:\\.|[^\\=])*=?", re.DOTALL).match(text, at)
        assert name is not None
        at = name.end()
        yield name[0]
        if text[at : at + 1] == "{":
            yield "{"
            at += 1
            ends = "},"
        else:
            ends = ","
        while True:
            source = re.compile(rf"(?:\\.|[^\\{ends}])*", re.DOTALL).match(text, at)
            assert source is not None
            at = source.end()
            if source[0]:
                copy = reader.copy(re.sub(r"\\(.)", r"\1", source[0], flags=re.DOTALL), "--set-file")
                yield re.sub(r"([\\,{}])", r"\\\1", copy)
            end = text[at : at + 1]
            at += 1
            yield end
            if end != "," or ends == ",":
                break
