"""Which Secrets a render's pods pull with."""

import base64
import json
from typing import Any

import pytest

from helmpin.cluster import pull_secrets as pullsecrets
from helmpin.errors import HelmFailed
from helmpin.image.documents import read
from helmpin.registry.types import RegistrySettings

RENDER = """\
---
# Source: web/templates/a.yaml
kind: Deployment
metadata: {name: a}
spec: {template: {spec: {imagePullSecrets: [{name: mine}], containers: [{name: a, image: x.example/a}]}}}
---
# Source: web/templates/b.yaml
kind: Job
metadata: {name: b}
spec: {template: {spec: {serviceAccountName: robot, containers: [{name: b, image: x.example/b}]}}}
---
# Source: web/templates/c.yaml
kind: Pod
metadata: {name: c}
spec: {containers: [{name: c, image: x.example/c}]}
"""


class Cluster:
    """Answers what the API server would, and remembers what was asked."""

    namespace = "ns"

    def __init__(self, secrets: dict[str, Any]) -> None:
        self.secrets = secrets
        self.asked: list[list[str]] = []

    def items(self, args: list[str], names: list[str]) -> list[dict[str, Any]]:
        self.asked.append([*args, *names])
        if args[0] == "serviceaccounts":
            return [{"imagePullSecrets": [{"name": "of-robot"}]}]
        return [{"metadata": {"name": n}, "data": d} for n, d in self.secrets.items() if n in names]


def docker(host: str, user: str) -> dict[str, str]:
    auth = base64.b64encode(f"{user}:secret".encode()).decode()
    text = json.dumps({"auths": {host: {"auth": auth}}})
    return {".dockerconfigjson": base64.b64encode(text.encode()).decode()}


def test_a_pods_own_secrets_and_those_of_its_service_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    cluster = Cluster({"mine": docker("x.example", "me"), "of-robot": docker("y.example", "robot"), "other": {}})
    keychain = pullsecrets.keychain(read(RENDER), cluster, RegistrySettings())  # type: ignore[arg-type]
    assert cluster.asked[0] == ["serviceaccounts", "--ignore-not-found", "default", "robot"]
    assert cluster.asked[1] == ["secrets", "--ignore-not-found", "mine", "of-robot"]
    assert len(list(keychain.find("x.example", "a"))) == 1
    assert len(list(keychain.find("y.example", "b"))) == 1
    assert not list(keychain.find("z.example", "c"))


def test_a_secret_that_holds_no_configuration_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    cluster = Cluster({"mine": {".dockerconfigjson": "bm90IEpTT04="}})
    with pytest.raises(HelmFailed) as caught:
        pullsecrets.keychain(read(RENDER), cluster, RegistrySettings())  # type: ignore[arg-type]
    assert caught.value.where == ["Secret/mine"]


@pytest.mark.parametrize(
    "odd",
    [
        "kind: ServiceAccount\nimagePullSecrets: 7",
        "kind: ServiceAccount\nmetadata: x\nimagePullSecrets: [7, {name: }, {}]",
        "kind: Secret\nmetadata: []\ndata: .dockerconfigjson",
        "- .dockerconfigjson",
        "kind: Pod\nspec: {imagePullSecrets: {name: x}, containers: [7]}",
    ],
)
def test_odd_objects_in_a_render(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, odd: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    render = read(f"---\n# Source: web/templates/odd.yaml\n{odd}\n{RENDER}")
    cluster = Cluster({"mine": docker("x.example", "me")})
    keychain = pullsecrets.keychain(render, cluster, RegistrySettings())  # type: ignore[arg-type]
    assert len(list(keychain.find("x.example", "a"))) == 1
