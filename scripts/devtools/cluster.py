"""A real Kubernetes control plane with a registry, on loopback and free ports, for the demo, the tests and by hand.

Nodes are kwok's, which runs pods of any image at once and pulls none; with --node there is one real node (node.py).
"""

from __future__ import annotations

import argparse
import json
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from . import node as real
from . import registry
from .api import AUTHORITY, Cluster, tls
from .binaries import Unavailable, announce, binaries, cache, locked, say, tools
from .processes import Servers, answers, free_ports

STORE = ("kube-apiserver", "etcd", "registry")
"""What keeps objects and images."""
CONTROLLERS = ("kube-controller-manager", "kube-scheduler")
NAME = "default"


def folder_of(name: str) -> Path:
    """Where a cluster of that name keeps its state."""
    return cache() / "clusters" / name


def names() -> list[str]:
    """The names of the clusters that have state here, up or not."""
    folder = cache() / "clusters"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def find(name: str = NAME) -> Cluster | None:
    """The cluster of that name, when all of it runs."""
    folder = folder_of(name)
    try:
        cluster = Cluster(**json.loads((folder / "cluster.json").read_text()))
    except OSError:
        return None
    servers = Servers(folder)
    return cluster if all(servers.pid(server) for server in servers) else None


def needed(*, node: bool = False, bare: bool = False) -> tuple[str, ...]:
    """The programs of a cluster, as scripts.devtools.binaries names them."""
    return STORE if bare else (*STORE, *CONTROLLERS, "kubelet" if node else "kwok")


def up(name: str = NAME, *, node: bool = False, bare: bool = False) -> Cluster:
    """The cluster of that name, started if it is not up. Raises Unavailable when a part cannot be had or started."""
    wanted = needed(node=node, bare=bare)
    announce([*wanted, "kubectl"])
    parts = binaries(wanted)
    tools("kubectl")
    with locked("cluster"):  # one at a time: ports are free only until somebody takes them
        cluster = find(name)
        if cluster and (cluster.node, cluster.bare) == (node, bare):
            return cluster
        if folder_of(name).exists():
            down(name)
        for attempt in (1, 2, 3):
            try:
                return start(name, node, bare, parts)
            except Unavailable as error:
                down(name, keep_logs=True)
                if attempt == 3 or "address already in use" not in str(error):
                    raise
            except BaseException:
                down(name)
                raise
    raise AssertionError("not reached")


def start(name: str, node: bool, bare: bool, parts: dict[str, Path]) -> Cluster:
    """Start every part of a new cluster, each as soon as what it needs is ready."""
    folder = folder_of(name)
    folder.mkdir(parents=True, exist_ok=True)
    servers = Servers(folder)
    etcd_port, peer_port, api_port, kwok_port = free_ports(4)
    began = time.monotonic()
    say(f"starting {name}: {', '.join(parts)} …")

    etcd = f"http://127.0.0.1:{etcd_port}"
    peer = f"http://127.0.0.1:{peer_port}"
    servers.start(
        "etcd",
        [parts["etcd"], "--data-dir", folder / "etcd", "--log-level=warn", "--unsafe-no-fsync"]
        + [f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}"]
        + [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}"],
    )
    address = registry.start(servers, data=folder / "images")

    key, token = folder / "service-accounts.key", secrets.token_hex(16)
    make_key(key)
    (folder / "tokens.csv").touch(mode=0o600)
    (folder / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
    servers.await_ready("etcd", lambda: answers(f"{etcd}/health"))
    server = f"https://127.0.0.1:{api_port}"
    servers.start(
        "kube-apiserver",
        [parts["kube-apiserver"], f"--etcd-servers={etcd}", "--bind-address=127.0.0.1", f"--secure-port={api_port}"]
        + [f"--cert-dir={folder}/certs", f"--token-auth-file={folder}/tokens.csv", "--authorization-mode=RBAC"]
        + ["--service-cluster-ip-range=10.96.0.0/16", f"--service-account-issuer={server}", "--allow-privileged"]
        + [f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}"]
        + [
            "--enable-priority-and-fairness=false"
        ]  # with one user there is nothing to be fair about, and it is never idle
        + (real.api_server_flags(folder) if node else ["--endpoint-reconciler-type=none"]),
    )
    kubeconfig = folder / "kubeconfig"
    authority = folder / AUTHORITY
    servers.await_ready("kube-apiserver", lambda: authority.exists() and authority.stat().st_size > 0)
    cluster = Cluster(name, str(folder), server, token, str(kubeconfig), address, node, bare)
    cluster.write_kubeconfig(kubeconfig)
    servers.await_ready("kube-apiserver", lambda: answers(f"{server}/readyz", tls(folder), token))
    if not bare:
        start_controllers(cluster, servers, parts, kwok_port)
    (folder / "cluster.json").write_text(json.dumps(cluster._asdict()))
    say(f"cluster {name} is up after {time.monotonic() - began:.1f} s")
    return cluster


def start_controllers(cluster: Cluster, servers: Servers, parts: dict[str, Path], kwok_port: int) -> None:
    """Start what makes pods of objects, and a node that runs them."""
    folder = Path(cluster.folder)
    servers.start(
        "kube-controller-manager",
        [
            parts["kube-controller-manager"],
            f"--kubeconfig={cluster.kubeconfig}",
            "--leader-elect=false",
            "--secure-port=0",
        ]
        + [f"--service-account-private-key-file={folder}/service-accounts.key", f"--root-ca-file={folder}/{AUTHORITY}"]
        + ["--kube-api-qps=200", "--kube-api-burst=400"],
    )
    servers.start(
        "kube-scheduler",
        [parts["kube-scheduler"], f"--kubeconfig={cluster.kubeconfig}", "--leader-elect=false", "--secure-port=0"]
        + ["--kube-api-qps=200", "--kube-api-burst=400"],
    )
    if cluster.node:
        real.start(cluster, servers, parts["kubelet"])
        servers.await_ready("kubelet", lambda: node_is_ready(cluster), 90)
    else:
        servers.start(
            "kwok",
            [
                parts["kwok"],
                f"--kubeconfig={cluster.kubeconfig}",
                "--manage-all-nodes",
                "--node-lease-duration-seconds=40",
            ]
            + [f"--server-address=127.0.0.1:{kwok_port}", "--node-ip=127.0.0.1", f"--node-port={kwok_port}"]
            + ["--cidr=10.244.0.0/16"],
        )
        cluster.api("POST", "/api/v1/nodes", kwok_node("kwok-0"))
        servers.await_ready("kwok", lambda: node_is_ready(cluster))
    servers.await_ready("kube-controller-manager", lambda: has_default_account(cluster))


def down(name: str = NAME, *, keep_logs: bool = False) -> list[str]:
    """End what `up` started for that name, and remove its state; the names of the servers that ran."""
    folder = folder_of(name)
    if not folder.exists():
        return []
    ended = real.stop(folder) if (folder / "node").exists() else []
    ended += Servers(folder).stop(by=signal.SIGKILL)  # what they would keep in order is removed
    for path in folder.iterdir():
        if not (keep_logs and path.suffix == ".log"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not keep_logs:
        folder.rmdir()
    return ended


def make_key(path: Path) -> None:
    """A private key that signs service account tokens."""
    if not shutil.which("openssl"):
        raise Unavailable("openssl is needed to make a key and was not found: install it (Debian: apt install openssl)")
    subprocess.run(["openssl", "genrsa", "-out", str(path), "2048"], check=True, capture_output=True)
    path.chmod(0o600)


def kwok_node(name: str) -> dict[str, Any]:
    """A node that kwok plays."""
    size = {"cpu": "1000", "memory": "1Ti", "pods": "100000"}
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"allocatable": size, "capacity": size},
    }


def node_is_ready(cluster: Cluster) -> bool:
    """Whether a node is ready to run pods."""
    nodes = cluster.api("GET", "/api/v1/nodes")["items"]
    conditions = [condition for node in nodes for condition in node["status"].get("conditions", [])]
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def has_default_account(cluster: Cluster) -> bool:
    """Whether the controllers have made the default service account, without which no pod is admitted."""
    accounts = cluster.api("GET", "/api/v1/namespaces/default/serviceaccounts")["items"]
    return any(account["metadata"]["name"] == "default" for account in accounts)


def main(argv: list[str] | None = None) -> int:
    """scripts/cluster; returns its exit status."""
    parser = argparse.ArgumentParser(prog="scripts/cluster", description="A real local cluster, on loopback.")
    parser.add_argument("command", choices=["up", "down", "status", "env"], help="env prints shell exports for `eval`")
    parser.add_argument("--name", default=NAME, help="several can be up at once (default: %(default)s)")
    parser.add_argument("--node", action="store_true", help="up: a real node (kubelet, containerd, runc), not kwok's")
    args = parser.parse_args(argv)
    if not args.name.replace("-", "").isalnum():
        parser.error(f"--name {args.name}: letters, digits and - only")
    try:
        if args.command == "up":
            cluster = up(args.name, node=args.node)
            print(f"kubeconfig  {cluster.kubeconfig}\nregistry    {cluster.registry}")
        elif args.command == "down":
            with locked("cluster"):
                ended = down(args.name)
            say(f"ended {', '.join(ended)}" if ended else f"cluster {args.name} was not up")
        elif args.command == "status":
            return status(args.name)
        else:
            return environment(args.name)
    except Unavailable as error:
        print(f"scripts/cluster: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def status(name: str) -> int:
    """Print what runs; 0 when all of it does."""
    servers = Servers(folder_of(name))
    for server in servers:
        print(f"{server:24} {pid if (pid := servers.pid(server)) else 'ended, see ' + str(servers.log(server))}")
    cluster = find(name)
    if not cluster:
        print(f"cluster {name} is not up")
        return 1
    print(f"{'kubeconfig':24} {cluster.kubeconfig}\n{'registry':24} {cluster.registry}")
    return 0


def environment(name: str) -> int:
    """Print shell exports for a cluster that is up."""
    cluster = find(name)
    if not cluster:
        print(f"scripts/cluster: error: cluster {name} is not up: scripts/cluster up --name {name}", file=sys.stderr)
        return 1
    for key, value in cluster.env.items():
        print(f"export {key}={shlex.quote(value)}")
    print(f'export PATH={shlex.quote(str(tools()))}:"$PATH"')
    return 0
