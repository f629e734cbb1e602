"""A script as helm's post-renderer."""

from __future__ import annotations

from pathlib import Path

from tests.support.workstation import Workstation


def through(machine: Workstation, folder: Path, script: str) -> tuple[Workstation, list[str]]:
    """The flags that have helm use a script, and the machine on which they do: as it is with Helm 3, as a plugin with Helm 4."""
    plugin = folder / "plugins/mine"
    plugin.mkdir(parents=True)
    run = plugin / "run.sh"
    run.write_text(f"#!/bin/sh\n{script}")
    run.chmod(0o755)
    if not machine.helm4:
        return machine, ["--post-renderer", str(run)]
    (plugin / "plugin.yaml").write_text(
        "name: mine\ntype: postrenderer/v1\napiVersion: v1\nversion: 0.1.0\nruntime: subprocess\n"
        'runtimeConfig: {platformCommand: [{command: "$HELM_PLUGIN_DIR/run.sh"}]}\n'
    )
    return machine.with_env(HELM_PLUGINS=str(folder / "plugins")), ["--post-renderer", "mine"]
