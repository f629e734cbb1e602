"""Somebody else who deploys the same release meanwhile: real helm and kubectl, and a colleague who acts at a chosen moment."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from tests.support.workstation import Finished, Workstation

BEFORE_HELM = 'helm) [ "$1 $2" = "rollback app" ] && once ;;'
AFTER_HELM = 'helm) if [ "$1 $2" = "rollback app" ]; then "$REAL" "$@"; status=$?; once; exit $status; fi ;;'
WHILE_CHECKING = 'kubectl) case "$*" in *--filename*) once ;; esac ;;'
"""Moments of a command, as cases of a shell script that stands before the real helm and kubectl."""


class Race(NamedTuple):
    """A command during which a colleague acts once, at one of these moments."""

    machine: Workstation
    folder: Path
    namespace: str

    def __call__(self, moment: str, theirs: str, *args: str) -> Finished:
        """`helm pin ARGS`, started as helm starts a plugin."""
        run, machine = self.folder / "bin" / "run", self.machine
        run.parent.mkdir()
        kubectl = shutil.which("kubectl", path=machine.env["PATH"])
        run.write_text(
            f"""#!/bin/sh
once() {{ if mkdir {self.folder}/acted 2>/dev/null; then sh {self.folder}/theirs >&2; fi; }}
case "${{0##*/}}" in helm) REAL={machine.helm_binary} ;; kubectl) REAL={kubectl} ;; esac
case "${{0##*/}}" in
{moment}
esac
exec "$REAL" "$@"
"""
        )
        run.chmod(0o755)
        (self.folder / "theirs").write_text(theirs)
        for name in ("helm", "kubectl"):
            (run.parent / name).symlink_to(run)
        env = {"HELM_BIN": str(run.parent / "helm"), "HELM_NAMESPACE": self.namespace}
        machine = machine.with_env(**env, PATH=f"{run.parent}:{machine.env['PATH']}")
        done = machine.forked(*args)
        assert (self.folder / "acted").exists(), done.stderr
        return done
