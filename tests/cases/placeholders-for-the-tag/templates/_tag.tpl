{{- define "tag" -}}
{{ if eq .image.tag "REPLACED_BY_APP_VERSION" }}{{ .version }}{{ else }}{{ .image.tag }}{{ end }}
{{- end }}
