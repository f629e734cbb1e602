"""What a plan renders, and how: the command, its flags and its values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from helmpin.arguments import Given, dry_run
from helmpin.named_tuple import NamedTuple

if TYPE_CHECKING:
    from helmpin.config.settings import Settings
    from helmpin.helm import Helm
    from helmpin.image.outside_pods import ExtraImageRules
    from helmpin.render.values import ValuesInput


class PlanRequest(Protocol):
    """The part of a Request that planning uses."""

    @property
    def flags(self) -> list[Given]: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def helm(self) -> Helm: ...


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
    cluster_flags: tuple[str, ...] = ()
    """helm template's flags with which it asks the cluster, if the user runs that command."""

    def dry_run(self) -> str:
        """The kind of dry run that sees what the command sees: `server` for a deployment."""
        return "client" if dry_run(self.flags) == "client" else "server"
