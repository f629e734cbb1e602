"""helm pin verify: five checks that what runs is what was recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator

from helmpin import output
from helmpin.cli import Request
from helmpin.errors import UsageError
from helmpin.helm import Helm
from helmpin.kubectl import Kubectl
from helmpin.pin import release, verify
from helmpin.pin.release import Stored
from helmpin.pin.verify import FAILED, OK, SKIPPED, UNKNOWN, Check

LIVE = ("workloads", "pods")
"""The checks that look at the live cluster."""
MARKS = {OK: "32", FAILED: "31"}
"""ANSI colours of verdicts; the others are yellow."""


def run(request: Request) -> int:
    """Print each check with its verdict. 4 when one failed; 5 when --registry was asked for and a registry did not answer; 1 when
    the cluster would not show something."""
    if request.options["registry"] and request.options["no-registry"]:
        raise UsageError("--registry and --no-registry exclude each other", todo="leave one out")
    stored, is_current = _stored(request)
    checks = list(_checks(request, stored, is_current))
    form = request.options["output"]
    if form == "table":
        _print(stored, checks)
    else:
        output.show(_as_data(stored, checks), form)
    if any(check.verdict == FAILED for check in checks):
        return 4
    unread = [check.name for check in checks if check.unread]
    if "registry" in unread and request.options["registry"]:
        return 5
    return 1 if set(unread) - {"registry"} else 0


def _stored(request: Request) -> tuple[Stored, bool]:
    """The revision to verify, and whether it is the one that is to run."""
    name, revision = request.positionals[0], request.options["revision"]
    if revision is None:
        return _current(request.helm, name), True
    if not (revision.isascii() and revision.isdigit() and int(revision)):
        raise UsageError(
            "--revision takes the number of a revision",
            why=f"it was given {revision!r}",
            todo=f"helm pin history {name} lists the revisions",
        )
    stored = release.read(request.helm, name, int(revision))
    return stored, stored.status == "deployed"


def _current(helm: Helm, name: str) -> Stored:
    """The deployed revision: the latest, unless that one failed or is still on its way. The latest when none is deployed."""
    latest = release.read(helm, name)
    if latest.status == "deployed":
        return latest
    history = json.loads(helm.run(["history", name, "-o", "json"]))
    deployed = [int(row["revision"]) for row in history if row["status"] == "deployed"]
    if not deployed:
        output.say(f"Revision {latest.revision} is {latest.status}; no revision of {name} is deployed.")
        return latest
    output.say(f"Revision {latest.revision} is {latest.status}; revision {deployed[-1]} is the one deployed.")
    return release.read(helm, name, deployed[-1])


def _checks(request: Request, stored: Stored, is_current: bool) -> Iterator[Check]:
    first, record = verify.record_check(stored)
    yield first
    if record is None:
        for name in ("manifest", "registry", *LIVE):
            yield Check(name, SKIPPED, "there is no record to compare with")
        return
    yield verify.manifest_check(stored, record)
    kubectl = Kubectl(request.helm)
    registries = None if request.options["no-registry"] else verify.registries(request.settings, stored, kubectl)
    if registries is None:
        yield Check("registry", SKIPPED, "not asked (--no-registry)")
    else:
        yield verify.registry_check(record, registries)
    if not is_current:
        for name in LIVE:
            yield Check(name, SKIPPED, f"revision {stored.revision} is {stored.status}: another one is to run")
    elif stored.status in ("uninstalled", "uninstalling"):
        for name in LIVE:
            yield Check(name, UNKNOWN, "nothing is to run", unread=(f"release {stored.release} is {stored.status}",))
    elif not kubectl.available():
        for name in LIVE:
            yield Check(name, UNKNOWN, "the live cluster is read with kubectl", unread=("there is no kubectl on PATH",))
    else:
        live = verify.read_live(stored, kubectl)
        yield verify.live_check(live, kubectl)
        yield verify.pods_check(live, kubectl, registries)


def _print(stored: Stored, checks: list[Check]) -> None:
    print(f"Release {stored.release}, revision {stored.revision} ({stored.status})")
    for check in checks:
        verdict = output.colour(f"{check.verdict:<12}", MARKS.get(check.verdict, "33"))
        print(f"  {check.name:<10} {verdict} {output.printable(check.summary)}")
        for detail in (*check.details, *(f"not read: {words}" for words in check.unread)):
            output.write(f"             {detail}")
    print(f"{sum(check.verdict == OK for check in checks)} of {len(checks)} checks ok")


def _as_data(stored: Stored, checks: list[Check]) -> dict[str, object]:
    return {
        "release": stored.release,
        "revision": stored.revision,
        "status": stored.status,
        "verified": all(check.verdict == OK for check in checks),
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
