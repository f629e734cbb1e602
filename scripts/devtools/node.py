"""One real node for a cluster: kubelet, containerd and runc, which pull and run images from the cluster's registry.

For Linux, as root. Containers, mounts and pod network are undone by `stop`. The node is called localhost, so that the
API server finds the kubelet, which listens on loopback only.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from . import images
from .api import Cluster
from .binaries import Unavailable, cache, from_debian_all, locked
from .processes import Servers, free_ports


def programs() -> Path:
    """A folder with Debian's containerd, runc and network plugins, unpacked there once. Raises Unavailable."""
    if not Path("/proc/self").exists() or os.geteuid() != 0:
        raise Unavailable("a real node needs Linux and root: run it as root, or without --node")
    folder = cache() / "node-debian"
    with locked("node"):
        if not folder.exists():
            from_debian_all(folder, "containerd", "runc", "containernetworking-plugins")
    return folder


def runtime_folder(folder: Path) -> Path:
    """Where the sockets and mounts of a cluster's node are: short, because a socket's path may have 107 bytes only."""
    return Path("/run") / f"helm-pin-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"


def bridge_of(run: Path) -> str:
    """The name of the pod network's bridge: at most 15 bytes."""
    return f"hp{run.name[-8:]}"


def api_server_flags(folder: Path) -> list[str]:
    """What lets the API server read logs and run commands on the node: a certificate that the kubelet takes."""
    key, certificate = folder / "kubelet-client.key", folder / "kubelet-client.crt"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "365"]
    request += ["-subj", "/O=system:masters/CN=kube-apiserver", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(request, check=True, capture_output=True)
    key.chmod(0o600)
    return [
        f"--kubelet-client-certificate={certificate}",
        f"--kubelet-client-key={key}",
        "--kubelet-preferred-address-types=Hostname",
    ]


def start(cluster: Cluster, servers: Servers, kubelet: Path) -> None:
    """Start containerd and the kubelet of a cluster whose API server is ready. Raises Unavailable."""
    debian = programs()
    folder, run = Path(cluster.folder), runtime_folder(Path(cluster.folder))
    node = folder / "node"
    for needed in (node / "cni", run):
        needed.mkdir(parents=True)
    images.push(cluster.registry, "helm-pin/pause", "1")

    number = int(run.name[-4:], 16)
    (node / "cni" / "10-bridge.conflist").write_text(
        json.dumps(
            {
                "cniVersion": "0.4.0",
                "name": "helm-pin",
                "plugins": [
                    {
                        "type": "bridge",
                        "bridge": bridge_of(run),
                        "isGateway": True,
                        "ipam": {
                            "type": "host-local",
                            "dataDir": str(node / "ipam"),
                            "subnet": f"10.{200 + number % 50}.{number // 50 % 250}.0/24",
                        },
                    }
                ],
            }
        )
    )
    socket = run / "containerd.sock"
    config = node / "containerd.toml"
    config.write_text(
        f"""\
version = 2
root = "{node}/containerd"
state = "{run}/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{cluster.registry}/helm-pin/pause:1"
restrict_oom_score_adj = true
disable_apparmor = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{debian}/usr/lib/cni"
conf_dir = "{node}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "{debian}/usr/sbin/runc"
"""
    )
    path = f"{debian}/usr/bin:{debian}/usr/sbin:{os.environ['PATH']}"
    servers.start("containerd", [debian / "usr/bin/containerd", "--config", config], {"PATH": path})
    servers.await_ready("containerd", socket.exists)

    settings = node / "kubelet.yaml"
    settings.write_text(
        json.dumps(
            {
                "apiVersion": "kubelet.config.k8s.io/v1beta1",
                "kind": "KubeletConfiguration",
                "address": "127.0.0.1",
                "port": free_ports(1)[0],
                "healthzPort": 0,
                "authentication": {
                    "anonymous": {"enabled": False},
                    "x509": {"clientCAFile": str(folder / "kubelet-client.crt")},
                },
                "authorization": {"mode": "Webhook"},
                "containerRuntimeEndpoint": f"unix://{socket}",
                "cgroupDriver": "cgroupfs",
                "cgroupsPerQOS": False,
                "enforceNodeAllocatable": [],
                "failCgroupV1": False,
                "failSwapOn": False,
                "localStorageCapacityIsolation": False,
                "evictionHard": {"memory.available": "1Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
                "serializeImagePulls": False,
                "volumePluginDir": str(node / "volume-plugins"),
                "podLogsDir": str(node / "pod-logs"),
            }
        )
    )
    servers.start(
        "kubelet",
        [kubelet, f"--config={settings}", f"--kubeconfig={cluster.kubeconfig}", "--hostname-override=localhost"]
        + [f"--root-dir={node}/kubelet", f"--cert-dir={node}/certs"],
        {"PATH": path},
    )


def stop(folder: Path) -> list[str]:
    """End the kubelet, containerd and every container; undo mounts and network. The names of those that ran.

    Containers outlive containerd, also one that was killed, so they are ended without its help.
    """
    run = runtime_folder(folder)
    ended = Servers(folder).stop("kubelet", "containerd")
    runc = [str(cache() / "node-debian/usr/sbin/runc"), "--root", "/run/containerd/runc/k8s.io"]
    listed = subprocess.run([*runc, "list", "--format", "json"], capture_output=True, text=True, check=False)
    for container in json.loads(listed.stdout or "null") or []:
        if container["bundle"].startswith(f"{run}/"):
            subprocess.run([*runc, "delete", "--force", container["id"]], capture_output=True, check=False)
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            command = (process / "cmdline").read_bytes().split(b"\0")
            if command[0].endswith(b"/containerd-shim-runc-v2") and f"{run}/containerd.sock".encode() in command:
                os.kill(int(process.name), signal.SIGKILL)
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounted if m.startswith((f"{folder}/", f"{run}/"))), reverse=True):
        subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)
    with suppress(FileNotFoundError):
        subprocess.run(["ip", "link", "delete", bridge_of(run)], capture_output=True, check=False)
    for log in Path("/var/log/containers").glob("*.log"):
        if log.is_symlink() and str(log.readlink()).startswith(f"{folder}/"):
            log.unlink()
    shutil.rmtree(run, ignore_errors=True)
    return ended
