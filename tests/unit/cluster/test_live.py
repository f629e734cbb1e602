"""What live objects and pods are judged to run, from objects as the API sends them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helmpin.cluster.pods import Pods, compare_pods, reported
from helmpin.cluster.workloads import RELEASE, RELEASE_NAME, Object, Seen, compare_specs, slots, with_images

A, B, C = ("sha256:" + letter * 64 for letter in "abc")
APP = f"example.com/app:1@{A}"
INIT = f"example.com/init:1@{B}"


def template(*, app: str = APP, init: str | None = INIT) -> dict[str, Any]:
    inits = {"initContainers": [{"name": "init", "image": init}]} if init else {}
    return {"spec": {"containers": [{"name": "app", "image": app}], **inits}}


def workload(kind: str = "Deployment", *, app: str = APP, **status: Any) -> Object:
    annotations = {"deployment.kubernetes.io/revision": "2"}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "web", "namespace": "store", "uid": "web", "generation": 2, "annotations": annotations},
        "spec": {"replicas": 1, "template": template(app=app)},
        "status": {"observedGeneration": 2, **status},
    }


def owned(kind: str, name: str, owner: str, spec: dict[str, Any], **more: Any) -> Object:
    reference = {"uid": owner, "controller": True}
    return {"kind": kind, "metadata": {"name": name, "uid": name, "ownerReferences": [reference]}, "spec": spec, **more}


def replica_set(name: str = "web-2", revision: str = "2", app: str = APP) -> Object:
    made = owned("ReplicaSet", name, "web", {"template": template(app=app)})
    made["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": revision}
    return made


def runs(container: str, image_id: str) -> dict[str, Any]:
    return {"name": container, "imageID": image_id, "state": {"running": {}}}


def pod(
    name: str = "web-2-x",
    owner: str = "web-2",
    *,
    app: str = APP,
    ids: tuple[str, str] = (A, B),
    phase: str = "Running",
) -> Object:
    status = {
        "phase": phase,
        "containerStatuses": [runs("app", f"example.com/app@{ids[0]}" if ids[0] else "")],
        "initContainerStatuses": [runs("init", f"example.com/init@{ids[1]}" if ids[1] else "")],
    }
    return owned("Pod", name, owner, template(app=app)["spec"], status=status)


def seen(*population: Object, live: Object | None = None) -> Seen:
    now = live or workload()
    return compare_pods([(workload(now["kind"]), now)], Pods([now, *population]))


IMAGE_FIELD: dict[str, Any] = {
    "f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"app"}': {"f:image": {}}}}}}
}
"""The managed fields of who has set the image of a workload's container `app`."""
MADE = {"f:metadata": {"f:annotations": {f"f:{RELEASE_NAME}": {}}}}
"""Those of who has made the object."""


@pytest.mark.parametrize("key", ['"im\\u0061ge"', "!!binary aW1hZ2U="])
def test_an_image_key_that_is_written_otherwise(key: str) -> None:
    pod = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec: {{containers: [{{name: app, {key}: 'web:1'}}]}}\n"
    (found,) = with_images(pod)
    assert slots(found) == {("spec", "containers", "app"): "web:1"}


@pytest.mark.parametrize("name", ["5", "[a]", "''", "null"])
def test_an_object_without_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="a Pod has no name"):
        with_images(f"kind: Pod\napiVersion: v1\nmetadata: {{name: {name}}}\nspec: {{containers: [{{image: a}}]}}\n")


class TestSpecs:
    def test_as_the_manifest_says(self) -> None:
        found = compare_specs([(workload(), workload())])
        assert (found.right, found.wrong, found.notes) == (1, [], [])

    def test_another_image(self) -> None:
        (line,) = compare_specs([(workload(), workload(app="busybox"))]).wrong
        assert line.startswith(f"Deployment/web app has busybox, the release says {APP}")

    def test_who_set_it(self) -> None:
        now = workload(app="busybox")
        now["metadata"]["managedFields"] = [
            {"manager": "kubectl-set", "time": "2026-01-02T03:04:05Z", "fieldsV1": IMAGE_FIELD}
        ]
        found = compare_specs([(workload(), now)])
        assert found.wrong[0].endswith("set by kubectl-set at 2026-01-02T03:04:05Z")
        assert found.at_admission == []

    @pytest.mark.parametrize("helm", ["helm", "helm-3.22.0", "terraform-provider-helm_v2.12.1_x5"])
    def test_what_admission_changed(self, helm: str) -> None:
        """Whatever the program is called that puts helm's annotation there: it has set all of it, and admission changed it."""
        now = workload(app="mirror/app")
        mine = {"f:metadata": {"f:annotations": {f"f:{RELEASE_NAME}": {}}}, **IMAGE_FIELD}
        now["metadata"]["managedFields"] = [{"manager": helm, "fieldsV1": mine}]
        found = compare_specs([(workload(), now)])
        assert found.at_admission == [now]
        assert found.wrong[0].endswith(": changed at admission, or by a revision that is gone")

    @pytest.mark.parametrize("entries", [[("helm", "")], [("helm", "then"), ("kubectl-set", "now")], []])
    def test_beside_a_manifest_only_who_set_it_is_known(self, entries: list[tuple[str, str]]) -> None:
        """What a manifest or a lock says need not be what was applied."""
        mine = {"f:metadata": {"f:annotations": {f"f:{RELEASE_NAME}": {}}}, **IMAGE_FIELD}
        now = workload(app="mirror/app")
        now["metadata"]["managedFields"] = [{"manager": m, "time": t, "fieldsV1": mine} for m, t in entries]
        found = compare_specs([(workload(), now)], owner="the manifest")
        who = ", ".join(f"{m} at {t}" if t else m for m, t in entries)
        assert found.wrong[0].endswith(f": set by {who}" if who else ": who set it is not known")
        assert found.at_admission == []

    @pytest.mark.parametrize(
        ("spec", "fields"),
        [
            ({"template": {"container": {"image": APP}}}, {"f:template": {"f:container": {"f:image": {}}}}),
            ({"template": {"container": {"image": APP}}}, {"f:template": {"f:container": {}}}),
            ({"template": {"container": {"image": APP}}}, {"f:template": {}}),
            ({"templates": [{"name": "x", "container": {"image": APP}}]}, {"f:templates": {}}),
            (
                {"templates": [{"name": "x", "container": {"image": APP}}]},
                {"f:templates": {'k:{"name":"x"}': {"f:container": {"f:image": {}}}}},
            ),
        ],
    )
    def test_who_set_a_single_container(self, spec: Any, fields: Any) -> None:
        """As that of an Argo Sensor: it stands in no list."""
        stored = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Sensor", "metadata": {"name": "web"}, "spec": spec}
        now: Object = json.loads(json.dumps(stored).replace(APP, "busybox"))
        now["metadata"]["managedFields"] = [{"manager": "kubectl-edit", "fieldsV1": {"f:spec": fields}}]
        found = compare_specs([(stored, now)])
        assert found.wrong[0].endswith(": set by kubectl-edit")
        assert found.at_admission == []
        now["metadata"]["managedFields"][0]["fieldsV1"] = {"f:spec": {"f:other": {}}}
        assert not compare_specs([(stored, now)]).wrong[0].endswith(": set by kubectl-edit")

    def test_who_copies_a_whole_object_does_not_make_it(self) -> None:
        now = workload(app="mirror/app")
        whole = {"f:metadata": {"f:annotations": {f"f:{RELEASE_NAME}": {}}}, **IMAGE_FIELD}
        now["metadata"]["managedFields"] = [
            {"manager": "helm", "fieldsV1": {}},
            {"manager": "kubectl", "fieldsV1": whole},
        ]
        found = compare_specs([(workload(), now)])
        assert found.at_admission == []
        assert found.wrong[0].endswith(": set by kubectl")

    def test_what_another_revision_left(self) -> None:
        now = workload(app="app:2")
        now["metadata"]["managedFields"] = [{"manager": "helm", "fieldsV1": {**MADE, **IMAGE_FIELD}}]
        found = compare_specs([(workload(), now)], {"app:2": "as revision 2 (failed) says"})
        assert found.wrong[0].endswith(": as revision 2 (failed) says")
        assert found.at_admission == []
        found = compare_specs([(workload(), now)], {"": "left by somebody"})
        assert (found.wrong[0].endswith(": left by somebody"), found.at_admission) == (True, [])
        now["metadata"]["managedFields"].append({"manager": "kubectl-set", "fieldsV1": IMAGE_FIELD})
        found = compare_specs([(workload(), now)], {"app:2": "as revision 2 (failed) says"})
        assert found.wrong[0].endswith(": set by kubectl-set")

    def test_a_job_that_removes_itself(self) -> None:
        job = workload("Job")
        job["spec"]["ttlSecondsAfterFinished"] = 60
        found = compare_specs([(job, None)])
        assert (found.wrong, len(found.notes)) == ([], 1)

    def test_gone(self) -> None:
        assert compare_specs([(workload(), None)]).wrong == ["Deployment/web is not in the cluster"]

    def test_a_container_that_is_gone_and_one_that_came(self) -> None:
        now = workload()
        now["spec"]["template"]["spec"] = {"containers": [{"name": "proxy", "image": "proxy:1"}]}
        found = compare_specs([(workload(), now)])
        assert len(found.wrong) == 2
        assert found.notes == ["Deployment/web also has proxy, with proxy:1"]

    @pytest.mark.parametrize(
        ("manager", "more", "owner", "is_wrong"),
        [
            ("kubectl-patch", {}, RELEASE, True),
            ("helm", MADE, RELEASE, False),
            ("helmfile", {}, RELEASE, True),
            ("helm", {}, RELEASE, True),
            ("kubectl-patch", {}, "the manifest", True),
            ("argocd", {}, "the manifest", False),
        ],
    )
    def test_a_container_that_somebody_added(self, manager: str, more: Any, owner: str, is_wrong: bool) -> None:
        """What only the maker has set, or who applied the rest, may have been injected at admission. A name proves nothing."""
        now = workload()
        now["spec"]["template"]["spec"]["containers"].append({"name": "proxy", "image": "proxy:1"})
        proxy = json.loads(json.dumps(IMAGE_FIELD).replace("app", "proxy"))
        init = json.loads(json.dumps(IMAGE_FIELD).replace("f:containers", "f:initContainers").replace("app", "init"))
        by_argo = [{"manager": "argocd", "fieldsV1": fields} for fields in (IMAGE_FIELD, init)]
        now["metadata"]["managedFields"] = [*by_argo, {"manager": manager, "fieldsV1": {**more, **proxy}}]
        found = compare_specs([(workload(), now)], owner=owner)
        line = "Deployment/web also has proxy, with proxy:1"
        assert found.wrong == ([f"{line}: set by {manager}"] if is_wrong else [])
        assert found.added == found.wrong
        assert (found.notes, found.right) == (([], 0) if is_wrong else ([line], 1))
        assert found.depends_on_history == (owner == RELEASE and not is_wrong)

    def test_a_container_that_a_failed_revision_left(self) -> None:
        now = workload()
        now["spec"]["template"]["spec"]["containers"].append({"name": "proxy", "image": "proxy:1"})
        proxy = json.loads(json.dumps(IMAGE_FIELD).replace("app", "proxy"))
        now["metadata"]["managedFields"] = [{"manager": "helm", "fieldsV1": {**MADE, **proxy}}]
        found = compare_specs([(workload(), now)], {"proxy:1": "as revision 2 (failed) says"})
        assert found.wrong == ["Deployment/web also has proxy, with proxy:1: as revision 2 (failed) says"]

    def test_containers_of_one_name_in_two_pod_templates(self) -> None:
        def both(first: str) -> Object:
            spec = {"first": template(app=first, init=None), "second": template(init=None)}
            return {"kind": "Pair", "metadata": {"name": "web"}, "spec": spec}

        assert compare_specs([(both(APP), both(APP))]).wrong == []
        assert len(compare_specs([(both(APP), both("busybox"))]).wrong) == 1


class TestPods:
    def test_as_recorded(self) -> None:
        found = seen(replica_set(), pod())
        assert (found.right, found.wrong, found.settling, found.silent) == (2, [], [], [])

    def test_belonging_is_by_owner_not_by_name_or_label(self) -> None:
        found = seen(replica_set(), pod(), pod("web-2-y", "another", app="busybox"))
        assert (found.right, found.wrong) == (2, [])

    def test_owners_in_a_circle(self) -> None:
        one, two = owned("ReplicaSet", "one", "two", {}), owned("ReplicaSet", "two", "one", {})
        assert seen(one, two, pod(owner="one"), replica_set(), pod()).right == 2

    def test_another_digest_is_a_doubt(self) -> None:
        found = seen(replica_set(), pod(ids=(C, B)))
        assert [(d.where, d.image, d.reported) for d in found.doubts] == [
            ("Pod/web-2-x app", APP, f"example.com/app@{C}")
        ]
        assert found.right == 1

    def test_a_pod_of_an_older_replica_set(self) -> None:
        old = replica_set("web-1", "1", app="old")
        found = seen(old, pod("web-1-x", "web-1", app="old"), replica_set(), pod())
        assert found.wrong == []
        assert "Pod/web-1-x is of an older revision" in found.settling[0]

    def test_a_pod_that_differs_from_its_own_replica_set(self) -> None:
        (line,) = seen(replica_set(), pod(app="busybox")).wrong
        assert line.startswith("Pod/web-2-x app has busybox")

    def test_a_container_that_admission_took_out(self) -> None:
        mine = pod()
        del mine["spec"]["initContainers"]
        found = seen(replica_set(), mine)
        assert (found.right, found.wrong) == (1, [f"Pod/web-2-x: container init is missing (it should run {INIT})"])

    def test_an_injected_sidecar_is_told_apart(self) -> None:
        mine = pod(ids=(A, B))
        mine["spec"]["containers"].append({"name": "proxy", "image": "proxy:1"})
        mine["status"]["containerStatuses"].append(runs("proxy", f"proxy@{C}"))
        found = seen(replica_set(), mine)
        assert (found.right, found.wrong, found.doubts) == (2, [], [])
        assert found.notes == ["Pod/web-2-x proxy is not part of the release (injected): proxy:1"]

    def test_a_container_that_the_pods_own_replica_set_has(self) -> None:
        """It was not injected: whoever changed the Deployment added it."""
        made, mine = replica_set(), pod(ids=(A, B))
        for spec in (made["spec"]["template"]["spec"], mine["spec"]):
            spec["containers"].append({"name": "proxy", "image": "proxy:1"})
        (note,) = seen(made, mine).notes
        assert note == "Pod/web-2-x proxy is not part of the release (ReplicaSet/web-2 has it too): proxy:1"

    def test_an_ephemeral_container_is_told_apart(self) -> None:
        mine = pod()
        mine["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "busybox"}]
        found = seen(replica_set(), mine)
        assert found.notes == ["Pod/web-2-x debug is not part of the release (an ephemeral container): busybox"]
        assert (found.right, found.wrong) == (2, [])

    @pytest.mark.parametrize("maker", ["kube-controller-manager", "kube-controller-manager-1.37.2", "some-operator"])
    def test_a_pod_that_admission_changed(self, maker: str) -> None:
        """Whatever the controller is called that made it: it has set the owner references."""
        mine = pod(app="mirror/app")
        image = {"f:spec": {"f:containers": {'k:{"name":"app"}': {"f:image": {}}}}}
        made = {"f:metadata": {"f:ownerReferences": {'k:{"uid":"web-2"}': {}}}, **image}
        mine["metadata"]["managedFields"] = [{"manager": maker, "fieldsV1": made}]
        found = seen(replica_set(), mine)
        assert found.wrong[0].endswith(": changed at admission, or by a revision that is gone")
        assert found.at_admission == [mine]
        mine["metadata"]["managedFields"].append({"manager": "kubectl-edit", "fieldsV1": image})
        found = seen(replica_set(), mine)
        assert (found.wrong[0].endswith(": set by kubectl-edit"), found.at_admission) == (True, [])

    @pytest.mark.parametrize(
        ("image_id", "right", "doubts", "silent"),
        [(f"example.com/data@{C}", 1, 0, 0), (f"example.com/data@{A}", 0, 1, 0), ("", 0, 0, 1)],
    )
    def test_an_image_volume(self, image_id: str, right: int, doubts: int, silent: int) -> None:
        """As Kubernetes reports it with ImageVolumeWithDigest (API reference, VolumeMountStatus)."""
        volume = {"name": "data", "image": {"reference": f"example.com/data:1@{C}"}}
        now = workload()
        now["spec"]["template"]["spec"]["volumes"] = [volume]
        mine = pod()
        mine["spec"]["volumes"] = [volume, {"name": "other", "emptyDir": {}}]
        mount: dict[str, Any] = {"name": "data", "mountPath": "/data"}
        if image_id:
            mount["volumeStatus"] = {"image": {"imageRef": image_id}}
        mine["status"]["containerStatuses"][0]["volumeMounts"] = [mount]
        controller = replica_set()
        controller["spec"] = now["spec"]
        found = compare_pods([(now, now)], Pods([now, controller, mine]))
        assert (found.right - 2, len(found.doubts), len(found.silent), found.wrong) == (right, doubts, silent, [])

    @pytest.mark.parametrize("status", [{}, {"phase": "Pending"}])
    def test_a_pod_without_a_status(self, status: dict[str, Any]) -> None:
        found = seen(replica_set(), {**pod(), "status": status})
        assert (found.right, len(found.settling)) == (0, 2)

    def test_a_container_that_cannot_start(self) -> None:
        mine = pod()
        waits = {"waiting": {"reason": "ImagePullBackOff"}}
        mine["status"]["containerStatuses"] = [{"name": "app", "imageID": "", "state": waits}]
        assert seen(replica_set(), mine).settling == ["Pod/web-2-x app has not started: ImagePullBackOff"]

    def test_a_node_that_does_not_say(self) -> None:
        found = seen(replica_set(), pod(ids=("", B)))
        assert (found.right, found.settling, len(found.silent)) == (1, [], 1)

    def test_a_pod_that_finds_no_node(self) -> None:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
        mine = {**pod(), "status": {"phase": "Pending", "conditions": [condition]}}
        assert seen(replica_set(), mine).settling[0] == "Pod/web-2-x init has not started: Unschedulable: 0/3 nodes"

    @pytest.mark.parametrize(
        ("kind", "status", "settles"),
        [
            ("Job", {}, True),
            ("Job", {"conditions": [{"type": "Complete", "status": "True"}]}, False),
            ("CronJob", {}, False),
            ("Gateway", {}, False),
        ],
    )
    def test_no_pod_of_what_keeps_none(self, kind: str, status: dict[str, Any], settles: bool) -> None:
        found = seen(live=workload(kind, **status))
        assert (found.right, found.wrong, bool(found.settling), bool(found.notes)) == (0, [], settles, not settles)

    def test_an_object_that_is_gone_has_no_pods_to_vouch_for(self) -> None:
        found = compare_pods([(workload(), None)], Pods([]))
        assert (found.right, len(found.silent)) == (0, 1)

    def test_pods_that_could_not_be_read_are_not_missing(self) -> None:
        found = compare_pods([(workload(), workload())], Pods([workload()], are_all=False))
        assert found.silent == ["Deployment/web wants 1 pods, and not all that there are could be read"]
        assert found.settling == []

    def test_no_pod_at_all(self) -> None:
        assert seen(replica_set()).settling == ["Deployment/web wants 1 pods and has 0"]

    def test_a_controller_that_has_not_acted_yet(self) -> None:
        found = seen(replica_set(), pod(), live=workload(observedGeneration=1))
        assert (found.right, len(found.settling)) == (0, 1)

    def test_a_pod_that_is_being_deleted(self) -> None:
        leaving = pod("web-1-x", "web-1", app="old")
        leaving["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
        found = seen(replica_set("web-1", "1", app="old"), leaving, replica_set(), pod())
        assert (found.right, found.wrong, found.settling) == (2, [], [])

    def test_a_job_that_has_completed(self) -> None:
        job = workload("Job")
        done = pod("job-x", "web", phase="Succeeded")
        for status in done["status"]["containerStatuses"] + done["status"]["initContainerStatuses"]:
            status["state"] = {"terminated": {"exitCode": 0}}
        assert seen(done, live=job).right == 2

    @pytest.mark.parametrize(
        ("image", "others", "verdict"),
        [
            ("old:1", None, "note"),
            ("old:1", {"old:1": "as revision 1 says"}, "note"),
            ("evil:1", {"old:1": "as revision 1 says"}, "wrong"),
            ("evil:1", {}, "wrong"),
            ("older:1", {"": "of a revision that is not stored any more"}, "note"),
        ],
    )
    def test_a_job_of_a_cron_job_is_older_if_its_images_are_another_revisions(
        self, image: str, others: dict[str, str] | None, verdict: str
    ) -> None:
        """Not if somebody has made it by hand, with an image that no revision has."""
        cron = {**workload("CronJob"), "spec": {"jobTemplate": {"spec": {"template": template()}}}}
        job = owned("Job", "web-1", "web", {"template": template(app=image)})
        mine = pod(owner="web-1", app=image, phase="Succeeded")
        found = compare_pods([(cron, cron)], Pods([cron, job, mine]), others=others)
        assert [bool(found.notes), bool(found.wrong)] == [verdict == "note", verdict == "wrong"]
        assert found.depends_on_history == (others is None)
        assert "CronJob/web has no pod" not in found.notes

    def test_a_bare_replica_set_leaves_its_older_pods(self) -> None:
        bare = replica_set("web")
        bare["metadata"].pop("ownerReferences")
        old = pod(owner="web", app="old:1")
        found = compare_pods([(bare, bare)], Pods([bare, old]), others={"old:1": "as revision 1 says"})
        (line,) = found.staying
        assert line.endswith("; a ReplicaSet does not replace its pods: delete it") and found.wrong == []

    @pytest.mark.parametrize(("phase", "settles"), [("Running", True), ("Succeeded", False)])
    def test_an_older_pod_of_a_custom_resource(self, phase: str, settles: bool) -> None:
        """As of a Rollout in progress, or of a finished Job of KEDA's ScaledJob."""
        made = {**workload("ScaledJob"), "apiVersion": "keda.sh/v1alpha1"}
        job = owned("Job", "web-1", "web", {"template": template(app="old:1")})
        mine = pod(owner="web-1", app="old:1", phase=phase)
        found = compare_pods([(made, made)], Pods([made, job, mine]), others={"old:1": "as revision 1 says"})
        assert (bool(found.settling), bool(found.notes), found.wrong) == (settles, not settles, [])

    def test_a_pod_of_volcanos_job_has_only_the_containers_of_its_own_task(self) -> None:
        """And Volcano's conditions have no type."""
        specs = {name: {"containers": [{"name": name, "image": image}]} for name, image in (("a", APP), ("b", INIT))}
        tasks = [{"name": name, "template": {"spec": spec}} for name, spec in specs.items()]
        job = {**workload("Job"), "apiVersion": "batch.volcano.sh/v1alpha1", "spec": {"tasks": tasks}}
        ran = {
            name: {"phase": "Running", "containerStatuses": [runs(name, f"x@{at}")]}
            for name, at in (("a", A), ("b", B))
        }
        pods = [owned("Pod", f"web-{name}", "web", spec, status=ran[name]) for name, spec in specs.items()]
        found = compare_pods([(job, job)], Pods([job, *pods]))
        assert (found.right, found.wrong) == (2, [])
        done = {**job, "status": {"conditions": [{"status": "Completed"}]}}
        found = compare_pods([(done, done)], Pods([done]))
        assert (found.settling, found.notes) == ([], ["Job/web has no pod"])

    def test_an_image_that_was_let_through_without_a_digest(self) -> None:
        now = workload(app="auto")
        found = compare_pods([(now, now)], Pods([now, replica_set(app="auto"), pod(app="auto", ids=(C, B))]))
        assert (found.right, found.wrong, found.doubts) == (1, [], [])


ON_DELETE = {"updateStrategy": {"type": "OnDelete"}}
PARTITION = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}


class TestPodsThatNoRolloutReplaces:
    """Of an older revision, and that stays so: waiting is of no use."""

    def stateful(self, strategy: dict[str, Any], *ordinals: int, kind: str = "StatefulSet") -> Seen:
        now = workload(kind, updateRevision="web-new", desiredNumberScheduled=2)
        now["spec"] |= {"replicas": 2, **strategy}
        now["metadata"]["annotations"]["deprecated.daemonset.template.generation"] = "2"
        pods = []
        for ordinal in range(2):
            older = ordinal in ordinals
            made = pod(f"web-{ordinal}", "web", app="old" if older else APP, ids=(C if older else A, B))
            made["metadata"]["labels"] = {
                "controller-revision-hash": "web-old" if older else "web-new",
                "pod-template-generation": "1" if older else "2",
            }
            pods.append(made)
        return seen(*pods, live=now)

    def test_on_delete(self) -> None:
        found = self.stateful(ON_DELETE, 0, 1)
        assert (found.right, found.wrong, found.settling, len(found.staying)) == (0, [], [], 2)
        assert found.staying[0].startswith("Pod/web-0 is of an older revision: ")
        assert found.staying[0].endswith("; it is replaced only when it is deleted (updateStrategy OnDelete)")

    def test_those_that_were_deleted_are_compared(self) -> None:
        found = self.stateful(ON_DELETE, 0)
        assert (found.right, found.settling, len(found.staying)) == (2, [], 1)

    def test_of_a_daemon_set(self) -> None:
        found = self.stateful(ON_DELETE, 1, kind="DaemonSet")
        assert (found.right, found.wrong, found.settling, len(found.staying)) == (2, [], [], 1)

    def test_below_the_partition(self) -> None:
        found = self.stateful(PARTITION, 0)
        assert (found.right, found.wrong, found.settling, len(found.staying)) == (2, [], [], 1)
        assert "its ordinal is below the partition (1)" in found.staying[0]

    def test_above_the_partition_time_helps(self) -> None:
        found = self.stateful(PARTITION, 0, 1)
        assert len(found.staying) == 1
        assert any("Pod/web-1 is of an older revision" in line for line in found.settling)

    @pytest.mark.parametrize(
        "strategy",
        [
            {},
            {"updateStrategy": None},
            {"updateStrategy": {"type": "RollingUpdate"}},
            {"updateStrategy": {"rollingUpdate": {"partition": "30%"}}},  # of OpenKruise
        ],
    )
    def test_any_other_strategy(self, strategy: dict[str, Any]) -> None:
        found = self.stateful(strategy, 0)
        assert (found.staying, len(found.settling)) == ([], 2)

    def test_a_paused_deployment(self) -> None:
        """It keeps its ReplicaSet and its revision until it is resumed."""
        now = workload()
        now["spec"]["paused"] = True
        found = seen(replica_set(app="old"), pod(app="old", ids=(C, B)), live=now)
        assert (found.wrong, found.settling, len(found.staying)) == ([], [], 1)
        assert found.staying[0].endswith("; the Deployment is paused")
        found = seen(live=now)
        assert (found.settling, found.staying) == (
            [],
            ["Deployment/web wants 1 pods and has 0; the Deployment is paused"],
        )
        assert seen(replica_set(), pod(), live=now).right == 2


@pytest.mark.parametrize("spec", [None, "x", {"replicas": "two"}, {"replicas": None}])
def test_custom_resources_that_are_named_as_kubernetes_own_kinds(spec: Any) -> None:
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
        seen(live={**workload(kind), "apiVersion": "example.com/v1", "spec": spec})


@pytest.mark.parametrize("strategy", ["OnDelete", {"rollingUpdate": "x"}, {"rollingUpdate": {"partition": "30%"}}])
def test_a_custom_resource_with_another_update_strategy(strategy: Any) -> None:
    old = owned("Pod", "web-0", "web", template()["spec"], status={"phase": "Running"})
    now = {**workload("StatefulSet", updateRevision="new"), "apiVersion": "example.com/v1"}
    found = seen(old, live={**now, "spec": {"updateStrategy": strategy}})
    assert (found.staying, len(found.settling)) == ([], 2)


def test_a_custom_resource_whose_status_is_a_text() -> None:
    seen(live={**workload(), "apiVersion": "example.com/v1", "status": "Ready"})


def test_a_custom_resource_whose_observed_generation_is_a_text() -> None:
    now = {**workload(observedGeneration="2"), "apiVersion": "example.com/v1"}
    assert seen(replica_set(), pod(), live=now).right == 2


@pytest.mark.parametrize(
    "image_id",
    [f"docker-pullable://example.com/app@{A}", f"example.com/app@{A}", f"docker://{A}", A, A.removeprefix("sha256:")],
)
def test_the_forms_of_image_ids(image_id: str) -> None:
    assert reported(image_id) == A


@pytest.mark.parametrize("image_id", ["", "junk", "sha256:short", "example.com/app:1"])
def test_what_is_no_digest_is_not_taken_for_one(image_id: str) -> None:
    assert reported(image_id) not in (A, B, C)


def test_a_slot_for_each_container_of_a_workflow() -> None:
    """By name where a list holds them, and apart where one item holds two."""
    containers = {"sidecars": [{"name": "side", "image": "a"}], "source": {"container": {"image": "b"}}}
    vertex = {"name": "in", "sink": {"container": {"image": "c"}}, **containers}
    pipeline = {"apiVersion": "numaflow.numaproj.io/v1alpha1", "kind": "Pipeline", "spec": {"vertices": [vertex]}}
    assert slots(pipeline) == {
        ("spec", "vertices", "in", "sink", "container"): "c",
        ("spec", "vertices", "0", "sidecars", "side"): "a",
        ("spec", "vertices", "in", "source", "container"): "b",
    }
    task = {"apiVersion": "tekton.dev/v1", "kind": "Task", "spec": {"stepTemplate": {"image": "a"}}}
    assert slots(task) == {("spec", "stepTemplate"): "a"}
    volume = {"spec": {"containers": [], "volumes": [{"name": "v", "image": {"reference": "a"}}]}}
    assert slots(volume) == {("spec", "volumes", "v"): "a"}
