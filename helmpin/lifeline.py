"""Who ends with whom: helm-pin ends with the helm that the user started, and what helm-pin reads from ends with helm-pin.

helm passes no signal on to a plugin, and a plugin whose helm was killed would run on unseen: so helm-pin watches its parent.
A shell watches helm-pin: if that is killed, the shell ends the programs that it was reading and removes its temporary files.
The helm that deploys ends with none of them: see foreground.py.
"""

from __future__ import annotations

import atexit
import os
import resource
import signal
import sys
from _thread import allocate_lock, get_ident, start_new_thread  # threading takes its time to import
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from types import FrameType

from helmpin.named_tuple import NamedTuple

PARENT_GONE = signal.SIGUSR1
"""What helm-pin sends itself when its parent is gone."""
STOPPERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, PARENT_GONE)
NUDGE = signal.SIGALRM
"""What the main thread gets a moment after another signal."""
EVERY = 0.1
"""Seconds between two looks at the parent."""
GRACE = 2.0
"""Seconds that a program, and helm-pin itself, has to shut down cleanly before a further signal ends it."""
PATIENCE = 10.0
"""Seconds that helm-pin has to shut down cleanly after a first signal."""
_PAUSE, _LOOKS = 0.005, 1000
"""Seconds between two looks at what a signal has interrupted, and how many looks there are at most."""
_STILL = 3
"""How many looks after the first find the same, and that the thread has waited, if it waits there. One is too few: the thread also
waits for its turn among Python's threads, and two signals may be looked at before it goes on."""
_LIBRARY = ("<frozen ", os.__file__.removesuffix("os.py"), __file__)
"""How the file names begin of Python's own code, and of this: a further signal may come while one is handled."""
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
_last_words = allocate_lock()


class _Interrupted(NamedTuple):
    """What a signal has interrupted."""

    frame: FrameType
    instruction: int
    waits: float
    still: int
    """How many looks before this one have found the same, and that the thread has waited."""


class _State:
    """The state of this process. Mutable, and one for the whole process."""

    parent = 0
    ending = False
    """Whether a signal has stopped helm-pin, or it is done: no signal unwinds it any more."""
    listening: object = None
    """What stands for the command that listens to signals."""
    nudged = False
    """Whether a signal that is put off is looked at again."""
    put_off = 0
    """The signal that is put off, or 0."""
    interrupted: _Interrupted | None = None
    """Where the last signal has come."""
    left: str | Callable[[], str] = ""
    untouched = ""
    has_said = False
    guard: int | None = None
    """The pipe to the guard; None before it is started, -1 if it could not be started or is gone."""


def accept(signum: int) -> bool:
    """Note that a signal asks to stop. False if it adds nothing: after a Ctrl-C, which also ends the parent, the parent is gone."""
    news = signum != PARENT_GONE or not _State.ending
    _State.ending = True
    return news


def listen() -> None:
    """Have the first signal that ends a program shut this one down cleanly, in PATIENCE seconds at the latest; a further one ends
    it in GRACE seconds. Signals that are ignored stay so (nohup, jobs in the background)."""
    _State.ending = _State.has_said = False
    _State.left = _State.untouched = ""
    _State.listening = listening = object()
    looks = iter(range(_LOOKS))
    nudged = _start_nudging()

    def handle(signum: int, frame: FrameType | None) -> None:
        first = not _State.ending
        if first and nudged and _is_at_work_in_library(frame) and next(looks, None) is not None:
            _State.put_off = signum
            signal.setitimer(signal.ITIMER_REAL, _PAUSE)
        elif accept(signum):
            _State.interrupted = None
            _end_in(PATIENCE if first else GRACE, signum, listening)
            if first:
                raise Stopped(signum)

    def look_again(_: int, frame: FrameType | None) -> None:
        signum, _State.put_off = _State.put_off, 0
        handler = signum and signal.getsignal(signum)  # foreground.py may have its own by now
        if callable(handler):
            handler(signum, frame)

    for signum in STOPPERS:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, handle)
    signal.signal(NUDGE, look_again)
    # Python drops its handlers before it exits, so a nudge that is still on its way would kill it
    atexit.register(signal.signal, NUDGE, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [NUDGE])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if it were ignored, exit statuses would be lost


def _is_at_work_in_library(frame: FrameType | None) -> bool:
    """Whether a signal has interrupted Python's own code, which does not wait there for anything.

    An exception there may leave a lock of `import` or `threading` taken for ever, or get lost in a callback
    (docs.python.org/3/library/signal.html, "Note on Signal Handlers and Exceptions").
    """
    if frame is None or not frame.f_code.co_filename.startswith(_LIBRARY):
        return False
    before, here, waits = _State.interrupted, (frame, frame.f_lasti), _waits()
    still = before.still + 1 if before and before[:2] == here and before.waits != waits else 0
    _State.interrupted = _Interrupted(*here, waits, still)
    return still < _STILL


def _waits() -> float:
    """How often this thread has waited for something; where the system does not say so, a number that grows."""
    who = getattr(resource, "RUSAGE_THREAD", None)
    return monotonic() if who is None else resource.getrusage(who).ru_nvcsw


def _start_nudging() -> bool:
    """Have this thread nudged after each signal, and until none is put off: Python would not call the handler of one that has
    come just before the thread began to wait in the kernel. False if there can be no more threads or files."""
    if not _State.nudged:
        with suppress(OSError, RuntimeError):
            arrived, arriving = os.pipe()
            os.set_blocking(arriving, False)
            start_new_thread(_nudge, (arrived, get_ident()))
            signal.set_wakeup_fd(arriving, warn_on_full_buffer=False)
            _State.nudged = True
    return _State.nudged


def _nudge(arrived: int, thread: int) -> None:
    while True:
        signals = os.read(arrived, 100)
        sleep(2 * _PAUSE)
        if _State.put_off or signals.strip(bytes([NUDGE])):
            signal.pthread_kill(thread, NUDGE)


def done() -> None:
    """The command is over: a signal does not unwind what is left to do."""
    _State.ending = True


def _end_in(seconds: float, signum: int, listening: object) -> None:
    """End the process in so many seconds. The guard does whatever is left undone then."""
    stopped = Stopped(signum)

    def end() -> None:
        sleep(seconds)
        if _State.listening is listening:
            with suppress(OSError):
                say_last_words(stopped, lambda words: os.write(2, words.encode()))
            os._exit(stopped.status)

    with suppress(RuntimeError):  # Python is ending, or there can be no more threads
        start_new_thread(end, ())


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


def command_line_of_parent() -> list[str]:
    """The words with which the process that started helm-pin was started; none where they cannot be read: there is no /proc."""
    try:
        words = Path(f"/proc/{sys._xoptions.get('parent')}/cmdline").read_bytes()
        return os.fsdecode(words).split("\0")[:-1]
    except OSError:
        return []


def orphaned() -> bool:
    """Whether the process that started helm-pin is gone."""
    return bool(_State.parent) and os.getppid() != _State.parent


def if_stopped(state: str | Callable[[], str]) -> None:
    """Set what main() reports if helm-pin is stopped from now on: the state that things are left in, or a function that finds it
    out."""
    _State.left, _State.untouched = state, ""


def nothing_yet(state: str) -> None:
    """Say that the command has changed nothing so far: `nothing was deployed`. main() reports it if helm-pin is stopped, and with
    every error, until if_stopped() sets another state."""
    _State.left = _State.untouched = state


def untouched() -> str:
    """The state given to nothing_yet(); '' if the command may have changed something, or never changes anything."""
    return _State.untouched


def left() -> str:
    """The state that things are left in, as last set by if_stopped(); '' if it was not."""
    return _State.left if isinstance(_State.left, str) else _State.left()


def say_last_words(stopped: Stopped, write: Callable[[str], object]) -> None:
    """Write the message when helm-pin was stopped: the state, and why. Once: whoever comes meanwhile waits until it is written,
    since the process may end then. If the state is not found out within GRACE seconds, they write only why."""
    error = f"Error: {stopped.why}\n"
    if not _last_words.acquire(timeout=GRACE):
        write(error)
        return
    try:
        if not _State.has_said:
            _State.has_said = True
            state = left()
            if state:
                from helmpin.output import mask_urls, printable

                state = f"Stopped: {printable(mask_urls(state))}.\n"  # it may have what helm or an API server said
            write(state + error)
    finally:
        _last_words.release()


def hold(pid: int) -> None:
    """End this process when helm-pin is killed; a negative number is a process group."""
    _send_to_guard(f"+{pid}")


def release(pid: int) -> None:
    """This process has ended."""
    _send_to_guard(f"-{pid}")


def remove_if_killed(folder: Path) -> None:
    """Remove this folder when helm-pin is killed."""
    if "\n" not in str(folder):
        _send_to_guard(str(folder))


def _send_to_guard(line: str) -> None:
    with _one_at_a_time:
        if _State.guard is None:
            _start_guard()
        guard = _State.guard
        if guard is not None and guard >= 0:
            try:
                os.write(guard, f"{line}\n".encode(errors="surrogateescape"))
            except OSError:  # the guard is gone
                os.close(guard)
                _State.guard = -1


def _start_guard() -> None:
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
        _State.guard = -1
        return
    finally:
        os.close(there)
    _State.guard = here

    def dismiss() -> None:
        _send_to_guard(".")
        os.waitpid(guard, 0)

    atexit.register(dismiss)
