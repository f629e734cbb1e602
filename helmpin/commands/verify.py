"""helm pin verify: five checks that what runs is what was recorded."""

from __future__ import annotations

from helmpin import output
from helmpin.cli import Request
from helmpin.errors import UsageError
from helmpin.kubectl import Kubectl
from helmpin.pin import release, verify
from helmpin.pin.verify import FAILED, SKIPPED, Check


def run(request: Request) -> int:
    """Print each check with its verdict; 4 when one failed."""
    revision = request.options["revision"]
    if revision is not None and not revision.isdigit():
        raise UsageError("--revision takes a number", why=f"it was given {revision!r}")
    stored = release.read(request.helm, request.positionals[0], int(revision) if revision else None)
    checks = list(_checks(request, stored))
    form = request.options["output"]
    if form == "table":
        print(f"Release {stored.release}, revision {stored.revision} ({stored.status})")
        for check in checks:
            print(f"  {check.name:<10} {check.verdict:<12} {check.summary}")
            for detail in check.details:
                print(f"             {detail}")
    else:
        data = [
            {"check": c.name, "verdict": c.verdict, "summary": c.summary, "details": list(c.details)} for c in checks
        ]
        output.show(
            {"release": stored.release, "revision": stored.revision, "status": stored.status, "checks": data}, form
        )
    return 4 if any(check.verdict == FAILED for check in checks) else 0


def _checks(request: Request, stored: release.Stored) -> list[Check]:
    registry = None if request.options["no-registry"] else request.settings.registry
    first, record = verify.record_check(stored)
    if record is None:
        rest = ("manifest", "registry", "workloads", "pods")
        return [first, *(Check(name, SKIPPED, "there is no record to compare with") for name in rest)]
    checks = [first, verify.manifest_check(stored, record)]
    checks.append(
        verify.registry_check(record, registry) if registry is not None else Check("registry", SKIPPED, "--no-registry")
    )
    if stored.status != "deployed":
        return [
            *checks,
            *(
                Check(name, SKIPPED, f"revision {stored.revision} is {stored.status}, not deployed")
                for name in ("workloads", "pods")
            ),
        ]
    kubectl = Kubectl(request.helm)
    live = verify.live_objects(stored, kubectl)
    return [*checks, verify.live_check(live), verify.pods_check(live, record, kubectl, registry)]
