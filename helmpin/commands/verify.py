"""helm pin verify: five checks that what runs is what was recorded."""

from __future__ import annotations

from collections.abc import Iterator

from helmpin import output
from helmpin.cli import Request, refuse_registry_flags
from helmpin.errors import HelmFailed, UsageError
from helmpin.helm import Helm
from helmpin.image.reference import Reference
from helmpin.kubectl import Kubectl
from helmpin.registry.details import Details, as_data, lines
from helmpin.registry.errors import RegistryError
from helmpin.release import revision as release
from helmpin.release import revisions
from helmpin.release.outcome import History, Row, moved
from helmpin.release.revision import Stored
from helmpin.verify import checks as verify
from helmpin.verify.checks import FAILED, OK, SKIPPED, UNKNOWN, Check

LIVE = ("workloads", "pods")
"""The checks that look at the live cluster."""
MARKS = {OK: "32", FAILED: "31"}
"""ANSI colours of verdicts; the others are yellow."""


def run(request: Request) -> int:
    """Print each check with its verdict. 4 when one failed; 5 when --registry was given and a registry did not answer; 1 when the
    cluster did not show something."""
    if request.options["no-registry"]:
        if request.options["registry"]:
            raise UsageError("--registry and --no-registry exclude each other", hint="leave one out")
        if request.options["verbose"]:
            raise UsageError("--verbose asks registries, and --no-registry does not", hint="leave one out")
        refuse_registry_flags(request, "with --no-registry")
    stored, latest = _stored(request)
    checks = list(_checks(request, stored, bool(latest) or stored.status == "deployed"))
    form = request.options["output"]
    if form == "table":
        _print(stored, checks)
        if request.options["verbose"]:
            for reference, answer in _details(request, stored).items():
                output.write("\n  ".join((f"\n{reference}", *lines(answer))))
    elif form == "images":
        _print_images(stored, checks)
    else:
        about = {}
        if request.options["verbose"]:
            about = {"details": {str(ref): as_data(answer) for ref, answer in _details(request, stored).items()}}
        output.show({**_as_data(stored, checks), **about}, form)
    failed = [check.name for check in checks if check.verdict == FAILED]
    if latest and not {*LIVE}.isdisjoint(failed):
        _refuse_moved(request, latest)
    if failed:
        return 4
    unread = [check.name for check in checks if check.unread]
    if "registry" in unread and request.options["registry"]:
        return 5
    return 1 if set(unread) - {"registry"} else 0


def _refuse_moved(request: Request, before: Row) -> None:
    """Raise HelmFailed when somebody has deployed since the release was read: what is live is theirs."""
    name = request.positionals[0]
    if change := moved(name, before, History(request.helm, name, 1).latest()):
        raise HelmFailed(f"{change} while this ran", where=f"release {name}", hint="run it again")


def _stored(request: Request) -> tuple[Stored, Row | None]:
    """The revision to verify; and the latest one, where no revision is named."""
    name, revision = request.positionals[0], request.options["revision"]
    if revision is None:
        return _current(request.helm, name)
    if not (revision.isascii() and revision.isdigit() and int(revision)):
        raise UsageError(
            "--revision takes the number of a revision",
            why=f"got {revision!r}",
            hint=f"helm pin history {name} lists the revisions",
        )
    return release.read(request.helm, name, int(revision)), None


def _current(helm: Helm, name: str) -> tuple[Stored, Row]:
    """The deployed revision: the latest, unless that one failed or is still pending. The latest when none is deployed."""
    latest = release.read(helm, name)
    row = Row(latest.revision, latest.status, "")
    if latest.status == "deployed":
        return latest, row
    deployed = [row.revision for row in revisions.history(helm, name) if row.status == "deployed"]
    if not deployed:
        output.say(f"Revision {latest.revision} is {latest.status}; no revision of {name} is deployed.")
        return latest, row
    output.say(f"Revision {latest.revision} is {latest.status}; revision {deployed[-1]} is the one deployed.")
    return release.read(helm, name, deployed[-1]), row


def _checks(request: Request, stored: Stored, is_current: bool) -> Iterator[Check]:
    first, record = verify.record_check(stored)
    yield first
    if record is None:
        yield from _skipped("there is no record to compare with", "manifest", "registry", *LIVE)
        return
    try:
        stored.objects()
        yield verify.manifest_check(stored, record)
    except HelmFailed as error:
        yield Check("manifest", FAILED, f"it cannot be read: {error.why}")
        yield from _skipped("the manifest cannot be read", "registry", *LIVE)
        return
    kubectl = Kubectl(request.helm)
    registries = None if request.options["no-registry"] else verify.registries(request.settings, stored, kubectl)
    if registries is None:
        yield Check("registry", SKIPPED, "not asked (--no-registry)")
    else:
        yield verify.registry_check(record, stored, registries)
    if not is_current:
        yield from _skipped(f"revision {stored.revision} is {stored.status}, not the deployed one", *LIVE)
    elif stored.status in ("uninstalled", "uninstalling"):
        for name in LIVE:
            yield Check(name, UNKNOWN, "nothing is deployed", unread=(f"release {stored.release} is {stored.status}",))
    elif not kubectl.available():
        for name in LIVE:
            yield Check(name, UNKNOWN, "the live cluster is read with kubectl", unread=("there is no kubectl on PATH",))
    else:
        live = verify.read_live(stored, kubectl)
        yield verify.live_check(live, kubectl)
        yield verify.pods_check(live, kubectl, registries)


def _details(request: Request, stored: Stored) -> dict[Reference, Details | RegistryError]:
    """What each image of the release is."""
    from helmpin.registry import details_of

    record = verify.record_check(stored)[1]
    if record is None:
        return {}
    references = verify.askable(record, stored, [use.image for use in stored.uses()])
    return details_of(references, *verify.registries(request.settings, stored, Kubectl(request.helm)))


def _skipped(why: str, *names: str) -> Iterator[Check]:
    return (Check(name, SKIPPED, why) for name in names)


def _print(stored: Stored, checks: list[Check]) -> None:
    print(f"Release {stored.release}, revision {stored.revision} ({stored.status})")
    for check in checks:
        verdict = output.colour(f"{check.verdict:<12}", MARKS.get(check.verdict, "33"))
        print(f"  {check.name:<10} {verdict} {output.printable(check.summary)}")
        for detail in (*check.details, *(f"not read: {words}" for words in check.unread)):
            output.write(f"             {detail}")
    print(f"{sum(check.verdict == OK for check in checks)} of {len(checks)} checks ok")


def _print_images(stored: Stored, checks: list[Check]) -> None:
    """The images of the release, by digest; what is wrong is said beside it."""
    record = verify.record_check(stored)[1]
    output.print_images((image.reference, image.digest) for image in (record.images if record else ()))
    for check in checks:
        if check.verdict == FAILED:
            output.say("\n  ".join((f"{check.name}: {check.verdict}, {check.summary}", *check.details)))


def _as_data(stored: Stored, checks: list[Check]) -> dict[str, object]:
    return {
        "release": stored.release,
        "revision": stored.revision,
        "status": stored.status,
        "verified": all(check.verdict == OK for check in checks if (check.name, check.verdict) != ("record", SKIPPED)),
        "checks": [
            {
                "check": check.name,
                "verdict": check.verdict,
                "summary": check.summary,
                "details": list(check.details),
                "unread": list(check.unread),
            }
            for check in checks
        ],
    }
