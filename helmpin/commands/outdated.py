"""helm pin outdated: which tags have moved since a release was deployed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from helmpin import output, structured
from helmpin.audit.gather import current, deployed
from helmpin.errors import HelmPinError, UsageError
from helmpin.named_tuple import NamedTuple
from helmpin.registry import RegistryError, resolve
from helmpin.release import revisions
from helmpin.release.storage import RevisionInfo
from helmpin.request import Request
from helmpin.verify.tags import Moved, Tag, moved, tags


class OutdatedRow(NamedTuple):
    """A tag of a release that has moved."""

    namespace: str
    release: str
    revision: int
    tag: Moved


def run(request: Request) -> int:
    """Print the tags that have moved. 1 when a release could not be read, else 5 when a registry did not answer."""
    found, unread = _revisions(request)
    named, problems = tags_of(found)
    answers = resolve({tag.reference for _, some in named for tag in some}, request.settings.registry)
    rows = [
        OutdatedRow(r.namespace, r.stored.release, r.stored.revision, m)
        for r, some in named
        for m in moved(some, answers)
    ]
    failed = [(ref, e) for ref, e in answers.items() if isinstance(e, RegistryError) and e.kind != "not-found"]
    silent = sorted(f"{reference}: {error}" for reference, error in failed)
    _print(request.options["output"], rows, len(answers), silent, is_complete=not (unread or problems or silent))
    for line in (*unread, *(each for each in problems if not any(known in each for known in unread))):
        output.say(f"Not read: {line}")
    for line in silent:
        output.say(f"Not known: {line}")
    return 1 if unread or problems else 5 if silent else 0


def _revisions(request: Request) -> tuple[list[RevisionInfo], tuple[str, ...]]:
    """The deployed revisions to look at, and what could not be read. Raises HelmFailed."""
    if not request.positionals:
        return deployed(request.helm, everywhere=request.options["all-namespaces"])
    if request.options["all-namespaces"]:
        raise UsageError("RELEASE and --all-namespaces exclude each other", hint="leave one out")
    read = revisions.read_all(request.helm, request.positionals[0])
    chosen = current(sorted([*read.found, *read.unreadable], key=lambda r: r.stored.revision))
    return ([chosen] if chosen else []), read.unread


def tags_of(found: Sequence[RevisionInfo]) -> tuple[list[tuple[RevisionInfo, list[Tag]]], list[str]]:
    """The tags of each revision, and why those of some are unknown."""
    named: list[tuple[RevisionInfo, list[Tag]]] = []
    problems = []
    for revision in found:
        stored = revision.stored
        try:
            record = stored.known_record()
            found_tags = tags(record, stored, [use.image for use in stored.uses()]) if record else []
        except HelmPinError as error:
            problems.append(f"release {revision.namespace}/{stored.release}: {error.what}: {error.why}")
            continue
        if record is None:
            output.say(f"{revision.namespace}/{stored.release}: it has no digest record to compare with.")
        named.append((revision, found_tags))
    return named, problems


def _print(form: str, rows: Sequence[OutdatedRow], asked: int, silent: Sequence[str], *, is_complete: bool) -> None:
    if form != "table":
        structured.show({"moved": [as_data(row) for row in rows], "asked": asked, "unanswered": list(silent)}, form)
    elif rows:
        cells = [
            (
                r.namespace,
                r.release,
                r.tag.reference,
                output.short(r.tag.was),
                output.short(r.tag.now) or "gone",
                r.tag.since or "-",
            )
            for r in rows
        ]
        print(output.table(("NAMESPACE", "RELEASE", "IMAGE", "FROM", "TO", "SINCE"), cells))
    elif is_complete:
        output.inform(f"No tag has moved; {asked} checked.")


def as_data(row: OutdatedRow) -> dict[str, Any]:
    """What `-o json` prints of a tag that has moved (docs/json.md)."""
    return {
        "namespace": row.namespace,
        "release": row.release,
        "revision": row.revision,
        "reference": row.tag.reference,
        "from": row.tag.was,
        "to": row.tag.now or None,
        "since": row.tag.since or None,
    }
