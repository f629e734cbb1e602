"""What helm's errors about a stored release mean, and what to do about them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from helmpin import env
from helmpin.errors import HelmFailed, NoRelease, Unreadable
from helmpin.next_command import helm_command

if TYPE_CHECKING:
    from helmpin.helm import Helm
    from helmpin.release.damaged import Damaged

_DAMAGED = re.compile(r"^panic: |nil pointer evaluating|^no revision for release|failed to decode data", re.MULTILINE)
"""helm's messages about a stored release that lacks a part (from its own code and from reading._PARTS), about one that cannot be
decoded (pkg/storage/driver, Get), and about a release without a single readable revision (pkg/storage/storage.go, Last)."""


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
    from helmpin.cluster_advice import advice

    named = dict(flag.removeprefix("--").partition("=")[::2] for flag in flags)
    namespace = named.get("namespace") or env.namespace()
    driver = env.storage_driver()
    which = f"release {release}" + (f", revision {revision}" if revision else "")
    which += f", context {named['kube-context']}" if "kube-context" in named else ""
    where = f"{which}, namespace {namespace}" + (f", HELM_DRIVER={driver}" if driver else "")
    is_damaged = _DAMAGED.search(error.why)
    may_be_damaged = is_damaged or (isinstance(error, NoRelease) and not revision)
    found, latest = _damaged(helm, release, named) if helm and may_be_damaged else ([], 0)
    if found:
        from helmpin.release.damaged import way_out

        what, hint = f"release {release} cannot be read", way_out(found, latest)
        if revision and latest > revision:  # helm continues from the latest, whatever becomes of this one
            shows = f"pin history {release}"
            history = helm_command(shows, namespace=named.get("namespace", ""), context=named.get("kube-context", ""))
            hint = f"restore it from a backup, or choose another revision: {history}"
        own = [] if error.why.startswith("panic: ") else [error.why]
        return Unreadable(what, where=where, why="\n".join([*(each.why for each in found), *own]), hint=hint)
    if is_damaged:
        what = f"release {release} cannot be read"
        hint = "a stored revision is damaged: restore it from a backup, or delete that revision"
        return Unreadable(what, where=where, why=error.why, hint=hint)
    if isinstance(error, NoRelease):
        what = f"there is no {f'revision {revision} of ' if revision else ''}release {release}"
        context = named.get("kube-context", "")
        history = helm_command(f"pin history {release}", namespace=named.get("namespace", ""), context=context)
        releases = helm_command("list --all-namespaces", namespace=None, context=context)
        hint = f"{history} lists its revisions, " if revision else ""
        hint += f"{releases} lists releases with their namespaces"
        return NoRelease(what, where=where, why=error.why, hint=hint)
    if not error.what.startswith("helm "):  # it says what is wrong with the name
        what, hint = error.what, error.hint
    else:
        what, hint = (
            f"release {release} cannot be read",
            advice(error.why, namespace, context=named.get("kube-context", "")),
        )
    return HelmFailed(what, where=where, why=error.why, hint=hint)


def _damaged(helm: Helm, release: str, named: Mapping[str, str]) -> tuple[list[Damaged], int]:
    """The damaged revisions of a release, and the latest that is not; see damaged.damaged_objects()."""
    from helmpin.kubectl import Kubectl
    from helmpin.release.damaged import damaged_objects

    context, namespace = named.get("kube-context", ""), named.get("namespace", "")
    found, latest = damaged_objects(Kubectl(helm, context=context, namespace=namespace), release)
    return [each for each in found if each.name], latest
