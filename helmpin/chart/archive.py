"""Chart archives and chart directories as files in memory, named as helm's loader names them (pkg/chart/loader).

No member of an archive is ever written to the disk under its own name, so no path can escape. What helm's loader refuses is refused
here too.
"""

from __future__ import annotations

import gzip
import io
import os
import posixpath
import re
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from helmpin.chart import helmignore
from helmpin.errors import HelmFailed
from helmpin.files import read_hint, reason
from helmpin.named_tuple import NamedTuple

MAX_BYTES = 100 * 1024 * 1024
"""The size up to which helm decompresses a chart (MaxDecompressedChartSize); here it includes all packed dependencies."""
MAX_FILES = 20_000
LATEST = 1 << 63
"""The first time, in seconds since 1970, that Go cannot count."""


class File(NamedTuple):
    """One file of a chart: its bytes and when they were changed (seconds since 1970)."""

    data: bytes
    modified: float


class Budget:
    """How much a chart may still unpack to. Mutable. `spend` raises HelmFailed when it is used up."""

    def __init__(self, chart: str) -> None:
        self.chart = chart
        self.bytes = MAX_BYTES
        self.files = MAX_FILES

    def spend(self, size: int) -> None:
        """Count one file of `size` bytes."""
        self.bytes -= size
        self.files -= 1
        if self.bytes < 0 or self.files < 0:
            raise HelmFailed(
                "the chart is larger than helm-pin reads",
                where=self.chart,
                why=f"it reads at most {MAX_BYTES >> 20} MiB and {MAX_FILES:,} files",
                hint="exclude what the chart does not need with .helmignore",
            )


def unpack(packed: bytes, budget: Budget, name: str) -> dict[str, File]:
    """The files in a chart archive, by their path in the chart. `name` is for messages. Raises HelmFailed."""
    files: dict[str, File] = {}
    try:
        raw = gzip.GzipFile(fileobj=io.BytesIO(packed)).read(budget.bytes + 3 * tarfile.BLOCKSIZE * budget.files)
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as tar:
            for member in tar:
                if member.isdir():
                    continue
                if not (member.isreg() or member.issym() or member.islnk()) or member.issparse():
                    raise _refuse(name, f"{member.name!r} is a device, a pipe or a sparse file, not a plain one")
                if member.size < 0:
                    raise _refuse(name, f"{member.name!r} has a negative size")
                if not abs(member.mtime) < LATEST:  # also of nan
                    raise _refuse(name, f"{member.name!r} has no valid time")
                path = _path(member.name, name)
                budget.spend(member.size if member.isreg() else 0)
                content = tar.extractfile(member) if member.isreg() else None
                # a link has no content of its own: helm, too, reads it as an empty file
                file = File(content.read() if content else b"", member.mtime)
                if files.setdefault(path, file).data != file.data:
                    raise _refuse(name, f"it holds two different files named {path}")
            if raw[tar.offset : tar.offset + 2 * tarfile.BLOCKSIZE].strip(b"\0"):
                raise _refuse(name, f"it is damaged after {len(files)} files")
            if tar.pax_headers.keys() - {"comment"}:  # git archive writes that one; helm does not apply the others
                raise _refuse(name, f"it has global headers: {', '.join(tar.pax_headers)}")
    except (OSError, EOFError, ValueError, OverflowError, zlib.error, tarfile.TarError) as error:
        raise _refuse(name, f"it is not a gzipped tar archive, or damaged: {error}") from None
    if not files:
        raise _refuse(name, "there are no files in it")
    return files


def _path(member: str, archive: str) -> str:
    """The path in the chart of an archive member: without the chart's own directory, in helm's reading."""
    top, _, rest = member.partition("\\" if "\\" in member else "/")
    rest = rest.replace("\\", "/")
    path = posixpath.normpath(rest) if rest else "."
    if top == "Chart.yaml":
        raise _refuse(archive, "Chart.yaml is not in a directory")
    if not rest and top not in ("", ".", ".."):
        raise _refuse(archive, f"{member!r} is not in a directory")
    if rest.startswith("/") or path == "." or path.startswith("..") or re.match("[A-Za-z]:/", path) or "\0" in path:
        raise _refuse(archive, f"{member!r} points outside of the chart")
    return path


def _refuse(name: str, why: str) -> HelmFailed:
    return HelmFailed(
        "the chart archive cannot be used", where=name, why=why, hint="get or package the chart again (helm package)"
    )


def pack(files: Mapping[str, File], level: int) -> Iterator[bytes]:
    """A chart archive with these files, in pieces: it may have many megabytes. `level` is gzip's: 0 stores."""
    compressor = zlib.compressobj(level, wbits=31)
    for path, file in files.items():
        yield compressor.compress(_header(path, len(file.data), int(file.modified)))
        yield compressor.compress(file.data)
        yield compressor.compress(bytes(-len(file.data) % tarfile.BLOCKSIZE))
    yield compressor.compress(bytes(2 * tarfile.BLOCKSIZE))
    yield compressor.flush()


@lru_cache(maxsize=MAX_FILES)
def _header(path: str, size: int, modified: int) -> bytes:
    """The header of a file in an archive. Cached, because a plan packs the same files several times."""
    info = tarfile.TarInfo(f"chart/{path}")
    info.size, info.mtime = size, modified
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def read_directory(top: Path, budget: Budget, is_helm3: Callable[[], bool]) -> dict[str, File]:
    """The files of a chart directory that helm loads, by their path in it: .helmignore applies, links are followed.

    is_helm3: as helmignore.parse() takes it. Raises HelmFailed for what helm's loader refuses too, and for names that no archive
    can carry.
    """
    files: dict[str, File] = {}
    try:
        try:
            rules = helmignore.parse((top / ".helmignore").read_bytes().decode(errors="surrogateescape"), is_helm3)
        except FileNotFoundError:
            rules = helmignore.parse("", is_helm3)
        _read_into(files, str(top), "", rules, budget)
    except ValueError as error:
        where, hint = str(top / ".helmignore"), "correct the pattern"
        raise HelmFailed("the chart cannot be read", where=where, why=str(error), hint=hint) from None
    except OSError as error:
        where = str(error.filename or top)
        raise HelmFailed("the chart cannot be read", where=where, why=reason(error), hint=read_hint(error)) from None
    return files


def _read_into(
    files: dict[str, File], directory: str, prefix: str, rules: list[helmignore.IgnorePattern], budget: Budget
) -> None:
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        path = prefix + entry.name
        status = entry.stat()
        if stat.S_ISDIR(status.st_mode):
            if not helmignore.ignored(rules, path, True):
                _read_into(files, entry.path, path + "/", rules, budget)
        elif not helmignore.ignored(rules, path, False):
            if not stat.S_ISREG(status.st_mode):
                raise HelmFailed(
                    "the chart cannot be read",
                    where=entry.path,
                    why="it is a device, a pipe or a socket, not a file",
                    hint="remove it, or leave it out with .helmignore",
                )
            if "\\" in path or path.startswith("..") or re.match("[A-Za-z]:/", path):
                raise HelmFailed(
                    "the chart has a file name that cannot be packed",
                    where=entry.path,
                    why="a chart archive cannot hold names with a backslash, a leading `..` or a drive letter",
                    hint="rename it, or leave it out with .helmignore",
                )
            budget.spend(status.st_size)
            with open(entry.path, "rb", buffering=0) as file:  # noqa: PTH123  half the time of Path.read_bytes()
                files[path] = File(file.read(), status.st_mtime)
