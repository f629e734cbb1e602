"""helm pin audit on real API servers: what it finds in one pass, between clusters, and with an account that may not see all."""

from __future__ import annotations

import html
import json
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scripts.devtools import images
from scripts.devtools.api import Cluster
from tests.conftest import own_namespace, shared_cluster
from tests.support import app as apps
from tests.support import browser, kube
from tests.support.app import App, eventually
from tests.support.custom import DEFINITIONS, custom_kind
from tests.support.twins import UNVALIDATED
from tests.support.workstation import Finished, Workstation, whichever_helm

pytestmark = whichever_helm

ANNOTATION = "helm-pin/digests"
FOREIGN = f"sha256:{'f' * 64}"


@pytest.fixture
def app(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> App:
    """One chart; deployed by the tests, under several names."""
    return apps.app(in_cluster, cluster.registry, unique, tmp_path)


@pytest.fixture(scope="class")
def shared_app(
    shared_in_cluster: Workstation, cluster: Cluster, shared_unique: str, tmp_path_factory: pytest.TempPathFactory
) -> App:
    """As `app`, for all tests of a class."""
    return apps.app(shared_in_cluster, cluster.registry, shared_unique, tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="module")
def production() -> Cluster:
    """A second control plane, which other tests use too."""
    return shared_cluster()


@pytest.fixture
def production_kubeconfig(in_cluster: Workstation, production: Cluster, unique: str, tmp_path: Path) -> Iterator[Path]:
    """Of a namespace with the same name there."""
    kubeconfig = tmp_path / "its.json"
    with own_namespace(in_cluster, production, unique, kubeconfig):
        yield kubeconfig


def audited(machine: Workstation, *args: str) -> tuple[int, dict[str, dict[str, Any]], dict[str, Any]]:
    """The exit status of `helm pin audit -o json`, the releases of its one context by name, and all of it."""
    done = machine.pin("audit", "-o", "json", *args)
    assert done.stdout, done.stderr
    data = json.loads(done.stdout)
    return done.status, {r["release"]: r for r in data["contexts"][0]["releases"]}, data


def served(cluster: Cluster, group: str) -> bool:
    """Whether the API server has a group."""
    return group in {each["name"] for each in cluster.api("GET", "/apis")["groups"]}


def findings(release: dict[str, Any], kind: str) -> str:
    return "\n".join(finding["text"] for finding in release["findings"] if finding["kind"] == kind)


def running(app: App, name: str = "app", count: int = 1) -> list[dict[str, Any]]:
    """The running pods of a release; waits for that many."""

    def now() -> list[dict[str, Any]]:
        mine = [pod for pod in app.pods() if pod["metadata"]["labels"].get("app") == name]
        return [pod for pod in mine if pod["status"]["phase"] == "Running"]

    eventually(lambda: len(now()) == count)
    return now()


def report(app: App, image_id: str, name: str = "app") -> None:
    """Write into the status of a release's one pod which image it runs, as a kubelet does and kwok does not."""
    (pod,) = running(app, name)
    kube.namespace(app.machine).report(pod, image_id)


def calls(done: Finished) -> tuple[int, int]:
    """How often kubectl and helm were started, by what --debug told."""
    return len(re.findall(r"ms {2}kubectl ", done.stderr)), len(re.findall(r"ms {2}helm ", done.stderr))


class Audited(NamedTuple):
    """An audit of many releases."""

    app: App
    a: str
    b: str
    """The digests; all are at B, but for those that a test names."""
    status: int
    releases: dict[str, dict[str, Any]]
    data: dict[str, Any]
    calls: tuple[int, int] = (0, 0)

    def again(self, *args: str) -> Audited:
        """With these flags, as it is now."""
        done = self.app.machine.with_env(HELM_DEBUG="true").pin("audit", "-o", "json", *args)
        data = json.loads(done.stdout)
        releases = {release["release"]: release for release in data["contexts"][0]["releases"]}
        return self._replace(status=done.status, releases=releases, data=data, calls=calls(done))


class TestFindings:
    """Releases of every kind side by side: first one alone, then all, then all when two have been changed by hand."""

    @pytest.fixture(scope="class")
    @classmethod
    def alone(cls, shared_app: App) -> Audited:
        a, b = shared_app.push("A"), shared_app.push("B")
        shared_app.deploy()
        report(shared_app, f"{shared_app.registry}/{shared_app.repository}@{b}")
        return Audited(shared_app, a, b, 0, {}, {}).again()

    @pytest.fixture(scope="class")
    @classmethod
    def calm(cls, alone: Audited, cluster: Cluster, shared_unique: str) -> Iterator[Audited]:
        app = alone.app
        repository = f"{app.registry}/{app.repository}"
        app.deploy(name="foreign")
        app.push("A")
        app.deploy(name="gone")
        app.push("B")
        app.deploy(name="failing")
        nowhere = ("--set", "nodeSelector.there=nowhere", "--wait", "--timeout", "2s")
        assert app.machine.pin("upgrade", "failing", app.chart, UNVALIDATED, *nowhere).status == 1
        images.push(app.registry, app.repository, "other", "A")
        for name in ("one", "two"):
            app.machine.helm("install", name, app.chart, "--set", "image.tag=other", UNVALIDATED)
        for name, digest in (("one", alone.a), ("two", alone.b), ("foreign", FOREIGN)):
            report(app, f"{repository}@{digest}", name)
        app.delete(alone.a)

        elsewhere = f"{shared_unique}-other"
        cluster.api("POST", "/api/v1/namespaces", {"metadata": {"name": elsewhere}})
        template = app.chart / "templates" / "deployment.yaml"
        template.write_text(template.read_text().replace("metadata:\n", f"metadata:\n  namespace: {elsewhere}\n", 1))
        app.deploy(name="elsewhere")
        yield alone.again()
        cluster.api("DELETE", f"/api/v1/namespaces/{elsewhere}")

    @pytest.fixture(scope="class")
    @classmethod
    def asked(cls, calm: Audited) -> Audited:
        """All, and registries are asked."""
        return calm.again("--registry")

    @pytest.fixture(scope="class")
    @classmethod
    def drifted(cls, asked: Audited, shared_unique: str) -> Audited:
        for name, place in (("foreign", shared_unique), ("elsewhere", f"{shared_unique}-other")):
            image = f"app={asked.app.image(asked.a)}"
            asked.app.machine.kubectl("set", "image", "-n", place, f"deployment/{name}", image)
        return asked.again()

    def test_all_is_well(self, alone: Audited) -> None:
        assert alone.status == 0
        assert list(alone.releases) == ["app"]
        release = alone.releases["app"]
        assert (release["verdict"], release["kinds"], release["findings"]) == ("ok", [], [])
        assert (release["revision"], release["pinned"], release["containers"]) == (1, "1/1", 1)
        assert release["images"] == {alone.app.image(): alone.b}
        assert alone.data["contexts"][0]["unread"] == []
        assert alone.data["comparison"] == []

    def test_what_is_no_drift(self, calm: Audited) -> None:
        """Without a registry: what is gone from it is not known, and what runs may be another name of the same image."""
        assert calm.status == 0
        assert calm.data["contexts"][0]["unread"] == []
        assert calm.releases["app"]["kinds"] == []
        assert calm.releases["foreign"]["kinds"] == ["unknown"]
        assert "no registry was asked" in findings(calm.releases["foreign"], "unknown")
        assert [name for name, release in calm.releases.items() if "drift" in release["kinds"]] == []

    def test_what_a_registry_shows(self, asked: Audited) -> None:
        """Pods that run something else, and a digest that is gone."""
        drifting = [name for name, release in asked.releases.items() if "drift" in release["kinds"]]
        assert (asked.status, sorted(drifting)) == (4, ["foreign", "gone"])
        repository = f"{asked.app.registry}/{asked.app.repository}"
        assert f"{repository}@{FOREIGN}" in findings(asked.releases["foreign"], "drift")
        assert f"{repository}@{asked.a} is gone from the registry" in findings(asked.releases["gone"], "drift")

    def test_as_many_calls_for_one_release_as_for_seven(self, alone: Audited, calm: Audited) -> None:
        assert (len(alone.releases), len(calm.releases)) == (1, 7)
        # the releases, the pods, and what may stand above them: a list of each, and all but the first again where objects of
        # releases are in a second namespace
        assert (alone.calls, calm.calls) == ((8, 0), (15, 0))

    def test_releases_that_helm_pin_did_not_make(self, calm: Audited) -> None:
        plain = calm.releases["one"]
        assert set(plain["kinds"]) >= {"unmanaged", "unpinned"}
        assert findings(plain, "unpinned") == f"{calm.app.registry}/{calm.app.repository}:other has no digest"
        assert (plain["set"], plain["pinned"]) == (None, "0/1")

    def test_one_tag_that_runs_as_two_digests(self, calm: Audited) -> None:
        assert "mixed" in calm.releases["one"]["kinds"] and "mixed" in calm.releases["two"]["kinds"]
        (mixed,) = calm.data["contexts"][0]["mixed"]
        assert mixed["image"] == f"{calm.app.registry}/{calm.app.repository}:other"
        assert {digest: len(pods) for digest, pods in mixed["pods"].items()} == {calm.a: 1, calm.b: 1}

    def test_the_last_upgrade_failed(self, calm: Audited) -> None:
        assert calm.releases["failing"]["revision"] == 1
        assert "revision 2, failed, came after the deployed one" in calm.releases["failing"]["notes"]

    def test_specs_changed_by_hand(self, drifted: Audited) -> None:
        """Also in another namespace than the release's."""
        app, a, b = drifted.app, drifted.a, drifted.b
        assert drifted.status == 4
        drifting = [name for name, release in drifted.releases.items() if "drift" in release["kinds"]]
        assert sorted(drifting) == ["elsewhere", "foreign"]
        for name in drifting:
            told = f"Deployment/{name} app has {app.image(a)}, the release says {app.image(b)}: set by kubectl-set at"
            assert told in findings(drifted.releases[name], "drift")
        people = app.machine.pin("audit")
        assert people.status == 4
        assert re.search(r"foreign +1 +app-1\.0\.0 +1/1 +[0-9a-f]{12} +drift", people.stdout)


def test_bad_releases_among_others(app: App) -> None:
    """Each is its own problem; those beside it are judged as if they were alone."""
    a = app.push("A")
    app.deploy()
    report(app, f"{app.registry}/{app.repository}@{a}")
    alone = audited(app.machine)[1]["app"]
    template = app.chart / "templates" / "deployment.yaml"
    dates = "metadata:\n  annotations: {never: 0000-00-00, day: 2026-31-12}\n"
    template.write_text(template.read_text().replace("metadata:\n", dates, 1))
    app.machine.helm("install", "dates", app.chart, UNVALIDATED)
    first = kube.revision(app.machine, "app", 1)
    for name in ("bad-yaml", "bad-record", "tampered"):  # with the same object
        first.copy(name)
    undecodable, huge, odd = (first.copy(name) for name in ("undecodable", "huge", "odd"))

    def tamper(stored: dict[str, Any]) -> None:
        annotations = stored["chart"]["metadata"]["annotations"]
        annotations[ANNOTATION] = annotations[ANNOTATION].replace(a, f"sha256:{'0' * 64}")

    app.rewrite(1, tamper, "tampered")
    app.rewrite(1, lambda stored: stored.update(manifest=stored["manifest"] + "\n---\nimage: [\n"), "bad-yaml")
    app.rewrite(1, lambda stored: stored["chart"]["metadata"]["annotations"].update({ANNOTATION: "{"}), "bad-record")
    odd.rewrite(lambda stored: stored.update(hooks=5))
    huge.rewrite(lambda stored: stored["chart"].update(values={"x": "x" * (33 << 20)}))
    undecodable.spoil()

    status, releases, data = audited(app.machine)
    assert status == 4  # the records that were tampered with
    assert releases["app"] == alone
    assert [name for name, release in releases.items() if "drift" in release["kinds"]] == ["bad-record", "tampered"]
    assert releases["bad-record"]["set"] is None
    assert all("the record is not valid" in findings(releases[name], "drift") for name in ("bad-record", "tampered"))
    assert {"unmanaged", "unknown"} & set(releases["dates"]["kinds"])
    for name in ("bad-yaml", "undecodable", "huge", "odd"):
        assert "unknown" in releases[name]["kinds"], releases[name]
        assert any(name in line for line in data["contexts"][0]["unread"])
    assert "unpacks to more than 32 MiB" in findings(releases["huge"], "unknown")

    for name, told in (("bad-record", "invalid record"), ("dates", "1")):
        done = app.machine.pin("history", name)
        assert (done.status, told in done.stdout) == (0, True), done.stderr
    done = app.machine.pin("history", "odd")
    assert "sh.helm.release.v1.odd.v1 is not a valid release" in done.stderr

    kube.namespace(app.machine).api("DELETE", "deployments/app")  # it is gone, whatever else cannot be read
    people = app.machine.pin("audit", "--fail-on", "mixed")
    assert people.status == 1
    assert re.search(r"/app\n +drift +Deployment/app is not in the cluster$", people.stdout, re.MULTILINE)
    assert "Traceback" not in people.stderr
    assert "sh.helm.release.v1.undecodable.v1 is not a valid release" in people.stderr
    assert "The audit is not complete: see what is not read above." in people.stderr


def test_custom_resources(app: App, cluster: Cluster, unique: str) -> None:
    """Of a namespace, and of none."""
    (app.chart / "templates" / "deployment.yaml").unlink()
    place = kube.namespace(app.machine)
    with (
        custom_kind(cluster, unique) as one,
        custom_kind(cluster, f"{unique}-all", namespaced=False, name="gates") as other,
    ):
        for kind in (one, other):
            (app.chart / "templates" / f"{kind.name}.yaml").write_text(kind.template)
        a = app.push("A")
        app.deploy()
        pods = [kind.run_pod(unique) for kind in (one, other)]
        eventually(lambda: [p["status"]["phase"] for p in app.pods()] == ["Running"] * 2)
        for pod in app.pods():
            place.report(pod, a)
        for scope in ([], ["-A"]):
            status, releases, data = audited(app.machine, *scope)
            assert (releases["app"]["kinds"], releases["app"]["containers"]) == ([], 2)
            assert [
                line for line in data["contexts"][0]["unread"] if unique in line
            ] == []  # -A sees other tests' leavings
        for name in pods:
            pod = place.api("GET", f"pods/{name}")
            pod["spec"]["containers"][0]["image"] = "busybox:1"
            place.put(f"pods/{name}", pod)
        status, releases, _ = audited(app.machine)
        assert status == 4
        assert all(f"Pod/{name} app has busybox:1" in findings(releases["app"], "drift") for name in pods)
        for kind in (one, other):
            cluster.api("DELETE", f"{DEFINITIONS}/proxies.{kind.group}")  # and with it the objects
        eventually(lambda: not (served(cluster, one.group) or served(cluster, other.group)))
        status, releases, _ = audited(app.machine)
        gone = [f"Proxy/{kind.name}-{unique} is not in the cluster" for kind in (one, other)]
        assert (status, sorted(findings(releases["app"], "drift").splitlines())) == (4, gone)


def test_a_namespace_without_releases_and_one_that_does_not_exist(in_cluster: Workstation) -> None:
    empty, nowhere = in_cluster.pin("audit"), in_cluster.pin("audit", "--namespace", "no-such")
    assert (empty.status, empty.stdout) == (0, "No releases.\n")
    assert (nowhere.status, nowhere.stdout) == (1, "No release could be read.\n")
    assert 'Not read: namespaces "no-such" not found (NotFound)' in nowhere.stderr


def test_releases_that_are_nowhere_in_the_api(app: App, tmp_path: Path) -> None:
    (tmp_path / "stored.yaml").write_text("[]")
    driver = {"HELM_DRIVER": "memory", "HELM_MEMORY_DRIVER_DATA": str(tmp_path / "stored.yaml")}
    done = app.machine.with_env(**driver).pin("audit")
    assert done.status == 1
    assert "audit cannot read releases that are stored with HELM_DRIVER=memory" in done.stderr


def test_two_clusters_side_by_side(
    app: App, production_kubeconfig: Path, cluster: Cluster, unique: str, tmp_path: Path
) -> None:
    """For programs, for people, and on the page: what differs is marked, and so is the image that makes the difference. The page
    also tells what each image is, where that is wanted."""
    mine, its = tmp_path / "mine.json", production_kubeconfig
    cluster.write_kubeconfig(mine, unique)
    both = app.machine.with_env(KUBECONFIG=f"{mine}{os.pathsep}{its}")
    staging, live = (json.loads(file.read_text())["current-context"] for file in (mine, its))
    there = app._replace(machine=app.machine.with_env(KUBECONFIG=str(its)))
    a = app.push("A")
    for place in (app, there):
        place.deploy(name="steady")
    there.deploy()
    b = app.push("B")
    app.deploy()  # staging has gone ahead
    there.machine.kubectl("set", "image", "deployment/steady", f"app={app.image(b)}")  # production drifts

    status, _, data = audited(both, "--context", staging, "--context", live)
    assert status == 4
    drifted = [(c["context"], r["release"]) for c in data["contexts"] for r in c["releases"] if "drift" in r["kinds"]]
    assert drifted == [(live, "steady")]
    rows = {row["release"]: row for row in data["comparison"]}
    assert rows["steady"]["same"] and rows["steady"]["images"] == {}
    assert not rows["app"]["same"]
    assert rows["app"]["images"] == {app.image(): {staging: b, live: a}}

    people = both.pin("audit", "--context", staging, "--context", live, "--fail-on", "different")
    assert people.status == 4
    assert re.search(r"^app +app +\w+ +\w+ +differs$", people.stdout, re.MULTILINE)
    assert re.search(r"^steady +app +\w+ +\w+ +same$", people.stdout, re.MULTILINE)

    page, known = tmp_path / "audit.html", ("--registry", "--describe")
    done = both.pin("audit", "--context", staging, "--context", live, "-o", "html", "--to", page, *known)
    assert done.status == 4, done.stderr
    drill = f"""document.querySelector('[data-kind=different]').click();
    document.querySelector('[data-release="{live}/{unique}/app"]').click();"""
    document, opened = shown(page, tmp_path, "", drill)
    seen = browser.words(document)
    assert f"Release (2 of 2) {staging} {live} " in seen and " app differs" in seen
    assert re.search(rf'class="cell bad"[^>]*data-release="{live}/{unique}/steady"', document)
    assert not re.search(rf'class="cell bad"[^>]*data-release="{staging}/{unique}/steady"', document)
    assert "Release (1 of 2)" in browser.words(opened)
    assert f"{unique}/app in {live}" in browser.words(opened)
    assert re.search(rf'<tr class="differs"[^>]*>.*{a}', opened)
    assert f"{app.image()} {images.HERE} · " in browser.words(opened)

    elsewhere = json.loads(its.read_text())
    elsewhere["contexts"][0]["context"]["namespace"] = "default"
    its.write_text(json.dumps(elsewhere))
    _, _, data = audited(both, "--context", staging, "--context", live, "-n", unique)  # the current context's own, too
    assert [len(context["releases"]) for context in data["contexts"]] == [2, 2]

    gone = both.pin("audit", "--context", staging, "--context", "nowhere", "-o", "json")
    assert gone.status == 1
    assert "Not read in nowhere: " in gone.stderr and "nowhere" in gone.stderr.partition("nowhere: ")[2]
    assert [len(c["releases"]) for c in json.loads(gone.stdout)["contexts"]] == [2, 0]


def shown(page: Path, scratch: Path, fragment: str, *scripts: str) -> list[str]:
    """The document as Chromium has it when it has opened the page, and after each of these scripts."""
    keep = "kept.push(document.documentElement.outerHTML);"
    steps = "".join(f"{{ {script} }} {keep}" for script in ("", *scripts))
    told = (
        "document.body.replaceChildren(Object.assign(document.createElement('pre'), {id: 'told', textContent: text}));"
    )
    script = f"const kept = []; {steps} const text = JSON.stringify(kept); {told}"
    document = browser.shown(page, fragment, script, scratch=scratch)
    text = document[document.index('<pre id="told">') + 15 : document.rindex("</pre>")]
    return [*json.loads(html.unescape(text))]


class TestForms:
    @pytest.fixture(scope="class")
    @classmethod
    def sample(cls, shared_app: App) -> App:
        """One release of which all is well, one that drifts, and one of plain helm's; the tag has moved since."""
        app = shared_app
        a, b = app.push("A"), app.push("B")
        app.deploy()
        app.deploy(name="drifting")
        app.machine.helm("install", "plain", app.chart, UNVALIDATED)
        app.machine.kubectl("set", "image", "deployment/drifting", f"app={app.image(a)}")
        report(app, f"{app.registry}/{app.repository}@{b}")
        app.push("C")
        return app

    def test_what_may_not_be_read(self, sample: App, shared_unique: str) -> None:
        place, machine = kube.namespace(sample.machine), sample.machine
        controllers = "deployments,replicasets,statefulsets,daemonsets,jobs,cronjobs"
        place.allow(f"{shared_unique}-no-pods", (",apps,batch", f"secrets,{controllers}", "list,get"))
        status, releases, data = audited(machine.with_env(HELM_KUBEASUSER=f"{shared_unique}-no-pods"))
        (unread,) = data["contexts"][0]["unread"]
        assert "pods is forbidden" in unread
        assert "drift" not in releases["app"]["kinds"]
        assert status == 4  # what can be known is known
        assert "Deployment/drifting app has" in findings(releases["drifting"], "drift")

        place.allow(f"{shared_unique}-no-releases", (",apps,batch", "deployments,pods", "list,get"))
        status, releases, data = audited(machine.with_env(HELM_KUBEASUSER=f"{shared_unique}-no-releases"))
        assert status == 1
        assert any("secrets is forbidden" in line for line in data["contexts"][0]["unread"])
        assert (releases["app"]["revision"], releases["app"]["kinds"]) == (0, ["unknown"])
        assert "only live objects were looked at" in findings(releases["app"], "unknown")

    def test_to_what_is_no_file(self, sample: App, tmp_path: Path) -> None:
        """A pipe or a device gets the report, and stays what it is."""
        os.mkfifo(tmp_path / "pipe")
        command = f"{sample.machine.helm_binary} pin audit -o json --fail-on none --to"
        done = sample.machine.run("bash", "-c", f"cat {tmp_path}/pipe & {command} {tmp_path}/pipe; wait")
        piped = sample.machine.run("bash", "-c", f"{command} /dev/stdout | cat")
        assert [json.loads(each.stdout)["contexts"][0]["unread"] for each in (done, piped)] == [[], []]
        assert (tmp_path / "pipe").is_fifo()
        assert sample.machine.pin("audit", "--to", "-").status == 2

    def test_prometheus(self, sample: App, shared_unique: str, tmp_path: Path) -> None:
        file = tmp_path / "helm-pin.prom"
        done = sample.machine.pin("audit", "-o", "prometheus", "--to", file, "--fail-on", "none")
        assert (done.status, done.stdout) == (0, ""), done.stderr
        assert list(tmp_path.glob(".helm-pin.prom*")) == []
        samples = {}
        for line in file.read_text().splitlines():
            if not line.startswith("#"):
                assert re.fullmatch(r'helm_pin_\w+(\{(\w+="[^"\n]*",?)+\})? \d+', line), line
                name, _, value = line.rpartition(" ")
                samples[name] = int(value)
        where = f'context="",namespace="{shared_unique}",release="drifting"'
        assert samples[f'helm_pin_release_findings{{{where},kind="drift"}}'] >= 1
        assert samples[f'helm_pin_release_findings{{{where.replace("drifting", "app")},kind="drift"}}'] == 0
        pinned = f'helm_pin_release_images_pinned{{context="",namespace="{shared_unique}",release="plain"}}'
        assert samples[pinned] == 0
        assert samples['helm_pin_audit_unread{context=""}'] == 0
        assert samples["helm_pin_audit_timestamp_seconds"] > 1.7e9

    def test_a_registry_that_does_not_answer(self, sample: App) -> None:
        """Neither its digests nor its tags are known, so nothing passes for checked."""
        app = sample
        nobody = ("--registry", "--registry-mirror", "*=http://127.0.0.1:1")
        status, releases, data = audited(app.machine, *nobody, "--fail-on", "moved")
        assert status == 5
        assert (releases["app"]["moved"], releases["app"]["kinds"]) == (None, ["unknown"])
        (unanswered,) = data["contexts"][0]["unanswered"]
        assert unanswered.startswith(f"{app.registry}: ")
        done = app.machine.pin("audit", *nobody, "-o", "prometheus", "--fail-on", "moved")
        assert done.status == 5
        assert f"{app.registry} did not say: " in done.stderr
        assert 'helm_pin_audit_unread{context=""} 1' in done.stdout
        assert re.findall(r'^helm_pin_release_images_moved\{.*release="(\w+)"', done.stdout, re.MULTILINE) == ["plain"]

    def test_a_pushgateway(self, sample: App) -> None:
        taken: list[tuple[str, str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                taken.append((self.path, self.headers.get("Authorization", ""), body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://me:secret@127.0.0.1:{server.server_port}/metrics/job/good/shard/all"
            done = sample.machine.pin("audit", "-o", "prometheus", "--to", url, "--fail-on", "none")
            server.shutdown()
        assert (done.status, done.stdout) == (0, ""), done.stderr
        ((path, login, body),) = taken
        assert (path, login) == ("/metrics/job/good/shard/all", "Basic bWU6c2VjcmV0")
        assert body.startswith("# HELP helm_pin_") and body.endswith("\n")

    def test_the_page(self, sample: App, shared_unique: str, tmp_path: Path) -> None:
        def hostile(stored: dict[str, Any]) -> None:
            stored["chart"]["metadata"]["version"] = "</script><svg onload=document.title='owned'>"

        page = tmp_path / "audit.html"
        with kube.revision(sample.machine, "app", 1).put_back():
            sample.rewrite(1, hostile)
            assert sample.machine.pin("audit", "-o", "html", "--to", page).status == 4
        text = page.read_text()
        assert not re.search(r"""(src|href)=|@import|url\(|fetch\(|XMLHttp""", text)  # nothing from outside

        def typed(words: str) -> str:
            field = "document.getElementById('search')"
            return f"{field}.value = '{words}'; {field}.dispatchEvent(new Event('input'));"

        drill = """
        document.querySelector('[data-kind=drift]').click();
        document.querySelector('[data-release$="/drifting"]').click();
        """
        shut = "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}));"
        link = "document.querySelector('tbody th a').click(); dispatchEvent(new Event('hashchange'));"
        fetched = "document.title = performance.getEntriesByType('resource').length;"
        everything, plain, printed, _, opened, closed, linked, counted = shown(
            page,
            tmp_path,
            "",
            typed("unmanaged"),
            f"{typed('')} dispatchEvent(new Event('beforeprint'));",
            "dispatchEvent(new Event('afterprint'));",
            drill,
            shut,
            link,
            fetched,
        )
        assert "Release (3 of 3)" in browser.words(everything)
        assert "<title>helm-pin audit</title>" in everything  # names are never markup
        assert "onload=document.title" in browser.words(everything)
        releases = re.findall(r'data-release="/[^/"]+/([^"]+)"', everything)
        assert releases == ["drifting", "plain", "app"]  # the worst comes first
        assert re.search(r'class="cell ok"[^>]*data-release="/' + shared_unique + '/app"', everything)
        assert re.search(r'class="cell bad"[^>]*data-release="/' + shared_unique + '/drifting"', everything)
        assert "Release (1 of 3) current context plain" in browser.words(plain)
        assert "Deployment/drifting app has" in browser.words(printed)
        assert "helm-pin did not deploy it" in browser.words(printed)
        assert "Release (1 of 3)" in browser.words(opened)
        assert "Deployment/drifting app has" in browser.words(opened) and "set by kubectl-set" in browser.words(opened)
        assert "Deployment/drifting app has" not in browser.words(closed)
        assert "Deployment/drifting app has" in browser.words(linked)
        assert "<title>0</title>" in counted  # Chromium has fetched nothing but the page

        def at(fragment: str) -> str:
            return f"location.hash = '{fragment}'; dispatchEvent(new Event('hashchange'));"

        drifting, nothing, plain = shown(page, tmp_path, "only=drift", at("q=nothing-like-it"), at("q=plain"))
        assert "Release (1 of 3) current context drifting" in browser.words(drifting)
        assert "No release matches." in browser.words(nothing)
        assert "Release (1 of 3) current context plain" in browser.words(plain)
