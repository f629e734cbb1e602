"""Verifying against a lock: whether a record has its digests, and, without a release, whether live objects have them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from helmpin.cluster.pods import Pods, compare_pods, idle
from helmpin.cluster.workloads import Object, Seen, blame, compare_specs, name_of, slot_of
from helmpin.errors import UsageError
from helmpin.image import find
from helmpin.image.reference import Reference, split
from helmpin.kubectl import Kubectl, Objects
from helmpin.lock import Lock, source
from helmpin.named_tuple import NamedTuple
from helmpin.output import count
from helmpin.registry import Resolved
from helmpin.release.record import Image, Record
from helmpin.release.revision import Revision, of_manifest
from helmpin.verify.check import FAILED, OK, UNKNOWN, Check
from helmpin.verify.live import RESOURCES, judged, judged_pods
from helmpin.verify.registries import Registries


class LockDigests(NamedTuple):
    """The digests of a lock, as far as they are known."""

    name: str
    digests: Mapping[Reference, str]
    unsettled: Mapping[Reference, str]
    """References for which it does not give exactly one digest, and why."""
    kept: Mapping[Reference, frozenset[str]] = MappingProxyType({})
    """Further digests of a reference, which Jobs may keep."""

    def images(self) -> list[Image]:
        """The digests, as images to ask registries for."""
        return [Image(str(r), str(r), digest, media_type="", via="values") for r, digest in self.digests.items()]

    def find(self, image: str) -> Reference | None:
        """The lock's reference for an image. A template may leave out the tag: then repository and digest must match."""
        reference = Reference.read(image)
        if reference is None:
            return None
        bare = reference._replace(digest=None)
        if bare in self.digests or bare in self.unsettled:
            return bare
        if reference.tag:
            return None
        return next((r for r, d in self.digests.items() if (r.name, d) == (reference.name, reference.digest)), None)

    def instead(self, image: str) -> str:
        """For an image that the lock has neither by reference nor by digest: what it has of the same repository; '' if nothing, or
        if that is unsettled."""
        reference = Reference.read(image)
        if reference is None:
            return ""
        own = {r: digest for r, digest in self.digests.items() if r.name == reference.name}
        if reference.digest in own.values() or any(r.name == reference.name for r in self.unsettled):
            return ""
        return ", ".join(str(r._replace(digest=own[r])) for r in sorted(own, key=str))


class Population(NamedTuple):
    """What a namespace runs."""

    namespace: str
    tops: list[Object]
    """The objects to compare: those that no other object of the namespace owns."""
    everything: list[Object]
    unread: tuple[str, ...]
    selector: str = ""
    """The labels that chose the objects to compare; '' for all."""

    def as_manifest(self) -> Revision:
        """The objects to compare, for functions that read manifests."""
        return of_manifest(f"namespace {self.namespace}", "".join(f"---\n{json.dumps(item)}\n" for item in self.tops))


def wanted(lock: Lock, registries: Registries | None) -> LockDigests:
    """The digests of a lock. registries: how to ask for images of which it has only the platforms' digests; None not to ask."""
    digests = {**lock.digests}
    unsettled = {reference: f"{lock.name} has {why}" for reference, why in lock.conflicts.items()}
    if registries is None:
        unsettled |= dict.fromkeys(lock.platforms, f"{lock.name} has digests of platforms, and no registry was asked")
        return LockDigests(lock.name, digests, unsettled, lock.kept)
    for reference, answer in source.resolve(lock, lock.platforms, *registries).items():
        if isinstance(answer, Resolved):
            digests[reference] = answer.digest
        else:
            unsettled[reference] = getattr(answer, "why", "") or str(answer)
    return LockDigests(lock.name, digests, unsettled, lock.kept)


def lock_check(lock: LockDigests, record: Record, *, is_recorded: bool, of_jobs: Collection[str] = ()) -> Check:
    """Whether a release or manifest has the lock's digests. It fails if it has no image of the lock, unless there is nothing to
    lock.

    is_recorded: whether the record was stored, not made from a manifest. Then it tells which images the chart itself pins: those
    need no line. of_jobs: the digests that only Jobs have, which may be those that the Jobs of the lock's release keep.
    """
    wrong: list[str] = []
    unknown: list[str] = []
    used = False
    for image in record.images:
        whole = f"{image.reference}@{image.digest}"
        reference, is_tagged = lock.find(whole), split(image.reference)[1] is not None
        used = used or reference is not None
        if reference is not None and reference in lock.unsettled:
            unknown.append(f"{image.reference}: {lock.unsettled[reference]}")
        elif reference is not None and image.digest not in {
            lock.digests[reference],
            *(lock.kept.get(reference, frozenset()).intersection(of_jobs)),
        }:
            wrong.append(f"{image.reference} has {image.digest}, {lock.name} has {lock.digests[reference]}")
        elif reference is None and image.via != "chart":
            wrong.append(f"{image.reference} is not in {lock.name}")
        elif reference is None and not (is_recorded and is_tagged) and (instead := lock.instead(whole)):
            wrong.append(f"{image.reference} has {image.digest}, {lock.name} has {instead}")
        elif reference is None:
            unknown.append(f"{image.reference} is not in {lock.name}")
    by_tag = {image: reference for image in record.allowed if (reference := lock.find(image)) in lock.digests}
    wrong += [f"{image} has no digest, {lock.name} has {lock.digests[ref]}" for image, ref in by_tag.items() if ref]
    right = f"{count(len(record.images) - len(wrong) - len(unknown), 'image')} as in {lock.name}"
    if not used and not wrong and (lock.digests or lock.unsettled or not is_recorded):
        wrong.append(f"none of these images is in {lock.name}")
    if wrong:
        return Check("lock", FAILED, f"{count(len(wrong), 'difference')} from {lock.name}", (*wrong, *unknown))
    if unknown:
        return Check("lock", UNKNOWN, f"{right}; {len(unknown)} could not be checked", tuple(unknown))
    return Check("lock", OK, right)


def population(kubectl: Kubectl, selector: str = "") -> Population:
    """What kubectl's namespace runs. selector: a label selector for the objects to compare, on their own labels. Raises UsageError
    if it is not one."""
    every = kubectl.lists(RESOURCES.values(), kubectl.namespace)
    everything = [item for answer in every.values() for item in answer.items]
    known = {item["metadata"]["uid"] for item in everything}
    chosen, answers = known, [*every.values()]
    if selector:
        query = f"labelSelector={quote(selector, safe='')}"
        some = kubectl.lists([f"{resource}?{query}" for resource in RESOURCES.values()], kubectl.namespace)
        _check_selector(selector, list(every.values()), list(some.values()))
        chosen = {item["metadata"]["uid"] for answer in some.values() for item in answer.items}
        answers += some.values()
    tops = [item for item in everything if item["metadata"]["uid"] in chosen and not _owners(item) & known]
    unread = dict.fromkeys(error for answer in answers for error in answer.errors)
    if not everything and not unread:
        unread = dict.fromkeys(kubectl.no_namespace())
    return Population(
        namespace=kubectl.namespace, tops=tops, everything=everything, unread=tuple(unread), selector=selector
    )


def _check_selector(selector: str, every: Sequence[Objects], some: Sequence[Objects]) -> None:
    """Raise UsageError if the API finds fault with a request for some objects, and not with the same one for all."""
    for whole, chosen in zip(every, some, strict=True):
        if not whole.errors and (why := next((e for e in chosen.errors if "(BadRequest)" in e), "")):
            raise UsageError(
                "--selector takes a label selector",
                where=f"--selector {selector}",
                why=why,
                hint="for example -l app=web or -l 'app in (web, api)'",
            )


def _owners(item: Object) -> set[Any]:
    return {owner.get("uid") for owner in item["metadata"].get("ownerReferences") or []}


def live_checks(
    lock: LockDigests, here: Population, kubectl: Kubectl, registries: Registries | None
) -> tuple[Check, Check]:
    """Whether the workloads of a namespace have the lock's digests, and whether their pods run them."""
    seen, pairs = compare(lock, here)
    pods = compare_pods(pairs, Pods(here.everything, are_all=not here.unread), lock.name)
    if not here.tops:
        pods.silent.append("nothing was seen whose pods could be compared")
    judged_ones, resting = {id(now) for _, now in pairs}, idle(here.tops)
    pods.silent += [
        f"what the pods of {name_of(top)} should run is unknown"
        for top in here.tops
        if id(top) not in judged_ones and top["metadata"]["uid"] not in resting
    ]
    return (
        judged("workloads", seen, here.unread, "live object", f"as in {lock.name}"),
        judged_pods(pods, here.unread, kubectl, registries),
    )


def compare(lock: LockDigests, here: Population) -> tuple[Seen, list[tuple[Object, Object | None]]]:
    """What live objects show, compared with a lock; and (object as it should be, live object) for those whose pods can be
    judged."""
    seen = Seen()
    pairs: list[tuple[Object, Object | None]] = []
    used: set[Reference] = set()
    resting = idle(here.tops)
    for now in here.tops:
        should, wrong, silent = _compare(lock, now, used)
        specs = compare_specs([(should, now)] if should else [], owner=lock.name)
        wrong += specs.wrong
        seen.right += specs.right
        seen.notes += specs.notes
        if (wrong or silent) and (why := resting.get(now["metadata"]["uid"])):
            seen.notes += [f"{line}; {name_of(now)} {why}, and runs nothing" for line in (*wrong, *silent)]
            continue
        seen.wrong += wrong
        seen.silent += silent
        if should:
            pairs.append((should, now))
    if not used and not here.unread:
        seen.wrong.append(_nothing(lock, here))
    elif used:
        unused = sorted(str(reference) for reference in lock.digests if reference not in used)
        seen.notes += [f"nothing in namespace {here.namespace} runs {reference}" for reference in unused]
    return seen, pairs


def _compare(lock: LockDigests, now: Object, used: set[Reference]) -> tuple[Object | None, list[str], list[str]]:
    """An object as it should be, None if that is not known; what is wrong with its images, and what is unknown. Adds to `used`
    what it has of the lock."""
    should, known = deepcopy(now), True
    wrong: list[str] = []
    silent: list[str] = []
    for image, path in find.images(now):
        place = f"{name_of(now)} {find.container_name(now, path)} has {image}"
        reference = lock.find(image)
        if reference is not None:
            used.add(reference)
        if reference is not None and reference in lock.digests:
            own = split(image)[2]
            keeps = now.get("kind") == "Job" and own in lock.kept.get(reference, ())
            _replace(should, path, f"{image.partition('@')[0]}@{own if keeps else lock.digests[reference]}")
        elif reference is not None:
            known = False
            silent.append(f"{place}: {lock.unsettled[reference]}")
        elif "@" in image and (instead := lock.instead(image)):
            known = False
            wrong.append(f"{place}, {lock.name} has {instead}: {blame(now, slot_of(now, path), lock.name)}")
        elif "@" in image:
            silent.append(f"{place}, which is not in {lock.name}, but has a digest of its own")
        else:
            known = False
            wrong.append(f"{place}, which is not in {lock.name}: {blame(now, slot_of(now, path), lock.name)}")
    return should if known else None, wrong, silent


def _nothing(lock: LockDigests, here: Population) -> str:
    where = f"nothing in namespace {here.namespace}"
    if not here.selector:
        return f"{where} runs an image of {lock.name}"
    own = (
        "--selector chooses workloads (and pods that nothing else made) by their own labels, not by their pods' labels"
    )
    if not here.tops:
        return f"{where} is chosen by {here.selector}: {own}"
    return f"{where} that {here.selector} chooses runs an image of {lock.name}: {own}"


def _replace(item: Any, path: find.ObjectPath, image: str) -> None:
    for part in path[:-1]:
        item = item[part]
    item[path[-1]] = image
