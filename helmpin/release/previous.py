"""The release that an upgrade starts from, as helm has stored it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from helmpin import output
from helmpin.asked import DEFAULTS, RELEASE
from helmpin.chart.setargs import dotted_key, lookup
from helmpin.errors import HelmFailed, NoRelease, Unreadable, VerificationFailed
from helmpin.helm import Helm, HelmProcess
from helmpin.named_tuple import NamedTuple
from helmpin.release.record import Record, Undo
from helmpin.release.revision import RAN, Revision, has_run
from helmpin.shapes import text_of

if TYPE_CHECKING:
    from helmpin.release.storage import RevisionInfo


_DIGITS = re.compile("[0-9a-f]{64}")
_ROLLBACK = re.compile(r"Rollback to (\d+)")
_UPGRADED = ("Upgrade ", "Install ", "Preparing ", "Release ")
"""helm's descriptions of a rollback, and the beginnings of the others, unless --description gives one (pkg/action)."""


class Previous(NamedTuple):
    """The release that an upgrade starts from."""

    last: int
    """The number of the latest revision."""
    revision: int
    """The revision whose values helm reuses: the deployed one, or the latest if none is deployed."""
    status: str
    """Of the latest revision."""
    config: Mapping[str, Any]
    undo: tuple[Undo, ...]
    """For each digest that helm-pin put into `config`: what stood there before."""
    recorded: int = 0
    """The revision whose record that is; 0 if there is none."""
    bad_record: VerificationFailed | None = None
    """Why these digests cannot be known. It does not matter if no values are reused."""

    @property
    def installs_anew(self) -> bool:
        """Whether `helm upgrade --install` installs: the release was uninstalled with --keep-history."""
        return self.status == "uninstalled"

    @property
    def is_undo_of_earlier(self) -> bool:
        """Whether plain helm has made `revision`, with another version of the chart perhaps: an earlier one has the record."""
        return self.recorded != self.revision

    @property
    def has_run(self) -> bool:
        """Whether `revision` was ever deployed: not if every revision has failed, or is pending."""
        return self.revision != self.last or self.status in RAN


class PreviousReading:
    """The release. The constructor starts to read it; `result()` waits. Mutable."""

    def __init__(self, helm: Helm, release: str) -> None:
        self._helm, self._release = helm, release
        self._running: HelmProcess | None = self._start()
        self._previous: Previous | None = None

    def _start(self, revision: int | None = None) -> HelmProcess:
        at = ["--revision", str(revision)] if revision else []
        return self._helm.start(["get", "all", self._release, *at, "--template", RELEASE])

    def result(self) -> Previous | None:
        """The release that helm upgrade would start from, or None if there is none. Raises HelmFailed; Unreadable if the deployed
        revision, or one after those that helm shows, is stored and cannot be read."""
        if self._running is not None:
            try:
                self._previous = self._read(self._running)
            except NoRelease:
                pass
            except Unreadable:
                raise
            except HelmFailed as error:
                from helmpin.release.errors import explained

                raise explained(error, self._release, helm=self._helm) from None
            self._running = None
        return self._previous

    def _read(self, running: HelmProcess) -> Previous:
        last, status, record, config = json.loads(running.output())
        revision = last
        if status != "deployed":
            deployed = self._last_deployed()
            if deployed is None and status != "uninstalled":
                self._refuse_hidden(last, status)
            elif deployed not in (None, last):
                revision, _, record, config = json.loads(self._start(deployed).output())
        values = _decoded(config) or {}
        bad_record: VerificationFailed | None = None
        recorded, undo = 0, tuple[Undo, ...]()
        text = _decoded(record)
        try:
            if text:
                recorded, undo = revision, self._undo(revision, text)
            elif _may_hold_pins(values):
                recorded, undo = self._kept_undo(revision, values)
        except VerificationFailed as error:
            bad_record = error
        undo = tuple(entry for entry in undo if lookup(values, entry.path) is not None)
        return Previous(
            last=last,
            revision=revision,
            status=status,
            config=values,
            undo=undo,
            recorded=recorded,
            bad_record=bad_record,
        )

    def _refuse_hidden(self, last: int, status: str) -> None:
        """Raise Unreadable if helm skips a later revision, or the deployed one, because it cannot read it."""
        from helmpin.kubectl import Kubectl
        from helmpin.release.damaged import none_deployed, refuse_hidden, shows_hidden

        kubectl = Kubectl(self._helm)
        if status == "superseded" and not shows_hidden(kubectl):
            output.say(f"Release {self._release}: {none_deployed(last)}.")
        refuse_hidden(kubectl, self._release, last, also_deployed=True)

    def _last_deployed(self) -> int | None:
        rows = json.loads(self._helm.run(["history", self._release, "-o", "json"]))
        return max((int(row["revision"]) for row in rows if row.get("status") == "deployed"), default=None)

    def _kept_undo(self, revision: int, values: Mapping[str, Any]) -> tuple[int, tuple[Undo, ...]]:
        """For a revision that plain helm has made: what undoes the digests in its values that helm-pin put there earlier, and the
        revision that has it in its record."""
        from helmpin.release import revisions

        found = {info.stored.revision: info for info in revisions.read_all(self._helm, self._release).found}
        source = found.get(revision)
        while source and not source.stored.record_text:
            source = found.get(_source_of(source, found))
        if source is None:
            return 0, ()
        pinned = source.stored
        config = _decoded(json.loads(self._start(pinned.revision).output())[3])
        undo = self._undo(pinned.revision, pinned.record_text)
        return pinned.revision, tuple(still_there(undo, config or {}, values))

    def _undo(self, revision: int, text: str) -> tuple[Undo, ...]:
        """Those of a record. Raises VerificationFailed."""
        name, status = self._release, ""
        return _record(Revision(name, revision, status, record_text=text, manifest="", hooks="")).undo


def _source_of(info: RevisionInfo, found: Mapping[int, RevisionInfo]) -> int:
    """The revision whose values plain helm has reused for this one, or copied in a rollback, with the manifest; 0 if none."""
    before = [number for number in found if number < info.stored.revision]
    if (rollback := _ROLLBACK.fullmatch(info.description)) and int(rollback[1]) in before:
        return int(rollback[1])
    ran = [number for number in before if has_run(found[number].status, found[number].description)]
    own_words = not info.description.startswith(_UPGRADED)
    copied = [number for number in before if own_words and found[number].stored.manifest == info.stored.manifest]
    return max(copied or ran or before, default=0)


def still_there(undo: Iterable[Undo], then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Undo]:
    """What undoes the digests that are still in the values of a later revision as helm-pin has set them. What somebody has replaced
    since is left alone; of a list, the elements that are the same count, wherever they stand by now.

    then, now: the user's values of the revision that `undo` belongs to, and of the later one.
    """
    for entry in undo:
        depth = next((i for i, part in enumerate(entry.path) if isinstance(part, int)), len(entry.path))
        outer, inner = entry.path[:depth], entry.path[depth:]
        was, held = lookup(then, outer), lookup(now, outer)
        if was is not None and was == held:
            yield entry
        elif inner and isinstance(was, list) and isinstance(held, list):
            same = lookup(was, inner[:1])
            for i in [i for i, element in enumerate(held) if element == same]:
                path = (*outer, i, *inner[1:])
                yield Undo(path, entry.was, entry.was is not None, max(entry.user_depth, len(path) - 1))


def _record(stored: Revision) -> Record:
    """The record of a stored revision. Raises VerificationFailed, which says how to deploy without it."""
    try:
        record = stored.record()
    except VerificationFailed as error:
        raise VerificationFailed(
            error.what,
            where=error.where,
            why=f"{error.why}\nso the digests in the values that would be reused cannot be taken out",
            hint="give all values (-f, --set), or --reset-values: then no values are reused, and a new record is written",
        ) from None
    assert record is not None
    return record


def _decoded(value: Any) -> Any:
    """Decode the output of RELEASE: strings are hexadecimal, lists end with a null, and maps are lists of pairs."""
    if isinstance(value, str):
        return bytes.fromhex(value).decode(errors="surrogateescape")
    if isinstance(value, list):
        return [_decoded(item) for item in value[:-1]]
    if isinstance(value, dict):
        return {_decoded(pair[0]): _decoded(pair[1]) for pair in value["map"][:-1]}
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(value)  # as helm get values prints it: all its numbers are float64
    return value


def _may_hold_pins(node: Any) -> bool:
    """Whether values hold a digest, or an empty text: helm-pin may have emptied a tag there."""
    words = (text := json.dumps(node)).split('"')
    return (
        "sha256:" in text
        or '""' in text
        or any(len(word) == 64 and set(word) <= set("0123456789abcdef") for word in words)
    )


def chart_defaults(helm: Helm, release: str, revision: int) -> dict[str, Any]:
    """The default values of a stored revision's chart. Raises HelmFailed."""
    at = ["--revision", str(revision), "--template", DEFAULTS]
    return _decoded(json.loads(helm.run(["get", "all", release, *at]))) or {}


def undo_among_defaults(
    helm: Helm, release: str, previous: Previous, values: Mapping[str, Any], chart_values: str
) -> tuple[Undo, ...]:
    """What undoes helm-pin's digests where the user's values have nothing. Plain helm with --reuse-values makes all earlier values
    the chart's (pkg/action/upgrade.go, reuseValues), ours too, and a null of the user then brings them back. A digest counts as
    ours if a record has it at that path, unless the chart has it, or had it by a later record. values: all of the revision, without
    the digests that are known. chart_values: the text of the chart's values files. Raises HelmFailed."""
    from helmpin.release import revisions

    found: dict[tuple[str | int, ...], Undo] = {}
    if not _DIGITS.search(json.dumps(values)):  # as usual
        return ()
    of_chart = set(_DIGITS.findall(chart_values))
    for info in reversed(revisions.read_all(helm, release).found):
        with suppress(VerificationFailed):
            record = info.stored.record()
            if record is None:
                continue
            of_chart |= {image.digest.partition(":")[2] for image in record.images if image.via == "chart"}
            for entry in record.undo:
                held, key = text_of(lookup(values, entry.path)), dotted_key(entry.path)
                ours = {image.digest.partition(":")[2] for image in record.images if key in image.values} - of_chart
                if lookup(previous.config, entry.path) is None and any(digest in held for digest in ours):
                    found.setdefault(entry.path, entry)
    return tuple(found.values())
