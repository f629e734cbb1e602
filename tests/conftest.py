"""What tests of every kind ask for: real helms, registries and a cluster, all on loopback and free ports."""

from __future__ import annotations

import gc
import importlib
import itertools
import os
import pkgutil
import signal
import sys
import threading
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest

import helmpin
from scripts.devtools import cluster as local
from scripts.devtools.api import Cluster
from scripts.devtools.binaries import binary, cache, locked
from scripts.devtools.processes import birth
from tests.support.any_tag import AnyTag, any_tag
from tests.support.budget import EXAMPLES, LONG, examples
from tests.support.promise import Promise
from tests.support.registry_servers import HTPASSWD, PASSWORD, USER, Server, basic, distribution
from tests.support.workstation import Workstation, install

gc.disable()  # until all tests are read; see pytest_collection_finish

# Reading the tests is mostly rewriting their assertions, by each process anew where none of it is kept.
sys.pycache_prefix, sys.dont_write_bytecode = str(cache() / "compiled"), False

# A shell starts what runs in its background with these ignored, and children inherit that: the tests send them.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)

# A busy machine is no defect of what is tested. The same examples each time, others in a long run: see support/budget.py.
hypothesis.settings.register_profile(
    "here",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize=not (LONG or EXAMPLES),
    database=None,
    max_examples=examples(100),
)
hypothesis.settings.load_profile("here")

HELMS = tuple(os.environ.get("HELM_PIN_TEST_HELMS", "helm3 helm4").split())
"""scripts/matrix names others."""
DRIVER = os.environ.get("HELM_PIN_TEST_DRIVER", "")
"""Where helm stores the releases of `in_cluster`; '' for its default."""
STARTED_BY_HELM = frozenset({"test_deployment_faults", "test_interruptions", "test_main_job", "test_rollback"})
"""Modules whose `helm pin` is helm's own start of the plugin, unless any Helm will do; a long run starts all so."""
OF_ALL_NAMESPACES = frozenset({"test_audit", "test_deploy_audit", "test_outdated", "test_recipes"})
"""Modules that look at all releases of a cluster."""
ON_NODE = frozenset({"test_demo", "test_deploy_lock", "test_node"})
"""Modules that run something on the real node."""
OWN_CLUSTERS = {f"testown-{os.getpid()}": OF_ALL_NAMESPACES, f"testnode-{os.getpid()}": ON_NODE}
"""The clusters that this process alone uses, each for some modules, which run one after the other."""
WORKLOADS = (
    *("apis/apps/v1/deployments", "apis/apps/v1/statefulsets", "apis/apps/v1/daemonsets", "apis/apps/v1/replicasets"),
    *("apis/batch/v1/cronjobs", "apis/batch/v1/jobs", "api/v1/pods", "api/v1/services"),
)
"""What costs a cluster something as long as it is there: controllers look at it, and it takes room on the node."""
FIRST = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
"""The process that started those which run the tests."""
SHARED = f"test-{FIRST}"
"""The cluster of this test run, which its first process ends."""
COUNTING = "COVERAGE_PROCESS_START" in os.environ
"""Whether scripts/test wants to print the branches that are taken."""
COUNTERS = (sys.gettrace(), threading.gettrace())
"""What counts in this process (coverage)."""
COUNTED = frozenset(
    {"test_life_crds", "test_life_upgrade", "test_deploy_lock", "test_main_job", "test_rollback", "test_verify"}
)
"""Modules whose forked runs are counted, on one Helm: they go through every command."""
_numbers = itertools.count(1)
_machines: dict[str, Workstation] = {}
"""Those made so far: pytest sets a session's fixture up again whenever its parameter changes."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Where tests run at once, those of a file stay together, and so do those of modules that share a cluster of their own."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return own_cluster_of(Path(file)) or file

    return ByFile(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """The mark of tests.support.workstation. What importing helm-pin runs is counted, reading the tests is not; from then on what
    `pytest_runtest_call` says."""
    config.addinivalue_line("markers", "whichever_helm: runs on one of the Helms")
    if COUNTING:
        for module in pkgutil.walk_packages(helmpin.__path__, "helmpin."):
            if module.name != "helmpin.__main__":
                importlib.import_module(module.name)
        count(None, None)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each Helm for a test that runs one, unless it names some itself."""
    named = any("helm_name" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if not named and "helm_name" in metafunc.fixturenames:
        metafunc.parametrize("helm_name", HELMS, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """As much time as a property takes where its examples are counted; and one Helm for each case of a test that any Helm will do
    for, drawn by the case's name, or by that of its class, whose tests share a machine (`shared_in_cluster`)."""
    for item in items:
        if EXAMPLES and isinstance(item, pytest.Function) and hypothesis.is_hypothesis_test(item.obj):
            item.add_marker(pytest.mark.timeout(0))
    if LONG:
        return
    cases: defaultdict[str, dict[str, pytest.Item]] = defaultdict(dict)
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("whichever_helm"):
            helm = str(item.callspec.params.get("helm_name", "")) if hasattr(item, "callspec") else ""
            cases[item.nodeid.replace(f"[{helm}", "[", 1)][helm] = item
    others = {
        item
        for case, on in cases.items()
        for shares in ["shared_in_cluster" in next(iter(on.values())).fixturenames]
        for name in [case.rpartition("::")[0] if shares else case]
        for drawn in [sorted(on)[zlib.crc32(name.encode()) % len(on)]]
        for helm, item in on.items()
        if helm != drawn
    }
    config.hook.pytest_deselected(items=list(others))
    items[:] = [item for item in items if item not in others]


def count(this: Any, threads: Any) -> None:
    """Trace with these from here on."""
    sys.settrace(this)
    threading.settrace(threads)


def pytest_collection_finish() -> None:
    """Collecting garbage leaves out the tests themselves: to walk through thousands of them each time takes a tenth of what the
    processes that run them compute."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Count the branches that a test takes in this process. The many examples of a property take the same ones, and would take
    half as long again."""
    is_property = isinstance(item, pytest.Function) and hypothesis.is_hypothesis_test(item.obj)
    if not COUNTING or is_property:
        return (yield)
    count(*COUNTERS)
    try:
        return (yield)
    finally:
        count(None, None)


@pytest.fixture(scope="session")
def helm_name(request: pytest.FixtureRequest) -> str:
    """Which Helm, as scripts.devtools.binaries names it."""
    return str(request.param)


@pytest.fixture(scope="session")
def installed(helm_name: str, tmp_path_factory: pytest.TempPathFactory) -> Workstation:
    """A machine with the plugin installed; tests share its homes."""
    if helm_name not in _machines:
        _machines[helm_name] = install(binary(helm_name), tmp_path_factory.mktemp(helm_name))
    return _machines[helm_name]


def as_started(installed: Workstation, node: pytest.Item | pytest.Collector) -> Workstation:
    """A machine on which `helm pin` starts as a test, or those of a class, want it."""
    module = node.path.stem
    is_any = node.get_closest_marker("whichever_helm") is not None
    return installed._replace(
        is_forked=not LONG and (is_any or module not in STARTED_BY_HELM),
        is_counted=COUNTING and module in COUNTED and installed.helm_binary == binary(HELMS[-1]),
    )


@pytest.fixture
def workstation(installed: Workstation, request: pytest.FixtureRequest) -> Workstation:
    """A Helm with the plugin and without a cluster: each in turn, or one (`whichever_helm`)."""
    return as_started(installed, request.node)


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


@pytest.fixture(scope="module")
def content() -> Iterator[AnyTag]:
    """What every registry holds."""
    with any_tag() as started:
        yield started


@pytest.fixture
def promise(workstation: Workstation, content: AnyTag) -> Promise:
    """The promise, on a Helm, with registries that hold every image."""
    content.one_image, content.missing = set(), set()
    return Promise(workstation, content)


def own_cluster_of(path: Path | None) -> str:
    """The name of the cluster that a module has for itself, or ''."""
    return next((name for name, modules in OWN_CLUSTERS.items() if path and path.stem in modules), "")


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """A cluster that is up takes processor time, even if nobody uses it."""
    own = own_cluster_of(item.path)
    if own and own != own_cluster_of(nextitem and nextitem.path):
        local.down(own)


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """A control plane with kwok's node, for all that run tests, from when the first asks until the last test is done."""
    if request.path.stem in OF_ALL_NAMESPACES:
        end_what_killed_runs_left("testown")
        return local.up(own_cluster_of(request.path))
    return shared_cluster()


def shared_cluster() -> Cluster:
    """The cluster of this test run, which its first process ends."""
    end_what_killed_runs_left("test")
    return local.up(SHARED)


@pytest.fixture(scope="module")
def node_cluster(request: pytest.FixtureRequest) -> Cluster:
    """A control plane with one real node, which pulls images (scripts.devtools.images makes some) and runs them."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a real node (kubelet, containerd, runc) needs Linux and root")
    end_what_killed_runs_left("testnode")
    return local.up(own_cluster_of(request.path), node=True)


def new_name() -> str:
    """A name that nothing else of this run has, for a namespace or a repository."""
    return f"t{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def unique() -> str:
    """A name that no other test has, for a namespace or a repository."""
    return new_name()


@pytest.fixture
def in_cluster(workstation: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> Iterator[Workstation]:
    """As `workstation`, in a namespace (`unique`) that helm and kubectl use by themselves."""
    with own_namespace(workstation, cluster, unique, tmp_path / "kubeconfig") as machine:
        yield machine.with_env(HELM_DRIVER=DRIVER) if DRIVER else machine


@pytest.fixture(scope="class")
def shared_unique(helm_name: str) -> str:  # noqa: ARG001 (another one for another Helm)
    """As `unique`, for all tests of a class."""
    return new_name()


@pytest.fixture(scope="class")
def shared_in_cluster(
    installed: Workstation,
    cluster: Cluster,
    shared_unique: str,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Workstation]:
    """As `in_cluster`, for all tests of a class (its namespace is `shared_unique`): what is deployed once, all may look at."""
    kubeconfig = tmp_path_factory.mktemp("shared") / "kubeconfig"
    machine = as_started(installed, request.node)
    with own_namespace(machine, cluster, shared_unique, kubeconfig) as made:
        yield made.with_env(HELM_DRIVER=DRIVER) if DRIVER else made


@pytest.fixture
def on_node(workstation: Workstation, node_cluster: Cluster, unique: str, tmp_path: Path) -> Iterator[Workstation]:
    """As `in_cluster`, on the real node."""
    with own_namespace(workstation, node_cluster, unique, tmp_path / "kubeconfig") as machine:
        yield machine


@contextmanager
def cluster_for_tests(kind: str, *, bare: bool = False) -> Iterator[Cluster]:
    """A cluster of this process."""
    end_what_killed_runs_left(kind)
    name = f"{kind}-{os.getpid()}"
    try:
        yield local.up(name, bare=bare)
    finally:
        local.down(name)


def end_what_killed_runs_left(kind: str) -> None:
    """Nobody uses a cluster that is named for a process that is no more."""
    for left in local.names():
        left_by, _, pid = left.rpartition("-")
        if left_by == kind and birth(int(pid)) is None:
            with locked("cluster"):  # another run may have found it too
                local.down(left)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """All tests are done."""
    if os.getpid() == FIRST and SHARED in local.names():
        local.down(SHARED)


@contextmanager
def own_namespace(machine: Workstation, cluster: Cluster, name: str, kubeconfig: Path) -> Iterator[Workstation]:
    """A machine whose kubeconfig names that cluster and a namespace of its own, which is deleted at the end.

    In the shared cluster, where no test looks at all namespaces, only its workloads are: to delete a namespace, the control plane
    goes through every kind that the API server has, which costs it twice as much.
    """
    cluster.api("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    cluster.write_kubeconfig(kubeconfig, name)
    try:
        yield machine.with_env(KUBECONFIG=str(kubeconfig))
    finally:
        if cluster.name == SHARED:
            for kind in WORKLOADS:
                api, _, plural = kind.rpartition("/")
                cluster.api("DELETE", f"/{api}/namespaces/{name}/{plural}?propagationPolicy=Background")
        else:
            for kind in (
                "secrets",
                "configmaps",
            ):  # the namespace goes after a while, and the next test may list all releases
                cluster.api("DELETE", f"/api/v1/namespaces/{name}/{kind}?labelSelector=owner%3Dhelm")
            cluster.api("DELETE", f"/api/v1/namespaces/{name}")
