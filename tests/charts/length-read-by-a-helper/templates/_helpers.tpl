{{- define "size" -}}
{{ if gt (len .Values.job.tag) 10 }}long{{ else }}short{{ end }}
{{- end -}}
