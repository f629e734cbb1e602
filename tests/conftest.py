"""What tests of every kind ask for: real helms, registries and a cluster, all on loopback and free ports."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from scripts.devtools import cluster as local
from scripts.devtools.binaries import binary
from scripts.devtools.cluster import Cluster
from tests.support.registry_servers import HTPASSWD, PASSWORD, USER, Server, basic, distribution
from tests.support.workstation import Workstation, install

HELMS = ("helm3", "helm4")
_numbers = itertools.count(1)


@pytest.fixture(scope="session", params=HELMS)
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Workstation:
    """A machine with the plugin installed, once for each helm; tests share its homes."""
    return install(binary(request.param), tmp_path_factory.mktemp(request.param))


@pytest.fixture
def workstation(installed: Workstation) -> Workstation:
    """Helm 3, then Helm 4, with the plugin and without a cluster."""
    return installed


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A registry that anybody may use, for all tests: use a repository of your own (`unique`)."""
    with distribution(tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.fixture(scope="session")
def private_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A registry that wants the USER and PASSWORD of registry_servers."""
    folder = tmp_path_factory.mktemp("private")
    (folder / "htpasswd").write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "private", "path": str(folder / "htpasswd")}}
    with distribution(folder, auth=auth, headers={"Authorization": basic(USER, PASSWORD)}) as server:
        yield server


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A control plane with kwok's node, from when the first test asks until the last test is done."""
    name = f"test-{os.getpid()}"
    try:
        yield local.up(name)
    finally:
        local.down(name)


@pytest.fixture
def unique() -> str:
    """A name that no other test has, for a namespace or a repository."""
    return f"t{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def namespace(cluster: Cluster, unique: str) -> Iterator[str]:
    """A namespace of the test's own, which goes away afterwards."""
    cluster.api("POST", "/api/v1/namespaces", {"metadata": {"name": unique}})
    yield unique
    cluster.api("DELETE", f"/api/v1/namespaces/{unique}")


@pytest.fixture
def in_cluster(
    workstation: Workstation, cluster: Cluster, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Workstation:
    """Helm 3, then Helm 4, with the plugin, in a namespace of the test's own: helm and kubectl use it by themselves."""
    kubeconfig = tmp_path_factory.mktemp("kube") / "config"
    cluster.write_kubeconfig(kubeconfig, namespace)
    return workstation.with_env(KUBECONFIG=str(kubeconfig))
