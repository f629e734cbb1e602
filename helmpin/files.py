"""Why a file that the user names cannot be used, in words for people, and what to do about it."""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from helmpin.errors import UsageError


def cannot_read(what: str, name: str, error: OSError | UnicodeDecodeError) -> UsageError:
    """The error for a file that cannot be read. what: what it should be, for people. name: as the user named it."""
    return UsageError(f"cannot read {what}", where=name, why=reason(error), hint=read_hint(error))


def check_is_file(what: str, name: str) -> None:
    """Raise UsageError for `-`, which elsewhere is standard input or output."""
    if name == "-":
        raise UsageError(
            f"{what} must be a file: - is not accepted",
            where=name,
            hint="name a file (`./-` for a file named `-`)",
        )


def reason(error: OSError | UnicodeDecodeError) -> str:
    """What is wrong, without the names that Python adds."""
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 text (byte {error.start + 1})"
    return error.strerror or str(error)


def read_hint(error: OSError | UnicodeDecodeError) -> str:
    """What to do about a file that cannot be read; '' where that is not known."""
    return _hint(error, "read")


def write_hint(error: OSError) -> str:
    """What to do about a file that cannot be written; '' where that is not known."""
    return _hint(error, "write to")


def _hint(error: OSError | UnicodeDecodeError, do: str) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "save it as UTF-8, or name another file"
    if isinstance(error, FileNotFoundError):
        if target := _missing_target(error.filename):
            return f"it is a link to {target}, which does not exist: create that, or remove the link"
        return "check the path" if do == "read" else "make its folder first, or name another file"
    if error.errno == errno.ELOOP:
        return "remove the link that leads back to where it is"
    if isinstance(error, NotADirectoryError):
        return "check the path: a part of it is a file"
    if isinstance(error, IsADirectoryError):
        return "name a file, not a folder"
    if isinstance(error, PermissionError):
        return f"let this account {do} it" + (" and its folder" if do != "read" else "") + ", or name another file"
    return ""


def _missing_target(name: str | None) -> str:
    """What a link points to; '' for what is no link."""
    with suppress(OSError):
        return os.readlink(name or "")  # noqa: PTH115 (pathlib takes long to import)
    return ""
