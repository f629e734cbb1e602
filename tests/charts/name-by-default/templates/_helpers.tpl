{{- define "web.image" -}}
{{- default "example.com/team/web" .Values.images.web.repository -}}
:
{{- default .Chart.AppVersion .Values.images.web.tag -}}
{{- end -}}

{{- define "job.image" -}}
{{ .Values.images.job.repository | default "example.com/team/job" }}:{{ .Values.images.job.tag | default .Chart.AppVersion }}
{{- end -}}
