"""The plugin's archives: the same bytes from the same commit, whoever makes them, when and where; and their signatures."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import NamedTuple

MODES = {"100644": 0o644, "100755": 0o755}
"""Git's modes of files, as an archive has them. Links and submodules have no place in it."""


class PackageError(Exception):
    """Why nothing is packaged, in one line."""


class File(NamedTuple):
    """A file of an archive."""

    name: str
    content: bytes
    mode: int = 0o644

    @property
    def sha256(self) -> str:
        """The hash of its content, in hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()


def committed(root: Path, parts: Sequence[str]) -> list[File]:
    """What the commit HEAD has of these files and folders: neither the work tree nor git's settings count. Raises PackageError."""
    listed = run(["git", "-C", root, "ls-tree", "-r", "-z", "--full-tree", "HEAD", "--", *parts]).decode()
    found = []
    for line in listed.split("\0")[:-1]:
        about, _, name = line.partition("\t")
        mode, _, blob = about.split()
        if mode not in MODES:
            raise PackageError(f"{name} is not a plain file: git has it as {mode}")
        found.append((name, mode, blob))
    contents = blobs(root, [blob for _, _, blob in found])
    files = [File(name, content, MODES[mode]) for (name, mode, _), content in zip(found, contents, strict=True)]
    if missing := set(parts) - {file.name.partition("/")[0] for file in files}:
        raise PackageError(f"the commit lacks {', '.join(sorted(missing))}")
    return files


def blobs(root: Path, names: Sequence[str]) -> Iterator[bytes]:
    """The content of each of these blobs, from one start of git. Raises PackageError."""
    stream = BytesIO(run(["git", "-C", root, "cat-file", "--batch"], "".join(f"{name}\n" for name in names).encode()))
    for name in names:
        told, kind, *size = stream.readline().decode().split()
        if (told, kind) != (name, "blob"):
            raise PackageError(f"git has no content of {name}: {kind}")
        yield stream.read(int(size[0]))
        stream.read(1)  # the end of the line


def commit_time(root: Path) -> int:
    """The time that everything made has: SOURCE_DATE_EPOCH (reproducible-builds.org), else the commit's. Raises PackageError."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given and not (given.isascii() and given.isdigit()):
        raise PackageError(f"SOURCE_DATE_EPOCH is not a number of seconds: {given}")
    return int(given or run(["git", "-C", root, "log", "-1", "--no-show-signature", "--format=%ct"]))


def pack(files: Iterable[File], when: int, folder: str = "") -> bytes:
    """A gzipped tar archive of the files, below `folder`. Folders come before what is in them: Helm makes none by itself.

    Not by `helm plugin package`, whose archives hold the name of the user who made them, and the modes that their umask gave.
    """
    place = PurePosixPath(folder)
    found = {str(place / file.name): file for file in files}
    folders = {str(parent) for name in found for parent in PurePosixPath(name).parents} - {"."}
    packed = BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name in sorted([*folders, *found]):
            info = tarfile.TarInfo(name)
            info.mtime = when
            if name in folders:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
            else:
                info.size, info.mode = len(found[name].content), found[name].mode
                tar.addfile(info, BytesIO(found[name].content))
    return packed.getvalue()


def lay_out(files: Iterable[File], target: Path) -> None:
    """Write the files below `target`. Raises OSError."""
    for file in files:
        path = target / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode)


def provenance(metadata: bytes, files: Iterable[File], key: str) -> bytes:
    """What `helm plugin verify` reads of an archive: plugin.yaml and the files' checksums, signed by gpg with the key of that name.

    The format is that of Helm's charts (helm.sh/docs/topics/provenance). Helm signs nothing but what `helm plugin package` has just
    made. It looks for its archive among the files, and allows others. Raises PackageError.
    """
    sums = "".join(f"  {file.name}: sha256:{file.sha256}\n" for file in files)
    text = metadata.rstrip() + b"\n\n...\nfiles:\n" + sums.encode()
    return run(["gpg", "--batch", "--local-user", key, "--digest-algo", "SHA512", "--clearsign"], text)


def run(command: Sequence[str | Path], given: bytes = b"") -> bytes:
    """The output of a program; what it says of errors is shown. Raises PackageError."""
    try:
        done = subprocess.run(command, input=given, stdout=subprocess.PIPE, check=False)
    except OSError as error:
        raise PackageError(f"cannot run {command[0]}: {error.strerror}") from None
    if done.returncode:
        raise PackageError(f"{command[0]} exited with status {done.returncode}")
    return done.stdout
