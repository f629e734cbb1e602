"""The commands of all documents, run as they stand there, on a real API server; and what the documents say that they print.

tests/support/documents.py says which blocks are run, and how. Only the names of the namespaces are made those of the test; and
`helm pin` is started by helm where README.md has it, and where a shell has more to do than to start it.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from scripts.devtools import images
from scripts.devtools.binaries import binary
from scripts.devtools.cluster import Cluster
from tests.conftest import own_namespace
from tests.support import app as apps
from tests.support import json_examples, kube
from tests.support.app import App
from tests.support.documents import Block, Step, alike, blocks, documents, steps
from tests.support.workstation import CHECKOUT, Workstation, whichever_helm

pytestmark = whichever_helm

NAMESPACES = ("web", "staging", "prod")
"""Those of the documents."""
CONTEXTS = ("staging-cluster", "staging", "prod")
PLAIN = "helm upgrade web ./chart"
TWICE = ["helm pin upgrade --install web ./chart", "helm pin upgrade web ./chart"]
BEFORE = {
    ("README.md", "helm pin upgrade web ./chart"): ["helm upgrade --install web ./chart", PLAIN, TWICE[1]],
    ("README.md", "helm plugin install ./helm-pin"): [(UNINSTALL := 'rm "$(helm env HELM_PLUGINS)"/*')],
    ("README.md", "helm pin plan web ./chart"): ["helm uninstall web"],
    ("README.md", "helm pin rollback web --verify"): [PLAIN],
    ("docs/quickstart.md", "helm plugin install ./helm-pin"): [UNINSTALL],
    ("docs/quickstart.md", "helm pin history web"): [PLAIN, TWICE[1], PLAIN],
    ("docs/ci.md", "helm pin lint charts/*"): ["mkdir -p charts && cp -R chart charts/web"],
    ("docs/audit.md", "helm pin audit"): TWICE[:1],
    ("docs/air-gap.md", "helm pin upgrade --install web ./chart --lock helm-pin.lock.yaml --locked"): TWICE[:1],
    ("docs/settings.md", "HELM_PIN_MUTABLE=refuse helm pin config ./charts/web --mutable-tag 'v*'"): [
        "mkdir -p charts && cp -R chart charts/web",
        "echo 'allowed-registry: [registry.example, ghcr.io/team/*]' > .helm-pin.yaml",
    ],
    ("docs/verify.md", "helm pin verify --manifest rendered.yaml -n web"): [
        "helm pin template web ./chart -n web > rendered.yaml",
        "kubectl apply -n web -f rendered.yaml",
        "helm pin lock web ./chart",
        *TWICE[:1],
    ],
    ("docs/upgrade.md", "helm upgrade dk ./dk --reuse-values --set image.tag=v2.0"): [
        "helm pin upgrade --install dk ./dk"
    ],
    ("docs/upgrade.md", "helm pin plan jb ./jb"): ["helm pin upgrade --install jb ./jb"],
}
"""What is there before a command of a document: the release that it is about, say."""
STARTED_BY_HELM = "README.md"
"""The document whose commands are all started by helm."""
SIMPLE = re.compile(r"helm pin [^*$|;&<`]+")
"""A command that needs no shell but for `>`."""
RECIPES, PROMOTION = CHECKOUT / "docs/gitops.md", CHECKOUT / "docs/promotion.md"
IN_PODS = """\
      - name: web
        image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
"""
CHARTS = {
    ("README.md", "chart", "latest"): f"""{IN_PODS}\
        env:
        - name: IMAGE
          value: "{{{{ .Values.image.repository }}}}:{{{{ .Values.image.tag }}}}"
      - name: box
        image: HERE/busybox
""",
    ("docs/upgrade.md", "dk", "v1.0"): """\
      - name: web
        image: "{{ .Values.image.repository }}{{ with .Values.image.digest }}@{{ . }}{{ else }}:{{ .Values.image.tag }}{{ end }}"
""",
    ("docs/upgrade.md", "jb", "latest"): IN_PODS,
}
"""The charts that a document has, beside `chart`: the document, the folder, the tag in the values, and the containers."""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: "{{ .Release.Name }}"}
spec:
  selector: {matchLabels: {app: "{{ .Release.Name }}"}}
  template:
    metadata: {labels: {app: "{{ .Release.Name }}"}}
    spec:
      containers:
"""
JOB = """\
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
"""


class Reader(NamedTuple):
    """Somebody who follows the documents, in a folder with a chart and its values."""

    machine: Workstation
    folder: Path
    unique: str
    app: App
    namespace: Callable[[str], str]
    """The namespace of this test that stands for one of the documents."""

    def own(self, text: str) -> str:
        """The text with the names of this test's namespaces."""
        names = "|".join(NAMESPACES)
        return re.sub(
            rf"(-n |namespace: |release:|staging-cluster/)({names})(?![\w-])",
            lambda match: match[1] + self.namespace(match[2]),
            text,
        )

    def write_charts(self, document: str) -> None:
        """The charts that a document has, and their images."""
        here = f"{self.app.registry}/{self.unique}"
        for tag in ("latest", "v1.0", "v2.0"):
            images.push(self.app.registry, f"{self.unique}/web", tag, f"web {tag}")
        images.push(self.app.registry, f"{self.unique}/busybox", "latest", "box")
        for (of, name, tag), containers in CHARTS.items():
            if of == document:
                shutil.rmtree(self.folder / name, ignore_errors=True)
                kind = JOB if name == "jb" else DEPLOYMENT
                files = {
                    "Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n",
                    "values.yaml": f"image: {{repository: {here}/web, tag: {tag}, digest: ''}}\n",
                    "templates/0.yaml": kind + containers.replace("HERE", here),
                }
                for path, text in files.items():
                    (self.folder / name / path).parent.mkdir(parents=True, exist_ok=True)
                    (self.folder / name / path).write_text(text)

    def follow(self, all_blocks: list[Block]) -> None:
        """Write what is to be written, and run what is to be run; each command must end and print as the document says."""
        for block in all_blocks:
            if block.language == "yaml" and block.text.startswith("# ") and not block.marked:
                (self.folder / block.text.partition("\n")[0].removeprefix("# ")).write_text(self.own(block.text))
            elif block.is_run:
                for step in steps(block):
                    self.take(step, f"{block.document}:{block.line}")

    def take(self, step: Step, place: str) -> None:
        """Run a command of a document, after what it needs."""
        for before in BEFORE.get((place.partition(":")[0], step.command.partition("  ")[0]), ()):
            self.prepare(before)
        simple = SIMPLE.fullmatch(step.command) and step.printed is None and not place.startswith(STARTED_BY_HELM)
        done = (self.pin if simple else self.shell)(step.command, step.status)
        if step.printed is not None:
            printed = re.sub(re.escape(f"{self.app.registry}/{self.unique}/"), "registry.example/", done)
            printed = printed.replace(str(self.folder), "/src/shop")
            assert alike(printed, step.printed), f"{place}: {step.command} printed\n{printed}"

    def prepare(self, line: str) -> None:
        """Run what a command needs, which no document shows: `helm pin` without the time that its start takes."""
        (self.pin if SIMPLE.fullmatch(line) else self.shell)(line)

    def pin(self, line: str, status: int = 0) -> str:
        """Run a simple command without the time that its start takes: of a namespace, helm tells its plugins in the environment."""
        _, _, *words = shlex.split(self.own(line), comments=True)
        machine, file = self.machine, ""
        if ">" in words:
            words, file = words[:-2], words[-1]
        if machine.is_forked and "-n" in words:
            at = words.index("-n")
            machine = machine.with_env(HELM_NAMESPACE=words[at + 1])
            del words[at : at + 2]
        done = machine.pin(*words, cwd=self.folder)
        assert done.status == status, f"{line}\nended with {done.status}:\n{done.stderr}{done.stdout}"
        if file:
            (self.folder / file).write_text(done.stdout)
        return done.stdout

    def shell(self, line: str, status: int = 0) -> str:
        """Run a line, which must end with that exit status; what it prints."""
        done = self.machine.run("sh", "-c", f"exec 2>&1; {self.own(line)}", cwd=self.folder, timeout=300)
        assert done.status == status, f"{line}\nended with {done.status}:\n{done.stdout}"
        return done.stdout

    def live(self, namespace: str = "web") -> str:
        """The image that the Deployment `web` has in a namespace of the documents."""
        place = kube.namespace(self.machine)._replace(name=self.namespace(namespace))
        return str(place.api("GET", "deployments/web")["spec"]["template"]["spec"]["containers"][0]["image"])


@pytest.fixture
def reader(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> Iterator[Reader]:
    """With helm, helmfile and kustomize on PATH, the contexts of the documents, and git, which is not needed here."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "helm").symlink_to(in_cluster.helm_binary)
    for name in ("helmfile", "kustomize"):
        (programs / name).symlink_to(binary(name))
    config = json.loads(Path(in_cluster.env["KUBECONFIG"]).read_text())
    config["contexts"] += [{**config["contexts"][0], "name": name} for name in CONTEXTS]
    (tmp_path / "config").write_text(json.dumps(config))
    path = f"{programs}:{in_cluster.env['PATH']}"
    home = shutil.copytree(
        in_cluster.env["HELM_DATA_HOME"], tmp_path / "data", symlinks=True
    )  # some install the plugin
    machine = in_cluster.with_env(PATH=path, KUBECONFIG=str(tmp_path / "config"), HELM_DATA_HOME=str(home))
    app = apps.app(machine, cluster.registry, unique, tmp_path / "made")
    folder = tmp_path / "work"
    folder.mkdir()
    app.chart.rename(folder / "chart")
    (folder / "helm-pin").symlink_to(CHECKOUT)
    for name in ("values.yaml", "prod.yaml"):
        (folder / name).write_text("replicas: 1\n")
    assert machine.run("git", "init", "-q", cwd=folder).status == 0
    with ExitStack() as stack:

        @cache
        def namespace(name: str) -> str:
            """One that is there from when it is first named: to delete it costs more than many a command."""
            stack.enter_context(own_namespace(in_cluster, cluster, f"{unique}-{name}", tmp_path / name))
            return f"{unique}-{name}"

        yield Reader(machine, folder, unique, app._replace(machine=machine), namespace)


def section(name: str) -> list[Block]:
    """The blocks of docs/gitops.md below a heading."""
    return [block for block in blocks(RECIPES) if block.heading == name]


def recipes() -> list[str]:
    """Their headings; without one whose commands are all those of another, in the same order, which begins alike."""
    names = dict.fromkeys(block.heading for block in blocks(RECIPES) if block.is_run)
    found = {name: [step for block in section(name) if block.is_run for step in steps(block)] for name in names}

    def goes_within(name: str, other: str) -> bool:
        rest = iter(found[other])
        return name != other and found[name][0] == found[other][0] and all(step in rest for step in found[name])

    return [name for name in names if not any(goes_within(name, other) for other in names)]


@pytest.mark.parametrize("name", recipes())
def test_a_recipe(reader: Reader, name: str) -> None:
    digest = reader.app.push("A")
    found = section(name)
    reader.follow(found)
    if name == "Renovate":
        [settings] = [json.loads(block.text) for block in found if block.language == "json"]
        [manager] = settings["customManagers"]
        [expression] = (text.replace("(?<", "(?P<") for text in manager["matchStrings"])
        lock = reader.folder / "helm-pin.lock.yaml"
        [match] = re.finditer(expression, lock.read_text())
        assert (f"{match['depName']}:{match['currentValue']}", match["currentDigest"]) == (reader.app.image(), digest)
        [path] = (text.strip("/") for text in manager["managerFilePatterns"])
        assert re.search(path, "deploy/helm-pin.lock.yaml")
        newer = reader.app.push("B")
        reader.pin(found[-1].text.splitlines()[0], 4)
        lock.write_text(lock.read_text().replace(digest, newer))
        reader.follow(found[-1:])
    elif name == "helmfile":
        assert reader.app.image(digest) in (reader.folder / "rendered.yaml").read_text()
        assert json.loads(reader.machine.helm("list", "-n", reader.namespace("web"), "-o", "json")) == []
    else:
        assert reader.live() == reader.app.image(digest)


def test_the_plugin_of_argo_cd(reader: Reader) -> None:
    """What the sidecar runs, in the folder of the application."""
    [written] = section("Plugin sidecar")
    generate: Any = yaml.safe_load(written.text)["spec"]["generate"]
    digest = reader.app.push("A")
    assert reader.machine.pin("lock", "./chart", "-f", "values.yaml", cwd=reader.folder).status == 0
    reader.app.push("B")
    env = {"ARGOCD_APP_NAME": "web", "ARGOCD_APP_NAMESPACE": reader.namespace("web"), "KUBE_VERSION": "1.37"}
    command = [*generate["command"], *generate["args"]]
    done = reader.machine.with_env(**env).run(*command, cwd=reader.folder)
    assert done.status == 0, done.stderr
    assert reader.app.image(digest) in done.stdout


def test_promotion(reader: Reader) -> None:
    reader.follow(blocks(PROMOTION))
    live = {reader.live(name) for name in ("staging", "prod")}
    assert len(live) == 1 and "@sha256:" in live.pop()


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(path, id=str(path.relative_to(CHECKOUT)))
        for path in documents()
        if path not in (RECIPES, PROMOTION) and any(block.is_run for block in blocks(path))
    ],
)
def test_a_document(reader: Reader, document: Path) -> None:
    """From its first command to its last, as somebody reads it."""
    reader.write_charts(str(document.relative_to(CHECKOUT)))
    reader.follow(blocks(document))


def test_what_comes_before_a_command_is_for_one_that_is_run() -> None:
    found = {
        (block.document, step.command.partition("  ")[0])
        for path in documents()
        for block in blocks(path)
        if block.is_run
        for step in steps(block)
    }
    assert BEFORE.keys() <= found


def test_json_is_as_documented(reader: Reader) -> None:
    """docs/json.md, with what the commands print of a release whose tag has moved."""
    reader.write_charts("README.md")

    def check(command: str, status: int = 0) -> None:
        done = reader.machine.pin(*shlex.split(command), "-o", "json", cwd=reader.folder)
        assert done.status == status, done.stderr
        printed = json.loads(done.stdout)
        assert [*json_examples.unlike(printed, json_examples.example(command.split(maxsplit=1)[0]))] == []

    reader.prepare(TWICE[0])
    images.push(reader.app.registry, f"{reader.unique}/web", "latest", "moved", ("linux/amd64", "linux/arm64"))
    check("lock web ./chart --no-cluster")
    check("outdated")
    check("audit --registry --describe --context staging --context prod")
    reader.prepare(TWICE[1])
    check("history web --describe")
    check("verify web --verbose --lock helm-pin.lock.yaml")
    check("keep web")
