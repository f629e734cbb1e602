"""Printing: results on standard output, everything else on standard error.

Names, images and messages come from charts, clusters and registries. So what is printed for people has its control characters
escaped, and starts no command of a CI system that reads its log.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from helmpin import env

CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""What moves a terminal's cursor or changes the order of its text (C0 and C1 without tab and newline, Unicode's bidirectional
controls and line separators), what cannot be printed at all (surrogates), and what no XML may have (XML 1.0, section 2.2)."""
_LINE_COMMAND = re.compile(r"(?m)^([^\S\n]*):(?=:)")
COMMAND = re.compile(r"##(?=\w*\[)")
"""`::command::` at a line's start and `##[command]` anywhere (GitHub's runner, ActionCommand.cs; Azure has `##vso[`)."""

_LOGIN = re.compile(r"(\w://)[^\s/]*@(?!sha(?:256|512):)")
"""Up to the last `@` before the path, as Go reads a URL (net/url, parseAuthority); a digest is no login's end."""
_TOKEN = re.compile(
    r"(?i)([?&;][\w.-]{0,40}(?:token|secret|passw|signature|sig|credential|api_?-?key)[\w.-]{0,40}=)[^\s&;#\"']+"
)
"""What opens a URL for everybody who has it: a token, or the signature of a cloud's storage."""


def mask_urls(text: str) -> str:
    """`text` without the logins of the URLs in it, and without the tokens in their queries."""
    return _TOKEN.sub(r"\1***", _LOGIN.sub(r"\1***@", text)) if "://" in text else text


def printable(text: str) -> str:
    """`text`, which may have several lines, with everything that must not reach a terminal escaped visibly (`\\x1b`)."""
    text = CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)
    return COMMAND.sub(r"#\\x23", _LINE_COMMAND.sub(r"\1\\x3a", text))


def one_line(text: str) -> str:
    """`printable`, with newlines and tabs escaped too."""
    return printable(text.replace("\n", "\\n").replace("\t", "\\t"))


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as helm and kubectl print them: upper-case headers, three spaces between, no lines."""
    cells = [list(headers), *[[one_line(str(cell)) for cell in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def as_json(data: Any) -> str:
    """Indented JSON whose strings can neither control a terminal nor command a CI system."""
    text = CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(data, indent=2, ensure_ascii=False))
    return COMMAND.sub(r"#\\u0023", text)


def for_helm(data: Any) -> str:
    """JSON that helm reads back exactly: no surrogate pairs, and no raw character at which YAML breaks lines or that it forbids."""
    text = json.dumps(data, ensure_ascii=False)
    return re.sub(r"[\x7f-\uffff]", lambda match: f"\\u{ord(match[0]):04x}", text)


def write(text: str) -> None:
    """Print a result for people on standard output."""
    print(printable(text))


def say(text: str) -> None:
    """Print a message for people on standard error, without the logins in it."""
    print(printable(mask_urls(text)), file=sys.stderr, flush=True)


def inform(text: str) -> None:
    """Print a message that nobody has to act on, on standard error, unless --quiet was given. For all others use `say`."""
    if not env.is_quiet():
        say(text)


def progress(text: str) -> None:
    """A passing line on a terminal, overwritten by the next; nothing elsewhere, nor with --quiet."""
    if sys.stderr.isatty() and not env.is_dumb_terminal() and not env.is_quiet():
        print(f"\r\x1b[K{one_line(text)}", end="", file=sys.stderr, flush=True)


class Progress:
    """Counts what takes longer than a second, on a terminal only: `12 of 50 charts`. Mutable; may be stepped from any thread."""

    AFTER = 1.0

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._began = time.monotonic()
        self._shown = self._over = False

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        if time.monotonic() - self._began > self.AFTER and not self._over:
            self._shown = True
            progress(f"{self._done} of {self._total} {self._what}")

    def close(self) -> None:
        """Erase the line."""
        if self._shown:
            progress("")
            self._shown = False

    def __enter__(self) -> Progress:  # noqa: PYI034  typing.Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True  # abandoned threads may still step
        self.close()


def colour(text: str, code: str) -> str:
    """`text` in an ANSI colour, where colours are wanted."""
    shown = one_line(text)
    return f"\x1b[{code}m{shown}\x1b[0m" if _is_coloured() else shown


def _is_coloured() -> bool:
    """As Helm 4 decides it: NO_COLOR (no-color.org) beats HELM_COLOR, and a flag both (global_flags.py). Else on a terminal that is
    not a dumb one."""
    when = env.colours()
    if when in ("never", "always"):
        return when == "always"
    return sys.stdout.isatty() and not env.is_dumb_terminal()


def count(number: int, what: str) -> str:
    """`1 image`, `2 images`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def short(digest: str) -> str:
    """`sha256:` and 12 hex digits, enough for people."""
    return digest[:19]
