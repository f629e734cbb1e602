"""A helm whose history is written down: it stands where helm lists and deploys the release `web`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from helmpin.chart.archive import Budget, unpack
from helmpin.errors import HelmFailed
from helmpin.foreground import Ended
from helmpin.helm import Flag
from helmpin.release.outcome import HistoryRow


class Printed:
    """What was started, and what it prints, or how it fails."""

    def __init__(self, answer: str | HelmFailed) -> None:
        self._answer = answer

    def output(self) -> str:
        """As helm's process has it."""
        if isinstance(self._answer, HelmFailed):
            raise self._answer
        return self._answer


class Helm:
    """It ends as the test says, and its history has these rows, or these one after the other."""

    def __init__(
        self,
        status: int = 0,
        asked: int = 0,
        rows: Sequence[HistoryRow] | HelmFailed = (),
        then: Iterable[Sequence[HistoryRow] | HelmFailed] = (),
        flags: Sequence[str] = (),
        dry_run: str | None = None,
    ) -> None:
        self._ended, self._answers = Ended(status, asked, False), [rows, *then]
        self._flags, self._dry_run = flags, dry_run
        self.deployed: list[list[str]] = []
        self.started: list[list[str]] = []

    def deploy(self, args: list[str]) -> Ended:
        """Deploy nothing."""
        self.deployed.append(args)
        return self._ended

    def start(self, args: Sequence[str]) -> Printed:
        """The history."""
        assert args[:2] == ["history", "web"], "nothing else is asked here"
        self.started.append([*args])
        rows = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(rows, HelmFailed):
            return Printed(rows)
        return Printed(json.dumps([{**row._asdict(), "updated": "now", "chart": "app-1"} for row in rows]))

    def run(self, args: Sequence[str]) -> str:
        """A dry run of what failed: what it would have stored."""
        if self._dry_run is None:
            raise HelmFailed(f"helm {args[0]} failed", why="not here")
        assert args[-2:] == ["--dry-run=client", "--output=json"]
        return self._dry_run

    def flags(self, _: str) -> Mapping[str, Flag]:
        """Those of a command."""
        return {name: Flag(name, False) for name in self._flags}

    def files(self) -> dict[str, str]:
        """The files of the one chart that was deployed."""
        ((_, _, archive, *_),) = self.deployed
        files = unpack(Path(archive).read_bytes(), Budget("app"), "app")
        return {path: file.data.decode() for path, file in files.items()}


class Known(NamedTuple):
    """The latest revision, without a helm."""

    row: HistoryRow

    def latest(self) -> HistoryRow:
        """As Baseline has it."""
        return self.row
