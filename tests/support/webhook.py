"""A real mutating webhook: an HTTPS server that an API server asks, and its configuration."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from scripts.devtools.api import Cluster
from tests.support.tls import Authority

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


@contextmanager
def image_changer(
    cluster: Cluster, folder: Path, namespace: str, kinds: dict[str, str], image: str, group: str = "apps"
) -> Iterator[str]:
    """Give the first container of objects of a namespace another image. kinds: {resource: JSON pointer to its pod spec}, in the
    core API group or the one given.

    Yields the name of the configuration.
    """
    authority = Authority(folder, "webhook-authority")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.sign("webhook", "127.0.0.1"))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
            pointer = kinds[asked["resource"]["resource"]]
            patch = [{"op": "replace", "path": f"{pointer}/containers/0/image", "value": image}]
            response = {"uid": asked["uid"], "allowed": True, "patchType": "JSONPatch"}
            response["patch"] = base64.b64encode(json.dumps(patch).encode()).decode()
            body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    name = f"changer-{namespace}"
    rules = [
        {"apiGroups": ["", group], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": list(kinds)}
    ]
    webhook = {
        "name": "images.example.com",
        "clientConfig": {
            "url": f"https://127.0.0.1:{server.server_port}/",
            "caBundle": base64.b64encode(authority.file.read_bytes()).decode(),
        },
        "rules": rules,
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    try:
        cluster.api("POST", CONFIGURATIONS, {"metadata": {"name": name}, "webhooks": [webhook]})
        yield name
    finally:
        cluster.api("DELETE", f"{CONFIGURATIONS}/{name}")
        server.shutdown()
        server.server_close()
