"""helm-pin as helm starts it, with its branches counted: for scripts/test, which prints the coverage."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.support.workstation import CHECKOUT, Workstation

WANTED = "COVERAGE_PROCESS_START" in os.environ
"""Whether each Python that has the package coverage counts, as scripts/test wants: the plugin's own has it not."""
MODULES = frozenset(
    {"test_life_crds", "test_life_upgrade", "test_lock", "test_main_job", "test_rollback", "test_verify"}
)
"""Whose runs are counted: they go through every command. All would take minutes more."""
PYTHON = """\
#!/bin/sh
# Takes the interpreter's options that keep its packages out, and gives the rest of them on.
options=
while :; do
  case $1 in
    -I | -S) shift ;;
    -X) options="$options -X $2" && shift 2 ;;
    *) break ;;
  esac
done
exec '{python}' $options "$@"
"""


def measured(machine: Workstation, home: Path) -> Workstation:
    """The machine with a copy of the plugin, under `home`, that counts."""
    plugin = home / "plugins" / "pin"
    for folder in (plugin / "bin", plugin / ".venv" / "bin"):
        folder.mkdir(parents=True)
    for name in ("plugin.yaml", "bin/helm-pin", "helmpin"):
        (plugin / name).symlink_to(CHECKOUT / name)
    python = plugin / ".venv" / "bin" / "python"
    python.write_text(PYTHON.format(python=sys.executable))
    python.chmod(0o755)
    return machine.with_env(HELM_PLUGINS=str(plugin.parent))
