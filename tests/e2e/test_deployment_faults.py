"""What goes wrong around a deployment: its streams, other people, the API server afterwards, and helm itself."""

from __future__ import annotations

import json
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

from scripts.devtools.api import Cluster
from tests.support.app import App, app, eventually
from tests.support.interruptions import HelmProcess, running
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
    return app(in_cluster, cluster.registry, unique, tmp_path)


def shell(one: App, script: str) -> subprocess.CompletedProcess[bytes]:
    """Run a script with helm as $0 and the chart as $1."""
    command = ["bash", "-c", script, str(one.machine.helm_binary), str(one.chart)]
    return subprocess.run(command, env=dict(one.machine.env), capture_output=True, timeout=60)


def rows(one: App) -> list[dict[str, Any]]:
    return list(json.loads(one.machine.helm("history", "app", "-o", "json")))


class TestStreams:
    """The release is deployed and read back, and the exit status is plain helm's, whatever becomes of what helm prints."""

    @whichever_helm
    @pytest.mark.parametrize(
        "how", ["| true", "2>&1 | true", ">/dev/full", ">&-", "2>&-", "2>/dev/full", "<&- >&- 2>&-"]
    )
    def test_end_with_the_release(self, one: App, how: str) -> None:
        if "|" in how:  # helm writes again when its reader has gone
            (one.chart / "templates/hook.yaml").write_text(HOOK)
        run = '"$0" {} upgrade --install {} "$1" ' + how + '; echo "${{PIPESTATUS[0]}}" >&2'
        plain = shell(one, run.format("", "plain"))
        for _ in "12":
            pinned = shell(one, run.format("pin", "app"))
            assert pinned.stderr.splitlines()[-1] == plain.stderr.splitlines()[-1]
        assert [row["status"] for row in rows(one)] == ["superseded", "deployed"]
        assert one.verify("--no-registry")[1]["record"]["verdict"] == "ok"
        if "2>" not in how:
            assert b"Revision 2: 1 image pinned by digest" in pinned.stderr

    @whichever_helm
    @pytest.mark.parametrize("how", ["| true", ">/dev/full"])
    def test_end_with_a_rollback_too(self, one: App, how: str) -> None:
        one.deploy()
        one.deploy("--set=replicas=2")
        run = '"$0" {} rollback app 1 ' + how + '; echo "${{PIPESTATUS[0]}}" >&2'
        pinned, plain = shell(one, run.format("pin")), shell(one, run.format(""))
        assert pinned.stderr.splitlines()[-1] == plain.stderr.splitlines()[-1]
        assert [row["status"] for row in rows(one)][2:] == ["superseded", "deployed"]

    def test_bytes_come_through(self, one: App) -> None:
        notes = b'caf\xe9 \xff\xfe\n{{ repeat 9000000 "x" }}\n'
        (one.chart / "templates/NOTES.txt").write_bytes(notes)
        pinned = shell(one, '"$0" pin upgrade --install app "$1"')
        one.machine.helm("uninstall", "app")
        plain = shell(one, '"$0" upgrade --install app "$1"')
        undated = [[line for line in done.stdout.splitlines() if b"DEPLOYED:" not in line] for done in (plain, pinned)]
        assert pinned.returncode == 0, pinned.stderr[-1000:]
        assert undated[0] == undated[1]
        assert b"caf\xe9 \xff\xfe" in pinned.stdout and b"x" * 9_000_000 in pinned.stdout


class TestOtherPeople:
    @pytest.mark.parametrize("values", [[], ["--set=replicas=2"]], ids=["no values", "values"])
    @pytest.mark.parametrize(
        ("what", "told"),
        [
            (
                ["upgrade", "app", "CHART"],
                "revision 2 was made by somebody else while this ran; nothing was deployed\n",
            ),
            (["uninstall", "app"], "release app was uninstalled by somebody else while this ran\n"),
        ],
        ids=["upgrade", "uninstall"],
    )
    def test_who_come_while_it_plans(self, one: App, what: list[str], told: str, values: list[str]) -> None:
        one.deploy()
        with planning(one, "upgrade", "--install", "app", *values) as (run, go_on):
            one.machine.helm(*[str(one.chart) if word == "CHART" else word for word in what])
            go_on()
            run.end()
        assert f"Error: {told}" in run.said
        assert "run it again\n" in run.said
        assert run.process.returncode == 1
        left = json.loads(one.machine.helm("list", "-o", "json"))
        assert [row["revision"] for row in left] == (["2"] if what[0] == "upgrade" else [])

    def test_who_install_it_meanwhile(self, one: App) -> None:
        with planning(one, "upgrade", "--install", "app") as (run, go_on):
            one.machine.helm("install", "app", one.chart)
            go_on()
            run.end()
        assert "Error: revision 1 was made by somebody else while this ran; nothing was deployed\n" in run.said
        assert [row["revision"] for row in rows(one)] == [1]

    def test_who_deploy_the_same_at_the_same_moment(self, one: App, tmp_path: Path) -> None:
        one.deploy()
        gate = tmp_path / "gate"
        gate.write_text(f"#!/bin/sh\n: >{tmp_path}/at.$$\nwhile [ ! -e {tmp_path}/go ]; do sleep 0.02; done\n")
        gate.chmod(0o755)
        upgrade = ["pin", "upgrade", "app", str(one.chart), "--set=replicas=2", "--require", f"{gate} {{}}"]
        with (
            running(one.machine, tmp_path / "a", upgrade) as first,
            running(one.machine, tmp_path / "b", upgrade) as second,
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
        assert [(row["revision"], row["status"]) for row in rows(one)] == [(1, "superseded"), (2, "deployed")]

    def test_who_come_right_after(self, one: App, tmp_path: Path) -> None:
        """The revision of this command is read back, not the latest."""
        one.deploy()
        done = then(one, tmp_path, f'"$REAL" upgrade app {one.chart} >&2; "$REAL" upgrade app {one.chart} >&2')
        assert done.status == 0, done.stderr
        assert "Revision 2: 1 image pinned by digest" in done.stderr
        assert "Note: revision 4 (deployed) was made by somebody else since then." in done.stderr

    def test_after_whom_nothing_is_left_of_it(self, one: App, tmp_path: Path) -> None:
        one.deploy()
        other = f'"$REAL" upgrade app {one.chart} --history-max=1 >&2'
        done = then(one, tmp_path, f"{other}; {other}")
        assert done.status == 4
        assert "the revision that this command made is not in the history of release app" in done.stderr
        assert "the latest is revision 4 (deployed), made by somebody else" in done.stderr


@pytest.mark.parametrize("gone", ["the API server", "helm"])
def test_what_is_gone_before_the_chart_is_rendered_again(one: App, tmp_path: Path, gone: str) -> None:
    """No fault of the images: none of them is to be let through for it."""
    one.deploy()
    kubeconfig, helm = tmp_path / "another", tmp_path / "helm"
    kubeconfig.write_text(Path(one.machine.env["KUBECONFIG"]).read_text())
    helm.symlink_to(one.machine.helm_binary)
    gate = tmp_path / "gate"
    lost = f"sed -i 's/127.0.0.1:[0-9]*/127.0.0.1:1/' {kubeconfig}" if gone == "the API server" else f"rm {helm}"
    gate.write_text(f"#!/bin/sh\n{lost}\n")
    gate.chmod(0o755)
    machine = one.machine.with_env(KUBECONFIG=str(kubeconfig), HELM_BIN=str(helm))
    done = machine.run(
        CHECKOUT / "bin/helm-pin", "upgrade", "app", one.chart, "--reuse-values", "--require", f"{gate} {{}}"
    )
    assert done.status == 1, done.stderr
    assert "cannot be pinned" not in done.stderr and "--allow-unpinned" not in done.stderr
    assert ("unreachable" if gone == "the API server" else "could not be started") in done.stderr
    assert [row["revision"] for row in rows(one)] == [1]


def test_an_api_server_that_is_gone_afterwards(one: App, tmp_path: Path) -> None:
    """First what is known: it is deployed."""
    one.deploy()
    done = then(one, tmp_path, 'touch "$GONE"')
    assert done.status == 1
    assert "Error: Revision 2 is deployed, not verified: " in done.stderr
    assert "next  helm pin verify app does it later" in done.stderr
    assert [row["status"] for row in rows(one)] == ["superseded", "deployed"]
    assert one.machine.pin("verify", "app", "--no-registry").status in (0, 4)


class TestHelmFails:
    """The state and the way on, from what helm has stored."""

    def upgrade(self, one: App, *flags: str) -> Finished:
        done = one.machine.pin("upgrade", "app", one.chart, *flags)
        assert done.status == 1, done.stderr
        assert "Error: helm upgrade failed; see its output above" in done.stderr
        return done

    def test_before_a_registry_is_asked(self, one: App) -> None:
        one.deploy()
        for arguments, told in (
            (["upgrade", "--install", "BAD_Name"], "the release name is invalid"),
            (["install", "BAD_Name"], "the release name is invalid"),
            (["install", "app"], "cannot reuse a name that is still in use; nothing was deployed"),
            (["install", "app", "--replace"], "cannot reuse a name that is still in use; nothing was deployed"),
            (["upgrade", "other"], "'other' has no deployed releases; nothing was deployed"),
        ):
            done = one.machine.pin(*arguments, one.chart, "--set=image.repository=127.0.0.1:9/app")
            assert (done.status, done.stderr.splitlines()[0]) == (1, f"Error: {told}")
        assert [row["status"] for row in rows(one)] == ["deployed"]

    def test_on_a_field_that_another_manages(self, one: App) -> None:
        one.deploy()
        one.machine.kubectl("set", "image", "deployment/app", f"app={one.image()}-hotfix")
        one.push("B")
        if not one.machine.helm4:  # no server-side apply, no conflict
            one.deploy()
            return
        done = self.upgrade(one)
        assert "why   revision 2 is failed" in done.stderr
        assert "add --force-conflicts to take them over" in done.stderr
        one.deploy("--force-conflicts")

    def test_on_a_field_that_cannot_change(self, one: App) -> None:
        one.deploy()
        template = one.chart / "templates/deployment.yaml"
        template.write_text(
            template.read_text()
            .replace("labels: {app:", "labels: {more: label, app:")
            .replace("matchLabels: {app:", "matchLabels: {more: label, app:")
        )
        assert "delete the immutable object" in self.upgrade(one).stderr

    def test_on_a_release_that_is_too_long(self, one: App) -> None:
        one.deploy()
        (one.chart / "noise").write_bytes(random.Random(0).randbytes(900_000))
        done = self.upgrade(one)
        assert "why   no revision was stored" in done.stderr
        assert "a Secret can hold 1048576" in done.stderr
        assert "of them helm-pin's record" in done.stderr

    @pytest.mark.parametrize("values", [[], ["--set=replicas=2"]], ids=["no values", "values"])
    def test_on_a_release_that_another_holds(self, one: App, values: list[str]) -> None:
        one.deploy()
        one.rewrite(1, lambda stored: stored["info"].update(status="pending-upgrade"))
        one.machine.kubectl("label", "secret", "sh.helm.release.v1.app.v1", "status=pending-upgrade", "--overwrite")
        done = one.machine.pin("upgrade", "app", one.chart, *values)
        assert done.status == 1
        assert "another operation (install/upgrade/rollback) is in progress" in done.stderr
        assert "if no other helm is at work on it, helm rollback app REVISION goes back to" in done.stderr


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_it_reads_back(one: App, tmp_path: Path, signum: signal.Signals) -> None:
    one.deploy()
    machine = and_then(one, tmp_path, 'touch "$SLOW"')
    with running(machine, tmp_path / "scratch", ["upgrade", "app", str(one.chart)]) as run:
        eventually((tmp_path / "slow").exists)
        eventually(lambda: any(" get " in member.command for member in run.members()))
        run.signal("helm-pin", signum)
        run.end(15)
    assert "Stopped: Revision 2 is deployed, not verified; helm pin verify app does it later." in run.said
    assert run.process.returncode == 128 + signum
    assert [row["status"] for row in rows(one)] == ["superseded", "deployed"]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_second_signal_kills_a_helm_that_does_not_end(one: App, tmp_path: Path) -> None:
    one.deploy()
    arguments = ["pin", "upgrade", "app", str(one.chart), "--set=nodeSelector.there=nowhere", "--wait"]
    with running(one.machine, tmp_path / "scratch", arguments) as run:
        inner = eventually_found(lambda: run.inner("upgrade"))
        eventually(lambda: rows(one)[-1]["status"] == "pending-upgrade")
        os.kill(inner.pid, signal.SIGSTOP)
        run.signal("helm-pin", signal.SIGTERM)
        time.sleep(0.2)
        run.signal("helm-pin", signal.SIGTERM)
        run.end(15)
    assert "Stopping: waiting for helm to finish what it has begun. Interrupt again to kill it." in run.said
    assert "Stopped: revision 2 is pending-upgrade: Preparing upgrade." in run.said


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
        slow = [f"--set=slow=127.0.0.1:{server.server_port}/x:1", "--registry-timeout=60s"]
        with running(one.machine, one.chart.parent / "scratch", ["pin", *arguments, str(one.chart), *slow]) as run:
            assert asked.wait(30)
            yield run, go_on.set
        server.shutdown()


def then(one: App, folder: Path, what: str) -> Finished:
    """`helm pin upgrade app`, with something that happens right after helm has deployed."""
    machine = and_then(one, folder, what)
    return machine.run(machine.helm_binary, "upgrade", "app", one.chart)


def and_then(one: App, folder: Path, what: str) -> Workstation:
    """helm-pin by itself, with a helm that does something more when it has deployed."""
    (folder / "helm").write_text(LATER)
    (folder / "helm").chmod(0o755)
    files = {"HELM_BIN": folder / "helm", "GONE": folder / "gone", "SLOW": folder / "slow"}
    environ = {"REAL": str(one.machine.helm_binary), "THEN": what, **{name: str(path) for name, path in files.items()}}
    return one.machine.with_env(**environ)._replace(helm_binary=CHECKOUT / "bin/helm-pin")
