"""What two Go libraries make of a reference: distribution's `reference`, and go-containerregistry's `name`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.support.go_program import go_program


class Parsed(NamedTuple):
    """One library's reading; `error` is '' when it took the text."""

    error: str
    registry: str
    repository: str
    tag: str
    digest: str


class Oracle:
    """The running Go program."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, texts: Iterable[str]) -> Iterator[tuple[Parsed, Parsed]]:
        """(distribution's, go-containerregistry's) reading of each text."""
        assert self._process.stdin and self._process.stdout
        for text in texts:
            self._process.stdin.write(json.dumps(text) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
            yield _parsed(answer["distribution"]), _parsed(answer["containerregistry"])


def _parsed(answer: dict[str, Any]) -> Parsed:
    return Parsed(answer.get("error", ""), answer["registry"], answer["repository"], answer["tag"], answer["digest"])


@contextmanager
def oracle() -> Iterator[Oracle]:
    """Build the program if need be, and run it."""
    with subprocess.Popen(
        [go_program("goname")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        yield Oracle(process)
        assert process.stdin
        process.stdin.close()
