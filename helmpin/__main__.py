"""Start helm-pin: bin/helm-pin runs this file. Every command pays for its start, so imports are few and late."""

from __future__ import annotations

import atexit
import gc
import os
import sys

HOME = __file__.rpartition("/helmpin/")[0].removesuffix("/bin/..")
PACKAGES = f"{HOME}/.venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


def main() -> int:
    """Run the command line in sys.argv and return the exit status, with all of the output written."""
    from helmpin import streams
    from helmpin.errors import HelmPinError

    streams.prepare()
    status = 0
    try:
        status = start()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads our output has seen enough
        status = status or 141
    except HelmPinError as error:
        print(f"Error: {error.message()}", file=sys.stderr)
        status = status or error.exit_status
    if status == 0:  # taking the interpreter apart costs as much as a request
        atexit._run_exitfuncs()  # what was to be removed at its end still is: files with a token in them
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return status


def start() -> int:
    """Run the command line, after what it is sure to ask has been asked."""
    if sys.argv[1:] in (["--version"], ["version"]):
        from helmpin import __version__

        print(f"helm-pin {__version__}")
        return 0
    if sys.flags.no_site and not os.access(f"{PACKAGES}/yaml", os.R_OK):  # the Python under .venv has become another
        print(f"Error: helm-pin is not installed for Python {sys.version.split()[0]}", file=sys.stderr)
        print(f"  next  run: sh '{HOME}/install-binary.sh'", file=sys.stderr)
        return 1
    try:
        from helmpin import ahead

        ahead.start(sys.argv[1:])
        from helmpin import cli

        return cli.main()
    except KeyboardInterrupt:  # while it imports
        print("Error: interrupted", file=sys.stderr)
        return 130
    finally:
        if "helmpin.ahead" in sys.modules:
            ahead.stop()


if __name__ == "__main__":
    gc.disable()  # a short life without cycles: collecting would only walk through what is needed to the end
    sys.path.insert(0, HOME)
    if sys.flags.no_site:  # site would find this folder, and run what packages leave there for every start
        sys.path.append(PACKAGES)
    sys.exit(main())
