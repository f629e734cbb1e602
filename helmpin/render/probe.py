"""The extra template with which Helm prints the values of a render; output.py reads it. In front of others, it also shows whether
they print what this render does not know."""

from __future__ import annotations

from collections.abc import Iterable

from helmpin.chart import OWN_FOLDER

PROBE = f"{OWN_FOLDER}a/b/c/d/e/f/g/h/i/j/values.yaml"
"""The extra template of the plain render. Helm runs the deepest path first (pkg/engine/engine.go, sortTemplates), so it
prints the values before any template can change them with `set`."""
PROBE_TEXT = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: helm-pin-values
data:
  values: {{ dict "values" .Values | toJson | toJson }}
"""
HOOK_TEXT = PROBE_TEXT.replace("metadata:\n", "metadata:\n  annotations: {helm.sh/hook: test}\n")
"""The same as a hook. Beside other objects it changes how Helm 4 prints the last of these (pkg/cmd/template.go), and a dry run
looks each up in the cluster (pkg/action/validate.go, existingResourceConflict), which the account may not be allowed to do."""
UNKNOWN = "helm-pin-unknown"
"""What stands for a part of the release that the render does not know, so that what prints it shows."""


def hiding(keys: Iterable[str]) -> str:
    """What hides these parts of `.Release` from all templates that Helm runs later, when it stands in a probe. They share the map
    (pkg/engine/engine.go, recAllTpls)."""
    return "".join(f'{{{{- $_ := set .Release "{key}" "{UNKNOWN}" -}}}}\n' for key in keys)
