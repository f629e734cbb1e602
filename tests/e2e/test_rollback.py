"""helm pin rollback on real clusters: what it refuses before anything is touched, and what it proves afterwards."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scripts.devtools.api import Cluster
from tests.e2e.test_history import without_kubectl
from tests.support import app as apps
from tests.support import kube
from tests.support.app import App, eventually
from tests.support.custom import custom_kind
from tests.support.race import AFTER_HELM, BEFORE_HELM, WHILE_CHECKING, Race
from tests.support.twins import UNVALIDATED
from tests.support.webhook import image_changer
from tests.support.workstation import Workstation, whichever_helm

ANNOTATION = "helm-pin/digests"
PLATFORMS = ("linux/amd64", "linux/arm64")
DEPLOYMENTS = {"deployments": "/spec/template/spec"}
PODS = {"pods": "/spec"}
JOB = """\
apiVersion: batch/v1
kind: Job
metadata: {name: app}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: app, image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"}]
"""


BAD_HOOK = """\
{{- if .Values.broken }}
apiVersion: v1
kind: ConfigMap
metadata: {name: "NOT A NAME", annotations: {helm.sh/hook: pre-upgrade}}
{{- end }}
"""


@pytest.fixture
def app(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> App:
    """On kwok, whose pods run at once and report no image."""
    return apps.app(in_cluster, cluster.registry, unique, tmp_path)


@pytest.fixture(scope="class")
def shared_app(
    shared_in_cluster: Workstation, cluster: Cluster, shared_unique: str, tmp_path_factory: pytest.TempPathFactory
) -> App:
    """As `app`, for all tests of a class; no revision is forgotten."""
    machine = shared_in_cluster.with_env(HELM_MAX_HISTORY="0")
    return apps.app(machine, cluster.registry, shared_unique, tmp_path_factory.mktemp("shared"))


class Deployed(NamedTuple):
    """What tests of a class share: each adds what revisions it will, and leaves those that were there first as they are."""

    app: App
    digests: list[str]
    """Those of the first revisions."""


@pytest.fixture
def node_app(on_node: Workstation, node_cluster: Cluster, unique: str, tmp_path: Path) -> App:
    """On a node that pulls and runs."""
    return apps.app(on_node, node_cluster.registry, unique, tmp_path)


def deploy(app: App, letters: str) -> list[str]:
    """A revision for each letter; their digests."""
    digests = []
    for letter in letters:
        digests.append(app.push(letter))
        app.deploy()
    return digests


def a_race(app: App, folder: Path) -> Race:
    (folder / "race").mkdir()
    return Race(app.machine, folder / "race", kube.namespace(app.machine).name)


class TestTarget:
    def test_by_its_number_or_the_one_before(self, app: App) -> None:
        """With proof and without, and quietly."""
        a, b = deploy(app.spared(), "AB")
        app.machine.helm("upgrade", "app", app.chart, "--reset-values")
        done = app.rollback("3")
        assert done.status == 0, done.stderr
        assert "is deployed, not verified: the revision has no digest record" in done.stderr
        assert app.live() == app.image()
        done = app.rollback("1")
        assert done.status == 0, done.stderr
        assert "Registry and cluster were not checked" in done.stderr
        assert app.live() == app.image(a)
        none = ["--dry-run=none"] if app.machine.helm4 else []  # which is no dry run
        done = app.rollback("2", "--verify", *none)
        assert done.status == 0, done.stderr
        assert "verified in record, manifest, workloads" in done.stderr
        assert app.live() == app.image(b)
        done = app.rollback("--verify")
        assert done.status == 0, done.stderr
        assert "Revision 5: 1 image, set " in done.stderr  # before the rollback's 6: not the 1 before 2
        assert "verified in record, manifest, workloads" in done.stderr
        assert app.live() == app.image(a)
        done = app.spared().rollback("0", "--verify", "--quiet")
        assert (done.status, done.stderr) == (0, "")
        assert app.live() == app.image(b)

    def test_there_is_no_such_release(self, app: App) -> None:
        for proof in ([], ["--verify"]):
            done = app.spared().rollback("1", *proof)
            assert done.status == 1
            assert "not found" in done.stderr
            assert "helm list --all-namespaces" in done.stderr

    @whichever_helm
    def test_there_is_no_such_revision(self, app: App) -> None:
        app.machine.helm("install", "app", app.chart)
        for args in (["--verify"], ["7", "--verify"], ["7"], []):
            done = app.rollback(*args)
            assert done.status == 1, done.stderr
        assert app.rollback("1", "--allow-unverified").status == 2
        done = app.rollback("first", "--verify")
        assert done.status == 2
        assert "REVISION is a number" in done.stderr
        assert app.statuses() == ["deployed"]


@whichever_helm
def test_the_one_before_never_ran(app: App) -> None:
    """Where no revision is named: helm goes to the one before the last, whatever became of it."""
    app.deploy()
    (app.chart / "templates" / "hook.yaml").write_text(BAD_HOOK)
    broken = ("upgrade", "app", app.chart, "--set", "broken=true")
    for _ in range(2):
        assert app.machine.run(app.machine.helm_binary, *broken).status == 1
    assert app.statuses() == ["deployed", "failed", "failed"]
    for revision in ([], ["0"]):
        done = app.rollback(*revision, "--verify")
        assert done.status == 4, done.stderr
        assert "the revision before the last never ran; nothing was changed" in done.stderr
        assert "revision 2 is failed" in done.stderr
        assert "helm pin rollback app 1 --verify goes back to the last revision that ran" in done.stderr
    assert app.statuses() == ["deployed", "failed", "failed"]

    # helm keeps the deployed revision, and one more
    assert app.machine.pin(*broken, "--history-max", "2").status == 1
    for proof in ([], ["--verify"]):
        done = app.rollback(*proof)
        assert done.status == 1, done.stderr
        assert "revision 3 of release app, the one before the last, is not in its history" in done.stderr
        assert "its history has 1 (deployed), 4 (failed)" in done.stderr
        assert "helm pin rollback app 1 goes back to the last revision that ran" in done.stderr
    assert app.statuses() == ["deployed", "failed"]

    done = app.rollback("4", "--verify")  # named, it is gone back to
    assert done.status == 0, done.stderr
    assert "Note: revision 4 is failed: it never deployed successfully." in done.stderr
    assert "nothing was changed" not in done.stderr
    assert app.statuses() == ["superseded", "failed", "deployed"]
    done = app.rollback()  # without proof it is said before
    assert done.status == 0, done.stderr
    assert app.statuses() == ["superseded", "failed", "superseded", "deployed"]
    assert "Note: revision 4 is failed: it never deployed successfully; the last that ran is " in done.stderr
    assert done.stderr.index("Note: ") < done.stderr.index("has the digests of set")
    assert app.rollback("1", "--verify").status == 0


@whichever_helm
class TestSomebodyElseDeploys:
    """Real helms, one after another: a colleague's begins at a moment of the test's choice."""

    @pytest.fixture(scope="class")
    @classmethod
    def deployed(cls, shared_app: App) -> Deployed:
        return Deployed(shared_app, deploy(shared_app, "AB"))

    def upgrade(self, app: App, *args: str) -> str:
        return shlex.join([str(app.machine.helm_binary), "upgrade", "app", str(app.chart), *args])

    def test_while_the_target_is_checked(self, deployed: Deployed, tmp_path: Path) -> None:
        app, latest = deployed.app, len(deployed.app.statuses())
        theirs = self.upgrade(app, "--reuse-values")
        done = a_race(app, tmp_path)(WHILE_CHECKING, theirs, "rollback", "app", "1", "--verify")
        assert done.status == 1, done.stderr
        assert f"revision {latest + 1} was made by somebody else while this ran; nothing was changed" in done.stderr
        assert "run it again" in done.stderr
        assert app.statuses() == ["superseded"] * latest + ["deployed"]

    def test_just_before_helm_rolls_back(self, deployed: Deployed, tmp_path: Path) -> None:
        """Ours is the one after theirs, and is found."""
        app, latest = deployed.app, len(deployed.app.statuses())
        theirs = self.upgrade(app, "--reuse-values")
        done = a_race(app, tmp_path)(BEFORE_HELM, theirs, "rollback", "app", "1", "--verify")
        assert done.status == 0, done.stderr
        assert f"Revision {latest + 2} restores set " in done.stderr
        assert app.live() == app.image(deployed.digests[0])

    @pytest.mark.parametrize("proof", [[], ["--verify"]])
    def test_afterwards(self, deployed: Deployed, tmp_path: Path, proof: list[str]) -> None:
        """The revision that this command made is read, not the latest."""
        app, latest = deployed.app, len(deployed.app.statuses())
        theirs = self.upgrade(app, "--set", "image.tag=theirs")
        done = a_race(app, tmp_path)(AFTER_HELM, theirs, "rollback", "app", "1", *proof)
        assert app.statuses() == ["superseded"] * (latest + 1) + ["deployed"]
        assert f"revision {latest + 2} was made by somebody else" in done.stderr
        assert done.status == (1 if proof else 0), done.stderr
        ours = f"Revision {latest + 1}"
        if proof:
            told = f"{ours} is deployed, verified in record and manifest; then revision {latest + 2} was made"
            assert told in done.stderr
            assert f"Deployment/app app has {app.registry}/{app.repository}:theirs" in done.stderr
        else:
            assert f"{ours} has the digests of set" in done.stderr

    def test_afterwards_with_the_same_images(self, deployed: Deployed, tmp_path: Path) -> None:
        """What is compared is still so; of two that restore revision 1 the first is ours."""
        app, latest = deployed.app, len(deployed.app.statuses())
        theirs = shlex.join([str(app.machine.helm_binary), "rollback", "app", "1"])
        done = a_race(app, tmp_path)(AFTER_HELM, theirs, "rollback", "app", "1", "--verify")
        assert done.status == 0, done.stderr
        assert f"Revision {latest + 1} restores set " in done.stderr
        assert f"Note: after this rollback revision {latest + 2} was made by somebody else." in done.stderr
        assert app.live() == app.image(deployed.digests[0])

    def test_and_keeps_no_history(self, app: App, tmp_path: Path) -> None:
        app.deploy()
        theirs = self.upgrade(app, "--history-max", "1")
        done = a_race(app, tmp_path)(AFTER_HELM, f"{theirs} && {theirs}", "rollback", "app", "1", "--verify")
        assert done.status == 1, done.stderr
        assert "the revision that it made is not in the history any more" in done.stderr
        assert app.statuses() == ["superseded", "deployed"]

    @pytest.mark.parametrize("proof", [[], ["--verify"]])
    def test_the_api_server_is_gone_after_the_rollback(
        self, deployed: Deployed, tmp_path: Path, proof: list[str]
    ) -> None:
        """What is known comes first."""
        app, latest = deployed.app, len(deployed.app.statuses())
        config = tmp_path / "kubeconfig"
        config.write_text(Path(app.machine.env["KUBECONFIG"]).read_text())
        gone = f"sed -i 's#https://127.0.0.1:[0-9]*#https://127.0.0.1:9#' {config}"
        there = a_race(app, tmp_path)
        there = there._replace(machine=there.machine.with_env(KUBECONFIG=str(config)))
        done = there(AFTER_HELM, gone, "rollback", "app", "1", *proof)
        assert done.status == (1 if proof else 0), done.stderr
        said = [line for line in done.stderr.splitlines() if f"Revision {latest + 1} is deployed" in line]
        assert said[0].removeprefix("Error: ").startswith(f"Revision {latest + 1} is deployed, not verified")
        assert "helm pin verify app does it later" in done.stderr
        assert app.statuses() == ["superseded"] * latest + ["deployed"]
        assert app.live() == app.image(deployed.digests[0])


@contextmanager
def untouched(app: App) -> Iterator[None]:
    """No new revision, and the same image."""
    before = app.statuses(), app.live()
    yield
    assert (app.statuses(), app.live()) == before


@whichever_helm
class TestRefused:
    """Before anything is touched."""

    @pytest.fixture(scope="class")
    @classmethod
    def deployed(cls, shared_app: App) -> Deployed:
        return Deployed(shared_app, deploy(shared_app, "ABCD"))

    @pytest.mark.parametrize("proof", [[], ["--verify"]])
    def test_a_dry_run(self, deployed: Deployed, proof: list[str]) -> None:
        with untouched(deployed.app):
            done = deployed.app.rollback("1", "--dry-run", *proof)
            assert done.status == 0, done.stderr

    def test_the_nearest_earlier_revision_is_offered(self, deployed: Deployed) -> None:
        app, (a, b, c, _) = deployed.app, deployed.digests
        try:
            with untouched(app):
                app.delete(c)
                done = app.rollback("3", "--verify")
                assert done.status == 4, done.stderr
                assert f"{app.registry}/{app.repository}@{c}" in done.stderr
                assert "helm pin rollback app 2 --verify: revision 2 can be restored" in done.stderr
                app.delete(b)
                done = app.rollback("3", "--dry-run", "--verify")
                assert done.status == 4, done.stderr
                assert "helm pin rollback app 1 --verify: revision 1 can be restored" in done.stderr
            assert app.rollback("1", "--verify").status == 0
            with untouched(app):
                app.delete(a)
                done = app.rollback("3", "--verify")
                assert done.status == 4
                assert "no earlier revision can be restored" in done.stderr
        finally:
            for letter in "ABC":
                app.push(letter)

    def test_a_registry_that_does_not_answer(self, deployed: Deployed) -> None:
        app = deployed.app
        nobody = {"HELM_PIN_REGISTRY_MIRROR": f"{app.registry}=http://127.0.0.1:9", "HELM_PIN_REGISTRY_TIMEOUT": "3s"}
        app = app._replace(machine=app.machine.with_env(**nobody))
        with untouched(app):
            done = app.rollback("1", "--verify")
            assert done.status == 5, done.stderr
            assert app.registry in done.stderr
        done = app.rollback("1", "--quiet")  # plain helm's way is still open
        assert (done.status, done.stderr) == (0, "")
        assert app.live() == app.image(deployed.digests[0])

    def test_a_record_that_was_tampered_with(self, deployed: Deployed) -> None:
        app, (a, b, *_) = deployed

        def tamper(stored: dict[str, Any]) -> None:
            annotations = stored["chart"]["metadata"]["annotations"]
            annotations[ANNOTATION] = annotations[ANNOTATION].replace(a, b)

        with kube.revision(app.machine, "app", 1).put_back():
            app.rewrite(1, tamper)
            with untouched(app):
                done = app.rollback("1", "--verify")
                assert done.status == 4, done.stderr
                assert "the digest record is not valid" in done.stderr
                assert "revision 1" in done.stderr
                assert "the record was edited" in done.stderr
                assert "--allow-unverified" in done.stderr
            allowed = app.rollback("1", "--verify", "--allow-unverified")
            assert allowed.status == 0, allowed.stderr
            assert "the result is not verified" in allowed.stderr
            assert app.live() == app.image(a)

    def test_a_manifest_that_was_tampered_with(self, deployed: Deployed) -> None:
        app, (a, b, *_) = deployed

        def tamper(stored: dict[str, Any]) -> None:
            stored["manifest"] = stored["manifest"].replace(a, b)

        with kube.revision(app.machine, "app", 1).put_back(), untouched(app):
            app.rewrite(1, tamper)
            done = app.rollback("1", "--verify")
            assert done.status == 4, done.stderr
            assert "Deployment/app container app" in done.stderr
            assert f"@{b}" in done.stderr
            assert "is not in the record" in done.stderr

    def test_an_account_that_may_not_look(self, deployed: Deployed) -> None:
        app, place = deployed.app, kube.namespace(deployed.app.machine)
        place.allow(place.name, ("", "secrets,pods", "*"), ("apps", "deployments", "create,update,patch,delete"))
        with untouched(app):
            done = app.rollback("1", "--verify", "--kube-as-user", place.name)
            assert done.status == 1, done.stderr
            assert "nothing was changed" in done.stderr
            assert 'cannot get resource "deployments"' in done.stderr

    def test_without_kubectl(self, deployed: Deployed, tmp_path: Path) -> None:
        app = deployed.app
        with untouched(app):
            alone = app._replace(machine=without_kubectl(app.machine, tmp_path / "bin"))
            done = alone.rollback("1", "--verify")
            assert done.status == 1
            assert "kubectl not found; nothing was changed" in done.stderr


class TestReadBack:
    @whichever_helm
    def test_a_webhook_that_changes_images(self, app: App, cluster: Cluster, unique: str, tmp_path: Path) -> None:
        """Of Deployments, or of pods; and where no webhook is, kwok's node does not say what runs."""
        _, b = deploy(app, "AB")
        started = time.monotonic()
        done = app.rollback("1", "--verify", "--wait")
        assert done.status == 0, done.stderr
        assert "pods: cannot tell" in done.stderr
        assert "the node does not report which image" in done.stderr
        assert "verified in record, manifest, workloads" in done.stderr
        assert time.monotonic() - started < 60  # no use in waiting for --timeout's 5 minutes

        for name in ("of-deployments", "other", "of-pods"):
            (tmp_path / name).mkdir()
        other = image_changer(cluster, tmp_path / "other", f"{unique}-other", DEPLOYMENTS, "example.com/no:1")
        mine = image_changer(cluster, tmp_path / "of-deployments", unique, DEPLOYMENTS, "example.com/other:1")
        with mine as webhook, other as innocent:
            done = app.rollback("2", "--verify")
        assert done.status == 4, done.stderr
        assert f"Deployment/app app has example.com/other:1, the release says {app.image(b)}" in done.stderr
        assert "changed at admission" in done.stderr
        assert f"MutatingWebhookConfiguration/{webhook}, webhook images.example.com" in done.stderr
        assert innocent not in done.stderr  # it is for another namespace
        assert app.statuses() == ["superseded"] * 3 + ["deployed"]

        with image_changer(cluster, tmp_path / "of-pods", unique, PODS, "example.com/other:1") as webhook:
            done = app.rollback("1", "--verify", "--wait", "--timeout", "60s")
        assert done.status == 4, done.stderr
        assert "Revision 5 is deployed, but the pods do not match it" in done.stderr
        assert f"MutatingWebhookConfiguration/{webhook}" in done.stderr

    @whichever_helm
    def test_custom_resources(self, app: App, cluster: Cluster, unique: str, tmp_path: Path) -> None:
        """What a webhook changes in them and in the pods of their operator; and that their kind is gone."""
        for name in ("of-pods", "of-proxies"):
            (tmp_path / name).mkdir()
        with custom_kind(cluster, unique) as kind:
            (app.chart / "templates" / "gate.yaml").write_text(kind.template)
            app.deploy()
            with image_changer(cluster, tmp_path / "of-pods", unique, PODS, "example.com/other:1") as webhook:
                pod = kind.run_pod(
                    unique
                )  # who made it is known by its owner reference, whatever the operator is called
                status, checks = app.verify()
            assert (status, checks["workloads"]["verdict"]) == (4, "ok")
            told = "\n".join(checks["pods"]["details"])
            assert f"Pod/{pod} app has example.com/other:1" in told
            assert "changed at admission" in told
            assert f"MutatingWebhookConfiguration/{webhook}" in told

            changes = {"proxies": "/spec/template/spec"}
            folder = tmp_path / "of-proxies"
            with image_changer(cluster, folder, unique, changes, "example.com/other:1", kind.group) as webhook:
                done = app.rollback("1", "--verify")
            assert done.status == 4, done.stderr
            assert f"Proxy/gate-{unique} app has example.com/other:1" in done.stderr
            assert f"MutatingWebhookConfiguration/{webhook}" in done.stderr

        eventually(lambda: kind.group not in str(cluster.api("GET", "/apis")))
        # kubectl's own cache is of a time when it was there
        app = app._replace(machine=app.machine.with_env(KUBECACHEDIR=f"{tmp_path}/cache"))
        with untouched(app):  # helm's own rollback would fail half way, and leave the release in pending-rollback
            done = app.rollback("1", "--verify")
            assert done.status == 1, done.stderr
            assert 'no matches for kind "Proxy"' in done.stderr
            assert "nothing was changed" in done.stderr
            assert "install these CustomResourceDefinitions first" in done.stderr
        status, checks = app.verify()
        assert (status, checks["workloads"]["verdict"]) == (4, "failed")
        assert checks["workloads"]["details"][0] == f"Proxy/gate-{unique} is not in the cluster"

    def test_a_rollback_that_stops_half_way(self, app: App) -> None:
        """A Job's template cannot be changed. What an object still has is another revision's, no webhook's doing."""
        (app.chart / "templates" / "job.yaml").write_text(JOB)
        a = app.push("A")
        app.spared().deploy()
        app.machine.kubectl("delete", "job", "app")
        b = app.push("B")
        app.spared().deploy()
        done = app.rollback("1", "--verify")
        assert done.status == 1, done.stderr
        assert "helm rollback failed; see its output above" in done.stderr
        assert "revision 3 is failed" in done.stderr
        left = f"Job/app app has {app.image(b)}, the release says {app.image(a)}: as revision 2 (superseded) says"
        assert left in done.stderr
        assert "admission" not in done.stderr
        status, checks = app.spared().verify()  # nothing is deployed now: it tells of the revision that failed
        assert (status, checks["workloads"]["verdict"]) == (4, "failed")
        assert left in "\n".join(checks["workloads"]["details"])

    @whichever_helm
    def test_an_image_that_was_set_by_hand(self, app: App) -> None:
        """Helm 4 applies on the server, and does not take over what others have set."""
        a, _ = deploy(app, "AB")
        c = app.push("C")
        app.machine.kubectl("set", "image", "deployment/app", f"app={app.image(c)}")
        done = app.rollback("1", "--verify")
        if app.machine.helm4:
            assert done.status == 1
            assert "add --force-conflicts" in done.stderr
            assert f"Deployment/app app has {app.image(c)}" in done.stderr
            assert "set by kubectl-set" in done.stderr
            done = app.rollback("1", "--verify", "--force-conflicts")
        assert done.status == 0, done.stderr
        assert app.live() == app.image(a)

    def test_a_rollback_whose_pods_do_not_start(self, app: App) -> None:
        app.spared().deploy("--set", "nodeSelector.there=nowhere")
        done = app.rollback("1", "--verify", "--wait", "--timeout", "2s")
        assert done.status == 1, done.stderr
        assert "revision 2 is failed" in done.stderr
        assert "workloads: ok" in done.stderr
        assert "app has not started" in done.stderr


@whichever_helm
class TestWaiting:
    """For pods that do not come, where helm's own wait is content: a Deployment may have one unavailable."""

    @pytest.fixture(scope="class")
    @classmethod
    def stuck(cls, shared_app: App) -> App:
        """Its revision 1 needs a node that is not there."""
        app = shared_app
        template = app.chart / "templates" / "deployment.yaml"
        spec = "  strategy: {rollingUpdate: {maxUnavailable: 1, maxSurge: 0}}\n  replicas:"
        template.write_text(template.read_text().replace("  replicas:", spec))
        app.deploy("--set", "nodeSelector.there=nowhere")
        app.push("B")
        app.deploy("--set", "replicas=0")
        return app

    def wait(self, app: App) -> str:
        return "--wait=legacy" if app.machine.helm4 else "--wait"  # Helm 4's own default waits for every pod

    def test_until_the_time_is_over(self, stuck: App) -> None:
        started = time.monotonic()
        done = stuck.rollback("1", "--verify", self.wait(stuck), "--timeout", "8s")
        assert done.status == 4, done.stderr
        assert "its pods were not ready before --timeout" in done.stderr
        assert "app has not started: Unschedulable" in done.stderr
        progress = [line for line in done.stderr.splitlines() if line.startswith("waiting for pods: ")]
        assert progress and len(progress) == len(set(progress))  # each change once, for a log
        assert time.monotonic() - started < 60
        assert stuck.statuses()[-1] == "deployed"

    def test_somebody_stops_it(self, stuck: App) -> None:
        made = len(stuck.statuses()) + 1
        command = [stuck.machine.helm_binary, "pin", "rollback", "app", "1", "--verify", self.wait(stuck)]
        with subprocess.Popen(
            command, env=dict(stuck.machine.env), stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            assert process.stderr
            said = ""
            for line in process.stderr:
                first = "waiting for pods: " not in said
                said += line
                if first and line.startswith("waiting for pods: "):
                    os.killpg(process.pid, signal.SIGINT)  # as a terminal does at Ctrl-C
        assert process.returncode != 0
        assert f"Stopped: Revision {made} is deployed, not verified; helm pin verify app does it later." in said
        assert "Traceback" not in said
        assert stuck.statuses()[-1] == "deployed"


SETS = """\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: on-delete}
spec:
  serviceName: on-delete
  replicas: 2
  updateStrategy: {type: OnDelete}
  selector: {matchLabels: {set: on-delete}}
  template: {metadata: {labels: {set: on-delete}}, spec: {terminationGracePeriodSeconds: 1, containers: [{name: app, IMAGE}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: part}
spec:
  serviceName: part
  replicas: 2
  updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 1}}
  selector: {matchLabels: {set: part}}
  template: {metadata: {labels: {set: part}}, spec: {terminationGracePeriodSeconds: 1, containers: [{name: app, IMAGE}]}}
"""
IMAGE = 'image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"'


@whichever_helm
class TestPodsThatNoRolloutReplaces:
    def test_they_are_named_and_not_waited_for(self, app: App) -> None:
        """Revision 2's pods, which revision 3 does not replace: all of one set, those below the partition of the other."""
        (app.chart / "templates" / "sets.yaml").write_text(SETS.replace("IMAGE", IMAGE))
        a = app.push("A")
        app.deploy("--set", "image.tag=latest")
        app.push("B")
        app.deploy("--wait")
        made = ("on-delete-0", "on-delete-1", "part-0", "part-1")
        eventually(lambda: {*made} <= {pod["metadata"]["name"] for pod in running(app)})
        app.machine.kubectl("delete", "pod", *made[:2])
        eventually(lambda: {*made} <= {pod["metadata"]["name"] for pod in running(app)})

        started = time.monotonic()
        done = app.rollback("1", "--verify", "--wait", "--timeout", "100s")
        assert done.status == 0, done.stderr
        assert time.monotonic() - started < 80, done.stderr
        said = done.stderr.splitlines()
        for pod in made[:2]:
            (line,) = [line for line in said if line.startswith(f"Pod/{pod} is of an older revision")]
            assert line.endswith("; it is replaced only when it is deleted (updateStrategy OnDelete)")
        assert not [line for line in said if line.startswith("Pod/part-0")]  # it has stayed at revision 1
        assert "pods: cannot tell" in done.stderr
        assert "Revision 3 restores set " in done.stderr
        assert "verified in record, manifest, workloads." in done.stderr

        assert app.machine.pin("upgrade", "app", app.chart, UNVALIDATED).status == 0
        status, checks = app.verify()
        assert (status, checks["pods"]["verdict"]) == (0, "cannot tell")
        below = [line for line in checks["pods"]["details"] if line.startswith("Pod/part-0 is of an older revision")]
        assert "below the partition (1)" in below[0]
        assert a in below[0]


def running(app: App) -> list[dict[str, Any]]:
    return [pod for pod in app.pods() if pod["status"].get("phase") == "Running"]


@whichever_helm
class TestOnNode:
    def test_a_moved_tag_a_rollback_and_a_digest_that_is_gone(self, node_app: App) -> None:
        """What helm-pin is for, beside plain helm, by what the programs print."""
        app, machine = node_app, node_app.machine
        a = app.push("A", PLATFORMS)
        app.deploy("--wait")
        machine.helm("install", "plain", app.chart, "--wait")
        b = app.push("B", PLATFORMS)
        machine.kubectl("delete", "pods", "--all", "--grace-period=1")
        eventually(lambda: (app.prints("app"), app.prints("plain")) == ("A", "B"))
        assert "5 of 5 checks ok" in machine.pin("verify", "app").stdout

        app.deploy("--wait")
        eventually(lambda: app.prints("app") == "B")
        done = app.rollback("1", "--verify", "--wait", "--timeout", "60s")
        assert done.status == 0, done.stderr
        assert "verified in record, manifest, workloads, pods" in done.stderr
        eventually(lambda: app.prints("app") == "A")
        assert app.live() == app.image(a)
        assert "5 of 5 checks ok" in machine.pin("verify", "app").stdout

        machine.kubectl("set", "image", "deployment/app", f"app={app.image(b)}")
        told = f"Deployment/app app has {app.image(b)}, the release says {app.image(a)}: set by kubectl-set"
        verified, audited = machine.pin("verify", "app"), machine.pin("audit")
        assert (verified.status, audited.status) == (4, 4)
        assert told in verified.stdout and told in audited.stdout
        eventually(lambda: app.prints("app") == "B")
        status, checks = app.verify()
        assert (status, checks["workloads"]["verdict"], checks["pods"]["verdict"]) == (4, "failed", "failed")
        assert b in str(checks["pods"]["details"])

        app.deploy("--wait")
        app.delete(a)
        status, checks = app.verify("--revision", "1")
        assert (status, checks["registry"]["verdict"]) == (4, "failed")
        assert a in "".join(checks["registry"]["details"])
        refused = app.rollback("1", "--verify", "--wait")
        assert refused.status == 4, refused.stderr
        assert "1 recorded digest gone from the registry; nothing was changed" in refused.stderr
        assert app.live() == app.image(b)
        eventually(lambda: app.prints("app") == "B")
        assert app.statuses()[-1] == "deployed"

        machine.helm("rollback", "app", "1", *(["--force-conflicts"] if machine.helm4 else []))
        eventually(lambda: "ImagePullBackOff" in machine.kubectl("get", "pods", "-l", "app=app"))
        status, checks = app.verify()
        assert status == 4  # the registry
        assert any("app has not started: " in line for line in checks["pods"]["details"])
