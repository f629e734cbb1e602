"""helm pin verify: checks that what runs is what was recorded, or what a manifest or a lock says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from helmpin import output
from helmpin.arguments import whole_number
from helmpin.errors import HelmFailed, UsageError
from helmpin.files import cannot_read
from helmpin.helm import Helm
from helmpin.image.listing import print_images
from helmpin.image.reference import Reference
from helmpin.kubectl import Kubectl
from helmpin.next_command import helm_command
from helmpin.registry.details import Details, as_data, lines
from helmpin.registry.errors import RegistryError
from helmpin.release import damaged, revisions
from helmpin.release.changes import listed
from helmpin.release.outcome import History, HistoryRow, moved
from helmpin.release.reading import read_revision
from helmpin.release.record import Record
from helmpin.release.revision import Revision
from helmpin.request import Request, refuse_registry_flags
from helmpin.verify import given_manifest
from helmpin.verify.check import FAILED, OK, SKIPPED, UNKNOWN, Check
from helmpin.verify.children import with_children
from helmpin.verify.live import live_check, pods_check, read_live
from helmpin.verify.registries import Registries, askable, registries_for, registry_check, registry_has
from helmpin.verify.stored import manifest_check, pinned_check, record_check

if TYPE_CHECKING:
    from helmpin.lock import Lock
    from helmpin.release.damaged import Damaged
    from helmpin.verify.by_lock import Population

LIVE = ("workloads", "pods")
"""The checks that look at the live cluster."""
NO_RECORD = "there is no record to compare with"
NOT_ASKED = Check("registry", SKIPPED, "not asked (--no-registry)")
COLOURS = {OK: "32", FAILED: "31"}
"""ANSI colours of verdicts; the others are yellow."""


def run(request: Request) -> int:
    """Print each check with its verdict. Returns 4 if one failed, else 5 if --registry was given and a registry did not answer,
    else 1 if something could not be read in the cluster."""
    _check_registry_flags(request)
    _check_subject(request)
    lock = _lock(request)
    latest: HistoryRow | None = None
    if request.positionals:
        stored, latest, lost = _stored(request)
        is_current = (bool(latest) and not lost) or stored.status == "deployed"
        subject: dict[str, object] = {
            "release": stored.release,
            "revision": stored.revision,
            "status": stored.status,
        }
        title = f"Release {stored.release}, revision {stored.revision} ({stored.status})"
        results = [*_latest_check(stored, lost), *_checks(request, stored, lock, is_current=is_current)]
    else:
        title, subject, stored, results = _without_release(request, lock)
    if lock:
        subject["lock"] = lock.name
        title += f", {lock.name}"
    _show(request, title, subject, stored, results)
    failed = [check.name for check in results if check.verdict == FAILED]
    if latest and not {*LIVE}.isdisjoint(failed):
        _refuse_moved(request, latest)
    if failed:
        return 4
    unread = [check.name for check in results if check.unread]
    if "registry" in unread and request.options["registry"]:
        return 5
    return 1 if set(unread) - {"registry"} else 0


def _check_registry_flags(request: Request) -> None:
    """Raise UsageError for flags that exclude each other."""
    if request.options["verbose"] and request.options["output"] == "images":
        raise UsageError("--verbose has no effect with -o images", hint="leave one out")
    if request.options["no-registry"]:
        if request.options["registry"]:
            raise UsageError("--registry and --no-registry exclude each other", hint="leave one out")
        if request.options["verbose"]:
            raise UsageError("--verbose asks registries, and --no-registry does not", hint="leave one out")
        refuse_registry_flags(request, "with --no-registry")


def _show(request: Request, title: str, subject: dict[str, object], stored: Revision, results: list[Check]) -> None:
    form = request.options["output"]
    if form == "table":
        _print(title, results)
        if request.options["verbose"]:
            for reference, answer in _details(request, stored).items():
                output.write("\n  ".join((f"\n{reference}", *lines(answer))))
    elif form == "images":
        _print_images(stored, results)
    else:
        from helmpin import structured

        about = {}
        if request.options["verbose"]:
            about = {"details": {str(ref): as_data(answer) for ref, answer in _details(request, stored).items()}}
        structured.show({**subject, **checks_as_data(results), **about}, form)


def _without_release(request: Request, lock: Lock | None) -> tuple[str, dict[str, object], Revision, list[Check]]:
    """What is verified without a release: its title, its data, its manifest, and the checks of it."""
    kubectl, name = Kubectl(request.helm), request.options["manifest"]
    title, subject = f"Namespace {kubectl.namespace}", {"namespace": kubectl.namespace}
    if not name:
        assert lock is not None
        here = _population(request, kubectl)
        return title, {**subject}, here.as_manifest(), list(_lock_checks(request, lock, kubectl, here))
    stored = given_manifest.given(name, _text(name))
    results = list(_checks(request, stored, lock, is_current=True))
    return f"{title}, manifest {name}", {**subject, "manifest": name}, stored, results


def _check_subject(request: Request) -> None:
    """Raise UsageError unless the command line names one thing to verify."""
    given, manifest, lock = request.positionals, request.options["manifest"], request.options["lock"]
    if not (given or manifest or lock):
        raise UsageError("verify takes a RELEASE, --manifest FILE or --lock FILE", hint="see helm pin verify --help")
    if given and manifest:
        raise UsageError(
            "a RELEASE and --manifest exclude each other",
            hint="leave one out: a release is compared with its own manifest",
        )
    if request.options["revision"] is not None and not given:
        raise UsageError("--revision requires a RELEASE", hint="helm pin verify RELEASE --revision N")
    if request.options["selector"] and (given or manifest):
        raise UsageError("--selector is for --lock alone", why="otherwise the objects are those of the manifest")


def _lock(request: Request) -> Lock | None:
    if not request.options["lock"]:
        return None
    from helmpin.lock.source import LockReading

    return LockReading(request.settings._replace(lock=request.options["lock"], locked=False), request.helm).result()


def _text(name: str) -> str:
    """What a manifest's file holds; `-` is standard input."""
    try:
        return (sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise cannot_read("the manifest", "standard input" if name == "-" else name, error) from None


def _refuse_moved(request: Request, before: HistoryRow) -> None:
    """Raise HelmFailed when somebody has deployed since the release was read: what is live is theirs."""
    name = request.positionals[0]
    if change := moved(name, before, History(request.helm, name, 1).latest()):
        raise HelmFailed(f"{change} while this ran", where=f"release {name}", hint="run it again")


def _stored(request: Request) -> tuple[Revision, HistoryRow | None, list[Damaged]]:
    """The revision to verify; where no revision is named, the latest one that helm shows, and what is stored after that."""
    name, revision = request.positionals[0], request.options["revision"]
    if revision is None:
        return _current(request.helm, name)
    number = whole_number(revision)
    if number is None:
        raise UsageError(
            "--revision takes the number of a revision",
            why=f"got {revision!r}",
            hint=f"{helm_command(f'pin history {name}')} lists the revisions",
        )
    return read_revision(request.helm, name, number), None, []


def _current(helm: Helm, name: str) -> tuple[Revision, HistoryRow, list[Damaged]]:
    """The deployed revision: the latest, unless that one failed or is still pending. The latest when none is deployed."""
    latest = read_revision(helm, name)
    row, lost = HistoryRow(latest.revision, latest.status, ""), damaged.hidden(Kubectl(helm), name, latest.revision)
    if hint := damaged.way_out(lost, latest.revision):
        output.say(f"The latest revision of {name} cannot be read: {hint}")
    if latest.status == "deployed":
        return latest, row, lost
    deployed = [row.revision for row in revisions.history(helm, name) if row.status == "deployed"]
    if not deployed:
        lost = lost or damaged.hidden_deployed(Kubectl(helm), name)
        if latest.status == "superseded" and not damaged.shows_hidden(Kubectl(helm)):
            lost = [damaged.Damaged("", damaged.none_deployed(latest.revision))]
        others = "" if lost else f"; no revision of {name} is deployed"
        output.say(f"Revision {latest.revision} is {latest.status}{others}.")
        return latest, row, lost
    output.say(f"Revision {latest.revision} is {latest.status}; revision {deployed[-1]} is the one deployed.")
    return read_revision(helm, name, deployed[-1]), row, lost


def _latest_check(stored: Revision, lost: list[Damaged]) -> Iterator[Check]:
    """A further check if there is a revision that helm does not show: then the others do not show what is deployed."""
    if lost:
        summary = f"not read; the checks are of revision {stored.revision}"
        yield Check("latest", UNKNOWN, summary, unread=tuple(each.why for each in lost))


def _population(request: Request, kubectl: Kubectl) -> Population:
    from helmpin.verify import by_lock

    if kubectl.available():
        return by_lock.population(kubectl, request.options["selector"] or "")
    return by_lock.Population(kubectl.namespace, [], [], ("there is no kubectl on PATH",))


def _lock_checks(request: Request, lock: Lock, kubectl: Kubectl, here: Population) -> Iterator[Check]:
    """The checks of a namespace against a lock alone, without a release or a manifest."""
    from helmpin.verify import by_lock

    stored = here.as_manifest()
    registries = _registries(request, stored, kubectl)
    wanted = by_lock.wanted(lock, registries)
    if registries is None:
        yield NOT_ASKED
    else:
        record = Record("", "", tuple(wanted.images()))
        check = registry_has(record.images, registries)
        yield with_children(check, record, stored, registries, kubectl, request.settings.platforms)
    yield from by_lock.live_checks(wanted, here, kubectl, registries)


def _registries(request: Request, stored: Revision, kubectl: Kubectl) -> Registries | None:
    return None if request.options["no-registry"] else registries_for(request.settings, stored, kubectl)


def _to_compare(stored: Revision) -> tuple[list[Check], Record | None, str]:
    """The checks that need only the record and the manifest; and the record to compare the rest with, or None and why."""
    if not stored.revision:
        check, found = pinned_check(stored)
        return (
            [check],
            found,
            "the manifest does not have every digest" if check.details else "there is no image to compare",
        )
    first, record = record_check(stored)
    if record is None:
        return [first, Check("manifest", SKIPPED, NO_RECORD)], None, NO_RECORD
    try:
        stored.objects()
        return [first, manifest_check(stored, record)], record, ""
    except HelmFailed as error:
        failed = Check("manifest", FAILED, f"it cannot be read: {error.why}")
        return [first, failed], None, "the manifest cannot be read"


def _checks(request: Request, stored: Revision, lock: Lock | None, *, is_current: bool) -> Iterator[Check]:
    results, record, why = _to_compare(stored)
    yield from results
    if record is None:
        yield from _skipped(why, *(["lock"] if lock else []), "registry", *LIVE)
        return
    kubectl = Kubectl(request.helm)
    registries = _registries(request, stored, kubectl)
    if lock:
        from helmpin.verify import by_lock

        wanted = by_lock.wanted(lock, registries)
        yield by_lock.lock_check(wanted, record, is_recorded=bool(stored.record_text), of_jobs=stored.digests_of_jobs())
    if registries is None:
        yield NOT_ASKED
    else:
        check = registry_check(record, stored, registries)
        yield with_children(check, record, stored, registries, kubectl, request.settings.platforms)
    if not is_current:
        status = stored.status or "without a status"
        yield from _skipped(f"revision {stored.revision} is {status}, not the deployed one", *LIVE)
    elif stored.status in ("uninstalled", "uninstalling"):
        for name in LIVE:
            yield Check(name, UNKNOWN, "nothing is deployed", unread=(f"release {stored.release} is {stored.status}",))
    elif not kubectl.available():
        for name in LIVE:
            yield Check(name, UNKNOWN, "the live cluster is read with kubectl", unread=("there is no kubectl on PATH",))
    else:
        live = read_live(stored, kubectl)
        yield live_check(live, kubectl)
        yield pods_check(live, kubectl, registries)


def _details(request: Request, stored: Revision) -> dict[Reference, Details | RegistryError]:
    """What each image of the release is."""
    from helmpin.registry import details_of

    record = record_check(stored)[1]
    if record is None:
        return {}
    references = askable(record, stored)
    return details_of(references, *registries_for(request.settings, stored, Kubectl(request.helm)))


def _skipped(why: str, *names: str) -> Iterator[Check]:
    return (Check(name, SKIPPED, why) for name in names)


def _print(title: str, results: list[Check]) -> None:
    output.write(title)
    for check in results:
        verdict = output.colour(f"{check.verdict:<12}", COLOURS.get(check.verdict, "33"))
        print(f"  {check.name:<10} {verdict} {output.printable(check.summary)}")
        for detail in (*check.details, *(f"not read: {words}" for words in check.unread)):
            output.write(f"             {detail}")
    print(f"{sum(check.verdict == OK for check in results)} of {len(results)} checks ok")


def _print_images(stored: Revision, results: list[Check]) -> None:
    """Print the images of the release, by digest, and each failed check on standard error."""
    images: set[str] = set()
    with suppress(HelmFailed):  # a check says so
        images = {use.image for use in stored.uses()}
    print_images(listed(images, record_check(stored)[1]))
    for check in results:
        if check.verdict == FAILED:
            output.say("\n  ".join((f"{check.name}: {check.verdict}, {check.summary}", *check.details)))


def checks_as_data(results: list[Check]) -> dict[str, object]:
    """What `-o json` prints of the checks (docs/json.md)."""
    return {
        "verified": all(check.verdict == OK for check in results if (check.name, check.verdict) != ("record", SKIPPED)),
        "checks": [
            {
                "check": check.name,
                "verdict": check.verdict,
                "summary": check.summary,
                "details": list(check.details),
                "unread": list(check.unread),
            }
            for check in results
        ],
    }
