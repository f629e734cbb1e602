"""The only module that runs kubectl."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from helmpin.errors import HelmFailed
from helmpin.helm import Helm

_FLAGS = {
    "HELM_KUBECONTEXT": "--context",
    "HELM_KUBEAPISERVER": "--server",
    "HELM_KUBECAFILE": "--certificate-authority",
    "HELM_KUBEASUSER": "--as",
    "HELM_KUBETLS_SERVER_NAME": "--tls-server-name",
    "HELM_KUBETOKEN": "--token",
}
"""What helm exports of its global flags, as kubectl's (helm's pkg/cli/environment.go, EnvVars)."""


class Kubectl:
    """kubectl, pointed at the cluster and namespace that helm was told. Its runs are logged with helm's (`--debug`)."""

    def __init__(
        self, helm: Helm, *, context: str = "", namespace: str = "", environ: Mapping[str, str] = os.environ
    ) -> None:
        self._helm = helm
        self._flags = [f"{flag}={environ[name]}" for name, flag in _FLAGS.items() if environ.get(name)]
        if context:
            self._flags.append(f"--context={context}")
        self._flags += [f"--as-group={group}" for group in environ.get("HELM_KUBEASGROUPS", "").split(",") if group]
        if environ.get("HELM_KUBEINSECURE_SKIP_TLS_VERIFY", "").lower() == "true":
            self._flags.append("--insecure-skip-tls-verify")
        self.namespace = namespace or environ.get("HELM_NAMESPACE") or "default"

    @staticmethod
    def available() -> bool:
        """Whether there is a kubectl to run."""
        return shutil.which("kubectl") is not None

    def json(self, args: Sequence[str], stdin: str | None = None) -> Any:
        """Run kubectl and read the JSON that it prints (None when it prints nothing). Raises HelmFailed in kubectl's words."""
        program = shutil.which("kubectl")
        if program is None:
            raise HelmFailed(
                "kubectl not found",
                why="the live cluster is read with kubectl, and there is none on PATH",
                todo="install kubectl",
            )
        started = time.perf_counter()
        done = subprocess.run(
            [program, *self._flags, f"--namespace={self.namespace}", *args, "-o", "json"],
            input=stdin.encode() if stdin is not None else None,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            check=False,
        )
        self._helm.log(args, time.perf_counter() - started, program="kubectl")
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip()
            raise HelmFailed(
                f"kubectl {args[0]} failed",
                why=words.removeprefix("error: "),
                todo="check access: kubectl auth can-i --list",
            )
        return json.loads(done.stdout) if done.stdout.strip() else None

    def items(self, args: Sequence[str], stdin: str | None = None) -> list[dict[str, Any]]:
        """As json(), as the list of objects: a List's items, or the one object."""
        found = self.json(args, stdin)
        if not isinstance(found, dict):
            return []
        return list(found.get("items") or []) if str(found.get("kind", "")).endswith("List") else [found]
