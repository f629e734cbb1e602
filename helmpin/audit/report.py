"""An audit as data, as metrics and as a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from helmpin import __version__
from helmpin.audit.environments import EnvironmentRow, side_by_side
from helmpin.audit.findings import KINDS, Audit, Release
from helmpin.output import printable
from helmpin.verify.tags import Moved


def as_data(audits: Sequence[Audit]) -> dict[str, Any]:
    """Everything that was found, as -o json prints it."""
    return {
        "tool": f"helm-pin {__version__}",
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "contexts": [_context(audit) for audit in audits],
        "comparison": [_row(row, audits) for row in side_by_side(list(audits))],
    }


def _context(audit: Audit) -> dict[str, Any]:
    return {
        "context": audit.context,
        "releases": [_release(r) for r in audit.releases],
        "mixed": [{"image": m.image, "pods": m.pods} for m in audit.mixed],
        "unread": list(audit.unread),
        "unanswered": [f"{registry}: {why}" for registry, why in audit.unanswered],
    }


def _release(r: Release) -> dict[str, Any]:
    return {
        "namespace": r.namespace,
        "release": r.name,
        "revision": r.revision,
        "status": r.status,
        "updated": r.updated,
        "chart": r.chart,
        "set": r.set_id or None,
        "pinned": f"{r.pinned}/{len(r.digests)}",
        "verdict": verdict(r),
        "kinds": r.kinds,
        "containers": r.containers,
        "images": {reference: digest or None for reference, digest in r.images.items()},
        **({"kept": [{"reference": reference, "digest": digest} for reference, digest in r.kept]} if r.kept else {}),
        "findings": [{"kind": f.kind, "text": f.text} for f in r.findings],
        "notes": list(r.notes),
        **({"details": {digest: known.as_data() for digest, known in r.details.items()}} if r.details else {}),
        "moved": None if r.moved is None else [as_moved(each) for each in r.moved],
    }


def as_moved(moved: Moved) -> dict[str, Any]:
    """A tag that has moved, as data."""
    return {"reference": moved.reference, "from": moved.was, "to": moved.now or None, "since": moved.since or None}


def verdict(release: Release) -> str:
    """The kinds of finding in words, or `ok`."""
    return ", ".join(release.kinds) or "ok"


def _row(row: EnvironmentRow, audits: Sequence[Audit]) -> dict[str, Any]:
    names = [audit.context for audit in audits]
    sides = dict(zip(names, row.sides, strict=True))
    return {
        "release": row.name,
        "chart": row.chart,
        "same": row.same,
        "releases": {name: side.name if side else None for name, side in sides.items()},
        "namespaces": {name: side.namespace if side else None for name, side in sides.items()},
        "sets": {name: (side.set_id or None) if side else None for name, side in sides.items()},
        "images": {image: dict(zip(names, digests, strict=True)) for image, digests in row.differing.items()},
    }


def prometheus(audits: Sequence[Audit]) -> str:
    """Metrics in the text exposition format (prometheus.io/docs/instrumenting/exposition_formats)."""
    every = [r for audit in audits for r in audit.releases]
    info = [(_labels(r, chart=r.chart, revision=str(r.revision), set=r.set_id), 1) for r in every]
    found = [(_labels(r, kind=k), sum(f.kind == k for f in r.findings)) for r in every for k in KINDS]
    moved = [(_labels(r), len(r.moved)) for r in every if r.moved is not None]
    unread = [
        (_text({"context": a.context}), len(a.unread) + len({registry for registry, _ in a.unanswered})) for a in audits
    ]
    contexts = {audit.context: _text({"context": audit.context}) for audit in audits}
    metrics: list[tuple[str, str, list[tuple[str, int]]]] = [
        ("release_info", "A deployed release, its chart, revision and digest set.", info),
        ("release_images", "Images of the release.", [(_labels(r), len(r.digests)) for r in every]),
        ("release_images_pinned", "Images of the release that have a digest.", [(_labels(r), r.pinned) for r in every]),
        *([("release_images_moved", "Images whose tag points to another digest now.", moved)] if moved else []),
        ("release_findings", f"What the audit found: {', '.join(KINDS)}.", found),
        ("audit_releases", "Releases that were audited.", [(contexts[a.context], len(a.releases)) for a in audits]),
        ("audit_unread", "Things that could not be read, and registries that did not answer.", unread),
        ("audit_timestamp_seconds", "When the audit was made.", [("", int(datetime.now(timezone.utc).timestamp()))]),
    ]
    lines = []
    for name, about, samples in metrics:
        lines += [f"# HELP helm_pin_{name} {about}", f"# TYPE helm_pin_{name} gauge"]
        lines += [f"helm_pin_{name}{labels} {value}" for labels, value in samples]
    return "\n".join(lines)


def _labels(r: Release, **more: str) -> str:
    return _text({"context": r.context, "namespace": r.namespace, "release": r.name, **more})


def _text(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return printable(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def page(audits: Sequence[Audit]) -> str:
    """One self-contained page. The data is in it as JSON, written so that it cannot end the element that holds it."""
    data = json.dumps({**as_data(audits), "meanings": KINDS}, ensure_ascii=False).replace("<", "\\u003c")
    return (Path(__file__).parent / "page.html").read_text(encoding="utf-8").replace("__DATA__", data)
