"""The extra template with which Helm prints the values of a render; output.py reads it."""

PROBE = "templates/helm-pin/a/b/c/d/e/f/g/h/i/j/values.yaml"
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
