{{- define "web.image" -}}
{{- if .Values.image.overrideValue -}}
  {{- .Values.image.overrideValue -}}
{{- else -}}
  {{- $tag := .Values.image.tag | default (printf "job-%s" .Chart.AppVersion) -}}
  {{- .Values.image.registry }}/{{ .Values.image.repository }}:{{ $tag -}}
{{- end -}}
{{- end -}}
