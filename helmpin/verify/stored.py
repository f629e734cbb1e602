"""Checks of what helm stores: the record, and whether the manifest agrees with it."""

from __future__ import annotations

from helmpin.errors import HelmFailed, VerificationFailed
from helmpin.output import count
from helmpin.release import record_checks
from helmpin.release.record import Record
from helmpin.release.revision import Revision, disagreements
from helmpin.verify.check import FAILED, OK, SKIPPED, Check


def record_check(stored: Revision) -> tuple[Check, Record | None]:
    """Whether there is a valid record; and what to verify: the record, or without one the manifest's own digests."""
    try:
        record = stored.record()
    except VerificationFailed as error:
        return Check("record", FAILED, error.why, (error.hint,)), None
    if record is not None:
        return Check("record", OK, f"{count(record.size, 'image')}, set {record.set_id}{record.let_through}"), record
    try:
        pinned = record_checks.from_manifest(stored.uses())
    except HelmFailed:  # the check of the manifest reports it
        pinned = None
    if pinned is None:
        return Check("record", FAILED, "not found: helm-pin did not deploy this revision"), None
    return Check("record", SKIPPED, "no record; digests taken from the manifest"), pinned


def manifest_check(stored: Revision, record: Record) -> Check:
    """Whether the stored manifest and hooks use exactly the recorded digests. Raises HelmFailed when they cannot be read."""
    problems = disagreements(record, stored)
    if problems:
        return Check("manifest", FAILED, f"{count(len(problems), 'difference')} from the record", tuple(problems))
    uses = count(len(stored.uses()), "image use")
    return Check(
        "manifest", OK, f"{uses} in manifest and hooks, {'as recorded' if stored.record_text else 'by digest'}"
    )


def pinned_check(stored: Revision) -> tuple[Check, Record | None]:
    """Whether every image of a manifest has a digest; and a record of those digests to compare with, or None."""
    try:
        uses = stored.uses()
        stored.objects()
    except HelmFailed as error:
        return Check("manifest", FAILED, f"it cannot be read: {error.why}"), None
    pinned = record_checks.from_manifest(uses)
    if pinned:
        return Check("manifest", OK, f"{count(len(uses), 'image use')}, by digest"), pinned
    without = tuple(f"{use.place()}: {use.image} has no digest" for use in uses if "@" not in use.image)
    summary = f"{count(len(without), 'image use')} without a digest" if uses else "it runs no images"
    return Check("manifest", FAILED, summary, without), None
