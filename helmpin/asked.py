"""What helm is asked about a release: templates for `helm get all --template`. This module imports nothing (prefetch.py)."""

from __future__ import annotations

ANNOTATION = "helm-pin/digests"
"""The annotation of the chart that holds the record."""
_VALUE = (
    '{{ define "value" }}{{ $type := printf "%T" . -}}'
    '{{ if eq $type "string" }}"{{ printf "%x" . }}"'
    '{{ else if eq $type "map[string]interface {}" -}}'
    '{"map": [{{ range $key, $value := . }}["{{ printf "%x" $key }}", {{ template "value" $value }}], {{ end }}null]}'
    '{{ else if eq $type "[]interface {}" }}[{{ range . }}{{ template "value" . }}, {{ end }}null]'
    '{{ else if eq $type "<nil>" }}null'
    "{{ else }}{{ . }}{{ end }}{{ end -}}"
)
"""A named template that prints a value as JSON. `helm get all --template` has only Go's own functions (text/template, Functions),
so strings are printed in hexadecimal."""
RELEASE = (
    f"{_VALUE}"
    '[{{ .Release.Version }}, "{{ .Release.Info.Status }}", '
    f'{{{{ template "value" index .Release.Chart.Metadata.Annotations "{ANNOTATION}" }}}}, '
    '{{ if .Release.Config }}{{ template "value" .Release.Config }}{{ else }}null{{ end }}]'
)
"""Revision, status, record and values as JSON, in one helm run."""
DEFAULTS = f'{_VALUE}{{{{ template "value" .Release.Chart.Values }}}}'
"""The default values of the stored chart. Helm stores it without its dependencies."""
