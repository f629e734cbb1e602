"""From a command line to an exit status: finding the command, running it, and making an error a message.

A command's module is imported only when that command runs.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from helmpin import __version__, env, lifeline, timeline
from helmpin.command_table import COMMANDS
from helmpin.errors import HelmPinError, OperationFailed, UsageError

HELMS_OWN = frozenset(
    {"uninstall", "delete", "list", "ls", "get", "status", "show", "pull", "push", "package", "repo", "search"}
)
"""Commands of helm that somebody may expect here."""
NOTHING_YET = {
    "upgrade": "nothing was deployed",
    "install": "nothing was deployed",
    "rollback": "nothing was changed",
}
"""What to report of a command that is stopped before it begins."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status. Every error becomes one message on standard error.

    Raises BrokenPipeError if the reader of standard output is gone, lifeline.Stopped if a signal stops it.
    """
    lifeline.listen()
    try:
        return run(list(sys.argv[1:] if argv is None else argv))
    except HelmPinError as error:
        return _report(error)
    except (BrokenPipeError, ImportError):  # __main__.py reports these
        raise
    except Exception as error:
        if env.debugging():
            raise
        return _report(unforeseen(error))


def unforeseen(error: Exception) -> HelmPinError:
    """What to report of an error that nothing else expects."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = str(error.filename or env.temporary_folder())
        return OperationFailed(_with_state("cannot write a file"), where=where, why=error.strerror or str(error))
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return _too_few_files(error)
    if isinstance(error, OSError) and error.filename and error.errno in (errno.ENAMETOOLONG, errno.EACCES, errno.ELOOP):
        at = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else str(error.filename)
        return OperationFailed("a file or folder cannot be used", where=at, why=error.strerror or str(error))
    if isinstance(error, RecursionError):
        what, hint = (
            "the chart, its values or a response is nested too deeply",
            "--debug shows which program printed it",
        )
        return OperationFailed(what, hint=hint)
    what = _with_state(f"internal error: {type(error).__name__}: {error}")
    return OperationFailed(what, hint="run it again with --debug and report the output")


def _with_state(what: str) -> str:
    """The first line of an error that nothing else expects, with what is left of a deployment, if that can be found out."""
    state = "helm history shows whether the cluster was changed"
    with suppress(Exception):
        state = lifeline.left()
    return f"{what}; {state}" if state else what


def _too_few_files(error: OSError) -> OperationFailed:
    error.with_traceback(None)  # a traceback keeps files open, and finding out the state may open another
    limit = f"this process may have {os.sysconf('SC_OPEN_MAX')} open at once (ulimit -n)"
    return OperationFailed(
        _with_state("too many open files"),
        why=limit if error.errno == errno.EMFILE else error.strerror or str(error),
        hint="raise the limit, as with `ulimit -n 1024`, and run it again",
    )


def _report(error: HelmPinError) -> int:
    print(f"Error: {error.message(lifeline.untouched())}", file=sys.stderr)
    return error.exit_status


def run(argv: list[str]) -> int:
    """Find the command, split its arguments, and run it. Raises HelmPinError."""
    from helmpin import global_flags

    global_flags.check_none_is_lost(lifeline.command_line_of_parent())
    argv, variables = global_flags.take(argv)
    env.change(variables)
    if not argv or argv[0] in ("-h", "--help", "help"):
        from helmpin.help_text import command_help, overview

        print(overview() if len(argv) < 2 or argv[1] not in COMMANDS else command_help(argv[1]))
        return 0
    if argv[0] in ("--version", "version"):
        print(f"helm-pin {__version__}")
        return 0
    name = argv[0]
    if name not in COMMANDS:
        from difflib import get_close_matches

        if name in HELMS_OWN:
            raise UsageError(f"unknown command: {name}", hint=f"helm {name} does it; helm-pin has nothing to add")
        close = get_close_matches(name, COMMANDS)
        hint = f"did you mean {' or '.join(close)}?" if close else f"one of {', '.join(COMMANDS)}; see helm pin --help"
        raise UsageError(f"unknown command: {name}", hint=hint)
    end = argv.index("--") if "--" in argv else len(argv)
    if any(word in ("-h", "--help") for word in argv[1:end]):
        from helmpin.help_text import command_help

        print(command_help(name))
        return 0
    lifeline.if_stopped(NOTHING_YET.get(name, ""))
    lifeline.watch_parent()
    from importlib import import_module

    from helmpin.helm import Helm
    from helmpin.request import understand

    helm = Helm.find()
    try:
        request = understand(name, argv[1:], helm)
        module = import_module(f"helmpin.commands.{name}")
        status = int(module.run(request))
        if helm.unread and not status:  # a plain helm would have died of the closed pipe
            raise BrokenPipeError
        return status
    except UsageError as error:
        if name != "diff":
            raise
        # exit status 2 is helm-diff's for "there are changes", and programs that call it deploy then
        raise OperationFailed(error.what, where=error.where, why=error.why, hint=error.hint) from None
    finally:
        helm.stop()
        if helm.debug:
            timeline.print_total()
