"""The commands of docs/gitops.md and docs/promotion.md, run as they stand there, on a real API server.

Of a document's blocks, `sh` is run line by line, and a `yaml` block that begins with a comment is written to that file. Only the
names of the namespaces are made those of the test.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from scripts.devtools.binaries import binary
from scripts.devtools.cluster import Cluster
from tests.conftest import own_namespace
from tests.support import app as apps
from tests.support.app import App
from tests.support.workstation import CHECKOUT, Workstation, whichever_helm

pytestmark = whichever_helm

NAMESPACES = ("web", "staging", "prod")
"""Those of the documents."""


class Block(NamedTuple):
    """A fenced block: the words on its fence, the heading above it, and its text."""

    language: str
    heading: str
    text: str


def blocks(document: str) -> list[Block]:
    """The fenced blocks of a document in docs/."""
    found, heading, lines = [], "", iter((CHECKOUT / "docs" / document).read_text().splitlines())
    for line in lines:
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("```"):
            body = "\n".join(iter(lines.__next__, "```"))
            found.append(Block(line.removeprefix("```"), heading, f"{body}\n"))
    return found


class Reader(NamedTuple):
    """Somebody who follows the documents, in a folder with a chart and its values."""

    machine: Workstation
    folder: Path
    unique: str
    app: App

    def own(self, text: str) -> str:
        """The text with the names of this test's namespaces."""
        names = "|".join(NAMESPACES)
        return re.sub(rf"(-n |namespace: |release:|staging-cluster/)({names})(?![\w-])", rf"\1{self.unique}-\2", text)

    def follow(self, all_blocks: list[Block]) -> None:
        """Write what is to be written, and run what is to be run; all of it must succeed."""
        for block in all_blocks:
            if block.language == "yaml" and block.text.startswith("# "):
                (self.folder / block.text.partition("\n")[0].removeprefix("# ")).write_text(self.own(block.text))
            elif block.language == "sh":
                for line in block.text.splitlines():
                    done = self.machine.run("sh", "-c", self.own(line), cwd=self.folder, timeout=300)
                    assert done.status == 0, f"{line}\n{done.stdout}{done.stderr}"

    def live(self) -> str:
        """The image that the Deployment of namespace web has."""
        path = "jsonpath={.spec.template.spec.containers[0].image}"
        return self.machine.kubectl("get", "deployment", "web", "-n", f"{self.unique}-web", "-o", path)

    def clean(self) -> None:
        """Take away what a recipe has deployed to namespace web."""
        namespace = f"{self.unique}-web"
        self.machine.run(self.machine.helm_binary, "uninstall", "web", "-n", namespace)
        self.machine.kubectl("delete", "deployments", "--all", "-n", namespace)


@pytest.fixture
def reader(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> Iterator[Reader]:
    """With helm, helmfile and kustomize on PATH, a context called staging-cluster, and git, which is not needed here."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "helm").symlink_to(in_cluster.helm_binary)
    for name in ("helmfile", "kustomize"):
        (programs / name).symlink_to(binary(name))
    config = json.loads(Path(in_cluster.env["KUBECONFIG"]).read_text())
    config["contexts"].append({**config["contexts"][0], "name": "staging-cluster"})
    (tmp_path / "config").write_text(json.dumps(config))
    path = f"{programs}:{in_cluster.env['PATH']}"
    machine = in_cluster.with_env(PATH=path, KUBECONFIG=str(tmp_path / "config"))
    app = apps.app(machine, cluster.registry, unique, tmp_path / "made")
    folder = tmp_path / "work"
    folder.mkdir()
    app.chart.rename(folder / "chart")
    for name in ("values.yaml", "prod.yaml"):
        (folder / name).write_text("replicas: 1\n")
    assert machine.run("git", "init", "-q", cwd=folder).status == 0
    with ExitStack() as stack:
        for name in NAMESPACES:
            stack.enter_context(own_namespace(in_cluster, cluster, f"{unique}-{name}", tmp_path / name))
        yield Reader(machine, folder, unique, app._replace(machine=machine))


def section(name: str) -> list[Block]:
    """The blocks of docs/gitops.md below a heading."""
    return [block for block in blocks("gitops.md") if block.heading == name]


@pytest.mark.parametrize(
    "name", ["Native values", "Rendered branch", "valuesFrom", "postRenderers", "helmfile", "Terraform", "Renovate"]
)
def test_a_recipe(reader: Reader, name: str) -> None:
    digest = reader.app.push("A")
    found = section(name)
    assert any(block.language == "sh" for block in found)
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
        done = reader.machine.run("sh", "-c", found[-1].text.splitlines()[0], cwd=reader.folder)
        assert done.status == 4
        lock.write_text(lock.read_text().replace(digest, newer))
        reader.follow(found[-1:])
    elif name == "helmfile":
        assert reader.app.image(digest) in (reader.folder / "rendered.yaml").read_text()
        assert json.loads(reader.machine.helm("list", "-n", f"{reader.unique}-web", "-o", "json")) == []
    else:
        assert reader.live() == reader.app.image(digest)


def test_the_plugin_of_argo_cd(reader: Reader) -> None:
    """What the sidecar runs, in the folder of the application."""
    [written] = section("Plugin sidecar")
    generate: Any = yaml.safe_load(written.text)["spec"]["generate"]
    digest = reader.app.push("A")
    assert reader.machine.pin("lock", "./chart", "-f", "values.yaml", cwd=reader.folder).status == 0
    reader.app.push("B")
    env = {"ARGOCD_APP_NAME": "web", "ARGOCD_APP_NAMESPACE": f"{reader.unique}-web", "KUBE_VERSION": "1.37"}
    command = [*generate["command"], *generate["args"]]
    done = reader.machine.with_env(**env).run(*command, cwd=reader.folder)
    assert done.status == 0, done.stderr
    assert reader.app.image(digest) in done.stdout


def test_promotion(reader: Reader) -> None:
    reader.follow(blocks("promotion.md"))
    path = "jsonpath={.spec.template.spec.containers[0].image}"
    images = {
        reader.machine.kubectl("get", "deployment", "web", "-n", f"{reader.unique}-{name}", "-o", path)
        for name in ("staging", "prod")
    }
    assert len(images) == 1 and "@sha256:" in images.pop()
