"""--pull-secrets on a real API server, in front of a registry that wants a password: what the kubelet would pull with."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import registry_servers
from tests.support.registry_servers import PASSWORD, USER, Server
from tests.support.workstation import Finished, Workstation, whichever_helm

POD = (
    "apiVersion: v1\nkind: Pod\nmetadata: {{name: app}}\nspec: {{{spec}containers: [{{name: app, image: {image}}}]}}\n"
)
CHARTS_OWN = """\
apiVersion: v1
kind: ServiceAccount
metadata: {{name: robot}}
imagePullSecrets: [{{name: own}}]
---
apiVersion: v1
kind: Secret
metadata: {{name: own}}
type: kubernetes.io/dockerconfigjson
{data}
"""
REFUSED = "user failed to authenticate"
"""What the registry's log says of a wrong password."""
Plan = Callable[..., Finished]
pytestmark = whichever_helm


@pytest.fixture
def digest(private_registry: Server, unique: str) -> str:
    """Of the image that the chart runs."""
    return private_registry.push_image(f"{unique}/app", "v1")[0]


@pytest.fixture
def plan(in_cluster: Workstation, private_registry: Server, unique: str, tmp_path: Path) -> Plan:
    """Runs `helm pin plan app CHART -o json ARGS` with a chart of one pod; spec: more of its spec. other: more manifests."""

    def run(*args: str, spec: str = "", other: str = "") -> Finished:
        templates = tmp_path / "chart" / "templates"
        templates.mkdir(parents=True)
        (templates.parent / "Chart.yaml").write_text("apiVersion: v2\nname: app\nversion: 1.0.0\n")
        image = f"{private_registry.host}/{unique}/app:v1"
        (templates / "pod.yaml").write_text(POD.format(spec=spec and f"{spec}, ", image=image))
        (templates / "other.yaml").write_text(other)
        return in_cluster.pin("plan", "app", templates.parent, "-o", "json", *args)

    return run


def config(key: str, password: str = PASSWORD) -> str:
    return registry_servers.docker_config({key: (USER, password)})


def store(machine: Workstation, folder: Path, name: str, text: str) -> None:
    """Put a pull Secret into the namespace."""
    (folder / name).write_text(text)
    kind = "--type=kubernetes.io/dockerconfigjson"
    machine.kubectl("create", "secret", "generic", name, kind, f"--from-file=.dockerconfigjson={folder / name}")


def resolved(done: Finished) -> list[str]:
    assert done.status == 0, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    return [image["digest"] for image in json.loads(done.stdout)["images"]]


def test_those_of_the_pod(
    in_cluster: Workstation, plan: Plan, private_registry: Server, digest: str, unique: str, tmp_path: Path
) -> None:
    """One after the other: that for the repository comes first, and is refused."""
    store(in_cluster, tmp_path, "pull", config(f"https://{private_registry.host}"))
    store(in_cluster, tmp_path, "old", config(f"{private_registry.host}/{unique}", "an old password"))
    assert private_registry.log is not None
    before = private_registry.log.read_text().count(REFUSED)
    spec = "imagePullSecrets: [{name: pull}, {name: old}]"
    assert resolved(plan("--pull-secrets", spec=spec)) == [digest]
    assert private_registry.log.read_text().count(REFUSED) > before


@pytest.mark.parametrize("account", ["robot", "default"])
def test_that_of_the_service_account(
    in_cluster: Workstation, plan: Plan, private_registry: Server, digest: str, tmp_path: Path, account: str
) -> None:
    store(in_cluster, tmp_path, "pull", config(private_registry.host))
    if account == "robot":
        in_cluster.kubectl("create", "serviceaccount", "robot")
    else:  # a controller makes it, which this cluster may not have
        in_cluster.run("kubectl", "create", "serviceaccount", "default")
    in_cluster.kubectl("patch", "serviceaccount", account, "-p", '{"imagePullSecrets": [{"name": "pull"}]}')
    spec = "serviceAccountName: robot" if account == "robot" else ""
    assert resolved(plan("--pull-secrets", spec=spec)) == [digest]


def test_that_of_the_chart_itself(plan: Plan, private_registry: Server, digest: str) -> None:
    """Neither the service account nor its Secret is in the cluster before the first install."""
    value = base64.b64encode(config(private_registry.host).encode()).decode()
    other = CHARTS_OWN.format(data=f"data: {json.dumps({'.dockerconfigjson': value})}")
    assert resolved(plan("--pull-secrets", spec="serviceAccountName: robot", other=other)) == [digest]


@pytest.mark.usefixtures("digest")
def test_one_of_somebody_else_is_not_used(
    in_cluster: Workstation, plan: Plan, private_registry: Server, tmp_path: Path
) -> None:
    """Nor any when nobody asked for it."""
    store(in_cluster, tmp_path, "other", config(private_registry.host))
    done = plan("--pull-secrets", spec="imagePullSecrets: [{name: absent}]")
    assert done.status == 5 and "no credentials found" in done.stderr, done.stderr


@pytest.mark.usefixtures("digest")
def test_without_the_flag(in_cluster: Workstation, plan: Plan, private_registry: Server, tmp_path: Path) -> None:
    store(in_cluster, tmp_path, "pull", config(private_registry.host))
    done = plan(spec="imagePullSecrets: [{name: pull}]")
    assert done.status == 5 and "--pull-secrets" in done.stderr, done.stderr


@pytest.mark.usefixtures("digest")
def test_one_that_holds_junk(in_cluster: Workstation, plan: Plan, tmp_path: Path) -> None:
    store(in_cluster, tmp_path, "pull", '{"auths": {"x": {"auth": "s3cr3t"}}}')
    done = plan("--pull-secrets", spec="imagePullSecrets: [{name: pull}]")
    assert done.status == 1 and "Secret/pull" in done.stderr, done.stderr
    assert "s3cr3t" not in done.stderr
