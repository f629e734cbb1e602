"""helm pin rollback on real clusters: what it refuses before anything is touched, and what it proves afterwards."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from scripts.devtools.api import Cluster
from tests.e2e.test_history import without_kubectl
from tests.support import app as apps
from tests.support.app import App, eventually
from tests.support.custom import custom_kind
from tests.support.race import AFTER_HELM, BEFORE_HELM, WHILE_CHECKING, Race
from tests.support.registry_servers import distribution
from tests.support.webhook import image_changer
from tests.support.workstation import Workstation, whichever_helm

ANNOTATION = "helm-pin/digests"
DEPLOYMENTS = {"deployments": "/spec/template/spec"}
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


@pytest.fixture
def race(app: App, tmp_path: Path, unique: str) -> Race:
    (tmp_path / "race").mkdir()
    return Race(app.machine, tmp_path / "race", unique)


class TestTarget:
    @pytest.mark.parametrize("revision", [(), ("0",)])
    def test_the_one_before(self, app: App, revision: tuple[str, ...]) -> None:
        a, _, c = deploy(app, "ABC")
        assert app.rollback("1", "--verify").status == 0
        assert app.live() == app.image(a)
        done = app.rollback(*revision, "--verify")
        assert done.status == 0, done.stderr
        assert app.live() == app.image(c)  # revision 3, before the rollback's 4: not the 2 before 1
        assert "Revision 3: 1 image, set " in done.stderr
        assert "verified in record, manifest, workloads" in done.stderr

    def test_quietly(self, app: App) -> None:
        deploy(app, "AB")
        for flags in (["--verify"], []):
            done = app.rollback("1", "--quiet", *flags)
            assert (done.status, done.stderr) == (0, "")

    def test_there_is_none(self, app: App) -> None:
        deploy(app, "A")
        for args in (["--verify"], ["7", "--verify"], ["7"], []):
            done = app.rollback(*args)
            assert done.status == 1, done.stderr
        assert app.rollback("1", "--allow-unverified").status == 2
        done = app.rollback("first", "--verify")
        assert done.status == 2
        assert "REVISION is a number" in done.stderr
        assert app.statuses() == ["deployed"]


@whichever_helm
class TestTheOneBeforeNeverRan:
    """Where no revision is named: helm goes to the one before the last, whatever became of it."""

    @pytest.fixture
    def twice_failed(self, app: App) -> App:
        """Revision 1 is deployed, 2 and 3 have failed before they changed anything."""
        app.deploy()
        (app.chart / "templates" / "hook.yaml").write_text(BAD_HOOK)
        for _ in range(2):
            assert app.machine.pin("upgrade", "app", app.chart, "--set", "broken=true").status == 1
        assert app.statuses() == ["deployed", "failed", "failed"]
        return app

    @pytest.mark.parametrize("revision", [(), ("0",)])
    def test_with_proof_it_is_refused(self, twice_failed: App, revision: tuple[str, ...]) -> None:
        done = twice_failed.rollback(*revision, "--verify")
        assert done.status == 4, done.stderr
        assert "the revision before the last never ran; nothing was changed" in done.stderr
        assert "revision 2 is failed" in done.stderr
        assert "helm pin rollback app 1 --verify goes back to the last revision that ran" in done.stderr
        assert twice_failed.statuses() == ["deployed", "failed", "failed"]
        assert twice_failed.rollback("1", "--verify").status == 0

    def test_named_it_is_gone_back_to(self, twice_failed: App) -> None:
        done = twice_failed.rollback("2", "--verify")
        assert "Note: revision 2 is failed: it never deployed successfully." in done.stderr
        assert "nothing was changed" not in done.stderr

    def test_without_proof_it_is_said_before(self, twice_failed: App) -> None:
        twice_failed.machine.helm("rollback", "app")  # what plain helm does here
        assert twice_failed.statuses()[-1] in ("deployed", "failed")
        before = len(twice_failed.statuses())
        done = twice_failed.rollback()
        assert done.status == 0, done.stderr
        assert len(twice_failed.statuses()) == before + 1
        assert "Note: revision 3 is failed: it never deployed successfully; the last that ran is " in done.stderr
        assert done.stderr.index("Note: ") < done.stderr.index("has the digests of set")

    def test_it_is_not_kept_any_more(self, twice_failed: App) -> None:
        """helm keeps the deployed revision, and no other here."""
        again = twice_failed.machine.pin(
            "upgrade", "app", twice_failed.chart, "--set", "broken=true", "--history-max", "2"
        )
        assert again.status == 1
        for proof in ([], ["--verify"]):
            done = twice_failed.rollback(*proof)
            assert done.status == 1, done.stderr
            assert "revision 3 of release app, the one before the last, is not in its history" in done.stderr
            assert "its history has 1 (deployed), 4 (failed)" in done.stderr
            assert "helm pin rollback app 1 goes back to the last revision that ran" in done.stderr
        assert twice_failed.statuses() == ["deployed", "failed"]


@whichever_helm
class TestSomebodyElseDeploys:
    """Real helms, one after another: a colleague's begins at a moment of the test's choice."""

    def upgrade(self, app: App, *args: str) -> str:
        return shlex.join([str(app.machine.helm_binary), "upgrade", "app", str(app.chart), *args])

    def test_while_the_target_is_checked(self, app: App, race: Race) -> None:
        deploy(app, "AB")
        done = race(WHILE_CHECKING, self.upgrade(app, "--reuse-values"), "rollback", "app", "1", "--verify")
        assert done.status == 1, done.stderr
        assert "revision 3 was made by somebody else while this ran; nothing was changed" in done.stderr
        assert "run it again" in done.stderr
        assert app.statuses() == ["superseded", "superseded", "deployed"]

    def test_just_before_helm_rolls_back(self, app: App, race: Race) -> None:
        """Ours is the one after theirs, and is found."""
        a, _ = deploy(app, "AB")
        done = race(BEFORE_HELM, self.upgrade(app, "--reuse-values"), "rollback", "app", "1", "--verify")
        assert done.status == 0, done.stderr
        assert "Revision 4 restores set " in done.stderr
        assert app.live() == app.image(a)

    @pytest.mark.parametrize("proof", [[], ["--verify"]])
    def test_afterwards(self, app: App, race: Race, proof: list[str]) -> None:
        """The revision that this command made is read, not the latest."""
        deploy(app, "AB")
        done = race(AFTER_HELM, self.upgrade(app, "--set", "image.tag=theirs"), "rollback", "app", "1", *proof)
        assert app.statuses() == ["superseded", "superseded", "superseded", "deployed"]
        assert "revision 4 was made by somebody else" in done.stderr
        assert done.status == (1 if proof else 0), done.stderr
        if proof:
            assert "Revision 3 is deployed, verified in record and manifest; then revision 4 was made" in done.stderr
            assert f"Deployment/app app has {app.registry}/{app.repository}:theirs" in done.stderr
        else:
            assert "Revision 3 has the digests of set" in done.stderr

    def test_afterwards_with_the_same_images(self, app: App, race: Race) -> None:
        """What is compared is still so; of two that restore revision 1 the first is ours."""
        a, _ = deploy(app, "AB")
        theirs = shlex.join([str(app.machine.helm_binary), "rollback", "app", "1"])
        done = race(AFTER_HELM, theirs, "rollback", "app", "1", "--verify")
        assert done.status == 0, done.stderr
        assert "Revision 3 restores set " in done.stderr
        assert "Note: after this rollback revision 4 was made by somebody else." in done.stderr
        assert app.live() == app.image(a)

    def test_and_keeps_no_history(self, app: App, race: Race) -> None:
        deploy(app, "AB")
        theirs = self.upgrade(app, "--history-max", "1")
        done = race(AFTER_HELM, f"{theirs} && {theirs}", "rollback", "app", "1", "--verify")
        assert done.status == 1, done.stderr
        assert "the revision that it made is not in the history any more" in done.stderr
        assert app.statuses() == ["superseded", "deployed"]


@pytest.mark.parametrize("proof", [[], ["--verify"]])
def test_the_api_server_is_gone_after_the_rollback(app: App, race: Race, tmp_path: Path, proof: list[str]) -> None:
    """What is known comes first."""
    a, _ = deploy(app, "AB")
    config = tmp_path / "kubeconfig"
    text = config.read_text()
    done = race(
        AFTER_HELM, f"sed -i 's#https://127.0.0.1:[0-9]*#https://127.0.0.1:9#' {config}", "rollback", "app", "1", *proof
    )
    config.write_text(text)
    assert done.status == (1 if proof else 0), done.stderr
    said = [line for line in done.stderr.splitlines() if "Revision 3 is deployed" in line]
    assert said[0].removeprefix("Error: ").startswith("Revision 3 is deployed, not verified")
    assert "helm pin verify app does it later" in done.stderr
    assert app.statuses() == ["superseded", "superseded", "deployed"]
    assert app.live() == app.image(a)


@whichever_helm
class TestDryRun:
    @pytest.mark.parametrize("proof", [[], ["--verify"]])
    def test_nothing_is_changed(self, app: App, proof: list[str]) -> None:
        _, b = deploy(app, "AB")
        done = app.rollback("1", "--dry-run", *proof)
        assert done.status == 0, done.stderr
        assert app.statuses() == ["superseded", "deployed"]
        assert app.live() == app.image(b)

    def test_what_would_be_refused(self, app: App) -> None:
        a, _ = deploy(app, "AB")
        app.delete(a)
        assert app.rollback("1", "--dry-run", "--verify").status == 4

    @pytest.mark.parametrize("helm_name", ["helm4"], indirect=True)  # whose flag it is
    def test_none_is_no_dry_run(self, app: App) -> None:
        a, _ = deploy(app, "AB")
        done = app.rollback("1", "--dry-run=none", "--verify")
        assert done.status == 0, done.stderr
        assert "verified in" in done.stderr
        assert app.live() == app.image(a)


@whichever_helm
class TestRefused:
    """Before anything is touched."""

    def untouched(self, app: App, revisions: int, digest: str) -> None:
        assert app.statuses() == ["superseded"] * (revisions - 1) + ["deployed"]
        assert app.live() == app.image(digest)

    def test_the_nearest_earlier_revision_is_offered(self, app: App) -> None:
        *_, c, d = digests = deploy(app, "ABCD")
        app.delete(digests[1])
        app.delete(c)
        done = app.rollback("3", "--verify")
        assert done.status == 4, done.stderr
        assert f"{app.registry}/{app.repository}@{c}" in done.stderr
        assert "helm pin rollback app 1 --verify: revision 1 can be restored" in done.stderr
        self.untouched(app, 4, d)
        assert app.rollback("1", "--verify").status == 0

    def test_nothing_can_be_restored(self, app: App) -> None:
        a, b = deploy(app, "AB")
        app.delete(a)
        done = app.rollback("--verify")
        assert done.status == 4
        assert "no earlier revision can be restored" in done.stderr
        self.untouched(app, 2, b)

    def test_a_registry_that_is_down(self, in_cluster: Workstation, unique: str, tmp_path: Path) -> None:
        with distribution(tmp_path / "registry") as server:
            app = apps.app(in_cluster, server.host, unique, tmp_path)
            _, b = deploy(app, "AB")
        done = app.rollback("1", "--verify", "--registry-timeout", "3s")
        assert done.status == 5, done.stderr
        assert server.host in done.stderr
        self.untouched(app, 2, b)
        assert app.rollback("1").status == 0  # plain helm's way is still open

    def test_a_record_that_was_tampered_with(self, app: App) -> None:
        a, b = deploy(app, "AB")

        def tamper(stored: dict[str, Any]) -> None:
            annotations = stored["chart"]["metadata"]["annotations"]
            annotations[ANNOTATION] = annotations[ANNOTATION].replace(a, b)

        app.rewrite(1, tamper)
        done = app.rollback("1", "--verify")
        assert done.status == 4, done.stderr
        assert "the record was edited" in done.stderr
        assert "--allow-unverified" in done.stderr
        self.untouched(app, 2, b)
        allowed = app.rollback("1", "--verify", "--allow-unverified")
        assert allowed.status == 0, allowed.stderr
        assert "the result is not verified" in allowed.stderr
        assert app.live() == app.image(a)

    def test_a_manifest_that_was_tampered_with(self, app: App) -> None:
        a, b = deploy(app, "AB")

        def tamper(stored: dict[str, Any]) -> None:
            stored["manifest"] = stored["manifest"].replace(a, b)

        app.rewrite(1, tamper)
        done = app.rollback("1", "--verify")
        assert done.status == 4, done.stderr
        assert "Deployment/app container app" in done.stderr
        assert "is not in the record" in done.stderr
        self.untouched(app, 2, b)

    def test_an_account_that_may_not_look(self, app: App, cluster: Cluster, unique: str) -> None:
        _, b = deploy(app, "AB")
        everything_else = [
            {"apiGroups": [""], "resources": ["secrets", "pods"], "verbs": ["*"]},
            {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["create", "update", "patch", "delete"]},
        ]
        rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{unique}"
        cluster.api("POST", f"{rbac}/roles", {"metadata": {"name": "blind"}, "rules": everything_else})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "blind"}
        subject = {"kind": "User", "name": unique, "apiGroup": "rbac.authorization.k8s.io"}
        binding = {"metadata": {"name": "blind"}, "roleRef": role, "subjects": [subject]}
        cluster.api("POST", f"{rbac}/rolebindings", binding)
        done = app.rollback("1", "--verify", "--kube-as-user", unique)
        assert done.status == 1, done.stderr
        assert "nothing was changed" in done.stderr
        assert 'cannot get resource "deployments"' in done.stderr
        self.untouched(app, 2, b)

    def test_a_kind_that_is_gone(self, app: App, cluster: Cluster, unique: str) -> None:
        """helm's own rollback would fail half way, and leave the release in pending-rollback."""
        with custom_kind(cluster, unique) as kind:
            (app.chart / "templates" / "gate.yaml").write_text(kind.template)
            _, b = deploy(app, "AB")
        eventually(lambda: kind.group not in str(cluster.api("GET", "/apis")))
        cache = app.machine.with_env(
            KUBECACHEDIR=f"{app.chart.parent}/cache"
        )  # kubectl's own is of a time when it was there
        app = app._replace(machine=cache)
        done = app.rollback("1", "--verify")
        assert done.status == 1, done.stderr
        assert 'no matches for kind "Proxy"' in done.stderr
        assert "nothing was changed" in done.stderr
        assert "install these CustomResourceDefinitions first" in done.stderr
        self.untouched(app, 2, b)
        status, checks = app.verify()
        assert (status, checks["workloads"]["verdict"]) == (4, "failed")
        assert checks["workloads"]["details"][0] == f"Proxy/gate-{unique} is not in the cluster"


class TestReadBack:
    @whichever_helm
    def test_a_webhook_that_changes_images(self, app: App, cluster: Cluster, unique: str, tmp_path: Path) -> None:
        a, _ = deploy(app, "AB")
        (tmp_path / "other").mkdir()
        with (
            image_changer(cluster, tmp_path, unique, DEPLOYMENTS, "example.com/other:1") as webhook,
            image_changer(cluster, tmp_path / "other", f"{unique}-other", DEPLOYMENTS, "example.com/no:1") as innocent,
        ):
            done = app.rollback("1", "--verify")
        assert done.status == 4, done.stderr
        assert f"Deployment/app app has example.com/other:1, the release says {app.image(a)}" in done.stderr
        assert "changed at admission" in done.stderr
        assert f"MutatingWebhookConfiguration/{webhook}, webhook images.example.com" in done.stderr
        assert innocent not in done.stderr  # it is for another namespace
        assert app.statuses() == ["superseded", "superseded", "deployed"]

    @whichever_helm
    def test_a_webhook_that_changes_pods(self, app: App, cluster: Cluster, unique: str, tmp_path: Path) -> None:
        deploy(app, "AB")
        with image_changer(cluster, tmp_path, unique, {"pods": "/spec"}, "example.com/other:1") as webhook:
            done = app.rollback("1", "--verify", "--wait", "--timeout", "60s")
        assert done.status == 4, done.stderr
        assert "Revision 3 is deployed, but the pods do not match it" in done.stderr
        assert f"MutatingWebhookConfiguration/{webhook}" in done.stderr

    @whichever_helm
    def test_a_node_that_does_not_say_what_runs(self, app: App) -> None:
        deploy(app, "AB")
        started = time.monotonic()
        done = app.rollback("1", "--verify", "--wait")
        assert done.status == 0, done.stderr
        assert "pods: cannot tell" in done.stderr
        assert "the node does not report which image" in done.stderr
        assert "verified in record, manifest, workloads" in done.stderr
        assert time.monotonic() - started < 60  # no use in waiting for --timeout's 5 minutes

    @whichever_helm
    def test_a_webhook_that_changes_custom_resources(
        self, app: App, cluster: Cluster, unique: str, tmp_path: Path
    ) -> None:
        with custom_kind(cluster, unique) as kind:
            (app.chart / "templates" / "deployment.yaml").write_text(kind.template)
            deploy(app, "AB")
            changes = {"proxies": "/spec/template/spec"}
            with image_changer(cluster, tmp_path, unique, changes, "example.com/other:1", kind.group) as webhook:
                done = app.rollback("1", "--verify")
        assert done.status == 4, done.stderr
        assert f"Proxy/gate-{unique} app has example.com/other:1" in done.stderr
        assert f"MutatingWebhookConfiguration/{webhook}" in done.stderr

    @whichever_helm
    def test_a_webhook_that_changes_the_pods_of_an_operator(
        self, app: App, cluster: Cluster, unique: str, tmp_path: Path
    ) -> None:
        """Who made the pod is known by its owner reference, whatever the operator is called."""
        with custom_kind(cluster, unique) as kind:
            (app.chart / "templates" / "deployment.yaml").write_text(kind.template)
            deploy(app, "AB")
            with image_changer(cluster, tmp_path, unique, {"pods": "/spec"}, "example.com/other:1") as webhook:
                pod = kind.run_pod(unique)
                status, checks = app.verify()
        assert (status, checks["workloads"]["verdict"]) == (4, "ok")
        told = "\n".join(checks["pods"]["details"])
        assert f"Pod/{pod} app has example.com/other:1" in told
        assert "changed at admission" in told
        assert f"MutatingWebhookConfiguration/{webhook}" in told

    def test_a_rollback_that_stops_half_way(self, app: App) -> None:
        """A Job's template cannot be changed. What an object still has is another revision's, no webhook's doing."""
        (app.chart / "templates" / "job.yaml").write_text(JOB)
        a = app.push("A")
        app.deploy()
        app.machine.kubectl("delete", "job", "app")
        b = app.push("B")
        app.deploy()
        done = app.rollback("1", "--verify")
        assert done.status == 1, done.stderr
        assert "helm rollback failed; see its output above" in done.stderr
        assert "revision 3 is failed" in done.stderr
        left = f"Job/app app has {app.image(b)}, the release says {app.image(a)}: as revision 2 (superseded) says"
        assert left in done.stderr
        assert "admission" not in done.stderr
        status, checks = app.verify()  # nothing is deployed now: it tells of the revision that failed
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

    def test_there_is_no_such_release(self, app: App) -> None:
        for proof in ([], ["--verify"]):
            done = app.rollback("1", *proof)
            assert done.status == 1
            assert "not found" in done.stderr
            assert "helm list --all-namespaces" in done.stderr

    @whichever_helm
    def test_without_kubectl(self, app: App, tmp_path: Path) -> None:
        _, b = deploy(app, "AB")
        done = app._replace(machine=without_kubectl(app.machine, tmp_path / "bin")).rollback("1", "--verify")
        assert done.status == 1
        assert "kubectl not found; nothing was changed" in done.stderr
        assert app.live() == app.image(b)

    def test_a_target_that_failed(self, app: App) -> None:
        deploy(app, "A")
        failed = app.machine.pin(
            "upgrade", "app", app.chart, "--set", "nodeSelector.there=nowhere", "--wait", "--timeout", "2s"
        )
        assert failed.status == 1
        done = app.rollback("2", "--verify")
        assert done.status == 0, done.stderr
        assert "Note: revision 2 is failed: it never deployed successfully." in done.stderr

    def test_a_rollback_that_fails(self, app: App) -> None:
        app.deploy("--set", "nodeSelector.there=nowhere")
        deploy(app, "B")
        done = app.rollback("1", "--verify", "--wait", "--timeout", "3s")
        assert done.status == 1, done.stderr
        assert "revision 3 is failed" in done.stderr
        assert "workloads: ok" in done.stderr
        assert "app has not started" in done.stderr

    def test_without_verify(self, app: App) -> None:
        a, _ = deploy(app, "AB")
        app.machine.helm("upgrade", "app", app.chart, "--reset-values")
        done = app.rollback("1")
        assert done.status == 0
        assert "Registry and cluster were not checked" in done.stderr
        assert app.live() == app.image(a)
        done = app.rollback("3")
        assert done.status == 0
        assert "is deployed, not verified: the revision has no digest record" in done.stderr
        assert app.live() == app.image()


@whichever_helm
class TestWaiting:
    """For pods that do not come, where helm's own wait is content: a Deployment may have one unavailable."""

    @pytest.fixture
    def stuck(self, app: App) -> App:
        """Its revision 1 needs a node that is not there."""
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
        done = stuck.rollback("1", "--verify", self.wait(stuck), "--timeout", "12s")
        assert done.status == 4, done.stderr
        assert "its pods were not ready before --timeout" in done.stderr
        assert "app has not started: Unschedulable" in done.stderr
        progress = [line for line in done.stderr.splitlines() if line.startswith("waiting for pods: ")]
        assert progress and len(progress) == len(set(progress))  # each change once, for a log
        assert time.monotonic() - started < 60
        assert stuck.statuses()[-1] == "deployed"

    def test_somebody_stops_it(self, stuck: App) -> None:
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
        assert "Stopped: Revision 3 is deployed, not verified; helm pin verify app does it later." in said
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

        assert app.machine.pin("upgrade", "app", app.chart).status == 0
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
        a = app.push("A")
        app.deploy("--wait")
        machine.helm("install", "plain", app.chart, "--wait")
        b = app.push("B")
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
