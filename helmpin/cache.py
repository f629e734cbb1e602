"""Files in helm's cache that make the next run faster. Whoever reads one does without it where it is missing or damaged."""

from __future__ import annotations

import os
import stat
import threading
from contextlib import suppress
from pathlib import Path

from helmpin import env

LARGEST = 16 << 20
"""Bytes."""


def folder() -> Path:
    """Where these files are. It may not exist."""
    return env.cache_home() / "helm-pin"


def read(file: Path) -> str:
    """The text of a file; '' where there is none. What is no plain file, or too large to be one of these, is not read: a pipe would
    never end."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return ""
    data = b""
    with suppress(OSError):
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST:
            with os.fdopen(descriptor, "rb", closefd=False) as opened:
                data = opened.read()
    os.close(descriptor)
    return data.decode(errors="surrogateescape")


def write(file: Path, text: str) -> None:
    """Write a file that only this user can read: all of it, or nothing where there is no space or no permission."""
    scratch = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        scratch.touch(mode=0o600)
        scratch.write_text(text, encoding="utf-8", errors="surrogateescape")
        scratch.replace(file)
    except OSError:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
