{{- define "old" -}}
{{- $web := .Values.web -}}
{{ eq $web.tag "1.0" }}
{{- end -}}
