"""Start helm-pin. Nothing heavy is imported before it is known to be needed: start-up is paid on every command."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from helmpin import __version__


def main() -> int:
    """Run the command line in sys.argv and return the exit status."""
    if sys.argv[1:] in (["--version"], ["version"]):
        print(f"helm-pin {__version__}")
        return 0
    from helmpin import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
