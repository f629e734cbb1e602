"""A gate (--require): commands of the user that must succeed for each image, by digest, before anything is changed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from helmpin import lifeline, parallel
from helmpin.errors import UsageError
from helmpin.named_tuple import NamedTuple
from helmpin.private import Folder
from helmpin.process import ending, kill_group

PLACE = "{}"
"""Stands for the image in a command."""
SECONDS = 60.0
"""How long a command may take for one image, by default."""
AT_ONCE = 16
MOST_LINES = 20
"""Lines of a command's output that are shown."""
_MOST_BYTES = 1 << 20
"""How much of the end of its output is read."""
_WORD = r"""(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\])+"""
"""One word of a command, as a shell reads it."""
_SHOWN = frozenset(
    [
        *("--certificate-identity", "--certificate-identity-regexp"),
        *("--certificate-oidc-issuer", "--certificate-oidc-issuer-regexp"),
        *("--severity", "--exit-code", "--scanners", "--pkg-types", "--fail-on", "--platform", "--type"),
        *("--format", "--output", "--timeout"),
    ]
)
"""Flags of cosign, trivy and grype whose values are never secret, and say what a command demands."""
_ANY_STATUS = tuple(range(-64, 256))


class Gate(NamedTuple):
    """The commands, and how long each may take for one image."""

    commands: tuple[str, ...] = ()
    seconds: float = SECONDS

    @property
    def shown(self) -> tuple[str, ...]:
        """The commands for the record and for messages, without what may be a secret (`_masked`)."""
        return tuple(map(_masked, self.commands))


def _masked(command: str) -> str:
    """A command as typed, with *** for whatever may be a secret. Shown are the program and its subcommands, the names of flags and
    variables, files that exist, and the values of the flags in _SHOWN."""
    before: str | None = None  # the last flag; None until there is one

    def shown(match: re.Match[str]) -> str:
        nonlocal before
        word, flag = "".join(shlex.split(match[0])), before
        name, equals, value = word.partition("=")
        if re.fullmatch(r"--[\w-]+|-\w", name):
            before = "" if equals else name
            return match[0] if not equals or name in _SHOWN or _is_harmless(value) else f"{name}={_hidden(value)}"
        if re.match(r"-\w", word):  # a short flag with its value, or several flags
            before = word[:2]
            return f"{word[:2]}***"
        before = None if before is None else ""  # the flag's value, if it takes one, is this word
        is_subcommand = flag is None and re.fullmatch(r"[a-z][a-z-]*", word)
        is_program = match.start() == 0 and not equals
        if is_program or is_subcommand or flag in _SHOWN or _is_harmless(word):
            return match[0]
        return f"{name}=***" if equals and re.fullmatch(r"\w+", name) else _hidden(word)

    return re.sub(_WORD, shown, command)


def _is_harmless(word: str) -> bool:
    """Whether a word is the image, an existing file, or only punctuation."""
    return word == PLACE or not re.search(r"[^\W_]", word) or os.path.exists(word)  # noqa: PTH110 (Path has errors for long words)


def _hidden(word: str) -> str:
    """*** for a word, or for what is around the image in it; a scheme before it stays."""
    start, place, end = word.partition(PLACE)
    if not place:
        return "***"
    scheme = re.fullmatch(r"[a-z-]+:(?://)?", start)
    return f"{start if not start or scheme else '***'}{PLACE}{end and '***'}"


def check(commands: Sequence[str], where: str) -> None:
    """Raise UsageError for a command that cannot be run. where: the flag or variable that names it."""
    for command in commands:
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise UsageError("a required command cannot be read", where=where, why=str(error)) from None
        if not any(PLACE in word for word in words):
            hint = f"for example --require 'cosign verify --key cosign.pub {PLACE}'"
            raise UsageError(
                f"a required command must have {PLACE} where the image goes",
                where=where,
                why=f"got {_masked(command)!r}",
                hint=hint,
            )
        if shutil.which(words[0]) is None:
            name = _masked(shlex.quote(words[0]))
            why = f"there is no program {name} on PATH"
            hint = "install it, or write its path; aliases and functions of a shell do not count"
            if "/" in words[0]:
                why = f"there is no program that can be run at {name}"
                hint = "write its path from / or from the working directory, and make it executable"
            raise UsageError("a required command cannot be run", where=where, why=why, hint=hint)


def ask(gate: Gate, images: Iterable[str]) -> dict[str, str]:
    """Why each rejected image is refused, by image as given. All commands run for all images, in parallel
    and without a shell. If a command prints the same for several images, only the first one shows it."""
    jobs = [(image, n) for image in dict.fromkeys(images) for n in range(len(gate.commands))]
    running = _Running()
    try:
        answers = list(parallel.each(lambda job: _ask(gate, job[1], job[0], running), jobs, AT_ONCE))
    except BaseException:
        running.stop()
        raise
    found: dict[str, str] = {}
    printed: set[tuple[int, str]] = set()
    for (image, number), refusal in zip(jobs, answers, strict=True):
        if refusal:
            lines = [f"    | {line}" for line in refusal.lines]
            answer = number, "\n".join([refusal.why, *refusal.lines]).replace(image, PLACE)
            why = f"`{gate.shown[number].replace(PLACE, image)}` {refusal.why}"
            if answer in printed:
                why += ", in the same words" if lines else ""
            else:
                why = "\n".join([why, *lines])
            printed.add(answer)
            found[image] = f"{found[image]}\n{why}" if image in found else why
    return found


class _Refusal(NamedTuple):
    """Why a command refuses an image."""

    why: str
    lines: Sequence[str] = ()
    """The end of what it printed."""


def _ask(gate: Gate, number: int, image: str, running: _Running) -> _Refusal | None:
    words = [word.replace(PLACE, image) for word in shlex.split(gate.commands[number])]
    try:
        status, out = running.run(words, gate.seconds)
    except OSError as error:
        return _Refusal(f"could not be started: {error.strerror or error}")
    if status == 0:
        return None
    if status is None:
        why = f"did not finish within {gate.seconds:g} s (raise --require-timeout)"
    else:
        why = f"rejected the image (exit status {status})" if status > 0 else ending(status)
    return _Refusal(why, _lines(out.decode(errors="replace")))


def _lines(out: str) -> list[str]:
    """The last lines of the output. An error that a program and its library both print, each with its own prefix, is shown once."""
    lines = out.splitlines()
    after = [line.partition(": ")[2] for line in lines]
    return [line for n, line in enumerate(lines) if not after[n] or n == 0 or after[n] != after[n - 1]][-MOST_LINES:]


class _Running:
    """The commands that run, each in its own process group, so that the programs that it starts end with it. Mutable; shared by all
    threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self._stopped = False

    def run(self, words: Sequence[str], seconds: float) -> tuple[int | None, bytes]:
        """The exit status (None after the time limit), and the end of the output. Raises OSError, and OperationFailed where no
        temporary file can be written."""
        # a file: sh stops reading a pipe two seconds after the program has ended
        with Folder() as folder, (folder / "output").open("w+b") as printed:
            status = self._run(words, seconds, printed)
            size = os.fstat(printed.fileno()).st_size
            return status, os.pread(printed.fileno(), _MOST_BYTES, max(0, size - _MOST_BYTES))

    def _run(self, words: Sequence[str], seconds: float, printed: IO[bytes]) -> int | None:
        import sh  # takes 0.1 s, little beside programs that ask a registry or a transparency log

        with self._lock, Path(os.devnull).open("rb") as nothing:
            if self._stopped:
                return 1
            try:
                command = sh.Command(words[0])(
                    *words[1:],
                    _in=nothing,
                    _out=printed,
                    _err=printed,
                    _new_session=True,
                    _bg=True,
                    _bg_exc=False,
                    _ok_code=_ANY_STATUS,
                    _return_cmd=True,
                )
            except sh.ForkException as error:  # the last line is the child's error
                raise OSError(str(error).strip().splitlines()[-1].strip()) from None
            self._groups.add(command.pid)
        lifeline.hold(-command.pid)
        is_late = threading.Event()

        def stop() -> None:
            is_late.set()
            kill_group(command.pid)

        timer = threading.Timer(seconds, stop)  # with a time limit of its own, sh does not wait for the output
        timer.start()
        try:
            command.wait()
            return None if is_late.is_set() else int(command.exit_code)
        finally:
            timer.cancel()
            lifeline.release(-command.pid)
            with self._lock:
                self._groups.discard(command.pid)

    def stop(self) -> None:
        """End those that run, and start no more."""
        with self._lock:
            self._stopped = True
            for group in self._groups:
                kill_group(group)
