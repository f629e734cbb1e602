{{- define "image" -}}
{{- $own := .own.tag | default "latest" -}}
{{ .own.repository }}:{{ .shared.tag | default $own }}
{{- end -}}
