"""The main job on real parts: upgrade, the tag moves, upgrade, history, rollback --verify; and how it refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scripts.devtools.api import Cluster
from tests.support import kube
from tests.support.registry_servers import Server
from tests.support.twins import UNVALIDATED
from tests.support.workstation import Finished, Workstation, whichever_helm

ANNOTATION = "helm-pin/digests"
NAMES = ("app", "init", "migrate", "database")
OTHERS = ("apis/apps/v1/statefulsets", "apis/batch/v1/jobs")

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
    cluster: Cluster
    name: str
    """Its namespace, and its images' repository."""
    chart: Path

    @property
    def registry(self) -> Server:
        """Where its images are."""
        return Server(self.cluster.registry)

    def push(self, name: str, build: str) -> str:
        """Move the tag latest of an image to a build; its digest."""
        return self.registry.push_image(f"{self.name}/{name}", "latest", salt=f"{name} {build}")[0]

    def delete(self, name: str, digest: str) -> None:
        """Take a digest out of the registry."""
        self.registry.request("DELETE", f"/v2/{self.name}/{name}/manifests/{digest}")

    def image(self, name: str, digest: str = "") -> str:
        """An image as the cluster sees it."""
        return f"{self.registry.host}/{self.name}/{name}:latest" + (f"@{digest}" if digest else "")

    def upgrade(self, *args: str) -> Finished:
        """`helm pin upgrade --install web CHART ARGS`."""
        return self.machine.pin("upgrade", "--install", "web", self.chart, *args)

    def deployed(self, *args: str) -> Finished:
        """An upgrade that must succeed."""
        return succeeded(self.upgrade(*args))

    def objects(self, path: str) -> list[dict[str, Any]]:
        """What the cluster has of a kind."""
        api, _, plural = path.rpartition("/")
        items: list[dict[str, Any]] = self.cluster.api("GET", f"/{api}/namespaces/{self.name}/{plural}")["items"]
        return items

    def live(self) -> tuple[dict[str, str], int]:
        """The images of the live workloads, by container; and the replicas that the Deployment wants."""
        deployments, *others = map(self.objects, ("apis/apps/v1/deployments", *OTHERS))
        pods = [item["spec"]["template"]["spec"] for items in (deployments, *others) for item in items]
        images = {c["name"]: c["image"] for pod in pods for c in pod["containers"] + pod.get("initContainers", [])}
        return images, deployments[0]["spec"]["replicas"]

    def statuses(self) -> list[str]:
        """The status of each revision."""
        return [status for _, status in kube.revisions(self.machine, "web")]

    def is_untouched(self) -> bool:
        """Whether the namespace has nothing of a release: neither its objects nor helm's own, which may be ConfigMaps."""
        stored = ("api/v1/secrets", "api/v1/configmaps?labelSelector=owner%3Dhelm")
        kinds = ("apis/apps/v1/deployments", *OTHERS, "api/v1/pods", *stored)
        return not any(map(self.objects, kinds))


def a_shop(machine: Workstation, cluster: Cluster, name: str, folder: Path) -> Shop:
    """A chart whose images all have the tag latest, at build A."""
    chart = folder / "shop"
    for file, text in CHART.items():
        path = chart / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("REPOSITORY", f"{cluster.registry}/{name}"))
    made = Shop(machine, cluster, name, chart)
    for image in NAMES:
        made.push(image, "A")
    return made


@pytest.fixture
def shop(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> Shop:
    """Of a test's own."""
    return a_shop(in_cluster, cluster, unique, tmp_path)


@pytest.fixture(scope="class")
def empty(
    shared_in_cluster: Workstation, cluster: Cluster, shared_unique: str, tmp_path_factory: pytest.TempPathFactory
) -> Shop:
    """For all tests of a class, which deploy nothing."""
    return a_shop(shared_in_cluster, cluster, shared_unique, tmp_path_factory.mktemp("shop"))


def succeeded(done: Finished) -> Finished:
    assert done.status == 0, done.stderr
    return done


def without_digests(manifest: str) -> str:
    return re.sub(r"@sha256:[0-9a-f]{64}", "", manifest)


ODD = {
    "text": "x\"'\u2603\U0001f600\n{{ . }} %d",
    "numbers": [0, -1, 12345678, 100000000000, 1.5, 1e-7],
    "others": [True, False, {}, [], {"deep": [[{"er": None}]]}],
    "a.b/c[0]": {"": "empty key"},
}
"""Values of every kind."""


class Life(NamedTuple):
    """Six revisions of one release, as helm has stored them, and what was live at each: its images, and its replicas."""

    shop: Shop
    digests: Mapping[str, Mapping[str, str]]
    """Those of each build."""
    live: Mapping[int, Mapping[str, str]]
    replicas: Mapping[int, int]
    stored: Mapping[int, Any]

    def images(self, build: str) -> dict[str, str]:
        """What is live where all images are of one build."""
        return {name: self.shop.image(name, digest) for name, digest in self.digests[build].items()}

    def record(self, revision: int) -> dict[str, str]:
        """The digests that a revision's record holds."""
        return digests_of(self.stored[revision]["chart"]["metadata"]["annotations"])


def digests_of(annotations: Mapping[str, str]) -> dict[str, str]:
    """Those that the record holds, by the last part of the image's name."""
    images = json.loads(annotations[ANNOTATION])["images"]
    return {image["reference"].rpartition("/")[2].removesuffix(":latest"): image["digest"] for image in images}


@pytest.fixture(scope="class")
def life(empty: Shop) -> Life:
    """1: A, with values. 2: the app at B. 3: back to 1. 4: C, with the values of 3. 5: the app at D, by plain helm. 6: pinned.

    How values are reused with each flag, tests/properties/test_reuse.py shows with both Helms.
    """
    shop, machine = empty, empty.machine
    digests = {"A": {name: shop.push(name, "A") for name in NAMES}}
    live: dict[int, dict[str, str]] = {}
    replicas: dict[int, int] = {}

    def look() -> None:
        number = len(live) + 1
        live[number], replicas[number] = shop.live()

    shop.deployed("--set", "replicas=2", "--set-json", f"odd={json.dumps(ODD)}")
    look()
    digests["B"] = {**digests["A"], "app": shop.push("app", "B")}
    shop.deployed(UNVALIDATED)
    look()
    succeeded(machine.pin("rollback", "web", "1", "--verify"))
    look()
    digests["C"] = {name: shop.push(name, "C") for name in NAMES}
    shop.deployed("--reset-then-reuse-values" if machine.helm4 else "--reuse-values", UNVALIDATED)
    look()
    digests["D"] = {**digests["C"], "app": shop.push("app", "D")}
    machine.helm("upgrade", "web", shop.chart, "--reset-values", UNVALIDATED)
    look()
    shop.deployed("--reset-values", UNVALIDATED)
    look()
    return Life(shop, digests, live, replicas, kube.stored(machine, "web"))


class TestMainJob:
    def test_forward_and_back(self, life: Life) -> None:
        shop, a, b = life.shop, life.digests["A"], life.digests["B"]
        assert a["app"] != b["app"]
        assert life.live[1] == life.live[3] == life.images("A")
        assert life.live[2] == life.images("B")
        told = shop.machine.helm("get", "metadata", "web", "--revision", "1", "-o", "json")
        assert digests_of(json.loads(told)["annotations"]) == life.record(1) == life.record(3) == a
        assert life.record(2) == b
        assert [life.stored[number]["info"]["status"] for number in (1, 2, 3)] == ["superseded"] * 3
        manifest = life.stored[3]["manifest"]
        assert shop.image("app", a["app"]) in manifest
        assert b["app"] not in manifest

    def test_history(self, life: Life) -> None:
        machine = life.shop.machine
        told = succeeded(machine.pin("history", "web", "-o", "json"))
        entries = json.loads(told.stdout)
        plain = json.loads(machine.helm("history", "web", "-o", "json"))
        assert [entry["revision"] for entry in entries][:6] == [1, 2, 3, 4, 5, 6]
        for entry, helms in zip(entries, plain, strict=True):
            assert {"pinned", "images", "set", "changes"} <= entry.keys()
            assert (entry["status"], entry["chart"], entry["appVersion"], entry["description"]) == (
                helms["status"],
                helms["chart"],
                helms["app_version"],
                helms["description"],
            )
        first, second, third = entries[:3]
        assert first["set"] == third["set"] != second["set"]
        for build in "AB":
            assert life.digests[build]["app"] in json.dumps(second["changes"])
        assert "database" not in json.dumps(second["changes"])  # what did not change is not told

        people = succeeded(machine.pin("history", "web")).stdout
        assert first["set"] in people and second["set"] in people

    def test_nothing_else_differs_from_plain_helm(self, life: Life) -> None:
        plain, pinned = life.stored[5], life.stored[6]
        assert pinned["manifest"].count("@sha256:") == 3
        assert without_digests(pinned["manifest"]) == plain["manifest"]
        (hook,), (plain_hook,) = pinned["hooks"], plain["hooks"]
        assert hook["manifest"].count("@sha256:") == 1
        assert without_digests(hook["manifest"]) == plain_hook["manifest"]

    def test_the_digest_of_an_earlier_revision_is_not_reused(self, life: Life) -> None:
        """A digest that helm-pin injected is not a value of the user's: it does not stick when the tag moves."""
        assert life.live[4] == life.images("C")
        assert life.replicas[1] == life.replicas[2] == life.replicas[4] == 2
        assert life.live[6] == life.images("D")
        assert life.record(6) == life.digests["D"]
        assert life.replicas[6] == 1

    def test_values_of_every_kind_stay(self, life: Life) -> None:
        before = life.stored[1]["config"]["odd"]
        for revision in (2, 4):
            assert life.stored[revision]["config"]["odd"] == before
        assert before["numbers"] == ODD["numbers"] and before["text"] == ODD["text"]

    def test_a_target_whose_digest_is_gone(self, life: Life) -> None:
        shop, b = life.shop, life.digests["B"]["app"]
        before, live = shop.statuses(), shop.live()
        shop.delete("app", b)
        refused = shop.machine.pin("rollback", "web", "2", "--verify")
        assert refused.status == 4, refused.stderr
        assert b in refused.stderr
        assert shop.statuses() == before
        assert shop.live() == live

    def test_a_target_that_plain_helm_made(self, life: Life) -> None:
        shop = life.shop
        before = shop.statuses()
        refused = shop.machine.pin("rollback", "web", "5", "--verify")
        assert refused.status == 4, refused.stderr
        assert "--allow-unverified" in refused.stderr
        assert shop.statuses() == before

        succeeded(shop.machine.pin("rollback", "web", "5", "--verify", "--allow-unverified"))
        assert shop.statuses() == ["superseded"] * 6 + ["deployed"]
        assert shop.live()[0]["app"] == shop.image("app")


@whichever_helm
class TestRefused:
    """That the exit status comes through either Helm, `helm pin rollback` shows."""

    def test_an_unknown_image(self, empty: Shop) -> None:
        unknown = f"{empty.registry.host}/{empty.name}/nobody:latest"
        refused = empty.upgrade("--set", f"init={unknown}")
        assert refused.status == 5, refused.stderr
        assert unknown in refused.stderr
        assert "templates/deployment.yaml" in refused.stderr
        assert empty.is_untouched()

    def test_a_tag_that_can_move(self, empty: Shop) -> None:
        digests = {name: empty.push(name, "A") for name in NAMES}
        refused = empty.upgrade("--mutable", "refuse")
        assert refused.status == 3, refused.stderr
        for name, digest in digests.items():
            assert empty.image(name) in refused.stderr
            assert digest in refused.stderr
        for place in ("Deployment/web", "templates/deployment.yaml", "templates/migrate.yaml"):
            assert place in refused.stderr
        told = refused.stderr.split()
        assert {"init", "database.image.tag"} <= set(told)  # what sets them
        assert empty.is_untouched()


class TestInterrupted:
    """Ctrl-C reaches the whole process group, as it does from a terminal. At other stages: test_interruptions.py."""

    def test_while_helm_waits_for_pods(self, shop: Shop, tmp_path: Path) -> None:
        nowhere = ("--wait", "--timeout", "60s", "--set", "nodeSelector.there=nowhere", UNVALIDATED)
        with upgrading(shop, tmp_path / "scratch", *nowhere) as process:
            eventually(lambda: bool(shop.objects("apis/apps/v1/deployments")))
            os.killpg(process.pid, signal.SIGINT)
            everything_ended(process)
        assert process.returncode != 0
        assert list((tmp_path / "scratch").iterdir()) == []
        # helm itself said that the revision failed; had it been killed, it would be pending for ever.
        assert shop.statuses() == ["failed"]


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
