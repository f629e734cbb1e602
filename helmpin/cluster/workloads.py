"""The live objects of a release: whether they have the release's images, and who has set others.

No I/O: it judges objects as the API sends them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from helmpin.image import find
from helmpin.image.documents import read
from helmpin.image.uses import may_have_images
from helmpin.named_tuple import NamedTuple
from helmpin.shapes import mapping

Object = dict[str, Any]
Slot = tuple[str, ...]
"""Where an image stands in an object: its path, with the container's name in place of its index, which changes when containers are
added."""
RELEASE_NAME, RELEASE_NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"
"""The annotations that helm puts on each object of a release (helm's pkg/action/validate.go)."""
RELEASE = "the release"
"""For people: what an object is compared with, if its maker applied it. A manifest or a lock may differ from what was applied, so a
difference from one does not show who changed the object."""
MARKS = (("f:metadata", "f:ownerReferences"), ("f:metadata", "f:annotations", f"f:{RELEASE_NAME}"))
"""The fields that only the maker of an object sets: a controller on its pods, helm on a release's objects."""


class Doubt(NamedTuple):
    """A container that reports another digest than the one it should run. Both may mean the same image."""

    where: str
    image: str
    """As it should be, with its digest."""
    reported: str
    """The imageID."""


class Seen:
    """What live objects or pods show, one line per finding. Mutable: it is filled by the comparisons."""

    def __init__(self) -> None:
        self.right = 0
        """Live objects, or containers, that are as they should be."""
        self.wrong: list[str] = []
        self.added: list[str] = []
        """Those of `wrong` about containers that somebody has added. Helm leaves them, and does not fail because of them."""
        self.settling: list[str] = []
        """What may change by itself: pods that have not started, or are of an older revision during a rollout."""
        self.staying: list[str] = []
        """Pods of an older revision that no rollout replaces."""
        self.silent: list[str] = []
        """What is unknown: a node that reports no image, a digest that no registry was asked about."""
        self.notes: list[str] = []
        self.doubts: list[Doubt] = []
        self.at_admission: list[Object] = []
        """Objects whose images differ although only their maker has set them."""
        self.depends_on_history = False
        """Whether the images of other revisions of the release would tell more: of containers that only the maker of their object
        has added, and of pods that may be of an older revision."""


def with_images(manifest: str) -> list[Object]:
    """The objects of a stored manifest that run images. Raises HelmFailed, or one of release.revision.UNREADABLE."""
    documents = filter(may_have_images, read(manifest))
    found = [item for d in documents for item in d.objects() if isinstance(item, dict) and any(find.images(item))]
    for item in found:
        name = mapping(item.get("metadata")).get("name")
        if not (name and isinstance(name, str)):
            raise ValueError(f"a {item.get('kind')} has no name{' that is a text' if name else ''}")
    return found


def identity(item: Object, namespace: str) -> tuple[str, str, str, str]:
    """(API group, kind, namespace, name); `namespace` for an object that names none."""
    metadata = item.get("metadata") or {}
    group = str(item.get("apiVersion", "")).rpartition("/")[0]
    return (group, str(item.get("kind")), str(metadata.get("namespace") or namespace), str(metadata.get("name")))


def name_of(item: Object) -> str:
    """KIND/name, for people."""
    return f"{item.get('kind')}/{item['metadata'].get('name')}"


def slots(item: Object) -> dict[Slot, str]:
    """The images of an object by where they stand."""
    return {slot_of(item, path): image for image, path in find.images(item)}


def slot_of(item: Object, path: find.ObjectPath) -> Slot:
    """Where the image at a path stands."""
    *_, last = [0, *(i for i, part in enumerate(path) if isinstance(part, int))]
    within = path[last + 1 : -2 if path[-1] == "reference" else -1]
    return (*map(str, path[:last]), find.container_name(item, path) or str(path[last]), *map(str, within))


def compare_specs(
    pairs: Iterable[tuple[Object, Object | None]],
    others: Mapping[str, str] = MappingProxyType({}),
    owner: str = RELEASE,
) -> Seen:
    """Whether live objects have the images of the stored ones (first of each pair).

    others: why an object may have an image of another revision of the release (one that failed may have changed some objects), by
    image; '' stands for every other image, if not all revisions are known. owner: what says how they should be, for people.
    """
    seen = Seen()
    for stored, now in pairs:
        if now is None and removes_itself(stored):
            seen.notes.append(f"{name_of(stored)} is not there: it is removed when it has finished")
        elif now is None:
            seen.wrong.append(f"{name_of(stored)} is not in the cluster")
        else:
            _compare_spec(stored, now, others, owner, seen)
    return seen


def removes_itself(stored: Object) -> bool:
    """Whether an object is expected to be deleted after a while."""
    return stored.get("kind") == "Job" and "ttlSecondsAfterFinished" in (stored.get("spec") or {})


def _compare_spec(stored: Object, now: Object, others: Mapping[str, str], owner: str, seen: Seen) -> None:
    name, has, wants = name_of(stored), slots(now), slots(stored)
    more = [slot for slot in has if slot not in wants]
    appliers = [_setters(now, slot, makers_too=True) for slot in wants] if owner != RELEASE else []
    added = {slot: why for slot in more if (why := _added(now, slot, others, appliers))}
    seen.depends_on_history |= owner == RELEASE and len(added) < len(more)
    if not added and all(has.get(slot) == image for slot, image in wants.items()):
        seen.right += 1
    for slot, image in wants.items():
        if slot not in has:
            seen.wrong.append(f"{name}: container {slot[-1]} is missing (it should run {image})")
        elif has[slot] != image:
            known = others.get(has[slot], others.get("")) if not _setters(now, slot) else None
            seen.wrong.append(
                f"{name} {slot[-1]} has {has[slot]}, {owner} says {image}: {known or blame(now, slot, owner)}"
            )
            if not known and at_admission(now, slot, owner):
                seen.at_admission.append(now)
    lines = {slot: f"{name} also has {slot[-1]}, with {has[slot]}" for slot in more}
    by_somebody = [f"{lines[slot]}: {why}" for slot, why in added.items()]
    seen.wrong += by_somebody
    seen.added += by_somebody
    seen.notes += [line for slot, line in lines.items() if slot not in added]  # it may have been injected


def _added(now: Object, slot: Slot, others: Mapping[str, str], appliers: Iterable[Sequence[tuple[str, str]]]) -> str:
    """Who added a container that is not to be there, for people: somebody else than the object's maker or appliers, or another
    revision; '' if it may have been injected at admission, which counts as set by who applied the object."""
    if "ephemeralContainers" in slot:
        return ""
    applied = {manager for setters in appliers for manager, _ in setters}
    if any(manager not in applied for manager, _ in _setters(now, slot)):
        return blame(now, slot, RELEASE)
    return others.get(slots(now)[slot], "")


def blame(now: Object, slot: Slot, owner: str) -> str:
    """Who set an image that is not what `owner` says, for people. If that is RELEASE, the object's maker is not named."""
    by = _setters(now, slot, makers_too=owner != RELEASE)
    if by:
        return "set by " + ", ".join(f"{manager} at {time}" if time else manager for manager, time in by)
    if owner != RELEASE:
        return "who set it is not known"
    if at_admission(now, slot, owner):
        return "changed at admission, or by a revision that is gone"
    return "changed by hand, or at admission"


def at_admission(now: Object, slot: Slot, owner: str) -> bool:
    """Whether an image must have been changed at admission: only the object's maker has set it, and that applied another one."""
    return owner == RELEASE and bool(now["metadata"].get("managedFields")) and not _setters(now, slot)


def _setters(now: Object, slot: Slot, *, makers_too: bool = False) -> list[tuple[str, str]]:
    """Who has set an image, by the object's managed fields: (field manager, time). Without the object's maker, unless
    makers_too."""
    return [
        (str(entry.get("manager")), str(entry.get("time", "")))
        for entry in now["metadata"].get("managedFields") or []
        if (makers_too or not _is_maker(entry)) and _owns(entry.get("fieldsV1") or {}, slot)
    ]


def _is_maker(entry: Mapping[str, Any]) -> bool:
    """Whether a field manager (Kubernetes documentation, Server-Side Apply) is the one that made the object.

    A manager is named after its program's file, which proves nothing; what it has set identifies it. kubectl is never a maker:
    people copy whole objects with it.
    """
    manager, fields = str(entry.get("manager")), entry.get("fieldsV1") or {}
    return not manager.startswith("kubectl") and any(_within(fields, mark) is not None for mark in MARKS)


def _within(fields: Any, path: Iterable[str]) -> Any:
    """What managed fields hold at a path; None if nothing."""
    for part in path:
        fields = fields.get(part) if isinstance(fields, dict) else None
    return fields


def _owns(fields: Any, slot: Slot) -> bool:
    """Whether managed fields hold an image (structured-merge-diff, `f:` fields and `k:` list keys)."""
    for part in slot:
        field = fields.get(f"f:{part}")
        if field == {}:
            return True  # the whole of it is one value, as in custom resources
        named = (key for key in fields if key.startswith("k:") and json.loads(key[2:]) == {"name": part})
        fields = fields.get(next(named, None)) if field is None else field
        if not isinstance(fields, dict):
            return False
    return "f:image" in fields
