"""Jobs that exist already: their pod template cannot change, so they keep the digests that they ran with.

Plain helm leaves a Job alone if its template stays the same, even if a tag has moved. A new digest would change the template, and
the API server would refuse it after other objects have been upgraded (batch/v1, JobSpec: immutable).
"""

from __future__ import annotations

import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from helmpin.chart.setargs import lookup
from helmpin.image.documents import Document, kind_and_name, read
from helmpin.image.find import ObjectPath
from helmpin.image.hints import let_through
from helmpin.image.reference import Reference, split
from helmpin.image.uses import ImageUse, UseKey
from helmpin.named_tuple import NamedTuple
from helmpin.next_command import kubectl_command
from helmpin.plan.images import ImagePlan, Problem
from helmpin.render.differences import PINNED
from helmpin.render.output import Render

_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}")


class UpgradedRevision(NamedTuple):
    """The revision that is upgraded, and later ones that failed: they may have made Jobs, or not got so far."""

    manifests: Sequence[str] = ()
    """First that of the revision that is upgraded."""
    digests: frozenset[tuple[str, str]] = frozenset()
    """(reference, digest) of each image in their records."""
    has_run: bool = True
    """Whether the revision that is upgraded was ever deployed: if not, it may not have made its Jobs either."""


class JobDigests(NamedTuple):
    """What existing Jobs imply for their images."""

    wanted: Mapping[UseKey, str]
    """The digest that each of their uses keeps."""
    jobs: Mapping[UseKey, str]
    """The Job of each of these uses: `Job/migrate`."""
    problems: Mapping[str, Problem]
    """The images that cannot be pinned because of a Job."""
    followers: Mapping[UseKey, Sequence[JobFollower]] = MappingProxyType({})
    """For each of these uses, the other places in the pod template of its Job with a reference at its digest."""


class JobFollower(NamedTuple):
    """A place in the pod template of an existing Job that repeats a reference, as an argument or a variable may."""

    place: ImageUse
    """Its leaf, with the reference in place of the image."""
    nth: int
    """Its number among equal references in the leaf."""
    digest: str


class Locked(NamedTuple):
    """The digests that images must have: those of a lock and no others."""

    digests: Mapping[str, str]
    """By image, as written."""
    name: str
    """The lock, for people."""
    kept: Mapping[str, Collection[str]] = MappingProxyType({})
    """By image, further digests that a Job may keep."""
    relock: Callable[[], str] | None = None
    """Finds out how to put what a Job runs into the lock; None if helm-pin cannot write this lock."""


class KeptJobs:
    """The Jobs of a plain render that exist already and whose pod template plain helm would not change. Mutable: digests() finds
    them, and checked() looks at those that it found."""

    def __init__(
        self,
        plain: Render,
        before: Callable[[], UpgradedRevision],
        live: Callable[[dict[str, Any]], dict[str, Any] | None],
    ) -> None:
        """before: reads the revision that is upgraded. live: gives the object in the cluster for one of its objects, the latter
        itself if the cluster does not answer, and None if it does not exist."""
        self._plain, self._before, self._live = plain, before, live
        self._found: dict[tuple[str, int, int], dict[str, Any]] = {}

    def digests(self, uses: Sequence[ImageUse], locked: Locked | None = None) -> JobDigests:
        """The digests that uses in these Jobs keep, and the images that cannot be pinned because of a Job. locked: the only digests
        that a Job may keep; None if it may keep any."""
        mine = [use for use in uses if use.kind == "Job" and not use.hook and _is_job(_object(self._plain, use))]
        if not mine:
            return JobDigests({}, {}, {})
        before = self._before()
        stored: dict[tuple[str, str], list[tuple[dict[str, Any], bool]]] = defaultdict(list)
        for number, manifest in enumerate(before.manifests):
            for item in _jobs(read(manifest)):
                stored[_who(item)].append((item, number > 0 or not before.has_run))
        wanted: dict[UseKey, str] = {}
        jobs: dict[UseKey, str] = {}
        problems: dict[str, Problem] = {}
        followers: dict[UseKey, Sequence[JobFollower]] = {}
        for use in mine:
            new = _object(self._plain, use)
            same = (
                found for found in stored[_who(new)] if _is_same(_template(new), _template(found[0]), before.digests)
            )
            old, has_failed = next(same, ({}, False))
            if not old or (live := self._live(old)) is None:
                continue
            own = [each for each in mine if each.key[:3] == use.key[:3]]
            if has_failed and not all(_runs(live, old, each, before.digests) for each in own):
                continue  # that revision has not made the Job: the API server refused its new pod template
            # a revision that failed may have made it again, at another digest
            old = {**old, "spec": {**old["spec"], "template": _as_live(_template(old), _template(live))}}
            self._found[use.source, use.order, use.nth] = old
            digest = split(str(lookup(old, use.path)))[2]
            if digest is None:
                problems[use.image] = Problem(
                    f"Job/{use.name} exists already and runs it by tag; the pod template of a Job cannot change",
                    "refused",
                    f"{_delete(use.name, _who(new)[0])}, rename it, or {let_through(use.image)}",
                )
            elif locked and digest not in (locked.digests.get(use.image, digest), *locked.kept.get(use.image, ())):
                is_shared = any(each.image == use.image and each not in mine for each in uses)
                problems[use.image] = _unlike_lock(use, _who(new)[0], digest, locked, is_shared=is_shared)
            else:
                wanted[use.key], jobs[use.key] = digest, f"Job/{use.name}"
                images = {each.path for each in own}
                followers[use.key] = [*_followers(use, images, _template(new), _template(old))]
        return JobDigests(wanted, jobs, problems, followers)

    def checked(self, images: list[ImagePlan], pinned: Render) -> list[ImagePlan]:
        """The plans of the images, with a problem for those in a Job whose pod template would change."""
        changed = set()
        for (source, order, nth), old in self._found.items():
            document = next((d for d in pinned.documents if (d.source, d.order) == (source, order)), None)
            items = document.objects() if document else []
            if nth >= len(items) or _template(items[nth]) != _template(old):
                changed.add((source, order, nth))
        return [self._refused(image, changed) for image in images]

    def _refused(self, image: ImagePlan, changed: Collection[tuple[str, int, int]]) -> ImagePlan:
        use = next((use for use in image.uses if use.key[:3] in changed), None)
        if use is None:
            return image
        problem = Problem(
            f"Job/{use.name} exists already, and pinning changes more of its pod template than the image; the pod template of a "
            "Job cannot change",
            "refused",
            f"{_delete(use.name, _who(self._found[use.key[:3]])[0])}, or rename it",
        )
        return image._replace(problem=image.problem or problem)


def _unlike_lock(use: ImageUse, namespace: str, digest: str, locked: Locked, *, is_shared: bool) -> Problem:
    """A Job has another digest than the lock. is_shared: whether something else uses the image: then a new lock would not help."""
    way = f"\nor {locked.relock()}" if locked.relock and not is_shared else ""
    return Problem(
        f"Job/{use.name} exists already and runs it at {digest}, {locked.name} has {locked.digests[use.image]}; the pod template "
        "of a Job cannot change",
        "refused",
        f"{_delete(use.name, namespace)}, or rename it{way}",
    )


def _delete(job: str, namespace: str) -> str:
    command = kubectl_command(f"delete job {shlex.quote(job)}", namespace=namespace)
    return f"delete the Job so that it is created again ({command})"


def _jobs(documents: Iterable[Document]) -> Iterable[dict[str, Any]]:
    for document in documents:
        if "Job" in document.text:
            yield from filter(_is_job, document.objects())


def _is_job(item: Any) -> bool:
    """Whether an object is Kubernetes' own Job, whose pod template cannot change. Others have the kind too (batch.volcano.sh)."""
    is_job = isinstance(item, dict) and item.get("kind") == "Job" and str(item.get("apiVersion")).startswith("batch/")
    return is_job and isinstance(item.get("spec"), dict)


def _who(item: Mapping[str, Any]) -> tuple[str, str]:
    """(namespace, name) of an object, each '' where it is missing."""
    metadata = item.get("metadata")
    return str(metadata.get("namespace", "")) if isinstance(metadata, dict) else "", kind_and_name(item)[1]


def _object(render: Render, use: ImageUse) -> dict[str, Any]:
    document = next(d for d in render.documents if (d.source, d.order) == (use.source, use.order))
    found: dict[str, Any] = document.objects()[use.nth]
    return found


def _template(job: Mapping[str, Any]) -> Any:
    return (job.get("spec") or {}).get("template")


def _is_same(new: Any, old: Any, recorded: frozenset[tuple[str, str]]) -> bool:
    """Whether two pod templates differ at most in digests and in their own checksums."""
    if isinstance(new, dict) and isinstance(old, dict):
        keys = [key for key in {*new, *old} if not str(key).startswith("checksum/")]
        return all(key in new and key in old and _is_same(new[key], old[key], recorded) for key in keys)
    if isinstance(new, list) and isinstance(old, list):
        return len(new) == len(old) and all(_is_same(*pair, recorded) for pair in zip(new, old, strict=True))
    if isinstance(new, str) and isinstance(old, str) and new != old:
        name, tag, digest = split(old)
        if tag is None and digest and name == split(new)[0]:  # the chart leaves the tag out: the record has it
            return (_normalised(new), digest) in recorded
        return _DIGEST.sub("", old) in (new, f"{new}:latest")
    return type(new) is type(old) and bool(new == old)  # in Python 1 == True


def _runs(live: Any, old: Any, use: ImageUse, recorded: frozenset[tuple[str, str]]) -> bool:
    """Whether a container of a live Job runs what a revision wanted, `old`, at whatever digest: it has the same tag or, where the
    chart leaves the tag out, a digest that is recorded for the image."""
    _, tag, digest = split(str(lookup(live, use.path)))
    return (_normalised(use.image), digest) in recorded if tag is None else tag == split(str(lookup(old, use.path)))[1]


def _as_live(old: Any, live: Any) -> Any:
    """A pod template with the digests of the live one. What else differs stays: the API server adds defaults."""
    if isinstance(old, dict) and isinstance(live, dict):
        return {key: _as_live(value, live.get(key)) for key, value in old.items()}
    if isinstance(old, list) and isinstance(live, list):
        return [_as_live(*pair) for pair in zip(old, live, strict=False)] + old[len(live) :]
    is_same = isinstance(old, str) and isinstance(live, str) and _DIGEST.sub("", old) == _DIGEST.sub("", live)
    return live if is_same else old


def _followers(
    use: ImageUse, images: Collection[ObjectPath], new: Any, old: Any, path: ObjectPath = ("spec", "template")
) -> Iterator[JobFollower]:
    """The places in two pod templates, alike but for digests, where the old one has digests. use: one of the Job. images: the
    places of its images, which are left out."""
    if isinstance(new, dict) and isinstance(old, dict):
        for key in [key for key in new if key in old]:
            yield from _followers(use, images, new[key], old[key], (*path, key))
    elif isinstance(new, list) and isinstance(old, list):
        for i, pair in enumerate(zip(new, old, strict=False)):
            yield from _followers(use, images, *pair, (*path, i))
    elif isinstance(new, str) and isinstance(old, str) and new != old and path not in images:
        seen: Counter[str] = Counter()
        for match in PINNED.finditer(old):
            reference, digest = match[1], match[2]
            yield JobFollower(use._replace(image=reference, path=path, container=""), seen[reference], digest)
            seen[reference] += 1


def _normalised(image: str) -> str:
    return str(Reference.read(image) or "")
