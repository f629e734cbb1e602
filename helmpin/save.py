"""Replacing files of the user: all of them or none, and no file in part."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from helmpin.errors import OperationFailed
from helmpin.files import reason, write_hint


def save(what: str, texts: Mapping[str, str], *, mode: int | None = None) -> None:
    """Give files these texts. Each is written beside its file first, and all are renamed when all are written: so a full disk
    changes none. A file keeps its mode, its owner where the system allows that, and the symbolic links to it.

    what: what they are, for people. texts: by the name that the user gave. mode: that of every file, whatever it was before.
    Raises OperationFailed, which names the files that were replaced before one could not be.
    """
    scratches: dict[str, Path] = {}
    done: list[str] = []
    name = ""
    try:
        for name, text in texts.items():
            path = Path(os.path.realpath(name))  # resolve() has an error of its own for a loop of links
            if path.exists() and not os.access(path, os.W_OK):  # a rename needs the folder's permission alone
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            descriptor, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            scratches[name] = Path(scratch)
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode(errors="surrogateescape"))
                file.flush()
                os.fsync(file.fileno())  # some file systems notice only then that they are full
            _like(path, scratches[name])
            if mode is not None:
                scratches[name].chmod(mode)
        for name, written in scratches.items():
            written.replace(os.path.realpath(name))
            done.append(name)
    except OSError as error:
        others = f"\nwritten before: {', '.join(done)}" if done else "\nno file was changed" if len(texts) > 1 else ""
        hint = write_hint(error)
        raise OperationFailed(f"cannot write {what}", where=name, why=reason(error) + others, hint=hint) from None
    finally:
        for written in scratches.values():
            with suppress(OSError):
                written.unlink(missing_ok=True)


@contextmanager
def alone(name: str) -> Iterator[None]:
    """While the block runs, no other run is in such a block for a file of the same folder, as far as the file system has locks
    (flock). The folder is locked, since save() replaces the file."""
    try:
        folder = os.open(Path(os.path.realpath(name)).parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # save() says what is wrong
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def is_stream(name: str) -> bool:
    """Whether a name stands for a device, a pipe or a descriptor of a process, which must not be replaced by a file."""
    try:
        if os.path.abspath(name).startswith(("/dev/fd/", "/dev/std", "/proc/")):  # noqa: PTH100 (such a link may lead to a file)
            return True
        mode = Path(name).stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _like(path: Path, scratch: Path) -> None:
    """Give a new file the owner and the mode of the one that it replaces; those of any new file if there is none."""
    try:
        old = path.stat()
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        scratch.chmod(0o666 & ~mask)
        return
    with suppress(PermissionError):
        os.chown(scratch, old.st_uid, old.st_gid)
    scratch.chmod(old.st_mode & 0o7777)
