"""Start helm-pin: bin/helm-pin runs this file. Little is imported before it is needed, for every command pays for its start."""

from __future__ import annotations

import os
import sys

HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGES = os.path.join(sys.prefix, "lib", f"python{sys.version_info.major}.{sys.version_info.minor}", "site-packages")


def main() -> int:
    """Run the command line in sys.argv and return the exit status."""
    if sys.argv[1:] in (["--version"], ["version"]):
        from helmpin import __version__

        print(f"helm-pin {__version__}")
        return 0
    if sys.flags.isolated and not os.path.isdir(os.path.join(PACKAGES, "yaml")):  # the Python under .venv became another one
        print(f"Error: helm-pin is not installed for Python {sys.version.split()[0]}", file=sys.stderr)
        print(f"  next  run: sh '{HOME}/install-binary.sh'", file=sys.stderr)
        return 1
    from helmpin import cli

    return cli.main()


if __name__ == "__main__":
    sys.path.insert(0, HOME)
    sys.exit(main())
