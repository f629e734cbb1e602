"""helm pin history: the revisions, with their digest sets and what changed from one to the next."""

from __future__ import annotations

from typing import Any

from helmpin import output
from helmpin.cli import Request
from helmpin.errors import UsageError, VerificationFailed
from helmpin.pin import storage
from helmpin.pin.digestset import DigestSet

HELM_MAX = 256
"""helm history's own default of --max."""


def run(request: Request) -> int:
    """Print the history."""
    most = request.options["max"]
    if most is not None and not (most.isdigit() and int(most)):
        raise UsageError("--max takes a number of revisions", why=f"it was given {most!r}")
    found = storage.revisions(request.helm, request.positionals[0], int(most or HELM_MAX))
    rows = describe(found)
    form = request.options["output"]
    output.show(rows, form) if form != "table" else print(_table(rows))
    return 0


def describe(found: list[storage.Revision]) -> list[dict[str, Any]]:
    """The history as data, oldest first."""
    rows: list[dict[str, Any]] = []
    before: dict[str, str] | None = None
    for revision in found:
        record, problem = _record(revision)
        digests = {image.reference: image.digest for image in record.images} if record else None
        total = len({use.image for use in revision.stored.uses()})
        rows.append(
            {
                "revision": revision.stored.revision,
                "updated": revision.updated,
                "status": revision.status,
                "chart": revision.chart,
                "appVersion": revision.app_version,
                "description": revision.description,
                "pinned": f"{_pinned(revision)}/{total}",
                "images": [{"reference": i.reference, "digest": i.digest, "via": i.via} for i in record.images]
                if record
                else [],
                "set": record.set_id if record else None,
                "changes": _changes(before, digests) if before is not None and digests is not None else [],
                "record": "ok" if record else "invalid" if problem else "none",
                "problem": problem or None,
            }
        )
        before = digests if digests is not None else before
    return rows


def _record(revision: storage.Revision) -> tuple[DigestSet | None, str]:
    try:
        return revision.stored.record(), ""
    except VerificationFailed as error:
        return None, error.why


def _pinned(revision: storage.Revision) -> int:
    return len({use.image for use in revision.stored.uses() if "@sha256:" in use.image or "@sha512:" in use.image})


def _changes(before: dict[str, str], after: dict[str, str]) -> list[dict[str, Any]]:
    changed = []
    for reference in sorted(before.keys() | after.keys()):
        old, new = before.get(reference), after.get(reference)
        if old != new:
            changed.append({"reference": reference, "from": old, "to": new})
    return changed


def _table(rows: list[dict[str, Any]]) -> str:
    headers = ("REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION", "PINNED", "SET", "DESCRIPTION", "CHANGES")
    return output.table(headers, [_row(row) for row in rows])


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    marks = {"ok": str(row["set"]), "none": "not by helm-pin", "invalid": "invalid record"}
    changes = "; ".join(_change(change) for change in row["changes"])
    updated = row["updated"][:19].replace("T", " ")
    fields = (
        row["revision"],
        updated,
        row["status"],
        row["chart"],
        row["appVersion"],
        row["pinned"],
        marks[row["record"]],
        row["description"],
        changes,
    )
    return tuple(map(str, fields))


def _change(change: dict[str, Any]) -> str:
    short = {side: change[side][7:19] if change[side] else "none" for side in ("from", "to")}
    return f"{change['reference'].rpartition('/')[2]}: {short['from']} → {short['to']}"
