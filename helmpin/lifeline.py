"""Who ends with whom: helm-pin ends with the helm that the user started, and what helm-pin reads from ends with helm-pin.

helm passes no signal on to a plugin, and a plugin whose helm was killed would run on unseen: so helm-pin watches its parent.
A shell watches helm-pin: if that is killed, the shell ends the programs that it was reading and removes its temporary files.
The helm that deploys ends with none of them: see foreground.py.
"""

from __future__ import annotations

import os
import signal
import sys
from _thread import allocate_lock  # threading takes its time to import
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

PARENT_GONE = signal.SIGUSR1
"""What helm-pin sends itself when its parent is gone."""
STOPPERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, PARENT_GONE)
EVERY = 0.1
"""Seconds between two looks at the parent."""
GRACE = 2.0
"""Seconds that a program, and helm-pin itself, has to end in order before a further signal ends it."""
GUARD = """\
trap '' HUP INT QUIT TERM
cd /
running=' '
while IFS= read -r line; do
  case $line in
    +*) running="$running${line#+} " ;;
    -*) case $running in *" ${line#-} "*) running="${running%% ${line#-} *} ${running#* ${line#-} }" ;; esac ;;
    /*) set -- "$@" "$line" ;;
    .) exit ;;
  esac
done
[ "$running" = ' ' ] || kill -9 $running
[ $# = 0 ] || rm -rf -- "$@" || rm -rf -- "$@"
"""
"""Reads `+PID` and `-PID` for a program that started or ended, `/FOLDER` for temporary files, and `.` for an orderly end."""


class Stopped(SystemExit):
    """A signal, or the end of the parent, asks helm-pin to stop."""

    def __init__(self, signum: int) -> None:
        self.status = 128 + (signal.SIGTERM if signum == PARENT_GONE else signum)
        super().__init__(self.status)
        self.why = f"stopped: {signal.Signals(signum).name} was received"
        if signum == signal.SIGINT:
            self.why = "interrupted"
        elif signum == PARENT_GONE:
            self.why = "stopped: the helm that started helm-pin is gone"


_one_at_a_time = allocate_lock()


class _State:
    """The state of this process. Mutable, and one for the whole process."""

    parent = 0
    ending = False
    """Whether a signal has stopped helm-pin, or it is done: no signal unwinds it any more."""
    left: str | Callable[[], str] = ""
    has_said = False
    guard: int | None = None
    """The pipe to the guard; None before it is started, -1 if it could not be started or is gone."""


def accept(signum: int) -> bool:
    """Note that a signal asks to stop. False if that is no news: after a Ctrl-C, which the parent gets too, the parent is gone."""
    news = signum != PARENT_GONE or not _State.ending
    _State.ending = True
    return news


def listen() -> None:
    """Have the first signal that ends a program unwind this one in order; a further one ends it in GRACE seconds at the latest.
    Signals that are ignored stay so (nohup, jobs in the background)."""
    _State.ending = _State.has_said = False

    def handle(signum: int, _frame: FrameType | None) -> None:
        first = not _State.ending
        if accept(signum):
            if first:
                raise Stopped(signum)
            _end_soon(signum)

    for signum in STOPPERS:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, handle)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if it were ignored, exit statuses would be lost


def done() -> None:
    """The command is over: a signal does not unwind what is left to do."""
    _State.ending = True


def _end_soon(signum: int) -> None:
    """End the process in GRACE seconds. The guard does whatever is left undone then."""
    import threading

    stopped = Stopped(signum)

    def end() -> None:
        with suppress(OSError):
            os.write(2, last_words(stopped).encode())
        os._exit(stopped.status)

    timer = threading.Timer(GRACE, end)
    timer.daemon = True
    with suppress(RuntimeError):  # Python is ending
        timer.start()


def watch_parent() -> None:
    """Stop helm-pin when the process that started it is gone. bin/helm-pin passes its PID, since it may be gone by now."""
    _State.parent = int(sys._xoptions.get("parent") or 0)
    if not _State.parent:
        return
    import threading
    import time

    main = threading.main_thread().ident or 0

    def watch() -> None:
        while not orphaned():
            time.sleep(EVERY)
        signal.pthread_kill(main, PARENT_GONE)

    threading.Thread(target=watch, daemon=True).start()


def orphaned() -> bool:
    """Whether the process that started helm-pin is gone."""
    return bool(_State.parent) and os.getppid() != _State.parent


def if_stopped(state: str | Callable[[], str]) -> None:
    """Set what main() reports if helm-pin is stopped from now on: the state that things are left in, or a function that finds it
    out."""
    _State.left = state


def left() -> str:
    """The state that things are left in, as last set by if_stopped(); '' if it was not."""
    return _State.left if isinstance(_State.left, str) else _State.left()


def last_words(stopped: Stopped) -> str:
    """The message when helm-pin was stopped: the state, and why. Only once: '' after that."""
    if _State.has_said:
        return ""
    _State.has_said = True
    from helmpin.output import mask_urls, printable

    state = printable(mask_urls(left()))  # it may have what helm or an API server said
    return (f"Stopped: {state}.\n" if state else "") + f"Error: {stopped.why}\n"


def hold(pid: int) -> None:
    """End this process when helm-pin is killed; a negative number is a process group."""
    _tell(f"+{pid}")


def release(pid: int) -> None:
    """This process has ended."""
    _tell(f"-{pid}")


def remove_if_killed(folder: Path) -> None:
    """Remove this folder when helm-pin is killed."""
    if "\n" not in str(folder):
        _tell(str(folder))


def _tell(line: str) -> None:
    with _one_at_a_time:
        if _State.guard is None:
            _State.guard = _start_guard()
        if _State.guard >= 0:
            try:
                os.write(_State.guard, f"{line}\n".encode(errors="surrogateescape"))
            except OSError:  # the guard is gone
                os.close(_State.guard)
                _State.guard = -1


def _start_guard() -> int:
    import atexit

    there, here = os.pipe()
    quiet = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_WRONLY, 0) for stream in (1, 2)]
    try:
        streams = [(os.POSIX_SPAWN_DUP2, there, 0), *quiet]
        command = ["sh", "-c", GUARD, "helm-pin"]
        # blocked at first: a signal to the whole group must not end the shell before its trap
        blocked = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
        guard = os.posix_spawn("/bin/sh", command, {"PATH": os.defpath}, file_actions=streams, setsigmask=blocked)
    except OSError:
        os.close(here)
        return -1
    finally:
        os.close(there)

    def dismiss() -> None:
        _tell(".")
        os.waitpid(guard, 0)

    atexit.register(dismiss)
    return here
