"""helm pin verify of what others have deployed, on a real API server: plain helm with a values file, kubectl with a manifest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scripts.devtools.cluster import Cluster
from tests.e2e.test_history import DEPLOYMENT, history, succeeded
from tests.support import kube
from tests.support.app import eventually
from tests.support.registry_servers import Server
from tests.support.twins import UNVALIDATED
from tests.support.workstation import Workstation, whichever_helm

pytestmark = whichever_helm

PLATFORMS = {"linux/amd64": "amd64", "linux/arm64": "arm64"}
HOOK = """\
apiVersion: v1
kind: Pod
metadata: {name: migrate, annotations: {helm.sh/hook: pre-install}}
spec: {containers: [{name: app, image: "{{ .Values.image }}"}]}
"""


class Web(NamedTuple):
    """A chart of one Deployment `web`, whose image is an index."""

    machine: Workstation
    chart: Path
    repository: str
    """With its registry."""
    digest: str
    built: dict[str, tuple[str, str]]
    """The digests of manifest and configuration by platform."""

    @property
    def image(self) -> str:
        """As the chart has it, with its digest."""
        return f"{self.repository}:latest@{self.digest}"

    def verify(self, *args: object) -> tuple[int, dict[str, str], Any]:
        """The exit status, the verdicts by check, and all of it as data."""
        done = self.machine.pin("verify", *args, "-o", "json")
        data = json.loads(done.stdout) if done.stdout else done.stderr
        return done.status, {check["check"]: check["verdict"] for check in data["checks"]}, data

    @property
    def place(self) -> kube.Namespace:
        """Where it is, or will be."""
        return kube.namespace(self.machine)

    def runs(self, digest: str = "") -> None:
        """Wait for the pod and report that it runs the image, or another digest of it, as a kubelet would."""

        def mine() -> list[dict[str, Any]]:
            return [pod for pod in self.place.pods() if pod["metadata"]["labels"].get("app") == "web"]

        def told() -> list[tuple[str, str]]:
            return [(pod["status"]["phase"], pod["spec"]["containers"][0]["image"]) for pod in mine()]

        eventually(lambda: told() == [("Running", self.image)])
        self.place.report(mine()[0], f"{self.repository}@{digest or self.digest}")

    def change(self, path: str, how: Callable[[dict[str, Any]], object]) -> None:
        """Change an object in place."""
        what = self.place.api("GET", path)
        how(what)
        self.place.put(path, what)

    def written(self, name: str, *command: object) -> Path:
        """What a command of helm-pin prints, in a file."""
        file = self.chart.parent / name
        file.write_text(succeeded(self.machine.pin(*command)).stdout)
        return file


def only_container(deployment: dict[str, Any]) -> dict[str, Any]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = container
    return found


def labelled(name: str, value: str) -> Callable[[dict[str, Any]], object]:
    return lambda what: what["metadata"].setdefault("labels", {}).update({name: value})


def chart(machine: Workstation, registry: str, unique: str, folder: Path) -> Web:
    """Not deployed yet."""
    index, built = Server(registry).push_index(unique, "latest", PLATFORMS)
    chart = folder / "web"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 1.0.0\n")
    (chart / "values.yaml").write_text(f"image: {registry}/{unique}:latest\n")
    (chart / "templates" / "deployment.yaml").write_text(DEPLOYMENT)
    return Web(machine, chart, f"{registry}/{unique}", index, built)


@pytest.fixture
def web(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> Web:
    """Not deployed yet."""
    return chart(in_cluster, cluster.registry, unique, tmp_path)


@pytest.fixture(scope="class")
def applied(
    shared_in_cluster: Workstation, cluster: Cluster, shared_unique: str, tmp_path_factory: pytest.TempPathFactory
) -> Web:
    """Applied with kubectl, from web.yaml beside the chart; lock.yaml has its digests. For all tests of a class: they put back what
    they change, but for what the pod reports."""
    web = chart(shared_in_cluster, cluster.registry, shared_unique, tmp_path_factory.mktemp("shared"))
    (web.chart / "templates" / "hook.yaml").write_text(HOOK)
    manifest = web.written("web.yaml", "template", "web", web.chart)
    succeeded(web.machine.pin("lock", web.chart, "--file", web.chart.parent / "lock.yaml"))
    web.machine.kubectl("apply", "-f", manifest)
    web.machine.kubectl("delete", "pod", "migrate", "--now")
    return web


def subjects(web: Web) -> dict[str, list[object]]:
    """What to verify of objects without a release."""
    manifest, lock = web.chart.parent / "web.yaml", web.chart.parent / "lock.yaml"
    return {
        "manifest": ["--manifest", manifest],
        "lock": ["--lock", lock],
        "both": ["--manifest", manifest, "--lock", lock],
    }


def test_plain_helm_with_the_values_file(web: Web) -> None:
    """And then helm-pin: what is compared with a manifest, with a record, and with locks."""
    values = web.written("pinned.yaml", "plan", "web", web.chart, "-o", "values")
    web.machine.helm("upgrade", "--install", "web", web.chart, "-f", values, UNVALIDATED)
    web.runs()
    status, verdicts, data = web.verify("web", "--registry")
    expected = {"record": "skipped", **dict.fromkeys(("manifest", "registry", "workloads", "pods"), "ok")}
    assert (status, verdicts) == (0, expected), data
    assert data["checks"][0]["summary"] == "no record; digests taken from the manifest"
    assert data["verified"] is True
    audited = json.loads(succeeded(web.machine.pin("audit", "-o", "json", "--registry")).stdout)
    (release,) = audited["contexts"][0]["releases"]
    assert (release["kinds"], release["containers"]) == (["pinned-elsewhere"], 1)

    # a digest edited by hand shows nothing of admission: only who has set the live image was seen
    manifest = web.written("web.yaml", "template", "web", web.chart)
    edited = web.chart.parent / "edited.yaml"
    edited.write_text(manifest.read_text().replace(web.digest, f"sha256:{'e' * 64}"))
    status, verdicts, data = web.verify("--manifest", edited, "--no-registry")
    assert (status, verdicts["workloads"]) == (4, "failed"), data
    assert "the manifest says" in str(data) and ": set by helm" in str(data)
    assert "admission" not in str(data)

    succeeded(web.machine.pin("upgrade", "web", web.chart, UNVALIDATED, "--reset-values"))
    first, second = history(web.machine)
    assert (first["record"], first["pinned"], first["images"][0]["digest"]) == ("manifest", "1/1", web.digest)
    assert (second["record"], second["set"]) == ("ok", first["set"])
    assert f"{first['set']} (no record)" in succeeded(web.machine.pin("history", "web")).stdout

    # the lock of what runs elsewhere, and a lock beside a release
    lock = web.chart.parent / "lock.yaml"
    lock.write_text(f"version: 1\nimages:\n- image: {web.image}\n")
    assert web.verify("--lock", f"release:{web.place.name}/web")[0] == 0
    status, verdicts, data = web.verify("web", "--lock", lock)
    assert (status, verdicts["lock"]) == (0, "ok"), data
    lock.write_text(lock.read_text().replace(web.digest, f"sha256:{'e' * 64}"))
    status, verdicts, data = web.verify("web", "--lock", lock)
    assert (status, verdicts["lock"], verdicts["record"]) == (4, "failed", "ok"), data


class TestWithoutRelease:
    def test_what_kubectl_applied(self, applied: Web) -> None:
        """And another image in its place."""
        applied.runs()
        for name in ("manifest", "lock"):
            status, verdicts, data = applied.verify(*subjects(applied)[name], "--registry")
            assert (status, set(verdicts.values())) == (0, {"ok"}), (name, data)
            assert data["verified"] is True
        people = succeeded(applied.machine.pin("verify", *subjects(applied)["both"])).stdout
        assert "manifest " in people.splitlines()[0] and "lock.yaml" in people.splitlines()[0]
        assert "5 of 5 checks ok" in people

        applied.machine.kubectl("set", "image", "deployment/web", "app=busybox:1")
        try:
            for name in ("manifest", "lock"):
                status, verdicts, data = applied.verify(*subjects(applied)[name])
                assert (status, verdicts["workloads"]) == (4, "failed"), (name, data)
                assert "busybox:1" in str(data) and "set by kubectl-set" in str(data)
        finally:
            applied.change("deployments/web", lambda web: only_container(web).update(image=applied.image))

    def test_a_pod_that_runs_another_image(self, applied: Web) -> None:
        applied.runs(f"sha256:{'f' * 64}")
        code, verdicts, data = applied.verify(*subjects(applied)["lock"])
        assert (code, verdicts["workloads"], verdicts["pods"]) == (4, "ok", "failed"), data

    def test_a_digest_that_is_gone_and_a_tag_that_moved(
        self, applied: Web, cluster: Cluster, shared_unique: str
    ) -> None:
        registry = Server(cluster.registry)
        applied.runs()
        registry.push_image(shared_unique, "latest", salt=f"{shared_unique} moved")
        try:
            lock = subjects(applied)["lock"]
            status, verdicts, data = applied.verify(*lock)
            assert (status, verdicts["registry"]) == (0, "ok")
            assert "moved since" in str(data)
            registry.request("DELETE", f"/v2/{shared_unique}/manifests/{applied.digest}")
            status, verdicts, data = applied.verify(*lock)
            assert (status, verdicts["registry"]) == (4, "failed"), data
            status, verdicts, data = applied.verify(*lock, "--no-registry")
            assert (status, verdicts["registry"], verdicts["pods"]) == (0, "skipped", "ok"), data
        finally:
            registry.push_index(shared_unique, "latest", PLATFORMS)

    def test_what_else_is_in_the_namespace(self, applied: Web) -> None:
        """What has no digest fails, unless labels leave it out; what has one of its own cannot be judged."""
        lock = ["--lock", applied.chart.parent / "lock.yaml"]
        applied.runs()
        other = applied.place.api("GET", "deployments/web")
        only_container(other).update(name="busybox", image="busybox:1")
        other["spec"]["selector"] = {"matchLabels": {"app": "other"}}
        other["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
        metadata = {"name": "other", "labels": {"other": "one"}}
        applied.place.api("POST", "deployments", {"metadata": metadata, "spec": other["spec"]})
        try:
            applied.change("deployments/web", labelled("app.kubernetes.io/instance", "web"))
            status, verdicts, data = applied.verify(*lock)
            assert (status, verdicts["workloads"]) == (4, "failed"), data
            assert "Deployment/other busybox has busybox:1, which is not in" in str(data)
            assert applied.verify(*lock, "-l", "app.kubernetes.io/instance in (web, x)")[:2] == (
                0,
                dict.fromkeys(("registry", "workloads", "pods"), "ok"),
            )
            wrong = applied.machine.pin("verify", *lock, "-l", "bad selector!!")
            assert wrong.status == 2 and "--selector takes a label selector" in wrong.stderr, wrong.stderr
            (pod,) = [pod for pod in applied.place.pods() if pod["metadata"]["name"].startswith("web-")]
            applied.change(f"pods/{pod['metadata']['name']}", labelled("only", "pods"))
            status, _, data = applied.verify(*lock, "--selector=only=pods")
            assert status == 4
            assert "is chosen by only=pods: --selector chooses workloads" in str(data)
            assert "by their own labels, not by their pods' labels" in str(data)
            assert "that other=one chooses runs an image of" in str(applied.verify(*lock, "-l", "other=one")[2])
            assert applied.verify("--manifest", applied.chart.parent / "web.yaml")[0] == 0
            pinned = f"busybox@sha256:{'a' * 64}"
            applied.change("deployments/other", lambda other: only_container(other).update(image=pinned))
            status, verdicts, data = applied.verify(*lock)
            assert (status, verdicts["workloads"]) == (0, "cannot tell"), data
        finally:
            applied.place.api("DELETE", "deployments/other")
            eventually(lambda: "other-" not in str([pod["metadata"]["name"] for pod in applied.place.pods()]))

    def test_an_images_lock(self, applied: Web) -> None:
        """Digests of platforms: the registry says which image holds them."""
        applied.runs()
        arches = [{"digest": child, "arch": name} for name, (child, _) in applied.built.items()]
        file = applied.chart.parent / "Images.lock"
        images = [{"name": "app", "image": f"{applied.repository}:latest", "chart": "web", "digests": arches}]
        file.write_text(json.dumps({"apiVersion": "v0", "kind": "ImagesLock", "images": images}))
        assert applied.verify("--lock", file)[:2] == (0, dict.fromkeys(("registry", "workloads", "pods"), "ok"))
        status, verdicts, data = applied.verify("--lock", file, "--no-registry")
        assert (status, verdicts["workloads"]) == (0, "cannot tell"), data
        assert "no registry was asked" in str(data)

    def test_a_manifest_that_cannot_be_verified(self, applied: Web, tmp_path: Path) -> None:
        plain = tmp_path / "plain.yaml"
        plain.write_text((applied.chart.parent / "web.yaml").read_text().replace(f"@{applied.digest}", ""))
        status, verdicts, data = applied.verify("--manifest", plain)
        assert (status, verdicts["manifest"], verdicts["pods"]) == (4, "failed", "skipped"), data
        told = f"Deployment/web container app, in web/templates/deployment.yaml: {applied.repository}:latest"
        assert told in str(data)

    def test_from_standard_input(self, applied: Web) -> None:
        applied.runs()
        manifest, helm = applied.chart.parent / "web.yaml", applied.machine.helm_binary
        done = applied.machine.run("sh", "-c", f"'{helm}' pin verify --manifest - < '{manifest}'")
        assert done.status == 0, done.stderr
