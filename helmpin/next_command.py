"""The commands that messages advise, for this release and this cluster, ready to be pasted into a shell.

The context and the kubeconfig are named if helm was given them, the namespace if helm would choose another one without the flag.
"""

from __future__ import annotations

import shlex
from functools import cache

from helmpin import env
from helmpin.errors import UsageError


def helm_command(words: str, *, namespace: str | None = "", context: str = "") -> str:
    """`helm WORDS`, with the flags that it needs. namespace: '' for the release's, None for a command that takes none. context: ''
    for the one that helm was given. It runs helm, so call it only for messages about failures."""
    return " ".join(["helm", words, *_flags("--kube-context", namespace, context)])


def kubectl_command(words: str, *, namespace: str | None = "", context: str = "") -> str:
    """`kubectl WORDS`, as above. namespace: the object's own, where it has one."""
    return " ".join(["kubectl", words, *_flags("--context", namespace, context)])


def _flags(context_flag: str, namespace: str | None, context: str) -> list[str]:
    context = context or env.context()
    wanted = "" if namespace is None else namespace or env.given_namespace()
    flags = [] if not wanted or wanted == usual_namespace(context) else ["--namespace", shlex.quote(wanted)]
    file = _given_kubeconfig()
    flags += [context_flag, shlex.quote(context)] if context else []
    return flags + (["--kubeconfig", shlex.quote(file)] if file else [])


@cache
def _given_kubeconfig() -> str:
    """The kubeconfig that helm was given by a flag; '' if there is no such flag. Helm puts it into the environment, so that only
    helm's own command line tells it from the user's variable."""
    from helmpin.global_flags import take
    from helmpin.lifeline import command_line_of_parent

    try:
        return take(command_line_of_parent())[1].get("KUBECONFIG") or ""
    except UsageError:
        return ""


@cache
def usual_namespace(context: str) -> str:
    """The namespace that helm and kubectl use in this context ('' for the current one) if no flag names one; '' if helm does not
    say. client-go finds it for both, in the kubeconfig or in a pod's service account."""
    from helmpin.process import Process

    environ = {**env.ENVIRON, "HELM_NAMESPACE": "", "HELM_KUBECONTEXT": context, "HELM_NO_PLUGINS": "1"}
    try:
        status, out, _ = Process([env.helm(), "env", "HELM_NAMESPACE"], environ).ended()
    except OSError:
        return ""
    return "" if status else out.decode(errors="replace").strip()
