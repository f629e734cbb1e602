"""A stand-in for the content of every registry: any name has any tag, each with a digest of its own, and all tags can move at once.

For tests of charts, which need many images and no behaviour of a registry: that is tested with real ones.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.support.registry_servers import OCI_MANIFEST, sha256
from tests.support.strip import Reference


class AnyTag:
    """What the server answers. Ask it as the mirror of all hosts: `mirror` is the setting."""

    def __init__(self) -> None:
        self.host = ""
        self.build = "A"
        """Another text moves every tag."""
        self.one_image: set[str] = set()
        """Repositories whose tags all mean one image, as 1.4.2, 1.4 and latest often do."""
        self.missing: set[str] = set()
        """Repositories, or single tags (`team/app:1`), that do not exist."""
        self.tags: list[str] = []
        """What each repository lists."""
        self.any_digest = False
        """Whether each digest is there, too, as far as HEAD tells: charts that nobody here wrote name real ones."""
        self.asked: list[Reference] = []
        self._manifests: dict[str, bytes] = {}

    @property
    def mirror(self) -> str:
        """What HELM_PIN_REGISTRY_MIRROR must be."""
        return f"*=http://{self.host}"

    def digest(self, reference: Reference) -> str:
        """The digest of a tag."""
        host, repository, tag = reference
        shown = "any" if repository in self.one_image else tag
        salt = sha256(f"{host}/{repository}:{shown} {self.build}".encode())
        config = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": salt}
        body = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": []}).encode()
        self._manifests[sha256(body)] = body
        return sha256(body)

    def manifest(self, host: str, repository: str, what: str) -> bytes | None:
        """The manifest of a tag or digest."""
        if repository in self.missing or f"{repository}:{what}" in self.missing:
            return None
        if not what.startswith("sha256:"):
            self.asked.append((host, repository, what))
            what = self.digest((host, repository, what))
        return self._manifests.get(what)


@contextmanager
def any_tag() -> Iterator[AnyTag]:
    """Run it on a free port of loopback."""
    content = AnyTag()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            repository, _, what = url.path.removeprefix("/v2/").partition("/manifests/")
            body = b"{}" if url.path == "/v2/" else None
            if content.tags and url.path.endswith("/tags/list"):
                body = json.dumps({"name": repository.removesuffix("/tags/list"), "tags": content.tags}).encode()
            if what:
                host = parse_qs(url.query).get("ns", [self.headers["Host"]])[0]
                body = content.manifest(host, repository, what)
            digest = sha256(body) if what and body else ""
            if body is None and self.command == "HEAD" and content.any_digest and what.startswith("sha256:"):
                digest, body = what, b"{}"
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", OCI_MANIFEST if digest else "application/json")
            if digest:
                self.send_header("Docker-Content-Digest", digest)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body or b"")

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        content.host = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield content
        finally:
            server.shutdown()
            thread.join()
