"""What a plan renders, and how: the command, its flags and its values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from helmpin.arguments import Given, last

if TYPE_CHECKING:
    from helmpin.helm import Helm
    from helmpin.image.outside_pods import ExtraImageRules
    from helmpin.render.values import ValuesInput


class Task(NamedTuple):
    """What to render, and how."""

    helm: Helm
    command: str
    release: str
    all_flags: Sequence[Given]
    flags: Sequence[Given]
    """Without those about the chart's source and the values."""
    values: ValuesInput
    also: ExtraImageRules
    folder: Path
    checks: tuple[str, ...] = ()
    """helm template's flags with which it asks the cluster, if the user runs that command."""

    def dry_run(self) -> str:
        """The kind of dry run that sees what the command sees: `server` for a deployment; a bare --dry-run is the client's
        (pkg/cmd/install.go)."""
        given = [flag for flag in self.flags if flag.name == "--dry-run"]
        none = not given or last(given, "--dry-run") in ("none", "false")
        return "server" if none or last(given, "--dry-run") == "server" else "client"
