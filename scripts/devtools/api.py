"""A cluster that is up, and how its API server is asked."""

from __future__ import annotations

import io
import json
import ssl
import threading
import urllib.error
from contextlib import suppress
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any, NamedTuple

AUTHORITY = "certs/apiserver.crt"
"""The certificate that the API server makes for itself, in the cluster's folder."""


class _Mine(threading.local):
    """The thread's connections, by folder and server: to make one costs ten times what a request does. Mutable."""

    def __init__(self) -> None:
        self.connections: dict[tuple[str, str], HTTPSConnection] = {}


_mine = _Mine()


class Cluster(NamedTuple):
    """A cluster that is up."""

    name: str
    folder: str
    """Where its state, logs and data are."""
    server: str
    """The API server's URL."""
    token: str
    """A bearer token of system:masters."""
    kubeconfig: str
    registry: str
    """host:port of the registry, plain HTTP, deletes allowed."""
    node: bool
    """Whether its node is a real one."""
    bare: bool
    """Whether it only keeps objects and images: no controllers, no node, no pods."""

    @property
    def env(self) -> dict[str, str]:
        """The environment in which kubectl, helm and the demo use this cluster."""
        return {"KUBECONFIG": self.kubeconfig, "HELM_PIN_DEMO_REGISTRY": self.registry}

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask the API server; the answer's JSON. Raises urllib.error.HTTPError, or URLError if there is none."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = json.dumps(body).encode() if body is not None else None
        try:
            response, text = self._answer(method, path, data, headers)
        except (OSError, HTTPException) as error:
            raise urllib.error.URLError(error) from error
        if response.status >= 400:
            url, words = self.server + path, io.BytesIO(text)
            raise urllib.error.HTTPError(url, response.status, response.reason, response.headers, words)
        return json.loads(text)

    def _answer(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[HTTPResponse, bytes]:
        where = (self.folder, self.server)

        def answer(connection: HTTPSConnection) -> tuple[HTTPResponse, bytes]:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            text = response.read()
            _mine.connections[where] = connection
            return response, text

        if kept := _mine.connections.pop(where, None):
            with suppress(ConnectionError, ssl.SSLError, HTTPException):  # the server has closed it meanwhile
                return answer(kept)
            kept.close()
        host = self.server.removeprefix("https://")
        return answer(HTTPSConnection(host, timeout=30, context=tls(Path(self.folder))))

    def write_kubeconfig(self, path: Path, namespace: str = "default") -> None:
        """Write a kubeconfig with one context, of that namespace. JSON is YAML."""
        context = f"helm-pin-{self.name}"
        authority = str(Path(self.folder) / AUTHORITY)
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "clusters": [{"name": context, "cluster": {"server": self.server, "certificate-authority": authority}}],
            "users": [{"name": context, "user": {"token": self.token}}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": context, "namespace": namespace}}],
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(config, indent=1))


def tls(folder: Path) -> ssl.SSLContext:
    """What trusts that cluster's API server."""
    return ssl.create_default_context(cafile=str(folder / AUTHORITY))
