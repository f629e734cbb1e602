"""helm pin keep: a tag for each digest that a rollback may need, so that registries do not delete it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from helmpin import output, structured
from helmpin.arguments import whole_number
from helmpin.errors import HelmFailed, HelmPinError, RegistryUnavailable, UsageError
from helmpin.image.reference import Reference
from helmpin.named_tuple import NamedTuple
from helmpin.next_command import helm_command
from helmpin.registry import RegistryError, keep, prune
from helmpin.release import revisions
from helmpin.release.storage import RevisionInfo
from helmpin.request import Request
from helmpin.verify.registries import askable
from helmpin.verify.tags import keep_prefix, keep_tag

SHOWN = ("image", "digest", "tag", "result", "why")
ALL = "its tags"
"""In place of a tag: all those of a repository that could not be listed."""
KEPT, ALREADY, REMOVED, FAILED = "kept", "already kept", "removed", "failed"


class KeepRow(NamedTuple):
    """What was done about one tag."""

    image: str
    """registry/repository."""
    digest: str
    tag: str
    result: str
    why: str = ""
    error: RegistryError | None = None
    """That of the registry, if it failed."""


class Needed(NamedTuple):
    """What revisions need, as far as it can be read."""

    tags: dict[Reference, str]
    """The tag for each recorded digest, at the registries that each revision's own images name."""
    others: dict[Reference, str]
    """The same for the digests in the manifests of revisions without a record. Their tags are not written, and not removed."""
    unread: list[str]
    """One line about each revision that cannot be read."""


def run(request: Request) -> int:
    """Tag the digests and print what was done. Raises RegistryUnavailable if a registry refused, HelmFailed if a revision cannot be
    read."""
    most = request.options["revisions"]
    wanted = None if most is None else whole_number(most)
    if most is not None and wanted is None:
        raise UsageError("--revisions takes a number of revisions", why=f"got {most!r}")
    name, prunes = request.positionals[0], request.options["prune"]
    read = revisions.read_all(request.helm, name)
    found = revisions.last_needed(read.found, wanted) if wanted else read.found
    needed = needs_of(found)
    unread = [*needed.unread, *read.unread]
    if prunes and (doubts := [*unread, *revisions.signs_of_skipped(read)]):
        raise HelmFailed(
            "cannot read what a revision needs; no tag was removed", why="\n".join(doubts), hint="leave out --prune"
        )
    rows = _kept(needed.tags, keep(needed.tags, request.settings.registry))
    if prunes and found:
        here = {reference.name for reference in needed.tags}
        others = {reference: tag for reference, tag in needed.others.items() if reference.name in here}
        prefix = keep_prefix(found[-1].stored.release, found[-1].namespace)
        rows += _removed(prune({**others, **needed.tags}, prefix, request.settings.registry))
    if rows or not unread:
        _print(request.options["output"], rows)
    failed = [row for row in rows if row.result == FAILED]
    why_failed = [f"{row.image}:{row.tag}: {row.why}" for row in failed]
    if unread:
        history = helm_command(f"pin history {name}")
        way = f"restore it from a backup, or delete it if no rollback needs it; {history} shows the others"
        raise HelmFailed(
            "cannot read what a revision needs; its digests are not kept",
            where=f"release {name}",
            why="\n".join([*unread, *why_failed]),
            hint="\n".join([way, *_hints(failed)]),
        )
    if failed:
        lost = [row for row in failed if row.tag != ALL]
        raise RegistryUnavailable(
            f"{len(lost)} of {sum(row.tag != ALL for row in rows)} tags could not be written"
            if lost
            else "not all tags could be listed",
            why="\n".join(why_failed),
            hint="\n".join(_hints(failed)),
        )
    return 0


def _hints(failed: Sequence[KeepRow]) -> Iterator[str]:
    """What can be done about each kind of failure."""
    lost = [row for row in failed if row.error and row.error.kind == "not-found"]
    if some := [row for row in lost if row.error and row.error.status != 404]:
        digests = ", ".join(dict.fromkeys(f"{row.image}@{row.digest}" for row in some))
        yield f"the registry accepts no new tag where a part is gone, such as one platform ({digests}): push the same image again"
    gone = [row for row in lost if row not in some]
    if gone:
        digests = ", ".join(dict.fromkeys(f"{row.image}@{row.digest}" for row in gone))
        yield f"no rollback can run what is gone ({digests}): push the same image again, or leave its revisions alone"
    others = [row.error for row in failed if row.error and row not in lost]
    refused = [error for error in others if error.kind == "unauthorized" or error.status == 403]
    if refused:
        yield "log in with an account that may push to these repositories"
    yield from dict.fromkeys(error.hint for error in others if error.hint and error not in refused)


def needs_of(found: Sequence[RevisionInfo]) -> Needed:
    """What these revisions need. One without a record is reported."""
    needed = Needed(tags={}, others={}, unread=[])
    for revision in found:
        stored = revision.stored
        try:
            record = stored.known_record()
            references = askable(record, stored) if record else [Reference.read(use.image) for use in stored.uses()]
        except HelmPinError as error:
            needed.unread.append(f"revision {stored.revision}: {error.what}")
            continue
        if record is None:
            output.say(f"Left out: revision {stored.revision} has no digest record.")
        tags = needed.others if record is None else needed.tags
        for reference in references:
            if reference and reference.digest:
                tag = keep_tag(stored.release, revision.namespace, reference.digest)
                tags[reference._replace(tag=None)] = tag
    return needed


def _kept(tags: Mapping[Reference, str], answers: Mapping[Reference, bool | RegistryError]) -> list[KeepRow]:
    rows = []
    for reference, tag in tags.items():
        answer, digest = answers[reference], reference.digest or ""
        if isinstance(answer, RegistryError):
            gone = answer.kind == "not-found"
            why = f"{digest} is gone from the registry: {answer.reason}" if gone else str(answer)
            rows.append(KeepRow(image=reference.name, digest=digest, tag=tag, result=FAILED, why=why, error=answer))
        else:
            rows.append(KeepRow(image=reference.name, digest=digest, tag=tag, result=KEPT if answer else ALREADY))
    return rows


def _removed(answers: Mapping[Reference, RegistryError | None]) -> list[KeepRow]:
    rows = []
    for reference, error in answers.items():
        gone = error is None or error.kind == "not-found"
        tag = reference.tag or ALL
        result, why = (REMOVED, "") if gone else (FAILED, str(error))
        rows.append(KeepRow(image=reference.name, digest="", tag=tag, result=result, why=why, error=error))
    return rows


def _print(form: str, rows: list[KeepRow]) -> None:
    if form != "table":
        structured.show([{name: getattr(row, name) or None for name in SHOWN} for row in rows], form)
    elif rows:
        cells = [(row.image, output.short(row.digest) or "-", row.tag, row.result) for row in rows]
        print(output.table(("IMAGE", "DIGEST", "TAG", "RESULT"), cells))
    else:
        output.inform("There is nothing to keep.")
