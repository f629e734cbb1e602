"""A release that is being deployed, stopped at a stage by a signal: what is left of it, by helm pin and by plain helm."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from helmpin.errors import VerificationFailed
from helmpin.release import storage
from helmpin.release.revision import checked_record
from scripts.devtools.api import Cluster
from tests.support.twins import UNVALIDATED
from tests.support.workstation import Workstation

CHART = {
    "Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    "values.yaml": "image: REPOSITORY:latest\nother: REPOSITORY:latest\nturn: '1'\ngated: false\nhook: false\nrounds: 0\n",
    "templates/deployment.yaml": """\
{{ range until (int .Values.rounds) }}{{ range until 100000 }}{{ end }}{{ end -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  labels: {turn: "{{ .Values.turn }}"}
spec:
  selector:
    matchLabels: {app: {{ .Release.Name }}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}, turn: "{{ .Values.turn }}"}
    spec:
      terminationGracePeriodSeconds: 1
      {{- if .Values.gated }}
      schedulingGates: [{name: example.com/wait}]
      {{- end }}
      initContainers:
        - {name: other, image: "{{ .Values.other }}"}
      containers:
        - name: app
          image: "{{ .Values.image }}"
          resources: {requests: {memory: 1500m}} # the API server warns of half a byte
""",
    "templates/hook.yaml": """\
{{ if .Values.hook }}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-hook
  annotations: {helm.sh/hook: "pre-install,pre-upgrade,pre-rollback", helm.sh/hook-delete-policy: before-hook-creation}
spec:
  template:
    metadata:
      labels: {app: {{ .Release.Name }}-hook}
    spec:
      restartPolicy: Never
      schedulingGates: [{name: example.com/wait}]
      containers:
        - {name: hook, image: "{{ .Values.image }}"}
{{ end }}
""",
}


class Process(NamedTuple):
    """A line of ps."""

    pid: int
    parent: int
    group: int
    command: str


def processes() -> list[Process]:
    """All that run."""
    lines = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,pgid=,stat=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 4) for line in lines.stdout.splitlines()]
    return [Process(int(r[0]), int(r[1]), int(r[2]), r[4]) for r in rows if len(r) == 5 and not r[3].startswith("Z")]


def eventually(what: Callable[[], Any], seconds: float = 40) -> Any:
    """Wait until something is so; what it gives."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)
    return found


class HelmProcess:
    """A helm that was started as a shell starts it: in a process group of its own."""

    def __init__(self, machine: Workstation, scratch: Path, arguments: list[str]) -> None:
        scratch.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [str(machine.helm_binary), *arguments],
            env={**machine.env, "TMPDIR": str(scratch)},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.printed, self.said = "", ""

    def members(self) -> list[Process]:
        """What runs of it."""
        return [each for each in processes() if each.group == self.process.pid]

    def helm_pin(self) -> Process | None:
        """The plugin's own process."""
        return next((each for each in self.members() if "helmpin/__main__.py" in each.command), None)

    def inner(self, command: str) -> Process | None:
        """The helm that helm-pin runs, by its command."""
        pin = self.helm_pin()
        return next((m for m in self.members() if pin and m.parent == pin.pid and f" {command} " in m.command), None)

    def signal(self, target: str, signum: int) -> None:
        """Send a signal to the whole group, to helm-pin alone, or to the helm that was started."""
        pin = self.helm_pin() if target == "helm-pin" else None
        if target == "group":
            os.killpg(self.process.pid, signum)
        elif target == "helm":
            os.kill(self.process.pid, signum)
        else:
            assert pin, [each.command for each in self.members()]
            os.kill(pin.pid, signum)

    def end(self, seconds: float = 40) -> None:
        """Wait until all of it has ended, and keep what it said."""
        out, err = self.process.communicate(timeout=seconds)
        self.printed, self.said = out.decode(errors="replace"), err.decode(errors="replace")
        eventually(lambda: not self.members(), seconds)


@contextmanager
def running(machine: Workstation, scratch: Path, arguments: list[str]) -> Iterator[HelmProcess]:
    """Start it; nothing of it is left after the block."""
    started = HelmProcess(machine, scratch, arguments)
    try:
        yield started
    finally:
        if started.members():
            os.killpg(started.process.pid, signal.SIGKILL)
            started.process.communicate()


class Stage(NamedTuple):
    """A release, named web, in a namespace of its own."""

    machine: Workstation
    cluster: Cluster
    namespace: str
    chart: Path
    pin: bool

    @property
    def tool(self) -> list[str]:
        """What is run: helm pin, or helm."""
        return ["pin"] if self.pin else []

    def api(self, path: str, method: str = "GET") -> Any:
        """Ask the API server about something in the namespace."""
        group = (
            "/apis/apps/v1"
            if path.startswith("deployments")
            else "/apis/batch/v1"
            if path.startswith("jobs")
            else "/api/v1"
        )
        return self.cluster.api(method, f"{group}/namespaces/{self.namespace}/{path}")

    def must(self, *arguments: str) -> None:
        """Run a command that succeeds, which nobody interrupts."""
        if not self.pin:
            self.machine.helm(*arguments, UNVALIDATED)
            return
        env = {"HELM_BIN": str(self.machine.helm_binary), "HELM_NAMESPACE": self.namespace}
        done = self.machine.with_env(**env).forked(*arguments, UNVALIDATED)
        assert done.status == 0, done.stderr

    def secrets(self) -> list[dict[str, Any]]:
        """The stored revisions, oldest first."""
        items = self.api("secrets?labelSelector=owner%3Dhelm%2Cname%3Dweb")["items"]
        return sorted(items, key=lambda item: int(item["metadata"]["labels"]["version"]))

    def statuses(self) -> list[str]:
        """The status of each revision."""
        return [item["metadata"]["labels"]["status"] for item in self.secrets()]

    def false_records(self, since: int = 1) -> list[str]:
        """Each revision, from one on, whose record is missing or not that of its manifest."""
        wrong = []
        items = [{**item, "kind": "Secret"} for item in self.secrets()]
        for revision in (each for each in storage.decoded(items).found if each.stored.revision >= since):
            try:
                checked_record(revision.stored)
            except VerificationFailed as error:
                wrong.append(f"{revision.stored.revision} {revision.status}: {error.what}: {error.why}")
        return wrong

    def has_hook(self) -> bool:
        """Whether the hook's pod waits."""
        return bool(self.api("pods?labelSelector=app%3Dweb-hook")["items"])

    def waits(self, turn: str) -> bool:
        """Whether the pods of this turn are there, and wait for their gate."""
        return bool(self.api(f"pods?labelSelector=app%3Dweb%2Cturn%3D{turn}")["items"])

    def open_gates(self) -> None:
        """Let every pod run that waits."""
        for pod in self.api("pods")["items"]:
            if pod["spec"].get("schedulingGates"):
                patch = '[{"op": "remove", "path": "/spec/schedulingGates"}]'
                self.machine.kubectl("patch", "pod", pod["metadata"]["name"], "--type=json", "-p", patch)


@contextmanager
def silence() -> Iterator[tuple[str, Callable[[], Any]]]:
    """A registry that takes a connection and never answers: its address, and what waits until it was asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        yield f"127.0.0.1:{server.getsockname()[1]}", lambda: server.accept()[0]
