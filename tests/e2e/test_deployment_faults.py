"""What goes wrong around a deployment: its streams, other people, the API server afterwards, and helm itself."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from helmpin.release import storage
from helmpin.release.revision import checked_record
from scripts.devtools.api import Cluster
from tests.support import kube
from tests.support.app import App, app, eventually
from tests.support.interruptions import HelmProcess, running
from tests.support.twins import UNVALIDATED
from tests.support.workstation import CHECKOUT, Finished, Workstation, whichever_helm

HOOK = """\
apiVersion: batch/v1
kind: Job
metadata: {name: slow, annotations: {helm.sh/hook: "pre-install,pre-upgrade"}}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: a, image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"}]
"""
LATER = """\
#!/bin/sh
# The real helm; and something else when it has upgraded.
[ ! -e "$GONE" ] || export KUBECONFIG=/nowhere
[ ! -e "$SLOW" ] || for _ in $(seq 200); do sleep 0.1; done
"$REAL" "$@"
status=$?
case "$*" in 'upgrade app '*--dry-run*) ;; 'upgrade app '*) eval "$THEN" ;; esac
exit $status
"""


@pytest.fixture
def one(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> App:
    """A chart that nobody has deployed."""
    return app(in_cluster, cluster.registry, unique, tmp_path)


@pytest.fixture(scope="class")
def deployed(
    shared_in_cluster: Workstation, cluster: Cluster, shared_unique: str, tmp_path_factory: pytest.TempPathFactory
) -> App:
    """A chart that plain helm has deployed as `app`, for all tests of a class."""
    made = app(shared_in_cluster, cluster.registry, shared_unique, tmp_path_factory.mktemp("deployed"))
    plain(made)
    return made


@pytest.fixture
def there(deployed: App, tmp_path: Path) -> App:
    """The same with a chart of the test's own, its image at A."""
    return app(deployed.machine, deployed.registry, deployed.repository, tmp_path)


def plain(one: App, name: str = "app") -> None:
    """Plain helm deploys it."""
    one.machine.helm("upgrade", "--install", name, one.chart, UNVALIDATED)


def shell(one: App, script: str) -> subprocess.CompletedProcess[bytes]:
    """Run a script with helm as $0 and the chart as $1."""
    command = ["bash", "-c", script, str(one.machine.helm_binary), str(one.chart)]
    return subprocess.run(command, env=dict(one.machine.env), capture_output=True, timeout=60)


def rows(one: App, name: str = "app") -> list[tuple[int, str]]:
    """The revisions with their statuses, as they are stored."""
    return kube.revisions(one.machine, name)


class TestStreams:
    """The release is deployed and read back, and the exit status is plain helm's, whatever becomes of what helm prints."""

    @whichever_helm
    @pytest.mark.parametrize(
        ("how", "is_new"),
        [
            ("| true", True),
            ("2>&1 | true", False),
            (">/dev/full", False),
            (">&-", True),
            ("2>/dev/full", True),
            ("<&- >&- 2>&-", False),
        ],
    )
    def test_end_with_the_release(self, one: App, cluster: Cluster, unique: str, how: str, is_new: bool) -> None:
        if "|" in how:  # helm writes again when its reader has gone
            (one.chart / "templates/hook.yaml").write_text(HOOK)
        if not is_new:
            plain(one)
        run = f'"$0" {{}} upgrade --install {{}} "$1" {UNVALIDATED} {how}; echo "${{{{PIPESTATUS[0]}}}}" >&2'
        by_helm = shell(one, run.format("", "plain"))
        pinned = shell(one, run.format("pin", "app"))
        assert pinned.stderr.splitlines()[-1] == by_helm.stderr.splitlines()[-1]
        query = "labelSelector=owner%3Dhelm%2Cname%3Dapp"
        items = cluster.api("GET", f"/api/v1/namespaces/{unique}/secrets?{query}")["items"]
        stored = [each.stored for each in storage.decoded([{**item, "kind": "Secret"} for item in items]).found]
        stored.sort(key=lambda revision: revision.revision)
        assert [revision.status for revision in stored] == ["superseded"] * (not is_new) + ["deployed"]
        assert len(checked_record(stored[-1]).images) == 1
        if "2>" not in how:
            assert f"Revision {len(stored)}: 1 image pinned by digest".encode() in pinned.stderr

    @whichever_helm
    def test_end_with_a_rollback_too(self, one: App) -> None:
        one.spared().deploy()
        plain(one)
        for how in ("| true", ">/dev/full"):
            run = '"$0" {} rollback app 1 ' + how + '; echo "${{PIPESTATUS[0]}}" >&2'
            pinned, by_helm = shell(one, run.format("pin")), shell(one, run.format(""))
            assert pinned.stderr.splitlines()[-1] == by_helm.stderr.splitlines()[-1], how
        assert [status for _, status in rows(one)][2:] == ["superseded"] * 3 + ["deployed"]

    @whichever_helm
    def test_bytes_come_through(self, one: App) -> None:
        notes = b'caf\xe9 \xff\xfe\n{{ repeat 1000000 "x" }}\n'
        (one.chart / "templates/NOTES.txt").write_bytes(notes)
        pinned = shell(one, f'"$0" pin upgrade --install app "$1" {UNVALIDATED}')
        one.machine.helm("uninstall", "app")
        by_helm = shell(one, f'"$0" upgrade --install app "$1" {UNVALIDATED}')
        undated = [
            [line for line in done.stdout.splitlines() if b"DEPLOYED:" not in line] for done in (by_helm, pinned)
        ]
        assert pinned.returncode == 0, pinned.stderr[-1000:]
        assert undated[0] == undated[1]
        assert b"caf\xe9 \xff\xfe" in pinned.stdout and b"x" * 1_000_000 in pinned.stdout


class TestOtherPeople:
    @whichever_helm
    def test_who_uninstall_it_while_it_plans(self, there: App) -> None:
        plain(there, "planned")
        with planning(there, "upgrade", "--install", "planned", "--set=replicas=2") as (run, go_on):
            there.machine.helm("uninstall", "planned")
            go_on()
            run.end()
        assert "Error: release planned was uninstalled by somebody else while this ran\n" in run.said
        assert "run it again\n" in run.said
        assert run.process.returncode == 1
        assert rows(there, "planned") == []

    def test_who_install_it_meanwhile(self, there: App) -> None:
        with planning(there, "upgrade", "--install", "new") as (run, go_on):
            there.machine.helm("install", "new", there.chart, UNVALIDATED)
            go_on()
            run.end()
        assert "Error: revision 1 was made by somebody else while this ran; nothing was deployed\n" in run.said
        assert "run it again\n" in run.said
        assert run.process.returncode == 1
        assert rows(there, "new") == [(1, "deployed")]

    @whichever_helm
    def test_who_are_at_work_when_the_chart_is_rendered_again(self, there: App) -> None:
        """No fault of the values, of which no others are tried: the operation may be over before the next render.

        What each Helm says of it: TestHelmFails.
        """
        plain(there, "busy")
        stuck = ["upgrade", "busy", str(there.chart), UNVALIDATED, "--set=nodeSelector.there=nowhere", "--wait"]
        with (
            planning(there, "upgrade", "busy", "--set=replicas=2", "--reuse-values", "--debug") as (run, go_on),
            running(there.machine, there.chart.parent / "theirs", stuck) as theirs,
        ):
            eventually(lambda: rows(there, "busy")[-1] == (2, "pending-upgrade"))
            go_on()
            run.end()
            theirs.process.kill()
        assert run.process.returncode == 1
        assert "another operation (install/upgrade/rollback) is in progress" in run.said
        renders = [line for line in run.said.splitlines() if line.startswith("[helm-pin]") and "--dry-run=" in line]
        assert len(renders) == 2, run.said
        assert rows(there, "busy") == [(1, "deployed"), (2, "pending-upgrade")]
        told = there.machine.pin("plan", "busy", there.chart, "--set=replicas=2").stderr
        assert "Revision 2 is pending-upgrade" in told, told

    @whichever_helm
    def test_who_deploy_the_same_at_the_same_moment(self, there: App, tmp_path: Path) -> None:
        plain(there, "same")
        gate = tmp_path / "gate"
        gate.write_text(f"#!/bin/sh\n: >{tmp_path}/at.$$\nwhile [ ! -e {tmp_path}/go ]; do sleep 0.02; done\n")
        gate.chmod(0o755)
        upgrade = ["pin", "upgrade", "same", str(there.chart), UNVALIDATED]
        upgrade += ["--set=replicas=2", "--require", f"{gate} {{}}"]
        with (
            running(there.machine, tmp_path / "a", upgrade) as first,
            running(there.machine, tmp_path / "b", upgrade) as second,
        ):
            eventually(lambda: len(list(tmp_path.glob("at.*"))) == 2)
            (tmp_path / "go").touch()
            first.end()
            second.end()
        ended = {run.process.returncode: run.said for run in (first, second)}
        assert set(ended) == {0, 1}  # both planned from revision 1, so one of them comes too late
        moved = "revision 2 was made by somebody else while this ran; nothing was deployed"
        assert moved in ended[1] or "is in progress" in ended[1]
        assert "why   revision 2 is" not in ended[1]
        assert rows(there, "same") == [(1, "superseded"), (2, "deployed")]

    @whichever_helm
    def test_who_come_right_after(self, there: App, tmp_path: Path) -> None:
        """The revision of this command is read back, not the latest."""
        last, _ = rows(there)[-1]
        again = f'"$REAL" upgrade app {there.chart} {UNVALIDATED} >&2'
        done = then(there, tmp_path, f"{again}; {again}")
        assert done.status == 0, done.stderr
        assert f"Revision {last + 1}: 1 image pinned by digest" in done.stderr
        assert f"Note: revision {last + 3} (deployed) was made by somebody else since then." in done.stderr

    @whichever_helm
    def test_after_whom_nothing_is_left_of_it(self, there: App, tmp_path: Path) -> None:
        last, _ = rows(there)[-1]
        again = f'"$REAL" upgrade app {there.chart} {UNVALIDATED} --history-max=1 >&2'
        done = then(there, tmp_path, f"{again}; {again}")
        assert done.status == 4
        assert "the revision that this command made is not in the history of release app" in done.stderr
        assert f"the latest is revision {last + 3} (deployed), made by somebody else" in done.stderr


class TestWhatIsGone:
    @pytest.mark.parametrize("gone", ["the API server", pytest.param("helm", marks=whichever_helm)])
    def test_before_the_chart_is_rendered_again(self, there: App, tmp_path: Path, gone: str) -> None:
        """No fault of the images: none of them is to be let through for it."""
        before = rows(there)
        kubeconfig, helm = tmp_path / "another", tmp_path / "helm"
        kubeconfig.write_text(Path(there.machine.env["KUBECONFIG"]).read_text())
        helm.symlink_to(there.machine.helm_binary)
        gate = tmp_path / "gate"
        lost = f"sed -i 's/127.0.0.1:[0-9]*/127.0.0.1:1/' {kubeconfig}" if gone == "the API server" else f"rm {helm}"
        gate.write_text(f"#!/bin/sh\n{lost}\n")
        gate.chmod(0o755)
        machine = there.machine.with_env(KUBECONFIG=str(kubeconfig), HELM_BIN=str(helm))
        done = machine.forked("upgrade", "app", there.chart, "--reuse-values", "--require", f"{gate} {{}}")
        assert done.status == 1, done.stderr
        assert "cannot be pinned" not in done.stderr and "--allow-unpinned" not in done.stderr
        assert ("unreachable" if gone == "the API server" else "could not be started") in done.stderr
        assert rows(there) == before

    @whichever_helm
    def test_an_api_server_afterwards(self, there: App, tmp_path: Path) -> None:
        """First what is known: it is deployed."""
        last, _ = rows(there)[-1]
        done = then(there, tmp_path, 'touch "$GONE"')
        assert done.status == 1
        assert f"Error: Revision {last + 1} is deployed, not verified: " in done.stderr
        assert "next  helm pin verify app verifies it" in done.stderr
        assert rows(there)[-2:] == [(last, "superseded"), (last + 1, "deployed")]
        assert there.spared().machine.pin("verify", "app", "--no-registry").status in (0, 4)


class TestHelmFails:
    """The state and the way on, from what helm has stored."""

    @pytest.fixture
    @staticmethod
    def there(there: App) -> App:
        return there.spared()

    def upgrade(self, there: App) -> tuple[int, Finished]:
        """One that fails; the last revision before it, too."""
        last, _ = rows(there)[-1]
        done = there.machine.pin("upgrade", "app", there.chart, UNVALIDATED)
        assert done.status == 1, done.stderr
        assert "Error: helm upgrade failed; see its output above" in done.stderr
        return last, done

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["upgrade", "--install", "BAD_Name"], "the release name is invalid"),
            (["install", "app"], "cannot reuse a name that is still in use"),
            pytest.param(["install", "BAD_Name"], "the release name is invalid", marks=whichever_helm),
            pytest.param(
                ["install", "app", "--replace"],
                "cannot reuse a name that is still in use",
                marks=whichever_helm,
            ),
            pytest.param(["upgrade", "other"], "'other' has no deployed releases", marks=whichever_helm),
        ],
        ids=["a bad name", "a name in use", "a bad name for install", "a name in use to replace", "no release"],
    )
    def test_before_a_registry_is_asked(self, there: App, arguments: list[str], told: str) -> None:
        if "--replace" in arguments:  # which takes the name of one that failed
            plain(there)
        before = rows(there)
        done = there.machine.pin(*arguments, there.chart, "--set=image.repository=127.0.0.1:9/app")
        assert (done.status, done.stderr.splitlines()[0]) == (1, f"Error: {told}; nothing was deployed")
        assert rows(there) == before

    def test_on_a_field_that_another_manages(self, there: App) -> None:
        plain(there)
        there.machine.kubectl("set", "image", "deployment/app", f"app={there.image()}-hotfix")
        if not there.machine.helm4:  # no server-side apply, no conflict
            there.deploy()
            return
        last, done = self.upgrade(there)
        assert f"why   revision {last + 1} is failed" in done.stderr
        assert "add --force-conflicts to take them over" in done.stderr.rpartition("\n  next ")[2]
        there.deploy("--force-conflicts")

    def test_on_a_field_that_cannot_change(self, there: App) -> None:
        template = there.chart / "templates/deployment.yaml"
        template.write_text(
            template.read_text()
            .replace("labels: {app:", "labels: {more: label, app:")
            .replace("matchLabels: {app:", "matchLabels: {more: label, app:")
        )
        assert "delete the immutable object" in self.upgrade(there)[1].stderr

    def test_in_a_namespace_that_does_not_exist(self, there: App) -> None:
        done = there.machine.pin("upgrade", "--install", "app", there.chart, "--namespace", "no-such")
        assert done.status == 1
        assert "why   no revision was stored" in done.stderr
        assert "next  add --create-namespace to have helm make namespace no-such, or correct its name" in done.stderr

    def test_on_a_release_that_is_too_long(self, there: App) -> None:
        (there.chart / "noise").write_bytes(random.Random(0).randbytes(900_000))
        _, done = self.upgrade(there)
        assert "why   no revision was stored" in done.stderr
        assert "a Secret can hold 1048576" in done.stderr
        assert "of them helm-pin's record" in done.stderr

    def test_on_a_release_that_another_holds(self, there: App) -> None:
        plain(there, "held")
        there.rewrite(1, lambda stored: stored["info"].update(status="pending-upgrade"), "held")
        place, secret = kube.namespace(there.machine), "secrets/sh.helm.release.v1.held.v1"
        held = place.api("GET", secret)
        held["metadata"]["labels"]["status"] = "pending-upgrade"
        place.put(secret, held)
        for values in ([], ["--set=replicas=2"]):
            done = there.machine.pin("upgrade", "held", there.chart, UNVALIDATED, *values)
            assert done.status == 1
            assert "another operation (install/upgrade/rollback) is in progress" in done.stderr
            assert "if no other helm is at work on it, helm rollback held REVISION goes back to" in done.stderr


@whichever_helm
class TestSignals:
    @pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
    def test_while_it_reads_back(self, there: App, tmp_path: Path, signum: signal.Signals) -> None:
        last, _ = rows(there)[-1]
        machine = and_then(there, tmp_path, 'touch "$SLOW"')
        with running(machine, tmp_path / "scratch", ["upgrade", "app", str(there.chart), UNVALIDATED]) as run:
            eventually((tmp_path / "slow").exists)
            eventually(lambda: any(" get " in member.command for member in run.members()))
            run.signal("helm-pin", signum)
            run.end(15)
        told = f"Stopped: Revision {last + 1} is deployed, not verified; helm pin verify app verifies it."
        assert told in run.said
        assert run.process.returncode == 128 + signum
        assert rows(there)[-2:] == [(last, "superseded"), (last + 1, "deployed")]
        assert list((tmp_path / "scratch").iterdir()) == []

    def test_a_second_one_kills_a_helm_that_does_not_end(self, there: App, tmp_path: Path) -> None:
        plain(there, "stuck")
        arguments = ["pin", "upgrade", "stuck", str(there.chart), UNVALIDATED]
        arguments += ["--set=nodeSelector.there=nowhere", "--wait"]
        with running(there.machine, tmp_path / "scratch", arguments) as run:
            inner = eventually_found(lambda: run.inner("upgrade"))
            eventually(lambda: rows(there, "stuck")[-1] == (2, "pending-upgrade"))
            os.kill(inner.pid, signal.SIGSTOP)
            run.signal("helm-pin", signal.SIGTERM)
            time.sleep(0.2)
            run.signal("helm-pin", signal.SIGTERM)
            run.end(15)
        assert "Stopping: waiting for helm to finish what it has begun. Interrupt again to kill it." in run.said
        assert (
            "Stopped: revision 2 is pending-upgrade: Preparing upgrade; helm pin rollback stuck 1 goes back."
            in run.said
        )


def eventually_found(what: Callable[[], Any]) -> Any:
    eventually(lambda: what() is not None)
    return what()


@contextmanager
def planning(one: App, *arguments: str) -> Iterator[tuple[HelmProcess, Callable[[], None]]]:
    """A helm pin that waits for a registry, and what has the registry answer."""
    asked, go_on = threading.Event(), threading.Event()

    class Registry(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.set()
            go_on.wait(60)
            self.send_response(200)
            self.send_header("Docker-Content-Digest", f"sha256:{'a' * 64}")
            self.send_header("Content-Type", "application/vnd.oci.image.index.v1+json")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        more = "{{ with .Values.slow }}\napiVersion: v1\nkind: Pod\nmetadata: {name: more}\n"
        more += "spec: {containers: [{name: a, image: {{ . }}}]}\n{{ end }}"
        (one.chart / "templates/more.yaml").write_text(more)
        slow = [f"--set=slow=127.0.0.1:{server.server_port}/x:1", "--registry-timeout=60s", UNVALIDATED]
        with running(one.machine, one.chart.parent / "scratch", ["pin", *arguments, str(one.chart), *slow]) as run:
            assert asked.wait(30)
            yield run, go_on.set
        server.shutdown()


def then(one: App, folder: Path, what: str) -> Finished:
    """`helm pin upgrade app`, with something that happens right after helm has deployed."""
    machine = and_then(one, folder, what)
    return machine.forked("upgrade", "app", one.chart, UNVALIDATED)


def and_then(one: App, folder: Path, what: str) -> Workstation:
    """helm-pin by itself, with a helm that does something more when it has deployed."""
    (folder / "helm").write_text(LATER)
    (folder / "helm").chmod(0o755)
    files = {"HELM_BIN": folder / "helm", "GONE": folder / "gone", "SLOW": folder / "slow"}
    environ = {"REAL": str(one.machine.helm_binary), "THEN": what, **{name: str(path) for name, path in files.items()}}
    return one.machine.with_env(**environ)._replace(helm_binary=CHECKOUT / "bin/helm-pin")
