{{- define "image" -}}
{{- if .never }}{{ range $key := sortAlpha (keys .never) }}{{ $key }}{{ end }}{{ end -}}
{{ tpl .image.repository .root }}:{{ tpl .image.tag .root }}
{{- end -}}
