"""The values of a release: the user's flags, and what helm would reuse of the previous revision."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helmpin.arguments import Given, is_on
from helmpin.helm import Helm
from helmpin.pin import previous as before

if TYPE_CHECKING:
    from helmpin.chart.stage import StagedChart

VALUE_FLAGS = frozenset({"--values", "--set", "--set-string", "--set-json", "--set-file", "--set-literal"})
REUSE_FLAGS = frozenset({"--reuse-values", "--reset-then-reuse-values", "--reset-values"})


class Values:
    """The user's values, and those of the previous revision where helm would reuse them."""

    def __init__(self, helm: Helm, release: str, flags: list[Given], given: list[str], deploys: str) -> None:
        self.helm, self.release, self.given, self.flags = helm, release, given, flags
        self.reuse = is_on(flags, "--reuse-values")
        self.reset_then = is_on(flags, "--reset-then-reuse-values")
        upgrades = deploys == "upgrade" or self.reuse or self.reset_then
        wanted = upgrades and not is_on(flags, "--reset-values") and (self.reuse or self.reset_then or not given)
        self.reading = before.Reading(helm, release) if wanted else None
        self.arguments = given
        self.exists: bool | None = None
        self.reused: Mapping[str, Any] = {}

    def settle(self, staged: StagedChart, stack_file: Path) -> None:
        """Take over the previous revision's values where helm would."""
        if self.reading is None:
            return
        from helmpin.output import as_yaml

        previous = self.reading.result()
        self.reading = None
        self.exists = previous is not None
        if previous is None:
            return
        config = before.restored(previous.config, previous.undo, defaults=False)
        if self.reuse:
            staged.write_values(as_yaml(before.computed(self.helm, self.release, previous)))
        if not config and not self.reuse:
            return
        stack_file.write_text(as_yaml(config))
        self.reused = config
        self.arguments = ["--values", str(stack_file), *self.given]


def value_arguments(flags: list[Given], stack: ExitStack) -> list[str]:
    """The user's value flags; `-f -` is read once, for all the renders."""
    out: list[str] = []
    for flag in flags:
        if flag.name == "--values" and flag.value and "-" in flag.value.split(","):
            import tempfile

            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="helm-pin-stdin-"))
            file = Path(folder) / "values.yaml"
            file.write_text(sys.stdin.read())
            out += ["--values", ",".join(str(file) if part == "-" else part for part in flag.value.split(","))]
        elif flag.name in VALUE_FLAGS:
            out += flag.words
    return out
