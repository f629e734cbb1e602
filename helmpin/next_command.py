"""The commands that messages advise, for this release and this cluster: as they stand, they can be pasted into a shell.

The namespace and the context are named only where the kubeconfig does not name the same.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from helmpin import env


def helm_command(words: str, *, namespace: str | None = "", context: str = "") -> str:
    """`helm WORDS`, with the flags that it needs. namespace: '' for the release's, None where none is asked for. context: '' for
    the one that helm was given."""
    return " ".join(["helm", words, *_flags("--kube-context", namespace, context)])


def kubectl_command(words: str, *, namespace: str | None = "", context: str = "") -> str:
    """`kubectl WORDS`, as above. namespace: the object's own, where it has one."""
    return " ".join(["kubectl", words, *_flags("--context", namespace, context)])


def _flags(context_flag: str, namespace: str | None, context: str) -> list[str]:
    own = _Kubeconfig()
    context = context or env.context()
    wanted = namespace or ("" if namespace is None else env.given_namespace())
    flags = [] if not wanted or wanted == own.namespace(context) else ["--namespace", shlex.quote(wanted)]
    return flags + ([context_flag, shlex.quote(context)] if context not in ("", own.context) else [])


class _Kubeconfig:
    """What a kubeconfig says where no flag does. Of several files the first that says something counts (Kubernetes documentation,
    Organizing Cluster Access Using kubeconfig Files)."""

    def __init__(self) -> None:
        files = [Path(path).expanduser() for path in env.kubeconfig()]
        found = [_read(file) for file in files if file.exists()]
        self._is_known = None not in found and (bool(found) or not env.is_in_cluster())
        files_read = [each for each in found if isinstance(each, dict)]
        self.context = next((str(each["current-context"]) for each in files_read if each.get("current-context")), "")
        self._contexts: dict[str, Any] = {}
        for entry in (entry for each in files_read for entry in each.get("contexts") or [] if isinstance(entry, dict)):
            self._contexts.setdefault(str(entry.get("name")), entry.get("context"))

    def namespace(self, context: str) -> str | None:
        """The namespace of a context, '' for the current one; None if it is not known."""
        found = self._contexts.get(context or self.context)
        named = found.get("namespace") if isinstance(found, dict) else None
        return str(named or "default") if self._is_known else None


def _read(file: Path) -> Any:
    """A kubeconfig; None if it cannot be read."""
    from helmpin import kube_yaml
    from helmpin.errors import HelmFailed

    try:
        return kube_yaml.read_first(file.read_bytes(), what="the kubeconfig cannot be read", where=str(file)) or {}
    except (OSError, HelmFailed):
        return None
