"""A custom resource with a pod template, and the operator that makes its pods, played by the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple
from urllib.error import HTTPError

from scripts.devtools.api import Cluster
from tests.support.app import eventually

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PLURAL = "proxies"
"""No mere s, so that it cannot be guessed."""
TEMPLATE = """\
apiVersion: GROUP/v1
kind: Proxy
metadata: {name: "NAME-{{ .Release.Namespace }}"}
spec:
  template:
    spec:
      containers: [{name: app, image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"}]
"""


class Kind(NamedTuple):
    """A kind `Proxy` in a group of its own."""

    cluster: Cluster
    group: str
    namespaced: bool
    name: str
    """With which the names of its objects begin."""

    @property
    def template(self) -> str:
        """A chart's template of one object, `gate-NAMESPACE`, with the image of tests.support.app."""
        return TEMPLATE.replace("GROUP", self.group).replace("NAME", self.name)

    def run_pod(self, namespace: str) -> str:
        """Make a pod as the operator of the object would: from its template, and owned by it. Its name."""
        name = f"{self.name}-{namespace}"
        place = f"namespaces/{namespace}/" if self.namespaced else ""
        owner = self.cluster.api("GET", f"/apis/{self.group}/v1/{place}{PLURAL}/{name}")
        about = {"apiVersion": owner["apiVersion"], "kind": "Proxy", "name": name, "uid": owner["metadata"]["uid"]}
        metadata = {"name": f"{name}-0", "ownerReferences": [{**about, "controller": True}]}
        pod = {"metadata": metadata, "spec": owner["spec"]["template"]["spec"]}
        self.cluster.api("POST", f"/api/v1/namespaces/{namespace}/pods?fieldManager=gate-operator", pod)
        return f"{name}-0"


@contextmanager
def custom_kind(cluster: Cluster, unique: str, *, namespaced: bool = True, name: str = "gate") -> Iterator[Kind]:
    """Define the kind, as an operator's chart does; it is gone at the end, and so are its objects."""
    group = f"{unique}.example.com"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    spec = {
        "group": group,
        "scope": "Namespaced" if namespaced else "Cluster",
        "names": {"kind": "Proxy", "plural": PLURAL, "singular": "proxy"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
    }

    def served() -> bool:
        with suppress(HTTPError):
            cluster.api("GET", f"/apis/{group}/v1/{PLURAL}")
            return True
        return False

    definition = {"metadata": {"name": f"{PLURAL}.{group}"}, "spec": spec}
    cluster.api("POST", DEFINITIONS, definition)
    try:
        eventually(served)
        yield Kind(cluster, group, namespaced, name)
    finally:
        with suppress(HTTPError):  # a test has deleted it
            cluster.api("DELETE", f"{DEFINITIONS}/{PLURAL}.{group}")
