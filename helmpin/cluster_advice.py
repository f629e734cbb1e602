"""What to do when a cluster cannot be reached, or refuses a request."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from helmpin import env
from helmpin.env import ENVIRON
from helmpin.next_command import kubectl_command


def advice(why: str, namespace: str | None, environ: Mapping[str, str] = ENVIRON, *, context: str = "") -> str:
    """What to do about a failed request. why: the message of the API server, helm or kubectl. namespace: None for all.
    context: '' for the one that helm was given."""
    if "forbidden" in why.lower():
        may = kubectl_command("auth can-i --list", namespace=namespace, context=context)
        return f"check what this account may do: {may}"
    default = str(env.home() / ".kube" / "config")
    files = environ.get("KUBECONFIG", "").split(os.pathsep) if environ.get("KUBECONFIG") else [default]
    if not any(Path(file).exists() for file in files) and "KUBERNETES_SERVICE_HOST" not in environ:
        return f"there is no kubeconfig ({', '.join(files)}): set KUBECONFIG, or --kubeconfig"
    if re.search(r"context .* does not exist|context was not found|locate context", why):
        return "kubectl config get-contexts lists the contexts"
    connection = f"check the connection with `{kubectl_command('cluster-info', namespace=None, context=context)}`"
    return (
        connection
        if context or env.context()
        else f"{connection}, and the context with `kubectl config current-context`"
    )
