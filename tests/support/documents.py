"""The fenced blocks of the documents: which the tests run, and which carry a mark that says why they do not.

| fence | is |
| --- | --- |
| `sh` | commands, run one line after the other; each must exit with 0, or as its comment says (`# exit status 3`) |
| `console` | commands after `$ `, run likewise, and what they print, which is compared |
| `yaml`, `json` | data; in a document that is run, `yaml` that begins with a comment is written to the file that this names |
| `text`, `hcl` | neither |

A block that is not run has an HTML comment directly above it, which nobody sees: `<!-- not run: REASON -->`; or
`<!-- run by: FILE -->`, if another test than those of tests/e2e/test_recipes.py runs it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.support.workstation import CHECKOUT

GENERATED = frozenset({"docs/commands.md"})
"""What scripts/docs writes, from what --help prints."""
COMMANDS = frozenset({"sh", "console"})
BESIDE_COMMANDS = frozenset({"yaml", "json", "text", "hcl"})
_MARK = re.compile(r"<!-- (not run|run by): (.+) -->")


class Block(NamedTuple):
    """A fenced block."""

    document: str
    """The path in the checkout."""
    line: int
    heading: str
    """The one above it."""
    language: str
    """The word on its fence."""
    marked: str
    """`not run`, `run by`, or ''."""
    reason: str
    """What the mark says."""
    text: str

    @property
    def is_run(self) -> bool:
        """Whether tests/e2e/test_recipes.py runs it."""
        return self.language in COMMANDS and not self.marked


def documents() -> list[Path]:
    """All documents that somebody wrote."""
    found = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").glob("*.md"), *(CHECKOUT / "deploy").rglob("*.md")])
    return [path for path in found if str(path.relative_to(CHECKOUT)) not in GENERATED]


def blocks(document: Path) -> list[Block]:
    """The fenced blocks of a document."""
    found, heading, above = [], "", ""
    numbered = enumerate(document.read_text().splitlines(), 1)
    for number, line in numbered:
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("```"):
            body = []
            for _, inner in numbered:
                if inner == "```":
                    break
                body.append(inner)
            mark = _MARK.fullmatch(above)
            name = str(document.relative_to(CHECKOUT))
            kind, reason = mark.groups() if mark else ("", "")
            found.append(Block(name, number, heading, line[3:], kind, reason, "\n".join(body) + "\n"))
        above = line
    return found


class Step(NamedTuple):
    """A command of a block, the exit status that it must have, and what it must print; None if the document does not say."""

    command: str
    status: int
    printed: str | None


def steps(block: Block) -> list[Step]:
    """The commands of a block, with continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", block.text)
    if block.language == "sh":
        return [Step(line, _status(line), None) for line in text.splitlines() if line and not line.startswith("#")]
    parts = re.split(r"(?m)^\$ ", text)[1:]
    return [Step(line, _status(line), printed) for line, _, printed in (part.partition("\n") for part in parts)]


def _status(line: str) -> int:
    match = re.search(r"# .*exit status (\d)", line)
    return int(match[1]) if match else 0


def alike(printed: str, documented: str) -> bool:
    """Whether a command printed what the document shows, with other digests, sets and widths of columns; `…` on a line of its own
    stands for any lines."""
    lines = [re.escape(line) for line in _fixed(documented).splitlines()]
    pattern = "".join("(?:.*\n)*" if line == "…" else f"{line}\n" for line in lines)
    return re.fullmatch(pattern, _fixed(printed)) is not None


def _fixed(text: str) -> str:
    text = re.sub(r"sha256:[0-9a-f]{12,64}", "DIGEST", text)
    text = re.sub(r"\bset [0-9a-f]{12}\b", "set ID", text)
    lines = (re.sub(r"\s+", " ", line).strip() for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line)
