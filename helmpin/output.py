"""Printing: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as helm and kubectl print them: upper-case headers, three spaces between, no lines."""
    cells = [list(headers), *[list(map(str, row)) for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def as_json(data: Any) -> str:
    """Indented JSON."""
    return json.dumps(data, indent=2, ensure_ascii=False)


def as_yaml(data: Any) -> str:
    """YAML in block style, keys in their order, no line broken."""
    import yaml

    return yaml.dump(
        data, Dumper=yaml.CSafeDumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=1 << 20
    ).rstrip("\n")


def show(data: Any, form: str) -> None:
    """Print data as json or yaml on standard output."""
    print(as_json(data) if form == "json" else as_yaml(data))


def say(text: str) -> None:
    """A line for the person who watches, on standard error."""
    print(text, file=sys.stderr, flush=True)


def progress(text: str) -> None:
    """A passing line on a terminal, overwritten by the next; nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def colour(text: str, code: str) -> str:
    """`text` in an ANSI colour on a terminal, unless NO_COLOR is set (no-color.org)."""
    return f"\x1b[{code}m{text}\x1b[0m" if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else text


def short(digest: str) -> str:
    """`sha256:` and 12 hex digits, enough for people."""
    return digest[:19]
