"""The command `helm-pin`, for pipx, pre-commit and containers. It asks helm for what helm would have passed to the plugin."""

from __future__ import annotations

import os
import subprocess  # not sh: its import takes longer than this helm
import sys

WITHOUT_CLUSTER = frozenset({"lint", "config", "template", "help", "version"})


def main() -> int:
    """Run the command line in sys.argv, and return the exit status."""
    from helmpin import __main__, global_flags
    from helmpin.errors import HelmPinError

    try:
        argv = global_flags.take(sys.argv[1:], os.environ)
    except HelmPinError as error:
        print(f"Error: {error.message()}", file=sys.stderr)
        return error.exit_status
    sys.argv[1:] = argv
    if argv and not argv[0].startswith("-") and argv[0] not in WITHOUT_CLUSTER and not os.environ.get("HELM_NAMESPACE"):
        namespace = _namespace()
        if namespace:
            os.environ["HELM_NAMESPACE"] = namespace
    return __main__.main()


def _namespace() -> str:
    """The namespace of the kubeconfig's context, as helm reads it; '' where there is no helm, which is reported later."""
    from helmpin.password import without_password

    command = [os.environ.get("HELM_BIN") or "helm", "env", "HELM_NAMESPACE"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            env=without_password(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.strip()
