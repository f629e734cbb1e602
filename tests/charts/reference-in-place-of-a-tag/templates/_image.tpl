{{- define "image" -}}
{{- if .unifiedRepoTag }}{{ .unifiedRepoTag }}{{ else }}{{ .repository }}:{{ .tag }}{{ end }}
{{- end -}}
