"""The API server that a machine's kubeconfig names, asked by HTTP: what is set up and looked at costs no start of kubectl."""

from __future__ import annotations

import base64
import gzip
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from scripts.devtools.api import Cluster, tls
from scripts.devtools.processes import opener
from tests.support.workstation import Workstation

GROUPS = {
    "deployments": "apis/apps/v1",
    "roles": "apis/rbac.authorization.k8s.io/v1",
    "rolebindings": "apis/rbac.authorization.k8s.io/v1",
}
"""Where a kind's objects are, unless it is of the core group."""


class Namespace(NamedTuple):
    """The namespace that helm and kubectl use by themselves."""

    cluster: Cluster
    name: str

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask about `KIND` or `KIND/NAME`. Raises urllib.error.HTTPError."""
        group = GROUPS.get(path.partition("/")[0].partition("?")[0], "api/v1")
        return self.cluster.api(method, f"/{group}/namespaces/{self.name}/{path}", body)

    def pods(self) -> list[dict[str, Any]]:
        """The pods that are not being deleted."""
        return [pod for pod in self.api("GET", "pods")["items"] if "deletionTimestamp" not in pod["metadata"]]

    def log(self, pod: str) -> str:
        """What a pod's one container has printed; '' where nobody can tell yet."""
        url = f"{self.cluster.server}/api/v1/namespaces/{self.name}/pods/{pod}/log"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.cluster.token}"})
        try:
            with opener(tls(Path(self.cluster.folder))).open(request, timeout=30) as response:
                return str(response.read().decode())
        except urllib.error.HTTPError:
            return ""

    def report(self, pod: dict[str, Any], image_id: str) -> None:
        """Write into a pod's status that its containers run this image, as a kubelet does and kwok does not."""
        for statuses in ("initContainerStatuses", "containerStatuses"):
            for status in pod["status"].get(statuses, []):
                status["imageID"] = image_id
        self.put(f"pods/{pod['metadata']['name']}", pod, "/status")

    def put(self, path: str, what: dict[str, Any], part: str = "") -> None:
        """Write an object, whatever it has become since it was read, or another of its name."""
        metadata = {key: value for key, value in what["metadata"].items() if key not in ("resourceVersion", "uid")}
        self.api("PUT", path + part, {**what, "metadata": metadata})

    def allow(self, account: str, *rules: tuple[str, str, str]) -> None:
        """What an account may do, and nothing else: API groups, resources and verbs, each with commas."""
        split = [[part.split(",") for part in rule] for rule in rules]
        listed = [{"apiGroups": groups, "resources": kinds, "verbs": verbs} for groups, kinds, verbs in split]
        group = "rbac.authorization.k8s.io"
        self.api("POST", "roles", {"metadata": {"name": account}, "rules": listed})
        role = {"apiGroup": group, "kind": "Role", "name": account}
        subject = {"kind": "User", "name": account, "apiGroup": group}
        self.api("POST", "rolebindings", {"metadata": {"name": account}, "roleRef": role, "subjects": [subject]})


def namespace(machine: Workstation) -> Namespace:
    """That of a kubeconfig as Cluster.write_kubeconfig writes it."""
    file = machine.env["KUBECONFIG"]
    config = json.loads(Path(file).read_text())
    (server,) = [each["cluster"] for each in config["clusters"]]
    (token,) = [each["user"]["token"] for each in config["users"]]
    folder = str(Path(server["certificate-authority"]).parents[1])
    cluster = Cluster("", folder, server["server"], token, file, "", False, False)
    return Namespace(cluster, config["contexts"][0]["context"]["namespace"])


def revisions(machine: Workstation, release: str) -> list[tuple[int, str]]:
    """The revisions of a machine's release with their statuses, oldest first."""
    return [(number, each["info"]["status"]) for number, each in stored(machine, release).items()]


def stored(machine: Workstation, release: str) -> dict[int, Any]:
    """The revisions of a machine's release, whole and by number, oldest first."""
    kind = "configmaps" if machine.env.get("HELM_DRIVER", "").startswith("configmap") else "secrets"
    items = namespace(machine).api("GET", f"{kind}?labelSelector=owner%3Dhelm%2Cname%3D{release}")["items"]
    texts = [item["data"]["release"] for item in items]
    found = [unpacked(text if kind == "configmaps" else base64.b64decode(text)) for text in texts]
    return {each["version"]: each for each in sorted(found, key=lambda each: int(each["version"]))}


def unpacked(release: str | bytes) -> Any:
    """A revision as helm packs it."""
    return json.loads(gzip.decompress(base64.b64decode(release)))


class Revision(NamedTuple):
    """A revision as helm stores it, in its Secret: what somebody with access to it can do."""

    place: Namespace
    release: str
    number: int

    @property
    def secret(self) -> str:
        """The Secret's name."""
        return f"sh.helm.release.v1.{self.release}.v{self.number}"

    def rewrite(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Change what is stored."""
        secret = self.place.api("GET", f"secrets/{self.secret}")
        stored = unpacked(base64.b64decode(secret["data"]["release"]))
        change(stored)
        packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(stored).encode()))).decode()
        self.place.put(f"secrets/{self.secret}", {**secret, "data": {"release": packed}})

    def copy(self, release: str, number: int = 0) -> Revision:
        """Store it for another release, which has no objects; number: as another revision."""
        made = self._replace(release=release, number=number or self.number)
        secret = self.place.api("GET", f"secrets/{self.secret}")
        labels = {**secret["metadata"]["labels"], "name": release, "version": str(made.number)}
        self.place.api("POST", "secrets", {**secret, "metadata": {"name": made.secret, "labels": labels}})
        made.rewrite(lambda stored: stored.update(name=release, version=made.number))
        return made

    def spoil(self) -> None:
        """Put something else in its place."""
        secret = self.place.api("GET", f"secrets/{self.secret}")
        broken = base64.b64encode(b"nonsense").decode()
        self.place.put(f"secrets/{self.secret}", {**secret, "data": {"release": broken}})

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """As it was, at the end of the block."""
        secret = self.place.api("GET", f"secrets/{self.secret}")
        try:
            yield
        finally:
            self.place.put(f"secrets/{self.secret}", secret)


def revision(machine: Workstation, release: str, number: int) -> Revision:
    """A stored revision of a machine's release."""
    return Revision(namespace(machine), release, number)
