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
from tests.support.budget import LONG
from tests.support.custom import custom_kind
from tests.support.race import AFTER_HELM, BEFORE_HELM, WHILE_CHECKING, Race
from tests.support.twins import UNVALIDATED
from tests.support.webhook import image_changer
from tests.support.workstation import Workstation, whichever_helm

ANNOTATION = "helm-pin/digests"
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


def deploy(app: App, letters: str, *args: str) -> list[str]:
    """A revision for each letter; their digests."""
    digests = []
    for letter in letters:
        digests.append(app.push(letter))
        app.deploy(*args)
    return digests


def a_race(app: App, folder: Path) -> Race:
    (folder / "race").mkdir()
    return Race(app.machine, folder / "race", kube.namespace(app.machine).name)


NOBODY = {"HELM_PIN_REGISTRY_TIMEOUT": "3s", "HELM_PIN_REGISTRY_MIRROR": "*=http://127.0.0.1:9"}
"""Settings of somebody whom no registry answers."""


def test_there_is_no_such_release(in_cluster: Workstation) -> None:
    machine = in_cluster._replace(is_forked=not LONG)
    for proof in ([], ["--verify"]):
        done = machine.pin("rollback", "app", "1", *proof)
        assert done.status == 1
        assert "not found" in done.stderr
        assert "helm list --all-namespaces" in done.stderr


@contextmanager
def untouched(app: App) -> Iterator[None]:
    """No new revision, and the same image."""
    before = app.statuses(), app.live()
    yield
    assert (app.statuses(), app.live()) == before


def an_upgrade(app: App) -> str:
    """Somebody else's, for a shell."""
    command = ["upgrade", "app", str(app.chart), UNVALIDATED, "--set", "image.tag=theirs"]
    return shlex.join([str(app.machine.helm_binary), *command])


@whichever_helm
@pytest.mark.parametrize("revision", [(), ("1",)])
def test_the_cluster_cannot_be_reached(in_cluster: Workstation, tmp_path: Path, revision: tuple[str, ...]) -> None:
    done = in_cluster.with_env(KUBECONFIG=str(tmp_path / "none")).pin("rollback", "web", *revision)
    assert done.status == 1 and "internal error" not in done.stderr
    assert "helm rollback failed; see its output above" in done.stderr and "the state cannot be read" in done.stderr
    assert f"  next  there is no kubeconfig ({tmp_path / 'none'}): set KUBECONFIG, or --kubeconfig" in done.stderr


class TestOneRelease:
    """Its first two revisions have A and B. Somebody else is a real helm, which begins at a moment of the test's choice."""

    @pytest.fixture(scope="class")
    @classmethod
    def deployed(cls, shared_app: App) -> Deployed:
        return Deployed(shared_app, deploy(shared_app, "AB"))

    def test_by_its_number_or_the_one_before(self, deployed: Deployed) -> None:
        """With proof and without, and quietly."""
        app, (a, _) = deployed
        app.machine.helm("upgrade", "app", app.chart, UNVALIDATED, "--reset-values")
        none = ["--dry-run=none"] if app.machine.helm4 else []  # which is no dry run
        done = app.rollback("1", "--verify", *none)
        assert done.status == 0, done.stderr
        assert "Revision 1: 1 image, set " in done.stderr
        assert "verified in record, manifest, workloads" in done.stderr
        assert app.live() == app.image(a)
        done = app._replace(machine=app.machine.with_env(**NOBODY)).rollback()  # plain helm's way needs no registry
        assert done.status == 0, done.stderr
        assert "is deployed, not verified: the revision has no digest record" in done.stderr
        assert app.live() == app.image()  # of the one before the rollback's own: not the one before 1
        done = app.rollback("0", "--verify", "--quiet")
        assert (done.status, done.stderr) == (0, "")
        assert app.live() == app.image(a)

    def test_the_one_before_never_ran(self, deployed: Deployed) -> None:
        """Where no revision is named: helm goes to the one before the last, whatever became of it."""
        app, ran = deployed.app, len(deployed.app.statuses())
        (app.chart / "templates" / "hook.yaml").write_text(BAD_HOOK)
        broken = ("upgrade", "app", app.chart, UNVALIDATED, "--set", "broken=true")
        assert app.machine.pin(*broken).status == 1
        assert app.machine.run(app.machine.helm_binary, *broken).status == 1
        with untouched(app):
            done = app.rollback("--verify")
            assert done.status == 4, done.stderr
            assert "the revision before the last never ran; nothing was changed" in done.stderr
            assert f"revision {ran + 1} has status failed" in done.stderr
            assert f"helm pin rollback app {ran} --verify goes back to the last revision that ran" in done.stderr
            done = app.rollback(str(ran + 1), "--verify", "--dry-run")  # named, it is gone back to
            assert done.status == 0, done.stderr
            assert f"Note: revision {ran + 1} has status failed: it never deployed successfully.\n" in done.stderr
        done = app.rollback()  # without proof it is said before
        assert done.status == 0, done.stderr
        assert app.statuses()[ran - 1 :] == ["superseded", "failed", "failed", "deployed"]
        told = (
            f"Note: revision {ran + 1} has status failed: it never deployed successfully; the last that ran is {ran}: "
        )
        assert told in done.stderr
        assert done.stderr.index("Note: ") < done.stderr.index("has the digests of set")
        assert "Registry and cluster were not checked" in done.stderr

    def test_somebody_else_deploys_while_the_target_is_checked(self, deployed: Deployed, tmp_path: Path) -> None:
        app, latest = deployed.app, len(deployed.app.statuses())
        theirs = an_upgrade(app)
        done = a_race(app, tmp_path)(WHILE_CHECKING, theirs, "rollback", "app", "1", "--verify")
        assert done.status == 1, done.stderr
        assert f"revision {latest + 1} was made by somebody else while this ran; nothing was changed" in done.stderr
        assert "run it again" in done.stderr
        assert app.statuses()[latest:] == ["deployed"]

    def test_somebody_else_deploys_just_before_helm_rolls_back(self, deployed: Deployed, tmp_path: Path) -> None:
        """Ours is the one after theirs, and is found."""
        app, latest = deployed.app, len(deployed.app.statuses())
        theirs = an_upgrade(app)
        done = a_race(app, tmp_path)(BEFORE_HELM, theirs, "rollback", "app", "1", "--verify")
        assert done.status == 0, done.stderr
        assert f"Revision {latest + 2} restores set " in done.stderr
        assert app.live() == app.image(deployed.digests[0])

    def test_somebody_else_deploys_afterwards(self, deployed: Deployed, tmp_path: Path) -> None:
        """The revision that this command made is read, not the latest. Without proof, tests/unit/commands/test_rollback.py shows
        it, and what is said where theirs have left nothing of it."""
        app, latest = deployed.app, len(deployed.app.statuses())
        done = a_race(app, tmp_path)(AFTER_HELM, an_upgrade(app), "rollback", "app", "1", "--verify")
        assert app.statuses()[latest:] == ["superseded", "deployed"]
        assert done.status == 1, done.stderr
        told = (
            f"Revision {latest + 1} is deployed, verified in record and manifest; then revision {latest + 2} was made"
        )
        assert f"{told} by somebody else" in done.stderr
        assert f"Deployment/app app has {app.registry}/{app.repository}:theirs" in done.stderr

    def test_somebody_else_deploys_the_same_images_afterwards(self, deployed: Deployed, tmp_path: Path) -> None:
        """What is compared is still so; of two that restore revision 1 the first is ours."""
        app, latest = deployed.app, len(deployed.app.statuses())
        theirs = shlex.join([str(app.machine.helm_binary), "rollback", "app", "1"])
        done = a_race(app, tmp_path)(AFTER_HELM, theirs, "rollback", "app", "1", "--verify")
        assert done.status == 0, done.stderr
        assert f"Revision {latest + 1} restores set " in done.stderr
        assert f"Note: after this rollback revision {latest + 2} was made by somebody else." in done.stderr
        assert app.live() == app.image(deployed.digests[0])

    def test_the_api_server_is_gone_after_the_rollback(self, deployed: Deployed, tmp_path: Path) -> None:
        """What is known comes first. Without proof it is no failure: tests/unit/commands/test_rollback.py."""
        app, latest = deployed.app, len(deployed.app.statuses())
        config = tmp_path / "kubeconfig"
        config.write_text(Path(app.machine.env["KUBECONFIG"]).read_text())
        gone = f"sed -i 's#https://127.0.0.1:[0-9]*#https://127.0.0.1:9#' {config}"
        there = a_race(app, tmp_path)
        there = there._replace(machine=there.machine.with_env(KUBECONFIG=str(config)))
        done = there(AFTER_HELM, gone, "rollback", "app", "1", "--verify")
        assert done.status == 1, done.stderr
        said = [line for line in done.stderr.splitlines() if f"Revision {latest + 1} is deployed" in line]
        assert said[0].startswith(f"Error: Revision {latest + 1} is deployed, not verified")
        assert "helm pin verify app verifies it" in done.stderr
        assert app.statuses()[latest:] == ["deployed"]
        assert app.live() == app.image(deployed.digests[0])

    @pytest.mark.parametrize("proof", [[], ["--verify"]])
    def test_there_is_no_such_revision(self, deployed: Deployed, proof: list[str]) -> None:
        with untouched(deployed.app):
            assert deployed.app.rollback("77", *proof).status == 1

    @pytest.mark.parametrize("proof", [[], ["--verify"]])
    def test_a_dry_run(self, deployed: Deployed, proof: list[str]) -> None:
        with untouched(deployed.app):
            done = deployed.app.rollback("1", "--dry-run", *proof)
            assert done.status == 0, done.stderr

    def test_the_nearest_earlier_revision_is_offered(self, deployed: Deployed) -> None:
        """Which one it is, tests/unit/verify/test_restore.py shows."""
        app, (a, b) = deployed
        try:
            with untouched(app):
                app.delete(b)
                done = app.rollback("2", "--verify")
                assert done.status == 4, done.stderr
                assert f"{app.registry}/{app.repository}@{b}" in done.stderr
                assert "revision 1 can be restored: helm pin rollback app 1 --verify" in done.stderr
                app.delete(a)
                done = app.rollback("2", "--dry-run", "--verify")
                assert done.status == 4
                assert "no other revision can be restored" in done.stderr
        finally:
            for letter in "AB":
                app.push(letter)

    def test_a_registry_that_does_not_answer(self, deployed: Deployed) -> None:
        app = deployed.app._replace(machine=deployed.app.machine.with_env(**NOBODY))
        with untouched(app):
            done = app.rollback("1", "--verify")
            assert done.status == 5, done.stderr
            assert app.registry in done.stderr

    def test_a_record_that_was_tampered_with(self, deployed: Deployed) -> None:
        app, (a, b) = deployed

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
        app, (a, b) = deployed

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
    def test_images_that_others_change(self, app: App, cluster: Cluster, unique: str, tmp_path: Path) -> None:
        """Somebody by hand, whose fields Helm 4 does not take over; webhooks those of Deployments, or of pods."""
        (a,), c = deploy(app, "A"), app.push("C")
        app.machine.kubectl("set", "image", "deployment/app", f"app={app.image(c)}")
        done = app.rollback("1", "--verify")
        if app.machine.helm4:
            assert done.status == 1
            assert f"Deployment/app app has {app.image(c)}" in done.stderr
            assert "set by kubectl-set" in done.stderr
            with untouched(app):  # the one before the last is now where the rollback came from
                again = app.rollback("--verify")
                assert again.status == 4
                assert "the last rollback was to leave the revision before it; nothing was changed" in again.stderr
            command = done.stderr.rpartition("this takes them over: helm ")[2].splitlines()[0]
            assert "rollback app 1 --verify" in command
            done = app.machine.run(app.machine.helm_binary, *shlex.split(command))
        assert done.status == 0, done.stderr
        assert app.live() == app.image(a)

        before = len(app.statuses()) + 1
        app.machine.helm("upgrade", "app", app.chart, UNVALIDATED, "--set", "image.tag=other")
        for name in ("of-deployments", "other", "of-pods"):
            (tmp_path / name).mkdir()
        other = image_changer(cluster, tmp_path / "other", f"{unique}-other", DEPLOYMENTS, "example.com/no:1")
        mine = image_changer(cluster, tmp_path / "of-deployments", unique, DEPLOYMENTS, "example.com/other:1")
        with mine as webhook, other as innocent:
            done = app.rollback("1", "--verify")
        assert done.status == 4, done.stderr
        assert f"Deployment/app app has example.com/other:1, the release says {app.image(a)}" in done.stderr
        assert "changed at admission" in done.stderr
        assert f"MutatingWebhookConfiguration/{webhook}, webhook images.example.com" in done.stderr
        assert innocent not in done.stderr  # it is for another namespace
        assert app.statuses()[before - 1 :] == ["superseded", "deployed"]

        with image_changer(cluster, tmp_path / "of-pods", unique, PODS, "example.com/other:1") as webhook:
            done = app.rollback("1", "--verify", "--wait", "--timeout", "60s")
        assert done.status == 4, done.stderr
        assert f"Revision {before + 2} is deployed, but the pods do not match it" in done.stderr
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

    def test_a_rollback_that_fails(self, app: App) -> None:
        """Half way: a Job's template cannot be changed, which --verify sees before. What an object still has is another revision's,
        no webhook's doing. And where pods do not start."""
        (app.chart / "templates" / "job.yaml").write_text(JOB)
        job, place = "/apis/batch/v1/namespaces/{}/jobs/app?propagationPolicy=Background", kube.namespace(app.machine)
        (a,) = deploy(app.spared(), "A", "--set", "nodeSelector.there=nowhere")
        place.cluster.api("DELETE", job.format(place.name))
        app.machine.helm("upgrade", "app", app.chart, UNVALIDATED, "--set", "image.tag=other")
        left = f"Job/app app has {app.registry}/{app.repository}:other, the release says {app.image(a)}: as revision 2"
        with untouched(app):
            done = app.spared().rollback("1", "--verify")
        assert done.status == 1 and "kubectl delete job app" in done.stderr, done.stderr
        assert f"{left} (deployed) says" in done.stderr
        done = app.rollback("1")
        assert done.status == 1, done.stderr
        assert "helm rollback failed; see its output above" in done.stderr
        assert "revision 3 is failed" in done.stderr
        left += " (superseded) says"
        assert left in done.stderr
        assert "admission" not in done.stderr
        status, checks = app.spared().verify()  # nothing is deployed now: it tells of the revision that failed
        assert (status, checks["workloads"]["verdict"]) == (4, "failed")
        assert left in "\n".join(checks["workloads"]["details"])

        place.cluster.api("DELETE", job.format(place.name))
        done = app.spared().rollback("1", "--verify", "--wait", "--timeout", "2s")
        assert done.status == 1, done.stderr
        assert "revision 4 is failed" in done.stderr
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
        app.machine.helm("upgrade", "app", app.chart, UNVALIDATED, "--set", "image.tag=other,replicas=0")
        return app

    def wait(self, app: App) -> str:
        return "--wait=legacy" if app.machine.helm4 else "--wait"  # Helm 4's own default waits for every pod

    def test_until_the_time_is_over(self, stuck: App) -> None:
        started = time.monotonic()
        done = stuck.rollback("1", "--verify", self.wait(stuck), "--timeout", "5s")
        assert done.status == 4, done.stderr
        assert "its pods were not ready before --timeout" in done.stderr
        assert "app has not started: Unschedulable" in done.stderr
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
        assert f"Stopped: Revision {made} is deployed, not verified; helm pin verify app verifies it." in said
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
        """Pods of a revision before, all of one set, those below the partition of the other. And kwok's node does not say what
        runs."""
        (app.chart / "templates" / "sets.yaml").write_text(SETS.replace("IMAGE", IMAGE))
        a, _ = deploy(app, "AB", "--wait")
        status, checks = app.verify()
        assert (status, checks["pods"]["verdict"]) == (0, "cannot tell")
        below = [line for line in checks["pods"]["details"] if line.startswith("Pod/part-0 is of an older revision")]
        assert "below the partition (1)" in below[0]
        assert a in below[0]

        made = ("on-delete-0", "on-delete-1", "part-0", "part-1")
        for pod in made[:2]:
            kube.namespace(app.machine).api("DELETE", f"pods/{pod}")
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
        assert "the node does not report which image" in done.stderr
        assert "Revision 3 restores set " in done.stderr
        assert "verified in record, manifest, workloads." in done.stderr


def running(app: App) -> list[dict[str, Any]]:
    return [pod for pod in app.pods() if pod["status"].get("phase") == "Running"]
