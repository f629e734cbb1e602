"""Comparing and writing a lock file. No I/O.

It is edited as text, line by line, so that its comments and every line that does not change stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from helmpin.errors import UsageError
from helmpin.image.reference import Reference
from helmpin.lock.parse import VERSION, parse_lock
from helmpin.named_tuple import NamedTuple

HEADER = "# The digest of each image, written by `helm pin lock`. One line is one image; edit the digest to move it.\n"
_LINE = re.compile(
    r"(?P<before>\s*-\s+image:\s+)(?P<quote>[\"']?)(?P<image>[^\s\"']+)(?P=quote)(?P<after>\s*(?:\s#.*)?)"
)
_START = re.compile(r"images:(?P<empty>[ \t]*\[[ \t]*\])?(?P<after>[ \t]*(?:#.*)?)")


class LockChange(NamedTuple):
    """What becomes of one line of a lock file."""

    reference: Reference
    was: str
    """The digest in the file; '' when there is none."""
    now: str
    """The digest that it gets; '' when the line goes."""

    @property
    def kind(self) -> str:
        """added, removed, moved or unchanged."""
        if self.was == self.now:
            return "unchanged"
        return "moved" if self.was and self.now else "added" if self.now else "removed"


def changes(lock: Mapping[Reference, str], wanted: Mapping[Reference, str], *, keep: bool = False) -> list[LockChange]:
    """What becomes of each line of a lock when it gets the wanted digests, sorted. keep: leave references that are not wanted."""
    kept = {reference: digest for reference, digest in lock.items() if keep and reference not in wanted}
    now = {**kept, **wanted}
    return [LockChange(each, lock.get(each, ""), now.get(each, "")) for each in sorted({*lock, *now}, key=str)]


def edit(text: str, edits: Iterable[LockChange], name: str) -> str:
    """The text of a lock file with these changes, its lines sorted. Comments stay: those directly above a line, and at its end,
    belong to it. An empty text becomes a new file. Raises UsageError if the images are not on one line each."""
    if not text.strip():
        text = f"{HEADER}version: {VERSION}\nimages: []\n"
    head, entries, tail = _split(text, name)
    newline = "\r\n" if "\r\n" in text else "\n"
    before = next((entry.before.rstrip("\"'") for entry in entries.values()), "- image: ")
    for change in edits:
        quote = '"' if str(change.reference).startswith("[") else ""  # an IPv6 address, which YAML reads as a list
        entry = entries.get(
            change.reference,
            _Entry(above=[], before=before + quote, image="", after=quote, newline=newline),
        )
        if change.now:
            same = change.was == change.now and change.reference in entries
            image = entry.image if same else str(change.reference._replace(digest=change.now))
            entries[change.reference] = entry._replace(image=image)
        elif change.reference in entries:
            tail = [*_detached_comments(entries.pop(change.reference).above), *tail]
    start = _START.match(head[-1])
    assert start is not None
    head[-1] = (
        f"images:{'' if entries else start['empty'] or ' []'}{head[-1][start.end('empty') if start['empty'] else 7 :]}"
    )
    lines = [line for reference in sorted(entries, key=str) for line in entries[reference].lines()]
    return "".join([*head, *lines, *tail])


def matches(glob: str, reference: Reference) -> bool:
    """Whether a glob matches a reference, with or without its tag; on Docker Hub also in the usual short form."""
    from fnmatch import fnmatchcase

    names = [reference.name]
    for implied in ("docker.io/", "docker.io/library/"):
        names += [reference.name.removeprefix(implied)] if reference.name.startswith(implied) else []
    return any(fnmatchcase(text, glob) for name in names for text in (name, f"{name}:{reference.tag}"))


class _Entry(NamedTuple):
    above: list[str]
    """Comments and blank lines above the line."""
    before: str
    """Up to the reference, with its quote."""
    image: str
    """As written; '' in a new line."""
    after: str
    """From the quote to the end of the line."""
    newline: str

    def lines(self) -> list[str]:
        return [*self.above, f"{self.before}{self.image}{self.after}{self.newline}"]


def _split(text: str, name: str) -> tuple[list[str], dict[Reference, _Entry], list[str]]:
    """The lines up to `images:`, each image with the comments above it, and what is left below."""
    lines = re.findall(r"[^\n]*\n|[^\n]+", text if text.endswith("\n") else f"{text}\n")
    start = next((i for i, line in enumerate(lines) if _START.fullmatch(line.rstrip("\r\n"))), None)
    entries: dict[Reference, _Entry] = {}
    above: list[str] = []
    rest = [] if start is None else lines[start + 1 :]
    for line in rest:
        body = line.rstrip("\r\n")
        match = _LINE.fullmatch(body)
        if match and (reference := _written(match["image"])):
            opened = match["before"] + match["quote"]
            after = match["quote"] + match["after"]
            entries[reference] = _Entry(
                above=above, before=opened, image=match["image"], after=after, newline=line[len(body) :]
            )
            above = []
        else:
            above.append(line)
    head = lines[: (start or 0) + 1]
    if start is None or not all(_is_comment(line) for line in above) or not _reads_alike(text, entries, name):
        raise UsageError(
            f"{name} cannot be edited without losing something",
            why="its images are not each on a line of their own, below `images:` as its last key",
            hint="write each image as `- image: name:tag@sha256:…` on a line of its own",
        )
    return head, entries, above


def _written(image: str) -> Reference | None:
    """The reference of a line; None if it is not one, such as the `>-` of a block scalar."""
    reference = Reference.read(image)
    return reference and reference._replace(digest=None)


def _reads_alike(text: str, entries: Mapping[Reference, _Entry], name: str) -> bool:
    """Whether the lines that were found are all that YAML reads in the file."""
    found = {reference: Reference.parse(entry.image).digest for reference, entry in entries.items()}
    return found == dict(parse_lock(text, name).digests)


def _detached_comments(above: list[str]) -> list[str]:
    """The comments above a line that a blank line separates from it."""
    last = max((i for i, line in enumerate(above) if not line.strip()), default=-1)
    return above[: last + 1] if any(line.strip() for line in above[: last + 1]) else []


def _is_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")
