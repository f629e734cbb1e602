"""Temporary files: folders that only this user can enter, gone when the command ends, however it ends.

Each folder stays locked (flock) for as long as its run lives. So the next run knows which folders killed runs have left, and
removes them.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from helmpin import env, lifeline
from helmpin.errors import OperationFailed

PREFIX = "helm-pin-run-"
_made: dict[Path, int] = {}
"""The folders of this run, each with the open directory that holds its lock; -1 before there is one."""


class Folder:
    """A new folder. A `with` block removes it at its end; otherwise it goes with the command."""

    def __init__(self) -> None:
        """Raises OperationFailed."""
        _begin()
        self.path = _make()

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove the folder and what is in it."""
        _remove(self.path)


def write(path: Path, content: str | bytes | Iterable[bytes]) -> None:
    """Write a file that only this user can read. Raises OperationFailed."""
    data = content.encode(errors="surrogateescape") if isinstance(content, str) else content
    with explained(path.parent):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Raises OperationFailed for a folder that takes no files."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):  # no other folder would help
            raise
        raise OperationFailed(
            "cannot write temporary files",
            where=str(folder),
            why=error.strerror or str(error),
            hint="free some space there, or set TMPDIR to another folder",
        ) from None


def places() -> list[Path]:
    """Where temporary folders can be: $TMPDIR, then where every system has them."""
    return [Path(place) for place in dict.fromkeys((env.temporary_folder(), "/tmp", "/var/tmp"))]


@lru_cache(maxsize=1)
def _begin() -> None:
    """What is done once in a run, before its first folder."""
    atexit.register(_remove_all)  # in case a signal cuts a removal short
    sweep()


def sweep() -> None:
    """Remove the folders of this user's runs that were killed."""
    with suppress(OSError), os.scandir(places()[0]) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX):
                _sweep(Path(entry.path))


def _sweep(folder: Path) -> None:
    with suppress(OSError):
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(directory).st_uid != os.geteuid():
                return
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a run that lives holds it
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(directory)


def _make() -> Path:
    refused: OSError | None = None
    for place in places():
        try:
            folder = _make_in(place)
            while folder is None:
                folder = _make_in(place)
            return folder
        except OSError as error:
            refused = refused or error
    with explained(places()[0]):
        raise refused or FileNotFoundError
    raise AssertionError("not reached")


def _make_in(place: Path) -> Path | None:
    """A new folder, made and locked; None when another run swept it in between. Raises OSError."""
    folder = place.absolute() / f"{PREFIX}{os.urandom(8).hex()}"
    _made[folder] = -1  # before it is made, so that no signal finds it unregistered
    lifeline.remove_if_killed(folder)
    try:
        folder.mkdir(mode=0o700)
        with suppress(FileNotFoundError):  # swept
            _made[folder] = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            with suppress(OSError):  # a file system without locks: nothing is swept there
                fcntl.flock(_made[folder], fcntl.LOCK_EX)
    except OSError:
        _remove(folder)
        raise
    if not folder.exists():
        _remove(folder)
        return None
    return folder


def _remove(folder: Path) -> None:
    if folder in _made:
        lock, _made[folder] = _made[folder], -1
        if lock >= 0:
            os.close(lock)  # first: where too many files are open, this one is needed
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            _remove_with_one_file(folder)
        _made.pop(folder)


def _remove_with_one_file(folder: Path) -> None:
    """Like shutil.rmtree(), which needs another open file for each level of folders."""
    with suppress(OSError):
        for place, folders, files in os.walk(folder, topdown=False):
            for path in (Path(place) / name for name in (*files, *folders)):
                if path.is_dir() and not path.is_symlink():
                    path.rmdir()
                else:
                    path.unlink()
        folder.rmdir()


def _remove_all() -> None:
    for folder in list(_made):
        _remove(folder)
