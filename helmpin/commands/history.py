"""helm pin history: the revisions, with their digest sets and what changed from one to the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from helmpin import output
from helmpin.arguments import whole_number
from helmpin.errors import HelmFailed, HelmPinError, UsageError
from helmpin.image.listing import print_images
from helmpin.image.reference import Reference, split
from helmpin.registry.details import Details, as_data, lines
from helmpin.registry.errors import RegistryError
from helmpin.release import record_checks
from helmpin.release.changes import UNPINNED, Digests, changes, digests, listed
from helmpin.release.revision import disagreements
from helmpin.release.revisions import read_all
from helmpin.release.storage import MOST, RevisionInfo
from helmpin.request import Request, refuse_registry_flags

DESCRIPTION = 60
"""The most characters of a description in the table: helm puts whole error messages there. -o json has all of it."""


def run(request: Request) -> int:
    """Print the history."""
    most = request.options["max"]
    wanted = MOST if most is None else whole_number(most)
    if wanted is None:
        raise UsageError("--max takes a number of revisions", why=f"got {most!r}")
    # one more, to show what changed in the first
    read = read_all(request.helm, request.positionals[0], wanted + 1)
    form = request.options["output"]
    if not request.options["describe"]:
        refuse_registry_flags(request, "without --describe")
    elif form == "images":
        raise UsageError("--describe has no effect with -o images", hint="leave one out")
    if form == "images":
        print_images(_images(read.found[-wanted:]))
    else:
        rows = describe(read.found)[-wanted:]
        about = _details(request, read.found[-wanted:]) if request.options["describe"] else {}
        for image in (image for row in rows for image in row["images"] if about):
            image["details"] = as_data(about.get((image["reference"], image["digest"])))
        if form == "table":
            print("\n\n".join([_table(rows), *_blocks(about)]))
        else:
            from helmpin import structured

            structured.show(rows, form)
    if form == "images" and read.unread:
        raise HelmFailed(
            "cannot read what a revision needs; its images are not listed",
            where=f"release {request.positionals[0]}",
            why="\n".join(read.unread),
            hint="restore it from a backup, or delete it if no rollback needs it",
        )
    for line in read.unread:
        output.inform(f"Skipped (helm skips it too): {line}")
    return 0


def _details(request: Request, revisions: Sequence[RevisionInfo]) -> dict[tuple[str, str], Details | RegistryError]:
    """What each recorded image is, by (reference, digest), from registries that its revision itself names."""
    from helmpin.registry import details_of
    from helmpin.verify.registries import askable

    wanted: dict[tuple[str, str], Reference] = {}
    for revision in revisions:
        with suppress(HelmPinError):  # the table shows the problem
            images = [use.image for use in revision.stored.uses()]
            record = revision.stored.known_record()
            for reference in askable(record, revision.stored, images) if record else ():
                wanted[str(reference._replace(digest=None)), reference.digest or ""] = reference
    answers = details_of(wanted.values(), request.settings.registry)
    return {key: answers[reference] for key, reference in wanted.items()}


def _blocks(about: Mapping[tuple[str, str], Details | RegistryError]) -> Iterator[str]:
    """For people: what each image is, in the order of the revisions."""
    for (reference, digest), answer in about.items():
        yield output.printable("\n  ".join((f"{reference}@{digest}", *lines(answer))))


def _images(revisions: Iterable[RevisionInfo]) -> Iterator[tuple[str, str]]:
    """The images of all these revisions, each with its digest. A line is printed for each revision that cannot be read."""
    for revision in revisions:
        try:
            yield from listed({use.image for use in revision.stored.uses()}, revision.stored.record())
        except HelmPinError as error:
            output.say(f"Left out: revision {revision.stored.revision}: {error.what}.")


def describe(revisions: Iterable[RevisionInfo]) -> list[dict[str, Any]]:
    """The history as data, oldest first."""
    rows: list[dict[str, Any]] = []
    before: Digests | None = None
    for revision in revisions:
        record, problem, elsewhere = None, "", None
        images: set[str] = set()
        try:
            uses = revision.stored.uses()
            images = {use.image for use in uses}
            record = revision.stored.record()
            if record and (differences := disagreements(record, revision.stored, uses)):
                record, problem = None, "it does not match the manifest: " + "; ".join(differences)
            elif record is None:
                elsewhere = record_checks.from_manifest(uses)
        except HelmPinError as error:
            problem = error.why
        pinned = record or elsewhere
        now = digests(images, pinned)
        rows.append(
            {
                "revision": revision.stored.revision,
                "updated": revision.updated,
                "status": revision.status,
                "chart": revision.chart,
                "appVersion": revision.app_version,
                "description": revision.description,
                "pinned": f"{sum(split(image)[2] is not None for image in images)}/{len(images)}",
                "images": [
                    {"reference": i.reference, "digest": i.digest, "via": i.via}
                    for i in (pinned.images if pinned else ())
                ],
                "set": pinned.set_id if pinned else None,
                "changes": changes(before, now) if before is not None else [],
                "record": "invalid" if problem else "ok" if record else "manifest" if elsewhere else "none",
                "problem": problem or None,
            }
        )
        before = now
    return rows


def _table(rows: list[dict[str, Any]]) -> str:
    headers = ("REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION", "PINNED", "SET", "DESCRIPTION", "CHANGES")
    return output.table(headers, [_row(row) for row in rows])


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    marks = {
        "ok": str(row["set"]),
        "manifest": f"{row['set']} (no record)",
        "none": "not by helm-pin",
        "invalid": "invalid record",
    }
    return (
        str(row["revision"]),
        row["updated"][:19].replace("T", " "),
        row["status"],
        row["chart"],
        row["appVersion"],
        row["pinned"],
        marks[row["record"]],
        _brief(row["description"]),
        "; ".join(_change(change) for change in row["changes"]),
    )


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= DESCRIPTION else f"{line[: DESCRIPTION - 1]}…"


def _change(change: dict[str, Any]) -> str:
    name = change["reference"].rpartition("/")[2]
    if "was" in change:
        name = f"{change['was'].rpartition('/')[2]} → {name}"
    return f"{name}: {_short(change['from'])} → {_short(change['to'])}"


def _short(digest: str | None) -> str:
    return "none" if digest is None else digest if digest == UNPINNED else digest.rpartition(":")[2][:12]
