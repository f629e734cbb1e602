"""Real registries for tests: started on loopback from a real program, filled by their own protocol."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from scripts.devtools.binaries import RECIPES, Recipe, binary, from_debian
from tests.support.go_program import go_program

RECIPES.setdefault(
    "docker-registry",
    Recipe("docker-registry-debian", "10 s", from_debian("docker-registry", "usr", "bin", "docker-registry")),
)

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
USER, PASSWORD = "puller", "pull-me"
HTPASSWD = f"{USER}:$2b$04$Jzw3vFLxwXZnSddA4WyvrOQ3M8FvA6f9t./v2WUXo2kce/tg5Y7Xe\n"
"""bcrypt of PASSWORD, at the lowest cost."""


class Server(NamedTuple):
    """A running registry."""

    host: str
    """127.0.0.1:PORT, or [::1]:PORT."""
    scheme: str = "http"
    headers: Mapping[str, str] = {}
    """What filling it needs."""
    context: Any = None
    log: Path | None = None

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One request, as it stands."""
        url = path if "://" in path else f"{self.scheme}://{self.host}{path}"
        asked = urllib.request.Request(url, body, {**self.headers, **headers}, method=method)
        with urllib.request.urlopen(asked, timeout=10, context=self.context) as answer:
            return answer.status, answer.headers, answer.read()

    def push_blob(self, repository: str, content: bytes) -> str:
        """Store a blob; returns its digest (OCI distribution specification, end-4b)."""
        digest = sha256(content)
        _, headers, _ = self.request("POST", f"/v2/{repository}/blobs/uploads/", b"")
        location = headers["Location"]
        self.request(
            "PUT",
            location + ("&" if "?" in location else "?") + f"digest={digest}",
            content,
            {"Content-Type": "application/octet-stream"},
        )
        return digest

    def push_manifest(self, repository: str, tag: str, document: Mapping[str, Any] | bytes, media_type: str) -> str:
        """Store a manifest; returns its digest."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.request("PUT", f"/v2/{repository}/manifests/{tag}", body, {"Content-Type": media_type})
        return sha256(body)

    def push_image(
        self, repository: str, tag: str, *, salt: str = "", docker: bool = False, platform: str = "linux/amd64"
    ) -> tuple[str, str]:
        """Store a small image; returns the digests of its manifest and its configuration."""
        system, architecture = platform.split("/")
        config = json.dumps(
            {"architecture": architecture, "os": system, "config": {"Labels": {"salt": salt or f"{repository}:{tag}"}}}
        ).encode()
        kinds = (
            (DOCKER_MANIFEST, "application/vnd.docker.container.image.v1+json")
            if docker
            else (OCI_MANIFEST, "application/vnd.oci.image.config.v1+json")
        )
        digest = self.push_blob(repository, config)
        described = {"mediaType": kinds[1], "size": len(config), "digest": digest}
        manifest = {"schemaVersion": 2, "mediaType": kinds[0], "config": described, "layers": []}
        return self.push_manifest(repository, tag, manifest, kinds[0]), digest

    def push_index(
        self, repository: str, tag: str, platforms: Mapping[str, str], *, docker: bool = False
    ) -> tuple[str, dict[str, tuple[str, str]]]:
        """Store an image for each platform (os/arch: salt) and an index of them.

        Returns the index's digest, and the digests of manifest and configuration by platform.
        """
        built = {
            name: self.push_image(repository, f"{tag}-{i}", salt=salt, docker=docker, platform=name)
            for i, (name, salt) in enumerate(platforms.items())
        }
        kinds = (DOCKER_LIST, DOCKER_MANIFEST) if docker else (OCI_INDEX, OCI_MANIFEST)
        children = [
            {
                "mediaType": kinds[1],
                "size": 1,
                "digest": digest,
                "platform": dict(zip(("os", "architecture"), name.split("/"), strict=True)),
            }
            for name, (digest, _) in built.items()
        ]
        return self.push_manifest(
            repository, tag, {"schemaVersion": 2, "mediaType": kinds[0], "manifests": children}, kinds[0]
        ), built


def sha256(content: bytes) -> str:
    """A digest."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def basic(user: str, password: str) -> str:
    """The value of Authorization."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def docker_config(entries: Mapping[str, tuple[str, str]], **more: Any) -> str:
    """A docker config.json with these (user, password) by key."""
    auths = {
        key: {"auth": b64encode(f"{user}:{password}".encode()).decode()} for key, (user, password) in entries.items()
    }
    return json.dumps({"auths": auths, **more})


def free_port() -> int:
    """A port of loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def distribution(
    folder: Path,
    program: str = "registry",
    *,
    auth: Mapping[str, Any] | None = None,
    tls: Mapping[str, Any] | None = None,
    proxy: str = "",
    address: str = "127.0.0.1",
    **server: Any,
) -> Iterator[Server]:
    """CNCF distribution (`registry`, 3.x) or Debian's docker-registry (2.8). auth, tls, proxy: as it is configured."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    config: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": host, "secret": "a secret of tests", **({"tls": dict(tls)} if tls else {})},
    }
    if auth:
        config["auth"] = auth
    if proxy:
        config["proxy"] = {"remoteurl": proxy}
    (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "REGISTRY_"))}
    with running(
        [str(binary(program)), "serve", str(folder / "config.yml")],
        folder,
        {**environ, "OTEL_TRACES_EXPORTER": "none"},
        (address, port),
    ):
        yield Server(host, "https" if tls else "http", log=folder / "log", **server)


@contextmanager
def crane_registry(folder: Path) -> Iterator[Server]:
    """go-containerregistry's own registry."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    environ = {**os.environ, "PORT": str(port)}
    command = [str(binary("crane")), "registry", "serve", "--address", f"127.0.0.1:{port}"]
    with running(command, folder, environ, ("127.0.0.1", port)):
        yield Server(f"127.0.0.1:{port}", log=folder / "log")


@contextmanager
def oci_server(folder: Path) -> Iterator[Server]:
    """The registry of CUE's Go library."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    with running([str(go_program("ociserver")), f"127.0.0.1:{port}"], folder, os.environ, ("127.0.0.1", port)):
        yield Server(f"127.0.0.1:{port}", log=folder / "log")


@contextmanager
def running(command: list[str], folder: Path, environ: Mapping[str, str], address: tuple[str, int]) -> Iterator[None]:
    """A server, from when its address answers until the end of the block. Its output is in `folder`/log."""
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, env=environ) as process:
        try:
            for _ in range(200):
                if process.poll() is not None:
                    raise RuntimeError(f"{command[0]} ended: {(folder / 'log').read_text()[-2000:]}")
                with suppress(OSError), socket.create_connection(address, 1):
                    break
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
