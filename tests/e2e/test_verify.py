"""helm pin verify on a real API server: what it proves, what it finds, and what it says when it cannot tell."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError

import pytest

from helmpin.release import record as digestset
from scripts.devtools.api import Cluster
from tests.e2e.test_history import DEPLOYMENT, succeeded, without_kubectl
from tests.support import kube
from tests.support.app import eventually
from tests.support.race import WHILE_CHECKING, Race
from tests.support.registry_servers import Server
from tests.support.twins import UNVALIDATED
from tests.support.workstation import Finished, Workstation, whichever_helm

pytestmark = whichever_helm

PLATFORMS = {"linux/amd64": "amd64", "linux/arm64": "arm64"}
CHECKS = ("record", "manifest", "registry", "workloads", "pods")
FOREIGN = f"sha256:{'f' * 64}"

REPORTED = {
    "stateful": "{repository}@{index}",
    "daemon": "docker-pullable://{repository}@{manifest}",
    "deployed": "{configuration}",
}
"""What stands in imageID in statuses of real pods, by the workload that has it here: containerd's and CRI-O's until 1.28;
cri-dockerd's and the dockershim's (`docker-pullable://nginx@sha256:f7988f…`), here of one platform; CRI-O's since 1.29, as
OpenShift 4.15 has it (64 digits)."""

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

    def runs(self) -> list[tuple[str, ...]]:
        """The phase and the images of each pod."""
        return [(pod["status"]["phase"], *(c["image"] for c in pod["spec"]["containers"])) for pod in self.place.pods()]

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


def deployed(machine: Workstation, registry: str, unique: str, folder: Path) -> Web:
    """Its pod running (kwok's: it reports no image until somebody writes one)."""
    index, built = Server(registry).push_index(unique, "latest", PLATFORMS)
    made = chart(folder, f"{registry}/{unique}:latest")
    deploy(machine, made, "--wait", "--timeout", "60s")
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
    def test_a_registry_that_lost_the_digest_and_a_tag_that_moved(self, shared_web: Web, shared_unique: str) -> None:
        web, registry = shared_web, Server(shared_web.repository.partition("/")[0])
        registry.push_image(shared_unique, "latest", salt=f"{shared_unique} moved")
        try:
            web.report(f"{web.repository}@{web.digest}")
            status, verdicts, said = web.verify()
            assert (status, verdicts) == (0, dict.fromkeys(CHECKS, "ok")), said
            assert "moved since" in said
            registry.request("DELETE", f"/v2/{shared_unique}/manifests/{web.digest}")
            status, verdicts, said = web.verify()
            assert (status, verdicts["registry"]) == (4, "failed"), said
            assert web.digest in said
        finally:
            registry.push_index(shared_unique, "latest", PLATFORMS)

    def test_no_registry_is_asked_unless_one_wants_to(self, shared_web: Web) -> None:
        """Somebody listens where the registry should be, and does not answer."""
        web = shared_web
        web.report(f"{web.repository}@{web.digest}")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            mirror = f"{web.repository.partition('/')[0]}=http://127.0.0.1:{listener.getsockname()[1]}"
            slow = {"HELM_PIN_REGISTRY_MIRROR": mirror, "HELM_PIN_REGISTRY_TIMEOUT": "2s"}
            web = web._replace(machine=web.machine.with_env(**slow))
            for command in (["history", "web"], ["audit"], ["verify", "web", "--no-registry"]):
                assert web.machine.pin(*command).status == 0
            with pytest.raises(BlockingIOError):
                listener.accept()
            status, verdicts, said = web.verify()
            assert (status, verdicts["registry"]) == (0, "cannot tell"), said
            listener.accept()[0].close()
            assert web.verify("--registry")[0] == 5

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
            refused = web.machine.pin("rollback", "web", "1", "--verify")
            assert (refused.status, "--allow-unverified" in refused.stderr) == (4, True)

    def test_there_is_no_such_release_or_revision(self, shared_web: Web) -> None:
        machine = shared_web.machine

        def message(*args: str) -> str:
            done = machine.pin("verify", *args)
            assert done.status == 1
            return done.stderr

        asked = message("other")
        assert asked.startswith("Error: there is no release other\n  at    release other, namespace t")
        assert "next  helm list --all-namespaces" in asked
        asked = message("web", "--revision", "9", "--namespace", "elsewhere")
        assert asked.startswith("Error: there is no revision 9 of release web\n")
        assert "helm pin history web --namespace elsewhere lists its revisions" in asked
        assert "HELM_DRIVER=configmap" in machine.with_env(HELM_DRIVER="configmap").pin("verify", "web").stderr

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
        for command in (["verify", "web"], ["audit"]):  # by helm, and by kubectl
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

    def test_what_somebody_changes_in_the_cluster(self, shared_web: Web) -> None:
        """A container that is added, another image, and an object that is gone."""
        web = shared_web
        deployment = web.place.api("GET", "deployments/web")
        sidecar = {"spec": {"template": {"spec": {"containers": [{"name": "proxy", "image": "proxy:1"}]}}}}
        web.machine.kubectl("patch", "deployment", "web", "-p", json.dumps(sidecar))
        try:
            eventually(lambda: any(len(pod["spec"]["containers"]) == 2 for pod in web.place.pods()))
            status, verdicts, said = web.verify()
            assert (status, verdicts["workloads"]) == (4, "failed"), said
            assert "Deployment/web also has proxy, with proxy:1: set by kubectl-patch" in said

            web.machine.kubectl("set", "image", "deployment/web", "app=busybox:1")
            status, verdicts, said = web.verify()
            assert (status, verdicts["workloads"]) == (4, "failed"), said
            for told in ("Deployment/web app has busybox:1", "kubectl-set", web.digest):
                assert told in said
            assert (verdicts["record"], verdicts["manifest"], verdicts["registry"]) == ("ok", "ok", "ok")

            web.place.api("DELETE", "deployments/web")
            people = web.machine.pin("verify", "web")
        finally:
            with suppress(HTTPError):
                web.place.api("DELETE", "deployments/web")
            same = {key: deployment["metadata"][key] for key in ("name", "labels", "annotations")}
            web.place.api("POST", "deployments", {"metadata": same, "spec": deployment["spec"]})
            containers = deployment["spec"]["template"]["spec"]["containers"]
            eventually(lambda: web.runs() == [("Running", containers[0]["image"])])
        assert people.status == 4, people.stderr
        assert "Deployment/web is not in the cluster" in people.stdout


NEWER = '{"version": 2, "tool": "helm-pin 9.0.0"}'
"""A record as no helm-pin of today writes it."""


def set_record(release: dict[str, Any], text: str) -> None:
    release["chart"]["metadata"]["annotations"]["helm-pin/digests"] = text


def test_what_works_where_the_record_is_bad(
    in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path
) -> None:
    """Where values are reused it is needed, and the message says what works. A good one is verified though nothing is deployed."""
    repository = f"{cluster.registry}/{unique}"
    digest, _ = Server(cluster.registry).push_image(unique, "latest", salt=unique)
    web = Web(in_cluster, chart(tmp_path, f"{repository}:latest"), repository, digest, {})
    deploy(in_cluster, web.chart, "--set", "note=x")
    for number, (text, works) in enumerate((("{", ["--set", "note=y"]), (NEWER, ["--reset-values"])), 1):
        kube.revision(in_cluster, "web", number).rewrite(lambda stored, text=text: set_record(stored, text))
        refused = in_cluster.pin("upgrade", "web", web.chart)
        assert refused.status == 4, refused.stderr
        assert "the digest record is not valid; nothing was deployed" in refused.stderr
        assert "give all values (-f, --set), or --reset-values" in refused.stderr
        succeeded(in_cluster.pin("upgrade", "web", web.chart, UNVALIDATED, *works))
    web.machine.helm("uninstall", "web", "--keep-history")
    status, verdicts, said = web.verify()
    assert (status, verdicts["record"], verdicts["workloads"]) == (1, "ok", "cannot tell"), said
    assert "release web is uninstalled" in said
    assert web.verify("--revision", "3")[0] == 0  # the record, as asked


def test_while_it_is_upgraded(web: Web, unique: str, tmp_path: Path) -> None:
    """What failed, what is on its way, and what somebody else deploys meanwhile."""
    machine, hook = web.machine, web.chart / "templates" / "hook.yaml"
    plain = [machine.helm_binary, "upgrade", "web", web.chart, UNVALIDATED, "--timeout", "1s"]
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
    theirs = f"{machine.helm_binary} upgrade web {web.chart} {UNVALIDATED} --set image=busybox:1"
    done = Race(machine, tmp_path / "race", unique)(WHILE_CHECKING, theirs, "verify", "web")
    assert done.status == 1, done.stdout  # what is live is theirs: that is no failed verification
    assert "revision 5 was made by somebody else while this ran\n" in done.stderr
    assert "next  run it again" in done.stderr


def test_every_kind_that_runs_pods(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> None:
    """Those with pods, whatever their runtime reports, those whose pods have ended, and those that have none."""
    index, built = Server(cluster.registry).push_index(unique, "latest", PLATFORMS)
    made = chart(tmp_path, f"{cluster.registry}/{unique}:latest", KINDS)
    deploy(in_cluster, made)
    web = Web(in_cluster, made, f"{cluster.registry}/{unique}", index, built)

    def phases() -> dict[str, str]:
        return {pod["metadata"]["name"].split("-")[0]: pod["status"]["phase"] for pod in web.place.pods()}

    expected = dict.fromkeys(("stateful", "daemon", "bare", "deployed"), "Running") | {"job": "Succeeded"}
    eventually(lambda: phases() == expected)
    status, verdicts, said = web.verify()
    assert (status, verdicts["workloads"], verdicts["pods"]) == (0, "ok", "cannot tell"), said
    manifest, configuration = built["linux/arm64"]
    digests = {"index": index, "manifest": manifest, "configuration": configuration.removeprefix("sha256:")}
    for pod in web.place.pods():
        form = REPORTED.get(pod["metadata"]["name"].split("-")[0], REPORTED["stateful"])
        web.report(form.format(repository=web.repository, **digests), pod)
    status, verdicts, said = web.verify()
    assert (status, verdicts) == (0, dict.fromkeys(CHECKS, "ok")), said
    assert "6 containers as recorded" in said  # the Deployment's pod has an init container
    assert "CronJob/scheduled has no pod" in said
    status, verdicts, said = web.verify("--no-registry")
    assert (status, verdicts["registry"], verdicts["pods"]) == (0, "skipped", "cannot tell"), said
    assert "3 containers as recorded; 3 could not be checked" in said  # those that report the index

    debug = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "busybox:1"}]}}
    in_cluster.kubectl("patch", "pod", "bare", "--subresource=ephemeralcontainers", "-p", json.dumps(debug))
    in_cluster.kubectl("create", "job", "--from=cronjob/scheduled", "by-hand")
    eventually(lambda: phases().get("by") == "Succeeded")
    (made,) = [pod for pod in web.place.pods() if pod["metadata"]["name"].startswith("by-hand")]
    web.report(FOREIGN.removeprefix("sha256:"), made)
    status, verdicts, said = web.verify()
    assert (status, verdicts) == (4, {**dict.fromkeys(CHECKS, "ok"), "pods": "failed"}), said
    assert "Pod/bare debug is not part of the release (an ephemeral container): busybox:1" in said
    assert f"Pod/{made['metadata']['name']} app reports {FOREIGN.removeprefix('sha256:')}, recorded is {index}" in said
