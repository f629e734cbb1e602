"""The main job on real parts: upgrade, the tag moves, upgrade, history, rollback --verify; and how it refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scripts.devtools.api import Cluster
from tests.support.registry_servers import Server
from tests.support.workstation import Finished, Workstation

ANNOTATION = "helm-pin/digests"
NAMES = ("app", "init", "migrate", "database")

CHART = {
    "Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.0.0\nappVersion: 1.2.3\n",
    "values.yaml": """\
replicas: 1
image: {repository: REPOSITORY/app, tag: latest}
init: "REPOSITORY/init:latest"
nodeSelector: {}
""",
    "templates/deployment.yaml": """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  labels: {tag: "{{ .Values.image.tag }}"}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels: {app: {{ .Release.Name }}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}}
    spec:
      nodeSelector: {{ toJson .Values.nodeSelector }}
      initContainers:
        - {name: init, image: "{{ .Values.init }}"}
      containers:
        - name: app
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
""",
    "templates/migrate.yaml": """\
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-migrate
  annotations: {helm.sh/hook: "pre-install,pre-upgrade", helm.sh/hook-delete-policy: before-hook-creation}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: migrate
          image: REPOSITORY/migrate:latest
""",
    "charts/database/Chart.yaml": "apiVersion: v2\nname: database\nversion: 1.0.0\n",
    "charts/database/values.yaml": "image: {repository: REPOSITORY/database, tag: latest}\n",
    "charts/database/templates/statefulset.yaml": """\
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ .Release.Name }}-database
spec:
  serviceName: database
  selector:
    matchLabels: {app: {{ .Release.Name }}-database}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}-database}
    spec:
      containers:
        - name: database
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
""",
}
"""A tag in a value and in a label, where a digest must never come; a whole reference in a value; a hook's image that no
value reaches; and a subchart."""


class Shop(NamedTuple):
    """A chart, its images, and a person who deploys it as `web`."""

    machine: Workstation
    registry: Server
    repository: str
    chart: Path

    def push(self, name: str, build: str) -> str:
        """Move the tag latest of an image to a build; its digest."""
        return self.registry.push_image(f"{self.repository}/{name}", "latest", salt=f"{name} {build}")[0]

    def delete(self, name: str, digest: str) -> None:
        """Take a digest out of the registry."""
        self.registry.request("DELETE", f"/v2/{self.repository}/{name}/manifests/{digest}")

    def image(self, name: str, digest: str = "") -> str:
        """An image as the cluster sees it."""
        return f"{self.registry.host}/{self.repository}/{name}:latest" + (f"@{digest}" if digest else "")

    def upgrade(self, *args: str) -> Finished:
        """`helm pin upgrade --install web CHART ARGS`."""
        return self.machine.pin("upgrade", "--install", "web", self.chart, *args)

    def deployed(self, *args: str) -> Finished:
        """An upgrade that must succeed."""
        return succeeded(self.upgrade(*args))

    def live(self) -> dict[str, str]:
        """The images of the live workloads, by container."""
        items = json.loads(self.machine.kubectl("get", "deployments,statefulsets,jobs", "-o", "json"))["items"]
        pods = [item["spec"]["template"]["spec"] for item in items]
        return {c["name"]: c["image"] for pod in pods for c in pod["containers"] + pod.get("initContainers", [])}

    def replicas(self) -> int:
        """What the live Deployment wants."""
        return int(self.machine.kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}"))

    def record(self, revision: int) -> dict[str, str]:
        """The digests that a revision's record holds, by the last part of the image's name."""
        told = self.machine.helm("get", "metadata", "web", "--revision", str(revision), "-o", "json")
        images = json.loads(json.loads(told)["annotations"][ANNOTATION])["images"]
        return {image["reference"].rpartition("/")[2].removesuffix(":latest"): image["digest"] for image in images}

    def history(self) -> list[dict[str, Any]]:
        """What plain helm says of the revisions; none when there is no release."""
        done = self.machine.run(self.machine.helm_binary, "history", "web", "-o", "json")
        if done.status:
            assert "release: not found" in done.stderr
            return []
        entries: list[dict[str, Any]] = json.loads(done.stdout)
        return entries

    def is_untouched(self) -> bool:
        """Whether the namespace has nothing of a release: neither its objects nor helm's own."""
        kinds = "deployments,statefulsets,jobs,pods,secrets"
        return self.history() == [] and json.loads(self.machine.kubectl("get", kinds, "-o", "json"))["items"] == []


@pytest.fixture
def shop(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> Shop:
    """A chart whose images all have the tag latest, at build A."""
    chart = tmp_path / "shop"
    for name, text in CHART.items():
        path = chart / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("REPOSITORY", f"{cluster.registry}/{unique}"))
    made = Shop(in_cluster, Server(cluster.registry), unique, chart)
    for name in NAMES:
        made.push(name, "A")
    return made


def succeeded(done: Finished) -> Finished:
    assert done.status == 0, done.stderr
    return done


def without_digests(manifest: str) -> str:
    return re.sub(r"@sha256:[0-9a-f]{64}", "", manifest)


class TestMainJob:
    def test_forward_and_back(self, shop: Shop) -> None:
        digests = {name: shop.push(name, "A") for name in NAMES}
        shop.deployed()
        assert shop.live() == {name: shop.image(name, digest) for name, digest in digests.items()}

        b = shop.push("app", "B")
        assert b != digests["app"]
        shop.deployed()
        assert shop.live() == {name: shop.image(name, digest) for name, digest in {**digests, "app": b}.items()}
        assert shop.record(2) == {**digests, "app": b}
        assert [entry["status"] for entry in shop.history()] == ["superseded", "deployed"]
        assert shop.record(1) == digests

        succeeded(shop.machine.pin("rollback", "web", "1", "--verify"))
        assert shop.live()["app"] == shop.image("app", digests["app"])
        manifest = shop.machine.helm("get", "manifest", "web", "--revision", "3")
        assert shop.image("app", digests["app"]) in manifest
        assert b not in manifest
        assert shop.record(3) == digests

    def test_history(self, shop: Shop) -> None:
        a, b = shop.push("app", "A"), shop.push("app", "B")
        shop.push("app", "A")
        shop.deployed()
        shop.push("app", "B")
        shop.deployed()
        succeeded(shop.machine.pin("rollback", "web", "1", "--verify"))

        told = succeeded(shop.machine.pin("history", "web", "-o", "json"))
        entries = json.loads(told.stdout)
        plain = shop.history()
        assert [entry["revision"] for entry in entries] == [1, 2, 3]
        for entry, helms in zip(entries, plain, strict=True):
            assert {"pinned", "images", "set", "changes"} <= entry.keys()
            assert (entry["status"], entry["chart"], entry["appVersion"], entry["description"]) == (
                helms["status"],
                helms["chart"],
                helms["app_version"],
                helms["description"],
            )
        first, second, third = entries
        assert first["set"] == third["set"] != second["set"]
        assert a in json.dumps(second["changes"]) and b in json.dumps(second["changes"])
        assert "database" not in json.dumps(second["changes"])  # what did not change is not told

        people = succeeded(shop.machine.pin("history", "web")).stdout
        assert first["set"] in people and second["set"] in people

    def test_nothing_else_differs_from_plain_helm(self, shop: Shop) -> None:
        shop.deployed()
        pinned = shop.machine.helm("get", "manifest", "web")
        assert pinned.count("@sha256:") == 3
        hooks = shop.machine.helm("get", "hooks", "web")
        assert hooks.count("@sha256:") == 1
        shop.machine.helm("upgrade", "web", shop.chart, "--reset-values")
        assert without_digests(pinned) == shop.machine.helm("get", "manifest", "web")
        assert without_digests(hooks) == shop.machine.helm("get", "hooks", "web")


class TestReusedValues:
    """A digest that helm-pin injected is not a value of the user's: it does not stick when the tag moves."""

    @pytest.mark.parametrize("flag", ["--reuse-values", "--reset-then-reuse-values"])
    def test_the_new_digest(self, shop: Shop, flag: str) -> None:
        shop.deployed("--set", "replicas=2")
        new = {name: shop.push(name, "B") for name in NAMES}
        shop.deployed(flag)
        assert shop.live() == {name: shop.image(name, digest) for name, digest in new.items()}
        assert shop.replicas() == 2

        shop.push("app", "C")
        shop.deployed("--reset-values")
        assert shop.live()["app"] == shop.image("app", shop.record(3)["app"])
        assert shop.record(3)["app"] != new["app"]
        assert shop.replicas() == 1

    def test_values_of_every_kind_stay(self, shop: Shop) -> None:
        odd = {
            "text": "x\"'\u2603\U0001f600\n{{ . }} %d",
            "numbers": [0, -1, 12345678, 100000000000, 1.5, 1e-7],
            "others": [True, False, {}, [], {"deep": [[{"er": None}]]}],
            "a.b/c[0]": {"": "empty key"},
        }
        shop.deployed("--set-json", f"odd={json.dumps(odd)}")
        before = json.loads(shop.machine.helm("get", "values", "web", "-o", "json"))["odd"]
        shop.push("app", "B")
        shop.deployed()
        assert json.loads(shop.machine.helm("get", "values", "web", "-o", "json"))["odd"] == before
        assert before["numbers"] == odd["numbers"] and before["text"] == odd["text"]


class TestRefused:
    def test_a_target_whose_digest_is_gone(self, shop: Shop) -> None:
        a = shop.push("app", "A")
        shop.deployed()
        b = shop.push("app", "B")
        shop.deployed()
        before = shop.history()
        shop.delete("app", a)

        refused = shop.machine.pin("rollback", "web", "1", "--verify")
        assert refused.status == 4, refused.stderr
        assert a in refused.stderr
        assert shop.history() == before
        assert shop.live()["app"] == shop.image("app", b)

    def test_a_target_that_plain_helm_made(self, shop: Shop) -> None:
        shop.machine.helm("install", "web", shop.chart)
        shop.deployed()
        before = shop.history()
        refused = shop.machine.pin("rollback", "web", "1", "--verify")
        assert refused.status == 4, refused.stderr
        assert "--allow-unverified" in refused.stderr
        assert shop.history() == before

        succeeded(shop.machine.pin("rollback", "web", "1", "--verify", "--allow-unverified"))
        assert [entry["status"] for entry in shop.history()] == ["superseded", "superseded", "deployed"]
        assert shop.live()["app"] == shop.image("app")

    def test_an_unknown_image(self, shop: Shop) -> None:
        unknown = f"{shop.registry.host}/{shop.repository}/nobody:latest"
        refused = shop.upgrade("--set", f"init={unknown}")
        assert refused.status == 5, refused.stderr
        assert unknown in refused.stderr
        assert "templates/deployment.yaml" in refused.stderr
        assert shop.is_untouched()

    def test_a_tag_that_can_move(self, shop: Shop) -> None:
        digests = {name: shop.push(name, "A") for name in NAMES}
        refused = shop.upgrade("--mutable", "refuse")
        assert refused.status == 3, refused.stderr
        for name, digest in digests.items():
            assert shop.image(name) in refused.stderr
            assert digest in refused.stderr
        for place in ("Deployment/web", "templates/deployment.yaml", "templates/migrate.yaml"):
            assert place in refused.stderr
        told = refused.stderr.split()
        assert {"init", "database.image.tag"} <= set(told)  # what sets them
        assert shop.is_untouched()


class TestInterrupted:
    """Ctrl-C reaches the whole process group, as it does from a terminal; SIGTERM from a CI system does as well."""

    @pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
    def test_while_a_registry_is_asked(self, shop: Shop, tmp_path: Path, signum: signal.Signals) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection, never answers
            silent.settimeout(20)
            image = f"127.0.0.1:{silent.getsockname()[1]}/slow:latest"
            with upgrading(shop, tmp_path / "scratch", "--set", f"init={image}") as process:
                connection, _ = silent.accept()
                with connection:
                    os.killpg(process.pid, signum)
                    everything_ended(process)
        assert process.returncode != 0
        assert list((tmp_path / "scratch").iterdir()) == []
        assert shop.is_untouched()

    def test_while_helm_waits_for_pods(self, shop: Shop, tmp_path: Path) -> None:
        nowhere = ("--wait", "--timeout", "60s", "--set", "nodeSelector.there=nowhere")
        with upgrading(shop, tmp_path / "scratch", *nowhere) as process:
            eventually(lambda: "web" in shop.machine.kubectl("get", "deployments", "-o", "name"))
            os.killpg(process.pid, signal.SIGINT)
            everything_ended(process)
        assert process.returncode != 0
        assert list((tmp_path / "scratch").iterdir()) == []
        # helm itself said that the revision failed; had it been killed, it would be pending for ever.
        assert [entry["status"] for entry in shop.history()] == ["failed"]
        shop.deployed()


@contextmanager
def upgrading(shop: Shop, scratch: Path, *args: str) -> Iterator[subprocess.Popen[str]]:
    """An upgrade that runs, in a process group of its own, with its temporary files in `scratch`."""
    scratch.mkdir()
    with subprocess.Popen(
        [shop.machine.helm_binary, "pin", "upgrade", "--install", "web", shop.chart, *args],
        env={**shop.machine.env, "TMPDIR": str(scratch)},
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def everything_ended(process: subprocess.Popen[str]) -> None:
    """Wait for the command and all that it started: helm itself ends at once, and the plugin tidies up."""
    process.communicate(timeout=30)

    def empty() -> bool:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    eventually(empty)


def eventually(what: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)
