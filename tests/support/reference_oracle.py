"""What two Go libraries make of a reference: distribution's `reference`, and go-containerregistry's `name`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.support.go_program import go_program


class Parsed(NamedTuple):
    """One library's reading; `error` is '' when it took the text."""

    error: str
    registry: str
    repository: str
    tag: str
    digest: str


def read_by_go(texts: Sequence[str]) -> list[tuple[Parsed, Parsed]]:
    """(distribution's, go-containerregistry's) reading of each text. Builds the program if need be."""
    asked = "".join(f"{json.dumps(text)}\n" for text in texts).encode()
    printed = subprocess.run([go_program("goname")], input=asked, stdout=subprocess.PIPE, check=True).stdout
    answers = [json.loads(line) for line in printed.splitlines()]
    return [(_parsed(answer["distribution"]), _parsed(answer["containerregistry"])) for answer in answers]


def _parsed(answer: dict[str, Any]) -> Parsed:
    return Parsed(answer.get("error", ""), answer["registry"], answer["repository"], answer["tag"], answer["digest"])
