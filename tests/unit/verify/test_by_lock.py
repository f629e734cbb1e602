"""What a lock says beside live objects, and beside a record, without a cluster."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import pytest

from helmpin.errors import UsageError
from helmpin.image.reference import Reference
from helmpin.kubectl import Objects
from helmpin.lock import Lock
from helmpin.lock.source import of_release
from helmpin.release.record import Image, Record
from helmpin.release.revision import of_manifest
from helmpin.verify.by_lock import LockDigests, Population, compare, live_checks, lock_check, population, wanted
from helmpin.verify.check import FAILED, OK, UNKNOWN
from helmpin.verify.stored import pinned_check

A, B = (f"sha256:{letter * 64}" for letter in "ab")
NGINX, REDIS = Reference.parse("nginx:1"), Reference.parse("quay.io/t/redis:7")
LOCK = LockDigests("app.lock.yaml", {NGINX: A}, {REDIS: "two digests for it"})


def pod(image: str) -> dict[str, Any]:
    containers = [{"name": "app", "image": image}]
    metadata = {"name": "web", "uid": image, "managedFields": []}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers}}


def here(*images: str) -> Population:
    tops = [pod(image) for image in images]
    return Population("prod", tops, tops, ())


@pytest.mark.parametrize(
    ("image", "wrong", "silent"),
    [
        (f"nginx:1@{A}", "", ""),
        (f"docker.io/library/nginx:1@{A}", "", ""),
        (f"nginx@{A}", "", ""),
        ("nginx:1", f"Pod/web app has nginx:1, app.lock.yaml says nginx:1@{A}", ""),
        (f"nginx:1@{B}", f"app.lock.yaml says nginx:1@{A}", ""),
        ("nginx:2", "nginx:2, which is not in app.lock.yaml", ""),
        ("busybox", "busybox, which is not in app.lock.yaml", ""),
        ("[", "[, which is not in app.lock.yaml", ""),
        (f"nginx@{B}", f"nginx@{B}, app.lock.yaml has docker.io/library/nginx:1@{A}", ""),
        (f"nginx:2@{B}", f"nginx:2@{B}, app.lock.yaml has docker.io/library/nginx:1@{A}", ""),
        (f"nginx:2@{A}", "", "is not in app.lock.yaml, but has a digest of its own"),
        (f"busybox@{A}", "", "is not in app.lock.yaml, but has a digest of its own"),
        ("quay.io/t/redis:7", "", "two digests for it"),
    ],
)
def test_one_live_image(image: str, wrong: str, silent: str) -> None:
    seen, _ = compare(LOCK, here(image, f"nginx:1@{A}"))
    assert [wrong in line for line in seen.wrong] == ([True] if wrong else [])
    assert [silent in line for line in seen.silent] == ([True] if silent else [])


def _replica_set(replicas: int, image: str) -> dict[str, Any]:
    owners = [{"kind": "Rollout", "name": "web", "uid": "rollout", "controller": True}]
    metadata = {"name": "web-1", "uid": "rs", "managedFields": [], "ownerReferences": owners}
    spec = {"replicas": replicas, "template": {"spec": pod(image)["spec"]}}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec}


def _job(image: str, conditions: list[dict[str, str]]) -> dict[str, Any]:
    job = _replica_set(0, image) | {"apiVersion": "batch/v1", "kind": "Job", "status": {"conditions": conditions}}
    return job | {"metadata": {"name": "migrate", "uid": "job", "managedFields": []}}


@pytest.mark.parametrize("image", ["nginx:0", f"nginx:1@{B}", f"nginx@{B}", "quay.io/t/redis:7"])
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda image: pod(image) | {"status": {"phase": "Succeeded"}}, "Pod/web has ended (Succeeded)"),
        (lambda image: pod(image) | {"status": {"phase": "Failed"}}, "Pod/web has ended (Failed)"),
        (lambda image: pod(image) | {"status": {"phase": "Running"}}, ""),
        (lambda image: _job(image, [{"type": "Complete", "status": "True"}]), "Job/migrate has finished"),
        (lambda image: _job(image, []), ""),
        (lambda image: _replica_set(1, image), ""),
    ],
)
def test_what_runs_nothing_any_more_does_not_fail(make: Any, why: str, image: str) -> None:
    other, odd = pod(f"nginx:1@{A}"), make(image)
    seen, pairs = compare(LOCK, Population("prod", [other, odd], [other, odd], ()))
    assert bool(seen.wrong or seen.silent) is not bool(why)
    assert any(f"{why}, and runs nothing" in note for note in seen.notes) is bool(why)
    assert [now for _, now in pairs if now is odd and why] == []


@pytest.mark.parametrize(("of_current", "fails"), [(1, False), (0, True), (None, True)])
def test_an_older_replica_set_is_idle_if_another_one_of_its_owner_runs(of_current: int | None, fails: bool) -> None:
    """A Rollout that is scaled to 0 scales its current one up again."""
    older, tops = _replica_set(0, f"nginx:1@{B}"), [pod(f"nginx:1@{A}")]
    if of_current is not None:
        current = _replica_set(of_current, f"nginx:1@{A}")
        tops.append(current | {"metadata": {**current["metadata"], "name": "web-2", "uid": "rs-2"}})
    seen, _ = compare(LOCK, Population("prod", [*tops, older], [*tops, older], ()))
    assert bool(seen.wrong) is fails
    assert any("is an older one of Rollout/web, scaled to 0, and runs nothing" in n for n in seen.notes) is not fails


class Api:
    """Answers every request for all objects, and those with a selector with an error."""

    namespace = "prod"

    def __init__(self, chosen: str, every: str = "") -> None:
        self._chosen, self._every = chosen, every

    def lists(self, resources: Iterable[str], _: str) -> dict[str, Objects]:
        answers = {resource: self._chosen if "?" in resource else self._every for resource in resources}
        return {resource: Objects([], (error,) if error else ()) for resource, error in answers.items()}


def test_a_selector_that_is_none_is_a_matter_of_usage() -> None:
    bad, forbidden = "unable to parse requirement (BadRequest)", "not yours (Forbidden)"
    with pytest.raises(UsageError, match="label selector") as refused:
        population(cast("Any", Api(bad)), "bad selector!!")
    assert (refused.value.where, refused.value.why) == (["--selector bad selector!!"], bad)
    assert population(cast("Any", Api(forbidden)), "a=b").unread == (forbidden,)
    assert population(cast("Any", Api(bad, every=bad)), "a=b").unread == (bad,), "not for the selector's sake"


def test_a_namespace_that_does_not_exist_is_not_an_empty_one() -> None:
    class Nowhere(Api):
        namespace = "gone"
        missing = ('namespaces "gone" not found (NotFound)',)

        def no_namespace(self) -> tuple[str, ...]:
            return self.missing

    nowhere = Nowhere("")
    here = population(cast("Any", nowhere))
    assert here.unread == nowhere.missing
    workloads, pods = live_checks(LOCK, here, cast("Any", nowhere), None)
    assert (workloads.verdict, pods.verdict) == (UNKNOWN, UNKNOWN)
    nowhere.missing = ()
    workloads, pods = live_checks(LOCK, population(cast("Any", nowhere)), cast("Any", nowhere), None)
    assert (workloads.verdict, pods.verdict) == (FAILED, UNKNOWN)


def test_a_lock_that_nothing_runs() -> None:
    seen, _ = compare(LOCK, here(f"busybox@{A}"))
    assert seen.wrong == ["nothing in namespace prod runs an image of app.lock.yaml"]
    assert compare(LOCK, here()._replace(unread=("forbidden",)))[0].wrong == []
    more = LOCK._replace(digests={NGINX: A, Reference.parse("busybox:1"): B})
    assert compare(more, here(f"nginx:1@{A}"))[0].notes == [
        "nothing in namespace prod runs docker.io/library/busybox:1"
    ]


def recorded(image: str, digest: str, via: str) -> Image:
    name = Reference.parse(image if ":" in image else f"{image}@{digest}")._replace(digest=None)
    return Image(str(name), image, digest, "", via)


@pytest.mark.parametrize(
    ("image", "digest", "via", "with_record", "without"),
    [
        ("nginx:1", A, "values", OK, OK),
        ("nginx:1", B, "values", FAILED, FAILED),
        ("nginx:1", B, "chart", FAILED, FAILED),
        ("nginx", A, "chart", OK, OK),
        ("nginx", B, "chart", FAILED, FAILED),
        ("nginx:2", B, "chart", UNKNOWN, FAILED),  # a record knows that the chart has pinned it
        ("nginx:2", A, "chart", UNKNOWN, UNKNOWN),
        ("busybox:1", A, "values", FAILED, FAILED),
        ("busybox:1", A, "chart", UNKNOWN, UNKNOWN),
        ("quay.io/t/redis:7", A, "values", UNKNOWN, UNKNOWN),
        ("quay.io/t/redis", A, "chart", UNKNOWN, UNKNOWN),
    ],
)
def test_one_recorded_image(image: str, digest: str, via: str, with_record: str, without: str) -> None:
    record = Record("", "", (recorded(image, digest, via), recorded("nginx:1", A, "values")))
    for is_recorded, verdict in ((True, with_record), (False, without)):
        check = lock_check(LOCK, record, is_recorded=is_recorded)
        assert check.verdict == verdict
        assert bool(check.details) == (verdict != OK)


def test_a_lock_of_which_nothing_is_deployed() -> None:
    record, empty = Record("", "", (recorded("busybox:1", A, "chart"),)), LOCK._replace(digests={}, unsettled={})
    for lock in (LOCK, empty):
        check = lock_check(lock, record, is_recorded=False)
        assert (check.verdict, check.details[0]) == (FAILED, "none of these images is in app.lock.yaml")
    assert lock_check(LOCK, record, is_recorded=True).verdict == FAILED
    assert (
        lock_check(empty, record, is_recorded=True).verdict == UNKNOWN
    )  # the chart pins all, so there is nothing to lock


def test_an_image_of_the_lock_that_runs_by_tag() -> None:
    """It was let through, so the record has no digest of it."""
    check = lock_check(LOCK, Record("", "", (), allowed=("nginx:1", "busybox:1")), is_recorded=True)
    assert (check.verdict, check.details) == (FAILED, (f"nginx:1 has no digest, app.lock.yaml has {A}",))


def test_what_a_lock_leaves_open() -> None:
    lock = Lock({NGINX: A}, "release", "release:a/b@1", {}, {REDIS: "several digests for it"})
    assert wanted(lock, None) == LockDigests(
        "release:a/b@1", {NGINX: A}, {REDIS: "release:a/b@1 has several digests for it"}
    )
    assert [image.reference for image in LOCK.images()] == ["docker.io/library/nginx:1"]


def test_a_manifest_and_its_hooks() -> None:
    text = "".join(
        f"---\n# Source: web/templates/{name}.yaml\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  annotations: {note}\n"
        f"spec: {{containers: [{{name: app, image: '{image}'}}]}}\n"
        for name, note, image in (
            ("web", "{}", f"nginx:1@{A}"),
            ("helm", "{helm.sh/hook: post-install}", f"busybox@{B}"),
            ("argo", "{argocd.argoproj.io/hook: PreSync}", f"busybox@{B}"),
            ("text", "{about: helm.sh/hook}", f"nginx:1@{A}"),
        )
    )
    stored = of_manifest("web.yaml", text)
    assert [item["metadata"]["name"] for item in stored.objects()] == ["web", "text"]
    check, record = pinned_check(stored)
    assert (check.verdict, check.summary) == (OK, "4 image uses, by digest")
    assert record and {image.digest for image in record.images} == {A, B}
    check, record = pinned_check(of_manifest("web.yaml", text.replace(f"@{A}", "")))
    assert (check.verdict, record) == (FAILED, None)
    assert check.details[0] == "Pod/web container app, in web/templates/web.yaml: nginx:1 has no digest"


@pytest.mark.parametrize("text", ["", "kind: ConfigMap\n", "a: [\nimage: x"])
def test_a_manifest_without_images(text: str) -> None:
    assert pinned_check(of_manifest("web.yaml", text))[0].verdict == FAILED


def test_a_job_has_what_the_release_of_the_lock_keeps() -> None:
    """So a release is as it is itself. Nothing but a Job may run it."""
    kept = LOCK._replace(kept={NGINX: frozenset({B})})
    record = Record("", "", (recorded("nginx:1", A, "values"), recorded("nginx:1", B, "values")))
    for lock, of_jobs, verdict in ((LOCK, {B}, FAILED), (kept, {B}, OK), (kept, {A}, FAILED), (kept, (), FAILED)):
        assert lock_check(lock, record, is_recorded=True, of_jobs=of_jobs).verdict == verdict
    for kind, wrong in (("Job", 0), ("Pod", 1)):
        population = here(f"nginx:1@{B}")
        for item in population.tops:
            item["kind"] = kind
        assert len(compare(kept, population)[0].wrong) == wrong


def test_a_release_as_a_lock_has_what_its_chart_pins_without_a_tag() -> None:
    """Beside the same image as `latest` with another digest, too."""
    record = Record("", "", (recorded("nginx", A, "chart"), recorded("nginx:latest", B, "values")))
    lock = wanted(of_release(record, of_manifest("web", ""), "release:shop/web@1"), None)
    assert lock.find(f"nginx@{A}") == Reference.parse(f"nginx@{A}")
    assert lock_check(lock, record, is_recorded=True).verdict == OK
