"""helm pin audit on real API servers: what it finds in one pass, between clusters, and with an account that may not see all."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scripts.devtools.api import Cluster
from tests.conftest import cluster_for_tests
from tests.support import app as apps
from tests.support import browser
from tests.support.app import App, eventually
from tests.support.custom import DEFINITIONS, custom_kind
from tests.support.workstation import Finished, Workstation, whichever_helm

pytestmark = whichever_helm

ANNOTATION = "helm-pin/digests"


@pytest.fixture
def app(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> App:
    """One chart; deployed by the tests, under several names."""
    return apps.app(in_cluster, cluster.registry, unique, tmp_path)


@pytest.fixture(scope="module")
def production() -> Iterator[Cluster]:
    """A second control plane."""
    with cluster_for_tests("testother") as started:
        yield started


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
    statuses = pod["status"]["containerStatuses"]
    statuses[0]["imageID"] = image_id
    change = json.dumps({"status": {"containerStatuses": statuses}})
    patch = ["--subresource=status", "--type=merge", "-p", change]
    app.machine.kubectl("patch", "pod", pod["metadata"]["name"], *patch)


class TestFindings:
    def test_all_is_well(self, app: App) -> None:
        a = app.push("A")
        app.deploy()
        report(app, f"{app.registry}/{app.repository}@{a}")
        status, releases, data = audited(app.machine)
        assert status == 0
        assert list(releases) == ["app"]
        release = releases["app"]
        assert (release["verdict"], release["kinds"], release["findings"]) == ("ok", [], [])
        assert (release["revision"], release["pinned"], release["containers"]) == (1, "1/1", 1)
        assert release["images"] == {app.image(): a}
        assert data["contexts"][0]["unread"] == []
        assert data["comparison"] == []

    def test_a_spec_changed_by_hand(self, app: App) -> None:
        a, b = app.push("A"), app.push("B")
        app.deploy()
        app.deploy(name="other")
        app.machine.kubectl("set", "image", "deployment/app", f"app={app.image(a)}")
        status, releases, _ = audited(app.machine)
        assert status == 4
        assert "drift" in releases["app"]["kinds"]
        assert "drift" not in releases["other"]["kinds"]
        told = findings(releases["app"], "drift")
        assert f"Deployment/app app has {app.image(a)}, the release says {app.image(b)}: set by kubectl-set at" in told
        assert app.machine.pin("audit", "--fail-on", "unmanaged,mixed").status == 0
        assert app.machine.pin("audit", "--fail-on", "none").status == 0
        people = app.machine.pin("audit")
        assert people.status == 4
        assert re.search(r"app +1 +app-1\.0\.0 +1/1 +[0-9a-f]{12} +drift", people.stdout)

    def test_pods_that_run_something_else(self, app: App) -> None:
        app.push("A")
        app.deploy()
        foreign = f"{app.registry}/{app.repository}@sha256:{'f' * 64}"
        report(app, foreign)
        status, releases, _ = audited(app.machine)
        assert (status, releases["app"]["kinds"]) == (0, ["unknown"])  # it may be another name of the same image
        assert "no registry was asked" in findings(releases["app"], "unknown")
        status, releases, _ = audited(app.machine, "--registry")
        assert (status, releases["app"]["kinds"]) == (4, ["drift"])
        assert foreign in findings(releases["app"], "drift")

    def test_a_digest_that_is_gone(self, app: App) -> None:
        a = app.push("A")
        app.deploy()
        app.delete(a)
        assert audited(app.machine)[0] == 0
        status, releases, _ = audited(app.machine, "--registry")
        assert status == 4
        assert f"{app.registry}/{app.repository}@{a} is gone from the registry" in findings(releases["app"], "drift")

    def test_releases_that_helm_pin_did_not_make(self, app: App) -> None:
        app.machine.helm("install", "plain", app.chart)
        status, releases, _ = audited(app.machine)
        assert status == 0
        assert set(releases["plain"]["kinds"]) >= {"unmanaged", "unpinned"}
        assert findings(releases["plain"], "unpinned") == f"{app.image()} has no digest"
        assert (releases["plain"]["set"], releases["plain"]["pinned"]) == (None, "0/1")
        assert app.machine.pin("audit", "--fail-on", "unpinned").status == 4

    def test_one_tag_that_runs_as_two_digests(self, app: App) -> None:
        a, b = app.push("A"), app.push("B")
        for name, digest in (("one", a), ("two", b)):
            app.machine.helm("install", name, app.chart)
            report(app, f"{app.registry}/{app.repository}@{digest}", name)
        status, releases, data = audited(app.machine, "--fail-on", "mixed")
        assert status == 4
        assert "mixed" in releases["one"]["kinds"] and "mixed" in releases["two"]["kinds"]
        (mixed,) = data["contexts"][0]["mixed"]
        assert mixed["image"] == app.image()
        assert {digest: len(pods) for digest, pods in mixed["pods"].items()} == {a: 1, b: 1}

    def test_an_object_that_is_gone_though_something_else_cannot_be_read(self, app: App) -> None:
        app.push("A")
        app.deploy()
        app.deploy(name="other")
        broken = json.dumps({"data": {"release": "bm9uc2Vuc2U="}})
        app.machine.kubectl("patch", "secret", "sh.helm.release.v1.other.v1", "--type=merge", "-p", broken)
        app.machine.kubectl("delete", "deployment", "app")
        status, releases, data = audited(app.machine)
        assert status == 4
        assert findings(releases["app"], "drift") == "Deployment/app is not in the cluster"
        assert "sh.helm.release.v1.other.v1 is not a valid release" in data["contexts"][0]["unread"][0]

    def test_bad_releases_among_others(self, app: App) -> None:
        """Each is its own problem; those beside it are judged as if they were alone."""
        a = app.push("A")
        app.deploy()
        report(app, f"{app.registry}/{app.repository}@{a}")
        alone = audited(app.machine)[1]["app"]
        template = app.chart / "templates" / "deployment.yaml"
        whole = template.read_text()
        template.write_text(
            whole.replace("metadata:\n", "metadata:\n  annotations: {never: 0000-00-00, day: 2026-31-12}\n", 1)
        )
        app.machine.helm("install", "dates", app.chart)
        template.write_text(whole)
        for name in ("bad-yaml", "bad-record", "undecodable", "huge", "odd"):
            app.deploy(name=name)
        app.rewrite(1, lambda stored: stored.update(manifest=stored["manifest"] + "\n---\nimage: [\n"), "bad-yaml")
        app.rewrite(
            1, lambda stored: stored["chart"]["metadata"]["annotations"].update({ANNOTATION: "{"}), "bad-record"
        )
        app.rewrite(1, lambda stored: stored.update(hooks=5), "odd")
        app.rewrite(1, lambda stored: stored["chart"].update(values={"x": "x" * (64 << 20)}), "huge")
        broken = json.dumps({"data": {"release": "bm9uc2Vuc2U="}})
        app.machine.kubectl("patch", "secret", "sh.helm.release.v1.undecodable.v1", "--type=merge", "-p", broken)

        status, releases, data = audited(app.machine)
        assert status == 4  # the record that was tampered with
        assert releases["app"] == alone
        assert (releases["bad-record"]["kinds"][0], releases["bad-record"]["set"]) == ("drift", None)
        assert {"unmanaged", "unknown"} & set(releases["dates"]["kinds"])
        for name in ("bad-yaml", "undecodable", "huge", "odd"):
            assert "unknown" in releases[name]["kinds"], releases[name]
            assert any(name in line for line in data["contexts"][0]["unread"])
        assert "unpacks to more than 32 MiB" in findings(releases["huge"], "unknown")
        assert app.machine.pin("audit", "--fail-on", "mixed").status == 1
        people = app.machine.pin("audit")
        assert "Traceback" not in people.stderr
        assert (
            "The audit is not complete: see what is not read above."
            in app.machine.pin("audit", "--fail-on", "mixed").stderr
        )

        for name, told in (("bad-yaml", "invalid record"), ("bad-record", "invalid record"), ("dates", "1")):
            done = app.machine.pin("history", name)
            assert (done.status, told in done.stdout) == (0, True), done.stderr
        for name in ("undecodable", "huge", "odd"):
            done = app.machine.pin("history", name)
            assert f"sh.helm.release.v1.{name}.v1 is not a valid release" in done.stderr

    @pytest.mark.parametrize("namespaced", [True, False])
    def test_custom_resources(self, app: App, cluster: Cluster, unique: str, namespaced: bool) -> None:
        (app.chart / "templates" / "deployment.yaml").unlink()
        with custom_kind(cluster, unique, namespaced=namespaced) as kind:
            (app.chart / "templates" / "gate.yaml").write_text(kind.template)
            a = app.push("A")
            app.deploy()
            pod = kind.run_pod(unique)
            eventually(lambda: [p["status"]["phase"] for p in app.pods()] == ["Running"])
            patch = [{"op": "add", "path": "/status/containerStatuses/0/imageID", "value": a}]
            app.machine.kubectl("patch", "pod", pod, "--subresource=status", "--type=json", "-p", json.dumps(patch))
            for scope in ([], ["-A"]):
                status, releases, data = audited(app.machine, *scope)
                assert (releases["app"]["kinds"], releases["app"]["containers"]) == ([], 1)
                assert [
                    line for line in data["contexts"][0]["unread"] if unique in line
                ] == []  # -A sees other tests' leavings
            app.machine.kubectl("set", "image", f"pod/{pod}", "app=busybox:1")
            status, releases, _ = audited(app.machine)
            assert status == 4
            assert f"Pod/{pod} app has busybox:1" in findings(releases["app"], "drift")
            cluster.api("DELETE", f"{DEFINITIONS}/proxies.{kind.group}")  # and with it the objects
            eventually(
                lambda: findings(audited(app.machine)[1]["app"], "drift") != "" and not served(cluster, kind.group)
            )
            status, releases, _ = audited(app.machine)
            assert (status, findings(releases["app"], "drift")) == (4, f"Proxy/gate-{unique} is not in the cluster")

    def test_objects_in_another_namespace(self, app: App, cluster: Cluster, unique: str) -> None:
        other = f"{unique}-other"
        cluster.api("POST", "/api/v1/namespaces", {"metadata": {"name": other}})
        try:
            template = app.chart / "templates" / "deployment.yaml"
            template.write_text(template.read_text().replace("metadata:\n", f"metadata:\n  namespace: {other}\n", 1))
            a, b = app.push("A"), app.push("B")
            app.deploy()
            status, releases, _ = audited(app.machine)
            assert (status, "drift" in releases["app"]["kinds"]) == (0, False)
            app.machine.kubectl("set", "image", "-n", other, "deployment/app", f"app={app.image(a)}")
            status, releases, _ = audited(app.machine)
            assert status == 4
            assert b in findings(releases["app"], "drift")
        finally:
            cluster.api("DELETE", f"/api/v1/namespaces/{other}")

    def test_a_record_that_was_tampered_with(self, app: App) -> None:
        a = app.push("A")
        app.deploy()

        def tamper(stored: dict[str, Any]) -> None:
            annotations = stored["chart"]["metadata"]["annotations"]
            annotations["helm-pin/digests"] = annotations["helm-pin/digests"].replace(a, f"sha256:{'0' * 64}")

        app.rewrite(1, tamper)
        status, releases, _ = audited(app.machine)
        assert status == 4
        assert "the record is not valid" in findings(releases["app"], "drift")

    def test_the_last_upgrade_failed(self, app: App) -> None:
        app.push("A")
        app.deploy()
        failed = app.machine.pin(
            "upgrade", "app", app.chart, "--set", "nodeSelector.there=nowhere", "--wait", "--timeout", "2s"
        )
        assert failed.status == 1
        _, releases, _ = audited(app.machine)
        assert releases["app"]["revision"] == 1
        assert "revision 2, failed, came after the deployed one" in releases["app"]["notes"]

    def test_releases_in_config_maps(self, app: App) -> None:
        app = app._replace(machine=app.machine.with_env(HELM_DRIVER="configmap"))
        app.push("A")
        app.deploy()
        status, releases, _ = audited(app.machine)
        assert (status, releases["app"]["pinned"]) == (0, "1/1")

    def test_releases_that_are_nowhere_in_the_api(self, app: App, tmp_path: Path) -> None:
        (tmp_path / "stored.yaml").write_text("[]")
        driver = {"HELM_DRIVER": "memory", "HELM_MEMORY_DRIVER_DATA": str(tmp_path / "stored.yaml")}
        done = app.machine.with_env(**driver).pin("audit")
        assert done.status == 1
        assert "HELM_DRIVER keeps them elsewhere" in done.stderr

    def test_as_many_calls_for_one_release_as_for_five(self, app: App) -> None:
        def calls() -> tuple[int, int]:
            done = app.machine.with_env(HELM_DEBUG="true").pin("audit")
            return len(re.findall(r"ms {2}kubectl ", done.stderr)), len(re.findall(r"ms {2}helm ", done.stderr))

        app.push("A")
        app.deploy()
        assert calls() == (8, 0)  # the releases, the pods, and what may stand above them: a list of each
        for name in ("b", "c", "d", "e"):
            app.deploy(name=name)
        assert calls() == (8, 0)


class TestContexts:
    def test_two_clusters_side_by_side(
        self, app: App, production: Cluster, cluster: Cluster, unique: str, tmp_path: Path
    ) -> None:
        production.api("POST", "/api/v1/namespaces", {"metadata": {"name": unique}})
        mine, its = tmp_path / "mine.json", tmp_path / "its.json"
        cluster.write_kubeconfig(mine, unique)
        production.write_kubeconfig(its, unique)
        both = app.machine.with_env(KUBECONFIG=f"{mine}{os.pathsep}{its}")
        staging, live = (json.loads(file.read_text())["current-context"] for file in (mine, its))
        there = app._replace(machine=app.machine.with_env(KUBECONFIG=str(its)))
        a = app.push("A")
        for place in (app, there):
            place.deploy()
            place.deploy(name="steady")
        b = app.push("B")
        app.deploy()  # staging goes ahead
        there.machine.kubectl("set", "image", "deployment/steady", f"app={app.image(b)}")  # production drifts

        status, _, data = audited(both, "--context", staging, "--context", live)
        assert status == 4
        drifted = [
            (c["context"], r["release"]) for c in data["contexts"] for r in c["releases"] if "drift" in r["kinds"]
        ]
        assert drifted == [(live, "steady")]
        rows = {row["release"]: row for row in data["comparison"]}
        assert rows["steady"]["same"] and rows["steady"]["images"] == {}
        assert not rows["app"]["same"]
        assert rows["app"]["images"] == {app.image(): {staging: b, live: a}}

        people = both.pin("audit", "--context", staging, "--context", live, "--fail-on", "different")
        assert people.status == 4
        assert re.search(r"^app +app +\w+ +\w+ +differs$", people.stdout, re.MULTILINE)
        assert re.search(r"^steady +app +\w+ +\w+ +same$", people.stdout, re.MULTILINE)

        gone = both.pin("audit", "--context", staging, "--context", "nowhere", "-o", "json")
        assert gone.status == 1
        assert "Not read in nowhere: " in gone.stderr and "nowhere" in gone.stderr.partition("nowhere: ")[2]
        assert [len(c["releases"]) for c in json.loads(gone.stdout)["contexts"]] == [2, 0]


class TestWhatMayNotBeRead:
    def allowed(self, cluster: Cluster, namespace: str, *resources: str) -> list[str]:
        """An account that may list only these; the flags that make helm be it."""
        rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
        rules = [{"apiGroups": ["", "apps", "batch"], "resources": list(resources), "verbs": ["list", "get"]}]
        cluster.api("POST", f"{rbac}/roles", {"metadata": {"name": "some"}, "rules": rules})
        group = "rbac.authorization.k8s.io"
        subject = {"kind": "User", "name": namespace, "apiGroup": group}
        role = {"apiGroup": group, "kind": "Role", "name": "some"}
        cluster.api(
            "POST", f"{rbac}/rolebindings", {"metadata": {"name": "some"}, "roleRef": role, "subjects": [subject]}
        )
        return ["--kube-as-user", namespace]

    def test_pods(self, app: App, cluster: Cluster, unique: str) -> None:
        a, b = app.push("A"), app.push("B")
        app.deploy()
        controllers = ("deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs")
        account = self.allowed(cluster, unique, "secrets", *controllers)
        status, releases, data = audited(app.machine, *account)
        assert status == 1
        assert len(data["contexts"][0]["unread"]) == 1
        assert "pods is forbidden" in data["contexts"][0]["unread"][0]
        assert "drift" not in releases["app"]["kinds"]
        app.machine.kubectl("set", "image", "deployment/app", f"app={app.image(a)}")
        status, releases, _ = audited(app.machine, *account)
        assert status == 4  # what can be known is known
        assert b in findings(releases["app"], "drift")

    def test_the_stored_releases(self, app: App, cluster: Cluster, unique: str) -> None:
        app.push("A")
        app.deploy()
        status, releases, data = audited(app.machine, *self.allowed(cluster, unique, "deployments", "pods"))
        assert status == 1
        assert any("secrets is forbidden" in line for line in data["contexts"][0]["unread"])
        assert (releases["app"]["revision"], releases["app"]["kinds"]) == (0, ["unknown"])
        assert "only live objects were looked at" in findings(releases["app"], "unknown")


class TestForms:
    def sample(self, app: App) -> tuple[str, str]:
        a, b = app.push("A"), app.push("B")
        app.deploy()
        app.deploy(name="drifting")
        app.machine.helm("install", "plain", app.chart)
        app.machine.kubectl("set", "image", "deployment/drifting", f"app={app.image(a)}")
        report(app, f"{app.registry}/{app.repository}@{b}")
        return a, b

    def test_prometheus(self, app: App, unique: str, tmp_path: Path) -> None:
        self.sample(app)
        file = tmp_path / "helm-pin.prom"
        done = app.machine.pin("audit", "-o", "prometheus", "--to", file, "--fail-on", "none")
        assert (done.status, done.stdout) == (0, ""), done.stderr
        assert list(tmp_path.glob(".helm-pin.prom*")) == []
        samples = {}
        for line in file.read_text().splitlines():
            if not line.startswith("#"):
                assert re.fullmatch(r'helm_pin_\w+(\{(\w+="[^"\n]*",?)+\})? \d+', line), line
                name, _, value = line.rpartition(" ")
                samples[name] = int(value)
        where = f'context="",namespace="{unique}",release="drifting"'
        assert samples[f'helm_pin_release_findings{{{where},kind="drift"}}'] >= 1
        assert samples[f'helm_pin_release_findings{{{where.replace("drifting", "app")},kind="drift"}}'] == 0
        assert samples[f'helm_pin_release_images_pinned{{context="",namespace="{unique}",release="plain"}}'] == 0
        assert samples['helm_pin_audit_unread{context=""}'] == 0
        assert samples["helm_pin_audit_timestamp_seconds"] > 1.7e9

    def test_a_registry_that_does_not_answer(self, app: App) -> None:
        """Neither its digests nor its tags are known, so nothing passes for checked."""
        b = app.push("B")
        app.deploy()
        app.push("C")
        report(app, f"{app.registry}/{app.repository}@{b}")
        nobody = ("--registry", "--registry-mirror", "*=http://127.0.0.1:1")
        status, releases, data = audited(app.machine, *nobody, "--fail-on", "moved")
        assert status == 5
        assert releases["app"]["moved"] is None
        (unanswered,) = data["contexts"][0]["unanswered"]
        assert unanswered.startswith(f"{app.registry}: ")
        done = app.machine.pin("audit", *nobody, "-o", "prometheus")
        assert done.status == 5
        assert f"No answer from {app.registry}: " in done.stderr
        assert 'helm_pin_audit_unread{context=""} 1' in done.stdout
        assert "helm_pin_release_images_moved" not in done.stdout
        assert app.machine.pin("audit", *nobody, "--fail-on", "none").status == 0
        assert audited(app.machine, *nobody, "--fail-on", "unknown")[0] == 4
        assert audited(app.machine, "--registry", "--fail-on", "moved")[0] == 4

    def test_a_pushgateway(self, app: App) -> None:
        taken: list[tuple[str, str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                taken.append((self.path, self.headers.get("Authorization", ""), body))
                self.send_response(200 if "good" in self.path else 400)
                self.end_headers()
                self.wfile.write(b"" if "good" in self.path else b"text format parsing error")

            def log_message(self, *_: Any) -> None:
                pass

        app.deploy()
        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://me:secret@127.0.0.1:{server.server_port}"

            def sent(to: str) -> Finished:
                return app.machine.pin("audit", "-o", "prometheus", "--to", to)

            assert sent(f"{url}/metrics/job/good/shard/all").status == 0
            refused = sent(f"{url}/metrics/job/bad")
            server.shutdown()
        assert taken[0][0] == "/metrics/job/good/shard/all"
        assert taken[0][1] == "Basic bWU6c2VjcmV0"
        assert taken[0][2].endswith("\n")
        assert refused.status == 1
        assert "HTTP 400: text format parsing error" in refused.stderr
        assert "secret" not in refused.stderr
        alone = sent(f"{url}/metrics/job/good")  # nobody is there any more
        assert alone.status == 1
        assert "  why   Failed to establish a new connection: [Errno " in alone.stderr
        assert "secret" not in alone.stderr

    def test_the_page(self, app: App, unique: str, tmp_path: Path) -> None:
        self.sample(app)
        page = tmp_path / "audit.html"
        assert app.machine.pin("audit", "-o", "html", "--to", page).status == 4
        text = page.read_text()
        assert not re.search(r"""(src|href)=|@import|url\(|fetch\(|XMLHttp""", text)  # nothing from outside

        def show(fragment: str = "", script: str = "") -> str:
            return browser.shown(page, fragment, script, scratch=tmp_path)

        everything = show()
        seen = browser.words(everything)
        assert "Release (3 of 3)" in seen
        releases = re.findall(r'data-release="/[^/"]+/([^"]+)"', everything)
        assert releases == ["drifting", "plain", "app"]  # the worst comes first
        assert re.search(r'class="cell ok"[^>]*data-release="/' + unique + '/app"', everything)
        assert re.search(r'class="cell bad"[^>]*data-release="/' + unique + '/drifting"', everything)
        assert "Release (1 of 3) current context drifting" in browser.words(show("only=drift"))
        assert "Release (1 of 3) current context plain" in browser.words(show("q=plain"))
        assert "No release matches." in browser.words(show("q=nothing-like-it"))

        asked = "document.querySelector('main').textContent = performance.getEntriesByType('resource').length;"
        assert browser.words(show(script=asked)) == "0"  # Chromium has fetched nothing but the page

        drill = """
        document.querySelector('[data-kind=drift]').click();
        document.querySelector('[data-release$="/drifting"]').click();
        """
        opened = browser.words(show(script=drill))
        assert "Release (1 of 3)" in opened
        assert "Deployment/drifting app has" in opened and "set by kubectl-set" in opened
        typed = (
            "const s = document.getElementById('search'); s.value = 'unmanaged'; s.dispatchEvent(new Event('input'));"
        )
        assert "Release (1 of 3) current context plain" in browser.words(show(script=typed))
        shut = f"{drill} document.dispatchEvent(new KeyboardEvent('keydown', {{key: 'Escape', bubbles: true}}));"
        assert "Deployment/drifting app has" not in browser.words(show(script=shut))
        link = "document.querySelector('tbody th a').click(); dispatchEvent(new Event('hashchange'));"
        assert "Deployment/drifting app has" in browser.words(show(script=link))
        printed = browser.words(show(script="dispatchEvent(new Event('beforeprint'));"))
        assert "Deployment/drifting app has" in printed
        assert "helm-pin did not deploy it" in printed

    def test_the_page_of_two_clusters(
        self, app: App, production: Cluster, cluster: Cluster, unique: str, tmp_path: Path
    ) -> None:
        """Environments side by side: what differs is marked, and so is the image that makes the difference."""
        production.api("POST", "/api/v1/namespaces", {"metadata": {"name": unique}})
        mine, its = tmp_path / "mine.json", tmp_path / "its.json"
        cluster.write_kubeconfig(mine, unique)
        production.write_kubeconfig(its, unique)
        staging, live = (json.loads(file.read_text())["current-context"] for file in (mine, its))
        there = app._replace(machine=app.machine.with_env(KUBECONFIG=str(its)))
        a = app.push("A")
        app.deploy()
        there.deploy()
        b = app.push("B")
        app.deploy()
        there.machine.kubectl("set", "image", "deployment/app", f"app={app.image(b)}")
        page = tmp_path / "audit.html"
        both = app.machine.with_env(KUBECONFIG=f"{mine}{os.pathsep}{its}")
        done = both.pin("audit", "--context", staging, "--context", live, "-o", "html", "--to", page)
        assert done.status == 4, done.stderr
        document = browser.shown(page, scratch=tmp_path)
        assert f"Release (1 of 1) {staging} {live} app differs" in browser.words(document)
        assert re.search(rf'class="cell bad"[^>]*data-release="{live}/{unique}/app"', document)
        assert not re.search(rf'class="cell bad"[^>]*data-release="{staging}/{unique}/app"', document)
        drill = f"""document.querySelector('[data-kind=different]').click();
        document.querySelector('[data-release="{live}/{unique}/app"]').click();"""
        opened = browser.shown(page, script=drill, scratch=tmp_path)
        assert f"{unique}/app in {live}" in browser.words(opened)
        assert re.search(rf'<tr class="differs"[^>]*>.*{a}', opened)

    def test_names_are_never_markup(self, app: App, tmp_path: Path) -> None:
        chart = app.chart / "Chart.yaml"
        chart.write_text(chart.read_text() + 'description: "x"\n')
        app.deploy()

        def hostile(stored: dict[str, Any]) -> None:
            stored["chart"]["metadata"]["version"] = "</script><img src=x onerror=document.title='owned'>"

        app.rewrite(1, hostile)
        page = tmp_path / "audit.html"
        app.machine.pin("audit", "-o", "html", "--to", page)
        document = browser.shown(page, scratch=tmp_path)
        assert "<title>helm-pin audit</title>" in document
        assert "onerror=document.title" in browser.words(document)

    def test_a_file_that_cannot_be_written(self, app: App, tmp_path: Path) -> None:
        done = app.machine.pin("audit", "--to", tmp_path / "nowhere" / "file")
        assert done.status == 1
        assert "the report cannot be written" in done.stderr
        assert "No such file or directory" in done.stderr

    def test_what_fail_on_does_not_know(self, app: App) -> None:
        done = app.machine.pin("audit", "--fail-on", "everything")
        assert done.status == 2
        assert (
            "one of drift, unpinned, unmanaged, pinned-elsewhere, mixed, moved, unknown, different, none" in done.stderr
        )
