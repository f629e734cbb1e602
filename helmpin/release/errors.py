"""What helm's errors about a stored release mean, and what to do about them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from helmpin import env
from helmpin.errors import HelmFailed, NoRelease, Unreadable
from helmpin.named_tuple import NamedTuple
from helmpin.next_command import helm_command

if TYPE_CHECKING:
    from helmpin.helm import Helm
    from helmpin.release.damaged import Damaged

_DAMAGED = re.compile(r"^panic: |nil pointer evaluating|^no revision for release|failed to decode data", re.MULTILINE)
"""helm's messages about a stored release that lacks a part (from its own code and from reading._PARTS), about one that cannot be
decoded (pkg/storage/driver, Get), and about a release without a single readable revision (pkg/storage/storage.go, Last)."""


class _Asked(NamedTuple):
    """What helm was asked for."""

    release: str
    revision: int | None
    namespace: str
    """That of the flag; '' for none."""
    context: str | None
    """That of the flag; None for none."""

    @property
    def where(self) -> str:
        """The place of the error."""
        which = f"release {self.release}" + (f", revision {self.revision}" if self.revision else "")
        which += f", context {self.context}" if self.context is not None else ""
        driver = env.storage_driver()
        return f"{which}, namespace {self.namespace or env.namespace()}" + (f", HELM_DRIVER={driver}" if driver else "")

    def history(self) -> str:
        """The command that lists the revisions."""
        return helm_command(f"pin history {self.release}", namespace=self.namespace, context=self.context or "")


def explained(
    error: HelmFailed,
    release: str,
    revision: int | None = None,
    flags: Sequence[str] = (),
    *,
    helm: Helm | None = None,
) -> HelmFailed:
    """Helm's error about a stored release, with its name and place, and what to do. helm: to look for damaged revisions, if they
    may be the cause."""
    named = dict(flag.removeprefix("--").partition("=")[::2] for flag in flags)
    asked = _Asked(release, revision, named.get("namespace", ""), named.get("kube-context"))
    is_damaged = _DAMAGED.search(error.why)
    may_be_damaged = is_damaged or (isinstance(error, NoRelease) and not revision)
    found, latest = _damaged(helm, asked) if helm and may_be_damaged else ([], 0)
    if found:
        return _unreadable(error, asked, found, latest)
    what = f"release {release} cannot be read"
    if is_damaged:
        hint = "a stored revision is damaged: restore it from a backup, or delete that revision"
        return Unreadable(what, where=asked.where, why=error.why, hint=hint)
    if isinstance(error, NoRelease):
        return _missing(error, asked)
    if not error.what.startswith("helm "):  # it says what is wrong with the name
        return HelmFailed(error.what, where=asked.where, why=error.why, hint=error.hint)
    from helmpin.cluster_advice import advice

    hint = advice(error.why, asked.namespace or env.namespace(), context=asked.context or "")
    return HelmFailed(what, where=asked.where, why=error.why, hint=hint)


def _unreadable(error: HelmFailed, asked: _Asked, found: Sequence[Damaged], latest: int) -> Unreadable:
    """The error about damaged revisions. latest: the latest revision that is not damaged."""
    from helmpin.release.damaged import way_out

    hint = way_out(found, latest)
    if asked.revision and latest > asked.revision:  # helm continues from the latest, whatever becomes of this one
        hint = f"restore it from a backup, or choose another revision: {asked.history()}"
    own = [] if error.why.startswith("panic: ") else [error.why]
    why = "\n".join([*(each.why for each in found), *own])
    return Unreadable(f"release {asked.release} cannot be read", where=asked.where, why=why, hint=hint)


def _missing(error: NoRelease, asked: _Asked) -> NoRelease:
    """The error about a release or a revision that is not there."""
    what = f"there is no {f'revision {asked.revision} of ' if asked.revision else ''}release {asked.release}"
    releases = helm_command("list --all-namespaces", namespace=None, context=asked.context or "")
    hint = f"{asked.history()} lists its revisions, " if asked.revision else ""
    hint += f"{releases} lists releases with their namespaces"
    return NoRelease(what, where=asked.where, why=error.why, hint=hint)


def _damaged(helm: Helm, asked: _Asked) -> tuple[list[Damaged], int]:
    """The damaged revisions of a release, and the latest that is not; see damaged.damaged_objects()."""
    from helmpin.kubectl import Kubectl
    from helmpin.release.damaged import damaged_objects

    kubectl = Kubectl(helm, context=asked.context or "", namespace=asked.namespace)
    found, latest = damaged_objects(kubectl, asked.release)
    return [each for each in found if each.name], latest
