"""Who ends with whom, by real processes: what helm-pin reads from ends with it, what deploys does not."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from helmpin.lifeline import GUARD
from helmpin.process import Process
from scripts.devtools.processes import birth
from tests.support.uncounted import UNCOUNTED
from tests.support.workstation import CHECKOUT


def lives(pid: int) -> bool:
    """Whether a process runs, and is more than a name in the table."""
    return birth(pid) is not None


def command_of(pid: str) -> str:
    return subprocess.run(["ps", "-o", "comm=", "-p", pid], capture_output=True, text=True).stdout.strip()


def eventually(what: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


@contextmanager
def python(code: str, *options: str, arguments: Sequence[str] = (), **pipes: object) -> Iterator[subprocess.Popen[str]]:
    """Python with helm-pin's modules, in a process group of its own."""
    command = [sys.executable, *options, "-c", code, *arguments]
    with subprocess.Popen(
        command,
        cwd=CHECKOUT,
        text=True,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **{"env": UNCOUNTED, **pipes},
    ) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


class TestProcess:
    def test_reads_both_streams_whole(self) -> None:
        code = "import sys; sys.stdout.write('o' * 3_000_000); sys.stderr.write('e' * 3_000_000); sys.exit(5)"
        status, out, err = Process([sys.executable, "-c", code], os.environ).ended()
        assert (status, len(out), len(err)) == (5, 3_000_000, 3_000_000)

    def test_gives_standard_input(self) -> None:
        assert Process(["cat"], os.environ, b"x" * 1_000_000).ended() == (0, b"x" * 1_000_000, b"")

    def test_what_could_not_be_read_is_no_output(self) -> None:
        class Unreadable(subprocess.Popen[bytes]):
            def communicate(self, *_: object, **__: object) -> tuple[bytes, bytes]:
                raise OSError("the pipe broke")

        child = Unreadable(["true"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with pytest.raises(OSError, match="the pipe broke"):
            Process(["true"], os.environ, started=child).ended()

    @pytest.mark.parametrize("grace", [0, 0.2])
    def test_is_ended_whatever_it_does(self, grace: float) -> None:
        process = Process(["sh", "-c", "trap '' TERM; echo; while :; do sleep 0.1; done"], os.environ)
        pid = process.pid
        process.stop(grace)
        assert not lives(pid)


class TestWhenHelmPinIsKilled:
    CODE = """
import os, signal, subprocess, sys, time
from helmpin.private import Folder, write
from helmpin.process import Process
started, ended = Process(["sleep", "100"], os.environ), Process(["true"], os.environ)
ended.ended(); ended.stop()
folder = Folder()
write(folder.path / "secret", "s")
print(started.pid, folder.path, flush=True)
time.sleep(100)
"""

    def test_what_it_reads_from_ends_and_its_files_go(self) -> None:
        with python(self.CODE) as process:
            pid, folder = line(process).split(None, 1)
            assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
            assert stat.S_IMODE(Path(folder, "secret").stat().st_mode) == 0o600
            process.kill()
            eventually(lambda: not lives(int(pid)) and not Path(folder).exists())

    def test_though_the_whole_group_got_other_signals_before(self) -> None:
        ignore = "import signal\nfor s in (1, 2, 3, 15): signal.signal(s, lambda *_: None)\n"
        ignore += "import subprocess; subprocess.Popen = type('P', (subprocess.Popen,), {})\n"
        slow = "n=0; while [ $n != 200000 ]; do n=$((n+1)); done"  # the guard may not have come to its trap
        ignore += f"from helmpin import lifeline; lifeline.GUARD = '{slow}; ' + lifeline.GUARD\n"
        held = self.CODE.replace('"sleep", "100"', '"sh", "-c", "trap \'\' HUP INT QUIT TERM; exec sleep 100"')
        with python(ignore + held) as process:
            pid, folder = line(process).split(None, 1)
            eventually(lambda: command_of(pid) == "sleep")
            for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
                os.killpg(process.pid, signum)
            time.sleep(0.2)
            assert lives(int(pid))
            process.kill()
            eventually(lambda: not lives(int(pid)) and not Path(folder).exists())

    def test_only_that(self, tmp_path: Path) -> None:
        """By what the guard is told: programs that have ended may have given their number to others."""
        folder = tmp_path / "it's a folder"
        folder.mkdir()
        sleepers = [subprocess.Popen(["sleep", "100"]) for _ in range(4)]
        a, b, c, d = (sleeper.pid for sleeper in sleepers)
        told = f"+{a}\n+{b}\n+{c}\n-{a}\n-{a}\n-{d}\n{folder}\n-{c}\n"
        try:
            subprocess.run(["sh", "-c", GUARD, "helm-pin"], input=told.encode(), check=True, timeout=10)
            eventually(lambda: not lives(b))
            assert [lives(pid) for pid in (a, c, d)] == [True, True, True]
            assert not folder.exists()
        finally:
            for sleeper in sleepers:
                sleeper.kill()
                sleeper.wait()

    def test_whole_groups_too(self) -> None:
        group = subprocess.Popen(["sh", "-c", "sleep 100 & wait"], start_new_session=True)
        other = subprocess.Popen(["sleep", "100"], start_new_session=True)
        try:
            told = f"+-{group.pid}\n+-{other.pid}\n--{other.pid}\n"
            subprocess.run(["sh", "-c", GUARD, "helm-pin"], input=told.encode(), check=True, timeout=10)
            assert group.wait(10) == -signal.SIGKILL
            assert lives(other.pid)
        finally:
            other.kill()
            other.wait()

    def test_many_threads_share_a_guard(self) -> None:
        code = "import os, sys, threading\nfrom helmpin.process import Process\nsys.setswitchinterval(1e-7)\n"
        code += "def run(): Process(['true'], os.environ).ended()\n"
        code += "threads = [threading.Thread(target=run) for _ in range(16)]\n"
        code += "for t in threads: t.start()\nfor t in threads: t.join()\n"
        code += "import subprocess; print(subprocess.check_output(['ps', '-A', '-ww', '-o', 'ppid=,args='], text=True))"
        with python(code) as process:
            out, err = process.communicate(timeout=20)
        guards = [row for row in out.splitlines() if row.split()[:1] == [str(process.pid)] and "trap" in row]
        assert (len(guards), err) == (1, "")

    def test_a_credential_helper_that_hangs(self, tmp_path: Path) -> None:
        helper = tmp_path / "docker-credential-hangs"
        # it is asked as soon as the guard knows it
        helper.write_text(f"#!/bin/sh\nread -r server\necho $$ >'{tmp_path}/pid'\nsleep 100\n")
        helper.chmod(0o755)
        code = "from helmpin.registry.credential_helpers import get; get('hangs', 'example.com', 60)"
        with python(code, env={**UNCOUNTED, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}) as process:
            eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
            pid = int((tmp_path / "pid").read_text())
            process.kill()
            eventually(lambda: not lives(pid))

    @pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
    def test_required_commands_with_all_that_they_have_started(self, tmp_path: Path, signum: signal.Signals) -> None:
        # the guard hears of a command some milliseconds after its start
        script = (
            f"sleep 0.5; sleep 100 & echo $! >'{tmp_path}'/$1.tmp; mv '{tmp_path}'/$1.tmp '{tmp_path}'/$1.pid; wait"
        )
        (tmp_path / "ask").write_text(script)
        code = "from helmpin import gate, lifeline\nlifeline.listen()\n"
        code += f"gate.ask(gate.Gate(('sh {tmp_path}/ask {{}}',)), ['first', 'second'])"
        with python(code) as process:
            eventually(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
            pids = [int(file.read_text()) for file in tmp_path.glob("*.pid")]
            process.send_signal(signum)
            eventually(lambda: process.poll() is not None and not any(map(lives, pids)))

    def test_a_long_run_costs_the_guard_nothing(self) -> None:
        """Ten thousand programs, and it is done as soon as it is told to be."""
        told = "".join(f"+{pid}\n-{pid}\n-{pid}\n" for pid in range(100_000, 110_000)) + ".\n"
        done = subprocess.run(["sh", "-c", GUARD, "helm-pin"], input=told.encode(), timeout=10, capture_output=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_how_a_program_ended_is_known_to_those_who_ignore_their_children() -> None:
    code = "import os; from helmpin import lifeline; from helmpin.process import Process; lifeline.listen();"
    code += "print(Process(['sh', '-c', 'exit 3'], os.environ).ended()[0])"
    ignore = f"import os, signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv({sys.executable!r}, "
    with python(f"{ignore}[{sys.executable!r}, '-c', {code!r}])") as process:
        assert process.communicate(timeout=10) == ("3\n", "")


class TestSignals:
    CODE = r"""
import os, sys, time
from helmpin import __main__, cli, lifeline
def command():
    lifeline.listen()
    lifeline.if_stopped("nothing was changed")
    try:
        os.write(1, b"ready\n")
        time.sleep(100)
    finally:
        os.write(1, b"tidying\n")
        time.sleep(float(sys.argv[1]))
        os.write(1, b"tidied\n")
cli.main = command
__main__.main()
"""

    @pytest.mark.parametrize(
        ("signum", "why"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "stopped: SIGTERM was received")]
    )
    @pytest.mark.parametrize(("seconds", "tidied"), [("1", True), ("60", False)])
    def test_more_of_them_end_it_without_a_traceback(
        self, signum: signal.Signals, why: str, seconds: str, tidied: bool
    ) -> None:
        with python(self.CODE, arguments=[seconds]) as process:
            assert line(process) == "ready"
            process.send_signal(signum)
            assert line(process) == "tidying"
            for _ in range(5):
                process.send_signal(signum)
                time.sleep(0.05)
            out, err = process.communicate(timeout=10)
        assert out == ("tidied\n" if tidied else "")
        assert err == f"Stopped: nothing was changed.\nError: {why}\n"
        assert process.returncode == 128 + signum

    @pytest.mark.parametrize(("seconds", "state"), [(1, "Stopped: nothing was changed.\n"), (100, "")])
    def test_the_state_is_reported_if_it_is_found_out_in_time(self, seconds: int, state: str) -> None:
        """It takes longer than from one signal to the next; a further signal does not end it while it is at it, but in the end."""
        code = self.CODE.replace('"nothing was changed"', f"lambda: time.sleep({seconds}) or 'nothing was changed'")
        with python(code, arguments=["60"]) as process:
            assert line(process) == "ready"
            for _ in range(5):
                process.send_signal(signal.SIGINT)
                time.sleep(0.1)
            out, err = process.communicate(timeout=10)
        assert (out, err, process.returncode) == ("tidying\n", f"{state}Error: interrupted\n", 130)

    def test_one_alone_ends_it_though_the_unwinding_hangs(self) -> None:
        with python(f"from helmpin import lifeline; lifeline.PATIENCE = 1.0\n{self.CODE}", arguments=["60"]) as process:
            assert line(process) == "ready"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=10)
        assert (out, err) == ("tidying\n", "Stopped: nothing was changed.\nError: interrupted\n")
        assert process.returncode == 130

    def test_one_at_any_moment_is_noticed_and_leaves_no_lock_taken(self) -> None:
        """At the worst moments: while Python imports a module, and while it takes a lock in Python."""
        code = """
import _imp, sys, threading
from helmpin import lifeline
for _ in range(100):
    event = threading.Event()
    lifeline.listen()
    try:
        print("ready", flush=True)
        while True:
            sys.modules.pop("colorsys", None)
            import colorsys
            event.wait(0)
            for n in range(500):
                pass
    except lifeline.Stopped:
        pass
    if _imp.lock_held():
        sys.exit("the lock of import is taken")
    threading.Thread(target=event.set, daemon=True).start()
    if not event.wait(5):
        sys.exit("the event is taken")
"""
        with python(code) as process:
            for _ in range(100):
                assert line(process) == "ready", process.communicate(timeout=10)
                time.sleep(random.random() / 500)
                process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=10) == ("", "")

    def test_a_nudge_while_one_is_handled_raises_nothing_in_the_library(self) -> None:
        code = """
import functools, signal, threading, traceback
from helmpin import lifeline
lifeline.listen()
setitimer = signal.setitimer
again = compile('''
def again(*when):
    signal.setitimer = setitimer
    signal.raise_signal(lifeline.NUDGE)
    setitimer(*when)
''', lifeline.__file__, "exec")
exec(again)
signal.setitimer = again
try:
    threading.Thread(target=functools.partial(signal.raise_signal, signal.SIGINT)).run()
    while True:
        pass
except lifeline.Stopped as stopped:
    print(*(frame.name for frame in traceback.extract_tb(stopped.__traceback__)))
"""
        with python(code) as process:
            out, err = process.communicate(timeout=10)
        assert "handle" in out.split() and "run" not in out.split() and err == "", out

    def test_a_nudge_while_python_ends_does_not_end_it(self) -> None:
        """By then, Python has dropped its handlers."""
        code = """
import os
from helmpin import lifeline
lifeline.listen()
class Last:
    def __del__(self, kill=os.kill, pid=os.getpid(), nudge=lifeline.NUDGE, write=os.write):
        write(1, b"last")
        kill(pid, nudge)
last = Last()
"""
        with python(code) as process:
            assert process.communicate(timeout=10) == ("last", "")
        assert process.returncode == 0

    @pytest.mark.parametrize("ignored", [False, True])
    def test_ctrl_c_while_python_starts(self, ignored: bool, tmp_path: Path) -> None:
        """It ends as any program does, or not at all."""
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/helm-pin").write_bytes((CHECKOUT / "bin/helm-pin").read_bytes())
        (tmp_path / ".venv/bin").mkdir(parents=True)
        python = tmp_path / ".venv/bin/python"
        python.write_text(f"#!/bin/sh\nkill -INT $$; echo started\nexec '{sys.executable}' \"$@\"\n")
        python.chmod(0o755)
        (tmp_path / "helmpin").mkdir()
        top = (CHECKOUT / "helmpin/__main__.py").read_text().partition("import atexit")[0]
        (tmp_path / "helmpin/__main__.py").write_text(
            f"{top}\nprint('on', flush=True)\n_signal.raise_signal(2)\nprint('still')\n"
        )
        ignore = "trap '' INT; " if ignored else ""
        done = subprocess.run(
            ["sh", "-c", f"{ignore}exec sh '{tmp_path}/bin/helm-pin'"], capture_output=True, text=True
        )
        assert done.stderr == ""
        assert (done.returncode, done.stdout) == ((0, "started\non\nstill\n") if ignored else (-2, "started\non\n"))


class TestTheParent:
    CODE = """
import time
from helmpin import lifeline
lifeline.listen()
try:
    lifeline.watch_parent()
    print("watching", flush=True)
    time.sleep(100)
except lifeline.Stopped as stopped:
    print(stopped.why, stopped.status, flush=True)
"""

    def test_is_watched(self) -> None:
        shell = 'exec 3>&1; "$0" -X parent=$$ -c "$1" >&3 & wait'
        with subprocess.Popen(
            ["sh", "-c", shell, sys.executable, self.CODE], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
        ) as parent:
            assert line(parent) == "watching"
            parent.kill()
            assert line(parent) == "stopped: the helm that started helm-pin is gone 143"

    def test_one_that_is_gone_from_the_start(self) -> None:
        with python(self.CODE, "-X", "parent=1073741824") as process:
            out, _ = process.communicate(timeout=10)
            assert out.splitlines()[-1] == "stopped: the helm that started helm-pin is gone 143"

    def test_none_is_named(self) -> None:
        """helm-pin that was not started by bin/helm-pin."""
        with python(self.CODE) as process:
            assert line(process) == "watching"
            time.sleep(0.5)
            assert process.poll() is None


class TestForeground:
    """A program in helm-pin's place."""

    CODE = """
import os, sys
from helmpin import foreground, lifeline
lifeline.listen()
say = lambda text: print(text, file=sys.stderr, flush=True)
ended = foreground.run(["sh", "-c", sys.argv[1]], os.environ, say, lambda: "running")
print(*ended, lifeline.left(), file=sys.stderr, flush=True)
"""

    def run(self, script: str, **pipes: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", self.CODE, script]
        return subprocess.Popen(command, cwd=CHECKOUT, text=True, start_new_session=True, **pipes)  # type: ignore[call-overload, no-any-return]

    def test_its_output_is_ours(self) -> None:
        process = self.run("echo out; echo err >&2; exit 3", stdout=-1, stderr=-1)
        out, err = process.communicate(timeout=10)
        assert (out, err) == ("out\n", "err\n3 0 False running\n")

    def test_one_pipe_keeps_the_order(self) -> None:
        script = "for i in 1 2 3 4 5 6 7 8 9; do echo $i; echo e$i >&2; done"
        process = self.run(script, stdout=-1, stderr=subprocess.STDOUT)
        lines = process.communicate(timeout=10)[0].split()
        assert lines[:18] == [f"{e}{i}" for i in range(1, 10) for e in ("", "e")]

    @pytest.mark.parametrize(
        ("signum", "passed"),
        [(signal.SIGINT, "INT"), (signal.SIGTERM, "TERM"), (signal.SIGHUP, "TERM"), (signal.SIGUSR1, "TERM")],
    )
    def test_a_signal_is_passed_on(self, signum: signal.Signals, passed: str) -> None:
        """helm ends in order for SIGINT and SIGTERM alone, and whoever sends SIGHUP to helm-pin alone wants that."""
        script = 'for s in INT TERM; do trap "echo got $s; exit 0" $s; done; echo ready; while :; do sleep 0.05; done'
        process = self.run(script, stdout=-1, stderr=-1)
        assert line(process) == "ready"
        os.kill(process.pid, signum)
        out, err = process.communicate(timeout=10)
        assert out == f"got {passed}\n"
        assert err.splitlines()[-1] == f"0 {int(signum)} False running"

    def test_a_second_one_kills_it_when_it_has_had_its_time(self) -> None:
        process = self.run("trap '' INT; echo ready; while :; do sleep 0.05; done", stdout=-1, stderr=-1)
        assert line(process) == "ready"
        began = time.monotonic()
        for _ in "12":
            os.kill(process.pid, signal.SIGINT)
            time.sleep(0.1)
        _, err = process.communicate(timeout=10)
        assert err.splitlines()[-1] == f"{-signal.SIGKILL} {int(signal.SIGINT)} False running"
        assert 1.9 < time.monotonic() - began < 8

    def test_a_terminal_that_is_gone_ends_nothing_that_was_begun(self) -> None:
        """SIGHUP to the whole group, as by the kernel when the leader of the session dies of a Ctrl-C."""
        script = "trap 'sleep 0.5; echo in order; exit 0' INT TERM; echo ready; while :; do sleep 0.05; done"
        process = self.run(script, stdout=-1, stderr=-1)
        assert line(process) == "ready"
        os.killpg(process.pid, signal.SIGINT)
        os.killpg(process.pid, signal.SIGHUP)
        out, err = process.communicate(timeout=10)
        assert out == "in order\n"
        assert err.splitlines()[-1] in {f"0 {int(first)} False running" for first in (signal.SIGINT, signal.SIGHUP)}

    def test_it_lives_on_when_we_are_killed(self, tmp_path: Path) -> None:
        """And can still write, to us and to those that do not read any more."""
        script = f"echo ready; sleep 1; echo more; echo more >&2; sleep 0.2; echo more && touch '{tmp_path}/done'"
        process = self.run(script, stdout=-1, stderr=-1)
        assert line(process) == "ready"
        process.kill()
        assert process.stdout and process.stderr
        process.stderr.close()
        assert line(process) == "more"
        process.stdout.close()
        process.wait()
        eventually((tmp_path / "done").exists)

    def test_it_lives_on_without_a_reader(self, tmp_path: Path) -> None:
        process = self.run(
            f"sleep 0.5; for i in 1 2 3; do echo $i; sleep 0.1; done; touch '{tmp_path}/done'", stdout=-1, stderr=-1
        )
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read().splitlines()[-1] == "0 0 True running"
        assert process.wait() == 0
        assert (tmp_path / "done").exists()

    def test_it_is_not_begun_when_we_were_stopped(self) -> None:
        code = self.CODE.replace("lifeline.listen()", "lifeline.listen(); lifeline.watch_parent(); lifeline.accept(10)")
        with python(code.replace("sys.argv[1]", "'echo begun'"), "-X", "parent=1073741824") as process:
            out, err = process.communicate(timeout=10)
        assert out == ""
        assert process.returncode == 128 + signal.SIGTERM
        assert "running" not in err
