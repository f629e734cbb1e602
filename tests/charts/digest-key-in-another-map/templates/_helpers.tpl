{{- define "web.repository" -}}
{{- if .Values.slim.enabled }}{{ .Values.slim.image.repository }}{{ else }}{{ .Values.image.repository }}{{ end -}}
{{- end -}}
{{- define "web.image" -}}
{{- .Values.image.registry }}/{{ include "web.repository" . }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag }}{{ end -}}
{{- end -}}
