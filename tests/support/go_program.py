"""Small Go programs of the tests, from the folders beside this file."""

from __future__ import annotations

import hashlib
from pathlib import Path

from scripts.devtools.binaries import cache, locked, run_go


def go_program(name: str) -> Path:
    """Build tests/support/NAME if need be (into the cache, by the hash of its sources); the program."""
    source = Path(__file__).parent / name
    sources = b"".join((source / file).read_bytes() for file in ("main.go", "go.mod", "go.sum"))
    program = cache() / "bin" / f"{name}-{hashlib.sha256(sources).hexdigest()[:12]}"
    with locked(name):
        if not program.exists():
            built = program.with_suffix(".new")
            run_go(["build", "-trimpath", "-o", str(built), "."], source)
            built.replace(program)
    return program
