"""Start helm-pin: bin/helm-pin runs this file. Every command pays for what is imported here, so imports are few and late."""

import _signal  # type: ignore[import-not-found]  # signal is slow to import
import sys

if sys._xoptions.get("interruptible"):  # see bin/helm-pin
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # Ctrl-C ends it at once until lifeline.listen() takes over

import atexit
import gc
import os

TYPE_CHECKING = False  # of typing, which is slow to import
if TYPE_CHECKING:
    from typing import NoReturn

HOME = __file__.rpartition("/helmpin/")[0].removesuffix("/bin/..")
REPAIR = f"run: sh '{HOME}/install-binary.sh'"
PACKAGES = f"{HOME}/.venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


def main() -> "NoReturn":
    """Run the command line in sys.argv, and exit with all of the output written."""
    from helmpin import streams

    streams.prepare()
    try:
        status = run()
        if "helmpin.lifeline" in sys.modules:
            sys.modules["helmpin.lifeline"].done()
    except SystemExit as error:
        from helmpin.lifeline import Stopped, say_last_words

        if not isinstance(error, Stopped):
            raise
        say_last_words(error, sys.stderr.write)
        status = error.status
    atexit._run_exitfuncs()  # removes temporary files, which may hold a token
    sys.stdout.flush()
    sys.stderr.flush()
    # An orderly shutdown of the interpreter waits for threads, and takes 20 ms of the 215 that a plan of a small chart would take.
    os._exit(status)


def run() -> int:
    """Run the command line, flush its output and return the exit status. Raises lifeline.Stopped."""
    from helmpin.errors import HelmPinError

    status = 0
    try:
        status = start()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads our output has seen enough
        status = status or 141
    except ImportError as error:
        say_missing(error)
        status = status or 1
    except HelmPinError as error:
        print(f"Error: {error.message()}", file=sys.stderr)
        status = status or error.exit_status
    return status


def say_missing(error: ImportError) -> None:
    """Report a module that is missing, and perhaps all that reports errors with it: the plugin was removed or updated meanwhile, or
    is damaged. Raises the error if it is to be debugged."""
    env, lifeline = (sys.modules.get(f"helmpin.{name}") for name in ("env", "lifeline"))
    if env and env.debugging():
        raise error
    try:
        state = (lifeline.left() or lifeline.untouched()) if lifeline else ""
    except ImportError:  # what would find it out is missing, too
        state = "helm history shows whether the cluster was changed"
    is_own = (error.name or "").startswith("helmpin")
    print(f"Error: a part of helm-pin cannot be loaded{state and f'; {state}'}", file=sys.stderr)
    print(f"  why   {error}; the plugin was removed or updated while this ran, or is damaged", file=sys.stderr)
    print(f"  next  {'install the plugin again' if is_own else REPAIR}", file=sys.stderr)


def start() -> int:
    """Run the command line. What it is sure to ask the cluster is asked first, before the slow imports (prefetch.py)."""
    if sys.argv[1:] in (["--version"], ["version"]):
        from helmpin import __version__

        print(f"helm-pin {__version__}")
        return 0
    if sys.flags.no_site and not os.access(f"{PACKAGES}/yaml", os.R_OK):  # .venv was made with another Python
        print(f"Error: helm-pin is not installed for Python {sys.version.split()[0]}", file=sys.stderr)
        print(f"  next  {REPAIR}", file=sys.stderr)
        return 1
    try:
        from helmpin import prefetch

        prefetch.start(sys.argv[1:])
        from helmpin import cli

        return cli.main()
    finally:
        if "helmpin.prefetch" in sys.modules:
            prefetch.stop()


if __name__ == "__main__":
    gc.disable()  # it walks through objects that are needed until the end: 14 ms of the 209 of a plan of a small chart
    sys.path.insert(0, HOME)
    if sys.flags.no_site:  # site would add this folder too, but also run the .pth files in it at every start
        sys.path.append(PACKAGES)
    main()
