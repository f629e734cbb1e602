"""Stored revisions that cannot be read: helm silently skips them, and shows the one before as the latest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from helmpin.errors import Unreadable
from helmpin.kubectl import Kubectl
from helmpin.named_tuple import NamedTuple
from helmpin.next_command import kubectl_command
from helmpin.release.storage import MOST, decode, decoded, stored_as, stored_objects
from helmpin.shapes import mapping


class Damaged(NamedTuple):
    """A stored object that helm, or helm-pin, cannot read as a revision."""

    name: str
    """The name of the object: `secret/sh.helm.release.v1.web.v3`; '' if nothing is known to be wrong with it."""
    why: str
    """One line, with that name."""
    namespace: str = ""
    context: str = ""
    """Those of the object; the context is '' if it is the one that helm was given."""


def hidden(kubectl: Kubectl, release: str, latest: int) -> list[Damaged]:
    """What is stored of a release after `latest`, the last revision that helm shows: helm silently skips what it cannot read.
    Nothing if releases are not in the API, or if there is no kubectl."""
    # without those that helm may have read, so that usually nothing is left to be sent
    older = ",".join(str(number) for number in range(max(1, latest - MOST + 1), latest + 1))
    return [
        _damaged(kubectl, name, problem)
        if problem
        else Damaged("", f"{name} holds revision {number}, and helm showed none after {latest}")
        for name, number, problem in _examined(kubectl, release, f",version notin ({older})" if older else "")
        if number is None or number > latest
    ]


def hidden_deployed(kubectl: Kubectl, release: str) -> list[Damaged]:
    """The deployed revision of a release of which helm shows none: where it is stored and cannot be read."""
    examined = _examined(kubectl, release, ",status=deployed")
    return [_damaged(kubectl, name, problem) for name, _, problem in examined if problem]


def _damaged(kubectl: Kubectl, name: str, why: str) -> Damaged:
    return Damaged(name, why, kubectl.namespace, kubectl.context)


def refuse_hidden(kubectl: Kubectl, release: str, latest: int, *, also_deployed: bool = False) -> None:
    """Raise Unreadable if anything is stored of a release after `latest`, as hidden() finds it; also_deployed: or a deployed
    revision, where helm shows none."""
    after = f"release {release}, after revision {latest}"
    _refuse(hidden(kubectl, release, latest), "the latest revision cannot be read", after, latest)
    if also_deployed:
        _refuse(hidden_deployed(kubectl, release), "the deployed revision cannot be read", f"release {release}", latest)


def _refuse(lost: list[Damaged], what: str, where: str, latest: int) -> None:
    if lost:
        why = "\n".join(each.why for each in lost)
        hint = way_out(lost, latest) or "run it again"
        raise Unreadable(what, where=where, why=why, hint=hint)


def shows_hidden(kubectl: Kubectl) -> bool:
    """Whether hidden() can find anything."""
    return bool(stored_as()) and kubectl.available()


def none_deployed(latest: int) -> str:
    """The sign that helm has skipped the deployed revision, for people. latest: the last one that it shows, which is superseded."""
    return f"helm shows no deployed revision, and none after {latest}: it skips those that it cannot read"


def damaged_objects(kubectl: Kubectl, release: str) -> tuple[list[Damaged], int]:
    """The stored objects of a release that cannot be read, or lack a part without which helm fails (pkg/release: chart, info); and
    the latest revision that can be read, 0 if there is none."""
    examined = list(_examined(kubectl, release))
    latest = max((number for _, number, problem in examined if number and not problem), default=0)
    return [_damaged(kubectl, name, problem) for name, _, problem in examined if problem], latest


def way_out(found: Sequence[Damaged], latest: int) -> str:
    """What to do about damaged revisions; '' if none is known to be damaged. latest: the latest revision that can be read; 0 for
    none."""
    named = [each for each in found if each.name]
    if not named:
        return ""
    names = " ".join(each.name for each in named)
    delete = kubectl_command(f"delete {names}", namespace=named[0].namespace, context=named[0].context)
    then = f"helm continues from revision {latest}" if latest else "nothing of the release is left in helm"
    return f"restore it from a backup, or delete it, and {then}: {delete}"


def _examined(kubectl: Kubectl, release: str, more: str = "") -> Iterator[tuple[str, int | None, str]]:
    """For each stored object of a release: its name, its revision (None if unknown), and what is wrong with it, or ''. more: a
    further label selector."""
    kind = stored_as()
    if not shows_hidden(kubectl):
        return
    resource = stored_objects(kind, f"owner=helm,name={release}{more}")
    answer = kubectl.lists([resource], kubectl.namespace)[resource]
    yield from (("", None, f"the stored revisions cannot be listed: {line}") for line in answer.errors)
    for item in answer.items:
        read = decoded([item])
        labelled = [*read.found, *read.unreadable]
        number = labelled[0].stored.revision if labelled else None
        name = f"{kind.removesuffix('s')}/{item['metadata'].get('name')}"
        yield name, number, read.unread[0] if read.unread else _missing(item)


def _missing(item: dict[str, Any]) -> str:
    stored = decode(str(item["data"]["release"]), twice=item.get("kind") == "Secret")
    parts = {"chart": mapping(stored.get("chart")).get("metadata"), "info": stored.get("info")}
    lacks = " and ".join(f"no {part}" for part, held in parts.items() if not isinstance(held, dict))
    return f"{item.get('kind')} {item['metadata'].get('name')} is not a whole release: it has {lacks}" if lacks else ""
