"""What two Go libraries make of a reference: distribution's `reference`, and go-containerregistry's `name`."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from scripts.devtools.binaries import cache, run_go

SOURCE = Path(__file__).parent / "goname"


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
    """Build the program if need be (into the cache, by the hash of its sources), and run it."""
    sources = b"".join((SOURCE / name).read_bytes() for name in ("main.go", "go.mod", "go.sum"))
    program = cache() / "bin" / f"goname-{hashlib.sha256(sources).hexdigest()[:12]}"
    if not program.exists():
        built = program.with_suffix(".new")
        run_go(["build", "-trimpath", "-o", str(built), "."], SOURCE)
        built.replace(program)
    with subprocess.Popen(
        [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        yield Oracle(process)
        assert process.stdin
        process.stdin.close()
