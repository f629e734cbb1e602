"""A small chart of one Deployment whose image has the tag `latest`, and a person who deploys it as `app`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from scripts.devtools import images
from tests.support import kube
from tests.support.budget import LONG
from tests.support.twins import UNVALIDATED
from tests.support.workstation import Finished, Workstation

CHART = {
    "Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\nappVersion: 1.2.3\n",
    "values.yaml": "image: {repository: REPOSITORY, tag: latest}\nreplicas: 1\nnodeSelector: {}\n",
    "templates/deployment.yaml": """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels: {app: {{ .Release.Name }}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}}
    spec:
      terminationGracePeriodSeconds: 1
      nodeSelector: {{ toJson .Values.nodeSelector }}
      containers:
        - name: app
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
""",
}


class App(NamedTuple):
    """The chart, its image, and who deploys it."""

    machine: Workstation
    registry: str
    repository: str
    chart: Path

    def spared(self) -> App:
        """The same without the start of a helm and of Python for helm-pin, for what only leads to what a test is about."""
        return self._replace(machine=self.machine._replace(is_forked=not LONG))

    def push(self, letter: str, platforms: tuple[str, ...] = ()) -> str:
        """Move the tag to the image that prints a letter; its digest."""
        return images.push(self.registry, self.repository, "latest", letter, platforms)

    def delete(self, digest: str) -> None:
        """Take a digest out of the registry."""
        images.delete(self.registry, self.repository, digest)

    def image(self, digest: str = "") -> str:
        """The image as the cluster sees it."""
        return f"{self.registry}/{self.repository}:latest" + (f"@{digest}" if digest else "")

    def deploy(self, *args: str, name: str = "app") -> None:
        """`helm pin upgrade --install`, which must succeed."""
        done = self.machine.pin("upgrade", "--install", name, self.chart, UNVALIDATED, *args)
        assert done.status == 0, done.stderr

    def rollback(self, *args: str) -> Finished:
        """`helm pin rollback app ARGS`, however it ends."""
        return self.machine.pin("rollback", "app", *args)

    def verify(self, *args: str) -> tuple[int, dict[str, dict[str, Any]]]:
        """The exit status of `helm pin verify app -o json`, and its checks by name."""
        done = self.machine.pin("verify", "app", "-o", "json", *args)
        return done.status, {check["check"]: check for check in json.loads(done.stdout)["checks"]}

    def statuses(self) -> list[str]:
        """The status of each revision, as it is stored."""
        return [status for _, status in kube.revisions(self.machine, "app")]

    def live(self) -> str:
        """The image of the live Deployment."""
        deployment = kube.namespace(self.machine).api("GET", "deployments/app")
        return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])

    def pods(self) -> list[dict[str, Any]]:
        """The pods that are not being deleted."""
        return kube.namespace(self.machine).pods()

    def prints(self, name: str = "app") -> str:
        """What the one running pod of a release prints: its letters, each once; '' when there is not one running pod alone."""
        running = [pod["metadata"] for pod in self.pods() if pod["status"]["phase"] == "Running"]
        names = [metadata["name"] for metadata in running if metadata["labels"].get("app") == name]
        return "".join(sorted(set(kube.namespace(self.machine).log(names[0]).split()))) if len(names) == 1 else ""

    def rewrite(self, revision: int, change: Callable[[dict[str, Any]], object], name: str = "app") -> None:
        """Change a stored revision by hand, as somebody with access to helm's Secrets can."""
        kube.revision(self.machine, name, revision).rewrite(change)


def app(machine: Workstation, registry: str, repository: str, folder: Path) -> App:
    """The chart in a folder, with its image at A."""
    for name, text in CHART.items():
        path = folder / "app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("REPOSITORY", f"{registry}/{repository}"))
    made = App(machine, registry, repository, folder / "app")
    made.push("A")
    return made


def eventually(what: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.2)
