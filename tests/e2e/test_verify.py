"""helm pin verify on a real API server: what it proves, what it finds, and what it says when it cannot tell."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from helmpin.release import record as digestset
from scripts.devtools.api import Cluster
from tests.e2e.test_history import DEPLOYMENT, succeeded, without_kubectl
from tests.support import kube
from tests.support.app import eventually
from tests.support.race import WHILE_CHECKING, Race
from tests.support.registry_servers import Server, distribution
from tests.support.twins import UNVALIDATED
from tests.support.workstation import Finished, Workstation, whichever_helm

pytestmark = whichever_helm

PLATFORMS = {"linux/amd64": "amd64", "linux/arm64": "arm64"}
CHECKS = ("record", "manifest", "registry", "workloads", "pods")
FOREIGN = f"sha256:{'f' * 64}"

REPORTED = {
    "{repository}@{digest}": "index",
    "docker-pullable://{repository}@{digest}": "manifest",
    "{hex}": "configuration",
}
"""What stands in imageID in statuses of real pods, and which digest: containerd's and CRI-O's until 1.28; cri-dockerd's and the
dockershim's (`docker-pullable://nginx@sha256:f7988f…`); CRI-O's since 1.29, as OpenShift 4.15 has it (64 digits)."""

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
    chart: Path
    repository: str
    """With its registry."""
    digest: str
    """Of the index."""
    built: dict[str, tuple[str, str]]
    """The digests of manifest and configuration by platform."""

    @property
    def place(self) -> kube.Namespace:
        """Where it is."""
        return kube.namespace(self.machine)

    @property
    def first(self) -> kube.Revision:
        """Revision 1 as it is stored."""
        return kube.revision(self.machine, "web", 1)

    def verify(self, *args: str) -> tuple[int, dict[str, str], str]:
        """The exit status, the verdicts by check, and all that was said."""
        done = self.machine.pin("verify", "web", "-o", "json", *args)
        checks = json.loads(done.stdout)["checks"]
        return done.status, {check["check"]: check["verdict"] for check in checks}, done.stdout

    def report(self, image_id: str, pod: dict[str, Any] | None = None) -> None:
        """Write into the status of the one pod, or of one, that its containers run this image, as a kubelet would."""
        if pod is None:
            (pod,) = self.place.pods()
        self.place.report(pod, image_id)


def chart(folder: Path, image: str, template: str = DEPLOYMENT) -> Path:
    """The chart in a folder."""
    made = folder / "web"
    (made / "templates").mkdir(parents=True)
    (made / "Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 1.0.0\n")
    (made / "values.yaml").write_text(f"image: {image}\n")
    (made / "templates" / "deployment.yaml").write_text(template)
    return made


def deploy(machine: Workstation, chart: Path, *flags: str) -> Finished:
    return succeeded(machine.pin("upgrade", "--install", "web", chart, UNVALIDATED, *flags))


def deployed(machine: Workstation, registry: str, unique: str, folder: Path, *flags: str) -> Web:
    """Its pod running (kwok's: it reports no image until somebody writes one)."""
    index, built = Server(registry).push_index(unique, "latest", PLATFORMS)
    made = chart(folder, f"{registry}/{unique}:latest")
    deploy(machine, made, "--wait", "--timeout", "60s", *flags)
    return Web(machine, made, f"{registry}/{unique}", index, built)


@pytest.fixture
def web(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> Web:
    return deployed(in_cluster, cluster.registry, unique, tmp_path)


@pytest.fixture(scope="class")
def shared_web(
    shared_in_cluster: Workstation, cluster: Cluster, shared_unique: str, tmp_path_factory: pytest.TempPathFactory
) -> Web:
    """As `web`, for all tests of a class: they put back what they change."""
    return deployed(shared_in_cluster, cluster.registry, shared_unique, tmp_path_factory.mktemp("shared"))


class TestOneRelease:
    def test_what_a_runtime_may_report(self, shared_web: Web) -> None:
        web = shared_web
        web.report("")
        status, verdicts, said = web.verify()
        assert (status, verdicts["pods"]) == (0, "cannot tell"), said
        child, configuration = web.built["linux/arm64"]
        for form, digest in REPORTED.items():
            known = {"index": web.digest, "manifest": child, "configuration": configuration}[digest]
            image_id = form.format(repository=web.repository, digest=known, hex=known.removeprefix("sha256:"))
            web.report(image_id)
            assert web.verify()[:2] == (0, dict.fromkeys(CHECKS, "ok")), image_id

        web.report(FOREIGN.removeprefix("sha256:"))
        status, verdicts, said = web.verify()
        assert (status, verdicts) == (4, {**dict.fromkeys(CHECKS, "ok"), "pods": "failed"}), said
        assert FOREIGN.removeprefix("sha256:") in said and web.digest in said

        web.report(f"{web.repository}@{child}")
        status, verdicts, said = web.verify("--no-registry")
        assert (status, verdicts["registry"], verdicts["pods"]) == (0, "skipped", "cannot tell"), said
        web.report(f"{web.repository}@{web.digest}")
        assert web.verify("--no-registry")[1]["pods"] == "ok"

    def test_a_registry_that_lost_the_digest_and_a_tag_that_moved(self, shared_web: Web, shared_unique: str) -> None:
        web, registry = shared_web, Server(shared_web.repository.partition("/")[0])
        registry.push_image(shared_unique, "latest", salt=f"{shared_unique} moved")
        try:
            web.report(f"{web.repository}@{web.digest}")
            status, verdicts, said = web.verify()
            assert (status, verdicts["registry"]) == (0, "ok"), said
            assert "moved since" in said
            registry.request("DELETE", f"/v2/{shared_unique}/manifests/{web.digest}")
            status, verdicts, said = web.verify()
            assert (status, verdicts["registry"]) == (4, "failed"), said
            assert web.digest in said
        finally:
            registry.push_index(shared_unique, "latest", PLATFORMS)

    def test_a_registry_that_does_not_answer(self, shared_web: Web) -> None:
        web = shared_web
        web.report(f"{web.repository}@{web.digest}")
        nobody = f"{web.repository.partition('/')[0]}=http://127.0.0.1:9"
        status, verdicts, said = web.verify("--registry-mirror", nobody, "--registry-timeout", "5s")
        assert (status, verdicts["registry"]) == (0, "cannot tell"), said
        assert web.verify("--registry-mirror", nobody, "--registry-timeout", "5s", "--registry")[0] == 5

    def test_a_record_sends_nobody_to_another_host(self, shared_web: Web) -> None:
        """It agrees with itself, its images are in no manifest, and where they are said to be somebody listens."""
        web = shared_web
        with socket.create_server(("127.0.0.1", 0)) as listener, web.first.put_back():
            listener.setblocking(False)
            host = f"127.0.0.1:{listener.getsockname()[1]}"

            def add(release: dict[str, Any]) -> None:
                annotations = release["chart"]["metadata"]["annotations"]
                record = digestset.parse(annotations["helm-pin/digests"], "web")
                more = digestset.Image(f"{host}/x:1", f"{host}/x:1", web.digest, "", "values")
                annotations["helm-pin/digests"] = record._replace(images=(*record.images, more)).to_json()

            web.first.rewrite(add)
            status, verdicts, said = web.verify()
            assert (status, verdicts["record"], verdicts["manifest"]) == (4, "ok", "failed"), said
            assert f"no image of the release is at {host}" in said
            assert web.machine.pin("audit", "--registry").status == 4
            assert web.machine.pin("rollback", "web", "1", "--verify").status == 4
            with pytest.raises(BlockingIOError):
                listener.accept()

    def test_a_record_of_a_newer_version(self, shared_web: Web) -> None:
        web = shared_web
        with web.first.put_back():
            web.first.rewrite(lambda stored: set_record(stored, NEWER))
            status, verdicts, said = web.verify()
            assert (status, verdicts["record"]) == (4, "failed"), said
            assert "use the helm-pin that wrote it (helm-pin 9.0.0), or a later one" in said
            audited = web.machine.pin("audit")
            assert audited.status == 1, audited.stdout
            assert "use the helm-pin that wrote it (helm-pin 9.0.0), or a later one" in audited.stdout
            assert "drift" not in audited.stdout
            refused = web.machine.pin("rollback", "web", "1", "--verify")
            assert (refused.status, "--allow-unverified" in refused.stderr) == (4, True)

    def test_no_record_and_an_image_without_a_digest(self, shared_web: Web) -> None:
        web = shared_web

        def forget(release: dict[str, Any]) -> None:
            del release["chart"]["metadata"]["annotations"]["helm-pin/digests"]
            release["manifest"] = release["manifest"].replace(f"@{web.digest}", "")

        with web.first.put_back():
            web.first.rewrite(forget)
            status, verdicts, said = web.verify()
            assert (status, verdicts["record"], verdicts["pods"]) == (4, "failed", "skipped"), said

    def test_there_is_no_such_release_or_revision(self, shared_web: Web) -> None:
        machine = shared_web.machine

        def message(*args: str) -> str:
            done = machine.pin("verify", *args)
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
        assert "HELM_DRIVER=configmap" in machine.with_env(HELM_DRIVER="configmap").pin("verify", "web").stderr
        for wrong in (["--revision=0"], ["--revision=-1"], ["--revision=one"], ["--registry", "--no-registry"]):
            assert machine.pin("verify", "web", *wrong).status == 2

    def test_without_kubectl(self, shared_web: Web, tmp_path: Path) -> None:
        alone = without_kubectl(shared_web.machine, tmp_path / "bin")
        status, verdicts, said = shared_web._replace(machine=alone).verify()
        assert status == 1
        assert verdicts == {**dict.fromkeys(CHECKS, "ok"), "workloads": "cannot tell", "pods": "cannot tell"}
        assert "there is no kubectl on PATH" in said

    def test_an_api_server_that_is_not_there(self, shared_web: Web, tmp_path: Path) -> None:
        machine = shared_web.machine
        config = json.loads(Path(machine.env["KUBECONFIG"]).read_text())
        config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
        (tmp_path / "down").write_text(json.dumps(config))
        down = machine.with_env(KUBECONFIG=str(tmp_path / "down"))
        nowhere = machine.with_env(KUBECONFIG=str(tmp_path / "nowhere"))
        for command in (["verify", "web"], ["history", "web"], ["rollback", "web", "--verify"], ["audit"]):
            done = down.pin(*command)
            assert (done.status, "refused" in done.stderr, "kubectl cluster-info" in done.stderr) == (1, True, True)
            done = nowhere.pin(*command)
            assert (done.status, f"there is no kubeconfig ({tmp_path / 'nowhere'})" in done.stderr) == (1, True)

    def test_an_account_that_may_not_read_pods(self, shared_web: Web, shared_unique: str) -> None:
        """What can be known is told, and what not is named."""
        account = f"{shared_unique}-no-pods"
        shared_web.place.allow(account, ("", "secrets", "get,list"), ("apps", "deployments", "get,list"))
        limited = shared_web.machine.with_env(HELM_KUBEASUSER=account)
        status, verdicts, said = shared_web._replace(machine=limited).verify()
        assert verdicts == {**dict.fromkeys(CHECKS, "ok"), "pods": "cannot tell"}, said
        assert status == 1
        assert "pods is forbidden" in said

    def test_an_account_that_may_not_read_deployments(self, shared_web: Web, shared_unique: str) -> None:
        account = f"{shared_unique}-no-deployments"
        shared_web.place.allow(account, ("", "secrets", "get,list"))
        limited = shared_web.machine.with_env(HELM_KUBEASUSER=account)
        status, verdicts, said = shared_web._replace(machine=limited).verify()
        assert (status, verdicts["manifest"], verdicts["workloads"]) == (1, "ok", "cannot tell"), said
        assert "deployments" in said
        assert "forbidden" in said


def test_what_somebody_changes_in_the_cluster(web: Web) -> None:
    """A sidecar is told apart from another image and from an object that is gone, and those from a release that is gone."""
    web.report(f"{web.repository}@{web.digest}")
    sidecar = {"spec": {"template": {"spec": {"containers": [{"name": "proxy", "image": "proxy:1"}]}}}}
    web.machine.kubectl("patch", "deployment", "web", "-p", json.dumps(sidecar))
    eventually(lambda: any(len(pod["spec"]["containers"]) == 2 for pod in web.place.pods()))
    status, verdicts, said = web.verify()
    assert (status, verdicts["workloads"]) == (0, "ok"), said
    assert "proxy" in said

    web.machine.kubectl("set", "image", "deployment/web", "app=busybox:1")
    status, verdicts, said = web.verify()
    assert (status, verdicts["workloads"]) == (4, "failed"), said
    for told in ("Deployment/web", "busybox:1", "kubectl-set", web.digest):
        assert told in said
    assert (verdicts["record"], verdicts["manifest"], verdicts["registry"]) == ("ok", "ok", "ok")
    people = web.machine.pin("verify", "web")
    assert people.status == 4
    assert "Deployment/web app has busybox:1" in people.stdout

    web.place.api("DELETE", "deployments/web")
    status, verdicts, said = web.verify()
    assert (status, verdicts["workloads"]) == (4, "failed"), said
    assert "Deployment/web is not in the cluster" in said

    web.machine.helm("uninstall", "web", "--keep-history")
    status, verdicts, said = web.verify()
    assert (status, verdicts["record"], verdicts["workloads"]) == (1, "ok", "cannot tell"), said
    assert "release web is uninstalled" in said
    assert web.verify("--revision", "1")[0] == 0  # the record, as asked


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
    deploy(in_cluster, chart(tmp_path, image, TWO_TAGS))
    assert in_cluster.pin("verify", "web").status == 0

    def swap(stored: dict[str, Any]) -> None:
        manifest = stored["manifest"].replace(one, "FIRST").replace(two, one)
        stored["manifest"] = manifest.replace("FIRST", two)

    kube.revision(in_cluster, "web", 1).rewrite(swap)
    done = in_cluster.pin("verify", "web", "-o", "json")
    manifest = next(check for check in json.loads(done.stdout)["checks"] if check["check"] == "manifest")
    assert (done.status, manifest["verdict"], len(manifest["details"])) == (4, "failed", 2)
    assert f"{image}:1@{two}: its digest is recorded for {image}:2" in manifest["details"][0]
    refused = in_cluster.pin("rollback", "web", "1", "--verify")
    assert refused.status == 4, refused.stderr
    assert "nothing was changed" in refused.stderr
    assert f"{image}:2@{one}: its digest is recorded for {image}:1" in refused.stderr
    (row,) = json.loads(in_cluster.pin("history", "web", "-o", "json").stdout)
    assert row["record"] == "invalid"


def test_a_release_that_somebody_else_has_pinned(
    in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path
) -> None:
    """There is no record: its own manifest is taken."""
    registry = Server(cluster.registry)
    index, built = registry.push_index(unique, "latest", PLATFORMS)
    repository = f"{cluster.registry}/{unique}"
    web = Web(in_cluster, chart(tmp_path, f"{repository}:latest@{index}"), repository, index, built)
    in_cluster.helm("install", "web", web.chart, "--wait")
    web.report(f"{repository}@{index}")
    status, verdicts, said = web.verify("--registry")
    assert (status, verdicts) == (0, {**dict.fromkeys(CHECKS, "ok"), "record": "skipped"}), said
    assert "no record; digests taken from the manifest" in said
    assert json.loads(said)["verified"] is True
    audited = in_cluster.pin("audit", "--registry", "-o", "json")
    (release,) = json.loads(audited.stdout)["contexts"][0]["releases"]
    assert (audited.status, release["kinds"], release["containers"]) == (0, ["pinned-elsewhere"], 1)
    assert in_cluster.pin("audit", "--fail-on", "pinned-elsewhere").status == 4

    in_cluster.kubectl("set", "image", "deployment/web", "app=busybox:1")
    registry.request("DELETE", f"/v2/{unique}/manifests/{index}")
    status, verdicts, said = web.verify()
    assert (status, verdicts["workloads"], verdicts["registry"]) == (4, "failed", "failed"), said
    assert in_cluster.pin("audit").status == 4


NEWER = '{"version": 2, "tool": "helm-pin 9.0.0"}'
"""A record as no helm-pin of today writes it."""


def set_record(release: dict[str, Any], text: str) -> None:
    release["chart"]["metadata"]["annotations"]["helm-pin/digests"] = text


def test_what_works_where_the_record_is_bad(
    in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path
) -> None:
    """Where values are reused it is needed, and the message says what works."""
    web = deployed(in_cluster, cluster.registry, unique, tmp_path, "--set", "note=x")
    for number, (text, works) in enumerate((("{", ["--set", "note=y"]), (NEWER, ["--reset-values"])), 1):
        kube.revision(in_cluster, "web", number).rewrite(lambda stored, text=text: set_record(stored, text))
        refused = in_cluster.pin("upgrade", "web", web.chart)
        assert refused.status == 4, refused.stderr
        assert "the digest record is not valid; nothing was deployed" in refused.stderr
        assert "give all values (-f, --set), or --reset-values" in refused.stderr
        succeeded(in_cluster.pin("upgrade", "web", web.chart, UNVALIDATED, *works))
    assert web.verify()[1]["record"] == "ok"


def test_while_it_is_upgraded(web: Web, unique: str, tmp_path: Path) -> None:
    """What failed, what is on its way, and what somebody else deploys meanwhile."""
    machine, hook = web.machine, web.chart / "templates" / "hook.yaml"
    plain = [machine.helm_binary, "upgrade", "web", web.chart, "--timeout", "1s"]
    web.report(f"{web.repository}@{web.digest}")
    hook.write_text(HOOK)
    machine.run(*plain)
    status, verdicts, said = web.verify()
    assert (status, verdicts) == (0, dict.fromkeys(CHECKS, "ok")), said
    assert json.loads(said)["revision"] == 1  # the deployed one
    hook.unlink()

    template = web.chart / "templates" / "deployment.yaml"
    template.write_text(
        template.read_text().replace("      containers:", "      nodeSelector: {a: b}\n      containers:")
    )
    deploy(machine, web.chart)
    # the old pod stays until the new one is ready, which it never is
    eventually(lambda: [pod["metadata"]["labels"].get("app") for pod in web.place.pods()].count("web") == 2)
    status, verdicts, said = web.verify()
    assert (status, verdicts["workloads"], verdicts["pods"]) == (0, "ok", "cannot tell"), said
    assert "is of an older revision" in said
    assert "app has not started: Unschedulable" in said

    hook.write_text(HOOK.replace("pre-upgrade", "post-upgrade"))
    machine.run(*plain, "--set", "image=app:2")  # it fails when it has changed the Deployment
    statuses = [status for _, status in kube.revisions(machine, "web")]
    assert statuses == ["superseded", "failed", "deployed", "failed"]
    status, verdicts, said = web.verify()
    assert (status, verdicts["workloads"]) == (4, "failed"), said
    assert "Deployment/web app has app:2, the release says" in said
    assert ": as revision 4 (failed) says" in said
    assert "admission" not in said
    audited = machine.pin("audit").stdout
    assert ": as revision 4 (failed) says" in audited
    assert "admission" not in audited
    hook.unlink()

    (tmp_path / "race").mkdir()
    theirs = f"{machine.helm_binary} upgrade web {web.chart} --set image=busybox:1"
    done = Race(machine, tmp_path / "race", unique)(WHILE_CHECKING, theirs, "verify", "web")
    assert done.status == 1, done.stdout  # what is live is theirs: that is no failed verification
    assert "revision 5 was made by somebody else while this ran\n" in done.stderr
    assert "next  run it again" in done.stderr


def test_every_kind_that_runs_pods(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> None:
    """Those with pods, those whose pods have ended, and those that have none."""
    registry = Server(cluster.registry)
    digest, _ = registry.push_image(unique, "latest", salt=unique)
    made = chart(tmp_path, f"{cluster.registry}/{unique}:latest", KINDS)
    deploy(in_cluster, made)
    web = Web(in_cluster, made, f"{cluster.registry}/{unique}", digest, {})

    def phases() -> dict[str, str]:
        return {pod["metadata"]["name"].split("-")[0]: pod["status"]["phase"] for pod in web.place.pods()}

    expected = dict.fromkeys(("stateful", "daemon", "bare", "deployed"), "Running") | {"job": "Succeeded"}
    eventually(lambda: phases() == expected)
    status, verdicts, said = web.verify()
    assert (status, verdicts["workloads"], verdicts["pods"]) == (0, "ok", "cannot tell"), said
    for pod in web.place.pods():
        web.report(f"{web.repository}@{digest}", pod)
    status, verdicts, said = web.verify()
    assert (status, verdicts) == (0, dict.fromkeys(CHECKS, "ok")), said
    assert "6 containers as recorded" in said  # the Deployment's pod has an init container
    assert "CronJob/scheduled has no pod" in said

    debug = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "busybox:1"}]}}
    in_cluster.kubectl("patch", "pod", "bare", "--subresource=ephemeralcontainers", "-p", json.dumps(debug))
    in_cluster.kubectl("create", "job", "--from=cronjob/scheduled", "by-hand")
    eventually(lambda: phases().get("by") in ("Running", "Succeeded"))
    (made,) = [pod for pod in web.place.pods() if pod["metadata"]["name"].startswith("by-hand")]
    web.report(f"{web.repository}@{FOREIGN}", made)
    status, verdicts, said = web.verify()
    assert (status, verdicts["pods"]) == (4, "failed"), said
    assert "Pod/bare debug is not part of the release (an ephemeral container): busybox:1" in said
    assert f"Pod/{made['metadata']['name']} app reports {web.repository}@{FOREIGN}" in said


def test_no_registry_is_asked_unless_one_wants_to(in_cluster: Workstation, unique: str, tmp_path: Path) -> None:
    """Somebody listens where the registry was: nobody comes."""
    with distribution(tmp_path / "registry") as server:
        server.push_image(unique, "latest", salt=unique)
        deploy(in_cluster, chart(tmp_path, f"{server.host}/{unique}:latest"))
    host, _, port = server.host.partition(":")
    with socket.create_server((host, int(port))) as listener:
        listener.setblocking(False)
        for command in (["history", "web"], ["audit"], ["audit", "-o", "html"], ["verify", "web", "--no-registry"]):
            assert in_cluster.pin(*command).status == 0
        with pytest.raises(BlockingIOError):
            listener.accept()
        assert in_cluster.pin("verify", "web", "--registry", "--registry-timeout", "2s").status == 5
        listener.accept()[0].close()
