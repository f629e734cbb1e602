"""helm pin verify on a real API server: what it proves, what it finds, and what it says when it cannot tell."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from helmpin.release import record as digestset
from scripts.devtools import images
from scripts.devtools.api import Cluster
from tests.e2e.test_history import DEPLOYMENT, succeeded, tamper, without_kubectl
from tests.e2e.test_node import eventually, pods, runs
from tests.support.race import WHILE_CHECKING, Race
from tests.support.registry_servers import Server, distribution
from tests.support.workstation import Finished, Workstation, whichever_helm

pytestmark = whichever_helm

PLATFORMS = {"linux/amd64": "amd64", "linux/arm64": "arm64"}
CHECKS = ("record", "manifest", "registry", "workloads", "pods")
FOREIGN = f"sha256:{'f' * 64}"

REPORTED = {
    "{repository}@{digest}": ("index", "manifest"),
    "docker-pullable://{repository}@{digest}": ("index", "manifest"),
    "docker://{digest}": ("configuration",),
    "{digest}": ("configuration",),
    "{hex}": ("configuration",),
}
"""What stands in imageID in statuses of real pods, and which digest: containerd's and CRI-O's until 1.28; cri-dockerd's and the
dockershim's (`docker-pullable://nginx@sha256:f7988f…`), and theirs for an image without a registry (`docker://sha256:e94d2f…`);
containerd's for one (`sha256:114f4a…`); CRI-O's since 1.29, as OpenShift 4.15 has it (64 digits)."""

HOOK = """\
apiVersion: batch/v1
kind: Job
metadata: {name: never, annotations: {helm.sh/hook: pre-upgrade}}
spec:
  template:
    spec:
      restartPolicy: Never
      nodeSelector: {there: nowhere}
      containers: [{name: never, image: example.com/never:1}]
"""
"""A hook that never ends."""


IMAGE = 'image: "{{ .Values.image }}"'
KINDS = f"""\
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: stateful}}
spec:
  serviceName: stateful
  selector: {{matchLabels: {{app: stateful}}}}
  template: {{metadata: {{labels: {{app: stateful}}}}, spec: {{containers: [{{name: app, {IMAGE}}}]}}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: daemon}}
spec:
  selector: {{matchLabels: {{app: daemon}}}}
  template: {{metadata: {{labels: {{app: daemon}}}}, spec: {{containers: [{{name: app, {IMAGE}}}]}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: deployed}}
spec:
  selector: {{matchLabels: {{app: deployed}}}}
  template:
    metadata: {{labels: {{app: deployed}}}}
    spec: {{initContainers: [{{name: init, {IMAGE}}}], containers: [{{name: app, {IMAGE}}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: none}}
spec:
  replicas: 0
  selector: {{matchLabels: {{app: none}}}}
  template: {{metadata: {{labels: {{app: none}}}}, spec: {{containers: [{{name: app, {IMAGE}}}]}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: bare}}
spec: {{containers: [{{name: app, {IMAGE}}}]}}
---
apiVersion: batch/v1
kind: Job
metadata: {{name: job}}
spec: {{template: {{spec: {{restartPolicy: Never, containers: [{{name: app, {IMAGE}}}]}}}}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {{name: scheduled}}
spec:
  schedule: "0 0 1 1 *"
  jobTemplate: {{spec: {{template: {{spec: {{restartPolicy: Never, containers: [{{name: app, {IMAGE}}}]}}}}}}}}
"""


class Web(NamedTuple):
    """A release `web` of one Deployment whose image is an index of two platforms."""

    machine: Workstation
    repository: str
    """With its registry."""
    digest: str
    """Of the index."""
    built: dict[str, tuple[str, str]]
    """The digests of manifest and configuration by platform."""

    def verify(self, *args: str) -> tuple[int, dict[str, str], str]:
        """The exit status, the verdicts by check, and all that was said."""
        done = self.machine.pin("verify", "web", "-o", "json", *args)
        checks = json.loads(done.stdout)["checks"]
        return done.status, {check["check"]: check["verdict"] for check in checks}, done.stdout

    def report(self, image_id: str, pod: dict[str, Any] | None = None) -> None:
        """Write into the status of the one pod, or of one, that its containers run this image, as a kubelet would."""
        if pod is None:
            (pod,) = pods(self.machine)
        reports = {name: pod["status"].get(name, []) for name in ("initContainerStatuses", "containerStatuses")}
        for status in (status for statuses in reports.values() for status in statuses):
            status["imageID"] = image_id
        change = json.dumps({"status": reports})
        self.machine.kubectl(
            "patch", "pod", pod["metadata"]["name"], "--subresource=status", "--type=merge", "-p", change
        )


def deploy(machine: Workstation, folder: Path, image: str, template: str = DEPLOYMENT, *flags: str) -> Finished:
    chart = folder / "web"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 1.0.0\n")
    (chart / "values.yaml").write_text(f"image: {image}\n")
    (chart / "templates" / "deployment.yaml").write_text(template)
    return succeeded(machine.pin("upgrade", "--install", "web", chart, *(flags or ("--wait", "--timeout", "60s"))))


@pytest.fixture
def web(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> Web:
    """Deployed, its pod running (kwok's: it reports no image until somebody writes one)."""
    index, built = Server(cluster.registry).push_index(unique, "latest", PLATFORMS)
    repository = f"{cluster.registry}/{unique}"
    deploy(in_cluster, tmp_path, f"{repository}:latest")
    return Web(in_cluster, repository, index, built)


def test_what_a_runtime_may_report(web: Web) -> None:
    status, verdicts, said = web.verify()
    assert (status, verdicts["pods"]) == (0, "cannot tell"), said
    child, configuration = web.built["linux/arm64"]
    for form, digest in ((form, digest) for form, digests in REPORTED.items() for digest in digests):
        known = {"index": web.digest, "manifest": child, "configuration": configuration}[digest]
        image_id = form.format(repository=web.repository, digest=known, hex=known.removeprefix("sha256:"))
        web.report(image_id)
        assert web.verify()[:2] == (0, dict.fromkeys(CHECKS, "ok")), image_id

    for form in REPORTED:
        web.report(form.format(repository=web.repository, digest=FOREIGN, hex=FOREIGN.removeprefix("sha256:")))
        status, verdicts, said = web.verify()
        assert (status, verdicts) == (4, {**dict.fromkeys(CHECKS, "ok"), "pods": "failed"}), said
        assert FOREIGN.removeprefix("sha256:") in said and web.digest in said

    web.report(f"{web.repository}@{child}")
    status, verdicts, said = web.verify("--no-registry")
    assert (status, verdicts["registry"], verdicts["pods"]) == (0, "skipped", "cannot tell"), said
    web.report(f"{web.repository}@{web.digest}")
    assert web.verify("--no-registry")[1]["pods"] == "ok"


def test_an_image_that_was_set_by_hand(web: Web) -> None:
    web.machine.kubectl("set", "image", "deployment/web", "app=busybox:1")
    status, verdicts, said = web.verify()
    assert (status, verdicts["workloads"]) == (4, "failed"), said
    for told in ("Deployment/web", "busybox:1", "kubectl-set", web.digest):
        assert told in said
    assert (verdicts["record"], verdicts["manifest"], verdicts["registry"]) == ("ok", "ok", "ok")

    people = web.machine.pin("verify", "web")
    assert people.status == 4
    assert "Deployment/web app has busybox:1" in people.stdout


def test_an_object_that_is_gone(web: Web) -> None:
    web.machine.kubectl("delete", "deployment", "web")
    status, verdicts, said = web.verify()
    assert (status, verdicts["workloads"]) == (4, "failed"), said
    assert "Deployment/web is not in the cluster" in said


def test_a_sidecar_that_was_injected_is_told_apart(web: Web) -> None:
    web.report(f"{web.repository}@{web.digest}")
    sidecar = {"spec": {"template": {"spec": {"containers": [{"name": "proxy", "image": "proxy:1"}]}}}}
    web.machine.kubectl("patch", "deployment", "web", "-p", json.dumps(sidecar))
    web.machine.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    status, verdicts, said = web.verify()
    assert (status, verdicts["workloads"]) == (0, "ok"), said
    assert "proxy" in said


def test_a_registry_that_lost_the_digest_and_a_tag_that_moved(web: Web, cluster: Cluster, unique: str) -> None:
    registry = Server(cluster.registry)
    registry.push_image(unique, "latest", salt=f"{unique} moved")
    status, verdicts, said = web.verify()
    assert (status, verdicts["registry"]) == (0, "ok"), said
    assert "moved since" in said
    registry.request("DELETE", f"/v2/{unique}/manifests/{web.digest}")
    status, verdicts, said = web.verify()
    assert (status, verdicts["registry"]) == (4, "failed"), said
    assert web.digest in said


def test_a_registry_that_does_not_answer(web: Web) -> None:
    nobody = f"{web.repository.partition('/')[0]}=http://127.0.0.1:9"
    status, verdicts, said = web.verify("--registry-mirror", nobody, "--registry-timeout", "5s")
    assert (status, verdicts["registry"]) == (0, "cannot tell"), said
    assert web.verify("--registry-mirror", nobody, "--registry-timeout", "5s", "--registry")[0] == 5


TWO_TAGS = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: one, image: "{{ .Values.image }}:1"}
        - {name: two, image: "{{ .Values.image }}:2"}
"""


def test_two_tags_of_one_repository_with_their_digests_swapped(
    in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path
) -> None:
    registry, image = Server(cluster.registry), f"{cluster.registry}/{unique}"
    one, two = (registry.push_image(unique, tag, salt=f"{unique} {tag}")[0] for tag in ("1", "2"))
    deploy(in_cluster, tmp_path, image, TWO_TAGS)
    succeeded(in_cluster.pin("upgrade", "web", tmp_path / "web"))
    assert in_cluster.pin("verify", "web").status == 0

    def swap(stored: dict[str, Any]) -> None:
        manifest = stored["manifest"].replace(one, "FIRST").replace(two, one)
        stored["manifest"] = manifest.replace("FIRST", two)

    tamper(in_cluster, 1, swap)
    done = in_cluster.pin("verify", "web", "--revision", "1", "-o", "json")
    manifest = next(check for check in json.loads(done.stdout)["checks"] if check["check"] == "manifest")
    assert (done.status, manifest["verdict"], len(manifest["details"])) == (4, "failed", 2)
    assert f"{image}:1@{two}: its digest is recorded for {image}:2" in manifest["details"][0]
    refused = in_cluster.pin("rollback", "web", "1", "--verify")
    assert refused.status == 4, refused.stderr
    assert "nothing was changed" in refused.stderr
    assert f"{image}:2@{one}: its digest is recorded for {image}:1" in refused.stderr
    history = json.loads(in_cluster.pin("history", "web", "-o", "json").stdout)
    assert [row["record"] for row in history] == ["invalid", "ok"]


class TestWithoutRecord:
    """A release that somebody else has pinned."""

    @pytest.fixture
    def pinned(self, in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> Web:
        index, built = Server(cluster.registry).push_index(unique, "latest", PLATFORMS)
        repository = f"{cluster.registry}/{unique}"
        deploy(in_cluster, tmp_path, f"{repository}:latest")
        in_cluster.helm("uninstall", "web", "--wait")
        in_cluster.helm("install", "web", tmp_path / "web", "--set", f"image={repository}:latest@{index}", "--wait")
        return Web(in_cluster, repository, index, built)

    def test_its_own_manifest_is_taken(self, pinned: Web) -> None:
        pinned.report(f"{pinned.repository}@{pinned.digest}")
        status, verdicts, said = pinned.verify("--registry")
        assert (status, verdicts) == (0, {**dict.fromkeys(CHECKS, "ok"), "record": "skipped"}), said
        assert "no record; digests taken from the manifest" in said
        assert json.loads(said)["verified"] is True
        audited = pinned.machine.pin("audit", "--registry", "-o", "json")
        (release,) = json.loads(audited.stdout)["contexts"][0]["releases"]
        assert (audited.status, release["kinds"], release["containers"]) == (0, ["pinned-elsewhere"], 1)
        assert pinned.machine.pin("audit", "--fail-on", "pinned-elsewhere").status == 4

    def test_drift_is_found(self, pinned: Web, cluster: Cluster, unique: str) -> None:
        pinned.machine.kubectl("set", "image", "deployment/web", "app=busybox:1")
        status, verdicts, said = pinned.verify()
        assert (status, verdicts["workloads"]) == (4, "failed"), said
        assert pinned.machine.pin("audit").status == 4
        Server(cluster.registry).request("DELETE", f"/v2/{unique}/manifests/{pinned.digest}")
        assert pinned.verify()[1]["registry"] == "failed"

    def test_one_image_without_a_digest(self, pinned: Web, tmp_path: Path) -> None:
        pinned.machine.helm("upgrade", "web", tmp_path / "web", "--reset-values")
        status, verdicts, said = pinned.verify()
        assert (status, verdicts["record"], verdicts["pods"]) == (4, "failed", "skipped"), said


def test_a_record_sends_nobody_to_another_host(web: Web) -> None:
    """It agrees with itself, its images are in no manifest, and where they are said to be somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        host = f"127.0.0.1:{listener.getsockname()[1]}"

        def add(release: dict[str, Any]) -> None:
            annotations = release["chart"]["metadata"]["annotations"]
            record = digestset.parse(annotations["helm-pin/digests"], "web")
            more = digestset.Image(f"{host}/x:1", f"{host}/x:1", web.digest, "", "values")
            annotations["helm-pin/digests"] = record._replace(images=(*record.images, more)).to_json()

        tamper(web.machine, 1, add)
        status, verdicts, said = web.verify()
        assert (status, verdicts["record"], verdicts["manifest"]) == (4, "ok", "failed"), said
        assert f"no image of the release is at {host}" in said
        assert web.machine.pin("audit", "--registry").status == 4
        assert web.machine.pin("rollback", "web", "1", "--verify").status == 4
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_record_of_a_newer_version(web: Web, tmp_path: Path) -> None:
    def age(release: dict[str, Any]) -> None:
        annotations = release["chart"]["metadata"]["annotations"]
        annotations["helm-pin/digests"] = '{"version": 2, "tool": "helm-pin 9.0.0"}'

    tamper(web.machine, 1, age)
    status, verdicts, said = web.verify()
    assert (status, verdicts["record"]) == (4, "failed"), said
    assert "use the helm-pin that wrote it (helm-pin 9.0.0), or a later one" in said
    audited = web.machine.pin("audit")
    assert audited.status == 1, audited.stdout
    assert "use the helm-pin that wrote it (helm-pin 9.0.0), or a later one" in audited.stdout
    assert "drift" not in audited.stdout
    refused = web.machine.pin("rollback", "web", "1", "--verify")
    assert (refused.status, "--allow-unverified" in refused.stderr) == (4, True)
    assert web.machine.pin("upgrade", "web", tmp_path / "web", "--reset-values").status == 0


@pytest.mark.parametrize("text", ["{", '{"version": 2, "tool": "helm-pin 9.0.0"}'])
def test_what_works_where_the_record_is_bad(web: Web, tmp_path: Path, text: str) -> None:
    """Where values are reused it is needed, and the message says what works."""
    web.machine.pin("upgrade", "web", tmp_path / "web", "--set", "note=x")
    tamper(web.machine, 2, lambda stored: stored["chart"]["metadata"]["annotations"].update({"helm-pin/digests": text}))
    refused = web.machine.pin("upgrade", "web", tmp_path / "web")
    assert refused.status == 4, refused.stderr
    assert "the digest record is not valid; nothing was deployed" in refused.stderr
    assert "give all values (-f, --set), or --reset-values" in refused.stderr
    succeeded(web.machine.pin("upgrade", "web", tmp_path / "web", "--set", "note=y"))
    tamper(web.machine, 3, lambda stored: stored["chart"]["metadata"]["annotations"].update({"helm-pin/digests": text}))
    succeeded(web.machine.pin("upgrade", "web", tmp_path / "web", "--reset-values"))
    assert web.verify()[1]["record"] == "ok"


def test_a_record_that_is_bad_or_not_there(web: Web) -> None:
    def forget(release: dict[str, Any]) -> None:
        del release["chart"]["metadata"]["annotations"]["helm-pin/digests"]
        release["manifest"] = release["manifest"].replace(f"@{web.digest}", "")

    tamper(web.machine, 1, forget)
    status, verdicts, said = web.verify()
    assert (status, verdicts["record"], verdicts["pods"]) == (4, "failed", "skipped"), said


def test_after_a_failed_upgrade_the_deployed_revision_is_verified(web: Web, tmp_path: Path) -> None:
    web.report(f"{web.repository}@{web.digest}")
    (tmp_path / "web" / "templates" / "hook.yaml").write_text(HOOK)
    web.machine.run(web.machine.helm_binary, "upgrade", "web", tmp_path / "web", "--timeout", "2s")
    assert [row["status"] for row in json.loads(web.machine.helm("history", "web", "-o", "json"))] == [
        "deployed",
        "failed",
    ]
    status, verdicts, said = web.verify()
    assert (status, verdicts) == (0, dict.fromkeys(CHECKS, "ok")), said
    assert json.loads(said)["revision"] == 1


def test_a_failed_upgrade_is_told_from_admission(web: Web, tmp_path: Path) -> None:
    """It has changed the Deployment to its own image before it failed."""
    (tmp_path / "web" / "templates" / "hook.yaml").write_text(HOOK.replace("pre-upgrade", "post-upgrade"))
    machine = web.machine
    machine.run(machine.helm_binary, "upgrade", "web", tmp_path / "web", "--set", "image=app:2", "--timeout", "2s")
    status, verdicts, said = web.verify()
    assert (status, verdicts["workloads"]) == (4, "failed"), said
    assert "Deployment/web app has app:2, the release says" in said
    assert ": as revision 2 (failed) says" in said
    assert "admission" not in said
    audited = machine.pin("audit").stdout
    assert ": as revision 2 (failed) says" in audited
    assert "admission" not in audited


def test_nothing_is_deployed(web: Web) -> None:
    web.machine.helm("uninstall", "web", "--keep-history")
    status, verdicts, said = web.verify()
    assert (status, verdicts["record"], verdicts["workloads"]) == (1, "ok", "cannot tell"), said
    assert "release web is uninstalled" in said
    assert web.verify("--revision", "1")[0] == 0  # the record, as asked


def test_there_is_no_such_release_or_revision(web: Web) -> None:
    def message(*args: str) -> str:
        done = web.machine.pin("verify", *args)
        assert done.status == 1
        return done.stderr

    asked = message("other")
    assert asked.startswith("Error: there is no release other\n  at    release other, namespace t")
    assert "next  helm list --all-namespaces" in asked
    asked = message("web", "--revision", "9")
    assert asked.startswith("Error: there is no revision 9 of release web\n")
    assert "helm pin history web lists its revisions" in asked
    asked = message("web", "--revision", "9", "--namespace", "elsewhere")
    assert "helm pin history web --namespace elsewhere lists its revisions" in asked
    assert "HELM_DRIVER=configmap" in web.machine.with_env(HELM_DRIVER="configmap").pin("verify", "web").stderr
    for wrong in (["--revision=0"], ["--revision=-1"], ["--revision=one"], ["--registry", "--no-registry"]):
        assert web.machine.pin("verify", "web", *wrong).status == 2


def test_without_kubectl(web: Web, tmp_path: Path) -> None:
    status, verdicts, said = web._replace(machine=without_kubectl(web.machine, tmp_path / "bin")).verify()
    assert status == 1
    assert verdicts == {**dict.fromkeys(CHECKS, "ok"), "workloads": "cannot tell", "pods": "cannot tell"}
    assert "there is no kubectl on PATH" in said


def test_an_api_server_that_is_not_there(web: Web, tmp_path: Path) -> None:
    config = json.loads(web.machine.kubectl("config", "view", "--raw", "-o", "json"))
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    (tmp_path / "down").write_text(json.dumps(config))
    down = web.machine.with_env(KUBECONFIG=str(tmp_path / "down"))
    nowhere = web.machine.with_env(KUBECONFIG=str(tmp_path / "nowhere"))
    for command in (["verify", "web"], ["history", "web"], ["rollback", "web", "--verify"], ["audit"]):
        done = down.pin(*command)
        assert (done.status, "refused" in done.stderr, "kubectl cluster-info" in done.stderr) == (1, True, True)
        done = nowhere.pin(*command)
        assert (done.status, f"there is no kubeconfig ({tmp_path / 'nowhere'})" in done.stderr) == (1, True)


def test_every_kind_that_runs_pods(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> None:
    """Those with pods, those whose pods have ended, and those that have none."""
    registry = Server(cluster.registry)
    digest, _ = registry.push_image(unique, "latest", salt=unique)
    deploy(in_cluster, tmp_path, f"{cluster.registry}/{unique}:latest", KINDS, "--wait=false")
    web = Web(in_cluster, f"{cluster.registry}/{unique}", digest, {})

    def phases() -> dict[str, str]:
        return {pod["metadata"]["name"].split("-")[0]: pod["status"]["phase"] for pod in pods(in_cluster)}

    expected = dict.fromkeys(("stateful", "daemon", "bare", "deployed"), "Running") | {"job": "Succeeded"}
    eventually(lambda: phases() == expected)
    status, verdicts, said = web.verify()
    assert (status, verdicts["workloads"], verdicts["pods"]) == (0, "ok", "cannot tell"), said
    for pod in pods(in_cluster):
        web.report(f"{web.repository}@{digest}", pod)
    status, verdicts, said = web.verify()
    assert (status, verdicts) == (0, dict.fromkeys(CHECKS, "ok")), said
    assert "6 containers as recorded" in said  # the Deployment's pod has an init container
    assert "CronJob/scheduled has no pod" in said

    debug = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "busybox:1"}]}}
    in_cluster.kubectl("patch", "pod", "bare", "--subresource=ephemeralcontainers", "-p", json.dumps(debug))
    in_cluster.kubectl("create", "job", "--from=cronjob/scheduled", "by-hand")
    eventually(lambda: phases().get("by") in ("Running", "Succeeded"))
    (made,) = [pod for pod in pods(in_cluster) if pod["metadata"]["name"].startswith("by-hand")]
    web.report(f"{web.repository}@{FOREIGN}", made)
    status, verdicts, said = web.verify()
    assert (status, verdicts["pods"]) == (4, "failed"), said
    assert "Pod/bare debug is not part of the release (an ephemeral container): busybox:1" in said
    assert f"Pod/{made['metadata']['name']} app reports {web.repository}@{FOREIGN}" in said


def test_pods_of_an_older_replica_set_and_pods_that_have_not_started(web: Web, tmp_path: Path) -> None:
    """A rollout that is on its way: the old pod stays until the new one is ready, which it never is."""
    web.report(f"{web.repository}@{web.digest}")
    template = tmp_path / "web" / "templates" / "deployment.yaml"
    template.write_text(
        template.read_text().replace("      containers:", "      nodeSelector: {a: b}\n      containers:")
    )
    succeeded(web.machine.pin("upgrade", "web", tmp_path / "web"))
    eventually(lambda: len(pods(web.machine)) == 2)
    status, verdicts, said = web.verify()
    assert (status, verdicts["workloads"], verdicts["pods"]) == (0, "ok", "cannot tell"), said
    assert "is of an older revision" in said
    assert "app has not started: Unschedulable" in said


def test_no_registry_is_asked_unless_one_wants_to(in_cluster: Workstation, unique: str, tmp_path: Path) -> None:
    """Somebody listens where the registry was: nobody comes."""
    with distribution(tmp_path / "registry") as server:
        server.push_image(unique, "latest", salt=unique)
        deploy(in_cluster, tmp_path, f"{server.host}/{unique}:latest")
    host, _, port = server.host.partition(":")
    with socket.create_server((host, int(port))) as listener:
        listener.setblocking(False)
        for command in (["history", "web"], ["audit"], ["audit", "-o", "html"], ["verify", "web", "--no-registry"]):
            assert in_cluster.pin(*command).status == 0
        with pytest.raises(BlockingIOError):
            listener.accept()
        assert in_cluster.pin("verify", "web", "--registry", "--registry-timeout", "2s").status == 5
        listener.accept()[0].close()


def test_somebody_deploys_meanwhile(web: Web, unique: str, tmp_path: Path) -> None:
    """What is live is theirs: that is no failed verification."""
    (tmp_path / "race").mkdir()
    race = Race(web.machine, tmp_path / "race", unique)
    theirs = f"{web.machine.helm_binary} upgrade web {tmp_path / 'web'} --set image=busybox:1"
    done = race(WHILE_CHECKING, theirs, "verify", "web")
    assert done.status == 1, done.stdout
    assert "revision 2 was made by somebody else while this ran\n" in done.stderr
    assert "next  run it again" in done.stderr


class TestRights:
    """An account that may read the release and the Deployments, and no pods."""

    @pytest.fixture
    def limited(self, web: Web, unique: str) -> Workstation:
        kubectl = web.machine.kubectl
        kubectl("create", "serviceaccount", "limited")
        kubectl("create", "role", "limited", "--verb=get,list", "--resource=secrets,deployments.apps")
        kubectl("create", "rolebinding", "limited", "--role=limited", f"--serviceaccount={unique}:limited")
        return web.machine.with_env(HELM_KUBEASUSER=f"system:serviceaccount:{unique}:limited")

    def test_what_can_be_known_is_told_and_what_not_is_named(self, web: Web, limited: Workstation) -> None:
        status, verdicts, said = web._replace(machine=limited).verify()
        assert verdicts == {**dict.fromkeys(CHECKS, "ok"), "pods": "cannot tell"}, said
        assert status == 1
        assert "pods is forbidden" in said

    def test_without_the_right_to_read_deployments(self, web: Web, limited: Workstation) -> None:
        web.machine.kubectl("delete", "role", "limited")
        web.machine.kubectl("create", "role", "limited", "--verb=get,list", "--resource=secrets")
        status, verdicts, said = web._replace(machine=limited).verify()
        assert (status, verdicts["manifest"], verdicts["workloads"]) == (1, "ok", "cannot tell"), said
        assert "deployments" in said
        assert "forbidden" in said


class TestOnANode:
    """A node that pulls and runs: nothing is written into a status by hand."""

    def test_five_of_five_then_drift(
        self, on_node: Workstation, node_cluster: Cluster, unique: str, tmp_path: Path
    ) -> None:
        registry = node_cluster.registry
        first = images.push(registry, unique, "latest", "A", tuple(PLATFORMS))
        deploy(on_node, tmp_path, f"{registry}/{unique}:latest")
        second = images.push(registry, unique, "latest", "B", tuple(PLATFORMS))
        on_node.kubectl("delete", "pods", "--all", "--grace-period=1")
        eventually(lambda: runs(on_node, "A"))
        release = Web(on_node, f"{registry}/{unique}", first, {})
        assert release.verify()[:2] == (0, dict.fromkeys(CHECKS, "ok"))
        assert "5 of 5 checks ok" in succeeded(on_node.pin("verify", "web")).stdout

        on_node.kubectl("set", "image", "deployment/web", f"app={registry}/{unique}:latest@{second}")
        on_node.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
        status, verdicts, said = release.verify()
        assert (status, verdicts["workloads"], verdicts["pods"]) == (4, "failed", "failed"), said
        assert "Deployment/web" in said and second in said
