"""What helm prints, written down: documents with their sources, and pods."""

from __future__ import annotations

import json

POD = "app/templates/pod.yaml"


def digest(letter: str) -> str:
    """The digest of one hexadecimal digit."""
    return f"sha256:{letter * 64}"


def document(text: str, source: str = POD) -> str:
    """A document as Helm prints it."""
    return f"---\n# Source: {source}\n{text}"


def pod(image: str, *, label: str = "x", extra: str = "", source: str = POD) -> str:
    """A Pod as Helm prints it; `extra` are further lines of its container."""
    return document(
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: web, labels: {{l: {label}}}}}\n"
        f"spec:\n  containers:\n    - name: web\n      image: {image}\n{extra}",
        source,
    )


def probe(path: str, data: object) -> str:
    """What the extra template at `path` of the chart prints, as Helm prints it."""
    written = json.dumps(json.dumps(data))
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: helm-pin-values\ndata:\n  values: {written}\n"
    return document(text, f"app/{path}")
