"""Reading one stored revision through helm, whatever storage driver holds it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from helmpin.asked import ANNOTATION
from helmpin.errors import HelmFailed
from helmpin.helm import Helm, HelmProcess
from helmpin.release.revision import LARGEST, Revision

_PARTS = (
    "{{ .Release.Version }} {{ .Release.Info.Status }}",
    f'{{{{ index .Release.Chart.Metadata.Annotations "{ANNOTATION}" }}}}',
    "{{ .Release.Manifest }}",
    "{{ range .Release.Hooks }}\n---\n# Source: {{ .Path }}\n{{ .Manifest }}\n{{ end }}",
    "",
)
"""What to read of a revision, as templates for `helm get all --template`, which has only Go's own functions."""


class Reading:
    """One revision. The constructor starts to read it; `result()` waits."""

    def __init__(self, helm: Helm, release: str, revision: int | None = None, flags: Sequence[str] = ()) -> None:
        """flags: helm flags for a release outside this command's own namespace or cluster."""
        self._helm, self._release, self._revision, self._flags = helm, release, revision, flags
        at = [*(["--revision", str(revision)] if revision else []), *flags]
        self._between = f"\n=== {os.urandom(16).hex()} ===\n"  # no manifest can hold it
        self._running: HelmProcess = helm.start(["get", "all", release, *at, "--template", self._between.join(_PARTS)])

    def result(self) -> Revision:
        """Raises HelmFailed."""
        try:
            out = self._running.output()
        except HelmFailed as error:
            from helmpin.release.errors import explained

            raise explained(error, self._release, self._revision, self._flags, helm=self._helm) from None
        head, record, manifest, hooks, *_ = out.split(self._between)
        revision, _, status = head.strip().partition(" ")
        text = "" if record.strip() in ("", "<no value>") else record.strip()
        problem = f"it has more than {LARGEST >> 20} MiB" if len(out) > LARGEST else ""
        return Revision(
            release=self._release,
            revision=int(revision),
            status=status,
            record_text=text,
            manifest=manifest,
            hooks=hooks,
            problem=problem,
        )


def read_revision(helm: Helm, release: str, revision: int | None = None) -> Revision:
    """One revision, or the latest. Raises HelmFailed."""
    return Reading(helm, release, revision).result()
