"""helm pin plan beside what is deployed, on real API servers, and helm pin diff, which hands the same chart to helm-diff."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.devtools.cluster import Cluster
from tests.e2e.test_history import without_kubectl
from tests.support import app as apps
from tests.support import kube
from tests.support.app import App
from tests.support.workstation import Finished, Workstation, whichever_helm

SIDECAR = "        - {name: more, image: 'REGISTRY/REPOSITORY-more:1.0.0'}\n"

CONTAINER = """\
        - name: NAME
          {{- with .Values.NAME }}
          image: "{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}"
          {{- end }}
"""
"""A container whose image has no tag where its value has a digest."""


@pytest.fixture(scope="class")
def deployed(
    shared_in_cluster: Workstation, cluster: Cluster, shared_unique: str, tmp_path_factory: pytest.TempPathFactory
) -> App:
    """Release app, deployed once at A; no test of the class changes it."""
    made = apps.app(shared_in_cluster, cluster.registry, shared_unique, tmp_path_factory.mktemp("deployed"))
    made.deploy()
    return made


@pytest.fixture
def app(deployed: App, tmp_path: Path) -> App:
    """The same with a chart of the test's own; its image at A."""
    return apps.app(deployed.machine, deployed.registry, deployed.repository, tmp_path)


def plan(app: App, *args: str, name: str = "app") -> tuple[int, dict[str, Any]]:
    """The exit status of `helm pin plan -o json`, and what it prints."""
    done = app.machine.pin("plan", name, app.chart, "-o", "json", *args)
    return done.status, json.loads(done.stdout)


def table(app: App, *args: str, name: str = "app") -> Finished:
    return app.machine.pin("plan", name, app.chart, *args)


def live(app: App, cluster: Cluster, name: str) -> str:
    """The image of a release's Deployment."""
    found = cluster.api("GET", f"/apis/apps/v1/namespaces/{app.repository}/deployments/{name}")
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


def test_a_latest_revision_that_cannot_be_read(app: App, tmp_path: Path) -> None:
    """Helm silently skips it, and what it shows instead is not what runs. Where it was deleted, helm goes on from there."""
    first = kube.revision(app.machine, "app", 1).copy("blind")
    latest = first.copy("blind", 2)
    first.rewrite(lambda stored: stored["info"].update(status="superseded"))
    latest.spoil()
    commands = (
        ["plan", "blind", app.chart],
        ["plan", "blind", app.chart, "--check"],
        ["upgrade", "blind", app.chart],
        ["upgrade", "blind", app.chart, "--dry-run=server"],
        ["lock", "blind", app.chart, "--file", str(tmp_path / "lock.yaml")],
        ["plan", "app", app.chart, "--lock", f"release:{app.repository}/blind"],
    )
    for command in commands:
        refused = app.machine.pin(*command)
        assert refused.status == 1, (command, refused)
        assert "the latest revision cannot be read" in refused.stderr, (command, refused)
        assert f"helm continues from revision 1: kubectl delete secret/{latest.secret}" in refused.stderr
    lock = f"release:{app.repository}/blind"
    elsewhere = app.machine.pin("plan", "app", app.chart, "--namespace", "default", "--lock", lock)
    assert f"kubectl delete secret/{latest.secret}\n" in elsewhere.stderr, "in its own namespace, not in ours"
    assert not (tmp_path / "lock.yaml").exists()
    alone = without_kubectl(app.machine, tmp_path / "bin")
    planned, checked = alone.pin("plan", "blind", app.chart), alone.pin("verify", "blind")
    assert planned.status == 0, planned.stderr
    assert "Release blind: helm shows no deployed revision, and none after 1" in planned.stderr
    assert (checked.status, "helm shows no deployed revision" in checked.stdout) == (1, True), checked
    app.machine.kubectl("delete", f"secret/{latest.secret}")
    assert table(app, name="blind").status == 0

    deployed = kube.revision(app.machine, "app", 1).copy("between")
    later = deployed.copy("between", 2)
    later.rewrite(lambda stored: stored["info"].update(status="failed"))
    deployed.spoil()
    refused = app.machine.pin("plan", "between", app.chart)
    assert refused.status == 1, refused
    assert "the deployed revision cannot be read\n  at    release between\n" in refused.stderr, refused
    assert f"helm continues from revision 2: kubectl delete secret/{deployed.secret}" in refused.stderr
    checked = app.machine.pin("verify", "between")
    assert (checked.status, "latest" in checked.stdout) == (1, True), checked
    app.machine.kubectl("delete", f"secret/{deployed.secret}")
    assert table(app, name="between").status == 0

    only = kube.revision(app.machine, "app", 1).copy("only")
    only.spoil()
    for command in (["plan", "only", app.chart], ["lock", "only", app.chart, "--file", str(tmp_path / "lock.yaml")]):
        refused = app.machine.pin(*command)
        assert refused.status == 1, (command, refused)
        assert "release only cannot be read" in refused.stderr
        assert "nothing of the release is left in helm" in refused.stderr


RECORDER = """\
#!{python}
import json, os, subprocess, sys
if "--help" in sys.argv:
    if "--nonsense" in sys.argv: raise SystemExit("Error: unknown flag: --nonsense\\nUsage:\\n" + "  a flag\\n" * 60)
    print("Flags:\\n      --allow-unreleased   x\\n  -C, --context int   x\\n      --detailed-exitcode   x\\n"
          "      --install   x\\n      --dry-run string[=\\"client\\"]   x\\n      --set stringArray   x\\n"
          "      --set-string stringArray   x\\n  -f, --values valueFiles   x\\n      --reset-then-reuse-values   x")
    raise SystemExit
chart = [a for a in sys.argv if a.endswith(".tgz")]
flags = [a for a in sys.argv[4:] if a not in ("--install", "--allow-unreleased", "--detailed-exitcode", "-C", "7")]
shown = subprocess.run([os.environ["HELM_BIN"], "template", "app", *chart,
    *[f for f in flags if not f.startswith("--reset")]], capture_output=True, text=True) if chart else None
with open({log!r}, "w") as file:
    json.dump({{"args": sys.argv[1:], "namespace": os.environ["HELM_NAMESPACE"],
        "render": shown and shown.stdout + shown.stderr}}, file)
print("the difference")
print("a word on standard error", file=sys.stderr)
raise SystemExit(2)
"""


def installed(app: App, folder: Path) -> tuple[App, Path]:
    """A machine with a plugin named diff that records what it is given; and where it does."""
    plugin, log = folder / "diff", folder / "given.json"
    (plugin / "bin").mkdir(parents=True)
    (plugin / "plugin.yaml").write_text(
        "name: diff\nversion: 1.0.0\nusage: record\ndescription: record\n"
        "platformCommand: [{command: $HELM_PLUGIN_DIR/bin/diff}]\n"
    )
    program = plugin / "bin" / "diff"
    program.write_text(RECORDER.format(python=sys.executable, log=str(log)))
    program.chmod(0o755)
    home = folder / "data"
    both = app.machine.with_env(HELM_DATA_HOME=str(home))
    plugins = Path(app.machine.env["HELM_DATA_HOME"]) / "plugins"
    (home / "plugins").mkdir(parents=True)
    for each in (plugin, *plugins.iterdir()):
        (home / "plugins" / each.name).symlink_to(each.resolve())
    return app._replace(machine=both), log


@whichever_helm
class TestDeployed:
    def test_new_same_and_moved(self, app: App) -> None:
        first = app.push("A")
        status, found = plan(app, "--check", name="new")
        assert status == 4
        assert (found["cluster"], found["deployedRevision"]) == (True, None)
        assert found["images"][0]["deployed"] == {"change": "new", "reference": None, "digest": None}

        status, found = plan(app, "--check")
        assert (status, found["deployedRevision"]) == (0, 1)
        assert found["images"][0]["deployed"] == {"change": "same", "reference": app.image(), "digest": first}

        second = app.push("B")
        status, found = plan(app)
        assert status == 0
        assert found["images"][0]["digest"] == second
        assert found["images"][0]["deployed"] == {"change": "moved", "reference": app.image(), "digest": first}
        shown = table(app, "--check")
        assert shown.status == 4
        assert f"moved from {first[:19]} " in shown.stdout
        assert (
            f"an upgrade would change 1 image\n  at    revision 1 of release app\n  why   {app.image()}" in shown.stderr
        )

    def test_an_image_that_gets_no_digest(self, app: App) -> None:
        """Nobody knows whether it would change."""
        dead = ("--registry-mirror", "*=http://127.0.0.1:1")
        status, found = plan(app, *dead)
        assert status == 5 and found["images"][0]["digest"] is None
        assert found["images"][0]["deployed"]["change"] == "unknown" and found["removed"] == []
        shown = table(app, *dead, "--check")
        rows = shown.stdout.splitlines()
        assert shown.status == 5 and rows[1][rows[0].index("DEPLOYED") :].split()[0] == "-", shown.stdout

    def test_another_tag(self, app: App) -> None:
        first = app.push("A")
        apps.images.push(app.registry, app.repository, "1.0.0", "B")
        status, found = plan(app, "--set", "image.tag=1.0.0", "--check")
        assert status == 4
        assert found["images"][0]["deployed"] == {"change": "moved", "reference": app.image(), "digest": first}

    def test_images_that_come_and_go(self, app: App) -> None:
        """What counts is the deployed revision, not the latest, and the values that it has included."""
        repository = f"{app.registry}/{app.repository}"
        more = apps.images.push(app.registry, f"{app.repository}-more", "1.0.0", "C")
        apps.images.push(app.registry, app.repository, "2.0.0", "B")
        template = app.chart / "templates/deployment.yaml"
        text = template.read_text()
        template.write_text(text + SIDECAR.replace("REGISTRY", app.registry).replace("REPOSITORY", app.repository))
        assert [image["deployed"]["change"] for image in plan(app)[1]["images"]] == ["same", "new"]
        app.deploy("--set", "image.tag=2.0.0", name="more")
        template.write_text(text)
        broken = ("--reset-values", "--set", "nodeSelector.bad key=x")
        assert app.machine.run(app.machine.helm_binary, "upgrade", "more", app.chart, *broken).status != 0
        status, found = plan(app, "--check", name="more")
        assert (status, found["deployedRevision"]) == (4, 1)
        assert found["images"][0]["reference"].endswith(":2.0.0")
        assert found["images"][0]["deployed"]["change"] == "same"
        assert found["removed"] == [{"change": "removed", "reference": f"{repository}-more:1.0.0", "digest": more}]

    def test_a_release_without_a_record(self, app: App) -> None:
        first = app.push("A")
        app.machine.helm("install", "plain", app.chart)
        status, found = plan(app, "--check", name="plain")
        assert status == 4
        assert found["images"][0]["deployed"] == {"change": "moved", "reference": app.image(), "digest": None}
        app.machine.helm("upgrade", "plain", app.chart, "--set", f"image.tag=latest@{first}")
        status, found = plan(app, "--check", "--reset-values", name="plain")
        assert (status, found["images"][0]["deployed"]["change"]) == (0, "same")

    def test_after_a_revision_that_has_failed(self, app: App) -> None:
        """What runs may be as that says: nothing shows in the deployed revision."""
        app.push("A")
        app.deploy(name="failing")
        assert plan(app, "--check", name="failing")[0] == 0
        broken = ("--set", "image.tag=other", "--set", "nodeSelector.bad key=x")
        app.machine.run(app.machine.helm_binary, "upgrade", "failing", app.chart, *broken)
        done = app.machine.pin("plan", "failing", app.chart, "--check", "--reset-values")
        assert done.status == 4 and "an upgrade may change images" in done.stderr
        assert "Revision 2 failed. This plan compares with revision 1" in done.stderr
        assert "to see it: helm pin verify failing" in done.stderr

    def test_each_container(self, app: App, tmp_path: Path) -> None:
        """Two containers of one repository: which of them runs which image counts, with a tag and without."""
        digests = [
            apps.images.push(app.registry, app.repository, f"{n}.0.0", letter) for n, letter in ((1, "A"), (2, "B"))
        ]
        template = app.chart / "templates/deployment.yaml"
        above = template.read_text().partition("        - name: app\n")[0]
        template.write_text(above + "".join(CONTAINER.replace("NAME", name) for name in ("a", "b")))
        values = app.chart / "values.yaml"
        name = f"{app.registry}/{app.repository}"
        lines = [f"{key}: {{repository: {name}, tag: {n}.0.0, digest: ''}}\n" for n, key in ((1, "a"), (2, "b"))]
        values.write_text(values.read_text() + "".join(lines))
        app.deploy(name="two")
        status, found = plan(app, "--check", "--set", "a.tag=2.0.0,b.tag=1.0.0", name="two")
        assert (status, [image["deployed"]["change"] for image in found["images"]]) == (4, ["moved", "moved"])

        pins = tmp_path / "pins.yaml"
        pins.write_text(app.machine.pin("plan", "two", app.chart, "-o", "values").stdout)
        for is_first in (True, False):  # with the record of the first revision, then without one
            status, found = plan(app, "--check", "-f", str(pins), name="two")
            assert (status, [image["deployed"]["change"] for image in found["images"]]) == (0, ["same", "same"])
            if is_first:
                app.machine.helm("upgrade", "two", app.chart, "-f", pins)
        assert plan(app, "--check", "-f", str(pins), "--set", f"b.digest={digests[0]}", name="two")[0] == 4
        listed = app.machine.pin("history", "two", "--max", "1", "-o", "images")
        assert listed.stdout.split() == sorted(f"{name}@{digest}" for digest in digests)

    def test_what_plain_helm_takes(self, app: App, cluster: Cluster, tmp_path: Path) -> None:
        """`set` is pasted after helm upgrade: values that are reused stay. A values file stands for helm with that file, which then
        reuses none: it must pin what the chart then runs, each time it is made.
        """
        digest = app.push("A")
        app.deploy("--set", "note=kept", name="taken")
        found = plan(app, name="taken")[1]
        assert (found["set"][0], found["complete"]) == ("--reset-then-reuse-values", True)
        app.machine.helm("upgrade", "taken", app.chart, *found["set"])
        assert live(app, cluster, "taken") == app.image(digest)
        values = json.loads(app.machine.helm("get", "values", "taken", "-o", "json"))
        assert values["note"] == "kept"

        (tmp_path / "empty.yaml").write_text("# nothing\n")
        for flags in ((), ("-f", tmp_path / "empty.yaml"), ("--reuse-values=false",)):
            made = app.machine.pin("plan", "taken", app.chart, "-o", "kustomize", *flags)
            assert "The values of revision 2 are left out" in made.stderr
        made = app.machine.pin("plan", "taken", app.chart, "-o", "kustomize", "--set", "note=new")
        assert "are left out" not in made.stderr
        for is_first in (True, False):
            made = app.machine.pin("plan", "taken", app.chart, "-o", "values")
            assert made.status == 0, made.stderr
            assert ("The values of revision 2 are left out" in made.stderr) is is_first
            (tmp_path / "pins.yaml").write_text(made.stdout)
            app.machine.helm("upgrade", "taken", app.chart, "-f", tmp_path / "pins.yaml")
            assert live(app, cluster, "taken") == app.image(digest)

    def test_without_the_cluster(self, app: App) -> None:
        app.push("B")
        done = table(app, "--no-cluster", "-o", "json")
        assert done.status == 0
        assert "Planned without the cluster, as a new release (--no-cluster)." in done.stderr
        assert json.loads(done.stdout)["images"][0]["deployed"] is None
        refused = table(app, "--no-cluster", "--check")
        assert refused.status == 2
        assert "--check compares with a release in the cluster" in refused.stderr
        nowhere = app._replace(machine=app.machine.with_env(KUBECONFIG="/nonexistent"))
        asking = (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: asking}\ndata: {v: '{{ .Capabilities.KubeVersion }}'}\n"
        )
        (app.chart / "templates/asking.yaml").write_text(asking)
        assert table(nowhere, "--check").status == 1
        status, found = plan(nowhere)
        assert (status, found["cluster"], found["images"][0]["deployed"]) == (0, False, None)

    def test_diff_upgrade(self, app: App, cluster: Cluster, tmp_path: Path) -> None:
        app, log = installed(app, tmp_path / "plugins")
        first = app.push("A")
        second = app.push("B")
        values = tmp_path / "values.yaml"
        values.write_text("replicas: 2\n")
        done = app.machine.pin("diff", "upgrade", "app", app.chart, "-C", "7", "-f", values, "--detailed-exitcode")
        assert (done.status, done.stdout) == (2, "the difference\n")
        assert done.stderr.splitlines()[0] == "a word on standard error"
        given = json.loads(log.read_text())
        assert given["args"][:2] == ["upgrade", "app"]
        assert given["namespace"] == app.repository
        assert given["args"][3:6] == ["-C", "7", "--detailed-exitcode"]
        assert app.image(second) in given["render"]
        assert "replicas: 2" in given["render"]
        assert first not in given["render"]
        assert len(app.statuses()) == 1
        assert live(app, cluster, "app") == app.image(first)

    def test_diff_refuses_first_what_cannot_be_pinned(self, app: App, tmp_path: Path) -> None:
        app, log = installed(app, tmp_path / "plugins")
        done = app.machine.pin("diff", "upgrade", "app", app.chart, "--allow-unreleased", "--set", "image.tag=gone")
        assert done.status == 5
        unknown = app.machine.pin("diff", "upgrade", "app", app.chart, "--nonsense")
        assert unknown.status == 1
        assert "unknown flag: --nonsense" in unknown.stderr
        assert not log.exists()

    def test_diff_rollback_and_a_release_that_is_new(self, app: App, tmp_path: Path) -> None:
        app, log = installed(app, tmp_path / "plugins")
        done = app.machine.pin("diff", "rollback", "app", "1", "--detailed-exitcode", "--color")
        assert done.status == 2
        given = ["--detailed-exitcode", "--color"]  # the last is a flag of helm-pin, and of helm-diff
        assert json.loads(log.read_text())["args"] == ["rollback", "app", "1", *given]
        done = app.machine.pin("diff", "upgrade", "new", app.chart, "--allow-unreleased", "--no-color")
        assert done.status == 2, done.stderr
        assert "--allow-unreleased" in json.loads(log.read_text())["args"]
        assert json.loads(log.read_text())["args"][-1] == "--no-color"
        refused = app.machine.pin("diff", "rollback", "app", "--registry-timeout", "3s")
        assert refused.status == 1
        assert "--registry-timeout has no effect on diff rollback" in refused.stderr

    def test_diff_is_not_installed(self, app: App) -> None:
        done = app.machine.pin("diff", "upgrade", "app", app.chart)
        assert done.status == 1
        assert done.stderr.startswith("Error: the helm-diff plugin is not installed\n")
        assert "helm plugin install https://github.com/databus23/helm-diff" in done.stderr
