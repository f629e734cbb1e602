"""Images that a real node can run: one static program, pushed over the registry's protocol."""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import json
import platform
import sys
import tarfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .binaries import Unavailable, cache, locked, run_go, scratch
from .processes import opener

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
HERE = f"linux/{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(platform.machine(), platform.machine()) }"
"""This machine's platform, as images name it."""


def letter_program() -> Path:
    """The program (letter/main.go), built once."""
    source = Path(__file__).parent / "letter" / "main.go"
    target = cache() / "bin" / f"letter-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}"
    with locked("letter"):
        if not target.exists():
            with scratch() as folder:
                run_go(["build", "-trimpath", "-ldflags", "-s -w", "-o", str(folder / "letter"), str(source)], folder)
                (folder / "letter").replace(target)
    return target


@functools.cache
def packed_program() -> tuple[bytes, str]:
    """The layer that holds the program, and the digest of what it unpacks to."""
    program = letter_program().read_bytes()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("letter")
        member.mode, member.size = 0o755, len(program)
        tar.addfile(member, io.BytesIO(program))
    return gzip.compress(packed.getvalue(), mtime=0), sha256(packed.getvalue())


def push(registry: str, repository: str, tag: str, letter: str = "", platforms: Sequence[str] = ()) -> str:
    """Push an image that prints a letter, or an index of one for each platform (os/arch); the digest of the tag.

    The same arguments give the same digest. registry: host:port, plain HTTP, anybody may push.
    """
    if not platforms:
        return push_one(registry, repository, tag, letter, HERE)[0]
    children = []
    for name in platforms:
        digest, size = push_one(registry, repository, f"{tag}-{name.replace('/', '-')}", letter, name)
        system, architecture = name.split("/")
        described = {"mediaType": MANIFEST, "digest": digest, "size": size}
        children.append({**described, "platform": {"os": system, "architecture": architecture}})
    return put_manifest(registry, repository, tag, {"schemaVersion": 2, "mediaType": INDEX, "manifests": children})[0]


def push_one(registry: str, repository: str, tag: str, letter: str, platform: str) -> tuple[str, int]:
    """Push an image of one platform; the digest and size of its manifest."""
    layer, unpacked = packed_program()
    system, architecture = platform.split("/")
    config = json.dumps(
        {
            "os": system,
            "architecture": architecture,
            "config": {
                "Entrypoint": ["/letter", letter] if letter else ["/letter"],
                # containerd takes images of one configuration for one image, and reports any of their names
                "Labels": {"repository": repository},
            },
            "rootfs": {"type": "layers", "diff_ids": [unpacked]},
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": put_blob(registry, repository, config, "application/vnd.oci.image.config.v1+json"),
        "layers": [put_blob(registry, repository, layer, "application/vnd.oci.image.layer.v1.tar+gzip")],
    }
    return put_manifest(registry, repository, tag, manifest)


def put_blob(registry: str, repository: str, content: bytes, media_type: str) -> dict[str, Any]:
    """Store a blob; its descriptor (OCI distribution specification, pushing blobs: POST then PUT)."""
    digest = sha256(content)
    location = request("POST", f"http://{registry}/v2/{repository}/blobs/uploads/", b"")["Location"]
    separator = "&" if "?" in location else "?"
    request("PUT", f"{location}{separator}digest={digest}", content, "application/octet-stream")
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def put_manifest(registry: str, repository: str, tag: str, manifest: dict[str, Any]) -> tuple[str, int]:
    """Store a manifest under a tag; its digest and size."""
    content = json.dumps(manifest).encode()
    request("PUT", f"http://{registry}/v2/{repository}/manifests/{tag}", content, str(manifest["mediaType"]))
    return sha256(content), len(content)


def delete(registry: str, repository: str, digest: str) -> None:
    """Delete a manifest; the registry has no more that digest, nor the tags that meant it."""
    request("DELETE", f"http://{registry}/v2/{repository}/manifests/{digest}")


def request(
    method: str, url: str, body: bytes | None = None, media_type: str = "", headers: dict[str, str] | None = None
) -> Any:
    """One request, which must succeed; the answer's headers. Raises OSError."""
    headers = {**(headers or {}), **({"Content-Type": media_type} if media_type else {})}
    with opener().open(urllib.request.Request(url, body, headers, method=method), timeout=30) as response:
        return response.headers


def sha256(content: bytes) -> str:
    """A digest."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


if __name__ == "__main__":  # REGISTRY REPOSITORY TAG LETTER
    try:
        print(push(*sys.argv[1:5]))
    except (OSError, Unavailable) as error:
        sys.exit(f"error: {error}")
