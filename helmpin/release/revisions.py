"""The revisions of a release: reading them all, which ones ran, and which ones somebody else has made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from helmpin import env
from helmpin.errors import HelmFailed, HelmPinError, NoRelease
from helmpin.helm import Helm
from helmpin.kubectl import Kubectl
from helmpin.next_command import helm_command
from helmpin.release import storage
from helmpin.release.damaged import none_deployed
from helmpin.release.revision import has_run
from helmpin.release.storage import MOST, RevisionInfo, Revisions

if TYPE_CHECKING:
    from helmpin.release.outcome import HistoryRow

AT_ONCE = 4
"""helm processes at a time."""


def history(helm: Helm, release: str) -> list[HistoryRow]:
    """The revisions of a release, oldest first, at least one. Raises HelmFailed."""
    from helmpin.release.outcome import History

    try:
        rows = History(helm, release, MOST).rows()
        if not rows:
            from helmpin.helm_failure import NOT_FOUND

            raise NoRelease("helm history failed", why=NOT_FOUND)
    except HelmFailed as error:
        from helmpin.release.errors import explained

        raise explained(error, release, helm=helm) from None
    return sorted(rows)


def read_all(helm: Helm, release: str, most: int = MOST) -> Revisions:
    """The latest `most` revisions of a release, oldest first. One API request reads them all; with another storage driver, without
    kubectl, or if that request is refused, helm reads each, several at a time. Raises HelmFailed with helm's message."""
    kind = storage.stored_as()
    if kind and Kubectl.available():
        kubectl = Kubectl(helm)
        resource = storage.stored_objects(kind, f"owner=helm,name={release}")
        _load_meanwhile()
        answer = kubectl.lists([resource], kubectl.namespace)[resource]
        if answer.items and not answer.errors:
            found = storage.decoded(answer.items)
            latest = sorted(found.found, key=lambda r: r.stored.revision)[-most:]
            return Revisions(latest, found.unread, found.unreadable)
    return _through_helm(helm, release, most)


def _load_meanwhile() -> None:
    """Import the modules that read manifests and records while kubectl runs, which takes about as long."""
    import importlib
    import threading

    for name in ("helmpin.image.uses", "hashlib"):
        # not daemons: importing C extensions while the interpreter shuts down can crash it
        threading.Thread(target=importlib.import_module, args=(name,)).start()


def _through_helm(helm: Helm, release: str, most: int) -> Revisions:
    from helmpin.release.errors import explained
    from helmpin.release.reading import Reading

    try:
        rows = json.loads(helm.run(["history", release, "--max", str(most), "-o", "json"]))
    except HelmFailed as error:
        raise explained(error, release, helm=helm) from None
    found: list[RevisionInfo] = []
    failed: list[tuple[int, HelmFailed]] = []
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        readings = [Reading(helm, release, int(row["revision"])) for row in some]
        for row, reading in zip(some, readings, strict=True):
            try:
                stored = reading.result()
            except HelmFailed as error:
                failed.append((row["revision"], error))
                continue
            about = {key: storage.text_of(row.get(key)) for key in ("updated", "chart", "app_version", "description")}
            found.append(RevisionInfo(stored=stored, namespace=env.given_namespace(), **about))
    if failed and not found:
        raise failed[0][1]
    unread = tuple(f"revision {number} cannot be read: {error.why}" for number, error in failed)
    return Revisions(found, unread, by_helm=True)


def signs_of_skipped(read: Revisions) -> list[str]:
    """Signs that helm has skipped revisions that it cannot read, one line each. --history-max removes the oldest ones, and never
    the deployed one (pkg/storage/storage.go, removeLeastRecent)."""
    if not (read.by_helm and read.found):
        return []
    first, *others = read.found
    recent = [each.stored.revision for each in (others if first.status == "deployed" else read.found)]
    gaps = [str(number) for number in range(recent[0], recent[-1]) if number not in recent] if recent else []
    found = [f"helm does not show revision {', '.join(gaps)}"] if gaps else []
    last = read.found[-1]
    return [*found, none_deployed(last.stored.revision)] if last.status == "superseded" else found


def listed(rows: Sequence[HistoryRow]) -> str:
    """For people: `4 (superseded), 5 (deployed)`."""
    return ", ".join(f"{row.revision} ({row.status})" for row in rows[-10:])


def made_by_somebody_else(rows: Sequence[HistoryRow]) -> str:
    """For people: `revision 5 was made by somebody else`."""
    numbers = ", ".join(str(row.revision) for row in rows)
    return f"{f'revision {numbers} was' if len(rows) == 1 else f'revisions {numbers} were'} made by somebody else"


def never_ran(rows: Sequence[HistoryRow], number: int) -> str:
    """Why a revision never ran, in one line, from its status; '' if it ran."""
    row = next((row for row in rows if row.revision == number), None)
    if row is None or has_run(row.status, row.description):
        return ""
    if row.status == "superseded":
        return f"revision {number} never deployed successfully: {' '.join(row.description.split())}"
    return f"revision {number} has status {row.status}: it never deployed successfully"


def ends_in_unfinished_rollback(rows: Sequence[HistoryRow]) -> bool:
    """Whether the last revision is a rollback that is pending or has failed (pkg/action/rollback.go). If only its wait failed, it
    has the description of a failed installation, which is a first revision, or comes after an uninstalled one."""
    last, before = rows[-1], rows[-2].status if len(rows) > 1 else ""
    waited = last.description.startswith('Release "') and before not in ("", "uninstalled")
    failed = last.status == "failed" and (waited or last.description.startswith('Rollback "'))
    return failed or last.status == "pending-rollback"


def last_that_ran(rows: Sequence[HistoryRow]) -> int | None:
    """The last revision before the current one whose deployment succeeded."""
    return next((row.revision for row in reversed(rows[:-1]) if has_run(row.status, row.description)), None)


def last_needed(found: Sequence[RevisionInfo], most: int) -> Sequence[RevisionInfo]:
    """The last `most` revisions that ran and all later ones, of revisions sorted oldest first. They always include the deployed one
    and the one that a rollback would go to. Later ones that failed do not count towards `most`, but their pods may run."""
    ran = [place for place, each in enumerate(found) if has_run(each.status, each.description)]
    deployed = [place for place, each in enumerate(found) if each.status == "deployed"]
    target = [place for place in ran if place < len(found) - 1]
    return found[min([*ran[-most:], *deployed, *target[-1:]], default=0) :]


def refuse_moved(release: str, before: HistoryRow, now: HistoryRow) -> None:
    """Raise HelmFailed if the latest revision is not the one that was read before: somebody else is deploying."""
    from helmpin.release.outcome import moved

    if change := moved(release, before, now):
        raise HelmFailed(
            f"{change} while this ran",
            where=f"release {release}",
            hint=f"run it again; {helm_command(f'pin history {release}')} shows what changed",
        )


def made_since(
    rows: Sequence[HistoryRow], latest: int, description: str, failed: tuple[str, ...]
) -> tuple[HistoryRow | None, Sequence[HistoryRow]]:
    """The revision after `latest` that this command made, and all later ones. It is found by helm's description, or by the start
    of the description of a failed one.

    Its number is the next one, unless somebody else deployed in between. If theirs has the same description, the first one counts.
    """
    for place, row in enumerate(rows):
        if row.revision > latest and (row.description == description or row.description.startswith(failed)):
            return row, rows[place + 1 :]
    return None, ()


def not_verified(release: str, number: int, error: HelmPinError) -> HelmFailed:
    """The error for a deployed revision that could not be read back: what is known comes first."""
    hint = f"{helm_command(f'pin verify {release}')} verifies it"
    return HelmFailed(
        f"Revision {number} is deployed, not verified: {error.what}",
        where=error.where,
        why=error.why,
        hint=f"{hint}; {error.hint}" if error.hint else hint,
    )
