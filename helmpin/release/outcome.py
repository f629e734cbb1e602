"""The outcome of a deployment: the revisions before and after it, whose descriptions have helm's reasons for a failure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from helmpin import lifeline
from helmpin.errors import HelmFailed, HelmPinError, HelmStopped, NoRelease
from helmpin.helm import Helm
from helmpin.named_tuple import NamedTuple
from helmpin.next_command import helm_command
from helmpin.process import ending

if TYPE_CHECKING:
    from helmpin.foreground import Ended
    from helmpin.helm import HelmProcess

_TRIES = 3
SECRET_BYTES = 1 << 20
"""The size limit of a Secret or ConfigMap (kubernetes/pkg/apis/core/types.go, MaxSecretSize)."""


class HistoryRow(NamedTuple):
    """One revision, as `helm history` shows it."""

    revision: int
    status: str
    description: str

    @property
    def rolls_back_to(self) -> int:
        """The revision that a rollback goes to; 0 where helm's description does not say so: if it failed, or --description gave
        another one."""
        target = self.description.removeprefix("Rollback to ")
        return int(target) if target != self.description and target.isdecimal() else 0


NO_RELEASE = HistoryRow(0, "", "")


class History:
    """The latest revisions. The constructor starts to read them; `rows()` waits."""

    def __init__(self, helm: Helm, release: str, most: int) -> None:
        self._running: HelmProcess = helm.start(["history", release, "--max", str(most), "--output", "json"])

    def rows(self) -> list[HistoryRow]:
        """Oldest first; empty if there is no such release. Raises HelmFailed."""
        try:
            rows = json.loads(self._running.output())
        except NoRelease:
            return []
        return [HistoryRow(int(row["revision"]), str(row["status"]), str(row["description"])) for row in rows]

    def latest(self) -> HistoryRow:
        """The latest revision, or NO_RELEASE. Raises HelmFailed."""
        return (self.rows() or [NO_RELEASE])[-1]


class Baseline:
    """The latest revision when planning began, for which the plan is made. The constructor starts to read it."""

    def __init__(self, helm: Helm, release: str) -> None:
        self._helm, self._release = helm, release
        self._reading = History(helm, release, 1)

    def latest(self) -> HistoryRow:
        """Raises HelmFailed if a second attempt to read it fails too."""
        with suppress(HelmFailed):
            return self._reading.latest()
        try:
            return History(self._helm, self._release, 1).latest()
        except HelmFailed as error:
            from helmpin.release.errors import explained

            raise explained(error, self._release) from None


def guard(before: HistoryRow, command: str) -> str:
    """A template that renders nothing, and fails if `before` is no longer the latest revision. Helm renders it when it has begun to
    deploy, so no other deployment can come in between unnoticed."""
    anew = command == "install" or before.status in ("", "uninstalled")
    expected = 1 if anew else before.revision + 1  # an installation renders as revision 1 (pkg/action/install.go)
    why = "helm-pin: the release got another revision after the plan was made, so nothing is deployed"
    return f'{{{{ if ne .Release.Revision {expected} }}}}{{{{ fail "{why}" }}}}{{{{ end }}}}'


def moved(release: str, before: HistoryRow, now: HistoryRow) -> str:
    """How a release has changed since `before`; '' if it has not."""
    if now[:2] == before[:2]:
        return ""
    if now.revision == before.revision:
        return f"revision {now.revision}, which was {before.status}, became {now.status}"
    if now.revision:
        return f"revision {now.revision} was made by somebody else"
    return f"release {release} was uninstalled by somebody else"


def stop_if_asked(helm: Helm, release: str, before: HistoryRow, ended: Ended) -> None:
    """After a deployment: raise Stopped if a signal came meanwhile, so that main() reports the state of the release."""
    if ended.asked:
        lifeline.if_stopped(state(helm, release, before))
        raise lifeline.Stopped(ended.asked)


def state(helm: Helm, release: str, before: HistoryRow) -> str:
    """The state in which a stopped helm left a release, in one sentence."""
    try:
        known = _read_despite_signals(helm, release)
    except HelmPinError as error:
        return f"the state of release {release} cannot be read: {error.why}"
    if rows := [row for row in known if row.revision > before.revision]:
        said = "; ".join(f"revision {row.revision} is {row.status}: {row.description}" for row in rows)
        return f"{said}{_after_pending(release, known)}"
    return f"revision {before.revision} is still the latest" if before.revision else f"there is no release {release}"


def _read_despite_signals(helm: Helm, release: str) -> list[HistoryRow]:
    """The latest revisions. Each Ctrl-C ends every program of the terminal, the helm that reads them too. Raises HelmFailed."""
    for _ in range(_TRIES):
        with suppress(HelmStopped):
            return History(helm, release, 10).rows()
    return History(helm, release, 10).rows()


def after_pending(helm: Helm, release: str) -> str:
    """What to do about a helm that has ended and left a release pending, which locks it; '' if it did not, or that is not known."""
    with suppress(HelmPinError):
        known = History(helm, release, 10).rows()
        way = _after_pending(release, known).removeprefix("; ") if known else ""
        return f"the release stays locked until then: {way}" if way else ""
    return ""


def _after_pending(release: str, known: Sequence[HistoryRow]) -> str:
    """What to do if the latest revision is pending; else ''."""
    if not known[-1].status.startswith("pending-"):
        return ""
    if to := known[-1].rolls_back_to:
        return f"; {helm_command(f'pin rollback {release} {to}')} continues it"
    ran = [row.revision for row in known if row.status == "deployed"]
    return f"; {helm_command(f'pin rollback {release} {ran[-1]}')} goes back" if ran else ""


def failure(helm: Helm, arguments: Sequence[str], before: HistoryRow, status: int, record: str = "") -> HelmFailed:
    """The error after `helm ARGUMENTS` failed. Its output is on the terminal already.

    record: that of the revision that helm was to make, which tells it from those of others.
    """
    command, release = arguments[:2]
    what, where = f"helm {command} failed; see its output above", f"release {release}"
    why = [f"helm {ending(status)}"] if status < 0 else []
    try:
        known = History(helm, release, 10).rows()
        change = moved(release, before, (known or [NO_RELEASE])[-1])
        rows = [row for row in known if row.revision > before.revision and _is_of(helm, release, row.revision, record)]
    except HelmPinError as error:
        why.append(f"the state of the release cannot be read: {error.why}")
        return HelmFailed(
            what, where=where, why="\n".join(why), hint=f"check it later with {helm_command(f'history {release}')}"
        )
    if change and not known:  # it cannot be known whether helm had stored its revision before
        hint = "check helm's output above for whether it had begun to change objects, then run it again"
        return HelmFailed(f"{change} while this ran", where=where, why="no revision is stored", hint=hint)
    if change and not rows:
        return HelmFailed(f"{change} while this ran; nothing was deployed", where=where, hint="run it again")
    back = known[-1:] if rows and _has_gone_back(known) else []  # its record is an older one
    why += [f"revision {row.revision} is {row.status}" for row in rows if row not in back]
    why += [f"revision {row.revision} is {row.status}: {row.description}" for row in back]
    why += [] if rows else [_nothing_stored(arguments, known)]
    return HelmFailed(what, where=where, why="\n".join(why), hint=_next_step(helm, arguments, before, rows, known))


def _nothing_stored(arguments: Sequence[str], known: Sequence[HistoryRow]) -> str:
    flag = next((arg for arg in arguments if arg.partition("=")[0] in ("--atomic", "--rollback-on-failure")), "")
    if known or not flag or flag.endswith("=false"):
        return "no revision was stored"
    return f"no revision is stored; {flag} uninstalls a first one that fails: see above whether its objects and hooks had run"


def _is_of(helm: Helm, release: str, revision: int, record: str) -> bool:
    from helmpin.release.reading import read_revision

    return not record or read_revision(helm, release, revision).record_text == record


def _next_step(
    helm: Helm, arguments: Sequence[str], before: HistoryRow, rows: Sequence[HistoryRow], known: Sequence[HistoryRow]
) -> str:
    command, release = arguments[:2]
    descriptions = " ".join(row.description for row in rows)
    ran = [row.revision for row in known if row.status == "deployed"]  # a superseded one may never have run to its end
    last = str(ran[-1]) if ran else "REVISION"
    back = f"{helm_command(f'rollback {release} {last}')} goes back to the last revision that was deployed"
    back += "" if ran else f"; see {helm_command(f'history {release}')}"
    if "conflict with" in descriptions and "--force-conflicts" in helm.flags(command):
        return "another field manager owns fields that helm must set; add --force-conflicts to take them over"
    if "field is immutable" in descriptions:
        return "delete the immutable object; or, if only a digest changes in it, let the image through: --allow-unpinned IMAGE:TAG"
    if rows and rows[-1].status.startswith("pending-"):
        return f"helm ended before it had finished; {back}"
    if before.status.startswith("pending-"):
        return f"revision {before.revision} is {before.status}: if no other helm is at work on it, {back}"
    again = "correct what helm reports above, and run it again"
    if not rows:
        return _hidden(helm, release, known) or _no_namespace(helm, known) or _too_long(helm, arguments) or again
    if command == "install":  # the name is in use now
        return (
            f"correct what helm reports above, and run {helm_command('pin upgrade --install')} with the same arguments"
        )
    return again if _has_gone_back(known) or not ran else f"{again}; or {back}"


def _has_gone_back(known: Sequence[HistoryRow]) -> bool:
    """Whether helm itself has rolled the release back (--rollback-on-failure)."""
    return known[-1].description.startswith("Rollback to ")


def _hidden(helm: Helm, release: str, known: Sequence[HistoryRow]) -> str:
    """If helm skips a later revision that it cannot read, and so makes none of that number: what to do; else ''."""
    from helmpin.kubectl import Kubectl
    from helmpin.release.damaged import hidden, way_out

    with suppress(HelmPinError):
        latest = known[-1].revision if known else 0
        return way_out(hidden(Kubectl(helm), release, latest), latest) if latest else ""
    return ""


def _no_namespace(helm: Helm, known: Sequence[HistoryRow]) -> str:
    """If the namespace of a first revision does not exist: what to do; else ''."""
    from helmpin.kubectl import Kubectl

    with suppress(HelmPinError):
        kubectl = Kubectl(helm)
        if not known and kubectl.no_namespace():
            return f"add --create-namespace to have helm make namespace {kubectl.namespace}, or correct its name"
    return ""


def _too_long(helm: Helm, arguments: Sequence[str]) -> str:
    """If the release is too big to be stored: its size, and how much of it are helm-pin's record and its own templates (it may also
    have changed the chart's); else ''."""
    from helmpin.asked import ANNOTATION
    from helmpin.chart import OWN_FOLDER
    from helmpin.release.storage import stored_as

    if not stored_as():
        return ""
    try:
        whole = json.loads(helm.run([*arguments, "--dry-run=client", "--output=json"]))
        size = _stored_size(whole)
        del whole["chart"]["metadata"]["annotations"][ANNOTATION]
        record = size - _stored_size(whole)
        for part in ("templates", "files"):
            kept = [each for each in whole["chart"].get(part) or [] if not each["name"].startswith(OWN_FOLDER)]
            whole["chart"][part] = kept
        added = size - _stored_size(whole)
    except (HelmFailed, ValueError, LookupError, TypeError):
        return ""
    if size < SECRET_BYTES:
        return ""
    templates = f" and {added - record} its templates" if added > record else ""
    values = (
        "Have values set the images that it pins in templates (helm pin plan shows them), remove"
        if templates
        else "Remove"
    )
    return (
        f"the stored release has about {size} bytes, {record} of them helm-pin's record{templates}; a Secret can hold "
        f"{SECRET_BYTES}. {values} files from the chart (.helmignore), or store releases in a database (HELM_DRIVER=sql)"
    )


def _stored_size(release: object) -> int:
    """The size as helm stores it: base64 of gzip of JSON (pkg/storage/driver/util.go, encodeRelease)."""
    import zlib

    return len(zlib.compress(json.dumps(release, ensure_ascii=False).encode(), 9)) * 4 // 3
