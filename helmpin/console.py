"""The command `helm-pin`, for pipx, pre-commit and containers. It asks helm for what helm would have passed to the plugin."""

from __future__ import annotations

import subprocess  # not sh: its import takes longer than this helm
import sys

from helmpin import env
from helmpin.password import without_password

WITHOUT_CLUSTER = frozenset({"lint", "config", "help", "version"})


def main() -> int:
    """Run the command line in sys.argv, and return the exit status."""
    from helmpin import __main__, global_flags
    from helmpin.errors import HelmPinError

    try:
        argv, variables = global_flags.take(sys.argv[1:])
    except HelmPinError as error:
        print(f"Error: {error.message()}", file=sys.stderr)
        return error.exit_status
    sys.argv[1:] = argv
    env.change(variables)
    if argv and not argv[0].startswith("-") and argv[0] not in WITHOUT_CLUSTER and not env.given_namespace():
        namespace = _namespace()
        if namespace:
            env.change({"HELM_NAMESPACE": namespace})
    return __main__.main()


def _namespace() -> str:
    """The namespace of the kubeconfig's context, as helm reads it; '' where there is no helm, which is reported later."""
    command = [env.helm(), "env", "HELM_NAMESPACE"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            env=without_password(env.ENVIRON),
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.strip()
