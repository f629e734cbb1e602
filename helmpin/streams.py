"""Standard input, output and error, whatever helm-pin was started with: closed, full, without a reader, or not blocking."""

from __future__ import annotations

import io
import os
import sys

from helmpin.errors import OperationFailed


class _Stream(io.FileIO):
    """Standard output or error, blocking or not."""

    def write(self, data: object, /) -> int:
        written = super().write(data)  # type: ignore[arg-type]
        while written is None:  # somebody who shares the pipe has made it non-blocking
            import select

            select.select([], [self], [])
            written = super().write(data)  # type: ignore[arg-type]
        return written


class _Output(_Stream):
    """Standard output: the first write that fails is an error, and the rest is written nowhere. Mutable."""

    failed = False

    def write(self, data: object, /) -> int:
        if self.failed:
            return len(data)  # type: ignore[arg-type]
        try:
            return super().write(data)
        except BrokenPipeError:
            self.failed = True
            raise
        except OSError as error:
            self.failed = True
            raise OperationFailed("cannot write to standard output", why=error.strerror or str(error)) from None


class _Messages(_Stream):
    """Standard error: a write that fails is dropped, and is no reason to stop."""

    def write(self, data: object, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)  # type: ignore[arg-type]


def prepare() -> None:
    """Set up the three streams. A closed one is opened, so that no other file gets its number; writing to it still fails."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY), True)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    out, messages = _Output(1, "w", closefd=False), _Messages(2, "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(out), encoding="utf-8", errors="surrogateescape", line_buffering=out.isatty()
    )
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(messages), encoding="utf-8", errors="backslashreplace", line_buffering=True
    )
