"""helm pin audit: drift over many releases, and between environments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from helmpin import output
from helmpin.cli import Request
from helmpin.errors import UsageError
from helmpin.pin.audit import KINDS, Audit, Release, audit


def run(request: Request) -> int:
    """Print the audit; 4 when something that --fail-on names was found."""
    fail_on = request.options["fail-on"] or ("drift",)
    if unknown := [kind for kind in fail_on if kind not in (*KINDS, "none")]:
        raise UsageError(f"--fail-on does not know {unknown[0]!r}", todo=f"one of {', '.join(KINDS)}, none")
    everywhere = request.options["all-namespaces"]
    registry = request.settings.registry if request.options["registry"] else None
    contexts = request.options["context"] or ("",)
    audits = [audit(request.helm, context, everywhere=everywhere, settings=registry) for context in contexts]
    form = request.options["output"]
    if form == "prometheus":
        print(_prometheus(audits))
    elif form == "html":
        print(_html(audits))
    elif form == "table":
        print(_table(audits))
    else:
        output.show(as_data(audits), form)
    for one in audits:
        for line in one.unread:
            output.say(f"Not read{' in ' + one.context if one.context else ''}: {line}; what needs it is left out")
    return 4 if any(set(fail_on) & set(r.kinds) for one in audits for r in one.releases) else 0


def as_data(audits: list[Audit]) -> dict[str, Any]:
    """The audit as data: each context's releases, and how they differ between contexts."""
    contexts = [
        {"context": one.context, "unread": list(one.unread), "releases": [_release(r) for r in one.releases]}
        for one in audits
    ]
    return {"contexts": contexts, "differences": differences(audits)}


def differences(audits: list[Audit]) -> list[dict[str, Any]]:
    """Releases (by namespace and name) whose digest sets differ between contexts, or that one of them lacks."""
    if len(audits) < 2:
        return []
    sides = [{(r.namespace, r.name): r for r in one.releases} for one in audits]
    found = []
    for namespace, name in sorted({key for side in sides for key in side}):
        mine = [side.get((namespace, name)) for side in sides]
        if len({r.set_id if r else None for r in mine}) == 1:
            continue
        references = sorted({reference for r in mine if r for reference in r.images})
        images = {ref: [r.images.get(ref) if r else None for r in mine] for ref in references}
        found.append(
            {
                "namespace": namespace,
                "release": name,
                "sets": {one.context: r.set_id if r else None for one, r in zip(audits, mine, strict=True)},
                "images": {ref: digests for ref, digests in images.items() if len(set(digests)) > 1},
            }
        )
    return found


def _release(r: Release) -> dict[str, Any]:
    return {
        "namespace": r.namespace,
        "release": r.name,
        "revision": r.revision,
        "chart": r.chart,
        "set": r.set_id or None,
        "verdict": _verdict(r),
        "kinds": list(r.kinds),
        "images": r.images,
        "details": list(r.details),
    }


def _verdict(r: Release) -> str:
    return ", ".join(r.kinds) or "ok"


def _table(audits: list[Audit]) -> str:
    several = len(audits) > 1
    rows = []
    for one in audits:
        for r in one.releases:
            row = (r.namespace, r.name, str(r.revision), r.chart, r.set_id or "-", _verdict(r))
            rows.append((one.context, *row) if several else row)
    headers = ("NAMESPACE", "RELEASE", "REVISION", "CHART", "SET", "VERDICT")
    parts = [output.table(("CONTEXT", *headers) if several else headers, rows) if rows else "No releases."]
    details = [f"{r.namespace}/{r.name}: {line}" for one in audits for r in one.releases for line in r.details]
    parts += ["", *details] if details else []
    for difference in differences(audits):
        sets = ", ".join(f"{context} {set_id or '-'}" for context, set_id in difference["sets"].items())
        parts.append(f"{difference['namespace']}/{difference['release']} differs: {sets}")
        parts += [
            f"  {ref}: {' / '.join(output.short(d) if d else '-' for d in ds)}"
            for ref, ds in difference["images"].items()
        ]
    return "\n".join(parts)


def _prometheus(audits: list[Audit]) -> str:
    """The text exposition format (prometheus.io/docs/instrumenting/exposition_formats)."""
    lines = [
        "# HELP helm_pin_release_info A release and its digest set.",
        "# TYPE helm_pin_release_info gauge",
    ]
    every = [r for one in audits for r in one.releases]
    lines += [f'helm_pin_release_info{{{_labels(r)},revision="{r.revision}",set="{r.set_id}"}} 1' for r in every]
    lines += [
        "# HELP helm_pin_release_finding Whether the audit found this kind of deviation in the release.",
        "# TYPE helm_pin_release_finding gauge",
    ]
    lines += [
        f'helm_pin_release_finding{{{_labels(r)},kind="{kind}"}} {int(kind in r.kinds)}'
        for r in every
        for kind in KINDS
    ]
    lines += [
        "# HELP helm_pin_audit_unread Kinds of object that could not be read.",
        "# TYPE helm_pin_audit_unread gauge",
    ]
    lines += [f'helm_pin_audit_unread{{context="{_escaped(one.context)}"}} {len(one.unread)}' for one in audits]
    return "\n".join(lines)


def _labels(r: Release) -> str:
    pairs = {"context": r.context, "namespace": r.namespace, "release": r.name, "chart": r.chart}
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _html(audits: list[Audit]) -> str:
    """One self-contained page; the data is in it as JSON, which cannot end the script element that holds it."""
    page = (Path(__file__).parent / "audit.html").read_text()
    return page.replace("DATA", json.dumps(as_data(audits)).replace("<", "\\u003c"))
